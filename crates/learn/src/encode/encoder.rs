//! Preprocessing with frozen statistics.

use std::collections::HashMap;

use ahash::RandomState;
use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::datatypes::Field;

use super::design::{BlockKind, Encoded, EncodedBlock, Layout, NO_COLUMN};
use super::leaf::{Leaf, extract, leaves};
use super::numbers::{numbers, texts};
use super::stats::{LeafStats, NumberStats, StatsFold, sparse_vectors, timestamp_parts, vector_values};
use crate::{Driver, Error, Result};

/// How categories become numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CategoryEncoding {
    /// A column per category.
    OneHot,
    /// A column per category but the most frequent.
    Dummy,
    /// One column of codes in alphabetical order.
    Label,
}

/// What an estimator wants of preprocessing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct EncoderSettings {
    pub(crate) categories: CategoryEncoding,
    /// Numbers are moved to mean 0.
    pub(crate) center: bool,
    /// Numbers are scaled to deviation 1.
    pub(crate) standardize: bool,
    /// Infinite numbers are an error.
    pub(crate) finite: bool,
}

/// What a number goes through: `(x - center) / scale`, where a NULL is `impute`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct NumberScale {
    pub(crate) impute: f64,
    pub(crate) center: f64,
    pub(crate) scale: f64,
    /// The training rows' standard deviation, for reports.
    pub(crate) deviation: f64,
}

impl NumberScale {
    fn new(stats: &NumberStats, settings: EncoderSettings) -> Self {
        let deviation = stats.deviation();
        // A constant column has nothing to scale.
        let scale = if settings.standardize && deviation > stats.mean.abs() * f64::EPSILON { deviation } else { 1.0 };
        Self { impute: stats.mean, center: if settings.center { stats.mean } else { 0.0 }, scale, deviation }
    }

    fn apply(&self, value: f64) -> f64 {
        let value = if value.is_nan() { self.impute } else { value };
        (value - self.center) / self.scale
    }
}

/// The categories of a column.
#[derive(Clone, Debug)]
pub(crate) struct Vocabulary {
    /// In alphabetical order.
    pub(crate) categories: Vec<String>,
    /// Whether NULL is a category, behind the others.
    pub(crate) null: bool,
    /// The category without a weight of its own.
    pub(crate) dropped: Option<u32>,
    lookup: HashMap<String, u32, RandomState>,
}

impl PartialEq for Vocabulary {
    fn eq(&self, other: &Self) -> bool {
        self.categories == other.categories && self.null == other.null && self.dropped == other.dropped
    }
}

impl Vocabulary {
    pub(crate) fn new(categories: Vec<String>, null: bool, dropped: Option<u32>) -> Self {
        let mut lookup = HashMap::with_capacity_and_hasher(categories.len(), RandomState::with_seeds(1, 2, 3, 4));
        for (code, category) in categories.iter().enumerate() {
            lookup.insert(category.clone(), u32::try_from(code).unwrap_or(NO_COLUMN));
        }
        Self { categories, null, dropped, lookup }
    }

    /// The number of columns.
    pub(crate) fn width(&self) -> usize {
        self.categories.len() + usize::from(self.null)
    }

    pub(crate) fn code(&self, text: &str) -> Option<u32> {
        self.lookup.get(text).copied()
    }

    /// The column of each row.
    fn one_hot(&self, texts: &StringArray) -> Vec<u32> {
        let null = if self.null { self.categories.len() as u32 } else { NO_COLUMN };
        let drop = self.dropped.unwrap_or(NO_COLUMN);
        let code = |text: Option<&str>| {
            let code = text.map_or(null, |text| self.code(text).unwrap_or(NO_COLUMN));
            if code == drop { NO_COLUMN } else { code }
        };
        texts.iter().map(code).collect()
    }

    /// Codes from 1; 0 is NULL or unseen.
    pub(crate) fn labels(&self, texts: &StringArray) -> Vec<u32> {
        texts.iter().map(|text| text.and_then(|text| self.code(text)).map_or(0, |code| code + 1)).collect()
    }
}

