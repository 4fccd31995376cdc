//! Functions that a model may call: which, how they are told to it, and how its calls are read.
//!
//! A call is decoded under a grammar, so that its name is one of the functions' and its arguments fit their schema. Where
//! the model's chat template knows functions, calls look as the template teaches; elsewhere a system message teaches them
//! in the form of the Hermes models: `<tool_call>{"name": .., "arguments": {..}}</tool_call>`.

use lakemill_llm::Guidance;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::parameters::{Parameters, wrong};
use super::problem::{Refusal, Result};

/// Functions of one request; OpenAI's limit.
const TOOLS_MAX: usize = 128;

/// The longest name of a function; OpenAI's limit.
const NAME_BYTES_MAX: usize = 64;

const OPEN: &str = "<tool_call>";
const CLOSE: &str = "</tool_call>";

/// What a request says of functions.
#[derive(Clone, Debug)]
pub(super) struct Tools {
    /// As they were sent, for the chat template.
    pub(super) sent: Value,
    functions: Vec<Function>,
    choice: Choice,
}

#[derive(Clone, Debug)]
struct Function {
    name: String,
    parameters: Value,
}

/// Whether a function is called.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Choice {
    /// As the model likes.
    Auto,
    /// One of them.
    Required,
    /// This one.
    Named(String),
}

/// How calls look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Between marks, after any text.
    Marked,
    /// An object that is the whole answer; what it calls the arguments.
    Bare { arguments: &'static str },
}

impl Form {
    /// The form that a chat template teaches, by its text; marked where it knows no functions.
    pub(super) fn of_template(template: &str) -> Self {
        let knows = |word: &str| template.contains(word);
        if !knows("tools") || knows(OPEN) {
            Self::Marked
        } else if knows("\"parameters\": dictionary") {
            // Llama 3.1 and later.
            Self::Bare { arguments: "parameters" }
        } else {
            Self::Bare { arguments: "arguments" }
        }
    }

    const fn arguments(self) -> &'static str {
        match self {
            Self::Marked => "arguments",
            Self::Bare { arguments } => arguments,
        }
    }
}

/// What a model has called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) name: String,
    /// JSON, as the model has written it.
    pub(super) arguments: String,
}

impl Tools {
    /// `tools` and `tool_choice`; `None`: there are none, or none may be called.
    ///
    /// # Errors
    /// Names what is wrong.
    pub(super) fn take(parameters: &mut Parameters) -> Result<Option<Self>> {
        let (sent, choice) = (parameters.take("tools"), parameters.take("tool_choice"));
        let functions = match &sent {
            None => Vec::new(),
            Some(Value::Array(tools)) if tools.len() <= TOOLS_MAX => {
                tools.iter().enumerate().map(Function::read).collect::<Result<Vec<_>>>()?
            }
            Some(Value::Array(tools)) => {
                let message = format!("'tools' has {} functions; at most {TOOLS_MAX} are taken", tools.len());
                return Err(Refusal::parameter("tools", message));
            }
            Some(other) => return Err(wrong("tools", other, "a list of functions")),
        };
        let choice = read_choice(choice, &functions)?;
        let (Some(sent), Some(choice)) = (sent, choice) else { return Ok(None) };
        if functions.is_empty() {
            return Ok(None);
        }
        Ok(Some(Self { sent, functions, choice }))
    }

    /// What the answer must look like; `otherwise` is what it must where nothing is called.
    ///
    /// # Errors
    /// Schemas that cannot stand beside each other; something else than JSON beside calls.
    pub(super) fn guidance(&self, form: Form, otherwise: Option<&Guidance>) -> Result<Guidance> {
        let called = match &self.choice {
            Choice::Named(name) => self.functions.iter().filter(|function| function.name == *name).collect(),
            Choice::Auto | Choice::Required => self.functions.iter().collect::<Vec<_>>(),
        };
        let call = call_schema(&called, form.arguments())?;
        let mut grammar = match form {
            Form::Marked => format!("call: \"\\n\"? %json {call} \"\\n\"? \"{CLOSE}\"\n"),
            Form::Bare { .. } => format!("call: %json {call}\n"),
        };
        let (start, helpers) = match (form, &self.choice) {
            (Form::Marked, Choice::Auto) => ("text | head call", "head[lazy]: /(?s:.*)<tool_call>/\n"),
            (Form::Marked, _) => ("head call", "head: \"<tool_call>\"\n"),
            (Form::Bare { .. }, Choice::Auto) => ("text | call", ""),
            (Form::Bare { .. }, _) => ("call", ""),
        };
        grammar.push_str(helpers);
        if self.choice == Choice::Auto {
            grammar.push_str(&text_rule(form, otherwise)?);
        }
        Ok(Guidance::Lark(format!("start: {start}\n{grammar}")))
    }

