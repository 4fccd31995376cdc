//! Metrics of classifiers, as one fold over labels and probabilities.

use arrow::array::RecordBatch;

use super::scores;
use crate::model::{check_threshold, predicted_class};
use crate::target::Classes;
use crate::{Driver, Fold, Result};

pub(super) const METRICS: [&str; 6] = ["precision", "recall", "accuracy", "f1_score", "log_loss", "roc_auc"];

/// Probabilities are kept this far from 0 for the log-loss, as scikit-learn does.
const PROBABILITY_MIN: f64 = f64::EPSILON;

/// The metrics in the order of [`METRICS`].
pub(super) fn evaluate(
    classes: &Classes,
    label: &str,
    scored: &[RecordBatch],
    threshold: Option<f64>,
    driver: &Driver,
) -> Result<Vec<Option<f64>>> {
    let threshold = check_threshold(threshold, classes)?;
    let counts = driver.fold(&ClassFold { classes, label, threshold }, scored)?;
    let n = classes.len();
    let rows: u64 = counts.confusion.iter().sum();
    let hits: u64 = (0..n).map(|class| counts.confusion[class * n + class]).sum();
    let [precision, recall, f1] =
        if n == 2 { rates(&counts.confusion, n, 1) } else { mean_rates(&counts.confusion, n) };
    let ranked = ranked_classes(n);
    let columns = driver.fold(&ScoresFold { classes, label, columns: &ranked }, scored)?;
    let areas: Vec<Option<f64>> = ranked
        .iter()
        .zip(columns.scores)
        .map(|(class, scores)| area_under_roc(scores, &columns.targets, *class))
        .collect();
    // Undefined for one class, undefined for the mean.
    let area = areas.iter().copied().sum::<Option<f64>>().map(|sum| sum / areas.len() as f64);
    Ok(vec![
        Some(precision),
        Some(recall),
        Some(hits as f64 / rows as f64),
        Some(f1),
        Some(counts.log_loss / rows as f64),
        area,
    ])
}

/// Rows by expected class (row) and predicted class (column).
pub(super) fn confusion(
    classes: &Classes,
    label: &str,
    scored: &[RecordBatch],
    threshold: Option<f64>,
    driver: &Driver,
) -> Result<Vec<u64>> {
    let threshold = check_threshold(threshold, classes)?;
    Ok(driver.fold(&ClassFold { classes, label, threshold }, scored)?.confusion)
}

/// Of two classes only the higher one is ranked: the other's area is the same.
fn ranked_classes(classes: usize) -> Vec<usize> {
    if classes == 2 { vec![1] } else { (0..classes).collect() }
}

/// Precision, recall and F1 of a class; 0 where nothing was predicted or expected.
fn rates(confusion: &[u64], n: usize, class: usize) -> [f64; 3] {
    let hits = confusion[class * n + class];
    let expected: u64 = confusion[class * n..(class + 1) * n].iter().sum();
    let predicted: u64 = confusion.iter().skip(class).step_by(n).sum();
    let ratio = |part: u64, whole: u64| if whole == 0 { 0.0 } else { part as f64 / whole as f64 };
    [ratio(hits, predicted), ratio(hits, expected), ratio(2 * hits, predicted + expected)]
}

/// Means over the classes that are expected or predicted anywhere.
fn mean_rates(confusion: &[u64], n: usize) -> [f64; 3] {
    let occurs = |class: &usize| {
        confusion[class * n..(class + 1) * n]
            .iter()
            .chain(confusion.iter().skip(*class).step_by(n))
            .any(|count| *count > 0)
    };
    let present: Vec<usize> = (0..n).filter(occurs).collect();
    let mut sums = [0.0; 3];
    for class in &present {
        sums.iter_mut().zip(rates(confusion, n, *class)).for_each(|(sum, rate)| *sum += rate);
    }
    sums.map(|sum| sum / present.len().max(1) as f64)
}

