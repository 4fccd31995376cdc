//! The frequencies of the rotary embedding, stretched as the configuration asks.

use std::f64::consts::TAU;

use crate::config::{Rope, RopeScaling};
use crate::error::Result;
use crate::weights::{Weights, vector};

/// Factors that llama.cpp's converter computes from Llama 3's scaling.
const FACTORS: &str = "rope_freqs.weight";

/// Radians per position of each pair, `[dimensions / 2]`, and what cosines and sines are multiplied with.
pub(super) fn frequencies(rope: &Rope, weights: &dyn Weights) -> Result<(Vec<f64>, f32)> {
    let half = rope.dimensions / 2;
    let mut frequencies: Vec<f64> =
        (0..half).map(|pair| f64::from(rope.theta).powf(-(pair as f64) / half as f64)).collect();
    if weights.has(FACTORS) {
        for (frequency, factor) in frequencies.iter_mut().zip(vector(weights, FACTORS, half)?) {
            *frequency /= f64::from(factor);
        }
        if matches!(rope.scaling, RopeScaling::Llama3 { .. }) {
            return Ok((frequencies, 1.0));
        }
    }
    let magnitude = stretch(&mut frequencies, rope);
    Ok((frequencies, magnitude))
}

/// Applies the scaling and returns the magnitude.
fn stretch(frequencies: &mut [f64], rope: &Rope) -> f32 {
    match rope.scaling {
        RopeScaling::None => 1.0,
        RopeScaling::Linear { factor } => {
            frequencies.iter_mut().for_each(|frequency| *frequency /= f64::from(factor));
            1.0
        }
        RopeScaling::Llama3 { factor, low_frequency_factor, high_frequency_factor, original_context_tokens } => {
            let (low, high) = (f64::from(low_frequency_factor), f64::from(high_frequency_factor));
            for frequency in frequencies {
                // How often the pair turns within the original context.
                let turns = original_context_tokens as f64 * *frequency / TAU;
                let kept = ((turns - low) / (high - low)).clamp(0.0, 1.0);
                *frequency = blend(*frequency, f64::from(factor), kept);
            }
            1.0
        }
        RopeScaling::Yarn { factor, original_context_tokens, beta_fast, beta_slow, attention_factor } => {
            let half = frequencies.len() as f64;
            // The pair that turns `turns` times within the original context.
            let pair = |turns: f32| {
                let wavelength = original_context_tokens as f64 / (f64::from(turns) * TAU);
                half * wavelength.ln() / f64::from(rope.theta).ln()
            };
            let first = pair(beta_fast).floor().max(0.0);
            let last = pair(beta_slow).ceil().min(2.0 * half - 1.0);
            let length = if last > first { last - first } else { 0.001 };
            for (index, frequency) in frequencies.iter_mut().enumerate() {
                let kept = 1.0 - ((index as f64 - first) / length).clamp(0.0, 1.0);
                *frequency = blend(*frequency, f64::from(factor), kept);
            }
            attention_factor
        }
    }
}

/// `kept` of the frequency as it is, and the rest divided by the factor.
fn blend(frequency: f64, factor: f64, kept: f64) -> f64 {
    frequency * kept + frequency / factor * (1.0 - kept)
}
