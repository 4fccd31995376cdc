//! The distributions of a model's features.

use arrow::array::RecordBatch;
use arrow::datatypes::Field;
use serde_json::{Map, Value};

use super::Distribution;
use crate::encode::leaf::{Leaf, extract, leaves};
use crate::{Driver, Error, Fold, Result};

/// A column that is compared: a feature, or a field of one that is a struct.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ComparedColumn {
    /// `column` or `struct_field`.
    pub name: String,
    /// The column's name and the fields on the way down.
    pub path: Vec<String>,
}

/// The columns among `fields` that are compared: numbers and categories. Timestamps and arrays are not.
///
/// # Errors
/// A type that no model takes.
pub fn compared_columns(fields: &[Field]) -> Result<Vec<ComparedColumn>> {
    let compared = |leaf: &Leaf| Distribution::of_kind(leaf.kind).is_some();
    let column = |leaf: Leaf| ComparedColumn { name: leaf.name, path: leaf.path };
    Ok(leaves(fields)?.into_iter().filter(compared).map(column).collect())
}

/// The distributions of the features of a model over its training rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile(Vec<(String, Distribution)>);

impl Profile {
    /// The distributions of columns over rows.
    ///
    /// # Errors
    /// A column that is not there, or of a type that no model takes.
    pub(crate) fn of(fields: &[Field], rows: &[RecordBatch], driver: &Driver) -> Result<Self> {
        driver.fold(&Profiling(leaves(fields)?), rows)
    }

    /// The distribution of one column, by the name that [`ComparedColumn`] has.
    pub fn column(&self, name: &str) -> Option<&Distribution> {
        self.0.iter().find(|(column, _)| column == name).map(|(_, distribution)| distribution)
    }

    /// As JSON: an object of columns.
    pub(crate) fn to_json(&self) -> Value {
        Value::Object(self.0.iter().map(|(name, of)| (name.clone(), of.to_json())).collect::<Map<_, _>>())
    }

    /// Reads what [`Profile::to_json`] wrote.
    pub(crate) fn from_json(value: &Value) -> Result<Self> {
        let columns = value.as_object().ok_or_else(|| Error::data("distributions.json is damaged"))?;
        let column = |(name, value): (&String, &Value)| Ok((name.clone(), Distribution::from_json(value)?));
        Ok(Self(columns.iter().map(column).collect::<Result<_>>()?))
    }
}

/// Counts the rows of leaves.
struct Profiling(Vec<Leaf>);

impl Fold for Profiling {
    /// `None` for what is not compared.
    type State = Vec<Option<Distribution>>;
    type Output = Profile;

    fn init(&self) -> Self::State {
        self.0.iter().map(|leaf| Distribution::of_kind(leaf.kind)).collect()
    }

    fn accumulate(&self, state: &mut Self::State, batch: &RecordBatch) -> Result<()> {
        for (leaf, distribution) in self.0.iter().zip(state) {
            if let Some(distribution) = distribution {
                distribution.add(&extract(batch, leaf)?)?;
            }
        }
        Ok(())
    }

    fn merge(&self, into: &mut Self::State, other: Self::State) -> Result<()> {
        for (into, other) in into.iter_mut().zip(other) {
            if let (Some(into), Some(other)) = (into, other) {
                into.merge(&other)?;
            }
        }
        Ok(())
    }

    fn finish(&self, state: Self::State) -> Result<Self::Output> {
        let column = |(leaf, distribution): (&Leaf, Option<Distribution>)| Some((leaf.name.clone(), distribution?));
        Ok(Profile(self.0.iter().zip(state).filter_map(column).collect()))
    }
}
