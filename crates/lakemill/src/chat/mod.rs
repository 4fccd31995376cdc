//! The prompt of `lakemill chat`: what is typed goes to a language model, what it says comes as it says it.
//!
//! - `conversation`: what was said, cut to what the model can see; `answer`: one turn of the model's; `command`: what
//!   begins with a slash.

mod answer;
mod command;
mod conversation;

use std::io::{self, IsTerminal, Read, Write};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result};
use futures::FutureExt;
use lakemill_llm::Sampling;
use lakemill_query::language::Generator;
use rustyline::config::BellStyle;
use rustyline::error::ReadlineError;
use rustyline::history::FileHistory;
use rustyline::{Config, Editor};

use crate::engine::Engine;
use crate::failure::{self, Cancelled, Problem};
use crate::repl::history_file;
use answer::{Answer, answer};
use command::Flow;
use conversation::Conversation;

/// Lines remembered between conversations.
const HISTORY_ENTRIES_MAX: usize = 10_000;

/// The longest prompt that is read from a pipe: more than any model sees.
const PIPED_BYTES_MAX: u64 = 64 << 20;

const PROMPT: &str = "> ";
const PROMPT_ON: &str = ". ";

/// How the model is to speak.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) system: Option<String>,
    pub(crate) sampling: Sampling,
    pub(crate) max_tokens: Option<usize>,
}

/// One conversation with one model.
#[derive(Debug)]
pub(crate) struct Chat<'e> {
    engine: &'e Engine,
    generator: Arc<Generator>,
    settings: Settings,
    conversation: Conversation,
}

impl<'e> Chat<'e> {
    pub(crate) fn new(engine: &'e Engine, generator: Arc<Generator>, settings: Settings) -> Self {
        let conversation = Conversation::new(settings.system.clone());
        Self { engine, generator, settings, conversation }
    }

    /// Talks until the user leaves, or answers what a pipe says.
    pub(crate) fn run(mut self) -> Result<()> {
        if io::stdin().is_terminal() { self.talk() } else { self.answer_pipe() }
    }

    fn answer_pipe(&mut self) -> Result<()> {
        let mut prompt = Vec::new();
        io::stdin().lock().take(PIPED_BYTES_MAX).read_to_end(&mut prompt).context("cannot read standard input")?;
        let prompt = String::from_utf8(prompt).map_err(|error| {
            let at = error.utf8_error().valid_up_to();
            Problem::new(lakemill_base::ErrorKind::Data, format!("standard input is not UTF-8 at byte {at}"))
        })?;
        if prompt.trim().is_empty() {
            return Err(Problem::invalid("standard input is empty: it is the prompt, or a terminal to talk at").into());
        }
        self.conversation.user(prompt.trim_end());
        let (_, stopped) = self.turn()?;
        if stopped { Err(Cancelled.into()) } else { Ok(()) }
    }

    fn talk(&mut self) -> Result<()> {
        let color = console::colors_enabled();
        let config = Config::builder()
            .max_history_size(HISTORY_ENTRIES_MAX)?
            .history_ignore_dups(true)?
            .history_ignore_space(true)
            .bell_style(BellStyle::None)
            .build();
        let mut editor: Editor<(), FileHistory> = Editor::with_config(config).context("cannot use the terminal")?;
        let history = history_file("chat_history");
        if let Some(path) = &history {
            // No history yet, or one that cannot be read: the prompt works without.
            let _ = editor.load_history(path);
        }
        writeln!(io::stdout(), "{}; /help for help, /exit to leave", self.generator.info().source)?;
        let mut typed = String::new();
        loop {
            let prompt = if typed.is_empty() { PROMPT } else { PROMPT_ON };
            let styled = if color { format!("\x1b[1;36m{prompt}\x1b[0m") } else { prompt.to_owned() };
            match editor.readline(&(prompt.to_owned(), styled)) {
                Ok(line) => {
                    typed.push_str(&line);
                    // A line that ends so goes on in the next.
                    if typed.ends_with('\\') {
                        typed.pop();
                        typed.push('\n');
                        continue;
                    }
                    let text = std::mem::take(&mut typed);
                    if text.trim().is_empty() {
                        continue;
                    }
                    remember(&mut editor, &text, history.as_ref());
                    if self.take(text.trim())? == Flow::Leave {
                        return Ok(());
                    }
                }
                Err(ReadlineError::Interrupted) => typed.clear(),
                Err(ReadlineError::Eof) => return Ok(()),
                Err(error) => return Err(error).context("cannot read the terminal"),
            }
        }
    }

    /// Takes one entry; what goes wrong with it does not end the conversation.
    fn take(&mut self, text: &str) -> Result<Flow> {
        let taken = match text.strip_prefix('/') {
            Some(command) => command::run(&mut self.conversation, command),
            None => self.say(text).map(|()| Flow::GoOn),
        };
        match taken {
            Err(error) if !failure::is_broken_pipe(&error) => {
                failure::report(&error);
                Ok(Flow::GoOn)
            }
            taken => taken,
        }
    }

    fn say(&mut self, text: &str) -> Result<()> {
        self.conversation.user(text);
        match self.turn() {
            Ok((answer, stopped)) => {
                let dim = console::Style::new().for_stderr().dim();
                let mark = if stopped { "stopped, " } else { "" };
                writeln!(io::stderr(), "{}", dim.apply_to(format!("[{mark}{}]", answer.described())))?;
                Ok(())
            }
            Err(error) => {
                // What got no answer was not said.
                self.conversation.unsay();
                Err(error)
            }
        }
    }

    /// The model's turn, and whether the user has stopped it; what it has said until then is said.
    fn turn(&mut self) -> Result<(Answer, bool)> {
        let flag = self.engine.interrupts().arm();
        let prompt = self.conversation.prompt(&self.generator, self.settings.max_tokens)?;
        if prompt.forgotten > 0 {
            let messages = if prompt.forgotten == 1 { "message is" } else { "messages are" };
            writeln!(
                io::stderr(),
                "the first {} {messages} more than the model can see, and left out",
                prompt.forgotten
            )?;
        }
        let mut request = lakemill_llm::Request::new(prompt.tokens);
        request.sampling = self.settings.sampling.clone();
        request.max_tokens = self.settings.max_tokens;
        request.stream = true;
        let answered = self.engine.block_on(answer(&self.generator, request, &flag).boxed_local())?;
        self.conversation.assistant(&answered.text);
        Ok((answered, flag.is_set()))
    }
}

/// Adds an entry to the history, and to its file at once.
fn remember(editor: &mut Editor<(), FileHistory>, text: &str, file: Option<&PathBuf>) {
    let added = editor.add_history_entry(text).unwrap_or(false);
    if let Some(path) = file.filter(|_| added) {
        // A history that cannot be kept is no reason to stop talking.
        let _ = editor.append_history(path);
    }
}
