//! Chat templates: a conversation as the text that the model was trained on.
//!
//! A template is written in Jinja and comes with the model. It runs as Hugging Face's transformers run it: blocks
//! trimmed, `raise_exception`, `strftime_now`, `tojson` as Python writes it, Python's methods of strings and dicts,
//! `break` and `continue`. It cannot read files or the clock, and it cannot run for ever.

mod python;

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::path::Path;

use minijinja::{AutoEscape, Environment, Value, context};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

use crate::error::{Error, Result};
use crate::gguf::Gguf;
use crate::tokenizer::Tokenizer;
use crate::tokenizer::special::{read_json, token_text};

/// The most bytes of a template: the longest published ones have 30,000.
const TEMPLATE_BYTES_MAX: usize = 1 << 20;
/// The most steps of a run, which takes less than a second: a conversation of 1,000 messages needs about 100,000.
const STEPS_MAX: u64 = 10_000_000;
/// The most bytes of a prompt: more than any model's context.
const PROMPT_BYTES_MAX: usize = 64 << 20;
/// How deep a template's parts may stand in one another.
const DEPTH_MAX: usize = 100;
const DEFAULT: &str = "default";
const TOOL_USE: &str = "tool_use";

/// One message of a conversation, in the shape of OpenAI's API.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// Who speaks: `system`, `user`, `assistant`, `tool`.
    pub role: String,
    /// What was said; nothing beside a call of a tool.
    #[serde(default)]
    pub content: Option<String>,
    /// All else that a template may ask for: `name`, `tool_calls`, `tool_call_id`, `reasoning_content`.
    #[serde(flatten)]
    pub extra: Map<String, Json>,
}

impl Message {
    /// A message of text alone.
    pub fn new(role: impl Into<String>, content: impl Into<String>) -> Self {
        Self { role: role.into(), content: Some(content.into()), extra: Map::new() }
    }
}

/// What a prompt is made of.
#[derive(Clone, Copy, Debug, Default)]
pub struct Conversation<'a> {
    /// The messages, oldest first.
    pub messages: &'a [Message],
    /// The tools that the model may call: a list of OpenAI's descriptions.
    pub tools: Option<&'a Json>,
    /// Whether the prompt ends with the beginning of the assistant's turn.
    pub add_generation_prompt: bool,
    /// The time for `strftime_now`, in milliseconds since the Unix epoch; the function is unknown without it.
    pub now_ms: Option<i64>,
    /// Further variables of the template (`enable_thinking`).
    pub variables: Option<&'a Map<String, Json>>,
}

/// A model's chat template.
#[derive(Debug)]
pub struct ChatTemplate {
    environment: Environment<'static>,
    /// The source of each template by its name.
    sources: BTreeMap<String, String>,
    /// The texts of special tokens (`bos_token`), which templates put into the prompt.
    tokens: BTreeMap<String, String>,
}

impl ChatTemplate {
    /// The template `source` with the texts of its special tokens, by the names that templates use (`bos_token`).
    pub fn new(source: &str, tokens: impl IntoIterator<Item = (String, String)>) -> Result<Self> {
        Self::of(BTreeMap::from([(DEFAULT.to_owned(), source.to_owned())]), tokens.into_iter().collect())
    }

    /// The template that a GGUF file carries.
    pub fn from_gguf(file: &Gguf) -> Result<Option<Self>> {
        let mut sources = BTreeMap::new();
        for (name, key) in [(DEFAULT, "tokenizer.chat_template"), (TOOL_USE, "tokenizer.chat_template.tool_use")] {
            if let Some(source) = file.text(key)? {
                sources.insert(name.to_owned(), source.to_owned());
            }
        }
        if !sources.contains_key(DEFAULT) {
            return Ok(None);
        }
        let texts = file.texts("tokenizer.ggml.tokens")?.unwrap_or_default();
        let mut tokens = BTreeMap::new();
        for (name, key) in
            [("bos_token", "bos"), ("eos_token", "eos"), ("pad_token", "padding"), ("unk_token", "unknown")]
        {
            let id = file.integer(&format!("tokenizer.ggml.{key}_token_id"))?.and_then(|id| usize::try_from(id).ok());
            if let Some(text) = id.and_then(|id| texts.get(id)) {
                tokens.insert(name.to_owned(), (*text).to_owned());
            }
        }
        Self::of(sources, tokens).map(Some)
    }

