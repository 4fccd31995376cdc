//! A model to files and back.

use arrow::array::{ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{Field, Int64Type, Schema};
use serde_json::{Value, json};
use std::sync::Arc;

use super::report::batch;
use super::{HeldOutCurves, Kernel, Model};
use crate::artifact::{Artifact, read_batch, write_batch};
use crate::drift::Profile;
use crate::encode::Encoder;
use crate::encode::numbers::{numbers, texts};
use crate::linear::Loss;
use crate::target::Classes;
use crate::trees::Forest;
use crate::{Error, Result, TrainSpec};

impl Model {
    /// Saves the model.
    ///
    /// # Errors
    /// A part cannot be written as Arrow.
    pub fn to_artifact(&self) -> Result<Artifact> {
        let mut artifact = Artifact::new(self.spec.to_json());
        let inputs: Vec<Field> =
            std::iter::once(self.label_field.clone()).chain(self.features.iter().cloned()).collect();
        artifact.add_file("inputs.arrow", write_batch(&RecordBatch::new_empty(Arc::new(Schema::new(inputs))))?)?;
        let preprocessing = serde_json::to_vec_pretty(&self.encoder.to_json());
        let preprocessing = preprocessing.map_err(|error| Error::internal(error.to_string()))?;
        artifact.add_file("preprocessing.json", preprocessing.into())?;
        if let Some(profile) = &self.profile {
            artifact.add_file("distributions.json", profile.to_json().to_string().into())?;
        }
        if let Some(classes) = &self.classes {
            let counts: arrow::array::Int64Array =
                classes.counts.iter().map(|count| i64::try_from(*count).ok()).collect();
            let table = batch(vec![("label", classes.labels.clone()), ("training_rows", Arc::new(counts))])?;
            artifact.add_file("classes.arrow", write_batch(&table)?)?;
        }
        match &self.kernel {
            Kernel::Linear { loss, weights } => {
                artifact.set_section("loss", loss_to(*loss))?;
                let weights: ArrayRef = Arc::new(arrow::array::Float64Array::from(weights.clone()));
                artifact.add_file("weights.arrow", write_batch(&batch(vec![("weight", weights)])?)?)?;
            }
            Kernel::Trees(forest) => {
                let (nodes, features) = forest.to_batches()?;
                artifact.add_file("trees.arrow", write_batch(&nodes)?)?;
                artifact.add_file("tree_features.arrow", write_batch(&features)?)?;
            }
        }
        for (name, table) in self.tables() {
            if let Some(table) = table {
                artifact.add_file(name, write_batch(table)?)?;
            }
        }
        Ok(artifact)
    }

    /// Loads a model.
    ///
    /// # Errors
    /// Data when the artifact is damaged, Invalid when it is from a newer version.
    pub fn from_artifact(artifact: &Artifact) -> Result<Self> {
        let spec = TrainSpec::from_json(&artifact.section("model")?.ok_or_else(|| lacks("the section 'model'"))?)?;
        let inputs = read_batch("inputs.arrow", artifact.file("inputs.arrow")?)?.schema();
        let mut fields = inputs.fields().iter().map(|field| field.as_ref().clone());
        let label_field = fields.next().ok_or_else(|| lacks("the label's type"))?;
        let json = |name: &str, content: &[u8]| -> Result<Value> {
            serde_json::from_slice(content).map_err(|error| Error::data(format!("{name} is damaged: {error}")))
        };
        let encoder = Encoder::from_json(&json("preprocessing.json", artifact.file("preprocessing.json")?)?)?;
        let classes = if spec.model_type.is_classifier() { Some(read_classes(artifact)?) } else { None };
        let kernel = if spec.model_type.is_tree() {
            let nodes = read_batch("trees.arrow", artifact.file("trees.arrow")?)?;
            let features = read_batch("tree_features.arrow", artifact.file("tree_features.arrow")?)?;
            Kernel::Trees(Forest::from_batches(&nodes, &features)?)
        } else {
            read_weights(artifact, &encoder)?
        };
        let table = |name: &str| artifact.files.get(name).map(|bytes| read_batch(name, bytes)).transpose();
        let mut model = Self::new(spec, fields.collect(), label_field, encoder, classes, kernel);
        model.training_info = table("training_info.arrow")?.ok_or_else(|| lacks("training_info.arrow"))?;
        model.feature_info = table("feature_info.arrow")?.ok_or_else(|| lacks("feature_info.arrow"))?;
        model.held_out_metrics = table("metrics.arrow")?;
        model.held_out_curves = HeldOutCurves {
            roc: table("roc_curve.arrow")?,
            confusion: table("confusion_matrix.arrow")?,
            calibration: table("calibration.arrow")?,
        };
        if let Some(content) = artifact.files.get("distributions.json") {
            model.profile = Some(Profile::from_json(&json("distributions.json", content)?)?);
        }
        Ok(model)
    }

    fn tables(&self) -> [(&'static str, Option<&RecordBatch>); 6] {
        [
            ("training_info.arrow", Some(&self.training_info)),
            ("feature_info.arrow", Some(&self.feature_info)),
            ("metrics.arrow", self.held_out_metrics.as_ref()),
            ("roc_curve.arrow", self.held_out_curves.roc.as_ref()),
            ("confusion_matrix.arrow", self.held_out_curves.confusion.as_ref()),
            ("calibration.arrow", self.held_out_curves.calibration.as_ref()),
        ]
    }
}

fn read_classes(artifact: &Artifact) -> Result<Classes> {
    let table = read_batch("classes.arrow", artifact.file("classes.arrow")?)?;
    let (Some(labels), Some(counts)) = (table.column_by_name("label"), table.column_by_name("training_rows")) else {
        return Err(lacks("the classes' labels"));
    };
    let counts = counts.as_primitive_opt::<Int64Type>().ok_or_else(|| lacks("the classes' rows"))?;
    let texts = texts(labels)?;
    let sorted = texts
        .iter()
        .zip(counts.values())
        .map(|(text, count)| (text.unwrap_or_default().to_owned(), count.unsigned_abs()));
    Classes::new(sorted.collect(), labels.data_type())
}

fn read_weights(artifact: &Artifact, encoder: &Encoder) -> Result<Kernel> {
    let loss = artifact.section("loss")?.as_ref().and_then(loss_from).ok_or_else(|| lacks("the section 'loss'"))?;
    let table = read_batch("weights.arrow", artifact.file("weights.arrow")?)?;
    let weights = numbers(table.column_by_name("weight").ok_or_else(|| lacks("the weights"))?)?.to_vec();
    let wanted = loss.outputs() * (encoder.layout.columns + 1);
    if weights.len() != wanted {
        let text = format!("weights.arrow holds {} weights; the preprocessing makes {wanted}", weights.len());
        return Err(Error::data(text));
    }
    Ok(Kernel::Linear { loss, weights })
}

fn loss_to(loss: Loss) -> Value {
    match loss {
        Loss::Squared => json!({ "function": "squared" }),
        Loss::Logistic => json!({ "function": "logistic" }),
        Loss::Softmax(classes) => json!({ "function": "softmax", "classes": classes }),
    }
}

fn loss_from(value: &Value) -> Option<Loss> {
    match value.get("function")?.as_str()? {
        "squared" => Some(Loss::Squared),
        "logistic" => Some(Loss::Logistic),
        "softmax" => Some(Loss::Softmax(usize::try_from(value.get("classes")?.as_u64()?).ok()?)),
        _ => None,
    }
}

fn lacks(what: &str) -> Error {
    Error::data(format!("the model's files lack {what}; restore them or train the model again"))
}
