//! Embeddings against sentence-transformers.

use std::sync::Arc;

use lakemill_kernels::pool::Pool;
use lakemill_model::Encoder;

use crate::models::{minilm, reference, reference_json};

/// What the issue of correctness allows between two vectors of one text: one minus their cosine.
const COSINE_DISTANCE_MAX: f64 = 1e-4;

fn encoder(threads: usize) -> Encoder {
    Encoder::load(minilm(), Arc::new(Pool::new(threads))).unwrap()
}

fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

#[test]
fn embeddings_are_those_of_sentence_transformers() {
    let record = reference_json("embeddings.json");
    let texts: Vec<&str> = record["texts"].as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect();
    let bytes = std::fs::read(reference("embeddings.bin")).unwrap();
    let expected: Vec<f32> = bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
    let encoder = encoder(2);
    let found = encoder.embed(&texts).unwrap();
    assert_eq!((found.len(), expected.len()), (50, 50 * encoder.width()));
    let distances = found.iter().zip(expected.chunks_exact(encoder.width())).map(|(a, b)| 1.0 - cosine(a, b));
    let worst = distances.enumerate().max_by(|a, b| a.1.total_cmp(&b.1)).unwrap();
    assert!(worst.1 < COSINE_DISTANCE_MAX, "text {} ({:?}) is off by {:e}", worst.0, texts[worst.0], worst.1);
    println!("the largest cosine distance of 50 texts is {:e}", worst.1);
    for vector in &found {
        assert!((cosine(vector, vector) - 1.0).abs() < 1e-6);
        assert!((vector.iter().map(|value| value * value).sum::<f32>() - 1.0).abs() < 1e-5);
    }
}

#[test]
fn a_vector_does_not_depend_on_its_neighbours() {
    let encoder = encoder(2);
    let texts = ["one", "another text that is somewhat longer", "", "a third"];
    let together = encoder.embed(&texts).unwrap();
    for (text, vector) in texts.iter().zip(&together) {
        assert_eq!(encoder.embed(&[text]).unwrap()[0], *vector);
    }
    assert_eq!(self::encoder(1).embed(&texts).unwrap(), together);
    assert!(encoder.embed(&[]).unwrap().is_empty());
}

#[test]
fn long_texts_are_cut() {
    let encoder = encoder(1);
    let long = "word ".repeat(1000);
    let embedding = encoder.embed_counted(&[&long, "word"]).unwrap();
    assert_eq!((embedding[0].tokens, embedding[1].tokens), (256, 3));
}
