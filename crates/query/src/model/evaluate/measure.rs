//! What is measured.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use lakemill_learn::{Driver, Model, metrics};

use crate::Result;

/// A measure of predictions against labels.
#[derive(Clone, Debug)]
pub(crate) enum Measure {
    /// ML.EVALUATE
    Evaluate { threshold: Option<f64> },
    /// ML.CONFUSION_MATRIX
    ConfusionMatrix { threshold: Option<f64> },
    /// ML.ROC_CURVE, at given thresholds or at those that the scores suggest.
    RocCurve { thresholds: Option<Vec<f64>> },
    /// ML.CALIBRATION
    Calibration { bins: u32 },
}

impl Measure {
    /// The relation that it is in SQL.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Evaluate { .. } => "ML.EVALUATE",
            Self::ConfusionMatrix { .. } => "ML.CONFUSION_MATRIX",
            Self::RocCurve { .. } => "ML.ROC_CURVE",
            Self::Calibration { .. } => "ML.CALIBRATION",
        }
    }

    /// The columns that it gives for a model.
    ///
    /// # Errors
    /// It is not defined for models of this type.
    pub(crate) fn schema(&self, model: &Model) -> Result<SchemaRef> {
        let schema = match self {
            Self::Evaluate { .. } => metrics::evaluate_schema(model),
            Self::ConfusionMatrix { .. } => metrics::confusion_matrix_schema(model)?,
            Self::RocCurve { .. } => metrics::roc_curve_schema(),
            Self::Calibration { .. } => metrics::calibration_schema(),
        };
        // A measure may be NULL where it is not defined, say the precision of a class that is never predicted.
        let fields: Vec<_> = schema.fields().iter().map(|field| field.as_ref().clone().with_nullable(true)).collect();
        Ok(Arc::new(Schema::new(fields)))
    }

    /// Measures labels and scores, as [`metrics::scored`] gives them.
    ///
    /// # Errors
    /// No row has a label, or the measure is not defined for the model.
    pub(crate) fn measure(&self, model: &Model, scored: &[RecordBatch], driver: &Driver) -> Result<RecordBatch> {
        let measured = match self {
            Self::Evaluate { threshold } => metrics::evaluate(model, scored, *threshold, driver)?,
            Self::ConfusionMatrix { threshold } => metrics::confusion_matrix(model, scored, *threshold, driver)?,
            Self::RocCurve { thresholds } => metrics::roc_curve(model, scored, thresholds.as_deref(), driver)?,
            Self::Calibration { bins } => {
                metrics::calibration(model, scored, usize::try_from(*bins).unwrap_or(usize::MAX), driver)?
            }
        };
        Ok(RecordBatch::try_new(self.schema(model)?, measured.columns().to_vec())?)
    }

    fn key(&self) -> (&'static str, Vec<u64>) {
        let bits = match self {
            Self::Evaluate { threshold } | Self::ConfusionMatrix { threshold } => {
                threshold.iter().map(|value| value.to_bits()).collect()
            }
            Self::RocCurve { thresholds } => thresholds.iter().flatten().map(|value| value.to_bits()).collect(),
            Self::Calibration { bins } => vec![u64::from(*bins)],
        };
        (self.name(), bits)
    }
}

impl PartialEq for Measure {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Measure {}

impl Hash for Measure {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.key().hash(hasher);
    }
}

impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        match self {
            Self::Evaluate { threshold: Some(threshold) } | Self::ConfusionMatrix { threshold: Some(threshold) } => {
                write!(f, ", threshold={threshold}")
            }
            Self::RocCurve { thresholds: Some(thresholds) } => write!(f, ", thresholds={}", thresholds.len()),
            Self::Calibration { bins } => write!(f, ", bins={bins}"),
            _ => Ok(()),
        }
    }
}
