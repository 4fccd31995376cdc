//! A chat template of any text, over a small conversation: an error or a prompt, within the limits and without a panic
//! of ours. Panics of the template library are errors by the time they come out.

#![no_main]

use lakemill_model::{ChatTemplate, Conversation, Message};
use libfuzzer_sys::fuzz_target;

fuzz_target!(init: {
    // The library's own panics are caught where it is called; the fuzzer's hook would end the process before.
    std::panic::set_hook(Box::new(|_| {}));
}, |source: &str| {
    let tokens = [("bos_token".to_owned(), "<s>".to_owned())];
    let Ok(template) = ChatTemplate::new(source, tokens) else { return };
    let messages = [Message::new("user", "banana"), Message::new("assistant", "ä\n```")];
    let conversation = Conversation { messages: &messages, add_generation_prompt: true, now_ms: Some(0), ..Conversation::default() };
    _ = template.render_conversation(&conversation);
});
