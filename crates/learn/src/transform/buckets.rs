//! Buckets between split points: `(-inf, p1), [p1, p2), .., [pn, +inf)`, and their names.

use std::sync::Arc;

use arrow::array::{ArrayRef, StringArray};
use arrow::datatypes::DataType;
use serde_json::{Value, json};

use super::Apply;
use super::json::{float_from, float_to};
use crate::Result;
use crate::encode::numbers::numbers;

/// The formats of names, the first being the default.
pub(super) const FORMATS: [&str; 3] = ["bucket_names", "bucket_ranges", "bucket_ranges_json"];

/// Split points with the names of the buckets between them.
#[derive(Clone, Debug)]
pub(super) struct Buckets {
    points: Vec<f64>,
    format: &'static str,
    names: Vec<String>,
}

impl Buckets {
    pub(super) fn new(points: Vec<f64>, format: &'static str) -> Self {
        let names = (0..=points.len()).map(|bucket| name(&points, bucket, format)).collect();
        Self { points, format, names }
    }

    pub(super) fn read(value: &Value) -> Option<Arc<dyn Apply>> {
        let points: Option<Vec<f64>> = value.get("split_points")?.as_array()?.iter().map(float_from).collect();
        let format = value.get("output_format")?.as_str()?;
        let format = FORMATS.into_iter().find(|known| *known == format)?;
        Some(Arc::new(Self::new(points?, format)))
    }
}

fn name(points: &[f64], bucket: usize, format: &str) -> String {
    let start = bucket.checked_sub(1).map(|before| points[before]);
    let end = points.get(bucket);
    match format {
        "bucket_ranges" => {
            let open = start.map_or("(-inf".to_owned(), |start| format!("[{start}"));
            let close = end.map_or("+inf".to_owned(), f64::to_string);
            format!("{open}, {close})")
        }
        "bucket_ranges_json" => {
            let start = start.map_or("-Infinity".to_owned(), |start| start.to_string());
            let end = end.map_or("Infinity".to_owned(), f64::to_string);
            format!(r#"{{"start": "{start}", "end": "{end}"}}"#)
        }
        _ => format!("bin_{}", bucket + 1),
    }
}

impl Apply for Buckets {
    fn apply(&self, args: &[ArrayRef]) -> Result<ArrayRef> {
        let values = numbers(&args[0])?;
        let named = values.iter().map(|value| {
            (!value.is_nan()).then(|| self.names[self.points.partition_point(|point| point <= value)].as_str())
        });
        Ok(Arc::new(named.collect::<StringArray>()))
    }

    fn output_type(&self) -> &DataType {
        &DataType::Utf8
    }

    fn statistics(&self) -> Value {
        let points: Vec<Value> = self.points.iter().map(|point| float_to(*point)).collect();
        json!({ "split_points": points, "output_format": self.format })
    }
}
