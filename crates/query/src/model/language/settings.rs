//! The settings of ML.GENERATE_TEXT and of ML.GENERATE_EMBEDDING: `STRUCT(value AS name, ..)`.

use lakemill_base::unknown;
use lakemill_learn::OptionValue;
use lakemill_llm::{Guidance, Request, Sampling};
use serde::{Deserialize, Serialize};

use super::Task;
use crate::{Error, Position, Result};

/// What ML.GENERATE_TEXT takes; `max_tokens` and `stop` are other names of `max_output_tokens` and `stop_sequences`.
pub(crate) const GENERATION_SETTINGS: [&str; 19] = [
    "max_output_tokens",
    "max_tokens",
    "temperature",
    "top_k",
    "top_p",
    "min_p",
    "repetition_penalty",
    "presence_penalty",
    "frequency_penalty",
    "stop_sequences",
    "stop",
    "seed",
    "flatten_json_output",
    "system_prompt",
    "chat",
    "json_schema",
    "regex",
    "choices",
    "reorder_fields",
];

/// What ML.GENERATE_EMBEDDING takes.
pub(crate) const EMBEDDING_SETTINGS: [&str; 1] = ["flatten_json_output"];

/// BigQuery's default.
const MAX_OUTPUT_TOKENS: usize = 128;
/// BigQuery's default.
const TOP_K: usize = 40;
/// BigQuery's default.
const TOP_P: f64 = 0.95;
/// Tokens of an answer whose form is given: a category is a few words.
const SHORT_ANSWER_TOKENS: usize = 64;

/// Statements give way to people who wait for an answer of the same engine; so many seconds of waiting make up for it.
const BATCH_PRIORITY: i32 = 10;

/// How answers are made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Generation {
    pub(crate) max_output_tokens: usize,
    pub(crate) temperature: f64,
    pub(crate) top_k: usize,
    pub(crate) top_p: f64,
    pub(crate) min_p: f64,
    pub(crate) repetition_penalty: f64,
    pub(crate) presence_penalty: f64,
    pub(crate) frequency_penalty: f64,
    pub(crate) stop_sequences: Vec<String>,
    pub(crate) seed: Option<u64>,
    /// Plain columns in the place of JSON.
    pub(crate) flatten: bool,
    pub(crate) system_prompt: Option<String>,
    /// Whether the prompt is a message of a conversation, where the model knows conversations.
    pub(crate) chat: bool,
    /// What the answer must look like.
    pub(crate) form: Option<Form>,
    /// Whether the lines of a prompt that is a STRUCT may stand in another order.
    #[serde(default)]
    pub(crate) reorder_fields: bool,
}

/// What an answer must look like.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Form {
    JsonSchema(String),
    Regex(String),
    Choices(Vec<String>),
}

/// A setting as written.
#[derive(Clone, Debug)]
pub(crate) struct Setting<'a> {
    pub(crate) name: &'a str,
    pub(crate) value: &'a OptionValue,
    pub(crate) at: Position,
}

impl Default for Generation {
    fn default() -> Self {
        Self {
            max_output_tokens: MAX_OUTPUT_TOKENS,
            temperature: 0.0,
            top_k: TOP_K,
            top_p: TOP_P,
            min_p: 0.0,
            repetition_penalty: 1.0,
            presence_penalty: 0.0,
            frequency_penalty: 0.0,
            stop_sequences: Vec::new(),
            seed: None,
            flatten: false,
            system_prompt: None,
            chat: true,
            form: None,
            reorder_fields: false,
        }
    }
}

impl Generation {
    /// For answers whose form is given: the most probable one.
    pub(super) fn short() -> Self {
        Self { max_output_tokens: SHORT_ANSWER_TOKENS, ..Self::default() }
    }

    /// Whether the same prompt always gets the same answer.
    pub(super) fn is_deterministic(&self) -> bool {
        self.temperature == 0.0 || self.seed.is_some()
    }

    /// What the answer must look like.
    pub(super) fn guidance(&self) -> Option<Guidance> {
        self.form.as_ref().map(|form| match form {
            Form::JsonSchema(schema) => Guidance::JsonSchema(schema.clone()),
            Form::Regex(regex) => Guidance::Regex(regex.clone()),
            Form::Choices(choices) => Guidance::Choice(choices.clone()),
        })
    }

    /// The request for a prompt.
    pub(super) fn request(&self, prompt: Vec<u32>, guidance: Option<Guidance>) -> Request {
        let sampling = if self.temperature == 0.0 {
            Sampling::greedy()
        } else {
            Sampling {
                temperature: self.temperature as f32,
                top_k: self.top_k,
                top_p: self.top_p as f32,
                min_p: self.min_p as f32,
                ..Sampling::default()
            }
        };
        Request {
            sampling: Sampling {
                repetition_penalty: self.repetition_penalty as f32,
                presence_penalty: self.presence_penalty as f32,
                frequency_penalty: self.frequency_penalty as f32,
                seed: self.seed,
                ..sampling
            },
            max_tokens: Some(self.max_output_tokens),
            stop: self.stop_sequences.clone(),
            guidance,
            priority: BATCH_PRIORITY,
            stream: false,
            ..Request::new(prompt)
        }
    }