    /// A system message for models whose template knows no functions.
    pub(super) fn lesson(&self) -> String {
        let functions = match &self.sent {
            Value::Array(tools) => tools.iter().map(|tool| format!("{tool}\n")).collect::<String>(),
            _ => String::new(),
        };
        format!(
            "You may call functions to answer. They are given as JSON schemas, one a line:\n<tools>\n{functions}</tools>\n\
             To call one, answer with its name and arguments as JSON between marks, and nothing else:\n\
             {OPEN}\n{{\"name\": \"the function\", \"arguments\": {{\"its\": \"arguments\"}}}}\n{CLOSE}"
        )
    }
}

impl Function {
    fn read((index, tool): (usize, &Value)) -> Result<Self> {
        let place = format!("tools[{index}]");
        if tool.get("type").and_then(Value::as_str) != Some("function") {
            let message =
                format!("'{place}' is no function; it is {{\"type\": \"function\", \"function\": {{\"name\": ..}}}}");
            return Err(Refusal::unsupported(place, message));
        }
        let function = tool.get("function").cloned().unwrap_or_default();
        let name = function.get("name").and_then(Value::as_str).unwrap_or_default();
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.bytes().all(allowed) {
            let message = format!(
                "the name of '{place}' is '{name}'; names have 1 to {NAME_BYTES_MAX} letters, digits, underscores and dashes"
            );
            return Err(Refusal::parameter(place, message));
        }
        let parameters = match function.get("parameters") {
            None | Some(Value::Null) => json!({ "type": "object", "properties": {}, "additionalProperties": false }),
            Some(schema @ Value::Object(_)) => schema.clone(),
            Some(other) => return Err(wrong(&format!("{place}.function.parameters"), other, "a JSON schema")),
        };
        Ok(Self { name: name.to_owned(), parameters })
    }
}

/// `None`: nothing is called.
fn read_choice(choice: Option<Value>, functions: &[Function]) -> Result<Option<Choice>> {
    let refused = || {
        let message =
            "'tool_choice' is 'none', 'auto', 'required' or {\"type\": \"function\", \"function\": {\"name\": ..}}";
        Refusal::parameter("tool_choice", message)
    };
    let choice = match choice {
        None => return Ok(Some(Choice::Auto)),
        Some(Value::String(word)) => match word.as_str() {
            "none" => return Ok(None),
            "auto" => return Ok(Some(Choice::Auto)),
            "required" => Choice::Required,
            _ => return Err(refused()),
        },
        Some(named) => {
            let name = named.get("function").and_then(|function| function.get("name")).and_then(Value::as_str);
            Choice::Named(name.ok_or_else(refused)?.to_owned())
        }
    };
    let known = match &choice {
        Choice::Named(name) => functions.iter().any(|function| function.name == *name),
        _ => !functions.is_empty(),
    };
    if known {
        return Ok(Some(choice));
    }
    let message = match &choice {
        Choice::Named(name) => {
            let names = functions.iter().map(|function| function.name.as_str());
            lakemill_base::unknown("function of 'tool_choice'", name, names)
        }
        _ => "'tool_choice' asks for a call, and 'tools' has no function".to_owned(),
    };
    Err(Refusal::parameter("tool_choice", message))
}

