//! `POST /v1/completions`: texts or tokens in, what follows them out.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use lakemill_llm::{Completion, Event, FinishReason, Request, Stream, TokenLogProbability, Usage};
use lakemill_model::tokenizer::Tokenizer;
use lakemill_query::language::Generator;
use serde_json::{Value, json};

use super::super::Api;
use super::super::caller::Caller;
use super::answer::{Columns, Head, add, finish_reason, usage};
use super::models::{self, Opened};
use super::parameters::{Parameters, wrong};
use super::problem::{Refusal, Result};
use super::running::{Parts, Running, send};
use super::sampling::{Wish, token_ids};

/// Prompts of one request: each takes a place in the engine's queue.
const PROMPTS_MAX: usize = 256;

/// Tokens of an answer unless told otherwise; OpenAI's number.
const TOKENS_DEFAULT: usize = 16;

/// What is to be continued.
#[derive(Clone, Debug, PartialEq)]
enum Prompt {
    Text(String),
    Tokens(Vec<u32>),
}

/// What a request asks for.
#[derive(Debug)]
struct Asked {
    prompts: Vec<Prompt>,
    echo: bool,
    log_probabilities: Option<usize>,
    wish: Wish,
}

impl Asked {
    fn take(parameters: &mut Parameters) -> Result<Self> {
        let prompts = prompts(parameters.take("prompt"))?;
        let mut wish = Wish::take(parameters)?;
        wish.max_tokens.get_or_insert(TOKENS_DEFAULT);
        let best_of = parameters.count("best_of", 1..=Request::N_MAX)?;
        if best_of.is_some_and(|best_of| best_of != wish.n) {
            let message =
                "'best_of' is not supported beyond 'n': ask for 'n' answers and choose by their log-probabilities";
            return Err(Refusal::unsupported("best_of", message));
        }
        Ok(Self {
            prompts,
            echo: parameters.flag("echo")?.unwrap_or(false),
            log_probabilities: parameters.count("logprobs", 0..=Request::LOG_PROBABILITIES_MAX)?,
            wish,
        })
    }

    /// Gives the engine a request for each prompt.
    fn start(self, generator: &Generator, cache_scope: u64) -> Result<(Vec<Stream>, Shape)> {
        let tokenizer = Arc::clone(generator.tokenizer());
        let nothing = self.wish.max_tokens == Some(0);
        let (mut streams, mut echoes) = (Vec::new(), Vec::new());
        for prompt in self.prompts {
            let (text, tokens) = match prompt {
                Prompt::Text(text) => {
                    let tokens = models::tokens(generator, &text)?;
                    (self.echo.then_some(text), tokens)
                }
                Prompt::Tokens(tokens) => {
                    let text = self.echo.then(|| models::text(generator, &tokens)).transpose()?;
                    (text, tokens)
                }
            };
            let mut request = self.wish.request(tokens, cache_scope);
            if nothing {
                // The engine makes one at least, which is left out.
                (request.max_tokens, request.n) = (Some(1), 1);
            }
            request.log_probabilities = self.log_probabilities;
            request.prompt_log_probabilities = self.log_probabilities.filter(|_| self.echo);
            let first = request.prompt.first().copied();
            streams.push(models::start(generator, request)?);
            echoes.push(Echo { text, first: first.filter(|_| self.echo && self.log_probabilities.is_some()) });
        }
        let n = if nothing { 1 } else { self.wish.n };
        let log_probabilities = self.log_probabilities.is_some();
        Ok((
            streams,
            Shape { n, nothing, log_probabilities, echoes, tokenizer, include_usage: self.wish.include_usage },
        ))
    }
}