    fn set(&mut self, setting: &Setting<'_>) -> Result<()> {
        match setting.name {
            "max_output_tokens" | "max_tokens" => self.max_output_tokens = whole(setting, 1, 1 << 20)? as usize,
            "temperature" => self.temperature = number(setting, 0.0, 2.0)?,
            "top_k" => self.top_k = whole(setting, 0, 1 << 20)? as usize,
            "top_p" => self.top_p = number(setting, 0.0, 1.0)?,
            "min_p" => self.min_p = number(setting, 0.0, 1.0)?,
            "repetition_penalty" => self.repetition_penalty = number(setting, 0.01, 2.0)?,
            "presence_penalty" => self.presence_penalty = number(setting, -2.0, 2.0)?,
            "frequency_penalty" => self.frequency_penalty = number(setting, -2.0, 2.0)?,
            "stop_sequences" | "stop" => self.stop_sequences = texts(setting)?,
            "seed" => self.seed = Some(whole(setting, 0, i64::MAX)?),
            "flatten_json_output" => self.flatten = flag(setting)?,
            "system_prompt" => self.system_prompt = Some(text(setting)?),
            "chat" => self.chat = flag(setting)?,
            "json_schema" => self.form(setting, Form::JsonSchema(json(setting)?))?,
            "regex" => self.form(setting, Form::Regex(text(setting)?))?,
            "choices" => self.form(setting, Form::Choices(texts(setting)?))?,
            "reorder_fields" => self.reorder_fields = flag(setting)?,
            other => return Err(Error::invalid(unknown("setting", other, GENERATION_SETTINGS)).at(setting.at)),
        }
        Ok(())
    }

    fn form(&mut self, setting: &Setting<'_>, form: Form) -> Result<()> {
        if self.form.replace(form).is_some() {
            let message = "json_schema, regex and choices each say what an answer looks like; give one of them";
            return Err(Error::invalid(message).at(setting.at));
        }
        Ok(())
    }
}

/// The task of ML.GENERATE_TEXT with these settings.
///
/// # Errors
/// Invalid: a value that the setting does not take, with its place.
pub(crate) fn generation<'a>(settings: impl Iterator<Item = Setting<'a>>) -> Result<Task> {
    let mut generation = Generation::default();
    for setting in settings {
        generation.set(&setting)?;
    }
    if generation.system_prompt.is_some() && !generation.chat {
        return Err(Error::invalid("a system_prompt belongs to a conversation; leave out FALSE AS chat"));
    }
    Ok(Task::Text(generation))
}

/// The task of ML.GENERATE_EMBEDDING with these settings.
///
/// # Errors
/// As [`generation`].
pub(crate) fn embedding<'a>(settings: impl Iterator<Item = Setting<'a>>) -> Result<Task> {
    for setting in settings {
        if !flag(&setting)? {
            let message = "ML.GENERATE_EMBEDDING gives columns, not JSON; leave out FALSE AS flatten_json_output";
            return Err(Error::invalid(message).at(setting.at));
        }
    }
    Ok(Task::Embedding)
}

fn wrong(setting: &Setting<'_>, what: &str) -> Error {
    Error::invalid(format!("'{}' is {what}, not {}", setting.name, setting.value)).at(setting.at)
}

fn whole(setting: &Setting<'_>, least: i64, most: i64) -> Result<u64> {
    match setting.value {
        OptionValue::Int(value) if (least..=most).contains(value) => Ok(value.unsigned_abs()),
        _ => Err(wrong(setting, &format!("a whole number from {least} to {most}"))),
    }
}

fn number(setting: &Setting<'_>, least: f64, most: f64) -> Result<f64> {
    let value = setting.value.as_f64().filter(|value| (least..=most).contains(value));
    value.ok_or_else(|| wrong(setting, &format!("a number from {least} to {most}")))
}

fn flag(setting: &Setting<'_>) -> Result<bool> {
    match setting.value {
        OptionValue::Bool(value) => Ok(*value),
        _ => Err(wrong(setting, "TRUE or FALSE")),
    }
}

fn text(setting: &Setting<'_>) -> Result<String> {
    let value = setting.value.as_str().filter(|value| !value.is_empty());
    value.map(str::to_owned).ok_or_else(|| wrong(setting, "a text"))
}

fn json(setting: &Setting<'_>) -> Result<String> {
    let value = text(setting)?;
    match serde_json::from_str::<serde_json::Value>(&value) {
        Ok(_) => Ok(value),
        Err(error) => Err(Error::invalid(format!("'{}' is no JSON: {error}", setting.name)).at(setting.at)),
    }
}

/// An array of texts; one text stands for itself.
fn texts(setting: &Setting<'_>) -> Result<Vec<String>> {
    let expected = || wrong(setting, "an array of texts such as ['a', 'b']");
    let values = match setting.value {
        OptionValue::Array(values) => values.iter().map(|value| value.as_str().map(str::to_owned)).collect(),
        value => value.as_str().map(|text| vec![text.to_owned()]),
    };
    let values: Vec<String> = values.ok_or_else(expected)?;
    if values.is_empty() || values.iter().any(String::is_empty) { Err(expected()) } else { Ok(values) }
}
