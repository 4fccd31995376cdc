//! A forest as relations, for the model's artifact: one row per node, and one per feature.
//!
//! The layout is described in `docs/boosted-trees.md`. Reading checks everything that prediction relies on: every
//! tree is a tree, every child stands behind its parent, every feature exists and is tested as what it is.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Float64Array, ListBuilder, RecordBatch, StringArray, UInt8Builder,
    UInt32Array,
};
use arrow::datatypes::{DataType, Field, Float64Type, Schema, UInt8Type, UInt32Type};

use crate::{Error, Result};

use super::Objective;
use super::forest::{Feature, FeatureKind, Forest, Node, NodeSplit, Test, Tree};
use super::split::contains;

const NUMERIC: &str = "numeric";
const CATEGORICAL: &str = "categorical";

pub(super) fn encode(forest: &Forest) -> Result<(RecordBatch, RecordBatch)> {
    Ok((encode_nodes(forest)?, encode_features(forest)?))
}

fn encode_nodes(forest: &Forest) -> Result<RecordBatch> {
    let rows = || {
        let trees = forest.trees.iter().enumerate();
        trees.flat_map(|(number, tree)| tree.nodes.iter().enumerate().map(move |(at, node)| (number, tree, at, node)))
    };
    let nodes = || rows().map(|(_, _, _, node)| node);
    let splits = || nodes().map(|node| node.split.as_ref());
    let u32s = |values: &mut dyn Iterator<Item = u32>| Arc::new(UInt32Array::from_iter_values(values)) as ArrayRef;
    let of_split =
        |get: fn(&NodeSplit) -> u32| Arc::new(splits().map(|s| s.map(get)).collect::<UInt32Array>()) as ArrayRef;
    let threshold = splits().map(|split| match split.map(|split| &split.test) {
        Some(Test::AtMost(threshold)) => Some(*threshold),
        _ => None,
    });
    let mut left_bins = ListBuilder::new(UInt8Builder::new());
    for split in splits() {
        match split.map(|split| &split.test) {
            Some(Test::In(set)) => {
                left_bins.values().extend((0..=255).filter(|bin| contains(set, *bin)).map(Some));
                left_bins.append(true);
            }
            _ => left_bins.append(false),
        }
    }
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("tree", u32s(&mut rows().map(|(number, ..)| number as u32))),
        ("iteration", u32s(&mut rows().map(|(_, tree, ..)| tree.iteration))),
        ("output", u32s(&mut rows().map(|(_, tree, ..)| tree.output))),
        ("node", u32s(&mut rows().map(|(_, _, at, _)| at as u32))),
        ("feature", of_split(|split| split.feature)),
        ("threshold", Arc::new(threshold.collect::<Float64Array>())),
        ("left_bins", Arc::new(left_bins.finish())),
        ("missing_left", Arc::new(splits().map(|s| s.map(|s| s.missing_left)).collect::<BooleanArray>())),
        ("left", of_split(|split| split.left)),
        ("right", of_split(|split| split.right)),
        ("value", Arc::new(Float64Array::from_iter_values(nodes().map(|node| node.value)))),
        ("gain", Arc::new(splits().map(|s| s.map(|s| s.gain)).collect::<Float64Array>())),
        ("cover", Arc::new(Float64Array::from_iter_values(nodes().map(|node| node.cover)))),
    ];
    let (objective, classes) = match forest.objective {
        Objective::BinaryLogistic => ("binary_logistic", 2),
        Objective::Softmax { classes } => ("softmax", classes),
        Objective::SquaredError => ("squared_error", 0),
    };
    let base_scores: Vec<String> = forest.base_scores.iter().map(|score| format!("{score:?}")).collect();
    let metadata = HashMap::from([
        ("objective".to_string(), objective.to_string()),
        ("classes".to_string(), classes.to_string()),
        ("base_scores".to_string(), base_scores.join(",")),
    ]);
    batch(columns, metadata)
}