/// A text, several, tokens, or several lists of them.
fn prompts(prompt: Option<Value>) -> Result<Vec<Prompt>> {
    const RIGHT: &str = "a string, a list of strings, a list of token ids or a list of such lists";
    let values = match prompt {
        None => return Err(Refusal::parameter("prompt", "'prompt' is missing")),
        Some(Value::String(text)) => return Ok(vec![Prompt::Text(text)]),
        Some(Value::Array(values)) => values,
        Some(other) => return Err(wrong("prompt", &other, RIGHT)),
    };
    if values.first().is_some_and(Value::is_number) {
        let values = Value::Array(values);
        let tokens = token_ids(&values).ok_or_else(|| wrong("prompt", &values, RIGHT))?;
        return Ok(vec![Prompt::Tokens(tokens)]);
    }
    if values.is_empty() || values.len() > PROMPTS_MAX {
        let message = format!("'prompt' has {} prompts; a request has from 1 to {PROMPTS_MAX}", values.len());
        return Err(Refusal::parameter("prompt", message));
    }
    let prompt = |value: Value| match value {
        Value::String(text) => Ok(Prompt::Text(text)),
        other => token_ids(&other).map(Prompt::Tokens).ok_or_else(|| wrong("prompt", &other, RIGHT)),
    };
    values.into_iter().map(prompt).collect()
}

/// `POST /v1/completions`
pub(in super::super) async fn create(
    State(shared): Api,
    Extension(caller): Extension<Caller>,
    body: std::result::Result<Bytes, BytesRejection>,
) -> Result<Response> {
    let Opened { mut parameters, model, scope } = models::open(&shared, &caller, body)?;
    let asked = Asked::take(&mut parameters)?;
    parameters.finish()?;
    let generator = models::generator(&shared, caller, &model).await?;
    let (engine, streamed) = (Arc::clone(&generator), asked.wish.stream);
    let (streams, shape) = models::prepare(&shared, move || asked.start(&engine, scope)).await?;
    let running = Running::new(streams, shared.engine.halted());
    let head = Head::new("cmpl", "text_completion", models::now_ms(&shared), &model);
    if streamed {
        let parts = CompletionParts::new(head, shape, generator);
        return Ok(send(running, parts));
    }
    let completions = running.collect().await?;
    let (mut sum, mut choices) = (Usage::default(), Vec::new());
    for (index, completion) in completions.into_iter().enumerate() {
        add(&mut sum, &completion.usage);
        choices.extend(shape.choices(index, completion));
    }
    if shape.nothing {
        sum.generated_tokens = 0;
    }
    Ok(Json(head.body(choices, Some(usage(&sum)))).into_response())
}

/// What choices are made with.
#[derive(Debug)]
struct Shape {
    n: usize,
    /// No token is asked for.
    nothing: bool,
    log_probabilities: bool,
    echoes: Vec<Echo>,
    tokenizer: Arc<Tokenizer>,
    include_usage: bool,
}

/// What goes before an answer.
#[derive(Debug)]
struct Echo {
    /// The prompt, where it is repeated.
    text: Option<String>,
    /// Its first token, where its log-probabilities are told.
    first: Option<u32>,
}

impl Shape {
    fn choices(&self, request: usize, completion: Completion) -> Vec<Value> {
        let prompt = &completion.prompt_log_probabilities;
        let choice = |(index, choice): (usize, lakemill_llm::Choice)| {
            let (mut columns, mut offset) = (Columns::default(), 0);
            self.prompt_columns(request, prompt, &mut columns, &mut offset);
            let mut text = self.echoes[request].text.clone().unwrap_or_default();
            let mut reason = choice.reason.map(finish_reason);
            if self.nothing {
                reason = Some(finish_reason(FinishReason::Length));
            } else {
                text.push_str(&choice.text);
                columns.extend(&self.tokenizer, &choice.log_probabilities, &mut offset);
            }
            json!({
                "index": request * self.n + index,
                "text": text,
                "logprobs": if self.log_probabilities { columns.json() } else { Value::Null },
                "finish_reason": reason,
            })
        };
        completion.choices.into_iter().enumerate().map(choice).collect()
    }

    fn prompt_columns(
        &self,
        request: usize,
        prompt: &[TokenLogProbability],
        columns: &mut Columns,
        offset: &mut usize,
    ) {
        if let Some(first) = self.echoes[request].first {
            columns.first(&self.tokenizer, first, offset);
            columns.extend(&self.tokenizer, prompt, offset);
        }
    }
}

/// The parts of a stream.
#[derive(Debug)]
struct CompletionParts {
    head: Head,
    shape: Shape,
    /// Characters of each choice that were sent.
    offsets: Vec<usize>,
    used: Usage,
    _generator: Arc<Generator>,
}