/// The area under the ROC curve, exactly: the chance that a row of the class scores higher than another, a tie counting
/// half. `None` when either kind of row is absent.
pub(super) fn area_under_roc(scores: Vec<f64>, targets: &[u32], class: usize) -> Option<f64> {
    let mut ranked: Vec<(f64, bool)> =
        scores.into_iter().zip(targets).map(|(score, target)| (score, *target as usize == class)).collect();
    ranked.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    let positives = ranked.iter().filter(|(_, positive)| *positive).count() as u64;
    let negatives = ranked.len() as u64 - positives;
    if positives == 0 || negatives == 0 {
        return None;
    }
    // Twice the wins, so that ties stay whole numbers.
    let mut doubled: u128 = 0;
    let mut below: u64 = 0;
    for tie in ranked.chunk_by(|a, b| a.0 == b.0) {
        let hits = tie.iter().filter(|(_, positive)| *positive).count() as u64;
        let others = tie.len() as u64 - hits;
        doubled += u128::from(hits) * u128::from(2 * below + others);
        below += others;
    }
    Some(doubled as f64 / (2.0 * positives as f64 * negatives as f64))
}

struct ClassFold<'a> {
    classes: &'a Classes,
    label: &'a str,
    threshold: Option<f64>,
}

struct ClassCounts {
    confusion: Vec<u64>,
    log_loss: f64,
}

impl Fold for ClassFold<'_> {
    type State = ClassCounts;
    type Output = ClassCounts;

    fn init(&self) -> ClassCounts {
        ClassCounts { confusion: vec![0; self.classes.len() * self.classes.len()], log_loss: 0.0 }
    }

    fn accumulate(&self, state: &mut ClassCounts, batch: &RecordBatch) -> Result<()> {
        let n = self.classes.len();
        let targets = self.classes.numbers(batch.column(0), self.label)?;
        let columns = (1..=n).map(|at| scores(batch, at)).collect::<Result<Vec<_>>>()?;
        let mut probabilities = vec![0.0; n];
        for (row, target) in targets.iter().enumerate() {
            probabilities.iter_mut().zip(&columns).for_each(|(out, column)| *out = column[row]);
            let expected = *target as usize;
            state.confusion[expected * n + predicted_class(&probabilities, self.threshold) as usize] += 1;
            state.log_loss -= probabilities[expected].clamp(PROBABILITY_MIN, 1.0 - PROBABILITY_MIN).ln();
        }
        Ok(())
    }

    fn merge(&self, into: &mut ClassCounts, other: ClassCounts) -> Result<()> {
        into.log_loss += other.log_loss;
        into.confusion.iter_mut().zip(other.confusion).for_each(|(into, other)| *into += other);
        Ok(())
    }

    fn finish(&self, state: ClassCounts) -> Result<ClassCounts> {
        Ok(state)
    }
}

/// Gathers the scores of some classes and the class of every row: what ranks need.
pub(super) struct ScoresFold<'a> {
    pub(super) classes: &'a Classes,
    pub(super) label: &'a str,
    pub(super) columns: &'a [usize],
}

#[derive(Default)]
pub(super) struct GatheredScores {
    pub(super) targets: Vec<u32>,
    pub(super) scores: Vec<Vec<f64>>,
}

impl Fold for ScoresFold<'_> {
    type State = GatheredScores;
    type Output = GatheredScores;

    fn init(&self) -> GatheredScores {
        GatheredScores { targets: Vec::new(), scores: vec![Vec::new(); self.columns.len()] }
    }

    fn accumulate(&self, state: &mut GatheredScores, batch: &RecordBatch) -> Result<()> {
        let targets = self.classes.numbers(batch.column(0), self.label)?;
        state.targets.extend(targets.into_iter().map(|target| target as u32));
        for (out, class) in state.scores.iter_mut().zip(self.columns) {
            out.extend_from_slice(scores(batch, class + 1)?);
        }
        Ok(())
    }

    fn merge(&self, into: &mut GatheredScores, other: GatheredScores) -> Result<()> {
        into.targets.extend(other.targets);
        into.scores.iter_mut().zip(other.scores).for_each(|(into, other)| into.extend(other));
        Ok(())
    }

    fn finish(&self, state: GatheredScores) -> Result<GatheredScores> {
        Ok(state)
    }
}
