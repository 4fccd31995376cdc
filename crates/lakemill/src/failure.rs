//! What goes wrong, as people and scripts see it: text on standard error and an exit code.

use std::fmt;
use std::io::{self, Write};

use lakemill_base::ErrorKind;

use crate::sql::lex;
use crate::sql::script::Place;

/// The exit code of a process that was cancelled with Ctrl-C: 128 and the number of SIGINT.
pub(crate) const EXIT_CANCELLED: u8 = 130;
/// The exit code of a process whose reader went away: 128 and the number of SIGPIPE.
const EXIT_BROKEN_PIPE: u8 = 141;

/// An error of the binary itself, with its kind.
#[derive(Debug)]
pub(crate) struct Problem {
    kind: ErrorKind,
    message: String,
}

impl Problem {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Invalid, message)
    }

    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::NotFound, message)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Problem {}

/// The user cancelled.
#[derive(Debug)]
pub(crate) struct Cancelled;

impl fmt::Display for Cancelled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("cancelled")
    }
}

impl std::error::Error for Cancelled {}

/// An error with the place in a script that it is about.
#[derive(Debug)]
pub(crate) struct Located {
    /// The script's name; `None` for what was typed.
    pub(crate) script: Option<String>,
    pub(crate) place: Place,
    /// The whole line that the place is in.
    pub(crate) line: String,
    pub(crate) error: lakemill_query::Error,
    /// What may help when something was not found.
    note: Option<String>,
}

impl Located {
    /// Puts the place of `error`, which counts from `start`, into the script `text`. Without a place the error
    /// is about the statement as a whole, and is given the statement's.
    pub(crate) fn new(script: Option<&str>, text: &str, start: Place, error: lakemill_query::Error) -> Self {
        let inner = error.position().map(|p| Place { line: p.line as usize, column: p.column as usize });
        let place = inner.map_or(start, |inner| start.shifted(inner));
        let line = text.lines().nth(place.line - 1).unwrap_or_default().to_owned();
        Self { script: script.map(str::to_owned), place, line, error, note: None }
    }

    /// Adds a note where the error is that something was not found.
    pub(crate) fn with_note(mut self, note: Option<String>) -> Self {
        self.note = note.filter(|_| self.error.kind() == ErrorKind::NotFound);
        self
    }
}

impl fmt::Display for Located {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.error.message())
    }
}

impl std::error::Error for Located {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        std::error::Error::source(&self.error)
    }
}

/// The kind of an error, by the first of its causes that has one.
fn kind(error: &anyhow::Error) -> Option<ErrorKind> {
    error.chain().find_map(|cause| {
        if let Some(problem) = cause.downcast_ref::<Problem>() {
            Some(problem.kind)
        } else if let Some(located) = cause.downcast_ref::<Located>() {
            Some(located.error.kind())
        } else if let Some(error) = cause.downcast_ref::<lakemill_query::Error>() {
            Some(error.kind())
        } else if let Some(error) = cause.downcast_ref::<lakemill_lake::Error>() {
            Some(error.kind())
        } else if let Some(error) = cause.downcast_ref::<lakemill_learn::Error>() {
            Some(error.kind())
        } else if let Some(error) = cause.downcast_ref::<lakemill_pipeline::Error>() {
            Some(error.kind())
        } else if let Some(error) = cause.downcast_ref::<lakemill_server::Error>() {
            Some(error.kind())
        } else if let Some(error) = cause.downcast_ref::<lakemill_model::Error>() {
            Some(error.kind())
        } else if let Some(error) = cause.downcast_ref::<lakemill_llm::Error>() {
            Some(error.kind())
        } else {
            cause.downcast_ref::<io::Error>().map(kind_of_io)
        }
    })
}

fn kind_of_io(error: &io::Error) -> ErrorKind {
    match error.kind() {
        io::ErrorKind::NotFound => ErrorKind::NotFound,
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => ErrorKind::Exhausted,
        io::ErrorKind::TimedOut | io::ErrorKind::ConnectionRefused => ErrorKind::Unavailable,
        _ => ErrorKind::Invalid,
    }
}

/// The process's exit code for an error.
pub(crate) fn exit_code(error: &anyhow::Error) -> u8 {
    if error.chain().any(|cause| cause.is::<Cancelled>()) {
        EXIT_CANCELLED
    } else if is_broken_pipe(error) {
        EXIT_BROKEN_PIPE
    } else {
        kind(error).unwrap_or(ErrorKind::Internal).exit_code()
    }
}

/// Whether the error is that nobody reads our output any more, as after `| head`.
pub(crate) fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// What the threads are called that a server's connections are served on.
pub(crate) const SERVING_THREAD: &str = "lakemill-io";

/// Prints an error on standard error. One that nobody needs to read (a broken pipe) is passed over.
pub(crate) fn report(error: &anyhow::Error) {
    if is_broken_pipe(error) {
        return;
    }
    // Standard error is the last resort: where it fails, there is nobody left to tell.
    let _ = io::stderr().write_all(rendered(error).as_bytes());
}

