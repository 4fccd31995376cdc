//! Which sequences run in the next step, with how many tokens, in which blocks.
//!
//! Running answers come first, one token each and drafts where there is room; then prompts under way, in chunks; then
//! waiting sequences, all within a budget of tokens (continuous batching: Yu et al., "Orca", OSDI 2022; chunked
//! prefill: Agrawal et al., "Sarathi-Serve", OSDI 2024). Where blocks run out, the sequence that stands last gives its
//! blocks back and will be computed again.
//!
//! **Architecture invariant:** places never change, and the first one is never preempted for another: it always
//! proceeds, so everything ends. A waiting sequence is passed by only while it waits for a block that a running one is
//! about to compute.

use std::collections::BTreeSet;

use ahash::AHashMap;
use lakemill_model::BLOCK_TOKENS;

use crate::EngineOptions;
use crate::block::Blocks;
use crate::sequence::{Place, Sequence, SequenceId};

/// The most tokens of a chunk that wants logits for each token: `[tokens, vocabulary]` of 32-bit numbers stay below
/// 80 MB for a vocabulary of 150,000.
const LOGITS_TOKENS_MAX: usize = 128;

/// The most tokens drafted in a step. Each wants a row of logits, and where many answers run the processor is busy
/// without drafts.
const DRAFTS_MAX: usize = 64;

/// All sequences by number.
pub(crate) type Sequences = AHashMap<SequenceId, Sequence>;

/// A sequence's share of a step.
#[derive(Debug)]
pub(crate) struct Work {
    pub(crate) id: SequenceId,
    /// Known tokens to compute, from `Sequence::computed` on.
    pub(crate) tokens: usize,
    /// Tokens guessed behind them.
    pub(crate) draft: Vec<u32>,
    /// For how many of the last tokens, drafts included, logits are wanted.
    pub(crate) logits: usize,
}

/// What to do in a step.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    pub(crate) work: Vec<Work>,
    /// Blocks to copy first, in this order.
    pub(crate) copies: Vec<(u32, u32)>,
    /// Sequences that lost their blocks.
    pub(crate) preempted: u64,
    /// Sequences that began to run, with the tokens that they found in the cache.
    pub(crate) admitted: Vec<(SequenceId, usize)>,
}

/// The queues and the blocks.
#[derive(Debug)]
pub(crate) struct Scheduler {
    pub(crate) blocks: Blocks,
    pub(crate) waiting: BTreeSet<Place>,
    pub(crate) running: BTreeSet<Place>,
    sequences_max: usize,
    step_tokens: usize,
    prefix_cache: bool,
}

impl Scheduler {
    pub(crate) fn new(blocks: usize, options: &EngineOptions) -> Self {
        Self {
            blocks: Blocks::new(blocks, options.prefix_cache),
            waiting: BTreeSet::new(),
            running: BTreeSet::new(),
            // Each running answer gets its token in every step.
            sequences_max: options.sequences_max.min(options.step_tokens),
            step_tokens: options.step_tokens,
            prefix_cache: options.prefix_cache,
        }
    }

    /// Running sequences and the branches that they will have.
    fn slots(&self, sequences: &Sequences) -> usize {
        self.running.iter().filter_map(|place| sequences.get(&place.id)).map(Sequence::slots).sum()
    }

    /// Plans a step. `draft` guesses at most so many tokens behind a sequence.
    pub(crate) fn plan(
        &mut self,
        sequences: &mut Sequences,
        mut draft: impl FnMut(&mut Sequence, usize) -> Vec<u32>,
    ) -> Plan {
        let mut plan = Plan::default();
        let mut budget = self.step_tokens;
        let (decoding, prefilling) = self.by_phase(sequences);
        // A token for each answer is set aside before any is drafted behind.
        let mut set_aside = decoding.len();
        let mut drafts = DRAFTS_MAX;
        for place in decoding {
            set_aside = set_aside.saturating_sub(1);
            if !self.grow(place, 1, sequences, &mut plan, &mut budget) {
                continue;
            }
            budget = budget.saturating_sub(1);
            let room = (budget.saturating_sub(set_aside) / 2).min(drafts);
            let drafted = self.draft(place, room, sequences, &mut draft);
            budget -= drafted.len();
            drafts -= drafted.len();
            let logits = 1 + drafted.len();
            plan.work.push(Work { id: place.id, tokens: 1, draft: drafted, logits });
        }
        for place in prefilling {
            self.prefill(place, sequences, &mut plan, &mut budget);
        }
        self.admit(sequences, &mut plan, &mut budget);
        plan
    }

