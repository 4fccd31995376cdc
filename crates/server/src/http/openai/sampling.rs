//! How answers are made: the parameters that chat and plain completions have in common.

use lakemill_llm::{Guidance, Request, Sampling};
use lakemill_model::config::CONTEXT_TOKENS_MAX;
use serde_json::Value;

use super::parameters::{Parameters, wrong};
use super::problem::{Refusal, Result};

/// The largest temperature of OpenAI's API.
const TEMPERATURE_MAX: f64 = 2.0;

/// What a request asks for beside its prompt.
#[derive(Debug)]
pub(super) struct Wish {
    pub(super) sampling: Sampling,
    pub(super) max_tokens: Option<usize>,
    pub(super) min_tokens: usize,
    pub(super) stop: Vec<String>,
    pub(super) stop_tokens: Vec<u32>,
    pub(super) ignore_end: bool,
    pub(super) special_text: bool,
    pub(super) n: usize,
    pub(super) priority: i32,
    pub(super) guidance: Option<Guidance>,
    /// Whether the engine may guess ahead, which changes no answer.
    pub(super) speculation: bool,
    pub(super) stream: bool,
    /// Whether a stream ends with its usage.
    pub(super) include_usage: bool,
}

impl Wish {
    /// # Errors
    /// Names the parameter that is wrong.
    pub(super) fn take(parameters: &mut Parameters) -> Result<Self> {
        let max_tokens = max_tokens(parameters)?;
        let stream = parameters.flag("stream")?.unwrap_or(false);
        Ok(Self {
            sampling: sampling(parameters)?,
            max_tokens,
            min_tokens: parameters.count("min_tokens", 0..=CONTEXT_TOKENS_MAX)?.unwrap_or(0),
            stop: stop(parameters)?,
            stop_tokens: stop_tokens(parameters)?,
            ignore_end: parameters.flag("ignore_eos")?.unwrap_or(false),
            special_text: !parameters.flag("skip_special_tokens")?.unwrap_or(true),
            n: parameters.count("n", 1..=Request::N_MAX)?.unwrap_or(1),
            // Nobody goes before others who has not been given the right to, and there is none to give.
            priority: parameters.whole("priority", 0..=i64::from(Request::PRIORITY_MAX))?.unwrap_or(0) as i32,
            guidance: guidance(parameters)?,
            speculation: parameters.flag("speculation")?.unwrap_or(true),
            include_usage: include_usage(parameters, stream)?,
            stream,
        })
    }

    /// The request of a prompt.
    pub(super) fn request(&self, prompt: Vec<u32>, cache_scope: u64) -> Request {
        let mut request = Request::new(prompt);
        request.sampling = self.sampling.clone();
        request.max_tokens = self.max_tokens;
        request.min_tokens = self.min_tokens;
        request.stop = self.stop.clone();
        request.stop_tokens = self.stop_tokens.clone();
        request.ignore_end = self.ignore_end;
        request.special_text = self.special_text;
        request.n = self.n;
        request.priority = self.priority;
        request.guidance = self.guidance.clone();
        request.speculation = self.speculation;
        request.stream = self.stream;
        request.cache_scope = cache_scope;
        request
    }
}

fn max_tokens(parameters: &mut Parameters) -> Result<Option<usize>> {
    let old = parameters.count("max_tokens", 0..=CONTEXT_TOKENS_MAX)?;
    let new = parameters.count("max_completion_tokens", 0..=CONTEXT_TOKENS_MAX)?;
    if old.is_some() && new.is_some() && old != new {
        return Err(Refusal::parameter(
            "max_tokens",
            "'max_tokens' and 'max_completion_tokens' differ; give one of them",
        ));
    }
    Ok(new.or(old))
}

fn sampling(parameters: &mut Parameters) -> Result<Sampling> {
    let usual = Sampling::default();
    let top_p = parameters.number("top_p", 0.0..=1.0)?.unwrap_or(usual.top_p);
    Ok(Sampling {
        temperature: parameters.number("temperature", 0.0..=TEMPERATURE_MAX)?.unwrap_or(usual.temperature),
        // The fewest tokens whose probabilities reach nothing: the one most probable token.
        top_p: if top_p > 0.0 { top_p } else { f32::MIN_POSITIVE },
        // vLLM writes -1 for all.
        top_k: parameters.whole("top_k", -1..=i64::from(u32::MAX))?.and_then(|k| usize::try_from(k).ok()).unwrap_or(0),
        min_p: parameters.number("min_p", 0.0..=1.0)?.unwrap_or(usual.min_p),
        repetition_penalty: parameters.number("repetition_penalty", 0.01..=100.0)?.unwrap_or(usual.repetition_penalty),
        presence_penalty: parameters.number("presence_penalty", -2.0..=2.0)?.unwrap_or(usual.presence_penalty),
        frequency_penalty: parameters.number("frequency_penalty", -2.0..=2.0)?.unwrap_or(usual.frequency_penalty),
        logit_bias: logit_bias(parameters)?,
        seed: parameters.whole("seed", i64::MIN..=i64::MAX)?.map(i64::cast_unsigned),
    })
}

