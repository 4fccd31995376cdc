//! The engine: one step at a time over everything that runs.
//!
//! A step is: plan who runs with how many tokens, run the model once, choose the next tokens, report them.

mod absorb;
mod answer;
mod group;

use std::sync::Arc;

use ahash::AHashMap;
use lakemill_base::{Clock, SplitMix64};
use lakemill_model::{BLOCK_TOKENS, Chunk};

use self::group::Group;
use crate::check::{Checked, Checker};
use crate::sampling::{Sampler, Scratch};
use crate::scheduler::{Plan, Scheduler, Sequences};
use crate::sequence::{Place, Report, Sequence, SequenceId};
use crate::speculation::Drafter;
use crate::stop::StopText;
use crate::{EngineOptions, Error, Event, FinishReason, Request, RequestId, Result, Runner, Statistics, Vocabulary};

/// What one step of priority is worth in waiting time.
const PRIORITY_STEP_MS: i64 = 1000;

/// Runs requests over a model, one step at a time.
pub struct Engine {
    runner: Box<dyn Runner>,
    vocabulary: Arc<dyn Vocabulary>,
    options: EngineOptions,
    clock: Arc<dyn Clock>,
    checker: Arc<Checker>,
    /// The tokens that end a text.
    ends: Vec<u32>,
    scheduler: Scheduler,
    sequences: Sequences,
    groups: AHashMap<RequestId, Group>,
    next_sequence: u64,
    statistics: Statistics,
    /// What happened between steps.
    outbox: Vec<Event>,
    logits: Vec<f32>,
    scratch: Scratch,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine")
            .field("options", &self.options)
            .field("groups", &self.groups.len())
            .finish_non_exhaustive()
    }
}

impl Engine {
    /// An engine over `runner`, whose tokens are those of `vocabulary`.
    ///
    /// # Errors
    /// An option is of no use, or the runner has no block.
    pub fn new(
        runner: Box<dyn Runner>,
        vocabulary: Arc<dyn Vocabulary>,
        options: EngineOptions,
        clock: Arc<dyn Clock>,
    ) -> Result<Self> {
        options.check()?;
        if runner.blocks() == 0 {
            return Err(Error::invalid("the model got no block for keys and values; give it memory for at least one"));
        }
        if runner.vocabulary() < vocabulary.size() {
            let (scored, known) = (runner.vocabulary(), vocabulary.size());
            return Err(Error::data(format!("the model scores {scored} tokens, its tokenizer knows {known}")));
        }
        let slots = runner.blocks() * BLOCK_TOKENS;
        let checker = Checker::new(&vocabulary, runner.context_tokens(), slots, &options);
        let ends = (0..vocabulary.size() as u32).filter(|token| vocabulary.is_end(*token)).collect();
        Ok(Self {
            scheduler: Scheduler::new(runner.blocks(), &options),
            checker: Arc::new(checker),
            runner,
            vocabulary,
            options,
            clock,
            ends,
            sequences: Sequences::default(),
            groups: AHashMap::new(),
            next_sequence: 0,
            statistics: Statistics::new(),
            outbox: Vec::new(),
            logits: Vec::new(),
            scratch: Scratch::default(),
        })
    }

    /// Takes a request into the queue.
    ///
    /// # Errors
    /// Invalid where the request cannot be served as it is; exhausted where the queue is full.
    pub fn submit(&mut self, request: Request) -> Result<RequestId> {
        let checked = self.checker.check(request)?;
        Ok(self.enqueue(checked))
    }

    /// What checks requests, for other threads.
    pub(crate) fn checker(&self) -> Arc<Checker> {
        Arc::clone(&self.checker)
    }