fn encode_features(forest: &Forest) -> Result<RecordBatch> {
    let kind = |feature: &Feature| match feature.kind {
        FeatureKind::Numeric => NUMERIC,
        FeatureKind::Categorical { .. } => CATEGORICAL,
    };
    let mut bins = ListBuilder::new(UInt8Builder::new());
    for feature in &forest.features {
        match &feature.kind {
            FeatureKind::Numeric => bins.append(false),
            FeatureKind::Categorical { bin_of_code } => {
                bins.values().append_slice(bin_of_code);
                bins.append(true);
            }
        }
    }
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("feature", Arc::new(StringArray::from_iter_values(forest.features.iter().map(|feature| &feature.name)))),
        ("kind", Arc::new(StringArray::from_iter_values(forest.features.iter().map(kind)))),
        ("bin_of_code", Arc::new(bins.finish())),
    ];
    batch(columns, HashMap::new())
}

fn batch(columns: Vec<(&str, ArrayRef)>, metadata: HashMap<String, String>) -> Result<RecordBatch> {
    let fields: Vec<Field> = columns
        .iter()
        .map(|(name, array)| Field::new(*name, array.data_type().clone(), array.null_count() > 0 || is_optional(name)))
        .collect();
    let schema = Schema::new_with_metadata(fields, metadata);
    Ok(RecordBatch::try_new(Arc::new(schema), columns.into_iter().map(|(_, array)| array).collect())?)
}

/// Columns that are NULL for leaves, or for features without categories.
fn is_optional(name: &str) -> bool {
    matches!(name, "feature" | "threshold" | "left_bins" | "missing_left" | "left" | "right" | "gain" | "bin_of_code")
}

pub(super) fn decode(nodes: &RecordBatch, features: &RecordBatch) -> Result<Forest> {
    let features = decode_features(features)?;
    let (objective, base_scores) = decode_objective(nodes)?;
    let trees = decode_trees(nodes, &features, objective)?;
    Ok(Forest::new(objective, features, base_scores, trees))
}

fn malformed(what: impl std::fmt::Display) -> Error {
    Error::data(format!("the stored forest is malformed: {what}"))
}

fn column<'a>(batch: &'a RecordBatch, name: &str, data_type: &DataType) -> Result<&'a ArrayRef> {
    let array = batch.column_by_name(name).ok_or_else(|| malformed(format!("column '{name}' is missing")))?;
    if array.data_type() != data_type {
        return Err(malformed(format!("column '{name}' must be {data_type}, not {}", array.data_type())));
    }
    Ok(array)
}

fn bytes_list() -> DataType {
    DataType::List(Arc::new(Field::new_list_field(DataType::UInt8, true)))
}

fn decode_features(batch: &RecordBatch) -> Result<Vec<Feature>> {
    let names = column(batch, "feature", &DataType::Utf8)?.as_string::<i32>();
    let kinds = column(batch, "kind", &DataType::Utf8)?.as_string::<i32>();
    let bins = column(batch, "bin_of_code", &bytes_list())?.as_list::<i32>();
    (0..batch.num_rows())
        .map(|row| {
            let kind = match kinds.value(row) {
                NUMERIC => FeatureKind::Numeric,
                CATEGORICAL if bins.is_valid(row) => {
                    let bin_of_code = bins.value(row).as_primitive::<UInt8Type>().values().to_vec();
                    FeatureKind::Categorical { bin_of_code }
                }
                other => return Err(malformed(format!("feature kind '{other}' of row {row}"))),
            };
            Ok(Feature { name: names.value(row).to_string(), kind })
        })
        .collect()
}

fn decode_objective(batch: &RecordBatch) -> Result<(Objective, Vec<f64>)> {
    let schema = batch.schema();
    let entry = |name: &str| schema.metadata().get(name).ok_or_else(|| malformed(format!("it has no '{name}'")));
    let classes: u32 = entry("classes")?.parse().map_err(|_| malformed("'classes' is no number"))?;
    let objective = match entry("objective")?.as_str() {
        "binary_logistic" => Objective::BinaryLogistic,
        "squared_error" => Objective::SquaredError,
        "softmax" => Objective::Softmax { classes },
        other => return Err(malformed(format!("unknown objective '{other}'"))),
    };
    let scores: Option<Vec<f64>> = entry("base_scores")?
        .split(',')
        .map(|text| text.parse().ok().filter(|score: &f64| score.is_finite()))
        .collect();
    match scores {
        Some(scores) if scores.len() == objective.outputs() && !scores.is_empty() => Ok((objective, scores)),
        _ => Err(malformed("'base_scores' must hold one number per output")),
    }
}

