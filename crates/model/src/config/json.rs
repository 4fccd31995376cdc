//! The configuration from Hugging Face's config.json.

use serde_json::Value;

use super::{Architecture, Rope, RopeLayout, RopeScaling};
use crate::error::{Error, Result};

/// The architectures that can be run.
const FAMILIES: [&str; 4] = ["llama", "mistral", "qwen2", "qwen3"];
const THETA_DEFAULT: f32 = 10_000.0;
const BETA_FAST_DEFAULT: f32 = 32.0;
const BETA_SLOW_DEFAULT: f32 = 1.0;

/// The fields of a JSON object by name, with errors that name them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fields<'a>(pub(crate) &'a Value);

impl<'a> Fields<'a> {
    /// The field `name`, where it is there and not null.
    pub(crate) fn get(self, name: &str) -> Option<&'a Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    /// The whole number of `name`.
    pub(crate) fn integer(self, name: &str) -> Result<Option<usize>> {
        self.read(name, "a whole number", |value| {
            value.as_u64().map(|value| usize::try_from(value).unwrap_or(usize::MAX))
        })
    }

    /// The number of `name`.
    pub(crate) fn float(self, name: &str) -> Result<Option<f32>> {
        self.read(name, "a number", |value| value.as_f64().map(|value| value as f32))
    }

    /// The truth of `name`.
    pub(crate) fn boolean(self, name: &str) -> Result<Option<bool>> {
        self.read(name, "true or false", Value::as_bool)
    }

    /// The text of `name`.
    pub(crate) fn text(self, name: &str) -> Result<Option<&'a str>> {
        self.read(name, "a text", Value::as_str)
    }

    /// The whole number of `name`, which must be there.
    pub(crate) fn required(self, name: &str) -> Result<usize> {
        self.integer(name)?.ok_or_else(|| Error::data(format!("config.json has no '{name}'")))
    }

    fn read<T>(self, name: &str, what: &str, read: impl FnOnce(&'a Value) -> Option<T>) -> Result<Option<T>> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let read = read(value);
        read.map(Some).ok_or_else(|| Error::data(format!("'{name}' of config.json must be {what}")))
    }
}

impl Architecture {
    /// The architecture of a config.json. Its rows of q and k stand as Hugging Face has them.
    pub fn from_json(config: &Value) -> Result<Self> {
        let fields = Fields(config);
        let family = fields.text("model_type")?.ok_or_else(|| Error::data("config.json has no 'model_type'"))?;
        if !FAMILIES.contains(&family) {
            return Err(super::unknown_family(family, FAMILIES.into_iter()));
        }
        if let Some(activation) = fields.text("hidden_act")?.filter(|name| *name != "silu") {
            return Err(Error::data(format!("the model's activation is '{activation}'; only 'silu' can be run")));
        }
        let width = fields.required("hidden_size")?;
        let heads = fields.required("num_attention_heads")?;
        let head_width = match fields.integer("head_dim")? {
            Some(head_width) => head_width,
            None => super::head_width(width, heads)?,
        };
        let context_tokens = fields.required("max_position_embeddings")?;
        let architecture = Self {
            family: family.to_owned(),
            layers: fields.required("num_hidden_layers")?,
            width,
            heads,
            kv_heads: fields.integer("num_key_value_heads")?.unwrap_or(heads),
            head_width,
            feed_forward: fields.required("intermediate_size")?,
            vocabulary: fields.required("vocab_size")?,
            context_tokens,
            rope: rope(fields, head_width, context_tokens)?,
            norm_epsilon: fields.float("rms_norm_eps")?.unwrap_or(1e-6),
            tied: fields.boolean("tie_word_embeddings")?.unwrap_or(false),
            sliding_window: sliding_window(fields, family)?,
        };
        architecture.check()?;
        Ok(architecture)
    }
}

/// Mistral's window holds wherever it is given; Qwen's only where it is switched on, and then from some layer on.
fn sliding_window(fields: Fields<'_>, family: &str) -> Result<Option<usize>> {
    let window = fields.integer("sliding_window")?;
    if family == "mistral" {
        return Ok(window);
    }
    if !fields.boolean("use_sliding_window")?.unwrap_or(false) || window.is_none() {
        return Ok(None);
    }
    let layers = fields.required("num_hidden_layers")?;
    match fields.integer("max_window_layers")?.unwrap_or(layers) {
        0 => Ok(window),
        full if full >= layers => Ok(None),
        _ => Err(Error::data("the model's sliding window differs among its layers, which cannot be run")),
    }
}

fn rope(fields: Fields<'_>, head_width: usize, context_tokens: usize) -> Result<Rope> {
    // Newer files keep the base and the scaling in one object.
    let parameters = fields.get("rope_parameters").or_else(|| fields.get("rope_scaling")).map(Fields);
    let theta = match parameters.map(|parameters| parameters.float("rope_theta")).transpose()?.flatten() {
        Some(theta) => theta,
        None => fields.float("rope_theta")?.unwrap_or(THETA_DEFAULT),
    };
    let share = fields.float("partial_rotary_factor")?.unwrap_or(1.0);
    let scaling = match parameters {
        None => RopeScaling::None,
        Some(parameters) => scaling(parameters, context_tokens)?,
    };
    Ok(Rope { theta, dimensions: (head_width as f32 * share) as usize, layout: RopeLayout::Half, scaling })
}

fn scaling(fields: Fields<'_>, context_tokens: usize) -> Result<RopeScaling> {
    let kind = match fields.text("rope_type")? {
        Some(kind) => kind,
        None => fields.text("type")?.unwrap_or("default"),
    };
    let required = |name: &str| {
        fields
            .float(name)?
            .ok_or_else(|| Error::data(format!("the rope scaling '{kind}' of config.json has no '{name}'")))
    };
    match kind {
        "default" => Ok(RopeScaling::None),
        "linear" => Ok(RopeScaling::Linear { factor: required("factor")? }),
        "llama3" => Ok(RopeScaling::Llama3 {
            factor: required("factor")?,
            low_frequency_factor: required("low_freq_factor")?,
            high_frequency_factor: required("high_freq_factor")?,
            original_context_tokens: fields.required("original_max_position_embeddings")?,
        }),
        "yarn" => {
            let factor = required("factor")?;
            let attention_factor = fields.float("attention_factor")?;
            Ok(RopeScaling::Yarn {
                factor,
                original_context_tokens: fields.integer("original_max_position_embeddings")?.unwrap_or(context_tokens),
                beta_fast: fields.float("beta_fast")?.unwrap_or(BETA_FAST_DEFAULT),
                beta_slow: fields.float("beta_slow")?.unwrap_or(BETA_SLOW_DEFAULT),
                attention_factor: attention_factor.unwrap_or_else(|| RopeScaling::yarn_attention_factor(factor)),
            })
        }
        other => Err(super::unknown_scaling(other)),
    }
}
