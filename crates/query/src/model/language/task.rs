//! What is asked of a model for each row, and the columns that come of it.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanBuilder, Float32Builder, Float64Builder, Int64Builder, ListBuilder, StringBuilder, StructArray,
};
use arrow::datatypes::{DataType, Field, FieldRef, Fields};
use lakemill_base::ErrorKind;
use lakemill_llm::Guidance;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::settings::Generation;
use crate::language::{Embedding, Kind};
use crate::{Error, Result};

/// What is asked for each row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Task {
    /// ML.GENERATE_TEXT
    Text(Generation),
    /// ML.GENERATE_EMBEDDING
    Embedding,
    /// AI.IF, whose column has this name.
    If { column: String },
    /// AI.CLASSIFY into one of these.
    Classify { column: String, categories: Vec<String> },
    /// AI.SCORE
    Score { column: String },
}

/// The answer to one prompt.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Answer {
    /// The text; `None` where there is none.
    pub(crate) text: Option<String>,
    /// Empty where all went well, else why there is no text.
    pub(crate) status: String,
    /// Why the text ended: `stop` or `length`.
    pub(crate) reason: String,
    /// Tokens of the prompt as the model saw it.
    pub(crate) prompt_tokens: u64,
    /// Tokens of the text.
    pub(crate) generated_tokens: u64,
}

/// The scores of AI.SCORE, lowest first.
const SCORES: std::ops::RangeInclusive<u32> = 0..=10;

/// Said of a row without a prompt.
pub(super) const NO_PROMPT: &str = "the prompt is NULL";

impl Task {
    /// What the relation or function is called.
    pub(crate) fn function(&self) -> &'static str {
        match self {
            Self::Text(_) => "ML.GENERATE_TEXT",
            Self::Embedding => "ML.GENERATE_EMBEDDING",
            Self::If { .. } => "AI.IF",
            Self::Classify { .. } => "AI.CLASSIFY",
            Self::Score { .. } => "AI.SCORE",
        }
    }

    /// The kind of model that it takes.
    pub(crate) fn kind(&self) -> Kind {
        if *self == Self::Embedding { Kind::Embedding } else { Kind::Language }
    }

    /// How answers are made.
    pub(crate) fn generation(&self) -> Generation {
        match self {
            Self::Text(generation) => generation.clone(),
            _ => Generation::short(),
        }
    }

    /// Whether the lines of a prompt that is a STRUCT may stand in another order.
    pub(crate) fn reorders_fields(&self) -> bool {
        matches!(self, Self::Text(generation) if generation.reorder_fields)
    }

    /// The columns that it adds.
    pub(crate) fn fields(&self) -> Vec<FieldRef> {
        let field = |name: &str, kind: DataType| Arc::new(Field::new(name, kind, true));
        match self {
            Self::Text(generation) if generation.flatten => vec![
                field("ml_generate_text_llm_result", DataType::Utf8),
                field("ml_generate_text_status", DataType::Utf8),
                field("ml_generate_text_usage", DataType::Struct(usage_fields())),
            ],
            Self::Text(_) => {
                vec![field("ml_generate_text_result", DataType::Utf8), field("ml_generate_text_status", DataType::Utf8)]
            }
            Self::Embedding => vec![
                field("ml_generate_embedding_result", DataType::List(element())),
                field("ml_generate_embedding_statistics", DataType::Struct(statistics_fields())),
                field("ml_generate_embedding_status", DataType::Utf8),
            ],
            Self::If { column } => vec![field(column, DataType::Boolean)],
            Self::Classify { column, .. } => vec![field(column, DataType::Utf8)],
            Self::Score { column } => vec![field(column, DataType::Float64)],
        }
    }

    /// The row's prompt as the model is asked.
    pub(super) fn instruct(&self, prompt: &str) -> String {
        match self {
            Self::Text(_) | Self::Embedding => prompt.to_owned(),
            Self::If { .. } => format!("{prompt}\n\nAnswer with yes or no."),
            Self::Classify { categories, .. } => {
                format!(
                    "Classify the text into one of these categories: {}.\n\nText: {prompt}\n\nCategory:",
                    categories.join(", ")
                )
            }
            Self::Score { .. } => {
                format!("{prompt}\n\nAnswer with a whole number from {} to {}.", SCORES.start(), SCORES.end())
            }
        }
    }

    /// What the answer must look like.
    pub(super) fn guidance(&self) -> Option<Guidance> {
        match self {
            Self::Text(generation) => generation.guidance(),
            Self::Embedding => None,
            Self::If { .. } => Some(Guidance::Choice(vec!["yes".to_owned(), "no".to_owned()])),
            Self::Classify { categories, .. } => Some(Guidance::Choice(categories.clone())),
            Self::Score { .. } => Some(Guidance::Choice(SCORES.map(|score| score.to_string()).collect())),
        }
    }

    /// The columns of answers.
    pub(super) fn columns(&self, answers: &[Arc<Answer>]) -> Result<Vec<ArrayRef>> {
        match self {
            Self::Text(generation) if generation.flatten => {
                Ok(vec![texts(answers.iter().map(|answer| answer.text.as_deref())), statuses(answers), usage(answers)])
            }
            Self::Text(_) => {
                let results: Vec<Option<String>> = answers.iter().map(|answer| answer.as_json()).collect();
                Ok(vec![texts(results.iter().map(Option::as_deref)), statuses(answers)])
            }
            Self::Embedding => Err(Error::internal("an encoder gives vectors, not answers")),
            Self::If { .. } => self.values(answers, BooleanBuilder::new(), |builder: &mut BooleanBuilder, text| {
                builder.append_option(text.map(|text| text == "yes"));
                Ok(())
            }),
            Self::Classify { .. } => self.values(answers, StringBuilder::new(), |builder: &mut StringBuilder, text| {
                builder.append_option(text);
                Ok(())
            }),
            Self::Score { .. } => self.values(answers, Float64Builder::new(), |builder: &mut Float64Builder, text| {
                let score = text.map(str::parse::<f64>).transpose();
                builder.append_option(score.map_err(|_| Error::internal("a score is no number"))?);
                Ok(())
            }),
        }
    }

    /// One column of values, for functions: they have no status to say that one failed.
    fn values<B: arrow::array::ArrayBuilder>(
        &self,
        answers: &[Arc<Answer>],
        mut builder: B,
        append: impl Fn(&mut B, Option<&str>) -> Result<()>,
    ) -> Result<Vec<ArrayRef>> {
        for answer in answers {
            if answer.text.is_none() && answer.status != NO_PROMPT {
                return Err(Error::new(ErrorKind::Invalid, format!("{}: {}", self.function(), answer.status)));
            }
            append(&mut builder, answer.text.as_deref())?;
        }
        Ok(vec![builder.finish()])
    }
}