/// A leaf's preprocessing.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum FittedLeaf {
    Number(NumberScale),
    Category(Vocabulary),
    Timestamp(Vec<NumberScale>),
    Vector(Vec<NumberScale>),
    Sparse { dimension: usize },
}

/// The preprocessing of all features.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Encoder {
    pub(crate) leaves: Vec<(Leaf, FittedLeaf)>,
    pub(crate) categories: CategoryEncoding,
    pub(crate) layout: Layout,
}

impl Encoder {
    /// Learns the statistics of the columns `features`; gives them back for reports.
    pub(crate) fn fit(
        features: &[Field],
        settings: EncoderSettings,
        rows: &[RecordBatch],
        driver: &Driver,
    ) -> Result<(Self, Vec<LeafStats>)> {
        let leaves = leaves(features)?;
        let stats = driver.fold(&StatsFold { leaves: &leaves }, rows)?;
        let fitted = leaves
            .iter()
            .zip(&stats)
            .map(|(leaf, stats)| Ok((leaf.clone(), fit_leaf(leaf, stats, settings)?)))
            .collect::<Result<Vec<_>>>()?;
        Ok((Self::new(fitted, settings.categories), stats))
    }

    pub(crate) fn new(leaves: Vec<(Leaf, FittedLeaf)>, categories: CategoryEncoding) -> Self {
        let mut layout = Layout::default();
        layout.dense = leaves.iter().map(|(_, leaf)| leaf.dense_width()).sum();
        layout.columns = layout.dense;
        for (_, leaf) in &leaves {
            match leaf {
                FittedLeaf::Category(vocabulary) => {
                    layout.push_block(BlockKind::OneHot, vocabulary.width(), vocabulary.dropped.is_none());
                }
                FittedLeaf::Sparse { dimension } => layout.push_block(BlockKind::Sparse, *dimension, false),
                _ => {}
            }
        }
        Self { leaves, categories, layout }
    }

    /// The rows of a batch, encoded for a linear model.
    pub(crate) fn encode(&self, batch: &RecordBatch) -> Result<Encoded> {
        let (rows, width) = (batch.num_rows(), self.layout.dense);
        let mut encoded = Encoded { rows, dense: vec![0.0; rows * width], blocks: Vec::new() };
        let mut at = 0;
        for (leaf, fitted) in &self.leaves {
            let array = extract(batch, leaf)?;
            match fitted {
                FittedLeaf::Number(scale) => {
                    let values = numbers(&array)?;
                    for (row, value) in encoded.dense.chunks_exact_mut(width).zip(values.iter()) {
                        row[at] = scale.apply(*value);
                    }
                }
                FittedLeaf::Timestamp(scales) => {
                    for (part, (values, scale)) in timestamp_parts(&array)?.iter().zip(scales).enumerate() {
                        for (row, value) in encoded.dense.chunks_exact_mut(width).zip(values) {
                            row[at + part] = scale.apply(*value);
                        }
                    }
                }
                FittedLeaf::Vector(scales) => {
                    let (values, length) = vector_values(leaf, &array, Some(scales.len()))?;
                    for (row, values) in encoded.dense.chunks_exact_mut(width).zip(values.chunks_exact(length.max(1))) {
                        for ((out, value), scale) in row[at..].iter_mut().zip(values).zip(scales) {
                            *out = scale.apply(*value);
                        }
                    }
                }
                FittedLeaf::Category(vocabulary) => {
                    encoded.blocks.push(EncodedBlock::OneHot(vocabulary.one_hot(&texts(&array)?)));
                }
                FittedLeaf::Sparse { dimension } => {
                    encoded.blocks.push(EncodedBlock::sparse(sparse_vectors(leaf, &array)?, *dimension)?);
                }
            }
            at += fitted.dense_width();
        }
        if self.layout.dense > 0 && encoded.dense.iter().any(|value| !value.is_finite()) {
            return Err(self.infinite(batch));
        }
        Ok(encoded)
    }

