//! Runs statements one after the other and prints what they give.

use std::fs;
use std::io::{self, IsTerminal, Write};
use std::path::Path;

use anyhow::{Context, Result};
use futures::{FutureExt, StreamExt};
use lakemill_base::Stopwatch;
use lakemill_query::{Outcome, Parsed, Session, StatementKind, Summary};

use super::command::{self, Flow};
use super::script::{Piece, Place, pieces};
use crate::engine::Engine;
use crate::failure::{self, Cancelled, Located, Problem};
use crate::interrupt::CancelFlag;
use crate::output::{self, Format, Style, Target, grouped};
use crate::progress::Watch;

/// Files that read files: deeper than this is a file that reads itself.
const INCLUDE_DEPTH_MAX: usize = 16;

/// How results are printed; the backslash commands change it.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) format: Format,
    /// `\x`: rows one below the other, whatever the format.
    pub(crate) expanded: bool,
    pub(crate) rows_max: usize,
    pub(crate) timing: bool,
    pub(crate) quiet: bool,
    pub(crate) keep_going: bool,
}

/// A text to run, and where it came from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Script<'a> {
    /// A file's name; `None` for what was typed.
    pub(crate) name: Option<&'a str>,
    pub(crate) text: &'a str,
}

/// Runs SQL with some settings.
#[derive(Debug)]
pub(crate) struct Runner<'e> {
    pub(crate) engine: &'e Engine,
    pub(crate) settings: Settings,
    pub(crate) target: Target,
    /// Counts statements that changed something, so that the prompt knows when its names are old.
    pub(crate) changes: u64,
    depth: usize,
    /// With `keep_going`: the first error.
    first_error: Option<anyhow::Error>,
}

impl<'e> Runner<'e> {
    pub(crate) fn new(engine: &'e Engine, settings: Settings, target: Target) -> Self {
        Self { engine, settings, target, changes: 0, depth: 0, first_error: None }
    }

