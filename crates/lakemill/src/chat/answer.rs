//! One turn of the model's: printed as it comes, stopped by Ctrl-C.

use std::io::{self, Write};

use anyhow::Result;
use lakemill_base::Stopwatch;
use lakemill_llm::{Event, Request, Usage};
use lakemill_query::language::Generator;

use crate::interrupt::CancelFlag;

/// What the model has said, and how fast.
#[derive(Debug, Default)]
pub(super) struct Answer {
    pub(super) text: String,
    used: Usage,
    /// Until the first token came.
    first_s: f64,
    /// From the first token to the last.
    rest_s: f64,
}

impl Answer {
    /// Figures for people.
    pub(super) fn described(&self) -> String {
        let tokens = self.used.generated_tokens;
        let mut text = format!("{tokens} {}", if tokens == 1 { "token" } else { "tokens" });
        // The first token is the prompt's cost.
        if tokens > 1 && self.rest_s > 0.0 {
            text.push_str(&format!(", {:.1} a second", (tokens - 1) as f64 / self.rest_s));
        }
        text.push_str(&format!(", the first after {:.2} s", self.first_s));
        if self.used.cached_tokens > 0 {
            text.push_str(&format!("; {} of {} read before", self.used.cached_tokens, self.used.prompt_tokens));
        }
        text
    }
}

/// Prints the answer to a request; `flag` stops it, and what was said until then is the answer.
///
/// # Errors
/// The request cannot be served; the engine fails; nobody reads what is printed.
pub(super) async fn answer(generator: &Generator, request: Request, flag: &CancelFlag) -> Result<Answer> {
    let took = Stopwatch::start();
    let mut stream = generator.service().generate(request)?;
    let mut answer = Answer::default();
    let mut stopped = false;
    let mut tokens_seen = false;
    loop {
        let event = tokio::select! {
            event = std::future::poll_fn(|context| stream.poll_recv(context)) => event,
            () = flag.wait(), if !stopped => {
                stopped = true;
                stream.cancel();
                continue;
            }
        };
        match event {
            Some(Event::Tokens { text, .. }) => {
                if !tokens_seen {
                    tokens_seen = true;
                    answer.first_s = took.seconds();
                }
                print(&text)?;
                answer.text.push_str(&text);
            }
            Some(Event::Completed { usage, .. }) => {
                answer.used = usage;
                answer.rest_s = took.seconds() - answer.first_s;
            }
            Some(Event::Failed { error, .. }) if !error.is_cancelled() => return Err(error.into()),
            Some(_) => {}
            None => break,
        }
    }
    if !answer.text.ends_with('\n') {
        print("\n")?;
    }
    Ok(answer)
}

fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

#[cfg(test)]
mod tests {
    use lakemill_llm::Usage;

    use super::Answer;

    #[test]
    fn figures_are_told_in_words() {
        let used = Usage { generated_tokens: 41, prompt_tokens: 50, cached_tokens: 32, ..Usage::default() };
        let answer = Answer { text: String::new(), used, first_s: 0.25, rest_s: 2.0 };
        assert_eq!(answer.described(), "41 tokens, 20.0 a second, the first after 0.25 s; 32 of 50 read before");
        assert_eq!(Answer::default().described(), "0 tokens, the first after 0.00 s");
    }
}
