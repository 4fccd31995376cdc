//! How far a statement has come, drawn on a terminal's standard error once it takes long enough to wonder.

use std::sync::Arc;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use lakemill_query::{Observer, Progress};
use tokio::task::JoinHandle;

use crate::interrupt::CancelFlag;
use crate::output::grouped;

/// A statement that is done sooner than this draws nothing.
const DRAW_AFTER: Duration = Duration::from_secs(1);
const TICK: Duration = Duration::from_millis(100);

/// Watches one statement.
#[derive(Debug)]
pub(crate) struct Watch {
    observer: Arc<Watcher>,
    drawing: Option<JoinHandle<()>>,
}

impl Watch {
    /// Begins to watch; draws only with `visible`.
    pub(crate) fn start(flag: CancelFlag, visible: bool) -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
        bar.set_style(spinner());
        let drawing = visible.then(|| {
            let bar = bar.clone();
            tokio::spawn(async move {
                tokio::time::sleep(DRAW_AFTER).await;
                bar.set_draw_target(ProgressDrawTarget::stderr());
                bar.enable_steady_tick(TICK);
            })
        });
        Self { observer: Arc::new(Watcher { flag, bar }), drawing }
    }

    /// What the statement reports to.
    pub(crate) fn observer(&self) -> Arc<dyn Observer> {
        self.observer.clone()
    }

    /// Wipes the drawing, before anything else is printed.
    pub(crate) fn clear(&mut self) {
        if let Some(drawing) = self.drawing.take() {
            drawing.abort();
        }
        self.observer.bar.finish_and_clear();
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.clear();
    }
}

#[derive(Debug)]
struct Watcher {
    flag: CancelFlag,
    bar: ProgressBar,
}

impl Observer for Watcher {
    fn progress(&self, progress: Progress<'_>) {
        if let Some(total) = progress.rows_total.filter(|total| *total > 0) {
            if self.bar.length() != Some(total) {
                self.bar.set_length(total);
                self.bar.set_style(bar());
            }
            self.bar.set_position(progress.rows_done.min(total));
        }
        self.bar.set_message(described(&progress));
    }

    fn is_cancelled(&self) -> bool {
        self.flag.is_set()
    }
}

/// One line about the progress.
fn described(progress: &Progress<'_>) -> String {
    let mut text = progress.phase.to_owned();
    if let Some((iteration, of)) = progress.iteration {
        text.push_str(&format!(", iteration {iteration} of {of}"));
    }
    if let Some(loss) = progress.loss {
        text.push_str(&format!(", loss {loss:.5}"));
    }
    if progress.rows_done > 0 && progress.iteration.is_none() {
        text.push_str(&format!(", {} rows", grouped(progress.rows_done)));
    }
    if let Some(tokens) = progress.tokens {
        text.push_str(&format!(", {:.0} tokens a second", tokens.generated_per_s));
    }
    text
}

fn spinner() -> ProgressStyle {
    ProgressStyle::with_template("{spinner} {elapsed} {msg}").unwrap_or_else(|_| ProgressStyle::default_spinner())
}

fn bar() -> ProgressStyle {
    ProgressStyle::with_template("{spinner} {elapsed} {bar:30} {percent:>3}% {msg}, {eta} left")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
}
