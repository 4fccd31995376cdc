//! The vocabulary of the encoders: the most frequent categories in alphabetical order, counted from 1; 0 is the rest.

use arrow::array::RecordBatch;
use serde_json::{Value, json};

use super::args::Args;
use super::gather::category_stats;
use crate::encode::Vocabulary;
use crate::{Driver, Result};

/// BigQuery ML's default and limit of a vocabulary, and its default of how often a category must occur.
const TOP_K: i64 = 32_000;
const TOP_K_MAX: i64 = 1_000_000;
const FREQUENCY_THRESHOLD: i64 = 5;

/// Which categories have a code of their own.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    top_k: usize,
    threshold: u64,
}

impl Limits {
    /// From the constants `at` and `at + 1`.
    pub(super) fn read(args: &Args<'_>, at: usize) -> Result<Self> {
        let top_k = args.int(at, "top_k", Some(TOP_K), 1..=TOP_K_MAX)?;
        let threshold = args.int(at + 1, "frequency_threshold", Some(FREQUENCY_THRESHOLD), 0..=i64::MAX)?;
        Ok(Self { top_k: usize::try_from(top_k).unwrap_or(usize::MAX), threshold: threshold.unsigned_abs() })
    }

    /// The vocabulary, and its most frequent category. Of equally frequent categories the first in the alphabet counts
    /// as the more frequent.
    pub(super) fn vocabulary(self, columns: &[RecordBatch], driver: &Driver) -> Result<(Vocabulary, Option<u32>)> {
        let stats = category_stats(columns, driver)?;
        let mut ranked = stats.sorted();
        ranked.retain(|(_, count)| *count >= self.threshold);
        ranked.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        ranked.truncate(self.top_k);
        let most = ranked.first().map(|(text, _)| (*text).to_owned());
        let mut names: Vec<String> = ranked.into_iter().map(|(text, _)| text.to_owned()).collect();
        names.sort_unstable();
        let vocabulary = Vocabulary::new(names, false, None);
        let most = most.and_then(|text| vocabulary.code(&text));
        Ok((vocabulary, most))
    }
}

pub(super) fn vocabulary_to(vocabulary: &Vocabulary) -> Value {
    json!(vocabulary.categories)
}

pub(super) fn vocabulary_from(value: Option<&Value>) -> Option<Vocabulary> {
    let names: Option<Vec<String>> = value?.as_array()?.iter().map(|text| text.as_str().map(str::to_owned)).collect();
    Some(Vocabulary::new(names?, false, None))
}