fn decode_trees(batch: &RecordBatch, features: &[Feature], objective: Objective) -> Result<Vec<Tree>> {
    let u32s = |name: &str| Ok::<_, Error>(column(batch, name, &DataType::UInt32)?.as_primitive::<UInt32Type>());
    let f64s = |name: &str| Ok::<_, Error>(column(batch, name, &DataType::Float64)?.as_primitive::<Float64Type>());
    let (tree, iteration, output, node) = (u32s("tree")?, u32s("iteration")?, u32s("output")?, u32s("node")?);
    let (feature, left, right) = (u32s("feature")?, u32s("left")?, u32s("right")?);
    let (threshold, value, gain, cover) = (f64s("threshold")?, f64s("value")?, f64s("gain")?, f64s("cover")?);
    let left_bins = column(batch, "left_bins", &bytes_list())?.as_list::<i32>();
    let missing_left = column(batch, "missing_left", &DataType::Boolean)?.as_boolean();
    let mut trees: Vec<Tree> = Vec::new();
    for row in 0..batch.num_rows() {
        let number = tree.value(row) as usize;
        if node.value(row) == 0 && number == trees.len() {
            trees.push(Tree { output: output.value(row), iteration: iteration.value(row), nodes: Vec::new() });
        }
        let trees_so_far = trees.len();
        let Some(last) = trees.last_mut().filter(|last| {
            number + 1 == trees_so_far
                && node.value(row) as usize == last.nodes.len()
                && last.output == output.value(row)
        }) else {
            return Err(malformed(format!("row {row} does not continue tree {number}")));
        };
        let split = if feature.is_valid(row) {
            let test = match (threshold.is_valid(row), left_bins.is_valid(row)) {
                (true, false) => Test::AtMost(threshold.value(row) + 0.0),
                (false, true) => Test::In(set_of(left_bins.value(row).as_primitive::<UInt8Type>().values())),
                _ => return Err(malformed(format!("row {row} must have either a threshold or bins"))),
            };
            let (left, right) = (left.value(row), right.value(row));
            let (missing_left, gain) = (missing_left.value(row), gain.value(row));
            Some(NodeSplit { feature: feature.value(row), test, missing_left, gain, left, right })
        } else {
            None
        };
        last.nodes.push(Node { split, value: value.value(row), cover: cover.value(row) });
    }
    for (number, tree) in trees.iter().enumerate() {
        check_tree(tree, features, objective).map_err(|what| malformed(format!("tree {number}: {what}")))?;
    }
    Ok(trees)
}

fn set_of(bins: &[u8]) -> [u64; 4] {
    let mut set = [0; 4];
    bins.iter().for_each(|bin| set[usize::from(bin >> 6)] |= 1 << (bin & 63));
    set
}

fn check_tree(tree: &Tree, features: &[Feature], objective: Objective) -> Result<(), String> {
    if tree.output as usize >= objective.outputs() {
        return Err(format!("output {} does not exist", tree.output));
    }
    let mut parents = vec![0u8; tree.nodes.len()];
    for (at, node) in tree.nodes.iter().enumerate() {
        if !node.value.is_finite() {
            return Err(format!("the value of node {at} is not finite"));
        }
        let Some(split) = &node.split else { continue };
        for child in [split.left, split.right] {
            match parents.get_mut(child as usize) {
                Some(parents) if child as usize > at && *parents == 0 => *parents = 1,
                _ => return Err(format!("node {child} cannot be a child of node {at}")),
            }
        }
        let kind = features.get(split.feature as usize).map(|feature| &feature.kind);
        match (kind, &split.test) {
            (Some(FeatureKind::Numeric), Test::AtMost(threshold)) if !threshold.is_nan() => {}
            (Some(FeatureKind::Categorical { bin_of_code }), Test::In(set))
                if bin_of_code.first().is_none_or(|bin| contains(set, *bin) == split.missing_left) => {}
            _ => return Err(format!("node {at} does not fit its feature")),
        }
    }
    match parents.iter().skip(1).position(|parents| *parents == 0) {
        Some(orphan) => Err(format!("node {} has no parent", orphan + 1)),
        None => Ok(()),
    }
}