/// `{"token id": bias, ..}`
fn logit_bias(parameters: &mut Parameters) -> Result<Vec<(u32, f32)>> {
    let biases = match parameters.take("logit_bias") {
        None => return Ok(Vec::new()),
        Some(Value::Object(biases)) => biases,
        Some(other) => return Err(wrong("logit_bias", &other, "an object of token ids and biases")),
    };
    if biases.len() > Sampling::LOGIT_BIASES_MAX {
        let most = Sampling::LOGIT_BIASES_MAX;
        let message = format!("'logit_bias' has {} tokens; at most {most} are taken", biases.len());
        return Err(Refusal::parameter("logit_bias", message));
    }
    let entry = |(token, bias): (String, Value)| {
        let token_id = token.parse().map_err(|_| {
            Refusal::parameter(
                "logit_bias",
                format!("'logit_bias' has the token '{token}', which is no id; ids are whole numbers"),
            )
        })?;
        match bias.as_f64().filter(|bias| (-100.0..=100.0).contains(bias)) {
            Some(bias) => Ok((token_id, bias as f32)),
            None => Err(Refusal::parameter(
                "logit_bias",
                format!("the bias of token {token} is {bias}; it must be a number from -100 to 100"),
            )),
        }
    };
    biases.into_iter().map(entry).collect()
}

fn stop(parameters: &mut Parameters) -> Result<Vec<String>> {
    let texts = match parameters.take("stop") {
        None => return Ok(Vec::new()),
        Some(Value::String(text)) => vec![Value::String(text)],
        Some(Value::Array(texts)) => texts,
        Some(other) => return Err(wrong("stop", &other, "a string or a list of strings")),
    };
    if texts.len() > Request::STOPS_MAX {
        let message = format!("'stop' has {} texts; at most {} are taken", texts.len(), Request::STOPS_MAX);
        return Err(Refusal::parameter("stop", message));
    }
    let text = |value: Value| match value {
        Value::String(text) if text.is_empty() => Err(Refusal::parameter("stop", "a text of 'stop' is empty")),
        Value::String(text) => Ok(text),
        other => Err(wrong("stop", &other, "a string or a list of strings")),
    };
    texts.into_iter().map(text).collect()
}

fn stop_tokens(parameters: &mut Parameters) -> Result<Vec<u32>> {
    let Some(value) = parameters.take("stop_token_ids") else { return Ok(Vec::new()) };
    token_ids(&value).ok_or_else(|| wrong("stop_token_ids", &value, "a list of token ids"))
}

/// A list of token ids.
pub(super) fn token_ids(value: &Value) -> Option<Vec<u32>> {
    let id = |id: &Value| id.as_u64().and_then(|id| u32::try_from(id).ok());
    value.as_array()?.iter().map(id).collect()
}

fn include_usage(parameters: &mut Parameters, stream: bool) -> Result<bool> {
    let Some(options) = parameters.take("stream_options") else { return Ok(false) };
    if !stream {
        return Err(Refusal::parameter("stream_options", "'stream_options' goes with 'stream': true"));
    }
    let Value::Object(mut options) = options else { return Err(wrong("stream_options", &options, "an object")) };
    let include = options.swap_remove("include_usage").unwrap_or(Value::Bool(false));
    // Padding against eavesdroppers who count bytes: this server sends none, which the client cannot tell.
    options.swap_remove("include_obfuscation");
    if let Some(name) = options.keys().next() {
        return Err(Refusal::unsupported(
            "stream_options",
            format!("'stream_options' has '{name}'; it may have 'include_usage'"),
        ));
    }
    include.as_bool().ok_or_else(|| wrong("stream_options", &include, "{\"include_usage\": true}"))
}

/// `response_format` as OpenAI has it, or `structured_outputs` as vLLM has it.
fn guidance(parameters: &mut Parameters) -> Result<Option<Guidance>> {
    let format = match parameters.take("response_format") {
        None => None,
        Some(format) => response_format(&format)?,
    };
    let structured = match parameters.take("structured_outputs") {
        None => None,
        Some(structured) => Some(structured_outputs(&structured)?),
    };
    match (format, structured) {
        (Some(_), Some(_)) => {
            Err(Refusal::parameter("structured_outputs", "give 'response_format' or 'structured_outputs', not both"))
        }
        (format, structured) => Ok(format.or(structured)),
    }
}

