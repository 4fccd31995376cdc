//! Language models of the command line: found by name or by where their files are, fetched with a bar, loaded.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use lakemill_base::ErrorKind;
use lakemill_query::language::{Generator, Kind, LoadSettings, ModelInfo};

use crate::engine::Engine;
use crate::failure::{Cancelled, Problem};
use crate::interrupt::CancelFlag;

/// How often a bar moves while nothing comes.
const TICK: Duration = Duration::from_millis(100);

/// The language model of that name in the lake, or of those files; loaded.
///
/// # Errors
/// Not found; files that cannot be had or are no model; the user has cancelled.
pub(super) async fn generator(engine: &Engine, model: &str, flag: &CancelFlag) -> Result<Arc<Generator>> {
    let session = engine.session().await?;
    let info = match is_source(model) {
        true => inspect(model, model, Some(Kind::Language), flag).await?,
        false => session.language_model(model).await.map_err(|error| match error.kind() {
            ErrorKind::NotFound => Problem::not_found(format!(
                "{}; files are named by their path, hf://organisation/name or pypi://package",
                error.message()
            ))
            .into(),
            _ => anyhow::Error::from(error),
        })?,
    };
    if info.kind != Kind::Language {
        return Err(Problem::invalid(format!("model '{model}' makes vectors of texts, and says nothing")).into());
    }
    let bar = Bar::start("loading");
    let language = session.language().clone();
    let loaded = tokio::select! {
        loaded = language.generator(&info) => loaded?,
        () = flag.wait() => return Err(Cancelled.into()),
    };
    drop(bar);
    Ok(loaded)
}

/// Whether a model is named by its files rather than by a name of the lake.
pub(super) fn is_source(model: &str) -> bool {
    model.contains("://") || model.contains(['/', '\\']) || Path::new(model).exists()
}

/// Finds out what a source has, and fetches it where it is not here yet; what was begun before goes on.
///
/// # Errors
/// Not found, Unavailable: it cannot be had. Data: it is no model. The user has cancelled.
pub(super) async fn inspect(name: &str, source: &str, kind: Option<Kind>, flag: &CancelFlag) -> Result<ModelInfo> {
    let bar = Bar::start(if ModelInfo::is_local(source) { "reading" } else { "fetching" });
    let (shown, name, source) = (bar.0.clone(), name.to_owned(), source.to_owned());
    let work = move || {
        let mut progress = |done, total| advance(&shown, done, total);
        ModelInfo::inspect(&name, kind, &source, LoadSettings::default(), &mut progress)
    };
    tokio::select! {
        info = tokio::task::spawn_blocking(work) => Ok(info.context("a thread has failed")??),
        () = flag.wait() => Err(Cancelled.into()),
    }
}

/// A line on a terminal that says how far something is.
#[derive(Debug)]
pub(super) struct Bar(pub(super) ProgressBar);

impl Bar {
    pub(super) fn start(what: &'static str) -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        bar.set_style(style("{spinner} {msg}"));
        bar.set_message(what);
        bar.enable_steady_tick(TICK);
        Self(bar)
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// Moves a bar to so many bytes.
pub(super) fn advance(bar: &ProgressBar, done: u64, total: Option<u64>) {
    if let Some(total) = total.filter(|total| *total > 0)
        && bar.length() != Some(total)
    {
        bar.set_length(total);
        bar.set_style(style("{spinner} {msg} {bar:30} {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left"));
    }
    bar.set_position(done);
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
