//! The parameters of a request: taken by name, each with its type and bounds; what nobody takes is refused by name.
//!
//! **Architecture invariant:** no parameter is ignored in silence unless it changes no answer here: a client that asks
//! for what this server does not do learns so.

use std::fmt::Display;
use std::ops::RangeInclusive;

use lakemill_base::unknown;
use serde_json::{Map, Value};

use super::problem::{Refusal, Result};
use crate::error::Error;

/// Parameters that change no answer here: bookkeeping of OpenAI's own service.
const HARMLESS: [&str; 7] = [
    "user",
    "metadata",
    "store",
    "safety_identifier",
    "prompt_cache_key",
    "prompt_cache_retention",
    "parallel_tool_calls", // one call is made at most, which both values allow
];

/// Parameters that other servers of this API know, and what to do in their place.
const ELSEWHERE: [(&str, &str); 21] = [
    ("functions", "use 'tools'"),
    ("function_call", "use 'tool_choice'"),
    ("audio", "this server has no model that speaks"),
    ("web_search_options", "this server does not search the web"),
    ("prediction", "leave it out: the engine guesses ahead from the prompt by itself"),
    ("reasoning_effort", "this server's models have no such setting"),
    ("verbosity", "this server's models have no such setting"),
    ("suffix", "put what follows into the prompt"),
    ("use_beam_search", "ask for 'n' answers and choose by their log-probabilities"),
    ("length_penalty", "it belongs to beam search, which this server does not do"),
    ("guided_json", "use 'structured_outputs': {\"json\": ..}"),
    ("guided_regex", "use 'structured_outputs': {\"regex\": ..}"),
    ("guided_choice", "use 'structured_outputs': {\"choice\": ..}"),
    ("guided_grammar", "use 'structured_outputs': {\"grammar\": ..}"),
    ("grammar", "use 'structured_outputs': {\"grammar\": ..}"),
    ("json_schema", "use 'response_format'"),
    ("n_predict", "use 'max_tokens'"),
    ("repeat_penalty", "use 'repetition_penalty'"),
    ("chat_template", "the model's own template is used"),
    ("cache_salt", "users do not share cached prefixes with each other"),
    ("truncate_prompt_tokens", "shorten the prompt"),
];

/// The parameters of a request that have not been taken yet.
#[derive(Debug)]
pub(super) struct Parameters {
    left: Map<String, Value>,
    /// Names that were asked for, for suggestions.
    asked: Vec<&'static str>,
}

impl Parameters {
    /// # Errors
    /// Invalid: no JSON, or not an object.
    pub(super) fn read(body: &[u8]) -> Result<Self> {
        let value: Value = serde_json::from_slice(body)
            .map_err(|error| Error::invalid(format!("the request's JSON is not right: {error}")))?;
        match value {
            Value::Object(left) => Ok(Self { left, asked: Vec::new() }),
            _ => Err(Error::invalid("the request's JSON is not an object: write {\"model\": .., ..}").into()),
        }
    }

    /// A parameter's value; `null` is none.
    pub(super) fn take(&mut self, name: &'static str) -> Option<Value> {
        self.asked.push(name);
        // The order of what is left does not matter.
        self.left.swap_remove(name).filter(|value| !value.is_null())
    }

