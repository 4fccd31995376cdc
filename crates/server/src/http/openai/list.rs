//! Language models as OpenAI's list of models has them.

use lakemill_query::language::{Kind, ModelInfo};
use serde_json::{Value, json};

/// What the list has for a model.
pub(in super::super) fn entry(info: &ModelInfo) -> Value {
    json!({
        "id": info.name,
        "object": "model",
        "created": info.created_ms.div_euclid(1000),
        "owned_by": "lakemill",
        "name": info.name,
        "version": info.catalog.as_ref().map(|(_, version)| version),
        "type": match info.kind {
            Kind::Language => "LANGUAGE_MODEL",
            Kind::Embedding => "EMBEDDING_MODEL",
        },
        "source": info.source,
    })
}

/// The list's entries.
pub(in super::super) fn entries(models: &[ModelInfo]) -> Vec<Value> {
    models.iter().map(entry).collect()
}
