//! What templates expect of Python: `tojson`, `strftime_now`, `raise_exception`.

use std::fmt::Write;

use minijinja::value::Kwargs;
use minijinja::{Error, ErrorKind, Value};
use serde_json::Value as Json;

/// What a template says when it refuses a conversation.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Raised(String);

/// `raise_exception(message)`.
pub(super) fn raise_exception(message: String) -> Result<Value, Error> {
    Err(Error::new(ErrorKind::InvalidOperation, message.clone()).with_source(Raised(message)))
}

/// What `raise_exception` was called with, where that is why a template ended.
pub(super) fn raised(error: &Error) -> Option<String> {
    let mut next: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = next {
        if let Some(Raised(message)) = error.downcast_ref() {
            return Some(message.clone());
        }
        next = error.source();
    }
    None
}

/// `strftime_now(format)`: the given time in UTC, in the manner of C's strftime.
pub(super) fn strftime_now(now_ms: i64) -> Value {
    Value::from_function(move |format: String| -> Result<String, Error> {
        let wrong = |error: jiff::Error| Error::new(ErrorKind::InvalidOperation, format!("strftime_now: {error}"));
        let now = jiff::Timestamp::from_millisecond(now_ms).map_err(wrong)?;
        jiff::fmt::strtime::format(&format, &now.to_zoned(jiff::tz::TimeZone::UTC)).map_err(wrong)
    })
}

/// `value | tojson`, as Python's json.dumps with `ensure_ascii=False` writes it: a space after `,` and `:`.
pub(super) fn to_json(value: &Value, options: Kwargs) -> Result<String, Error> {
    let indent: Option<usize> = options.get("indent")?;
    let sorted: Option<bool> = options.get("sort_keys")?;
    // Accepted because templates may write them; their effect is what is done anyway.
    let _: Option<bool> = options.get("ensure_ascii")?;
    let _: Option<Value> = options.get("separators")?;
    options.assert_all_used()?;
    if value.is_undefined() {
        return Err(Error::new(ErrorKind::UndefinedError, "an undefined value has no JSON"));
    }
    let json = serde_json::to_value(value)
        .map_err(|error| Error::new(ErrorKind::BadSerialization, format!("the value has no JSON: {error}")))?;
    let mut out = String::new();
    Dump { indent, sorted: sorted.unwrap_or(false) }.value(&json, 0, &mut out);
    Ok(out)
}

struct Dump {
    indent: Option<usize>,
    sorted: bool,
}

impl Dump {
    fn value(&self, value: &Json, depth: usize, out: &mut String) {
        match value {
            Json::Number(number) if number.is_f64() => out.push_str(&float(number.as_f64().unwrap_or(0.0))),
            Json::Array(values) if !values.is_empty() => {
                out.push('[');
                for (place, value) in values.iter().enumerate() {
                    self.separate(place, depth, out);
                    self.value(value, depth + 1, out);
                }
                self.line(depth, out);
                out.push(']');
            }
            Json::Object(fields) if !fields.is_empty() => {
                let mut fields: Vec<_> = fields.iter().collect();
                if self.sorted {
                    fields.sort_by_key(|(name, _)| *name);
                }
                out.push('{');
                for (place, (name, value)) in fields.into_iter().enumerate() {
                    self.separate(place, depth, out);
                    text(name, out);
                    out.push_str(": ");
                    self.value(value, depth + 1, out);
                }
                self.line(depth, out);
                out.push('}');
            }
            Json::String(string) => text(string, out),
            other => _ = write!(out, "{other}"),
        }
    }

    fn separate(&self, place: usize, depth: usize, out: &mut String) {
        if place > 0 {
            out.push_str(if self.indent.is_some() { "," } else { ", " });
        }
        self.line(depth + 1, out);
    }

    fn line(&self, depth: usize, out: &mut String) {
        if let Some(indent) = self.indent {
            out.push('\n');
            out.extend(std::iter::repeat_n(' ', indent * depth));
        }
    }
}

/// Python escapes quotes, backslashes and what is below a space, and U+007F not.
fn text(string: &str, out: &mut String) {
    out.push('"');
    for letter in string.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            control if control < ' ' => _ = write!(out, "\\u{:04x}", u32::from(control)),
            other => out.push(other),
        }
    }
    out.push('"');
}

/// A number as Python's repr writes it: the shortest digits, an exponent from 1e16 on and below 1e-4.
fn float(value: f64) -> String {
    let size = value.abs();
    if size == 0.0 || (1e-4..1e16).contains(&size) {
        return format!("{value:?}");
    }
    let text = format!("{value:e}");
    match text.split_once('e') {
        Some((digits, exponent)) => {
            let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |exponent| ('-', exponent));
            format!("{digits}e{sign}{exponent:0>2}")
        }
        None => text,
    }
}

/// `source` with transformers' tags around what the assistant says (`{% generation %}`) made into blocks without
/// effect: they mark text for training alone.
pub(super) fn without_generation_tags(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(open) = rest.find("{%") {
        let (before, tag) = rest.split_at(open);
        out.push_str(before);
        let Some(close) = tag[2..].find("%}").map(|place| place + 2) else {
            rest = tag;
            break;
        };
        let inside = &tag[2..close];
        let name = inside.trim_matches(['-', '+']).trim();
        let renamed = match name {
            "generation" => inside.replace("generation", "if true"),
            "endgeneration" => inside.replace("endgeneration", "endif"),
            _ => inside.to_owned(),
        };
        out.push_str("{%");
        out.push_str(&renamed);
        out.push_str("%}");
        rest = &tag[close + 2..];
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::{Dump, float, without_generation_tags};

    #[test]
    fn floats_are_written_as_python_does() {
        // From `python3 -c "print([1.0, 0.1, 1e16, 1.5e-5, 123456789.125, 1e22, 0.0001, 9999999999999998.0])"`.
        let python = ["1.0", "0.1", "1e+16", "1.5e-05", "123456789.125", "1e+22", "0.0001", "9999999999999998.0"];
        let values = [1.0, 0.1, 1e16, 1.5e-5, 123_456_789.125, 1e22, 0.0001, 9_999_999_999_999_998.0];
        assert_eq!(values.map(float).as_slice(), python.as_slice());
    }

    #[test]
    fn json_is_written_as_python_does() {
        let value = serde_json::json!({"b": [1, 2.5, null, true], "a": {"é\n\"": {}}, "c": []});
        let mut out = String::new();
        Dump { indent: None, sorted: false }.value(&value, 0, &mut out);
        assert_eq!(out, r#"{"b": [1, 2.5, null, true], "a": {"é\n\"": {}}, "c": []}"#);
        let mut out = String::new();
        Dump { indent: Some(2), sorted: true }.value(&value, 0, &mut out);
        let python = "{\n  \"a\": {\n    \"é\\n\\\"\": {}\n  },\n  \"b\": [\n    1,\n    2.5,\n    null,\n    true\n  ],\n  \"c\": []\n}";
        assert_eq!(out, python);
    }

    #[test]
    fn generation_tags_become_blocks_without_effect() {
        let source = "a{%- generation -%}b{% endgeneration %}c{% if generation %}d{% endif %}{% broken";
        let expected = "a{%- if true -%}b{% endif %}c{% if generation %}d{% endif %}{% broken";
        assert_eq!(without_generation_tags(source), expected);
        assert_eq!(without_generation_tags("{%}x{%generation%}"), "{%}x{%generation%}");
    }
}
