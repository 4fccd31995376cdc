//! PREDICT as bytes.
//!
//! The message carries the model's identity and the files of its artifact, not a place to load it from: an executor
//! needs neither the catalog nor the lake's credentials, and applies exactly the version that was planned. What
//! prepares the features are ordinary expressions, whose frozen functions carry their own statistics.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::TaskContext;
use datafusion::physical_plan::ExecutionPlan;
use datafusion_proto::physical_plan::from_proto::parse_physical_exprs;
use datafusion_proto::physical_plan::to_proto::serialize_physical_exprs;
use datafusion_proto::physical_plan::{
    PhysicalExtensionCodec, PhysicalPlanDecodeContext, PhysicalProtoConverterExtension,
};
use datafusion_proto::protobuf::PhysicalExprNode;
use lakemill_lake::ModelName;
use lakemill_learn::{Artifact, Model};

use super::{Outputs, PredictExec, Predictor};
use crate::Error;
use crate::model::loaded::ModelHandle;

/// A model: its identity and its files.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ModelMessage {
    #[prost(string, tag = "1")]
    namespace: String,
    #[prost(string, tag = "2")]
    model: String,
    #[prost(uint64, tag = "3")]
    version: u64,
    #[prost(btree_map = "string, bytes", tag = "4")]
    files: BTreeMap<String, Vec<u8>>,
}

/// A model and the expressions that give its features.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct PredictorMessage {
    #[prost(message, optional, tag = "1")]
    model: Option<ModelMessage>,
    #[prost(message, repeated, tag = "2")]
    features: Vec<PhysicalExprNode>,
}

/// A [`PredictExec`].
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct PredictMessage {
    #[prost(message, optional, tag = "1")]
    predictor: Option<PredictorMessage>,
    #[prost(double, optional, tag = "2")]
    threshold: Option<f64>,
    #[prost(bool, tag = "3")]
    labels_only: bool,
}

/// What decoding needs besides the message.
pub(crate) struct Decoding<'a> {
    pub(crate) task: &'a TaskContext,
    pub(crate) codec: &'a dyn PhysicalExtensionCodec,
    pub(crate) converter: &'a dyn PhysicalProtoConverterExtension,
    pub(crate) models: &'a ModelCache,
}

/// Models that were decoded, so that the tasks of a query share one.
#[derive(Debug, Default)]
pub(crate) struct ModelCache(parking_lot::Mutex<Vec<Arc<ModelHandle>>>);

/// Models kept; a query names few.
const CACHED_MODELS_MAX: usize = 8;

impl ModelMessage {
    fn of(handle: &ModelHandle) -> Self {
        Self {
            namespace: handle.name.namespace.clone(),
            model: handle.name.model.clone(),
            version: handle.version,
            files: handle.files.iter().map(|(name, content)| (name.clone(), content.to_vec())).collect(),
        }
    }

    fn decode(self, cache: &ModelCache) -> Result<Arc<ModelHandle>> {
        let name = ModelName::new(self.namespace, self.model);
        let same = |known: &Arc<ModelHandle>| {
            known.name == name
                && known.version == self.version
                && known
                    .files
                    .iter()
                    .map(|(file, content)| (file, content.as_ref()))
                    .eq(self.files.iter().map(|(file, content)| (file, content.as_slice())))
        };
        if let Some(known) = cache.0.lock().iter().find(|known| same(known)) {
            return Ok(Arc::clone(known));
        }
        let files: BTreeMap<String, Bytes> =
            self.files.into_iter().map(|(file, content)| (file, Bytes::from(content))).collect();
        let artifact = Artifact::verify(files).map_err(external)?;
        let model = Model::from_artifact(&artifact).map_err(external)?;
        let handle = Arc::new(ModelHandle { name, version: self.version, model, files: artifact.files });
        let mut models = cache.0.lock();
        if models.len() >= CACHED_MODELS_MAX {
            models.remove(0);
        }
        models.push(Arc::clone(&handle));
        Ok(handle)
    }
}

impl PredictorMessage {
    /// A predictor as a message.
    pub(crate) fn of(
        predictor: &Predictor,
        codec: &dyn PhysicalExtensionCodec,
        converter: &dyn PhysicalProtoConverterExtension,
    ) -> Result<Self> {
        let features = serialize_physical_exprs(predictor.features(), codec, converter)?;
        Ok(Self { model: Some(ModelMessage::of(predictor.handle())), features })
    }

    /// The predictor over the rows of `input`.
    pub(crate) fn decode(self, input: &dyn ExecutionPlan, decoding: &Decoding<'_>) -> Result<Predictor> {
        let handle = self.model.ok_or_else(|| damaged("no model"))?.decode(decoding.models)?;
        let context = PhysicalPlanDecodeContext::new(decoding.task, decoding.codec);
        let features = parse_physical_exprs(&self.features, &context, &input.schema(), decoding.converter)?;
        if features.len() != handle.model.features().len() {
            return Err(damaged("the features do not fit the model"));
        }
        Ok(Predictor::new(handle, features))
    }
}

impl PredictMessage {
    /// A node as a message.
    pub(crate) fn of(
        node: &PredictExec,
        codec: &dyn PhysicalExtensionCodec,
        converter: &dyn PhysicalProtoConverterExtension,
    ) -> Result<Self> {
        Ok(Self {
            predictor: Some(PredictorMessage::of(node.predictor(), codec, converter)?),
            threshold: node.outputs().threshold(),
            labels_only: node.outputs().labels_only,
        })
    }

    /// The node above `input`.
    pub(crate) fn decode(self, input: Arc<dyn ExecutionPlan>, decoding: &Decoding<'_>) -> Result<PredictExec> {
        let predictor = self.predictor.ok_or_else(|| damaged("no predictor"))?.decode(input.as_ref(), decoding)?;
        let outputs = Outputs::new(self.threshold);
        PredictExec::try_new(input, predictor, if self.labels_only { outputs.labels_only() } else { outputs })
    }
}

fn damaged(what: &str) -> DataFusionError {
    DataFusionError::Internal(format!("an encoded plan is damaged: {what}"))
}

fn external(error: lakemill_learn::Error) -> DataFusionError {
    DataFusionError::External(Box::new(Error::from(error)))
}