impl CompletionParts {
    fn new(head: Head, shape: Shape, generator: Arc<Generator>) -> Self {
        let offsets = vec![0; shape.n * shape.echoes.len()];
        Self { head, shape, offsets, used: Usage::default(), _generator: generator }
    }

    fn part(&self, index: usize, text: &str, log_probabilities: Value, reason: Option<&str>) -> Value {
        let choice = json!({ "index": index, "text": text, "logprobs": log_probabilities, "finish_reason": reason });
        self.head.body(vec![choice], self.shape.include_usage.then_some(Value::Null))
    }

    /// The prompt of a request, before each of its choices.
    fn echo(&mut self, request: usize, prompt: &[TokenLogProbability]) -> Vec<Value> {
        let Some(text) = self.shape.echoes[request].text.clone() else { return Vec::new() };
        let mut parts = Vec::new();
        for index in request * self.shape.n..(request + 1) * self.shape.n {
            let mut columns = Columns::default();
            self.shape.prompt_columns(request, prompt, &mut columns, &mut self.offsets[index]);
            let columns = if self.shape.log_probabilities { columns.json() } else { Value::Null };
            parts.push(self.part(index, &text, columns, None));
        }
        parts
    }
}

impl Parts for CompletionParts {
    fn begin(&mut self) -> Vec<Value> {
        // With log-probabilities, prompts are told when theirs are known.
        let known = (0..self.shape.echoes.len()).filter(|request| self.shape.echoes[*request].first.is_none());
        known.collect::<Vec<_>>().into_iter().flat_map(|request| self.echo(request, &[])).collect()
    }

    fn event(&mut self, request: usize, event: Event) -> Vec<Value> {
        match event {
            Event::Prompt { log_probabilities, .. } => self.echo(request, &log_probabilities),
            Event::Tokens { .. } if self.shape.nothing => Vec::new(),
            Event::Tokens { choice, text, log_probabilities, .. } => {
                if text.is_empty() && log_probabilities.is_empty() {
                    return Vec::new();
                }
                let index = request * self.shape.n + choice;
                let columns = match log_probabilities.as_slice() {
                    [] => Value::Null,
                    tokens => {
                        let mut columns = Columns::default();
                        columns.extend(&self.shape.tokenizer, tokens, &mut self.offsets[index]);
                        columns.json()
                    }
                };
                vec![self.part(index, &text, columns, None)]
            }
            Event::Finished { choice, reason, .. } => {
                let reason = if self.shape.nothing { FinishReason::Length } else { reason };
                vec![self.part(request * self.shape.n + choice, "", Value::Null, Some(finish_reason(reason)))]
            }
            Event::Completed { usage, .. } => {
                add(&mut self.used, &usage);
                Vec::new()
            }
            Event::Failed { .. } => Vec::new(),
        }
    }

    fn end(&mut self) -> Vec<Value> {
        if self.shape.nothing {
            self.used.generated_tokens = 0;
        }
        let usage = self.shape.include_usage.then(|| self.head.body(Vec::new(), Some(usage(&self.used))));
        usage.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Prompt, prompts};

    #[test]
    fn prompts_come_in_four_forms() {
        let text = |text: &str| Prompt::Text(text.to_owned());
        assert_eq!(prompts(Some(json!("a"))).unwrap(), [text("a")]);
        assert_eq!(prompts(Some(json!(["a", "b"]))).unwrap(), [text("a"), text("b")]);
        assert_eq!(prompts(Some(json!([1, 2]))).unwrap(), [Prompt::Tokens(vec![1, 2])]);
        assert_eq!(prompts(Some(json!([[1], [2, 3]]))).unwrap(), [Prompt::Tokens(vec![1]), Prompt::Tokens(vec![2, 3])]);
        for wrong in
            [json!([]), json!({}), json!([1, "a"]), json!([-1]), json!([1.5]), json!(vec!["a"; 257]), json!([null])]
        {
            assert!(prompts(Some(wrong.clone())).is_err(), "{wrong}");
        }
        assert!(prompts(None).is_err());
    }
}