    /// Running sequences with one token to compute, and those with more.
    fn by_phase(&self, sequences: &Sequences) -> (Vec<Place>, Vec<Place>) {
        let pending = |place: &Place| sequences.get(&place.id).map_or(0, Sequence::pending);
        self.running.iter().copied().partition(|place| pending(place) <= 1)
    }

    /// Adds a chunk of the sequence's pending tokens to the plan.
    fn prefill(&mut self, place: Place, sequences: &mut Sequences, plan: &mut Plan, budget: &mut usize) {
        let Some(sequence) = sequences.get(&place.id) else { return };
        let all_logits = sequence.request.prompt_log_probabilities.is_some();
        let limit = if all_logits { LOGITS_TOKENS_MAX } else { usize::MAX };
        let pending = sequence.pending();
        let tokens = pending.min(*budget).min(limit);
        if tokens == 0 || !self.grow(place, tokens, sequences, plan, budget) {
            return;
        }
        *budget = budget.saturating_sub(tokens);
        let logits = if all_logits { tokens } else { usize::from(tokens == pending) };
        plan.work.push(Work { id: place.id, tokens, draft: Vec::new(), logits });
    }

    /// Gives the sequence blocks for `tokens` more, of its own where they are written; takes them from those that stand
    /// behind it. False where the sequence itself stood last and lost its blocks, or had lost them already.
    fn grow(
        &mut self,
        place: Place,
        tokens: usize,
        sequences: &mut Sequences,
        plan: &mut Plan,
        budget: &mut usize,
    ) -> bool {
        loop {
            if !self.running.contains(&place) {
                return false;
            }
            let Some(sequence) = sequences.get_mut(&place.id) else { return false };
            let first = sequence.computed / BLOCK_TOKENS;
            let shared = sequence.table.get(first).copied().filter(|block| self.blocks.references(*block) > 1);
            let needed = (sequence.computed + tokens).div_ceil(BLOCK_TOKENS).saturating_sub(sequence.table.len());
            if needed + usize::from(shared.is_some()) <= self.blocks.available() {
                if let Some(from) = shared
                    && let Some(to) = self.blocks.allocate()
                {
                    plan.copies.push((from, to));
                    self.blocks.release(from);
                    sequence.table[first] = to;
                }
                sequence.table.extend((0..needed).map_while(|_| self.blocks.allocate()));
                return true;
            }
            let Some(last) = self.running.last().copied() else { return false };
            self.preempt(last, sequences, plan, budget);
        }
    }

    /// Takes a running sequence's blocks; it will be computed again.
    fn preempt(&mut self, place: Place, sequences: &mut Sequences, plan: &mut Plan, budget: &mut usize) {
        self.running.remove(&place);
        self.waiting.insert(place);
        plan.preempted += 1;
        if let Some(at) = plan.work.iter().position(|work| work.id == place.id) {
            let work = plan.work.remove(at);
            *budget += work.tokens + work.draft.len();
        }
        if let Some(sequence) = sequences.get_mut(&place.id) {
            self.free(sequence);
        }
    }

    /// Gives a sequence's blocks back.
    pub(crate) fn free(&mut self, sequence: &mut Sequence) {
        self.blocks.release_all(&mut sequence.table);
        sequence.computed = 0;
        sequence.published = 0;
    }

    /// Drafts at most `room` tokens behind a sequence that has grown by one, where blocks are to be had for nothing.
    fn draft(
        &mut self,
        place: Place,
        room: usize,
        sequences: &mut Sequences,
        draft: &mut impl FnMut(&mut Sequence, usize) -> Vec<u32>,
    ) -> Vec<u32> {
        let Some(sequence) = sequences.get_mut(&place.id) else { return Vec::new() };
        // The answer's last token needs no draft behind it.
        let left = sequence.tokens_max.saturating_sub(sequence.tokens.len() + 1);
        // Free blocks only as far as others will not want them at once.
        let spare = self.blocks.available().saturating_sub(self.running.len());
        let slots = (sequence.table.len() + spare) * BLOCK_TOKENS - sequence.tokens.len();
        let room = room.min(left).min(slots);
        if room == 0 {
            return Vec::new();
        }
        let drafted = draft(sequence, room);
        debug_assert!(drafted.len() <= room);
        let needed = (sequence.tokens.len() + drafted.len()).div_ceil(BLOCK_TOKENS);
        while sequence.table.len() < needed {
            let Some(block) = self.blocks.allocate() else { return Vec::new() };
            sequence.table.push(block);
        }
        drafted
    }

