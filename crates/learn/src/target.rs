//! The label as numbers, and the weights of rows.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field};

use crate::encode::Vocabulary;
use crate::encode::numbers::{numbers, texts};
use crate::encode::stats::{CategoryStats, NumberStats};
use crate::{Error, Fold, Result, TrainSpec};

/// More classes than this are a mistaken label: the weights or trees would be multiplied by their number.
const CLASSES_MAX: usize = 1_000;

/// The classes of a classifier, in rising order.
#[derive(Clone, Debug)]
pub(crate) struct Classes {
    /// In the label's own type.
    pub(crate) labels: ArrayRef,
    pub(crate) vocabulary: Vocabulary,
    /// How many training rows each has.
    pub(crate) counts: Vec<u64>,
}

impl Classes {
    /// From the labels' texts, in rising order.
    pub(crate) fn new(sorted: Vec<(String, u64)>, data_type: &DataType) -> Result<Self> {
        let texts: Vec<String> = sorted.iter().map(|(text, _)| text.clone()).collect();
        let labels = cast(&(Arc::new(StringArray::from(texts.clone())) as ArrayRef), data_type)?;
        let counts = sorted.into_iter().map(|(_, count)| count).collect();
        Ok(Self { labels, vocabulary: Vocabulary::new(texts, false, None), counts })
    }

    pub(crate) fn len(&self) -> usize {
        self.vocabulary.categories.len()
    }

    /// The class's number per row.
    ///
    /// # Errors
    /// A label that is none of the classes.
    pub(crate) fn numbers(&self, label: &ArrayRef, name: &str) -> Result<Vec<f64>> {
        let texts = texts(label)?;
        texts
            .iter()
            .map(|text| {
                let text = text.unwrap_or("NULL");
                self.vocabulary.code(text).map(f64::from).ok_or_else(|| self.unseen(text, name))
            })
            .collect()
    }

    fn unseen(&self, text: &str, name: &str) -> Error {
        let known: Vec<&str> = self.vocabulary.categories.iter().take(8).map(String::as_str).collect();
        let more = if self.len() > known.len() { ", .." } else { "" };
        let text = format!(
            "label '{name}' has the value '{text}', which the training rows did not; the model's classes are {}{more}",
            known.join(", ")
        );
        Error::column(name, text)
    }
}

/// The classes that occur in the training rows.
pub(crate) fn find_classes(
    spec: &TrainSpec,
    field: &Field,
    rows: &[RecordBatch],
    driver: &crate::Driver,
) -> Result<Classes> {
    let stats = driver.fold(&LabelFold { label: &spec.label }, rows)?;
    let label = &spec.label;
    let mut sorted: Vec<(String, u64)> = stats.counts.into_iter().collect();
    if field.data_type().is_integer() {
        sorted.sort_by_key(|(text, _)| text.parse::<i128>().unwrap_or(i128::MAX));
    } else {
        sorted.sort();
    }
    if let [(only, count)] = sorted.as_slice() {
        let text = format!(
            "label '{label}' is '{only}' in all {count} training rows; a classifier needs rows of two classes at least"
        );
        return Err(Error::column(label, text));
    }
    if sorted.len() > CLASSES_MAX {
        let text = format!(
            "label '{label}' has {} different values; a classifier takes at most {CLASSES_MAX} classes, \
             a number to be predicted wants a regression",
            sorted.len()
        );
        return Err(Error::column(label, text));
    }
    let data_type = match field.data_type() {
        DataType::Dictionary(_, values) => values.as_ref(),
        other => other,
    };
    Classes::new(sorted, data_type)
}

struct LabelFold<'a> {
    label: &'a str,
}

impl Fold for LabelFold<'_> {
    type State = CategoryStats;
    type Output = CategoryStats;

    fn init(&self) -> CategoryStats {
        CategoryStats::default()
    }

    fn accumulate(&self, state: &mut CategoryStats, batch: &RecordBatch) -> Result<()> {
        state.add(column(batch, self.label)?)
    }

    fn merge(&self, into: &mut CategoryStats, other: CategoryStats) -> Result<()> {
        into.merge(other);
        Ok(())
    }

    fn finish(&self, state: CategoryStats) -> Result<CategoryStats> {
        Ok(state)
    }
}

/// The label of a regression, checked.
pub(crate) fn check_number_label(spec: &TrainSpec, rows: &[RecordBatch]) -> Result<()> {
    let label = &spec.label;
    let mut stats = NumberStats::default();
    for batch in rows {
        stats.merge(&NumberStats::of(numbers(column(batch, label)?)?.iter().copied()));
    }
    if stats.nulls + stats.infinite > 0 {
        let text = format!(
            "label '{label}' is NaN or infinite in {} training rows; leave them out, or replace the values",
            stats.nulls + stats.infinite
        );
        return Err(Error::column(label, text));
    }
    if stats.min == stats.max {
        let text = format!(
            "label '{label}' is {} in all {} training rows; there is nothing to learn from a constant",
            stats.min, stats.count
        );
        return Err(Error::column(label, text));
    }
    Ok(())
}

/// The label as numbers: the class's number, or the value.
pub(crate) fn targets(spec: &TrainSpec, classes: Option<&Classes>, batch: &RecordBatch) -> Result<Vec<f64>> {
    let label = column(batch, &spec.label)?;
    match classes {
        Some(classes) => classes.numbers(label, &spec.label),
        None => Ok(numbers(label)?.to_vec()),
    }
}

/// The weight of each class: given, balanced, or 1.
pub(crate) fn class_weights(spec: &TrainSpec, classes: Option<&Classes>) -> Result<Vec<f64>> {
    let Some(classes) = classes else { return Ok(Vec::new()) };
    if spec.options.bool("auto_class_weights") {
        let rows: u64 = classes.counts.iter().sum();
        let of = classes.len() as f64;
        return Ok(classes.counts.iter().map(|count| rows as f64 / (*count as f64 * of)).collect());
    }
    let mut weights = vec![1.0; classes.len()];
    for (class, weight) in spec.options.class_weights() {
        let Some(code) = classes.vocabulary.code(&class) else {
            let known = classes.vocabulary.categories.iter().map(String::as_str);
            return Err(Error::option("class_weights", lakemill_base::unknown("class", &class, known)));
        };
        weights[code as usize] = weight;
    }
    Ok(weights)
}

/// The weight of each row: of its class times its own.
pub(crate) fn row_weights(
    spec: &TrainSpec,
    class_weights: &[f64],
    targets: &[f64],
    batch: &RecordBatch,
) -> Result<Vec<f64>> {
    let mut weights: Vec<f64> = match class_weights {
        [] => vec![1.0; targets.len()],
        by_class => targets.iter().map(|target| by_class[*target as usize]).collect(),
    };
    let Some(name) = &spec.weight_column else { return Ok(weights) };
    for (weight, own) in weights.iter_mut().zip(numbers(column(batch, name)?)?.iter()) {
        if !(own.is_finite() && *own >= 0.0) {
            let text = format!("the weight column '{name}' holds {own}; weights must be finite numbers of at least 0");
            return Err(Error::column(name, text));
        }
        *weight *= own;
    }
    Ok(weights)
}

/// A column by name.
pub(crate) fn column<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a ArrayRef> {
    batch.column_by_name(name).ok_or_else(|| {
        let schema = batch.schema();
        let known = schema.fields().iter().map(|field| field.name().as_str());
        Error::column(name, lakemill_base::unknown("column", name, known))
    })
}
