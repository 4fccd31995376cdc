//! `POST /v1/chat/completions`: a conversation in, its next turn out.
//!
//! The model's own chat template writes the conversation as text. Marks of the template's are special tokens; the same
//! characters in a message are not, so that no message can end its turn and begin another's.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use lakemill_llm::{Choice, Event, Request, Usage};
use lakemill_model::chat::{Conversation, Message};
use lakemill_model::tokenizer::Tokenizer;
use lakemill_query::language::Generator;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::super::Api;
use super::super::caller::Caller;
use super::answer::{Head, add, chat_log_probabilities, finish_reason, usage};
use super::models::{self, Opened};
use super::parameters::{Parameters, wrong};
use super::problem::{Refusal, Result};
use super::prompt;
use super::running::{Parts, Running, send};
use super::sampling::Wish;
use super::tools::{Call, Form, Reader, Tools};

/// What a request asks for.
#[derive(Debug)]
struct Asked {
    messages: Vec<Message>,
    tools: Option<Tools>,
    wish: Wish,
    /// The most probable tokens to tell beside each token.
    log_probabilities: Option<usize>,
    /// Further variables of the chat template.
    variables: Option<Map<String, Value>>,
}

impl Asked {
    fn take(parameters: &mut Parameters) -> Result<Self> {
        let messages = prompt::read(parameters.take("messages"))?;
        let tools = Tools::take(parameters)?;
        let wish = Wish::take(parameters)?;
        if wish.max_tokens == Some(0) {
            return Err(Refusal::parameter("max_tokens", "'max_tokens' is 0; an answer has at least 1"));
        }
        let wanted = parameters.flag("logprobs")?.unwrap_or(false);
        let top = parameters.count("top_logprobs", 0..=Request::LOG_PROBABILITIES_MAX)?;
        if top.is_some_and(|top| top > 0) && !wanted {
            return Err(Refusal::parameter("top_logprobs", "'top_logprobs' goes with 'logprobs': true"));
        }
        let variables = match parameters.take("chat_template_kwargs") {
            None => None,
            Some(Value::Object(variables)) => Some(variables),
            Some(other) => return Err(wrong("chat_template_kwargs", &other, "an object")),
        };
        Ok(Self { messages, tools, wish, log_probabilities: wanted.then(|| top.unwrap_or(0)), variables })
    }

    /// The request to the engine, and how calls look in its answer.
    fn request(
        mut self,
        generator: &Generator,
        cache_scope: u64,
        now_ms: i64,
    ) -> Result<(Request, Option<Form>, Wish)> {
        let template = generator.chat_template().ok_or_else(|| no_template(generator))?;
        let form = self.tools.as_ref().map(|_| Form::of_template(template.source()));
        if let (Some(tools), Some(form)) = (&self.tools, form) {
            self.wish.guidance = Some(tools.guidance(form, self.wish.guidance.as_ref())?);
        }
        let (messages, tools) = match template.source().contains("tools") {
            true => (self.messages, self.tools.as_ref().map(|tools| &tools.sent)),
            false => (prompt::taught(self.messages, self.tools.as_ref()), None),
        };
        let said = Conversation {
            messages: &messages,
            tools,
            add_generation_prompt: true,
            now_ms: Some(now_ms),
            variables: self.variables.as_ref(),
        };
        let tokens = models::conversation(generator, template, &said)?;
        let mut request = self.wish.request(tokens, cache_scope);
        request.log_probabilities = self.log_probabilities;
        Ok((request, form, self.wish))
    }
}

fn no_template(generator: &Generator) -> Refusal {
    let name = &generator.info().name;
    Refusal::parameter(
        "model",
        format!(
            "model '{name}' has no chat template: its files do not say how a conversation is written; use /v1/completions"
        ),
    )
}

/// `POST /v1/chat/completions`
pub(in super::super) async fn create(
    State(shared): Api,
    Extension(caller): Extension<Caller>,
    body: std::result::Result<Bytes, BytesRejection>,
) -> Result<Response> {
    let Opened { mut parameters, model, scope } = models::open(&shared, &caller, body)?;
    let asked = Asked::take(&mut parameters)?;
    parameters.finish()?;
    let generator = models::generator(&shared, caller, &model).await?;
    let (engine, now_ms) = (Arc::clone(&generator), models::now_ms(&shared));
    let (stream, form, wish) = models::prepare(&shared, move || {
        let (request, form, wish) = asked.request(&engine, scope, now_ms)?;
        Ok((models::start(&engine, request)?, form, wish))
    })
    .await?;
    let running = Running::new(vec![stream], shared.engine.halted());
    let object = if wish.stream { "chat.completion.chunk" } else { "chat.completion" };
    let head = Head::new("chatcmpl", object, now_ms, &model);
    let answer = Answer { head, form, tokenizer: Arc::clone(generator.tokenizer()), _generator: generator };
    if wish.stream {
        return Ok(send(running, answer.parts(wish.n, wish.include_usage)));
    }
    let completions = running.collect().await?;
    let mut sum = Usage::default();
    let mut choices = Vec::new();
    for completion in completions {
        add(&mut sum, &completion.usage);
        choices.extend(completion.choices.into_iter().enumerate().map(|choice| answer.choice(choice)));
    }
    Ok(Json(answer.head.body(choices, Some(usage(&sum)))).into_response())
}