/// Says nothing of a panic that is no failure. When the end of an upload fails, as on a full disk, deltalake cancels the
/// upload by a function of object_store that panics at this point, catches that, and returns the error of the upload. And a
/// server goes on after a message that cannot be read.
pub(crate) fn hush_caught_panics() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let said = panic.payload().downcast_ref::<&str>().copied();
        let place = panic.location().map(|location| location.file()).unwrap_or_default();
        let caught =
            said == Some("Already shut down") && place.contains("object_store") && place.ends_with("buffered.rs");
        let io = std::thread::current().name() == Some(SERVING_THREAD);
        let broken = io && lakemill_server::is_of_a_broken_message(panic);
        if !caught && !broken {
            report(panic);
        }
    }));
}

/// The error as it is printed.
fn rendered(error: &anyhow::Error) -> String {
    if error.chain().any(|cause| cause.is::<Cancelled>()) {
        return format!("{error}\n");
    }
    let red = console::Style::new().for_stderr().red().bold();
    let mut above = message(error.chain().next());
    let mut text = format!("{} {above}\n", red.apply_to("error:"));
    for cause in error.chain() {
        if let Some(located) = cause.downcast_ref::<Located>() {
            text.push_str(&excerpt(located.script.as_deref(), located.place, &located.line));
            text.extend(located.note.iter().map(|note| format!("  note: {note}\n")));
        } else if let Some((error, place)) =
            cause.downcast_ref::<lakemill_pipeline::Error>().and_then(|error| Some((error, error.place()?)))
        {
            let line = error.snippet().and_then(|snippet| snippet.lines().next()).unwrap_or_default();
            let file = place.file.display().to_string();
            let place = Place { line: place.line as usize, column: place.column as usize };
            text.push_str(&excerpt(Some(&file), place, line));
        }
    }
    for cause in error.chain().skip(1) {
        let cause = message(Some(cause));
        if !above.contains(&cause) {
            text.push_str(&format!("  because: {cause}\n"));
            above = cause;
        }
    }
    if kind(error) == Some(ErrorKind::Internal) {
        text.push_str("  this is a bug in lakemill; please report it with the output of `lakemill --version`\n");
    }
    text
}

/// An error's text without its place, which is shown below it.
fn message(error: Option<&(dyn std::error::Error + 'static)>) -> String {
    let Some(error) = error else { return String::new() };
    if let Some(error) = error.downcast_ref::<lakemill_query::Error>() {
        error.message().to_owned()
    } else if let Some(error) = error.downcast_ref::<lakemill_pipeline::Error>() {
        error.message().to_owned()
    } else {
        error.to_string()
    }
}

/// The line of a script with a mark below the place.
fn excerpt(script: Option<&str>, Place { line: number, column }: Place, line: &str) -> String {
    let blue = console::Style::new().for_stderr().blue().bold();
    let red = console::Style::new().for_stderr().red().bold();
    let place = match script {
        Some(script) => format!("{script}:{number}:{column}"),
        None => format!("line {number}, column {column}"),
    };
    let margin = " ".repeat(number.to_string().len());
    let at = line.char_indices().nth(column.saturating_sub(1)).map_or(line.len(), |(at, _)| at);
    let line = line.replace('\t', " ");
    let indent = " ".repeat(console::measure_text_width(&line[..at]));
    let marked =
        lex::next(&line, at).map_or(1, |token| console::measure_text_width(line[token.range].trim_end()).max(1));
    let (arrow, bar, number) = (blue.apply_to("-->"), blue.apply_to("|"), blue.apply_to(number));
    let mark = red.apply_to("^".repeat(marked));
    format!("{margin}{arrow} {place}\n{margin} {bar}\n{number} {bar} {line}\n{margin} {bar} {indent}{mark}\n")
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn marks_the_place_in_the_script() {
        let script = "SELECT 1;\n\n SELECT arr_dely\nFROM flights;";
        let error = lakemill_query::Error::not_found("unknown column 'arr_dely'; did you mean 'arr_delay'?")
            .at(lakemill_query::Position { line: 1, column: 8 });
        let located = Located::new(Some("prepare.sql"), script, Place { line: 3, column: 2 }, error);
        let error = anyhow::Error::new(located);
        assert_eq!(exit_code(&error), 3);
        let text = console::strip_ansi_codes(&rendered(&error)).into_owned();
        expect![[r#"
            error: unknown column 'arr_dely'; did you mean 'arr_delay'?
             --> prepare.sql:3:9
              |
            3 |  SELECT arr_dely
              |         ^^^^^^^^
        "#]]
        .assert_eq(&text);
    }

    #[test]
    fn a_reader_that_went_away_is_no_error_to_print() {
        let error = anyhow::Error::new(io::Error::from(io::ErrorKind::BrokenPipe)).context("cannot write");
        assert!(is_broken_pipe(&error));
        assert_eq!(exit_code(&error), 141);
    }

    #[test]
    fn cancelling_has_its_own_exit_code() {
        assert_eq!(exit_code(&anyhow::Error::new(Cancelled).context("step 30")), EXIT_CANCELLED);
    }
}
