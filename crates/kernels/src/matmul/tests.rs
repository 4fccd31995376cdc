//! Every format, shape and level against plain sums over dequantised weights.

use proptest::prelude::*;

use super::*;
use crate::quant::dequantise;

/// Bytes of weights whose scales are small and finite.
fn random_weights(format: Format, rows: usize, columns: usize, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let mut bytes: Vec<u8> = (0..format.row_bytes(columns) * rows).map(|_| (next() >> 24) as u8).collect();
    let half = |value: f32| half::f16::from_f32(value).to_le_bytes();
    for block in bytes.chunks_exact_mut(format.block_bytes()) {
        let mut set = |at: usize, signed: f32| block[at..at + 2].copy_from_slice(&half(signed));
        let value = ((next() >> 40) as f32 / (1 << 24) as f32 - 0.5) * 0.1;
        match format {
            Format::F32 => block.copy_from_slice(&value.to_le_bytes()),
            Format::F16 => set(0, value),
            Format::Bf16 => block.copy_from_slice(&half::bf16::from_f32(value).to_le_bytes()),
            Format::Q4_0 | Format::Q5_0 | Format::Q8_0 => set(0, value),
            Format::Q4_1 | Format::Q5_1 | Format::Q4K | Format::Q5K => {
                set(0, value);
                set(2, value * 0.7);
            }
            Format::Q6K => set(208, value),
        }
    }
    bytes
}

fn input(tokens: usize, columns: usize) -> Vec<f32> {
    (0..tokens * columns).map(|index| ((index * 37 % 101) as f32 - 50.0) * 0.02 + (index % 7) as f32 * 0.1).collect()
}

/// The sums in double precision over what the activations have become, and the sums of magnitudes.
fn reference(weights: &[f32], input: &Activations, quantised: bool, row: usize, token: usize) -> (f64, f64) {
    let columns = input.columns;
    let (mut sum, mut magnitude) = (0.0, 0.0);
    for column in 0..columns {
        let value = if quantised {
            let block = input.blocks[token * columns.div_ceil(32) + column / 32];
            f64::from(block.scale) * f64::from(block.words[column % 32 / 4].to_le_bytes()[column % 4] as i8)
        } else {
            f64::from(input.values[token * columns + column])
        };
        let product = f64::from(weights[row * columns + column]) * value;
        sum += product;
        magnitude += product.abs();
    }
    (sum, magnitude)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn products_are_those_of_the_dequantised_weights(
        format in proptest::sample::select(&Format::ALL[..]),
        rows in 1usize..70,
        blocks in 1usize..5,
        odd in 0usize..40,
        tokens in 1usize..20,
        seed in any::<u64>(),
    ) {
        let columns = blocks * format.block_elements() + if format.is_quantised() { 0 } else { odd };
        let bytes = random_weights(format, rows, columns, seed);
        let mut weights = vec![0.0; rows * columns];
        dequantise(format, &bytes, &mut weights);
        let packed = Packed::new(format, rows, columns, &bytes);
        let mut out = vec![0.0; columns];
        for row in 0..rows {
            packed.row(row, &mut out);
            prop_assert_eq!(&out[..], &weights[row * columns..][..columns]);
        }
        let pool = Pool::new(1);
        let values = input(tokens, columns);
        let mut activations = Activations::new();
        activations.fill(&pool, packed.want(), tokens, columns, &|token, out| {
            out.copy_from_slice(&values[token * columns..][..columns]);
        });
        let mut first = Vec::new();
        for level in Level::available() {
            let mut out = vec![0.0; tokens * rows];
            multiply_at(level, &pool, &activations, &[&packed], Store::Replace, &mut out);
            for token in 0..tokens {
                for row in 0..rows {
                    let (sum, magnitude) = reference(&weights, &activations, format.is_quantised(), row, token);
                    // A minimum is added after its level, so that the magnitudes of both count.
                    let bound = magnitude * 4e-5 + 1e-5;
                    let got = f64::from(out[token * rows + row]);
                    prop_assert!((got - sum).abs() <= bound, "{level:?} {got} {sum} {magnitude}");
                }
            }
            if first.is_empty() {
                first = out;
            } else {
                prop_assert_eq!(&out, &first, "{:?} differs from the scalar reference", level);
            }
        }
    }

    #[test]
    fn nothing_but_row_and_token_decides(
        format in proptest::sample::select(&Format::ALL[..]),
        rows in proptest::collection::vec(1usize..50, 1..4),
        tokens in 1usize..30,
        seed in any::<u64>(),
    ) {
        let columns = 256;
        let packed: Vec<Packed> = rows
            .iter()
            .map(|rows| Packed::new(format, *rows, columns, &random_weights(format, *rows, columns, seed)))
            .collect();
        let packed: Vec<&Packed> = packed.iter().collect();
        let values = input(tokens, columns);
        let (one, three) = (Pool::new(1), Pool::new(3));
        let mut activations = Activations::new();
        let fill = |activations: &mut Activations, first: usize, count: usize| {
            activations.fill(&three, packed[0].want(), count, columns, &|token, out| {
                out.copy_from_slice(&values[(first + token) * columns..][..columns]);
            });
        };
        let width: usize = rows.iter().sum();
        fill(&mut activations, 0, tokens);
        let mut all = vec![1.0; tokens * width];
        multiply_many(&three, &activations, &packed, Store::Add, &mut all);
        for token in 0..tokens {
            fill(&mut activations, token, 1);
            let mut alone = vec![0.0; width];
            multiply_many(&one, &activations, &packed, Store::Replace, &mut alone);
            alone.iter_mut().for_each(|value| *value += 1.0);
            prop_assert_eq!(&all[token * width..][..width], &alone[..]);
        }
    }
}

#[test]
fn more_tokens_than_a_pass() {
    let (rows, columns, tokens) = (33, 64, TOKENS_PER_PASS * 2 + 5);
    let packed = Packed::new(Format::Q8_0, rows, columns, &random_weights(Format::Q8_0, rows, columns, 5));
    let values = input(tokens, columns);
    let mut all = vec![0.0; tokens * rows];
    packed.multiply(&Pool::new(2), &values, tokens, &mut all);
    for token in [0, TOKENS_PER_PASS - 1, TOKENS_PER_PASS, tokens - 1] {
        let mut alone = vec![0.0; rows];
        packed.multiply(&Pool::new(1), &values[token * columns..][..columns], 1, &mut alone);
        assert_eq!(all[token * rows..][..rows], alone);
    }
}
