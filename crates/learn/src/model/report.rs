//! What a model tells of itself: iterations, features, weights, importance.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, ListArray, RecordBatch, StringArray, StructArray};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, Field, Fields, Schema};

use super::{Kernel, Model};
use crate::encode::leaf::extract;
use crate::encode::numbers::numbers;
use crate::encode::stats::{LeafStats, NumberStats};
use crate::encode::{Encoder, FittedLeaf, NULL_CATEGORY, NumberScale, PART_NAMES, Vocabulary};
use crate::{Error, Iteration, Result};

/// The name of the constant term among the inputs.
const INTERCEPT: &str = "__INTERCEPT__";

/// The table of iterations.
pub(crate) fn training_info(iterations: &[Iteration]) -> Result<RecordBatch> {
    let int = |value: fn(&Iteration) -> i64| -> ArrayRef {
        Arc::new(iterations.iter().map(|i| Some(value(i))).collect::<Int64Array>())
    };
    let float = |value: fn(&Iteration) -> Option<f64>| -> ArrayRef {
        Arc::new(iterations.iter().map(value).collect::<Float64Array>())
    };
    batch(vec![
        ("training_run", int(|_| 0)),
        ("iteration", int(|i| i64::from(i.iteration))),
        ("loss", float(|i| Some(i.loss))),
        ("eval_loss", float(|i| i.eval_loss)),
        ("learning_rate", float(|i| i.learning_rate)),
        ("duration_ms", int(|i| i64::try_from(i.duration_ms).unwrap_or(i64::MAX))),
    ])
}

/// The table of inputs. Medians are exact.
pub(crate) fn feature_info(encoder: &Encoder, stats: &[LeafStats], rows: &[RecordBatch]) -> Result<RecordBatch> {
    let mut names = Vec::new();
    let mut floats: [Vec<Option<f64>>; 5] = Default::default();
    let mut ints: [Vec<Option<i64>>; 3] = Default::default();
    for ((leaf, _), stats) in encoder.leaves.iter().zip(stats) {
        names.push(leaf.name.clone());
        let (number, categories, nulls, dimension) = match stats {
            LeafStats::Number(stats) => {
                let mut values = Vec::with_capacity(stats.count as usize);
                for batch in rows {
                    values.extend(numbers(&extract(batch, leaf)?)?.iter().copied().filter(|value| !value.is_nan()));
                }
                (Some((stats.clone(), median(&mut values))), None, stats.nulls, None)
            }
            LeafStats::Category(stats) => (None, Some(stats.counts.len()), stats.nulls, None),
            LeafStats::Timestamp(parts) => (None, None, parts.first().map_or(0, |part| part.nulls), None),
            LeafStats::Vector(elements, nulls) => (None, None, *nulls, Some(elements.len())),
            LeafStats::Sparse { dimension, nulls, .. } => (None, None, *nulls, Some(*dimension)),
        };
        let of = |value: fn(&(NumberStats, f64)) -> f64| number.as_ref().map(value);
        floats[0].push(of(|(stats, _)| stats.min));
        floats[1].push(of(|(stats, _)| stats.max));
        floats[2].push(of(|(stats, _)| stats.mean));
        floats[3].push(of(|(_, median)| *median));
        floats[4].push(of(|(stats, _)| stats.deviation()));
        ints[0].push(categories.map(|count| count as i64));
        ints[1].push(i64::try_from(nulls).ok());
        ints[2].push(dimension.map(|dimension| dimension as i64));
    }
    let [min, max, mean, median, deviation] = floats.map(|values| Arc::new(Float64Array::from(values)) as ArrayRef);
    let [categories, nulls, dimension] = ints.map(|values| Arc::new(Int64Array::from(values)) as ArrayRef);
    batch(vec![
        ("input", Arc::new(StringArray::from(names))),
        ("min", min),
        ("max", max),
        ("mean", mean),
        ("median", median),
        ("stddev", deviation),
        ("category_count", categories),
        ("null_count", nulls),
        ("dimension", dimension),
    ])
}

pub(crate) fn median(values: &mut [f64]) -> f64 {
    if values.is_empty() {
        return f64::NAN;
    }
    let odd = values.len() % 2 == 1;
    let (below, upper, _) = values.select_nth_unstable_by(values.len() / 2, f64::total_cmp);
    if odd { *upper } else { 0.5 * (below.iter().copied().fold(f64::NEG_INFINITY, f64::max) + *upper) }
}

/// One row of the table of weights.
struct InputWeight {
    input: String,
    weight: Option<f64>,
    categories: Vec<(String, f64)>,
}

/// The table of weights.
pub(super) fn weights(model: &Model, standardize: bool) -> Result<RecordBatch> {
    let Kernel::Linear { weights, .. } = model.kernel() else {
        let kind = model.model_type().as_str();
        return Err(Error::invalid(format!(
            "a {kind} has no weights; ML.FEATURE_IMPORTANCE tells what its features count"
        )));
    };
    let stride = model.encoder.layout.columns + 1;
    let mut rows: Vec<InputWeight> = Vec::new();
    let mut classes: Vec<String> = Vec::new();
    for (output, weights) in weights.chunks_exact(stride).enumerate() {
        let of_output = input_weights(&model.encoder, weights, standardize);
        if let Some(all) = model.classes.as_ref().filter(|all| all.len() > 2) {
            classes.extend(of_output.iter().map(|_| all.vocabulary.categories[output].clone()));
        }
        rows.extend(of_output);
    }
    let mut columns: Vec<(&str, ArrayRef)> = Vec::new();
    if !classes.is_empty() {
        columns.push(("class_label", Arc::new(StringArray::from(classes))));
    }
    let inputs: Vec<&str> = rows.iter().map(|row| row.input.as_str()).collect();
    columns.push(("processed_input", Arc::new(StringArray::from(inputs))));
    columns.push(("weight", Arc::new(rows.iter().map(|row| row.weight).collect::<Float64Array>())));
    columns.push(("category_weights", category_weights(&rows)?));
    batch(columns)
}