/// What answers are made with.
#[derive(Debug)]
struct Answer {
    head: Head,
    form: Option<Form>,
    tokenizer: Arc<Tokenizer>,
    /// Keeps the model from being unloaded while it answers.
    _generator: Arc<Generator>,
}

impl Answer {
    fn choice(&self, (index, choice): (usize, Choice)) -> Value {
        let (text, call) = self.told_apart(choice.text);
        let reason = match (&call, choice.reason) {
            (Some(_), _) => Some("tool_calls"),
            (None, reason) => reason.map(finish_reason),
        };
        let mut message = json!({ "role": "assistant", "content": text, "refusal": null });
        if let Some(call) = call {
            message["tool_calls"] = json!([call_object(&call)]);
            if message["content"] == "" {
                message["content"] = Value::Null;
            }
        }
        json!({
            "index": index,
            "message": message,
            "logprobs": self.log_probabilities(&choice.log_probabilities),
            "finish_reason": reason,
        })
    }

    /// The text of an answer, and the call in it.
    fn told_apart(&self, text: String) -> (String, Option<Call>) {
        let Some(form) = self.form else { return (text, None) };
        let mut reader = Reader::new(form);
        let mut before = reader.push(&text);
        match reader.finish() {
            Ok(call) => (before.trim_end().to_owned(), Some(call)),
            Err(rest) => {
                before.push_str(&rest);
                (before, None)
            }
        }
    }

    fn log_probabilities(&self, tokens: &[lakemill_llm::TokenLogProbability]) -> Value {
        match tokens {
            [] => Value::Null,
            tokens => json!({ "content": chat_log_probabilities(&self.tokenizer, tokens), "refusal": null }),
        }
    }

    fn parts(self, n: usize, include_usage: bool) -> ChatParts {
        let readers = (0..n).map(|_| self.form.map(Reader::new)).collect();
        ChatParts { answer: self, readers, include_usage, used: Usage::default() }
    }
}

fn call_object(call: &Call) -> Value {
    json!({
        "id": format!("call_{}", Uuid::now_v7().simple()),
        "type": "function",
        "function": { "name": call.name, "arguments": call.arguments },
    })
}

/// The parts of a stream.
#[derive(Debug)]
struct ChatParts {
    answer: Answer,
    /// For each choice, what tells calls from text.
    readers: Vec<Option<Reader>>,
    include_usage: bool,
    used: Usage,
}

impl ChatParts {
    fn part(&self, choice: usize, delta: Value, log_probabilities: Value, reason: Option<&str>) -> Value {
        let choice = json!({ "index": choice, "delta": delta, "logprobs": log_probabilities, "finish_reason": reason });
        self.answer.head.body(vec![choice], self.include_usage.then_some(Value::Null))
    }

    fn finished(&mut self, choice: usize, reason: &str) -> Vec<Value> {
        let mut parts = Vec::new();
        let mut reason = reason;
        match self.readers.get_mut(choice).and_then(Option::take).map(Reader::finish) {
            Some(Ok(call)) => {
                let mut object = call_object(&call);
                object["index"] = 0.into();
                parts.push(self.part(choice, json!({ "tool_calls": [object] }), Value::Null, None));
                reason = "tool_calls";
            }
            Some(Err(rest)) if !rest.is_empty() => {
                parts.push(self.part(choice, json!({ "content": rest }), Value::Null, None));
            }
            Some(Err(_)) | None => {}
        }
        parts.push(self.part(choice, json!({}), Value::Null, Some(reason)));
        parts
    }
}

impl Parts for ChatParts {
    fn begin(&mut self) -> Vec<Value> {
        let first = |choice| self.part(choice, json!({ "role": "assistant", "content": "" }), Value::Null, None);
        (0..self.readers.len()).map(first).collect()
    }

    fn event(&mut self, _request: usize, event: Event) -> Vec<Value> {
        match event {
            Event::Tokens { choice, text, log_probabilities, .. } => {
                let text = match self.readers.get_mut(choice).and_then(Option::as_mut) {
                    Some(reader) => reader.push(&text),
                    None => text,
                };
                if text.is_empty() && log_probabilities.is_empty() {
                    return Vec::new();
                }
                let log_probabilities = self.answer.log_probabilities(&log_probabilities);
                vec![self.part(choice, json!({ "content": text }), log_probabilities, None)]
            }
            Event::Finished { choice, reason, .. } => self.finished(choice, finish_reason(reason)),
            Event::Completed { usage, .. } => {
                add(&mut self.used, &usage);
                Vec::new()
            }
            Event::Prompt { .. } | Event::Failed { .. } => Vec::new(),
        }
    }

    fn end(&mut self) -> Vec<Value> {
        let usage = self.include_usage.then(|| self.answer.head.body(Vec::new(), Some(usage(&self.used))));
        usage.into_iter().collect()
    }
}
