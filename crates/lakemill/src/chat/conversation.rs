//! What was said, and as much of it as the model can see.

use std::path::Path;

use anyhow::Result;
use lakemill_base::{Clock, SystemClock};
use lakemill_model::chat::{Conversation as Said, Message};
use lakemill_query::language::Generator;

use crate::failure::Problem;

/// Tokens that an answer is left room for where none are asked for.
const ANSWER_TOKENS: usize = 256;

/// The messages of a conversation, the system's first.
#[derive(Debug)]
pub(super) struct Conversation {
    system: Option<String>,
    messages: Vec<Message>,
}

/// A conversation as the model reads it.
#[derive(Debug)]
pub(super) struct Prompt {
    pub(super) tokens: Vec<u32>,
    /// Messages at its beginning that were left out.
    pub(super) forgotten: usize,
}

impl Conversation {
    pub(super) fn new(system: Option<String>) -> Self {
        Self { system, messages: Vec::new() }
    }

    pub(super) fn user(&mut self, text: &str) {
        self.messages.push(Message::new("user", text));
    }

    pub(super) fn assistant(&mut self, text: &str) {
        self.messages.push(Message::new("assistant", text));
    }

    /// Takes back what was said last.
    pub(super) fn unsay(&mut self) {
        self.messages.pop();
    }

    /// Begins anew; what the system says stays.
    pub(super) fn clear(&mut self) {
        self.messages.clear();
    }

    /// What the system says.
    pub(super) fn system(&self) -> Option<&str> {
        self.system.as_deref()
    }

    /// Makes the system say something else from now on.
    pub(super) fn set_system(&mut self, text: Option<String>) {
        self.system = text;
    }

    /// All of it, the system's message too.
    fn all(&self, forgotten: usize) -> Vec<Message> {
        let system = self.system.iter().map(|text| Message::new("system", text.as_str()));
        system.chain(self.messages.iter().skip(forgotten).cloned()).collect()
    }

    /// The tokens of the conversation. Its oldest turns are left out where there is no room for an answer.
    ///
    /// # Errors
    /// Invalid: the model has no chat template, or the last message alone is too long.
    pub(super) fn prompt(&self, generator: &Generator, max_tokens: Option<usize>) -> Result<Prompt> {
        let Some(template) = generator.chat_template() else {
            let name = &generator.info().name;
            return Err(Problem::invalid(format!(
                "model '{name}' has no chat template: its files do not say how a conversation is written"
            ))
            .into());
        };
        let room = generator.context_tokens().saturating_sub(max_tokens.unwrap_or(ANSWER_TOKENS));
        let mut forgotten = 0;
        loop {
            let messages = self.all(forgotten);
            let said = Said {
                messages: &messages,
                tools: None,
                add_generation_prompt: true,
                now_ms: Some(SystemClock.now_ms()),
                variables: None,
            };
            let tokens = template.prompt(generator.tokenizer(), &said)?;
            if tokens.len() <= room {
                return Ok(Prompt { tokens, forgotten });
            }
            // A turn is a message and its answer: templates want the user to begin.
            forgotten += 2;
            if forgotten >= self.messages.len() {
                return Err(Problem::invalid(format!(
                    "the message has {} tokens, and the model sees {} with its answer: write less",
                    tokens.len(),
                    generator.context_tokens()
                ))
                .into());
            }
        }
    }

    /// Writes the conversation to a file: as JSON that the HTTP service takes where it ends in `.json`, else as text.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(super) fn save(&self, path: &Path) -> Result<()> {
        let messages = self.all(0);
        let text = if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json")) {
            serde_json::to_string_pretty(&serde_json::json!({ "messages": messages }))? + "\n"
        } else {
            let turn = |message: &Message| {
                format!("## {}\n\n{}\n", message.role, message.content.as_deref().unwrap_or_default().trim_end())
            };
            messages.iter().map(turn).collect::<Vec<_>>().join("\n")
        };
        std::fs::write(path, text)
            .map_err(|error| anyhow::Error::new(error).context(format!("cannot write '{}'", path.display())))
    }
}

#[cfg(test)]
mod tests {
    use super::Conversation;

    #[test]
    fn conversations_are_saved_in_two_forms() {
        let folder = tempfile::tempdir().unwrap();
        let mut conversation = Conversation::new(Some("Be brief.".into()));
        conversation.user("Hi");
        conversation.assistant("Hello.\n");
        let saved = |name: &str| {
            let path = folder.path().join(name);
            conversation.save(&path).unwrap();
            std::fs::read_to_string(path).unwrap()
        };
        assert_eq!(saved("a.md"), "## system\n\nBe brief.\n\n## user\n\nHi\n\n## assistant\n\nHello.\n");
        let json: serde_json::Value = serde_json::from_str(&saved("a.json")).unwrap();
        assert_eq!(json["messages"][2], serde_json::json!({ "role": "assistant", "content": "Hello.\n" }));
        assert!(conversation.save(&folder.path().join("no/such/a.md")).is_err());
    }
}
