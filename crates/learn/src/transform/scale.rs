//! `(x - center) / divisor`, cut to a range: what all scalers do once they are fitted.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array};
use arrow::datatypes::DataType;
use serde_json::{Value, json};

use super::Apply;
use super::json::{float_from, float_to};
use crate::Result;
use crate::encode::numbers::numbers;

/// A fitted scaler.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Scale {
    pub(super) center: f64,
    /// Never 0: a column without spread is divided by 1.
    pub(super) divisor: f64,
    pub(super) low: f64,
    pub(super) high: f64,
}

impl Scale {
    pub(super) fn new(center: f64, divisor: f64) -> Self {
        Self::within(center, divisor, f64::NEG_INFINITY, f64::INFINITY)
    }

    pub(super) fn within(center: f64, divisor: f64, low: f64, high: f64) -> Self {
        Self { center, divisor: if divisor == 0.0 { 1.0 } else { divisor }, low, high }
    }

    pub(super) fn read(value: &Value) -> Option<Arc<dyn Apply>> {
        let float = |name: &str| value.get(name).and_then(float_from);
        let scale =
            Self { center: float("center")?, divisor: float("divisor")?, low: float("low")?, high: float("high")? };
        Some(Arc::new(scale))
    }
}

impl Apply for Scale {
    fn apply(&self, args: &[ArrayRef]) -> Result<ArrayRef> {
        let values = numbers(&args[0])?;
        let scaled = values
            .iter()
            .map(|value| (!value.is_nan()).then(|| ((value - self.center) / self.divisor).clamp(self.low, self.high)));
        Ok(Arc::new(scaled.collect::<Float64Array>()))
    }

    fn output_type(&self) -> &DataType {
        &DataType::Float64
    }

    fn statistics(&self) -> Value {
        json!({
            "center": float_to(self.center),
            "divisor": float_to(self.divisor),
            "low": float_to(self.low),
            "high": float_to(self.high),
        })
    }
}

/// A scaler whose only argument is its column.
macro_rules! plain_scaler {
    ($name:literal, $stats:ident => $scale:expr) => {
        pub(super) const FUNCTION: super::Function =
            super::Function { name: $name, plan, read: super::scale::Scale::read };

        fn plan(
            columns: &[arrow::datatypes::DataType],
            constants: &[crate::OptionValue],
        ) -> crate::Result<Box<dyn super::TransformFit>> {
            super::args::Args::new($name, columns, constants, &[])?.number_column()?;
            Ok(Box::new(Fit))
        }

        #[derive(Debug)]
        struct Fit;

        impl super::TransformFit for Fit {
            fn fit(
                &self,
                columns: &[arrow::array::RecordBatch],
                driver: &crate::Driver,
            ) -> crate::Result<super::FittedTransform> {
                let $stats = super::gather::number_stats($name, columns, driver)?;
                Ok(super::FittedTransform::new(&FUNCTION, $scale))
            }

            fn output_type(&self) -> arrow::datatypes::DataType {
                arrow::datatypes::DataType::Float64
            }
        }
    };
}

pub(super) use plain_scaler;
