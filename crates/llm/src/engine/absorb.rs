//! What a step's logits mean for its sequences.

use std::sync::Arc;

use super::{Engine, Group};
use crate::sampling::{self, Sampler};
use crate::scheduler::Work;
use crate::sequence::{Place, Report, Sequence};
use crate::speculation::Drafter;
use crate::stop::StopText;
use crate::{Error, Event, FinishReason, RequestId, Result};

/// What becomes of a sequence.
pub(super) enum Fate {
    GoesOn,
    Ends(FinishReason, Option<String>),
}

impl Engine {
    /// Takes in the logits of a step.
    pub(super) fn absorb(&mut self, work: Vec<Work>, events: &mut Vec<Event>) {
        let width = self.runner.vocabulary();
        let mut logits = std::mem::take(&mut self.logits);
        let mut rest = logits.as_mut_slice();
        for work in work {
            let (rows, after) = std::mem::take(&mut rest).split_at_mut(work.logits * width);
            rest = after;
            // Gone where another choice of its request has failed in this step.
            let Some(mut sequence) = self.sequences.remove(&work.id) else { continue };
            let group = sequence.group;
            match self.absorb_one(&mut sequence, &work, rows, events) {
                Ok(Fate::GoesOn) => {
                    self.report(&mut sequence, false, events);
                    self.sequences.insert(sequence.place.id, sequence);
                }
                Ok(Fate::Ends(reason, stop)) => self.finish(sequence, reason, stop, events),
                Err(error) => {
                    self.sequences.insert(sequence.place.id, sequence);
                    self.fail(group, error, events);
                }
            }
        }
        self.logits = logits;
    }

    /// Takes in the rows `[work.logits, vocabulary]` of one sequence.
    fn absorb_one(
        &mut self,
        sequence: &mut Sequence,
        work: &Work,
        rows: &mut [f32],
        events: &mut Vec<Event>,
    ) -> Result<Fate> {
        let width = self.runner.vocabulary();
        let start = sequence.computed;
        let prompt = sequence.request.prompt.len();
        self.scheduler.computed(sequence, work.tokens);
        self.statistics.prefilled_tokens += sequence.computed.min(prompt).saturating_sub(start) as u64;
        if let Some(top) = sequence.request.prompt_log_probabilities {
            self.report_prompt(sequence, start, top, rows, events);
        }
        if sequence.pending() > 0 {
            return Ok(Fate::GoesOn);
        }
        let own = rows.len() / width - 1 - work.draft.len();
        let mut rows = rows[own * width..].chunks_exact_mut(width);
        let Some(first) = rows.next() else { return Err(Error::internal("a step gave no logits")) };
        self.branch(sequence, first, events)?;
        if sequence.tokens.len() >= sequence.tokens_max {
            return Ok(Fate::Ends(FinishReason::Length, None)); // nothing was asked for
        }
        let mut fate = self.extend(sequence, first)?;
        let mut accepted = 0;
        for (draft, row) in work.draft.iter().zip(rows) {
            if matches!(fate, Fate::Ends(..)) || sequence.tokens.last() != Some(draft) {
                break;
            }
            accepted += 1;
            self.scheduler.computed(sequence, 1);
            fate = self.extend(sequence, row)?;
        }
        self.learn(sequence, work.draft.len(), accepted);
        self.scheduler.trim(sequence);
        Ok(fate)
    }

    /// Chooses the next token from a row and appends it.
    fn extend(&mut self, sequence: &mut Sequence, row: &mut [f32]) -> Result<Fate> {
        let token = self.choose(sequence, row)?;
        self.append(sequence, token)
    }

    /// Chooses the next token from a row.
    fn choose(&mut self, sequence: &mut Sequence, row: &mut [f32]) -> Result<u32> {
        // A head may be wider than the vocabulary; what lies behind it is no token.
        let row = &mut row[..self.checker.vocabulary];
        let request = &sequence.request;
        let raw = request.log_probabilities.map(|top| (top, row.to_vec()));
        if let Some(guide) = &mut sequence.guide {
            guide.restrict(row)?;
        }
        if sequence.generated() < request.min_tokens {
            for end in self.ends.iter().chain(&request.stop_tokens) {
                if let Some(logit) = row.get_mut(*end as usize) {
                    *logit = f32::NEG_INFINITY;
                }
            }
        }
        let index = sequence.generated();
        let token = sequence.sampler.choose(&request.sampling, index, row, &mut self.scratch)?;
        if let Some((top, raw)) = raw {
            sequence.report.log_probabilities.push(sampling::log_probability(&raw, token, top));
        }
        Ok(token)
    }

