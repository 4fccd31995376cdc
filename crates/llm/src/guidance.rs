//! Answers of a given form: JSON schema, regular expression, grammar or a choice, by llguidance.
//!
//! Here: compiling a form once for many requests, and walking through it token by token. Not here: sampling, which sees
//! only which tokens are allowed.
//!
//! **Architecture invariant:** a token is sampled only if the form can still be completed after it.

mod environment;

use std::sync::{Arc, Mutex, PoisonError};

use ahash::AHashMap;
use llguidance::api::{ParserLimits, TopLevelGrammar};
use llguidance::toktrie::SimpleVob;
use llguidance::{Matcher, ParserFactory};
use serde_json::{Value, json};

use self::environment::Environment;
use crate::{Error, Guidance, Result, Vocabulary};

/// Compiled forms that are kept: a service sees few different ones, a batch a single one.
const COMPILED_MAX: usize = 64;
/// The longest form in bytes: a megabyte of JSON schema takes seconds to compile.
const GUIDANCE_BYTES_MAX: usize = 1 << 20;
/// States of a form's lexer; each takes one or two kilobytes.
const LEXER_STATES_MAX: usize = 50_000;

/// Compiles forms for one vocabulary.
pub(crate) struct Guides {
    vocabulary: Arc<dyn Vocabulary>,
    factory: Mutex<Option<Arc<ParserFactory>>>,
    compiled: Mutex<AHashMap<Guidance, Guide>>,
}

impl std::fmt::Debug for Guides {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Guides").finish_non_exhaustive()
    }
}

impl Guides {
    pub(crate) fn new(vocabulary: Arc<dyn Vocabulary>) -> Self {
        Self { vocabulary, factory: Mutex::new(None), compiled: Mutex::default() }
    }

    /// A guide at the beginning of the form.
    ///
    /// # Errors
    /// The form is malformed, too large, or no token can begin it.
    pub(crate) fn compile(&self, guidance: &Guidance) -> Result<Guide> {
        if let Some(guide) = self.compiled.lock().unwrap_or_else(PoisonError::into_inner).get(guidance) {
            return Ok(guide.fresh());
        }
        let grammar = grammar(guidance)?;
        let factory = self.factory()?;
        let parser = factory.create_parser(grammar).map_err(|error| refuse(guidance, &error))?;
        let mut matcher = Matcher::new(Ok(parser));
        if let Err(error) = matcher.compute_mask() {
            return Err(refuse(guidance, &format!("no token can begin it ({})", short(&error))));
        }
        let guide = Guide(matcher);
        let fresh = guide.fresh();
        let mut compiled = self.compiled.lock().unwrap_or_else(PoisonError::into_inner);
        if compiled.len() >= COMPILED_MAX {
            compiled.clear();
        }
        compiled.insert(guidance.clone(), guide);
        Ok(fresh)
    }

    /// The tree of all tokens, built at the first use.
    fn factory(&self) -> Result<Arc<ParserFactory>> {
        let mut factory = self.factory.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(factory) = &*factory {
            return Ok(Arc::clone(factory));
        }
        let environment = Environment::new(Arc::clone(&self.vocabulary))?;
        let broken = |error| Error::internal(format!("the vocabulary cannot be used for guidance: {error}"));
        let mut built = ParserFactory::new_simple(&environment.into_env()).map_err(broken)?;
        built.quiet();
        *built.limits_mut() =
            ParserLimits { max_lexer_states: LEXER_STATES_MAX, verbose_errors: false, ..ParserLimits::default() };
        let built = Arc::new(built);
        *factory = Some(Arc::clone(&built));
        Ok(built)
    }
}

/// A place within a form.
#[derive(Clone)]
pub(crate) struct Guide(Matcher);

impl std::fmt::Debug for Guide {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Guide").finish_non_exhaustive()
    }
}

impl Guide {
    /// The same place with caches of its own, so that one request's growth does not use up another's limits.
    pub(crate) fn fresh(&self) -> Self {
        Self(self.0.deep_clone())
    }

    /// Makes the logits of tokens that may not come next minus infinity.
    ///
    /// # Errors
    /// The form became too complex, or the vocabulary cannot complete it.
    pub(crate) fn restrict(&mut self, logits: &mut [f32]) -> Result<()> {
        let mask = self.0.compute_mask_or_eos().map_err(|error| stuck(&error))?;
        exclude(&mask, logits);
        Ok(())
    }

