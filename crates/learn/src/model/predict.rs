//! Prediction. A batch is encoded column by column and scored row by row; nothing is allocated per row.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, ListArray, RecordBatch, StructArray, UInt32Array};
use arrow::buffer::{OffsetBuffer, ScalarBuffer};
use arrow::compute::take;
use arrow::datatypes::{DataType, Field};

use super::{Kernel, Model, PredictOptions, Scores};
use crate::linear::{Loss, sigmoid, softmax_in_place};
use crate::target::Classes;
use crate::{Error, Result};

/// The probability at which a binary classifier predicts its higher class.
const THRESHOLD: f64 = 0.5;

impl Model {
    /// Predicts for each row; columns are found by name, others are ignored.
    ///
    /// # Errors
    /// A feature is missing or has another type, or the threshold is no probability.
    pub fn predict(&self, features: &RecordBatch, options: &PredictOptions) -> Result<Vec<ArrayRef>> {
        let scores = self.scores(features)?;
        let Some(classes) = &self.classes else {
            return Ok(vec![Arc::new(Float64Array::from(scores.values))]);
        };
        let threshold = check_threshold(options.threshold, classes)?;
        let predicted: Vec<u32> =
            scores.values.chunks_exact(scores.width).map(|row| predicted_class(row, threshold)).collect();
        let labels = take(&classes.labels, &UInt32Array::from(predicted), None)?;
        if options.labels_only {
            return Ok(vec![labels]);
        }
        Ok(vec![labels, self.probabilities(classes, &scores)?])
    }

    /// Probabilities or values for each row.
    ///
    /// # Errors
    /// A feature is missing or has another type.
    pub fn scores(&self, features: &RecordBatch) -> Result<Scores> {
        let rows = features.num_rows();
        let width = self.classes.as_ref().map_or(1, Classes::len);
        let mut values = vec![0.0; rows * width];
        if rows == 0 {
            return Ok(Scores { width, values });
        }
        match &self.kernel {
            Kernel::Linear { loss, weights } => self.linear_scores(features, *loss, weights, &mut values)?,
            Kernel::Trees(forest) => {
                let columns = self.encoder.tree_columns(features)?;
                if width == 2 {
                    let mut positive = vec![0.0; rows];
                    forest.predict_into(&columns, &mut positive)?;
                    values.chunks_exact_mut(2).zip(&positive).for_each(|(row, p)| (row[0], row[1]) = (1.0 - p, *p));
                } else {
                    forest.predict_into(&columns, &mut values)?;
                }
            }
        }
        Ok(Scores { width, values })
    }

    fn linear_scores(&self, features: &RecordBatch, loss: Loss, weights: &[f64], out: &mut [f64]) -> Result<()> {
        let layout = &self.encoder.layout;
        let encoded = self.encoder.encode(features)?;
        let design = encoded.design(layout);
        let stride = layout.columns + 1;
        match loss {
            Loss::Squared => design.multiply_add(weights, out),
            Loss::Logistic => {
                let mut margins = vec![0.0; design.rows];
                design.multiply_add(weights, &mut margins);
                for (row, margin) in out.chunks_exact_mut(2).zip(margins) {
                    (row[0], row[1]) = (sigmoid(-margin), sigmoid(margin));
                }
            }
            Loss::Softmax(classes) => {
                let mut margins = vec![0.0; design.rows];
                for (class, weights) in weights.chunks_exact(stride).enumerate() {
                    margins.fill(0.0);
                    design.multiply_add(weights, &mut margins);
                    out.iter_mut().skip(class).step_by(classes).zip(&margins).for_each(|(out, margin)| *out = *margin);
                }
                out.chunks_exact_mut(classes).for_each(|row| {
                    softmax_in_place(row);
                });
            }
        }
        Ok(())
    }

    /// For each row the classes with their probabilities, the likeliest first.
    fn probabilities(&self, classes: &Classes, scores: &Scores) -> Result<ArrayRef> {
        let width = scores.width;
        let mut order: Vec<u32> = Vec::with_capacity(scores.values.len());
        let mut sorted: Vec<f64> = Vec::with_capacity(scores.values.len());
        let mut indices: Vec<u32> = (0..width as u32).collect();
        for row in scores.values.chunks_exact(width) {
            if let [low, high] = row {
                let first = u32::from(high > low);
                order.extend([first, 1 - first]);
                sorted.extend([high.max(*low), high.min(*low)]);
                continue;
            }
            // Equal probabilities keep the order of the classes.
            indices.sort_unstable_by(|a, b| row[*b as usize].total_cmp(&row[*a as usize]).then(a.cmp(b)));
            order.extend_from_slice(&indices);
            sorted.extend(indices.iter().map(|class| row[*class as usize]));
        }
        let rows = scores.values.len() / width;
        let labels = take(&classes.labels, &UInt32Array::from(order), None)?;
        let fields = self.probability_fields(classes);
        let entries = StructArray::try_new(fields.clone(), vec![labels, Arc::new(Float64Array::from(sorted))], None)?;
        let offsets: Vec<i32> = (0..=rows)
            .map(|row| i32::try_from(row * width))
            .collect::<Result<_, _>>()
            .map_err(|_| Error::exhausted("a batch times its classes has over 2^31 entries; use smaller batches"))?;
        let item = Arc::new(Field::new("item", DataType::Struct(fields), false));
        Ok(Arc::new(ListArray::try_new(item, OffsetBuffer::new(ScalarBuffer::from(offsets)), Arc::new(entries), None)?))
    }
}

/// The threshold of a binary classifier; `None` for several classes.
pub(crate) fn check_threshold(threshold: Option<f64>, classes: &Classes) -> Result<Option<f64>> {
    match threshold {
        Some(given) if !(0.0..=1.0).contains(&given) => {
            Err(Error::invalid(format!("threshold must be a probability from 0 to 1; given: {given}")))
        }
        Some(_) if classes.len() > 2 => {
            Err(Error::invalid(format!("threshold is for two classes; the model has {}", classes.len())))
        }
        given => Ok((classes.len() == 2).then_some(given.unwrap_or(THRESHOLD))),
    }
}

/// The class that a row's probabilities predict: the first of the likeliest, or by the threshold.
pub(crate) fn predicted_class(row: &[f64], threshold: Option<f64>) -> u32 {
    if let (Some(threshold), [_, high]) = (threshold, row) {
        return u32::from(*high >= threshold);
    }
    let mut best = 0;
    for (class, probability) in row.iter().enumerate() {
        if *probability > row[best] {
            best = class;
        }
    }
    best as u32
}
