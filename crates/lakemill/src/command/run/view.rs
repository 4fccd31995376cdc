//! A run as it goes: a line for what is finished and, on a terminal, a moving one for what is not.

use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use lakemill_base::Stopwatch;
use lakemill_pipeline::{Preview, RunEvent, RunObserver, StatementSummary, StepStatus, StepSummary};
use lakemill_query::Progress;

use crate::cli::SummaryFormat;
use crate::output::{Style, draw_texts, grouped};
use crate::sql::runner::seconds;

const TICK: Duration = Duration::from_millis(100);
/// Without a terminal, a long statement says how far it is this often.
const PLAIN_EVERY: Duration = Duration::from_secs(10);

/// Draws a run.
#[derive(Debug)]
pub(super) struct RunView {
    /// Nothing but JSON may stand on standard output.
    silent: bool,
    bar: ProgressBar,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    shape: Shape,
    phase: String,
    plain: Stopwatch,
}

/// What the moving line shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Waiting,
    Rows,
    RowsOf,
    Iterations,
}

impl RunView {
    pub(super) fn new(format: SummaryFormat) -> Self {
        let visible = io::stderr().is_terminal();
        let target = if visible { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(None, target);
        let state = State { shape: Shape::Waiting, phase: String::new(), plain: Stopwatch::start() };
        Self { silent: format == SummaryFormat::Json, bar, state: Mutex::new(state) }
    }

    /// Wipes the moving line.
    pub(super) fn clear(&self) {
        self.bar.finish_and_clear();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Prints lines above the moving one.
    fn say(&self, text: &str) {
        if !self.silent {
            // A reader that went away does not stop the run: its commits matter more than its lines.
            self.bar.suspend(|| drop(io::stdout().write_all(text.as_bytes())));
        }
    }

    fn start_statement(&self, label: &str) {
        let mut state = self.state();
        state.shape = Shape::Waiting;
        state.phase.clear();
        state.plain = Stopwatch::start();
        drop(state);
        self.bar.reset();
        self.bar.unset_length();
        self.bar.set_style(style(Shape::Waiting));
        self.bar.set_prefix(label.to_owned());
        self.bar.set_message("");
        self.bar.enable_steady_tick(TICK);
    }

    fn progress(&self, label: &str, progress: &Progress<'_>) {
        let shape = match (progress.iteration, progress.rows_total, progress.rows_done) {
            (Some(_), ..) => Shape::Iterations,
            (None, Some(total), _) if total > 0 => Shape::RowsOf,
            (None, _, done) if done > 0 => Shape::Rows,
            _ => Shape::Waiting,
        };
        let mut state = self.state();
        if state.shape != shape || state.phase != progress.phase {
            state.shape = shape;
            progress.phase.clone_into(&mut state.phase);
            self.bar.reset();
            self.bar.unset_length();
            self.bar.set_style(style(shape));
        }
        let due = self.bar.is_hidden() && state.plain.elapsed() >= PLAIN_EVERY;
        if due {
            state.plain = Stopwatch::start();
        }
        drop(state);
        let loss = progress.loss.map_or_else(String::new, |loss| format!(", loss {loss:.5}"));
        self.bar.set_message(format!("{}{loss}", progress.phase));
        match progress.iteration {
            Some((iteration, of)) => {
                self.bar.set_length(u64::from(of));
                self.bar.set_position(u64::from(iteration));
            }
            None => {
                if let Some(total) = progress.rows_total.filter(|_| shape == Shape::RowsOf) {
                    self.bar.set_length(total.max(progress.rows_done));
                }
                self.bar.set_position(progress.rows_done);
            }
        }
        if due {
            self.say(&format!("  {label}: {}{}\n", so_far(progress), loss));
        }
    }

    fn finish_statement(&self, summary: &StatementSummary) {
        self.bar.disable_steady_tick();
        self.bar.set_style(style(Shape::Waiting));
        self.bar.finish_and_clear();
        let rows = summary.rows.map_or_else(String::new, |rows| format!("{} rows, ", grouped(rows)));
        self.say(&format!("  {}: {rows}{}\n", summary.label, seconds(summary.seconds)));
    }

    fn finish_step(&self, step: &StepSummary) {
        self.bar.finish_and_clear();
        let dim = console::Style::new().dim();
        match step.status {
            StepStatus::UpToDate => self.say(&format!("{} {}\n", step.title, dim.apply_to("is up to date"))),
            StepStatus::Failed => self.say(&format!("  failed after {}\n", seconds(step.seconds))),
            StepStatus::Cancelled => self.say(&format!("  stopped after {}\n", seconds(step.seconds))),
            StepStatus::Ran | StepStatus::NotSelected | StepStatus::NotReached => {}
        }
    }

    fn show_rows(&self, preview: &Preview) {
        let mut text = Vec::new();
        if !preview.title.is_empty() {
            text.extend_from_slice(format!("  {}\n", preview.title.replace('\n', "\n  ")).as_bytes());
        }
        let width = io::stdout().is_terminal().then(|| usize::from(console::Term::stdout().size().1));
        let style = Style { rows_max: usize::MAX, width, color: console::colors_enabled() };
        let columns: Vec<(&str, bool)> =
            preview.columns.iter().map(String::as_str).zip(preview.numeric.iter().copied()).collect();
        if draw_texts(&mut text, &columns, preview.rows.clone(), style).is_ok() {
            if preview.more {
                text.extend_from_slice(b"  and more rows\n");
            }
            self.say(&String::from_utf8_lossy(&text));
        }
    }
}

impl RunObserver for RunView {
    fn event(&self, event: &RunEvent<'_>) {
        match event {
            RunEvent::Planned(_) | RunEvent::Finished(_) => {}
            RunEvent::StepStarted { index, of, title, .. } => {
                let bold = console::Style::new().bold();
                self.say(&format!("{}\n", bold.apply_to(format!("[{}/{of}] {title}", index + 1))));
            }
            RunEvent::StatementStarted { label, .. } => self.start_statement(label),
            RunEvent::Progress { label, progress, .. } => self.progress(label, progress),
            RunEvent::Rows { preview, .. } => self.show_rows(preview),
            RunEvent::StatementFinished { summary, .. } => self.finish_statement(summary),
            RunEvent::StepFinished(step) => self.finish_step(step),
        }
    }
}

/// How far a statement is, in words.
fn so_far(progress: &Progress<'_>) -> String {
    match (progress.iteration, progress.rows_total) {
        (Some((iteration, of)), _) => format!("iteration {iteration} of {of}"),
        (None, Some(total)) => format!("{} of {} rows", grouped(progress.rows_done), grouped(total)),
        (None, None) => format!("{} rows", grouped(progress.rows_done)),
    }
}

fn style(shape: Shape) -> ProgressStyle {
    let template = match shape {
        Shape::Waiting => "  {spinner} {prefix} {msg} {elapsed}",
        Shape::Rows => "  {spinner} {prefix} {msg}: {rows} rows, {rate} rows/s",
        Shape::RowsOf => "  {spinner} {prefix} {bar:24} {rows} of {total} rows, {rate} rows/s, {eta} left",
        Shape::Iterations => "  {spinner} {prefix} {bar:24} {pos} of {len} iterations, {msg}, {eta} left",
    };
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_spinner())
        .with_key("rows", |state: &ProgressState, out: &mut dyn fmt::Write| {
            let _ = out.write_str(&grouped(state.pos()));
        })
        .with_key("total", |state: &ProgressState, out: &mut dyn fmt::Write| {
            let _ = out.write_str(&grouped(state.len().unwrap_or_default()));
        })
        .with_key("rate", |state: &ProgressState, out: &mut dyn fmt::Write| {
            let _ = write!(out, "{}", grouped(state.per_sec() as u64));
        })
}
