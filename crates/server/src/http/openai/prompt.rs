//! Messages of a conversation as the chat template takes them.

use lakemill_model::chat::Message;
use serde_json::{Map, Value, json};

use super::parameters::wrong;
use super::problem::{Refusal, Result};
use super::tools::Tools;

/// Messages of one request: more than any context holds.
const MESSAGES_MAX: usize = 100_000;

/// Where templates look for the calls of a message.
const CALLS: &str = "tool_calls";

/// Reads `messages`.
///
/// # Errors
/// Names the message that is wrong.
pub(super) fn read(messages: Option<Value>) -> Result<Vec<Message>> {
    let messages = match messages {
        Some(Value::Array(messages)) => messages,
        Some(other) => return Err(wrong("messages", &other, "a list of messages")),
        None => {
            let message = "'messages' is missing; write [{\"role\": \"user\", \"content\": \"..\"}]";
            return Err(Refusal::parameter("messages", message));
        }
    };
    if messages.is_empty() || messages.len() > MESSAGES_MAX {
        let message = format!("'messages' has {} messages; it must have from 1 to {MESSAGES_MAX}", messages.len());
        return Err(Refusal::parameter("messages", message));
    }
    messages
        .into_iter()
        .enumerate()
        .map(|(index, message)| message_of(&format!("messages[{index}]"), message))
        .collect()
}

fn message_of(place: &str, message: Value) -> Result<Message> {
    let Value::Object(mut message) = message else {
        return Err(wrong(place, &message, "an object with 'role' and 'content'"));
    };
    let role = match message.swap_remove("role").as_ref().and_then(Value::as_str) {
        // OpenAI's newer name, which no template knows.
        Some("system" | "developer") => "system",
        Some("user") => "user",
        Some("assistant") => "assistant",
        Some("tool") => "tool",
        Some(other) => {
            let message = format!(
                "the role of '{place}' is '{other}'; it is 'system', 'developer', 'user', 'assistant' or 'tool'"
            );
            return Err(Refusal::parameter(place, message));
        }
        None => return Err(Refusal::parameter(place, format!("'{place}' has no 'role'"))),
    };
    let calls = match message.swap_remove("tool_calls") {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(calls)) if role == "assistant" => {
            calls.iter().map(|call| call_of(place, call)).collect::<Result<Vec<_>>>()?
        }
        Some(other) => return Err(wrong(&format!("{place}.tool_calls"), &other, "a list of an assistant's calls")),
    };
    let content = match message.swap_remove("content") {
        Some(content) if !content.is_null() => content_of(place, content)?,
        // Beside calls; templates that do not look would write "none".
        _ if role == "assistant" => String::new(),
        _ => return Err(Refusal::parameter(place, format!("'{place}' has no 'content'"))),
    };
    let mut text = |name: &str| match message.swap_remove(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(other) => Err(wrong(&format!("{place}.{name}"), &other, "a string")),
    };
    let mut extra = Map::new();
    for name in ["name", "tool_call_id", "reasoning_content"] {
        extra.extend(text(name)?.map(|text| (name.to_owned(), text.into())));
    }
    if !calls.is_empty() {
        extra.insert(CALLS.to_owned(), calls.into());
    }
    // Fields of answers, which clients send back as they came.
    for answered in ["refusal", "annotations", "audio", "function_call", "reasoning"] {
        if message.get(answered).is_some_and(|value| value.is_null() || value.as_array().is_some_and(Vec::is_empty)) {
            message.swap_remove(answered);
        }
    }
    if let Some(field) = message.keys().next() {
        return Err(Refusal::unsupported(place, format!("'{place}' has '{field}', which is not supported")));
    }
    Ok(Message { role: role.to_owned(), content: Some(content), extra })
}

/// A text, or parts that are texts.
fn content_of(place: &str, content: Value) -> Result<String> {
    let parts = match content {
        Value::String(text) => return Ok(text),
        Value::Array(parts) => parts,
        other => return Err(wrong(&format!("{place}.content"), &other, "a string or a list of parts")),
    };
    let text = |part: &Value| match (part.get("type").and_then(Value::as_str), part.get("text").and_then(Value::as_str))
    {
        (Some("text"), Some(text)) => Ok(text.to_owned()),
        (Some(kind), _) if kind != "text" => {
            let message = format!("'{place}' has a part of type '{kind}'; this server's models read text alone");
            Err(Refusal::unsupported(place, message))
        }
        _ => Err(Refusal::parameter(
            place,
            format!("a part of '{place}' is not {{\"type\": \"text\", \"text\": \"..\"}}"),
        )),
    };
    parts.iter().map(text).collect::<Result<Vec<_>>>().map(|texts| texts.concat())
}

