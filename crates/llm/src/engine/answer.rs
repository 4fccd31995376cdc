//! How an answer grows, is reported and ends.

use super::absorb::Fate;
use super::{Engine, seconds};
use crate::sequence::Sequence;
use crate::{Event, FinishReason, Result};

impl Engine {
    /// Appends a token to an answer.
    ///
    /// # Errors
    /// Its form cannot go on.
    pub(super) fn append(&mut self, sequence: &mut Sequence, token: u32) -> Result<Fate> {
        let request = &sequence.request;
        sequence.tokens.push(token);
        sequence.sampler.accept(token);
        sequence.report.tokens.push(token);
        sequence.report.fresh += 1;
        self.statistics.generated_tokens += 1;
        if let Some(group) = self.groups.get_mut(&sequence.group) {
            group.usage.generated_tokens += 1;
        }
        let ends = self.vocabulary.is_end(token) && !request.ignore_end;
        if ends || request.stop_tokens.contains(&token) {
            return Ok(Fate::Ends(FinishReason::Stop, None));
        }
        if request.special_text || !self.vocabulary.is_special(token) {
            let settled = sequence.stop.push(&self.vocabulary.token_bytes(token), &request.stop);
            sequence.report.text.push_str(&settled.text);
            if let Some(stop) = settled.stop {
                return Ok(Fate::Ends(FinishReason::Stop, request.stop.get(stop).cloned()));
            }
        }
        if let Some(guide) = &mut sequence.guide
            && guide.accept(token)?
        {
            return Ok(Fate::Ends(FinishReason::Stop, None));
        }
        if sequence.tokens.len() >= sequence.tokens_max {
            return Ok(Fate::Ends(FinishReason::Length, None));
        }
        Ok(Fate::GoesOn)
    }

    /// Reports what is new of an answer, at its end or where it is streamed.
    pub(super) fn report(&mut self, sequence: &mut Sequence, end: bool, events: &mut Vec<Event>) {
        let report = &mut sequence.report;
        if report.tokens.is_empty() && report.text.is_empty() {
            return;
        }
        let now = self.clock.now_ms();
        if let Some(group) = self.groups.get_mut(&sequence.group)
            && !std::mem::replace(&mut group.first_token_seen, true)
        {
            self.statistics.time_to_first_token_s.observe(seconds(now - group.arrived_ms));
        } else if let Some(last) = report.last_ms
            && report.fresh > 0
        {
            self.statistics.time_per_output_token_s.observe(seconds(now - last) / report.fresh as f64);
        }
        report.last_ms = Some(now);
        report.fresh = 0;
        if !end && !sequence.request.stream {
            return;
        }
        events.push(Event::Tokens {
            id: sequence.group,
            choice: sequence.choice,
            text: std::mem::take(&mut report.text),
            tokens: std::mem::take(&mut report.tokens),
            log_probabilities: std::mem::take(&mut report.log_probabilities),
        });
    }

    /// Ends a choice: reports the rest of it, frees its blocks, and completes its request if it was the last.
    pub(super) fn finish(
        &mut self,
        mut sequence: Sequence,
        reason: FinishReason,
        stop: Option<String>,
        events: &mut Vec<Event>,
    ) {
        self.scheduler.remove(&mut sequence);
        let rest = sequence.stop.finish();
        sequence.report.text.push_str(&rest);
        self.report(&mut sequence, true, events);
        let id = sequence.group;
        // Choices that have not branched off yet end with the one that carries them.
        let unborn = (1..=sequence.branches).map(|branch| sequence.choice + branch);
        for choice in std::iter::once(sequence.choice).chain(unborn) {
            events.push(Event::Finished { id, choice, reason, stop: stop.clone() });
            let counter = match reason {
                FinishReason::Stop => &mut self.statistics.finished_stop,
                FinishReason::Length => &mut self.statistics.finished_length,
                FinishReason::Cancelled | FinishReason::Error => &mut self.statistics.finished_cancelled,
            };
            *counter += 1;
        }
        self.statistics.request_generation_tokens.observe(sequence.generated() as f64);
        let Some(group) = self.groups.get_mut(&id) else { return };
        group.live = group.live.saturating_sub(sequence.slots());
        if group.live > 0 {
            return;
        }
        let (arrived_ms, usage) = (group.arrived_ms, group.usage);
        let took_ms = self.clock.now_ms() - arrived_ms;
        self.statistics.request_s.observe(seconds(took_ms));
        if reason != FinishReason::Cancelled {
            self.checker.queue.learn(took_ms.max(0) as u64);
        }
        self.groups.remove(&id);
        events.push(Event::Completed { id, usage });
    }
}