    /// Goes on by a token. True where the form is complete and nothing more may come.
    ///
    /// # Errors
    /// The form became too complex.
    pub(crate) fn accept(&mut self, token: u32) -> Result<bool> {
        self.0.consume_token(token).map_err(|error| stuck(&error))?;
        Ok(self.0.is_stopped())
    }

    /// The tokens that must come next.
    pub(crate) fn forced(&mut self) -> Vec<u32> {
        if self.0.is_stopped() { Vec::new() } else { self.0.compute_ff_tokens() }
    }

    /// How many of `tokens` may come next.
    pub(crate) fn possible(&mut self, tokens: &[u32]) -> usize {
        if self.0.is_stopped() { 0 } else { self.0.validate_tokens(tokens).unwrap_or(0) }
    }
}

/// Makes what `mask` lacks minus infinity.
fn exclude(mask: &SimpleVob, logits: &mut [f32]) {
    for (word, logits) in mask.as_slice().iter().zip(logits.chunks_mut(32)) {
        match *word {
            u32::MAX => {}
            0 => logits.fill(f32::NEG_INFINITY),
            word => {
                for (bit, logit) in logits.iter_mut().enumerate() {
                    if word >> bit & 1 == 0 {
                        *logit = f32::NEG_INFINITY;
                    }
                }
            }
        }
    }
    let covered = mask.as_slice().len() * 32;
    if let Some(rest) = logits.get_mut(covered..) {
        rest.fill(f32::NEG_INFINITY);
    }
}

/// The form in llguidance's terms.
fn grammar(guidance: &Guidance) -> Result<TopLevelGrammar> {
    let check = |text: &str| {
        if text.len() <= GUIDANCE_BYTES_MAX {
            return Ok(());
        }
        let bytes = text.len();
        Err(refuse(guidance, &format!("it has {bytes} bytes; at most {GUIDANCE_BYTES_MAX} are allowed")))
    };
    match guidance {
        Guidance::JsonSchema(text) => {
            check(text)?;
            let schema = serde_json::from_str(text).map_err(|error| refuse(guidance, &error))?;
            Ok(TopLevelGrammar::from_json_schema(compact(schema)))
        }
        Guidance::JsonObject => Ok(TopLevelGrammar::from_json_schema(compact(json!({"type": "object"})))),
        Guidance::Regex(text) => {
            check(text)?;
            Ok(TopLevelGrammar::from_regex(text))
        }
        Guidance::Lark(text) => {
            check(text)?;
            Ok(TopLevelGrammar::from_lark(text.clone()))
        }
        Guidance::Choice(choices) => {
            if choices.is_empty() {
                return Err(refuse(guidance, &"it is empty; give at least one text"));
            }
            let quoted: Vec<String> = choices.iter().map(|choice| json!(choice).to_string()).collect();
            let text = format!("start: {}", quoted.join(" | "));
            check(&text)?;
            Ok(TopLevelGrammar::from_lark(text))
        }
    }
}

/// Takes free white space out of a schema: a small model may put it out for ever. One space after commas and colons, as
/// most JSON in a model's training has it. A schema that sets `x-guidance` itself is left alone.
fn compact(mut schema: Value) -> Value {
    if let Some(schema) = schema.as_object_mut()
        && !schema.contains_key("x-guidance")
    {
        let spaces = json!({"whitespace_flexible": false, "item_separator": ", ", "key_separator": ": "});
        schema.insert("x-guidance".to_owned(), spaces);
    }
    schema
}

fn refuse(guidance: &Guidance, error: &dyn std::fmt::Display) -> Error {
    let what = match guidance {
        Guidance::JsonSchema(_) | Guidance::JsonObject => "the json schema",
        Guidance::Regex(_) => "the regular expression",
        Guidance::Lark(_) => "the grammar",
        Guidance::Choice(_) => "the list of choices",
    };
    Error::parameter("guidance", format!("{what} cannot be followed: {}", short(error)))
}

fn stuck(error: &dyn std::fmt::Display) -> Error {
    Error::data(format!("guidance came to a place from which it cannot go on: {}", short(error)))
}

/// An error of llguidance without its appendix.
fn short(error: &dyn std::fmt::Display) -> String {
    let text = error.to_string();
    text.split("\n<").next().unwrap_or_default().trim().to_owned()
}
