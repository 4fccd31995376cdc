//! A model of the lake, loaded and ready to be applied.

use std::collections::BTreeMap;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::compute::can_cast_types;
use arrow::datatypes::DataType;
use bytes::Bytes;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, DFSchema};
use datafusion::logical_expr::{Expr, cast};
use lakemill_base::did_you_mean;
use lakemill_lake::{ModelEntry, ModelName, sql_type};
use lakemill_learn::Model;

use super::transform::Transform;
use crate::{Error, Result};

/// One version of a model as operators apply it: the estimator, its identity, and the files that it was read from,
/// so that a plan can take it to another machine.
pub(crate) struct ModelHandle {
    /// The model's full name.
    pub(crate) name: ModelName,
    /// Its version.
    pub(crate) version: u64,
    /// The estimator.
    pub(crate) model: Model,
    /// The artifact's files.
    pub(crate) files: BTreeMap<String, Bytes>,
}

/// A model as statements name it: what operators need, what prepares its features, and its entry in the catalog.
#[derive(Debug)]
pub(crate) struct LoadedModel {
    /// What operators need.
    pub(crate) handle: Arc<ModelHandle>,
    /// The TRANSFORM clause.
    pub(crate) transform: Option<Transform>,
    /// What the catalog says of it.
    pub(crate) entry: ModelEntry,
}

impl fmt::Debug for ModelHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ModelHandle({self})")
    }
}

impl fmt::Display for ModelHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.name, self.version)
    }
}

/// A version of a model never changes, so name and version are its identity.
impl PartialEq for ModelHandle {
    fn eq(&self, other: &Self) -> bool {
        (&self.name, self.version) == (&other.name, other.version)
    }
}

impl Eq for ModelHandle {}

impl Hash for ModelHandle {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        (&self.name, self.version).hash(hasher);
    }
}

impl LoadedModel {
    /// The estimator.
    pub(crate) fn model(&self) -> &Model {
        &self.handle.model
    }

    /// The model's features, as expressions over an input of the schema `input`, in the model's order.
    ///
    /// # Errors
    /// The input lacks a column that the model needs, or has it in a type that does not fit; `relation` (such as
    /// `ML.PREDICT`) and the column are named.
    pub(crate) fn features(&self, input: &DFSchema) -> Result<Vec<Expr>> {
        self.model()
            .features()
            .iter()
            .map(|feature| match &self.transform {
                None => self.column(feature.name(), feature.data_type(), input),
                Some(transform) => self.transformed(transform, feature.name(), input),
            })
            .collect()
    }

    /// The column of the input that holds the label.
    ///
    /// # Errors
    /// There is none, or its type does not fit.
    pub(crate) fn label(&self, input: &DFSchema) -> Result<Expr> {
        let label = self.model().label();
        let trained = self.transform.as_ref().and_then(|transform| transform.input().field_with_name(label).ok());
        match (trained, self.find(label, input)?) {
            (_, None) => Err(Error::invalid(format!(
                "the label '{label}' of model {} is not a column of the input; it is what predictions are compared with",
                self.handle.name
            ))),
            (Some(field), Some(_)) => self.column(label, &field.data_type().clone(), input),
            (None, Some(column)) => Ok(Expr::Column(column)),
        }
    }

    /// An output of the TRANSFORM clause over the input.
    pub(crate) fn transformed(&self, transform: &Transform, name: &str, input: &DFSchema) -> Result<Expr> {
        let Some((_, expr)) = transform.outputs().iter().find(|(output, _)| output == name) else {
            return Err(Error::internal(format!(
                "model {} has a feature '{name}' that TRANSFORM does not give",
                self.handle
            )));
        };
        let mut problem = None;
        let expr = expr.clone().transform(|node| {
            let Expr::Column(column) = &node else { return Ok(Transformed::no(node)) };
            let bound = match transform.input().field_with_name(&column.name) {
                Ok(field) => self.column(field.name(), field.data_type(), input),
                Err(_) => Err(Error::internal(format!("TRANSFORM reads '{}', which training had not", column.name))),
            };
            match bound {
                Ok(bound) => Ok(Transformed::yes(bound)),
                Err(error) => {
                    problem.get_or_insert(error);
                    Ok(Transformed::no(node))
                }
            }
        })?;
        match problem {
            Some(error) => Err(error),
            None => Ok(expr.data),
        }
    }

    /// The input's column `name`, as the type `trained` that it had in training.
    fn column(&self, name: &str, trained: &DataType, input: &DFSchema) -> Result<Expr> {
        let Some(column) = self.find(name, input)? else { return Err(self.lacks(name, input)) };
        let given = input.field_with_name(column.relation.as_ref(), &column.name)?.data_type().clone();
        if given == *trained {
            return Ok(Expr::Column(column));
        }
        if !fits(&given, trained) {
            return Err(Error::invalid(format!(
                "model {} was trained on a column '{name}' of type {}, and the input has it as {}; \
                 CAST it in the input",
                self.handle.name,
                sql_type(trained),
                sql_type(&given)
            )));
        }
        Ok(cast(Expr::Column(column), trained.clone()))
    }

    fn find(&self, name: &str, input: &DFSchema) -> Result<Option<Column>> {
        let mut found = input.iter().filter(|(_, field)| field.name() == name);
        let Some((qualifier, field)) = found.next() else { return Ok(None) };
        if found.next().is_some() {
            return Err(Error::invalid(format!("the input has two columns named '{name}'; rename one with AS")));
        }
        Ok(Some(Column::new(qualifier.cloned(), field.name())))
    }

    fn lacks(&self, name: &str, input: &DFSchema) -> Error {
        let names: Vec<&str> = input.fields().iter().map(|field| field.name().as_str()).collect();
        let message = format!("model {} needs the column '{name}', which the input does not have", self.handle.name);
        match did_you_mean(name, names.iter().copied()) {
            Some(near) => Error::invalid(format!("{message}; did you mean to call '{near}' so?")),
            None => Error::invalid(format!("{message}; it has: {}", names.join(", "))),
        }
    }
}

/// Whether a column of one type may stand for a column of another: numbers for numbers, texts for texts ..
fn fits(given: &DataType, trained: &DataType) -> bool {
    let text = |kind: &DataType| match kind {
        DataType::Dictionary(_, value) => value.is_string(),
        kind => kind.is_string(),
    };
    match (given, trained) {
        (DataType::Null, _) => true,
        (given, trained) if given.is_numeric() && trained.is_numeric() => true,
        (given, trained) if text(given) && text(trained) => true,
        (DataType::Date32 | DataType::Date64, DataType::Date32 | DataType::Date64) => true,
        (DataType::Timestamp(..), DataType::Timestamp(..)) => true,
        (given, trained) => given.is_nested() && trained.is_nested() && can_cast_types(given, trained),
    }
}