    /// The template of a model's `folder`: chat_template.jinja, or what tokenizer_config.json says.
    pub fn from_folder(folder: &Path) -> Result<Option<Self>> {
        let config = read_json(&folder.join("tokenizer_config.json"))?.unwrap_or_default();
        let mut sources = BTreeMap::new();
        match config.get("chat_template") {
            Some(Json::String(source)) => _ = sources.insert(DEFAULT.to_owned(), source.clone()),
            Some(Json::Array(named)) => {
                for one in named {
                    if let (Some(name), Some(source)) = (one["name"].as_str(), one["template"].as_str()) {
                        sources.insert(name.to_owned(), source.to_owned());
                    }
                }
            }
            _ => {}
        }
        let path = folder.join("chat_template.jinja");
        match std::fs::read_to_string(&path) {
            Ok(source) => _ = sources.insert(DEFAULT.to_owned(), source),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(Error::io("cannot read", &path, error)),
        }
        if !sources.contains_key(DEFAULT) {
            return Ok(None);
        }
        let tokens = ["bos_token", "eos_token", "pad_token", "unk_token"].into_iter();
        let tokens = tokens.filter_map(|name| Some((name.to_owned(), token_text(config.get(name)?)?)));
        Self::of(sources, tokens.collect()).map(Some)
    }

    /// The prompt as text, exactly as transformers would render it. Where strangers write the messages, use
    /// [`Self::prompt`]: in text alone, their special tokens cannot be told from the template's.
    pub fn render(&self, messages: &[Message], tools: Option<&Json>, add_generation_prompt: bool) -> Result<String> {
        self.render_conversation(&Conversation { messages, tools, add_generation_prompt, ..Conversation::default() })
    }

    /// As [`Self::render`], with all that a template can be given.
    pub fn render_conversation(&self, conversation: &Conversation<'_>) -> Result<String> {
        self.run(conversation, str::to_owned)
    }

    /// The prompt's token ids. Special tokens of the template are those tokens; in the messages and the tools they
    /// are ordinary text, so that nobody can end a turn or begin another from inside a message.
    pub fn prompt(&self, tokenizer: &Tokenizer, conversation: &Conversation<'_>) -> Result<Vec<u32>> {
        let text = self.run(conversation, |text| tokenizer.guard(text))?;
        tokenizer.encode_guarded(&text)
    }

    /// The source of the template.
    pub fn source(&self) -> &str {
        self.sources.get(DEFAULT).map_or("", String::as_str)
    }

    fn of(sources: BTreeMap<String, String>, tokens: BTreeMap<String, String>) -> Result<Self> {
        let mut environment = Environment::new();
        environment.set_trim_blocks(true);
        environment.set_lstrip_blocks(true);
        environment.set_auto_escape_callback(|_| AutoEscape::None);
        environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.set_fuel(Some(STEPS_MAX));
        environment.set_recursion_limit(DEPTH_MAX);
        environment.add_filter("tojson", python::to_json);
        environment.add_function("raise_exception", python::raise_exception);
        for (name, source) in &sources {
            if source.len() > TEMPLATE_BYTES_MAX {
                return Err(Error::data(format!(
                    "the chat template has {} bytes; at most {TEMPLATE_BYTES_MAX} can be read",
                    source.len()
                )));
            }
            let source = python::without_generation_tags(source);
            without_panic(|| environment.add_template_owned(name.clone(), source))?.map_err(|error| {
                Error::data(format!("the chat template is malformed{}: {}", line(&error), describe(&error)))
            })?;
        }
        Ok(Self { environment, sources, tokens })
    }

    fn run(&self, conversation: &Conversation<'_>, text: impl Fn(&str) -> String) -> Result<String> {
        let name = if conversation.tools.is_some() && self.sources.contains_key(TOOL_USE) { TOOL_USE } else { DEFAULT };
        let template = self.environment.get_template(name).map_err(|error| Error::internal(error.to_string()))?;
        let variables = self.variables(conversation, text)?;
        let mut out = Bounded(Vec::new());
        without_panic(|| template.render_captured_to(variables, &mut out).map(|_| ()))?
            .map_err(|error| refused(&error))?;
        String::from_utf8(out.0).map_err(|_| Error::internal("a chat template wrote what is no UTF-8"))
    }