    /// Runs a whole script; the first error ends it, unless the settings say to go on.
    pub(crate) async fn script(&mut self, script: Script<'_>, flag: &CancelFlag) -> Result<Flow> {
        for piece in pieces(script.text) {
            if flag.is_set() {
                return Err(Cancelled.into());
            }
            let result = match piece {
                Piece::Statement { text, place, .. } => {
                    self.statement(script, text, place, flag).await.map(|()| Flow::Continue)
                }
                Piece::Command { text, .. } => command::run(self, text, flag).boxed_local().await,
            };
            match result {
                Ok(Flow::Continue) => {}
                Ok(Flow::Quit) => return Ok(Flow::Quit),
                Err(error) if self.settings.keep_going && !flag.is_set() && !failure::is_broken_pipe(&error) => {
                    failure::report(&error);
                    self.first_error.get_or_insert(error);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(Flow::Continue)
    }

    /// Runs the script in a file; `-` is standard input.
    pub(crate) async fn file(&mut self, path: &Path, flag: &CancelFlag) -> Result<Flow> {
        if self.depth == INCLUDE_DEPTH_MAX {
            let path = path.display();
            return Err(Problem::invalid(format!("'{path}' is read by itself, {INCLUDE_DEPTH_MAX} times over")).into());
        }
        let (name, text) = if path == Path::new("-") {
            ("<stdin>".to_owned(), io::read_to_string(io::stdin()).context("cannot read standard input")?)
        } else {
            let name = path.display().to_string();
            let text = fs::read_to_string(path).with_context(|| format!("cannot read '{name}'"))?;
            (name, text)
        };
        // A byte order mark, as some editors write it, is not SQL.
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
        self.depth += 1;
        let flow = self.script(Script { name: Some(&name), text }, flag).boxed_local().await;
        self.depth -= 1;
        flow
    }

    /// The first error that was passed over with `keep_going`, already printed.
    pub(crate) fn take_first_error(&mut self) -> Option<anyhow::Error> {
        self.first_error.take()
    }

    /// Runs the statements of one piece of a script.
    async fn statement(&mut self, script: Script<'_>, text: &str, place: Place, flag: &CancelFlag) -> Result<()> {
        let located = |engine: &Engine, error: anyhow::Error| match error.downcast::<lakemill_query::Error>() {
            Ok(error) => Located::new(script.name, script.text, place, error).with_note(note(engine)).into(),
            Err(other) => other,
        };
        let parsed = self.engine.session().await?.parse(text).map_err(|e| located(self.engine, e.into()))?;
        for parsed in parsed {
            self.parsed(&parsed, flag).await.map_err(|error| located(self.engine, error))?;
        }
        Ok(())
    }

    async fn parsed(&mut self, parsed: &Parsed, flag: &CancelFlag) -> Result<()> {
        let clock = Stopwatch::start();
        let interactive = !self.settings.quiet && io::stderr().is_terminal();
        let looks = matches!(parsed.kind, StatementKind::Query | StatementKind::Session | StatementKind::Copy);
        let session = if looks { self.engine.session().await? } else { self.engine.lake_session().await? };
        let mut watch = Watch::start(flag.clone(), interactive);
        let outcome = execute(session, parsed, &watch, flag).await?;
        if parsed.kind == StatementKind::Session {
            self.engine.remember_setting(&parsed.text);
        }
        if !looks || parsed.kind == StatementKind::Session {
            self.changes += 1;
        }
        let rows = match outcome {
            Outcome::Rows(rows) => Some(self.print(rows, &mut watch, flag).await?),
            Outcome::Done(summary) => {
                watch.clear();
                self.say(&summary, flag.is_set())?;
                None
            }
        };
        self.say_rows_and_time(rows, &clock, interactive)
    }

    /// Prints rows as they come; gives their number.
    async fn print(
        &mut self,
        mut rows: datafusion::execution::SendableRecordBatchStream,
        watch: &mut Watch,
        flag: &CancelFlag,
    ) -> Result<u64> {
        let format = if self.settings.expanded { Format::Vertical } else { self.settings.format };
        let style = self.style();
        let out = self.target.writer(format)?;
        let mut sink = output::sink(format, &rows.schema(), out, style)?;
        let mut count = 0;
        loop {
            let next = tokio::select! {
                biased;
                () = flag.wait() => return Err(Cancelled.into()),
                next = rows.next() => next,
            };
            let Some(batch) = next else { break };
            let batch = batch.map_err(lakemill_query::Error::from)?;
            count += batch.num_rows() as u64;
            if format != Format::Table {
                watch.clear();
            }
            sink.batch(&batch)?;
        }
        watch.clear();
        sink.finish()?;
        Ok(count)
    }

    /// How tables are drawn now: the terminal may have changed its width.
    pub(crate) fn style(&self) -> Style {
        let to_terminal = matches!(self.target, Target::Stdout) && io::stdout().is_terminal();
        let width = to_terminal.then(|| usize::from(console::Term::stdout().size().1));
        let color = matches!(self.target, Target::Stdout) && console::colors_enabled();
        Style { rows_max: if self.settings.rows_max == 0 { usize::MAX } else { self.settings.rows_max }, width, color }
    }

    /// Says what a statement without rows has done, and whether it was too late to stop it.
    fn say(&self, summary: &Summary, cancelled: bool) -> Result<()> {
        if cancelled {
            writeln!(io::stderr(), "{}; it was too late to cancel it", summary.message)?;
        } else if !self.settings.quiet && !summary.message.is_empty() {
            writeln!(io::stderr(), "{}", summary.message)?;
        }
        Ok(())
    }

    fn say_rows_and_time(&self, rows: Option<u64>, clock: &Stopwatch, interactive: bool) -> Result<()> {
        let rows = rows.filter(|_| interactive).map(|n| format!("{} row{}", grouped(n), if n == 1 { "" } else { "s" }));
        let time = self.settings.timing.then(|| seconds(clock.seconds()));
        let text = match (rows, time) {
            (Some(rows), Some(time)) => format!("({rows} in {time})"),
            (Some(rows), None) => format!("({rows})"),
            (None, Some(time)) => format!("({time})"),
            (None, None) => return Ok(()),
        };
        writeln!(io::stderr(), "{}", console::style(text).for_stderr().dim())?;
        Ok(())
    }
}

/// What helps to understand that something was not found.
fn note(engine: &Engine) -> Option<String> {
    engine.lake_is_missing().then(|| format!("there is no lake at '{}' yet", engine.global().lake))
}

/// Executes a statement; it stops itself when the flag is set. One that had begun to commit is done all the same.
async fn execute(session: &Session, parsed: &Parsed, watch: &Watch, flag: &CancelFlag) -> Result<Outcome> {
    let mut work = session.execute(parsed, watch.observer()).boxed_local();
    let done = tokio::select! {
        biased;
        done = &mut work => done,
        // The next poll sees the flag.
        () = flag.wait() => work.await,
    };
    match done {
        Ok(executed) => Ok(executed.outcome),
        // What fails because it was told to stop has not failed.
        Err(_) if flag.is_set() => Err(Cancelled.into()),
        Err(error) => Err(error.into()),
    }
}

/// A duration with three digits that matter.
pub(crate) fn seconds(seconds: f64) -> String {
    match seconds {
        s if s < 1.0 => format!("{:.0} ms", s * 1000.0),
        s if s < 10.0 => format!("{s:.2} s"),
        s if s < 120.0 => format!("{s:.1} s"),
        s => format!("{} min {:.0} s", (s / 60.0) as u64, s % 60.0),
    }
}