    /// Takes a checked request into the queue.
    pub(crate) fn enqueue(&mut self, checked: Checked) -> RequestId {
        let Checked { id, seat, request, guide, names, tokens_max } = checked;
        let now = self.clock.now_ms();
        let own_seed = || SplitMix64::new(self.options.seed).split(id.0).next_u64();
        let seed = request.sampling.seed.unwrap_or_else(own_seed);
        let order = now.saturating_add(i64::from(request.priority) * PRIORITY_STEP_MS);
        let place = Place { order, id: self.number() };
        self.statistics.submitted += 1;
        self.statistics.prompt_tokens += request.prompt.len() as u64;
        self.statistics.request_prompt_tokens.observe(request.prompt.len() as f64);
        let sequence = Sequence {
            place,
            group: id,
            choice: 0,
            branches: request.n - 1,
            tokens: request.prompt.clone(),
            tokens_max,
            computed: 0,
            table: Vec::new(),
            names,
            published: 0,
            sampler: Sampler::new(&request, seed, 0),
            guide,
            drafter: Drafter::default(),
            stop: StopText::new(),
            report: Report::default(),
            request: Arc::clone(&request),
        };
        self.groups.insert(id, Group::new(&request, seed, seat, now, place.id));
        self.scheduler.waiting.insert(place);
        self.sequences.insert(place.id, sequence);
        id
    }

    /// The next sequence's number.
    fn number(&mut self) -> SequenceId {
        self.next_sequence += 1;
        SequenceId(self.next_sequence)
    }

    /// Ends a request; its blocks are free at once. Its events come with the next step. Unknown ids are ignored.
    pub fn cancel(&mut self, id: RequestId) {
        let Some(group) = self.groups.get(&id) else { return };
        let mut events = std::mem::take(&mut self.outbox);
        for member in group.members.clone() {
            if let Some(sequence) = self.sequences.remove(&member) {
                self.finish(sequence, FinishReason::Cancelled, None, &mut events);
            }
        }
        self.outbox = events;
    }

    /// Ends everything as [`Engine::cancel`] does.
    pub(crate) fn cancel_all(&mut self) {
        for id in self.groups.keys().copied().collect::<Vec<_>>() {
            self.cancel(id);
        }
    }

    /// Makes one step and appends what happened. Returns whether there is more to do.
    ///
    /// # Errors
    /// Only a bug of the engine; an error of the model fails the requests of the step.
    pub fn step(&mut self, events: &mut Vec<Event>) -> Result<bool> {
        events.append(&mut self.outbox);
        let mut plan = self.plan();
        self.note(&plan);
        if plan.work.is_empty() {
            if self.sequences.is_empty() {
                return Ok(false);
            }
            let (running, waiting) = (self.scheduler.running.len(), self.scheduler.waiting.len());
            return Err(Error::internal(format!("nothing can run, though {running} sequences run and {waiting} wait")));
        }
        for (from, to) in &plan.copies {
            self.runner.copy_block(*from, *to);
        }
        let ran = self.run(&mut plan);
        self.statistics.steps += 1;
        match ran {
            Ok(()) => self.absorb(plan.work, events),
            Err(error) => {
                for work in plan.work {
                    if let Some(group) = self.sequences.get(&work.id).map(|sequence| sequence.group) {
                        self.fail(group, error.clone(), events);
                    }
                }
            }
        }
        Ok(!self.groups.is_empty())
    }

    fn plan(&mut self) -> Plan {
        let most = self.options.draft_tokens;
        self.scheduler.plan(&mut self.sequences, |sequence, room| draft(sequence, room, most))
    }

    /// Counts what a plan decides.
    fn note(&mut self, plan: &Plan) {
        let now = self.clock.now_ms();
        self.statistics.preemptions += plan.preempted;
        for (id, cached) in &plan.admitted {
            let Some(sequence) = self.sequences.get(id) else { continue };
            let Some(group) = self.groups.get_mut(&sequence.group) else { continue };
            if group.start(*cached) {
                self.statistics.queue_s.observe(seconds(now - group.arrived_ms));
                self.statistics.prefix_queries += sequence.request.prompt.len() as u64;
                self.statistics.prefix_hits += *cached as u64;
            }
        }
    }

    /// Runs the model over the plan. Drafts stand behind their sequences' tokens meanwhile.
    fn run(&mut self, plan: &mut Plan) -> Result<()> {
        for work in &plan.work {
            if let Some(sequence) = self.sequences.get_mut(&work.id) {
                sequence.tokens.extend(&work.draft);
            }
        }
        let mut chunks = Vec::with_capacity(plan.work.len());
        for work in &plan.work {
            let Some(sequence) = self.sequences.get(&work.id) else { continue };
            let (start, count) = (sequence.computed, work.tokens + work.draft.len());
            let tokens = &sequence.tokens[start..start + count];
            chunks.push(Chunk { tokens, start, blocks: &sequence.table, logits: work.logits });
        }
        let rows: usize = plan.work.iter().map(|work| work.logits).sum();
        self.logits.clear();
        let mut ran = self.runner.forward(&chunks, &mut self.logits);
        if ran.is_ok() && self.logits.len() != rows * self.runner.vocabulary() {
            let got = self.logits.len();
            ran = Err(Error::internal(format!("the model gave {got} logits instead of {rows} rows")));
        }
        for work in &plan.work {
            if let Some(sequence) = self.sequences.get_mut(&work.id) {
                sequence.tokens.truncate(sequence.tokens.len() - work.draft.len());
            }
        }
        ran
    }