/// The schema of a call: one of the functions with arguments that fit.
fn call_schema(functions: &[&Function], arguments: &str) -> Result<Value> {
    let mut shared: Map<String, Value> = Map::new();
    let mut forms = Vec::new();
    for function in functions {
        let mut parameters = function.parameters.clone();
        // References begin at the root of a schema, which their definitions move to.
        for key in ["$defs", "definitions"] {
            let Some(Value::Object(own)) = parameters.as_object_mut().and_then(|schema| schema.swap_remove(key)) else {
                continue;
            };
            let all = shared.entry(key).or_insert_with(|| json!({}));
            for (name, definition) in own {
                if all.get(&name).is_some_and(|known| *known != definition) {
                    let message = format!(
                        "two functions of 'tools' define '{name}' differently in '{key}'; call one of them otherwise"
                    );
                    return Err(Refusal::parameter("tools", message));
                }
                all[&name] = definition;
            }
        }
        forms.push(json!({
            "type": "object",
            "properties": { "name": { "const": function.name }, arguments: parameters },
            "required": ["name", arguments],
            "additionalProperties": false,
        }));
    }
    let mut schema = match <[Value; 1]>::try_from(forms) {
        Ok([one]) => one,
        Err(several) => json!({ "anyOf": several }),
    };
    if let Some(schema) = schema.as_object_mut() {
        schema.extend(shared);
        schema.insert("x-guidance".to_owned(), compact());
    }
    Ok(schema)
}

/// White space as most JSON has it: where it is free, a small model may write nothing else.
fn compact() -> Value {
    json!({ "whitespace_flexible": false, "item_separator": ", ", "key_separator": ": " })
}

/// What an answer is that calls nothing.
fn text_rule(form: Form, otherwise: Option<&Guidance>) -> Result<String> {
    match otherwise {
        None => Ok(match form {
            Form::Marked => "text: /(?s:.*)/\n".to_owned(),
            Form::Bare { .. } => "text: TEXT\nTEXT: /(?s:.*)/ & ~/(?s:\\s*\\{\\s*\"name\".*)/\n".to_owned(),
        }),
        Some(Guidance::JsonSchema(schema)) => Ok(format!("text: %json {schema}\n")),
        Some(Guidance::JsonObject) => {
            Ok(format!("text: %json {}\n", json!({ "type": "object", "x-guidance": compact() })))
        }
        Some(_) => Err(Refusal::unsupported(
            "structured_outputs",
            "'structured_outputs' does not go with 'tools'; 'response_format' does",
        )),
    }
}

/// An answer on its way, told apart into text and a call.
#[derive(Debug)]
pub(super) struct Reader {
    form: Form,
    /// What may be, or is, a call.
    held: String,
    /// Text has begun, after which a bare call cannot come.
    text: bool,
    /// The held text is a call.
    call: bool,
}

impl Reader {
    pub(super) fn new(form: Form) -> Self {
        Self { form, held: String::new(), text: false, call: false }
    }

    /// Takes more of the answer; gives what of it is text.
    pub(super) fn push(&mut self, text: &str) -> String {
        self.held.push_str(text);
        if self.call {
            return String::new();
        }
        match self.form {
            Form::Marked => {
                let (keep, call) = match self.held.find(OPEN) {
                    Some(at) => (at, true),
                    None => (self.held.len() - begun(&self.held, OPEN), false),
                };
                self.call = call;
                let rest = self.held.split_off(keep);
                std::mem::replace(&mut self.held, rest)
            }
            Form::Bare { .. } if self.text => std::mem::take(&mut self.held),
            Form::Bare { .. } => {
                let squeezed: String = self.held.chars().filter(|c| !c.is_whitespace()).take(BARE.len()).collect();
                self.call = squeezed == BARE;
                self.text = !self.call && !BARE.starts_with(&squeezed);
                if self.text { std::mem::take(&mut self.held) } else { String::new() }
            }
        }
    }

    /// The call, where there is a whole one; else what was held of text.
    pub(super) fn finish(self) -> std::result::Result<Call, String> {
        if !self.call {
            return Err(self.held);
        }
        let body = self.held.strip_prefix(OPEN).unwrap_or(&self.held);
        let body = body.trim_end().strip_suffix(CLOSE).unwrap_or(body);
        read_call(body).ok_or(self.held)
    }
}

/// What a bare call begins with, white space aside.
const BARE: &str = "{\"name\"";

/// How many bytes at the end of `text` are a beginning of `mark`.
fn begun(text: &str, mark: &str) -> usize {
    (1..mark.len()).rev().find(|length| text.ends_with(&mark[..*length])).unwrap_or(0)
}

