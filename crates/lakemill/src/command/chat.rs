//! `lakemill chat`.

use anyhow::Result;
use futures::FutureExt;
use lakemill_llm::Sampling;

use super::language;
use crate::chat::{Chat, Settings};
use crate::cli::{ChatArgs, GlobalArgs};
use crate::engine::Engine;

/// Talks with a model.
pub(super) fn run(global: &GlobalArgs, args: &ChatArgs) -> Result<u8> {
    let engine = Engine::start(global)?;
    let flag = engine.interrupts().arm();
    let generator = engine.block_on(language::generator(&engine, &args.model, &flag).boxed_local())?;
    let settings = Settings {
        system: args.system.clone(),
        sampling: Sampling { temperature: args.temperature, top_p: args.top_p, seed: args.seed, ..Sampling::default() },
        max_tokens: args.max_tokens.and_then(|tokens| usize::try_from(tokens.get()).ok()),
    };
    Chat::new(&engine, generator, settings).run()?;
    Ok(0)
}