/// Weights per input. In the inputs' own scale a weight is `w / scale`, and the intercept takes up the centers.
fn input_weights(encoder: &Encoder, weights: &[f64], standardize: bool) -> Vec<InputWeight> {
    let mut rows = Vec::new();
    let mut intercept = weights.last().copied().unwrap_or(0.0);
    let mut dense = 0;
    let mut block = 0;
    let mut number = |name: String, scale: &NumberScale, rows: &mut Vec<InputWeight>| {
        let own = weights[dense] / scale.scale;
        dense += 1;
        if standardize {
            // The intercept of centred numbers.
            intercept += own * (scale.impute - scale.center);
        } else {
            intercept -= own * scale.center;
        }
        let weight = Some(if standardize { own * scale.deviation } else { own });
        rows.push(InputWeight { input: name, weight, categories: Vec::new() });
    };
    for (leaf, fitted) in &encoder.leaves {
        match fitted {
            FittedLeaf::Number(scale) => number(leaf.name.clone(), scale, &mut rows),
            FittedLeaf::Timestamp(scales) => {
                for (part, scale) in PART_NAMES.iter().zip(scales) {
                    number(format!("{}_{part}", leaf.name), scale, &mut rows);
                }
            }
            FittedLeaf::Vector(scales) => {
                for (at, scale) in scales.iter().enumerate() {
                    number(format!("{}[{at}]", leaf.name), scale, &mut rows);
                }
            }
            FittedLeaf::Category(_) | FittedLeaf::Sparse { .. } => {
                let layout = &encoder.layout.blocks[block];
                block += 1;
                let weights = &weights[layout.offset..layout.offset + layout.width];
                let categories = match fitted {
                    FittedLeaf::Category(vocabulary) => named_categories(vocabulary, weights),
                    _ => weights.iter().enumerate().map(|(index, weight)| (index.to_string(), *weight)).collect(),
                };
                rows.push(InputWeight { input: leaf.name.clone(), weight: None, categories });
            }
        }
    }
    rows.push(InputWeight { input: INTERCEPT.to_owned(), weight: Some(intercept), categories: Vec::new() });
    rows
}

fn named_categories(vocabulary: &Vocabulary, weights: &[f64]) -> Vec<(String, f64)> {
    let names = vocabulary.categories.iter().map(String::as_str).chain(std::iter::once(NULL_CATEGORY));
    names.zip(weights).map(|(name, weight)| (name.to_owned(), *weight)).collect()
}

fn category_weights(rows: &[InputWeight]) -> Result<ArrayRef> {
    let fields = Fields::from(vec![
        Field::new("category", DataType::Utf8, false),
        Field::new("weight", DataType::Float64, false),
    ]);
    let all: Vec<&(String, f64)> = rows.iter().flat_map(|row| &row.categories).collect();
    let names: ArrayRef = Arc::new(StringArray::from_iter_values(all.iter().map(|(name, _)| name)));
    let weights: ArrayRef = Arc::new(Float64Array::from_iter_values(all.iter().map(|(_, weight)| *weight)));
    let entries = StructArray::try_new(fields.clone(), vec![names, weights], None)?;
    let offsets = OffsetBuffer::from_lengths(rows.iter().map(|row| row.categories.len()));
    let nulls = NullBuffer::from_iter(rows.iter().map(|row| row.weight.is_none()));
    let item = Arc::new(Field::new("item", DataType::Struct(fields), false));
    Ok(Arc::new(ListArray::try_new(item, offsets, Arc::new(entries), Some(nulls))?))
}

/// The table of importance, the features with the largest gain first.
pub(super) fn feature_importance(model: &Model) -> Result<RecordBatch> {
    let Kernel::Trees(forest) = model.kernel() else {
        let kind = model.model_type().as_str();
        return Err(Error::invalid(format!("a {kind} has no trees; ML.WEIGHTS tells what its features count")));
    };
    let mut importance = forest.importance();
    importance.sort_by(|a, b| b.gain.total_cmp(&a.gain).then_with(|| a.feature.cmp(&b.feature)));
    let names: StringArray = importance.iter().map(|feature| Some(feature.feature.as_str())).collect();
    let float = |value: fn(&crate::trees::FeatureImportance) -> f64| -> ArrayRef {
        Arc::new(importance.iter().map(|feature| Some(value(feature))).collect::<Float64Array>())
    };
    batch(vec![
        ("feature", Arc::new(names)),
        ("importance_weight", float(|feature| feature.weight as f64)),
        ("importance_gain", float(|feature| feature.gain)),
        ("importance_cover", float(|feature| feature.cover)),
    ])
}

/// A batch of nullable columns.
pub(crate) fn batch(columns: Vec<(&str, ArrayRef)>) -> Result<RecordBatch> {
    let fields: Vec<Field> =
        columns.iter().map(|(name, array)| Field::new(*name, array.data_type().clone(), true)).collect();
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns.into_iter().map(|(_, array)| array).collect())?)
}