fn read_call(text: &str) -> Option<Call> {
    #[derive(Deserialize)]
    struct Written<'a> {
        name: String,
        #[serde(borrow, alias = "parameters")]
        arguments: &'a RawValue,
    }
    let Written { name, arguments } = serde_json::from_str(text.trim()).ok()?;
    Some(Call { name, arguments: arguments.get().to_owned() })
}

#[cfg(test)]
mod tests {
    use lakemill_llm::Guidance;

    use super::super::parameters::Parameters;
    use super::{Form, Reader, Tools};

    const WEATHER: &str = r##"{"type": "function", "function": {"name": "weather", "parameters": {"type": "object",
        "properties": {"at": {"$ref": "#/$defs/Place"}}, "$defs": {"Place": {"type": "string"}}}}}"##;

    fn tools(choice: &str) -> Result<Option<Tools>, String> {
        let body =
            format!("{{\"tools\": [{WEATHER}, {}], \"tool_choice\": {choice}}}", WEATHER.replace("weather", "tide"));
        let read = Tools::take(&mut Parameters::read(body.as_bytes()).unwrap());
        read.map_err(|refusal| refusal.json()["error"]["message"].to_string())
    }

    fn grammar(choice: &str, form: Form) -> String {
        let Guidance::Lark(grammar) = tools(choice).unwrap().unwrap().guidance(form, None).unwrap() else { panic!() };
        grammar
    }

    #[test]
    fn a_choice_makes_a_grammar() {
        assert!(tools("\"none\"").unwrap().is_none());
        let auto = grammar("\"auto\"", Form::Marked);
        assert!(
            auto.starts_with("start: text | head call") && auto.contains("anyOf") && auto.contains("tide"),
            "{auto}"
        );
        let named =
            grammar(r#"{"type": "function", "function": {"name": "tide"}}"#, Form::Bare { arguments: "parameters" });
        assert!(
            named.starts_with("start: call\n") && !named.contains("weather") && named.contains("\"parameters\""),
            "{named}"
        );
        assert!(named.contains(r#""$defs":{"Place":{"type":"string"}}"#), "{named}");
        assert!(tools(r#"{"function": {"name": "tid"}}"#).unwrap_err().contains("did you mean 'tide'"));
        assert!(tools("\"always\"").is_err() && tools("7").is_err());
    }

    fn read(form: Form, parts: &[&str]) -> (String, Result<(String, String), String>) {
        let mut reader = Reader::new(form);
        let text = parts.iter().map(|part| reader.push(part)).collect();
        (text, reader.finish().map(|call| (call.name, call.arguments)))
    }

    #[test]
    fn calls_are_told_from_text() {
        let call = Ok(("f".to_owned(), "{\"a\": 1.50}".to_owned()));
        let marked =
            ["Let me", " see. <tool", "_call>\n{\"name\": \"f\", \"argu", "ments\": {\"a\": 1.50}}\n</tool_call>"];
        assert_eq!(read(Form::Marked, &marked), ("Let me see. ".to_owned(), call.clone()));
        let bare = ["{\"na", "me\": \"f\", \"parameters\": {\"a\": 1.50}}"];
        assert_eq!(read(Form::Bare { arguments: "parameters" }, &bare), (String::new(), call));
        assert_eq!(
            read(Form::Bare { arguments: "arguments" }, &["{\"na", "p\": 1}"]),
            ("{\"nap\": 1}".into(), Err(String::new()))
        );
        // A mark that does not come to be is text in the end, as is a call that was cut off.
        assert_eq!(read(Form::Marked, &["1 <", " 2", " <to"]), ("1 < 2 ".into(), Err("<to".into())));
        assert_eq!(read(Form::Marked, &["<tool_call>{\"name\""]).1, Err("<tool_call>{\"name\"".into()));
    }

    #[test]
    fn templates_teach_their_form() {
        assert_eq!(Form::of_template("{% for message in messages %}"), Form::Marked);
        assert_eq!(Form::of_template("{% if tools %} <tool_call> "), Form::Marked);
        let llama =
            "{% if tools %} {\"name\": function name, \"parameters\": dictionary of argument name and its value}";
        assert_eq!(Form::of_template(llama), Form::Bare { arguments: "parameters" });
    }
}
