//! The commands of the chat prompt, which begin with a slash.

use std::io::{self, Write};
use std::path::Path;

use anyhow::Result;
use lakemill_base::unknown;

use super::conversation::Conversation;
use crate::failure::Problem;

/// Whether to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flow {
    GoOn,
    Leave,
}

/// Every command: its name, its argument, what it does.
const COMMANDS: [(&str, &str, &str); 5] = [
    ("help", "", "this list"),
    ("clear", "", "begin anew; the system's message stays"),
    ("system", "[TEXT|-]", "show the system's message, or make it another; - takes it away"),
    ("save", "FILE", "write the conversation to a file: as JSON if it ends in .json, else as text"),
    ("exit", "", "leave, as Ctrl-D does"),
];

/// Runs a command, which comes without its slash.
///
/// # Errors
/// Invalid: there is no such command, or it lacks its argument; a file that cannot be written.
pub(super) fn run(conversation: &mut Conversation, text: &str) -> Result<Flow> {
    let (name, argument) = text.split_once(char::is_whitespace).map_or((text, ""), |(name, rest)| (name, rest.trim()));
    let mut out = io::stdout();
    match name {
        "exit" | "quit" | "q" => return Ok(Flow::Leave),
        "help" | "h" | "?" => out.write_all(help().as_bytes())?,
        "clear" => conversation.clear(),
        "system" => match argument {
            "" => writeln!(out, "{}", conversation.system().unwrap_or("there is no system message"))?,
            "-" => conversation.set_system(None),
            text => conversation.set_system(Some(text.to_owned())),
        },
        "save" if argument.is_empty() => {
            return Err(Problem::invalid("/save needs a file: /save conversation.md").into());
        }
        "save" => {
            conversation.save(Path::new(argument))?;
            writeln!(io::stderr(), "saved to {argument}")?;
        }
        other => {
            let names = COMMANDS.iter().map(|(name, ..)| *name);
            return Err(Problem::invalid(unknown("command", other, names)).into());
        }
    }
    Ok(Flow::GoOn)
}

fn help() -> String {
    let line = |(name, argument, does): &(&str, &str, &str)| format!("  {:<18}{does}\n", format!("/{name} {argument}"));
    let commands: String = COMMANDS.iter().map(line).collect();
    format!("{commands}\nA line that ends with \\ goes on in the next. Ctrl-C stops an answer, Ctrl-D leaves.\n")
}

#[cfg(test)]
mod tests {
    use super::super::conversation::Conversation;
    use super::{Flow, help, run};

    #[test]
    fn commands_do_what_they_say() {
        let mut conversation = Conversation::new(None);
        assert_eq!(run(&mut conversation, "system Be brief.").unwrap(), Flow::GoOn);
        assert_eq!(conversation.system(), Some("Be brief."));
        assert_eq!(run(&mut conversation, "system -").unwrap(), Flow::GoOn);
        assert_eq!(conversation.system(), None);
        assert_eq!(run(&mut conversation, "exit").unwrap(), Flow::Leave);
        assert!(run(&mut conversation, "claer").unwrap_err().to_string().contains("did you mean 'clear'"));
        assert!(run(&mut conversation, "save").is_err());
        assert!(help().contains("/save FILE"));
    }
}
