//! A batch of prompts through the engine of a model.
//!
//! Equal prompts are asked once, where an answer is always the same; answers that an earlier run has finished are taken from
//! there. `llm::batch` orders the rest by common prefixes and keeps the engine's batch full.

use std::sync::Arc;

use lakemill_llm::{Completion, FinishReason, Request, batch};
use lakemill_model::chat::{Conversation, Message};

use super::Task;
use super::distinct::Distinct;
use super::progress::Tokens;
use super::resume::Finished;
use super::settings::Generation;
use super::task::{Answer, NO_PROMPT};
use crate::language::Generator;
use crate::{Error, Result};

/// Who watches a batch, and may stop it.
pub(super) trait Watch: Sync {
    /// Whether to stop; asked a few times a second.
    fn is_cancelled(&self) -> bool;
    /// Tokens since the last call.
    fn tokens(&self, tokens: Tokens);
    /// Rows that have got their answers since the last call.
    fn rows(&self, rows: u64);
}

/// What a batch came to.
#[derive(Debug)]
pub(super) struct Answers {
    /// One for each prompt, in their order.
    pub(super) answers: Vec<Arc<Answer>>,
    /// Prompts that had the answer of an equal one.
    pub(super) folded: usize,
    /// Prompts whose answer an earlier run had finished.
    pub(super) resumed: usize,
}

/// Answers prompts, `None` for a row without one. Blocks.
///
/// # Errors
/// Cancelled; the engine is gone; finished answers cannot be kept.
pub(super) fn generate(
    generator: &Generator,
    task: &Task,
    rows: &[Option<&str>],
    finished: Option<&Finished<Answer>>,
    watch: &dyn Watch,
) -> Result<Answers> {
    let generation = task.generation();
    let distinct = Distinct::new(rows, generation.is_deterministic());
    let finished = finished.filter(|_| generation.is_deterministic());
    let mut answers: Vec<Option<Arc<Answer>>> =
        distinct.prompts.iter().map(|prompt| finished.and_then(|finished| finished.get(prompt))).collect();
    let resumed = answers.iter().flatten().count();
    let known = answers.iter().zip(&distinct.rows).filter(|(answer, _)| answer.is_some());
    watch.rows(known.map(|(_, rows)| rows).sum());
    let (mut requests, mut places) = (Vec::new(), Vec::new());
    for (place, prompt) in distinct.prompts.iter().enumerate() {
        if answers[place].is_some() {
            continue;
        }
        match request(generator, task, &generation, prompt) {
            Ok(request) => {
                requests.push(request);
                places.push(place);
            }
            Err(error) => answers[place] = Some(Arc::new(Answer::none(error.message()))),
        }
        if watch.is_cancelled() {
            return Err(Error::cancelled());
        }
    }
    run(generator, &distinct, requests, &places, &mut answers, finished, watch)?;
    let asked = distinct.places.iter().flatten().count();
    let missing = Arc::new(Answer::none(NO_PROMPT));
    let answers = distinct
        .places
        .iter()
        .map(|place| place.map_or_else(|| Some(Arc::clone(&missing)), |place| answers[place].clone()))
        .collect::<Option<Vec<_>>>()
        .ok_or_else(|| Error::internal("the engine left a prompt without an answer"))?;
    Ok(Answers { answers, folded: asked - distinct.prompts.len(), resumed })
}

fn run(
    generator: &Generator,
    distinct: &Distinct<'_>,
    requests: Vec<Request>,
    places: &[usize],
    answers: &mut [Option<Arc<Answer>>],
    finished: Option<&Finished<Answer>>,
    watch: &dyn Watch,
) -> Result<()> {
    if requests.is_empty() {
        return Ok(());
    }
    let mut observer = Observer { distinct, places, answers, finished, watch, told: Tokens::default(), failed: None };
    let outcome = batch::generate_all(generator.service(), requests, &mut observer);
    let failed = observer.failed.take();
    if let Some(finished) = finished {
        finished.flush()?;
    }
    match (outcome, failed) {
        (_, Some(error)) => Err(error),
        (Err(error), None) if error.is_cancelled() || watch.is_cancelled() => Err(Error::cancelled()),
        (Err(error), None) => Err(error.into()),
        (Ok(_), None) => Ok(()),
    }
}

/// The request for a prompt: a message of a conversation, where the model knows conversations.
fn request(generator: &Generator, task: &Task, generation: &Generation, prompt: &str) -> Result<Request> {
    let text = task.instruct(prompt);
    let tokens = match generator.chat_template().filter(|_| generation.chat) {
        Some(template) => {
            let system = generation.system_prompt.as_deref().map(|system| Message::new("system", system));
            let messages: Vec<Message> = system.into_iter().chain([Message::new("user", text)]).collect();
            let conversation =
                Conversation { messages: &messages, add_generation_prompt: true, ..Conversation::default() };
            template.prompt(generator.tokenizer(), &conversation)?
        }
        None => {
            let text = match &generation.system_prompt {
                Some(system) => format!("{system}\n\n{text}"),
                None => text,
            };
            generator.tokenizer().encode(&text, true)?
        }
    };
    let room = generator.context_tokens().saturating_sub(tokens.len());
    if room == 0 {
        return Err(Error::invalid(format!(
            "the prompt has {} tokens, and the context of model {} holds {} with the answer",
            tokens.len(),
            generator.info().name,
            generator.context_tokens()
        )));
    }
    let mut request = generation.request(tokens, task.guidance());
    request.max_tokens = Some(generation.max_output_tokens.min(room));
    Ok(request)
}

struct Observer<'a> {
    distinct: &'a Distinct<'a>,
    places: &'a [usize],
    answers: &'a mut [Option<Arc<Answer>>],
    finished: Option<&'a Finished<Answer>>,
    watch: &'a dyn Watch,
    told: Tokens,
    failed: Option<Error>,
}

impl batch::Observer for Observer<'_> {
    fn completed(&mut self, index: usize, result: std::result::Result<&Completion, &lakemill_llm::Error>) {
        let Some(place) = self.places.get(index).copied() else { return };
        let answer = Arc::new(match result {
            Ok(completion) => answer_of(completion),
            Err(error) => Answer::none(error.to_string()),
        });
        if let (Some(finished), true) = (self.finished, answer.text.is_some())
            && let Err(error) = finished.add(self.distinct.prompts[place], &answer)
        {
            self.failed.get_or_insert(error);
        }
        self.answers[place] = Some(answer);
        self.watch.rows(self.distinct.rows[place]);
    }

    fn progress(&mut self, progress: &batch::Progress) {
        let now = Tokens {
            prefilled: progress.prefilled_tokens as u64,
            reused: progress.reused_tokens as u64,
            generated: progress.generated_tokens as u64,
        };
        self.watch.tokens(Tokens {
            prefilled: now.prefilled.saturating_sub(self.told.prefilled),
            reused: now.reused.saturating_sub(self.told.reused),
            generated: now.generated.saturating_sub(self.told.generated),
        });
        self.told = now;
    }

    fn cancelled(&mut self) -> bool {
        self.failed.is_some() || self.watch.is_cancelled()
    }
}

fn answer_of(completion: &Completion) -> Answer {
    match completion.choices.first() {
        Some(choice) => Answer {
            text: Some(choice.text.clone()),
            status: String::new(),
            reason: choice.reason.map_or("", FinishReason::as_str).to_owned(),
            prompt_tokens: completion.usage.prompt_tokens as u64,
            generated_tokens: completion.usage.generated_tokens as u64,
        },
        None => Answer::none("the model gave no answer"),
    }
}