    /// Which feature made an encoded value infinite.
    fn infinite(&self, batch: &RecordBatch) -> Error {
        for (leaf, fitted) in &self.leaves {
            let Ok(array) = extract(batch, leaf) else { continue };
            let infinite = matches!(fitted, FittedLeaf::Number(_)) && count_infinite(&array) > 0;
            if infinite || matches!(fitted, FittedLeaf::Vector(_)) {
                return infinite_error(&leaf.name, count_infinite(&array));
            }
        }
        Error::data("a feature holds infinite values; replace them by finite numbers or NULL")
    }
}

fn count_infinite(array: &ArrayRef) -> u64 {
    numbers(array).map_or(0, |values| values.iter().filter(|value| value.is_infinite()).count() as u64)
}

impl FittedLeaf {
    /// The number of dense columns.
    pub(crate) fn dense_width(&self) -> usize {
        match self {
            Self::Number(_) => 1,
            Self::Timestamp(scales) | Self::Vector(scales) => scales.len(),
            Self::Category(_) | Self::Sparse { .. } => 0,
        }
    }
}

fn fit_leaf(leaf: &Leaf, stats: &LeafStats, settings: EncoderSettings) -> Result<FittedLeaf> {
    match stats {
        LeafStats::Number(stats) => {
            check_numbers(leaf, stats, settings)?;
            Ok(FittedLeaf::Number(NumberScale::new(stats, settings)))
        }
        LeafStats::Timestamp(parts) => {
            parts.iter().try_for_each(|part| check_numbers(leaf, part, settings))?;
            Ok(FittedLeaf::Timestamp(parts.iter().map(|part| NumberScale::new(part, settings)).collect()))
        }
        LeafStats::Vector(elements, nulls) => {
            if elements.is_empty() {
                return Err(all_null(leaf, *nulls));
            }
            elements.iter().try_for_each(|element| check_numbers(leaf, element, settings))?;
            Ok(FittedLeaf::Vector(elements.iter().map(|element| NumberScale::new(element, settings)).collect()))
        }
        LeafStats::Sparse { dimension: 0, rows, .. } => Err(all_null(leaf, *rows)),
        LeafStats::Sparse { dimension, .. } => Ok(FittedLeaf::Sparse { dimension: *dimension }),
        LeafStats::Category(stats) => {
            let sorted = stats.sorted();
            if sorted.is_empty() {
                return Err(all_null(leaf, stats.nulls));
            }
            let dropped = match settings.categories {
                // The first of the most frequent, so that ties do not depend on chance.
                CategoryEncoding::Dummy => {
                    let most = sorted.iter().map(|(_, count)| *count).max().unwrap_or(0);
                    match stats.nulls > most {
                        true => Some(sorted.len() as u32),
                        false => sorted.iter().position(|(_, count)| *count == most).map(|at| at as u32),
                    }
                }
                _ => None,
            };
            let null = stats.nulls > 0;
            Ok(FittedLeaf::Category(Vocabulary::new(
                sorted.iter().map(|(text, _)| (*text).to_owned()).collect(),
                null,
                dropped,
            )))
        }
    }
}

fn check_numbers(leaf: &Leaf, stats: &NumberStats, settings: EncoderSettings) -> Result<()> {
    if stats.count == 0 {
        return Err(all_null(leaf, stats.nulls));
    }
    if settings.finite && stats.infinite > 0 {
        return Err(infinite_error(&leaf.name, stats.infinite));
    }
    Ok(())
}

fn infinite_error(name: &str, count: u64) -> Error {
    let text = format!(
        "feature '{name}' holds infinite values ({count}); linear models need finite numbers, replace them by NULL or a limit"
    );
    Error::column(name, text)
}

fn all_null(leaf: &Leaf, rows: u64) -> Error {
    let name = &leaf.name;
    let text =
        format!("feature '{name}' has no value in any of the {rows} training rows; leave it out (EXCEPT ({name}))");
    Error::column(name, text)
}
