//! An engine that recomputes everything, written from the documentation alone, in 64 bits.

use lakemill_base::SplitMix64;
use lakemill_llm::{FinishReason, Guidance, Request, Sampling};

use crate::toy::{self, WORDS};

/// Where a draw falls this near to a border between tokens, 32-bit arithmetic may decide otherwise.
const DOUBT: f64 = 2e-5;

#[derive(Debug, Default)]
pub(crate) struct Answer {
    pub(crate) tokens: Vec<u32>,
    pub(crate) text: String,
    pub(crate) reason: Option<FinishReason>,
    /// The log-probability of each token.
    pub(crate) log_probabilities: Vec<f64>,
    /// A draw was too near to a border for a comparison.
    pub(crate) doubtful: bool,
}

/// The choice number `choice` of `request`, whose sequences may have `tokens_max` tokens.
pub(crate) fn answer(request: &Request, seed: u64, choice: usize, tokens_max: usize) -> Answer {
    let mut answer = Answer::default();
    let mut bytes: Vec<u8> = Vec::new();
    let most = (request.prompt.len() + request.max_tokens.unwrap_or(usize::MAX / 2)).min(tokens_max);
    let reason = loop {
        let context = [request.prompt.as_slice(), &answer.tokens].concat();
        if context.len() >= most {
            break FinishReason::Length;
        }
        let raw = toy::logits(&context);
        let mut logits: Vec<f64> = raw.iter().map(|logit| f64::from(*logit)).collect();
        restrict(request, &bytes, answer.tokens.len(), &mut logits);
        let uniform = SplitMix64::new(seed).split(choice as u64).split(answer.tokens.len() as u64).next_f64();
        let (token, doubtful) = choose(&request.sampling, &context, request.prompt.len(), logits, uniform);
        answer.doubtful |= doubtful;
        let normal = raw.iter().map(|logit| f64::from(*logit).exp()).sum::<f64>().ln();
        answer.log_probabilities.push(f64::from(raw[token as usize]) - normal);
        answer.tokens.push(token);
        if (token == 0 && !request.ignore_end) || request.stop_tokens.contains(&token) {
            break FinishReason::Stop;
        }
        if token > 1 || request.special_text {
            bytes.extend(WORDS[token as usize]);
        }
        let before = bytes.len().saturating_sub(WORDS[token as usize].len());
        let ends = (before + 1..=bytes.len()).find_map(|end| {
            let ending = request.stop.iter().filter(|stop| bytes[..end].ends_with(stop.as_bytes()));
            ending.map(String::len).max().map(|length| end - length)
        });
        if let Some(end) = ends {
            bytes.truncate(end);
            break FinishReason::Stop;
        }
        if let Some(Guidance::Choice(choices)) = &request.guidance {
            let longer = |choice: &String| choice.len() > bytes.len() && choice.as_bytes().starts_with(&bytes);
            if !choices.iter().any(longer) {
                break FinishReason::Stop;
            }
        }
    };
    answer.text = String::from_utf8_lossy(&bytes).into_owned();
    answer.reason = Some(reason);
    answer
}

/// Excludes tokens that may not come.
fn restrict(request: &Request, bytes: &[u8], generated: usize, logits: &mut [f64]) {
    if let Some(Guidance::Choice(choices)) = &request.guidance {
        for (token, logit) in logits.iter_mut().enumerate() {
            let next = [bytes, WORDS[token]].concat();
            let fits = match token {
                0 => choices.iter().any(|choice| choice.as_bytes() == bytes),
                1 => false,
                _ => choices.iter().any(|choice| choice.as_bytes().starts_with(&next)),
            };
            if !fits {
                *logit = f64::NEG_INFINITY;
            }
        }
    }
    if generated < request.min_tokens {
        for end in request.stop_tokens.iter().chain(&[0]) {
            logits[*end as usize] = f64::NEG_INFINITY;
        }
    }
}

/// The token, and whether it is doubtful.
fn choose(sampling: &Sampling, context: &[u32], prompt: usize, mut logits: Vec<f64>, uniform: f64) -> (u32, bool) {
    for (token, bias) in &sampling.logit_bias {
        logits[*token as usize] += f64::from(*bias);
    }
    for (token, logit) in logits.iter_mut().enumerate() {
        if context.contains(&(token as u32)) {
            let penalty = f64::from(sampling.repetition_penalty);
            *logit = if *logit > 0.0 { *logit / penalty } else { *logit * penalty };
        }
        let count = context[prompt..].iter().filter(|seen| **seen == token as u32).count();
        if count > 0 {
            *logit -= f64::from(sampling.presence_penalty) + f64::from(sampling.frequency_penalty) * count as f64;
        }
    }
    let mut order: Vec<usize> = (0..logits.len()).collect();
    order.sort_by(|a, b| logits[*b].total_cmp(&logits[*a]).then(a.cmp(b)));
    if sampling.temperature == 0.0 {
        // Penalties are taken in 32 bits there.
        return (order[0] as u32, logits[order[0]] - logits[order[1]] < 1e-5);
    }
    let mut doubtful = false;
    let weight = |token: usize| ((logits[token] - logits[order[0]]) / f64::from(sampling.temperature)).exp();
    let mut kept = order.clone();
    kept.retain(|token| {
        doubtful |= sampling.min_p > 0.0 && (weight(*token) - f64::from(sampling.min_p)).abs() < DOUBT;
        weight(*token) > 1e-38 && weight(*token) >= f64::from(sampling.min_p)
    });
    if sampling.top_k > 0 {
        kept.truncate(sampling.top_k);
    }
    if sampling.top_p < 1.0 {
        let goal = f64::from(sampling.top_p) * kept.iter().map(|token| weight(*token)).sum::<f64>();
        let mut sum = 0.0;
        let last = kept.iter().position(|token| {
            sum += weight(*token);
            doubtful |= (sum - goal).abs() < DOUBT;
            sum >= goal
        });
        kept.truncate(last.map_or(kept.len(), |last| last + 1));
    }
    if sampling.top_k == 0 && sampling.top_p >= 1.0 {
        kept.sort_unstable(); // an unfiltered draw walks through the ids
    }
    let mut left = uniform * kept.iter().map(|token| weight(*token)).sum::<f64>();
    for token in &kept {
        left -= weight(*token);
        doubtful |= left.abs() < DOUBT;
        if left < 0.0 {
            return (*token as u32, doubtful);
        }
    }
    (*kept.last().unwrap() as u32, true)
}