    fn variables(&self, conversation: &Conversation<'_>, text: impl Fn(&str) -> String) -> Result<Value> {
        let mut messages =
            serde_json::to_value(conversation.messages).map_err(|error| Error::invalid(error.to_string()))?;
        messages.as_array_mut().into_iter().flatten().for_each(parse_arguments);
        map_texts(&mut messages, &text);
        let mut tools = conversation.tools.cloned().unwrap_or(Json::Null);
        map_texts(&mut tools, &text);
        let mut variables: BTreeMap<String, Value> = BTreeMap::new();
        for (name, value) in conversation.variables.into_iter().flatten() {
            variables.insert(name.clone(), Value::from_serialize(value));
        }
        for (name, token) in &self.tokens {
            variables.insert(name.clone(), Value::from(token.as_str()));
        }
        if let Some(now_ms) = conversation.now_ms {
            variables.insert("strftime_now".to_owned(), python::strftime_now(now_ms));
        }
        let fixed = context! {
            messages => Value::from_serialize(&messages),
            tools => Value::from_serialize(&tools),
            documents => Value::from(()),
            add_generation_prompt => conversation.add_generation_prompt,
        };
        Ok(context! { ..fixed, ..Value::from(variables) })
    }
}

/// Runs the template library, which panics where it should not (minijinja 2.24 when an empty list is reversed): a
/// template that comes with a model must not stop the process. What the closure leaves half done is dropped.
fn without_panic<T>(run: impl FnOnce() -> T) -> Result<T> {
    std::panic::catch_unwind(AssertUnwindSafe(run))
        .map_err(|_| Error::data("the model's chat template failed: it asks for what the template engine cannot do"))
}

/// OpenAI's API writes the arguments of a call as JSON in a text; templates expect them as an object.
fn parse_arguments(message: &mut Json) {
    for call in message.get_mut("tool_calls").and_then(Json::as_array_mut).into_iter().flatten() {
        let Some(arguments) = call.pointer_mut("/function/arguments") else { continue };
        let parsed = arguments.as_str().and_then(|text| serde_json::from_str::<Json>(text).ok());
        if let Some(parsed) = parsed.filter(Json::is_object) {
            *arguments = parsed;
        }
    }
}

/// Puts every text of `value`, the names of fields included, through `text`.
fn map_texts(value: &mut Json, text: &impl Fn(&str) -> String) {
    match value {
        Json::String(string) => *string = text(string),
        Json::Array(values) => values.iter_mut().for_each(|value| map_texts(value, text)),
        Json::Object(fields) => {
            let mapped = std::mem::take(fields).into_iter().map(|(name, mut value)| {
                map_texts(&mut value, text);
                (text(&name), value)
            });
            *fields = mapped.collect();
        }
        _ => {}
    }
}

/// The error of a run: the conversation's, where the template itself refused it.
fn refused(error: &minijinja::Error) -> Error {
    if let Some(message) = python::raised(error) {
        return Error::invalid(format!("the model's chat template refuses the conversation: {message}"));
    }
    if error.kind() == minijinja::ErrorKind::OutOfFuel {
        return Error::exhausted(format!("the model's chat template did not end within {STEPS_MAX} steps"));
    }
    if error.kind() == minijinja::ErrorKind::WriteFailure {
        return Error::exhausted(format!("the model's chat template wrote more than {PROMPT_BYTES_MAX} bytes"));
    }
    Error::data(format!("the model's chat template failed{}: {}", line(error), describe(error)))
}

fn line(error: &minijinja::Error) -> String {
    error.line().map(|line| format!(" at line {line}")).unwrap_or_default()
}

fn describe(error: &minijinja::Error) -> String {
    error.detail().map_or_else(|| error.kind().to_string(), str::to_owned)
}

/// Takes at most [`PROMPT_BYTES_MAX`].
struct Bounded(Vec<u8>);

impl std::io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.0.len() + bytes.len() > PROMPT_BYTES_MAX {
            return Err(std::io::Error::other("the prompt is too long"));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