impl Answer {
    /// A row without a text.
    pub(super) fn none(status: impl Into<String>) -> Self {
        Self { status: status.into(), ..Self::default() }
    }

    /// The answer in the shape that BigQuery gives of Gemini's.
    fn as_json(&self) -> Option<String> {
        let text = self.text.as_ref()?;
        let value = json!({
            "candidates": [{ "content": { "role": "model", "parts": [{ "text": text }] }, "finish_reason": self.reason }],
            "usage_metadata": {
                "prompt_token_count": self.prompt_tokens,
                "candidates_token_count": self.generated_tokens,
                "total_token_count": self.prompt_tokens + self.generated_tokens,
            },
        });
        Some(value.to_string())
    }
}

/// The columns of vectors; `Err` says why a row has none.
pub(super) fn embedding_columns(rows: &[Result<&Embedding, &str>]) -> Vec<ArrayRef> {
    let mut vectors = ListBuilder::new(Float32Builder::new()).with_field(element());
    let (mut tokens, mut truncated) = (Int64Builder::new(), BooleanBuilder::new());
    for row in rows {
        match row {
            Ok(embedding) => {
                vectors.values().append_slice(&embedding.values);
                vectors.append(true);
                tokens.append_value(count(embedding.tokens as u64));
                truncated.append_value(embedding.truncated);
            }
            Err(_) => {
                vectors.append(false);
                tokens.append_null();
                truncated.append_null();
            }
        }
    }
    let statistics: Vec<ArrayRef> = vec![Arc::new(tokens.finish()), Arc::new(truncated.finish())];
    vec![
        Arc::new(vectors.finish()),
        Arc::new(StructArray::new(statistics_fields(), statistics, None)),
        texts(rows.iter().map(|row| Some(row.as_ref().err().copied().unwrap_or_default()))),
    ]
}

fn element() -> FieldRef {
    Arc::new(Field::new("item", DataType::Float32, true))
}

fn statistics_fields() -> Fields {
    Fields::from(vec![
        Field::new("token_count", DataType::Int64, true),
        Field::new("truncated", DataType::Boolean, true),
    ])
}

fn usage_fields() -> Fields {
    Fields::from(vec![
        Field::new("prompt_token_count", DataType::Int64, true),
        Field::new("candidates_token_count", DataType::Int64, true),
    ])
}

fn usage(answers: &[Arc<Answer>]) -> ArrayRef {
    let column = |of: fn(&Answer) -> u64| -> ArrayRef {
        let mut builder = Int64Builder::new();
        answers.iter().for_each(|answer| builder.append_option(answer.text.is_some().then(|| count(of(answer)))));
        Arc::new(builder.finish())
    };
    let columns = vec![column(|answer| answer.prompt_tokens), column(|answer| answer.generated_tokens)];
    Arc::new(StructArray::new(usage_fields(), columns, None))
}

fn statuses(answers: &[Arc<Answer>]) -> ArrayRef {
    texts(answers.iter().map(|answer| Some(answer.status.as_str())))
}

fn texts<'a>(values: impl Iterator<Item = Option<&'a str>>) -> ArrayRef {
    let mut builder = StringBuilder::new();
    values.for_each(|value| builder.append_option(value));
    Arc::new(builder.finish())
}

fn count(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