    /// Lets waiting sequences run as far as slots, blocks and the budget reach.
    fn admit(&mut self, sequences: &mut Sequences, plan: &mut Plan, budget: &mut usize) {
        if plan.preempted > 0 {
            return; // blocks are short
        }
        let mut slots = self.slots(sequences);
        let mut promised = self.promised(sequences);
        for place in self.waiting.iter().copied().collect::<Vec<_>>() {
            let Some(sequence) = sequences.get_mut(&place.id) else { continue };
            if *budget == 0 || slots + sequence.slots() > self.sequences_max {
                break;
            }
            let found = self.lookup(sequence);
            if self.is_coming(place, found.len(), sequences) {
                continue;
            }
            let Some(sequence) = sequences.get_mut(&place.id) else { continue };
            let unheld = found.iter().filter(|block| self.blocks.references(**block) == 0).count();
            // Each branch will write a last block of its own, and each running sequence may soon want one more.
            let needed = sequence.blocks_needed() - found.len() + sequence.branches + unheld;
            let spare = if self.running.is_empty() { 0 } else { self.running.len() + 1 };
            if needed + promised + spare > self.blocks.available() && !self.running.is_empty() {
                break;
            }
            for block in &found {
                self.blocks.retain(*block);
            }
            sequence.computed = found.len() * BLOCK_TOKENS;
            sequence.published = found.len();
            plan.admitted.push((place.id, sequence.computed));
            promised += needed - unheld;
            slots += sequence.slots();
            sequence.table = found;
            self.waiting.remove(&place);
            self.running.insert(place);
            let before = sequence.table.len();
            self.prefill(place, sequences, plan, budget);
            let grown = sequences.get(&place.id).map_or(0, |sequence| sequence.table.len().saturating_sub(before));
            promised = promised.saturating_sub(grown);
        }
    }

    /// Blocks that running sequences still need for tokens that they have.
    fn promised(&self, sequences: &Sequences) -> usize {
        let running = self.running.iter().filter_map(|place| sequences.get(&place.id));
        running.map(|it| it.blocks_needed().saturating_sub(it.table.len()) + it.branches).sum()
    }

    /// The leading blocks of a sequence that are there already.
    fn lookup(&self, sequence: &Sequence) -> Vec<u32> {
        if !self.prefix_cache {
            return Vec::new();
        }
        let names = sequence.names.iter().take(sequence.reusable_blocks());
        names.map_while(|name| self.blocks.find(*name)).collect()
    }

    /// Whether a running sequence is about to compute the block that follows the `found` ones of a waiting one: waiting
    /// for it costs a step or a few, computing it twice costs more.
    fn is_coming(&self, place: Place, found: usize, sequences: &Sequences) -> bool {
        let Some(waiting) = sequences.get(&place.id) else { return false };
        if !self.prefix_cache || found >= waiting.reusable_blocks() {
            return false;
        }
        let Some(wanted) = waiting.names.get(found) else { return false };
        self.running
            .iter()
            .filter_map(|place| sequences.get(&place.id))
            .any(|running| running.computed < (found + 1) * BLOCK_TOKENS && running.names.get(found) == Some(wanted))
    }

    /// Takes note that a sequence's next `tokens` have been computed, and publishes the blocks that they filled.
    pub(crate) fn computed(&mut self, sequence: &mut Sequence, tokens: usize) {
        sequence.computed += tokens;
        debug_assert!(sequence.computed <= sequence.tokens.len());
        if !self.prefix_cache {
            return;
        }
        crate::block::BlockName::extend(&mut sequence.names, sequence.request.cache_scope, &sequence.tokens);
        while (sequence.published + 1) * BLOCK_TOKENS <= sequence.computed {
            let at = sequence.published;
            sequence.table[at] = self.blocks.publish(sequence.table[at], sequence.names[at]);
            sequence.published += 1;
        }
    }

    /// Gives back blocks that drafts took and nobody confirmed.
    pub(crate) fn trim(&mut self, sequence: &mut Sequence) {
        while sequence.table.len() > sequence.blocks_needed() {
            if let Some(block) = sequence.table.pop() {
                self.blocks.release(block);
            }
        }
    }

    /// Forgets a sequence that has ended, and frees its blocks.
    pub(crate) fn remove(&mut self, sequence: &mut Sequence) {
        self.free(sequence);
        self.waiting.remove(&sequence.place);
        self.running.remove(&sequence.place);
    }
}
