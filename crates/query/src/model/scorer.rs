//! A model made ready for rows that come one by one: its expressions are compiled once, no plan is made for a call.
//!
//! **Architecture invariant:** the expressions are those that ML.PREDICT puts into a plan, over columns of the types
//! that training had, so the features of a call equal those of training bit for bit.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::{Field, FieldRef, Schema, SchemaRef};
use datafusion::common::DFSchema;
use lakemill_lake::ModelName;
use lakemill_learn::PredictOptions;

use super::cache::fetch;
use super::loaded::LoadedModel;
use super::predict::{Outputs, Predictor};
use super::transform::columns_of;
use crate::session::Session;
use crate::{Error, Result};

/// One version of a model, ready to predict.
#[derive(Debug)]
pub struct Scorer {
    name: ModelName,
    version: u64,
    predictor: Predictor,
    input: SchemaRef,
    output: SchemaRef,
}

impl Scorer {
    pub(crate) async fn load(session: &Session, name: &ModelName, version: Option<u64>) -> Result<Self> {
        let state = session.state();
        let model = fetch(session, &state, name, version).await?;
        let input = input_of(&model)?;
        let schema = DFSchema::try_from(Arc::clone(&input))?;
        let features = model.features(&schema)?;
        let compile = |feature| state.create_physical_expr(feature, &schema);
        let features = features.into_iter().map(compile).collect::<Result<_, _>>()?;
        let output: Vec<FieldRef> = Outputs::new(None).fields(&model.handle);
        Ok(Self {
            name: model.handle.name.clone(),
            version: model.handle.version,
            predictor: Predictor::new(Arc::clone(&model.handle), features),
            input,
            output: Arc::new(Schema::new(output)),
        })
    }

    /// The model's full name.
    pub fn name(&self) -> &ModelName {
        &self.name
    }

    /// The model's version.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The columns that a row needs, by the names and types of training.
    pub fn input(&self) -> &SchemaRef {
        &self.input
    }

    /// The columns of a prediction.
    pub fn output(&self) -> &SchemaRef {
        &self.output
    }

    /// Predicts rows of [`Scorer::input`]'s columns; `threshold` is that of a classifier of two classes.
    ///
    /// # Errors
    /// Invalid: a threshold for another kind of model. What a feature's expression or the model finds wrong in a value.
    pub fn predict(&self, rows: &RecordBatch, threshold: Option<f64>) -> Result<RecordBatch> {
        let model = &self.predictor.handle().model;
        if threshold.is_some() && model.class_labels().is_none_or(|labels| labels.len() != 2) {
            return Err(Error::invalid(format!(
                "a threshold is for classifiers of two classes, which model {} is not",
                self.name
            )));
        }
        let features = self.predictor.prepare(rows)?;
        let columns: Vec<ArrayRef> = model.predict(&features, &PredictOptions { threshold, labels_only: false })?;
        Ok(RecordBatch::try_new(Arc::clone(&self.output), columns)?)
    }

    /// The features of rows, as the model sees them.
    ///
    /// # Errors
    /// What a feature's expression finds wrong in a value.
    pub fn features(&self, rows: &RecordBatch) -> Result<RecordBatch> {
        Ok(self.predictor.prepare(rows)?)
    }
}

/// The columns that the features are made of, as training had them.
fn input_of(model: &LoadedModel) -> Result<SchemaRef> {
    let nullable = |field: &Field| field.clone().with_nullable(true);
    let Some(transform) = &model.transform else {
        return Ok(Arc::new(Schema::new(model.model().features().iter().map(nullable).collect::<Vec<_>>())));
    };
    let features: BTreeSet<&str> = model.model().features().iter().map(|field| field.name().as_str()).collect();
    let made = transform.outputs().iter().filter(|(name, _)| features.contains(name.as_str()));
    let read: BTreeSet<String> = made.flat_map(|(_, expr)| columns_of(expr)).collect();
    let fields = transform.input().fields().iter().filter(|field| read.contains(field.name()));
    Ok(Arc::new(Schema::new(fields.map(|field| nullable(field)).collect::<Vec<_>>())))
}