    /// Lets the other choices branch off where the prompt has just been computed: they share its blocks, and begin with
    /// the same logits.
    fn branch(&mut self, sequence: &mut Sequence, row: &[f32], events: &mut Vec<Event>) -> Result<()> {
        let count = std::mem::take(&mut sequence.branches);
        for choice in 1..=count {
            let Some(seed) = self.groups.get(&sequence.group).map(|group| group.seed) else { continue };
            let place = Place { order: sequence.place.order, id: self.number() };
            for block in &sequence.table {
                self.scheduler.blocks.retain(*block);
            }
            let mut branch = Sequence {
                place,
                group: sequence.group,
                choice,
                branches: 0,
                tokens: sequence.tokens.clone(),
                tokens_max: sequence.tokens_max,
                computed: sequence.computed,
                table: sequence.table.clone(),
                names: sequence.names.clone(),
                published: sequence.published,
                sampler: Sampler::new(&sequence.request, seed, choice),
                guide: sequence.guide.clone(),
                drafter: Drafter::default(),
                stop: StopText::new(),
                report: Report::default(),
                request: Arc::clone(&sequence.request),
            };
            self.scheduler.running.insert(place);
            if let Some(group) = self.groups.get_mut(&sequence.group) {
                group.members.push(place.id);
            }
            let fate = match branch.tokens.len() >= branch.tokens_max {
                true => Ok(Fate::Ends(FinishReason::Length, None)),
                false => self.extend(&mut branch, &mut row.to_vec()),
            };
            match fate {
                Ok(Fate::Ends(reason, stop)) => self.finish(branch, reason, stop, events),
                Ok(Fate::GoesOn) => {
                    self.report(&mut branch, false, events);
                    self.sequences.insert(place.id, branch);
                }
                Err(error) => {
                    self.sequences.insert(place.id, branch);
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Learns from a draft.
    fn learn(&mut self, sequence: &mut Sequence, drafted: usize, accepted: usize) {
        sequence.drafter.learn(drafted, accepted, self.options.draft_tokens);
        self.statistics.drafted_tokens += drafted as u64;
        self.statistics.accepted_tokens += accepted as u64;
        if let Some(group) = self.groups.get_mut(&sequence.group) {
            group.usage.drafted_tokens += drafted;
            group.usage.accepted_tokens += accepted;
        }
    }

    /// Reports the log-probabilities of a prompt's tokens: the row of each position is about the token after it.
    fn report_prompt(&mut self, sequence: &Sequence, start: usize, top: usize, rows: &[f32], events: &mut Vec<Event>) {
        let prompt = &sequence.request.prompt;
        let Some(Group { prompt_report, .. }) = self.groups.get_mut(&sequence.group) else { return };
        for (at, row) in (start + 1..).zip(rows.chunks_exact(self.runner.vocabulary())) {
            // A preempted prompt is computed again, and not reported again.
            if prompt_report.len() + 1 == at
                && let Some(token) = prompt.get(at)
            {
                prompt_report.push(sampling::log_probability(&row[..self.checker.vocabulary], *token, top));
            }
        }
        if start < prompt.len() && sequence.computed >= prompt.len() && sequence.generated() == 0 {
            events.push(Event::Prompt { id: sequence.group, log_probabilities: prompt_report.clone() });
        }
    }

    /// Ends a request that cannot go on.
    pub(super) fn fail(&mut self, id: RequestId, error: Error, events: &mut Vec<Event>) {
        let Some(group) = self.groups.remove(&id) else { return };
        for member in group.members {
            if let Some(mut sequence) = self.sequences.remove(&member) {
                self.scheduler.remove(&mut sequence);
            }
        }
        self.statistics.failed += 1;
        events.push(Event::Failed { id, error });
    }
}