/// A call with its arguments as an object, which is what templates take.
fn call_of(place: &str, call: &Value) -> Result<Value> {
    let function = call.get("function").unwrap_or(&Value::Null);
    let name = function.get("name").and_then(Value::as_str);
    let arguments = match function.get("arguments") {
        Some(Value::String(text)) if text.trim().is_empty() => Some(json!({})),
        // A call that was cut off is no JSON; templates then write it as it is.
        Some(Value::String(text)) => Some(serde_json::from_str(text).unwrap_or_else(|_| text.clone().into())),
        Some(object @ Value::Object(_)) => Some(object.clone()),
        _ => None,
    };
    match (name, arguments) {
        (Some(name), Some(arguments)) => Ok(json!({
            "id": call.get("id").cloned().unwrap_or_default(),
            "type": "function",
            "function": { "name": name, "arguments": arguments },
        })),
        _ => Err(Refusal::parameter(
            place,
            format!("a call of '{place}' is not {{\"function\": {{\"name\": \"..\", \"arguments\": \"{{..}}\"}}}}"),
        )),
    }
}

/// Messages for a template that knows no functions: calls and results are texts, and a lesson comes first.
pub(super) fn taught(mut messages: Vec<Message>, tools: Option<&Tools>) -> Vec<Message> {
    for message in &mut messages {
        let mut content = message.content.take().unwrap_or_default();
        for call in message.extra.swap_remove(CALLS).as_ref().and_then(Value::as_array).into_iter().flatten() {
            let call = json!({ "name": call["function"]["name"], "arguments": call["function"]["arguments"] });
            let line = if content.is_empty() { "" } else { "\n" };
            content.push_str(&format!("{line}<tool_call>\n{call}\n</tool_call>"));
        }
        if message.role == "tool" {
            "user".clone_into(&mut message.role);
            content = format!("<tool_response>\n{content}\n</tool_response>");
        }
        message.content = Some(content);
    }
    if let Some(lesson) = tools.map(Tools::lesson) {
        match messages.first_mut() {
            Some(Message { role, content: Some(content), .. }) if role == "system" => {
                content.push_str("\n\n");
                content.push_str(&lesson);
            }
            _ => messages.insert(0, Message::new("system", lesson)),
        }
    }
    messages
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{read, taught};

    fn said(messages: Value) -> String {
        read(Some(messages)).unwrap_err().json()["error"]["message"].as_str().unwrap().to_owned()
    }

    #[test]
    fn messages_are_read_as_templates_take_them() {
        let sent = json!([
            { "role": "developer", "content": [{ "type": "text", "text": "Be " }, { "type": "text", "text": "brief." }] },
            { "role": "user", "content": "Hi", "name": "ann" },
            { "role": "assistant", "content": null, "refusal": null, "annotations": [], "tool_calls": [
                { "id": "c1", "type": "function", "function": { "name": "f", "arguments": "{\"a\": 1}" } }] },
            { "role": "tool", "tool_call_id": "c1", "content": "2" },
        ]);
        let messages = read(Some(sent)).unwrap();
        assert_eq!((messages[0].role.as_str(), messages[0].content.as_deref()), ("system", Some("Be brief.")));
        assert_eq!(messages[1].extra["name"], "ann");
        assert_eq!(messages[2].extra["tool_calls"][0]["function"]["arguments"], json!({ "a": 1 }));
        assert_eq!(messages[3].extra["tool_call_id"], "c1");
        let taught = taught(messages, None);
        assert_eq!(
            taught[2].content.as_deref(),
            Some("<tool_call>\n{\"name\":\"f\",\"arguments\":{\"a\":1}}\n</tool_call>")
        );
        assert_eq!(
            (taught[3].role.as_str(), taught[3].content.as_deref()),
            ("user", Some("<tool_response>\n2\n</tool_response>"))
        );
    }

    #[test]
    fn wrong_messages_are_named() {
        assert!(read(None).is_err());
        assert!(said(json!([])).contains("from 1 to"));
        assert!(said(json!(["x"])).contains("messages[0]"));
        assert!(
            said(json!([{ "role": "user", "content": "a" }, { "role": "robot", "content": "x" }]))
                .contains("messages[1]")
        );
        assert!(said(json!([{ "role": "user" }])).contains("no 'content'"));
        assert!(said(json!([{ "role": "user", "content": [{ "type": "image_url" }] }])).contains("image_url"));
        assert!(said(json!([{ "role": "user", "content": "a", "tool_calls": [] }])).contains("tool_calls"));
        assert!(said(json!([{ "role": "assistant", "content": "a", "audio": { "id": "x" } }])).contains("audio"));
    }
}