    /// Counts and times so far.
    pub fn statistics(&self) -> Statistics {
        let blocks = &self.scheduler.blocks;
        Statistics {
            running: self.scheduler.running.len(),
            waiting: self.scheduler.waiting.len(),
            blocks: blocks.len(),
            blocks_used: blocks.len() - blocks.available(),
            blocks_cached: blocks.cached(),
            block_bytes: self.runner.block_bytes(),
            slots_wasted: self.slots_wasted(),
            refused: self.checker.queue.refused(),
            ..self.statistics.clone()
        }
    }

    /// Positions in held blocks without a token.
    fn slots_wasted(&self) -> usize {
        let wasted = |sequence: &Sequence| {
            let own = sequence.table.iter().enumerate().skip(sequence.computed / BLOCK_TOKENS);
            // A last block that branches share is counted with the last of them to leave it.
            let own = own.filter(|(_, block)| self.scheduler.blocks.references(**block) == 1);
            own.map(|(at, _)| BLOCK_TOKENS - sequence.computed.saturating_sub(at * BLOCK_TOKENS)).sum::<usize>()
        };
        self.sequences.values().map(wasted).sum()
    }

    /// Checks that every block and every sequence is accounted for: to be called between steps.
    ///
    /// # Errors
    /// Says which count does not add up.
    pub fn check_invariants(&self) -> Result<()> {
        let wrong = |what: String| Err(Error::internal(format!("the engine does not add up: {what}")));
        self.scheduler.blocks.check(self.sequences.values().map(|sequence| sequence.table.as_slice()))?;
        let (running, waiting) = (&self.scheduler.running, &self.scheduler.waiting);
        if running.len() + waiting.len() != self.sequences.len() {
            let (running, waiting) = (running.len(), waiting.len());
            return wrong(format!("{running} run and {waiting} wait of {} sequences", self.sequences.len()));
        }
        let live: usize = self.groups.values().map(|group| group.live - group.unborn(&self.sequences)).sum();
        if live != self.sequences.len() {
            return wrong(format!("requests count {live} of {} sequences", self.sequences.len()));
        }
        for sequence in self.sequences.values() {
            let Sequence { place, computed, table, tokens, .. } = sequence;
            if running.contains(place) == waiting.contains(place) {
                return wrong(format!("sequence {} is in both queues or in none", place.id.0));
            }
            if waiting.contains(place) && (!table.is_empty() || *computed > 0) {
                return wrong(format!("sequence {} waits with {} blocks", place.id.0, table.len()));
            }
            if table.len() * BLOCK_TOKENS < *computed || table.len() > tokens.len().div_ceil(BLOCK_TOKENS) {
                let (blocks, tokens) = (table.len(), tokens.len());
                return wrong(format!("{computed} of {tokens} tokens are computed in {blocks} blocks"));
            }
        }
        Ok(())
    }
}

/// Guesses at most `room` tokens behind a sequence: those that its form forces, else what followed before.
fn draft(sequence: &mut Sequence, room: usize, most: usize) -> Vec<u32> {
    if !sequence.request.speculation || most == 0 || sequence.branches > 0 {
        return Vec::new();
    }
    let Some(guide) = &mut sequence.guide else {
        return sequence.drafter.draft(&sequence.tokens, room.min(most));
    };
    let mut drafted = guide.forced();
    if drafted.is_empty() {
        drafted = sequence.drafter.draft(&sequence.tokens, room.min(most));
        drafted.truncate(guide.possible(&drafted));
    }
    drafted.truncate(room);
    drafted
}

/// Milliseconds as seconds, for histograms.
fn seconds(ms: i64) -> f64 {
    ms.max(0) as f64 / 1000.0
}
