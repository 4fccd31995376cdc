//! Preprocessing in a model's files. Numbers are written as the shortest text that reads back to the same bits.

use serde_json::{Value, json};

use super::encoder::{CategoryEncoding, Encoder, FittedLeaf, NumberScale, Vocabulary};
use super::leaf::{Leaf, LeafKind};
use crate::transform::json::{float_from, float_to};
use crate::{Error, Result};

impl Encoder {
    pub(crate) fn to_json(&self) -> Value {
        let features: Vec<Value> = self
            .leaves
            .iter()
            .map(|(leaf, fitted)| {
                let (kind, value) = match fitted {
                    FittedLeaf::Number(scale) => ("number", scale_to(scale)),
                    FittedLeaf::Timestamp(scales) => ("timestamp", scales.iter().map(scale_to).collect()),
                    FittedLeaf::Vector(scales) => ("vector", scales.iter().map(scale_to).collect()),
                    FittedLeaf::Sparse { dimension } => ("sparse", json!({ "dimension": dimension })),
                    FittedLeaf::Category(vocabulary) => ("category", vocabulary_to(vocabulary)),
                };
                json!({ "name": leaf.name, "path": leaf.path, "kind": kind, "statistics": value })
            })
            .collect();
        json!({ "category_encoding": encoding_text(self.categories), "features": features })
    }

    pub(crate) fn from_json(value: &Value) -> Result<Self> {
        let encoding = match value.get("category_encoding").and_then(Value::as_str) {
            Some("one_hot") => CategoryEncoding::OneHot,
            Some("dummy") => CategoryEncoding::Dummy,
            Some("label") => CategoryEncoding::Label,
            _ => return Err(damaged()),
        };
        let features = value.get("features").and_then(Value::as_array).ok_or_else(damaged)?;
        let leaves = features.iter().map(leaf_from).collect::<Result<Vec<_>>>()?;
        Ok(Self::new(leaves, encoding))
    }
}

fn encoding_text(encoding: CategoryEncoding) -> &'static str {
    match encoding {
        CategoryEncoding::OneHot => "one_hot",
        CategoryEncoding::Dummy => "dummy",
        CategoryEncoding::Label => "label",
    }
}

fn scale_to(scale: &NumberScale) -> Value {
    json!({
        "impute": float_to(scale.impute),
        "center": float_to(scale.center),
        "scale": float_to(scale.scale),
        "deviation": float_to(scale.deviation),
    })
}

fn scale_from(value: &Value) -> Result<NumberScale> {
    let float = |name: &str| value.get(name).and_then(float_from).ok_or_else(damaged);
    Ok(NumberScale {
        impute: float("impute")?,
        center: float("center")?,
        scale: float("scale")?,
        deviation: float("deviation")?,
    })
}

fn scales_from(value: &Value) -> Result<Vec<NumberScale>> {
    value.as_array().ok_or_else(damaged)?.iter().map(scale_from).collect()
}

fn vocabulary_to(vocabulary: &Vocabulary) -> Value {
    json!({ "categories": vocabulary.categories, "null": vocabulary.null, "dropped": vocabulary.dropped })
}

fn vocabulary_from(value: &Value) -> Result<Vocabulary> {
    let categories = strings(value.get("categories"))?;
    let null = value.get("null").and_then(Value::as_bool).ok_or_else(damaged)?;
    let dropped = match value.get("dropped") {
        None | Some(Value::Null) => None,
        Some(code) => Some(code.as_u64().and_then(|code| u32::try_from(code).ok()).ok_or_else(damaged)?),
    };
    Ok(Vocabulary::new(categories, null, dropped))
}

fn leaf_from(value: &Value) -> Result<(Leaf, FittedLeaf)> {
    let statistics = value.get("statistics").ok_or_else(damaged)?;
    let (kind, fitted) = match value.get("kind").and_then(Value::as_str) {
        Some("number") => (LeafKind::Number, FittedLeaf::Number(scale_from(statistics)?)),
        Some("timestamp") => (LeafKind::Timestamp, FittedLeaf::Timestamp(scales_from(statistics)?)),
        Some("vector") => (LeafKind::Vector, FittedLeaf::Vector(scales_from(statistics)?)),
        Some("category") => (LeafKind::Category, FittedLeaf::Category(vocabulary_from(statistics)?)),
        Some("sparse") => {
            let dimension = statistics.get("dimension").and_then(Value::as_u64).ok_or_else(damaged)?;
            (LeafKind::Sparse, FittedLeaf::Sparse { dimension: usize::try_from(dimension).map_err(|_| damaged())? })
        }
        _ => return Err(damaged()),
    };
    let name = value.get("name").and_then(Value::as_str).ok_or_else(damaged)?.to_owned();
    Ok((Leaf { name, path: strings(value.get("path"))?, kind }, fitted))
}

fn strings(value: Option<&Value>) -> Result<Vec<String>> {
    let values = value.and_then(Value::as_array).ok_or_else(damaged)?;
    values.iter().map(|text| text.as_str().map(str::to_owned).ok_or_else(damaged)).collect()
}

fn damaged() -> Error {
    Error::data("the model's preprocessing is damaged; train the model again or restore its files")
}
