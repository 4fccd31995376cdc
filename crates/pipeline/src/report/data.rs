//! What a report shows, as plain values: drawing needs no session, no lake and no clock.

use crate::definition::ChartKind;
use crate::state::{Preview, Quality};

/// Everything that one report shows.
#[derive(Clone, Debug, Default)]
pub(crate) struct ReportData {
    pub(crate) title: String,
    pub(crate) description: String,
    /// When the run began, as text.
    pub(crate) when: String,
    /// `finished`, `failed` or `cancelled`.
    pub(crate) status: String,
    /// The error of a run that failed.
    pub(crate) error: Option<String>,
    pub(crate) version: String,
    pub(crate) steps: Vec<StepRow>,
    pub(crate) tables: Vec<TableRow>,
    pub(crate) quality: Vec<Quality>,
    pub(crate) models: Vec<ModelData>,
    pub(crate) charts: Vec<ChartData>,
    pub(crate) queries: Vec<Preview>,
    pub(crate) lineage: LineageData,
    /// Parts that could not be made, and why.
    pub(crate) missing: Vec<String>,
}

/// A step with its last run.
#[derive(Clone, Debug, Default)]
pub(crate) struct StepRow {
    pub(crate) id: String,
    pub(crate) title: String,
    pub(crate) about: String,
    /// `done`, `up to date` ..
    pub(crate) status: String,
    pub(crate) rows: u64,
    pub(crate) seconds: f64,
    pub(crate) statements: Vec<StatementRow>,
}

/// A statement with its last run.
#[derive(Clone, Debug, Default)]
pub(crate) struct StatementRow {
    pub(crate) label: String,
    pub(crate) message: String,
    pub(crate) rows: Option<u64>,
    pub(crate) seconds: f64,
}

/// A table of the lake that the pipeline writes.
#[derive(Clone, Debug, Default)]
pub(crate) struct TableRow {
    pub(crate) name: String,
    /// `table`, `view` or `external`.
    pub(crate) kind: String,
    pub(crate) version: Option<u64>,
    pub(crate) rows: Option<u64>,
    pub(crate) columns: Option<usize>,
    pub(crate) bytes: Option<u64>,
    /// Where raw files lie.
    pub(crate) location: Option<String>,
}

/// A model with its curves.
#[derive(Clone, Debug, Default)]
pub(crate) struct ModelData {
    pub(crate) name: String,
    pub(crate) version: u64,
    pub(crate) model_type: String,
    pub(crate) metrics: Vec<(String, f64)>,
    /// False-positive rate, recall, threshold.
    pub(crate) roc: Vec<RocPoint>,
    pub(crate) bins: Vec<ScoreBin>,
    pub(crate) confusion: Option<Confusion>,
    /// Feature and gain, greatest first.
    pub(crate) importance: Vec<(String, f64)>,
    /// Feature and weight, greatest size first.
    pub(crate) weights: Vec<(String, f64)>,
    pub(crate) loss: Vec<LossPoint>,
}

impl ModelData {
    pub(crate) fn metric(&self, name: &str) -> Option<f64> {
        self.metrics.iter().find(|(metric, _)| metric == name).map(|(_, value)| *value)
    }
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct RocPoint {
    pub(crate) threshold: f64,
    pub(crate) false_positive_rate: f64,
    pub(crate) recall: f64,
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct LossPoint {
    pub(crate) iteration: f64,
    pub(crate) loss: f64,
    pub(crate) eval_loss: Option<f64>,
}

/// The judged rows whose score falls into one interval.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ScoreBin {
    pub(crate) from: f64,
    pub(crate) to: f64,
    pub(crate) mean_score: f64,
    pub(crate) rows: u64,
    pub(crate) positives: u64,
}

/// Rows by true and predicted label.
#[derive(Clone, Debug, Default)]
pub(crate) struct Confusion {
    pub(crate) labels: Vec<String>,
    /// `counts[truth][predicted]`.
    pub(crate) counts: Vec<Vec<u64>>,
}

/// A picture of a query's result.
#[derive(Clone, Debug)]
pub(crate) struct ChartData {
    pub(crate) title: String,
    pub(crate) note: String,
    pub(crate) kind: ChartKind,
    pub(crate) x: String,
    pub(crate) y: String,
    pub(crate) percent: bool,
    /// The values of the first column, as text.
    pub(crate) categories: Vec<String>,
    /// Name and values of each further column.
    pub(crate) series: Vec<(String, Vec<f64>)>,
    /// The rows as text, for tables.
    pub(crate) rows: Preview,
}

/// What was made from what.
#[derive(Clone, Debug, Default)]
pub(crate) struct LineageData {
    pub(crate) nodes: Vec<LineageNode>,
    /// From and to, as indices of nodes.
    pub(crate) edges: Vec<(usize, usize)>,
}

#[derive(Clone, Debug)]
pub(crate) struct LineageNode {
    pub(crate) name: String,
    /// `file`, `table` or `model`.
    pub(crate) kind: String,
}
