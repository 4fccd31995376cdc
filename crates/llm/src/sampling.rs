//! Choosing the next token from the model's logits.
//!
//! The choice is a function of the logits, the request, the answer so far, the choice's number and the position: of
//! nothing else. So a token is the same whether it was drafted, recomputed after a preemption, or run in a batch.

mod draw;
mod probability;

use ahash::AHashMap;
use lakemill_base::SplitMix64;

pub(crate) use probability::log_probability;

use crate::{Error, Request, Result, Sampling};

/// Chooses the tokens of one answer.
#[derive(Clone, Debug)]
pub(crate) struct Sampler {
    random: SplitMix64,
    /// Tokens of the prompt and the answer, where a penalty asks for them.
    seen: AHashMap<u32, Seen>,
    counts: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    /// How often the answer has it; 0 where only the prompt does.
    answer: u32,
}

/// Room that is used again for each token.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    weights: Vec<f32>,
    candidates: Vec<(u32, f32)>,
}

impl Sampler {
    /// A sampler of the choice number `choice`, under the request's seed.
    pub(crate) fn new(request: &Request, seed: u64, choice: usize) -> Self {
        let sampling = &request.sampling;
        let in_prompt = sampling.repetition_penalty != 1.0;
        let counts = in_prompt || sampling.presence_penalty != 0.0 || sampling.frequency_penalty != 0.0;
        let prompt = if in_prompt { request.prompt.as_slice() } else { &[] };
        let seen = prompt.iter().map(|token| (*token, Seen::default())).collect();
        Self { random: SplitMix64::new(seed).split(choice as u64), seen, counts }
    }

    /// Takes note of a token of the answer.
    pub(crate) fn accept(&mut self, token: u32) {
        if self.counts {
            self.seen.entry(token).or_default().answer += 1;
        }
    }

    /// The token number `index` of the answer. `logits` hold minus infinity where a token is not allowed; they are
    /// changed in place.
    ///
    /// # Errors
    /// No token has a finite logit.
    pub(crate) fn choose(
        &self,
        sampling: &Sampling,
        index: usize,
        logits: &mut [f32],
        scratch: &mut Scratch,
    ) -> Result<u32> {
        self.weigh(sampling, logits);
        let (best, max) = probability::argmax(logits);
        if !max.is_finite() {
            let what = "the model gave no finite logit for any allowed token";
            return Err(Error::data(format!("{what}: its weights are broken, or all tokens are excluded")));
        }
        if sampling.temperature == 0.0 {
            return Ok(best);
        }
        let uniform = self.random.split(index as u64).next_f64();
        Ok(draw::draw(sampling, logits, max, uniform, scratch).unwrap_or(best))
    }

    /// Adds biases and takes penalties.
    fn weigh(&self, sampling: &Sampling, logits: &mut [f32]) {
        for (token, bias) in &sampling.logit_bias {
            if let Some(logit) = logits.get_mut(*token as usize) {
                *logit += bias;
            }
        }
        for (token, seen) in &self.seen {
            let Some(logit) = logits.get_mut(*token as usize) else { continue };
            if sampling.repetition_penalty != 1.0 {
                let penalty = sampling.repetition_penalty;
                *logit = if *logit > 0.0 { *logit / penalty } else { *logit * penalty };
            }
            if seen.answer > 0 {
                *logit -= sampling.frequency_penalty * seen.answer as f32 + sampling.presence_penalty;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Sampler, Scratch};
    use crate::{Request, Sampling};

    fn choose(sampling: &Sampling, logits: &[f32], index: usize) -> u32 {
        let request = Request { sampling: sampling.clone(), ..Request::new(vec![0]) };
        let sampler = Sampler::new(&request, 7, 0);
        sampler.choose(sampling, index, &mut logits.to_vec(), &mut Scratch::default()).unwrap()
    }

    /// How often each token comes in `draws` draws.
    fn frequencies(sampling: &Sampling, logits: &[f32], draws: usize) -> Vec<f64> {
        let mut counts = vec![0.0; logits.len()];
        for index in 0..draws {
            counts[choose(sampling, logits, index) as usize] += 1.0 / draws as f64;
        }
        counts
    }

    #[test]
    fn greedy_takes_the_lowest_of_equals() {
        let mut logits = vec![0.5; 300];
        logits[77] = 2.0;
        logits[200] = 2.0;
        logits[5] = f32::NAN;
        assert_eq!(choose(&Sampling::greedy(), &logits, 0), 77);
    }

    #[test]
    fn frequencies_are_the_probabilities() {
        // softmax of [0, 1, 2, 3] by hand: e^i / (1 + e + e^2 + e^3).
        let sum: f64 = (0..4).map(|i| f64::from(i).exp()).sum();
        let measured = frequencies(&Sampling::default(), &[0.0, 1.0, 2.0, 3.0], 40_000);
        for (i, measured) in measured.iter().enumerate() {
            let expected = (i as f64).exp() / sum;
            // Four standard deviations of a frequency over 40,000 draws.
            assert!(
                (measured - expected).abs() < 4.0 * (expected * (1.0 - expected) / 40_000.0).sqrt(),
                "{i}: {measured}"
            );
        }
    }

    #[test]
    fn filters_leave_what_they_say() {
        let logits: Vec<f32> = [0.4_f32, 0.3, 0.2, 0.06, 0.04].map(f32::ln).to_vec();
        let allowed = |sampling: Sampling| {
            let hit = frequencies(&sampling, &logits, 2_000);
            hit.iter().enumerate().filter(|(_, part)| **part > 0.0).map(|(token, _)| token).collect::<Vec<_>>()
        };
        let all = Sampling::default;
        assert_eq!(allowed(Sampling { top_k: 2, ..all() }), [0, 1]);
        assert_eq!(allowed(Sampling { top_p: 0.69, ..all() }), [0, 1]);
        assert_eq!(allowed(Sampling { top_p: 0.71, ..all() }), [0, 1, 2]);
        assert_eq!(allowed(Sampling { min_p: 0.49, ..all() }), [0, 1, 2]);
        assert_eq!(allowed(Sampling { min_p: 0.8, ..all() }), [0]);
        // Of the two that top-k leaves, with 4/7 and 3/7, the first alone reaches one half.
        assert_eq!(allowed(Sampling { top_k: 2, top_p: 0.5, ..all() }), [0]);
        assert_eq!(allowed(all()), [0, 1, 2, 3, 4]);
    }

    #[test]
    fn penalties_follow_their_formulas() {
        let sampling = Sampling {
            repetition_penalty: 2.0,
            presence_penalty: 0.25,
            frequency_penalty: 0.5,
            logit_bias: vec![(3, 1.5)],
            ..Sampling::greedy()
        };
        let request = Request { sampling: sampling.clone(), ..Request::new(vec![0]) };
        let mut sampler = Sampler::new(&request, 0, 0);
        sampler.accept(1);
        sampler.accept(1);
        sampler.accept(2);
        let mut logits = vec![4.0, 4.0, -1.0, 1.0];
        sampler.weigh(&sampling, &mut logits);
        assert_eq!(logits, [2.0, 2.0 - 1.0 - 0.25, -2.0 - 0.5 - 0.25, 2.5]);
    }
}
