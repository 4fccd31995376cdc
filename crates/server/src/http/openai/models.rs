//! From a model's name to an engine that runs it: who may ask, what is loaded, and how prompts become tokens.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use lakemill_base::ErrorKind;
use lakemill_llm::{Request, Stream};
use lakemill_model::chat::{ChatTemplate, Conversation};
use lakemill_query::language::{Embedder, Generator, Kind, ModelInfo};

use super::super::Shared;
use super::super::caller::Caller;
use super::parameters::Parameters;
use super::problem::{Refusal, Result, of_engine};
use crate::error::Error;

/// A request that may be looked at.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) parameters: Parameters,
    pub(super) model: String,
    /// Whose cached prefixes it shares: users learn nothing of each other's prompts from the time that theirs take.
    pub(super) scope: u64,
}

/// Counts a request against its user's rate and reads it.
///
/// # Errors
/// Overloaded; the server stops; no such JSON.
pub(super) fn open(
    shared: &Shared,
    caller: &Caller,
    body: std::result::Result<Bytes, BytesRejection>,
) -> Result<Opened> {
    let body = body.map_err(|rejection| Refusal::body(&rejection))?;
    if shared.service.stop.is_cancelled() {
        return Err(Error::shutting_down().into());
    }
    shared.engine.asked(caller.user())?;
    let mut parameters = Parameters::read(&body)?;
    let Some(model) = parameters.text("model")? else {
        return Err(Refusal::parameter("model", "'model' is missing; GET /v1/models lists the models"));
    };
    let mut hasher = DefaultHasher::new();
    caller.user().hash(&mut hasher);
    Ok(Opened { parameters, model, scope: hasher.finish() })
}

/// A language model that the caller may use, loaded.
///
/// # Errors
/// Not found; Denied; a model of another kind; what loading it finds wrong.
pub(super) async fn generator(shared: &Shared, caller: Caller, name: &str) -> Result<Arc<Generator>> {
    let (session, name) = (caller.session(shared), name.to_owned());
    let loaded = async move {
        let info = session.language_model(&name).await?;
        of_kind(&info, Kind::Language)?;
        Ok(session.language().generator(&info).await?)
    };
    Ok(shared.engine.on_work(loaded).await?)
}

/// An encoder that the caller may use, loaded.
///
/// # Errors
/// As [`generator`].
pub(super) async fn embedder(shared: &Shared, caller: Caller, name: &str) -> Result<Arc<Embedder>> {
    let (session, name) = (caller.session(shared), name.to_owned());
    let loaded = async move {
        let info = session.language_model(&name).await?;
        of_kind(&info, Kind::Embedding)?;
        Ok(session.language().embedder(&info).await?)
    };
    Ok(shared.engine.on_work(loaded).await?)
}

fn of_kind(info: &ModelInfo, kind: Kind) -> Result<(), Error> {
    let name = &info.name;
    match (info.kind, kind) {
        (Kind::Embedding, Kind::Language) => {
            Err(Error::invalid(format!("model '{name}' makes vectors of texts; ask it at /v1/embeddings")))
        }
        (Kind::Language, Kind::Embedding) => {
            Err(Error::invalid(format!("model '{name}' continues texts; /v1/embeddings needs an EMBEDDING_MODEL")))
        }
        _ => Ok(()),
    }
}

/// Does what keeps a thread busy (tokens of long prompts, grammars) where it holds up no connection, a few at a time.
///
/// # Errors
/// The work's own; the server stops.
pub(super) async fn prepare<T: Send + 'static>(
    shared: &Shared,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let place = Arc::clone(&shared.preparing).acquire_owned().await.map_err(|_| Error::shutting_down())?;
    let task = tokio::task::spawn_blocking(move || {
        let done = work();
        drop(place);
        done
    });
    task.await.unwrap_or_else(|error| {
        tracing::error!(%error, "a request has panicked");
        Err(Error::internal("the request has failed unexpectedly; the server's log says more").into())
    })
}

/// Gives a request to the engine.
///
/// # Errors
/// The request cannot be served; the queue is full.
pub(super) fn start(generator: &Generator, request: Request) -> Result<Stream> {
    generator.service().generate(request).map_err(|error| of_engine(&error))
}

/// The tokens of a text that its caller has written as a whole: marks of the model's protocol are special tokens.
///
/// # Errors
/// No tokens.
pub(super) fn tokens(generator: &Generator, text: &str) -> Result<Vec<u32>> {
    let tokens = generator.tokenizer().encode_with_special(text, true).map_err(|error| of_model("prompt", &error))?;
    match tokens.is_empty() {
        true => Err(Refusal::parameter("prompt", "'prompt' is empty")),
        false => Ok(tokens),
    }
}

/// The text of tokens.
///
/// # Errors
/// A token that the model does not have.
pub(super) fn text(generator: &Generator, tokens: &[u32]) -> Result<String> {
    generator.tokenizer().decode(tokens, false).map_err(|error| of_model("prompt", &error))
}

/// The tokens of a conversation that waits for the assistant's turn.
///
/// # Errors
/// What the template refuses.
pub(super) fn conversation(
    generator: &Generator,
    template: &ChatTemplate,
    said: &Conversation<'_>,
) -> Result<Vec<u32>> {
    template.prompt(generator.tokenizer(), said).map_err(|error| of_model("messages", &error))
}

fn of_model(parameter: &str, error: &lakemill_model::Error) -> Refusal {
    match error.kind() {
        // A template that fails does so at what the conversation has.
        ErrorKind::Invalid | ErrorKind::Data | ErrorKind::Exhausted => Refusal::parameter(parameter, error.to_string()),
        kind => Error::new(kind, error.to_string()).into(),
    }
}

/// The time for answers' heads.
pub(super) fn now_ms(shared: &Shared) -> i64 {
    shared.engine.session().clock().now_ms()
}