    /// A text.
    ///
    /// # Errors
    /// Another type.
    pub(super) fn text(&mut self, name: &'static str) -> Result<Option<String>> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(wrong(name, &other, "a string")),
        }
    }

    /// True or false.
    ///
    /// # Errors
    /// Another type.
    pub(super) fn flag(&mut self, name: &'static str) -> Result<Option<bool>> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(flag)),
            Some(other) => Err(wrong(name, &other, "true or false")),
        }
    }

    /// A number within bounds.
    ///
    /// # Errors
    /// Another type; a number beyond the bounds.
    pub(super) fn number(&mut self, name: &'static str, range: RangeInclusive<f64>) -> Result<Option<f32>> {
        let Some(value) = self.take(name) else { return Ok(None) };
        let number = value.as_f64().ok_or_else(|| wrong(name, &value, "a number"))?;
        within(name, number, &range)?;
        Ok(Some(number as f32))
    }

    /// A whole number within bounds.
    ///
    /// # Errors
    /// Another type; a number beyond the bounds.
    pub(super) fn whole(&mut self, name: &'static str, range: RangeInclusive<i64>) -> Result<Option<i64>> {
        let Some(value) = self.take(name) else { return Ok(None) };
        // Programs that count in floats write 16.0.
        let whole =
            value.as_i64().or_else(|| value.as_f64().filter(|f| f.fract() == 0.0 && f.abs() < 9e15).map(|f| f as i64));
        let whole = whole.ok_or_else(|| wrong(name, &value, "a whole number"))?;
        within(name, whole, &range)?;
        Ok(Some(whole))
    }

    /// A count from 0 or 1 on.
    ///
    /// # Errors
    /// As [`Parameters::whole`].
    pub(super) fn count(&mut self, name: &'static str, range: RangeInclusive<usize>) -> Result<Option<usize>> {
        let bound = |bound: usize| i64::try_from(bound).unwrap_or(i64::MAX);
        let whole = self.whole(name, bound(*range.start())..=bound(*range.end()))?;
        Ok(whole.and_then(|whole| usize::try_from(whole).ok()))
    }

    /// Whether all has been taken, but for what changes no answer.
    ///
    /// # Errors
    /// Unsupported or unknown: names the parameter.
    pub(super) fn finish(mut self) -> Result<()> {
        self.left.retain(|name, value| !HARMLESS.contains(&name.as_str()) && !value.is_null());
        // These say what is so in any case.
        let only = [("service_tier", ["auto", "default"]), ("modalities", ["[\"text\"]", "[\"text\"]"])];
        for (name, usual) in only {
            if let Some(value) = self.left.swap_remove(name) {
                let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                if !usual.contains(&text.as_str()) {
                    return Err(Refusal::unsupported(name, format!("'{name}' can be {} here, not {value}", usual[0])));
                }
            }
        }
        let Some(name) = self.left.keys().next() else { return Ok(()) };
        if let Some((_, instead)) = ELSEWHERE.iter().find(|(known, _)| known == name) {
            return Err(Refusal::unsupported(name.as_str(), format!("'{name}' is not supported: {instead}")));
        }
        Err(Refusal::parameter(name.as_str(), unknown("parameter", name, self.asked.iter().copied())))
    }
}

/// A value has the wrong type.
pub(super) fn wrong(name: &str, value: &Value, right: &str) -> Refusal {
    let what = match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    };
    Refusal::parameter(name, format!("'{name}' is {what}; it must be {right}"))
}

fn within<T: PartialOrd + Display>(name: &str, value: T, range: &RangeInclusive<T>) -> Result<()> {
    if range.contains(&value) {
        return Ok(());
    }
    let (least, most) = (range.start(), range.end());
    Err(Refusal::parameter(name, format!("'{name}' is {value}; it must be from {least} to {most}")))
}

#[cfg(test)]
mod tests {
    use super::Parameters;

    fn refusal(body: &str) -> String {
        let mut parameters = Parameters::read(body.as_bytes()).unwrap();
        let read = (|| {
            parameters.number("temperature", 0.0..=2.0)?;
            parameters.count("max_tokens", 1..=100)?;
            parameters.flag("stream")?;
            parameters.finish()
        })();
        read.map_or_else(|refusal| refusal.json()["error"]["message"].as_str().unwrap().to_owned(), |()| String::new())
    }

    #[test]
    fn what_nobody_takes_is_refused_by_name() {
        assert_eq!(refusal(r#"{"temperature": 1, "user": "x", "max_tokens": 3.0, "stream": null}"#), "");
        assert_eq!(refusal(r#"{"temperatur": 1}"#), "unknown parameter 'temperatur'; did you mean 'temperature'?");
        assert_eq!(refusal(r#"{"temperature": 3}"#), "'temperature' is 3; it must be from 0 to 2");
        assert_eq!(refusal(r#"{"temperature": "hot"}"#), "'temperature' is a string; it must be a number");
        assert_eq!(refusal(r#"{"max_tokens": 1.5}"#), "'max_tokens' is a number; it must be a whole number");
        assert_eq!(refusal(r#"{"functions": []}"#), "'functions' is not supported: use 'tools'");
        assert_eq!(refusal(r#"{"service_tier": "priority"}"#), "'service_tier' can be auto here, not \"priority\"");
        assert_eq!(refusal(r#"{"modalities": ["text"], "service_tier": "auto"}"#), "");
    }

    #[test]
    fn bodies_that_are_no_objects_are_refused() {
        for wrong in ["", "[]", "{", "\"x\"", "\u{FEFF}{}"] {
            assert!(Parameters::read(wrong.as_bytes()).is_err(), "{wrong:?}");
        }
        assert!(Parameters::read(b"{\"model\": \"\xff\"}").is_err());
        assert!(Parameters::read("[".repeat(100_000).as_bytes()).is_err());
    }
}