fn response_format(format: &Value) -> Result<Option<Guidance>> {
    const RIGHT: &str = "{\"type\": \"text\"}, {\"type\": \"json_object\"} or {\"type\": \"json_schema\", \"json_schema\": {\"name\": .., \
                         \"schema\": ..}}";
    match format.get("type").and_then(Value::as_str) {
        Some("text") => Ok(None),
        Some("json_object") => Ok(Some(Guidance::JsonObject)),
        Some("json_schema") => match format.get("json_schema").and_then(|wrapped| wrapped.get("schema")) {
            Some(schema @ (Value::Object(_) | Value::Bool(_))) => Ok(Some(Guidance::JsonSchema(schema.to_string()))),
            _ => Err(Refusal::parameter("response_format", format!("'response_format' has no schema; it is {RIGHT}"))),
        },
        _ => Err(Refusal::parameter("response_format", format!("'response_format' is {RIGHT}"))),
    }
}

fn structured_outputs(wanted: &Value) -> Result<Guidance> {
    let refused = || {
        let message = "'structured_outputs' has one of 'json' (a schema), 'regex', 'choice' (a list of texts) and 'grammar' (Lark)";
        Refusal::parameter("structured_outputs", message)
    };
    let Value::Object(wanted) = wanted else { return Err(refused()) };
    let mut given = wanted.iter().filter(|(_, value)| !value.is_null());
    let (Some(one), None) = (given.next(), given.next()) else { return Err(refused()) };
    match one {
        (name, Value::String(text)) if name == "json" => Ok(Guidance::JsonSchema(text.clone())),
        (name, schema @ Value::Object(_)) if name == "json" => Ok(Guidance::JsonSchema(schema.to_string())),
        (name, Value::String(text)) if name == "regex" => Ok(Guidance::Regex(text.clone())),
        (name, Value::String(text)) if name == "grammar" => Ok(Guidance::Lark(text.clone())),
        (name, Value::Array(texts)) if name == "choice" => {
            let text = |text: &Value| text.as_str().map(str::to_owned).ok_or_else(refused);
            Ok(Guidance::Choice(texts.iter().map(text).collect::<Result<_>>()?))
        }
        _ => Err(refused()),
    }
}

#[cfg(test)]
mod tests {
    use lakemill_llm::Guidance;

    use super::super::parameters::Parameters;
    use super::Wish;

    fn wish(body: &str) -> Result<Wish, String> {
        let mut parameters = Parameters::read(body.as_bytes()).unwrap();
        let wish = Wish::take(&mut parameters).and_then(|wish| parameters.finish().map(|()| wish));
        wish.map_err(|refusal| refusal.json()["error"]["message"].to_string())
    }

    #[test]
    fn what_is_not_given_is_openais_default() {
        let wish = wish("{}").unwrap();
        assert_eq!((wish.sampling.temperature, wish.sampling.top_p, wish.n, wish.max_tokens), (1.0, 1.0, 1, None));
        assert!(!wish.stream && wish.stop.is_empty() && wish.guidance.is_none());
    }

    #[test]
    fn parameters_become_a_request() {
        let body = r#"{"temperature": 0.5, "top_k": -1, "seed": -3, "logit_bias": {"7": -100}, "stop": "x", "n": 2,
            "max_completion_tokens": 9, "response_format": {"type": "json_schema", "json_schema": {"name": "s", "schema": {}}}}"#;
        let wish = wish(body).unwrap();
        assert_eq!(wish.sampling.seed, Some(u64::MAX - 2));
        assert_eq!((wish.sampling.logit_bias.as_slice(), wish.sampling.top_k), (&[(7, -100.0)][..], 0));
        assert_eq!(wish.guidance, Some(Guidance::JsonSchema("{}".into())));
        let request = wish.request(vec![1], 5);
        assert_eq!((request.max_tokens, request.n, request.cache_scope), (Some(9), 2, 5));
        assert_eq!(request.stop, ["x"]);
    }

    #[test]
    fn wrong_parameters_are_named() {
        for (body, part) in [
            (r#"{"stop": [""]}"#, "empty"),
            (r#"{"stop": [1]}"#, "list of strings"),
            (r#"{"logit_bias": {"x": 1}}"#, "no id"),
            (r#"{"logit_bias": {"1": 101}}"#, "from -100 to 100"),
            (r#"{"max_tokens": 1, "max_completion_tokens": 2}"#, "differ"),
            (r#"{"max_tokens": -1}"#, "from 0 to"),
            (r#"{"stream_options": {"include_usage": true}}"#, "goes with"),
            (r#"{"stream": true, "stream_options": {"chunk": 1}}"#, "chunk"),
            (r#"{"response_format": {"type": "xml"}}"#, "json_object"),
            (r#"{"response_format": {"type": "json_schema"}}"#, "no schema"),
            (r#"{"structured_outputs": {"regex": "a", "choice": ["b"]}}"#, "has one of"),
            (r#"{"priority": -1}"#, "from 0 to 100"),
            (r#"{"n": 0}"#, "from 1 to"),
        ] {
            let said = wish(body).unwrap_err();
            assert!(said.contains(part), "{body}: {said}");
        }
    }
}
