//! A batch of texts through an encoder.
//!
//! Equal texts are encoded once; vectors that an earlier run has finished are taken from there.

use std::sync::Arc;

use super::distinct::Distinct;
use super::generate::Watch;
use super::progress::Tokens;
use super::resume::Finished;
use crate::language::{Embedder, Embedding};
use crate::{Error, Result};

/// Texts that an encoder takes at once: a statement is stopped between two such runs.
const EMBEDDED_ROWS: usize = 256;

/// What a batch came to.
#[derive(Debug)]
pub(super) struct Embeddings {
    /// One for each text, in their order; `None` for a row without one.
    pub(super) embeddings: Vec<Option<Arc<Embedding>>>,
    /// Texts that had the vector of an equal one.
    pub(super) folded: usize,
    /// Texts whose vector an earlier run had finished.
    pub(super) resumed: usize,
}

/// Makes vectors of texts, `None` for a row without one. Blocks.
///
/// # Errors
/// Cancelled; the encoder failed; finished vectors cannot be kept.
pub(super) fn embed(
    embedder: &Embedder,
    rows: &[Option<&str>],
    finished: Option<&Finished<Embedding>>,
    watch: &dyn Watch,
) -> Result<Embeddings> {
    let distinct = Distinct::new(rows, true);
    let mut embeddings: Vec<Option<Arc<Embedding>>> =
        distinct.prompts.iter().map(|text| finished.and_then(|finished| finished.get(text))).collect();
    let resumed = embeddings.iter().flatten().count();
    let asked: Vec<usize> = (0..embeddings.len()).filter(|place| embeddings[*place].is_none()).collect();
    let known = embeddings.iter().zip(&distinct.rows).filter(|(embedding, _)| embedding.is_some());
    watch.rows(known.map(|(_, rows)| rows).sum());
    let outcome = encode(embedder, &distinct, &asked, &mut embeddings, finished, watch);
    if let Some(finished) = finished {
        finished.flush()?;
    }
    outcome?;
    let of_row = |place: &Option<usize>| place.and_then(|place| embeddings[place].clone());
    let asked = distinct.places.iter().flatten().count();
    Ok(Embeddings {
        embeddings: distinct.places.iter().map(of_row).collect(),
        folded: asked - distinct.prompts.len(),
        resumed,
    })
}

/// Fills the places that were asked.
fn encode(
    embedder: &Embedder,
    distinct: &Distinct<'_>,
    asked: &[usize],
    embeddings: &mut [Option<Arc<Embedding>>],
    finished: Option<&Finished<Embedding>>,
    watch: &dyn Watch,
) -> Result<()> {
    for places in asked.chunks(EMBEDDED_ROWS) {
        if watch.is_cancelled() {
            return Err(Error::cancelled());
        }
        let texts: Vec<&str> = places.iter().map(|place| distinct.prompts[*place]).collect();
        let some = embedder.embed(&texts)?;
        let prefilled = some.iter().map(|embedding| embedding.tokens as u64).sum();
        watch.tokens(Tokens { prefilled, ..Tokens::default() });
        watch.rows(places.iter().map(|place| distinct.rows[*place]).sum());
        for ((place, text), embedding) in places.iter().zip(&texts).zip(some) {
            let embedding = Arc::new(embedding);
            if let Some(finished) = finished {
                finished.add(text, &embedding)?;
            }
            embeddings[*place] = Some(embedding);
        }
    }
    Ok(())
}
