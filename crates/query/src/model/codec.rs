//! The codec of plans that hold our operators and functions: one message whose field says which operator it is.
//!
//! Each operator's own message, with what it carries and why, stands beside the operator.

use std::sync::{Arc, OnceLock};

use datafusion::common::{DataFusionError, Result};
use datafusion::execution::TaskContext;
use datafusion::logical_expr::{AggregateUDF, ScalarUDF};
use datafusion::physical_plan::ExecutionPlan;
use datafusion_proto::physical_plan::{PhysicalExtensionCodec, PhysicalProtoConverterExtension};
use lakemill_base::SystemClock;
use lakemill_learn::FittedTransform;
use prost::Message;

use super::drift::{self, Deviations};
use super::evaluate::{EvaluateExec, EvaluateMessage};
use super::language::{LanguageExec, LanguageMessage};
use super::predict::{Decoding, ModelCache, PredictExec, PredictMessage};
use super::search::{SearchExec, SearchMessage};
use super::transform::{FittedFunction, scalar_functions, schema_from_ipc, schema_to_ipc};
use crate::Error;
use crate::language::{Models, ModelsOptions};

/// Encodes and decodes plans with models.
#[derive(Debug, Default)]
pub struct ModelCodec {
    models: ModelCache,
    language: OnceLock<Models>,
}

impl ModelCodec {
    /// A codec whose plans use the language models of a registry.
    pub fn with_language(models: Models) -> Self {
        Self { models: ModelCache::default(), language: OnceLock::from(models) }
    }

    /// The registry, by default one of this codec's own, in the memory of whoever runs the plans.
    fn language(&self, task: &TaskContext) -> &Models {
        let own = || Models::new(ModelsOptions::default(), Arc::clone(task.memory_pool()), Arc::new(SystemClock));
        self.language.get_or_init(own)
    }
}

#[derive(Clone, PartialEq, Message)]
struct NodeMessage {
    #[prost(oneof = "Node", tags = "1, 2, 3, 4")]
    node: Option<Node>,
}

#[expect(clippy::large_enum_variant, reason = "the shape of a protobuf oneof")]
#[derive(Clone, PartialEq, prost::Oneof)]
enum Node {
    #[prost(message, tag = "1")]
    Predict(PredictMessage),
    #[prost(message, tag = "2")]
    Evaluate(EvaluateMessage),
    #[prost(message, tag = "3")]
    Language(LanguageMessage),
    #[prost(message, tag = "4")]
    Search(SearchMessage),
}

/// A function that carries something with it.
#[derive(Clone, PartialEq, Message)]
struct FunctionMessage {
    /// Of a preprocessing function, an Arrow file without rows whose one column has the argument's type.
    #[prost(bytes = "vec", optional, tag = "1")]
    input: Option<Vec<u8>>,
    /// The function and its statistics, or what distributions are compared with.
    #[prost(string, tag = "2")]
    state: String,
}

impl PhysicalExtensionCodec for ModelCodec {
    fn try_decode(
        &self,
        buffer: &[u8],
        inputs: &[Arc<dyn ExecutionPlan>],
        task: &TaskContext,
        converter: &dyn PhysicalProtoConverterExtension,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let message = NodeMessage::decode(buffer).map_err(|error| damaged(&error.to_string()))?;
        let decoding = Decoding { task, codec: self, converter, models: &self.models };
        let node = message.node.ok_or_else(|| damaged("an unknown operator"))?;
        if let (Node::Search(search), [query, base, indexed @ ..]) = (&node, inputs) {
            return Ok(Arc::new(search.decode(Arc::clone(query), Arc::clone(base), indexed)?));
        }
        let [input] = inputs else { return Err(damaged("an operator of models has one input")) };
        Ok(match node {
            Node::Predict(predict) => Arc::new(predict.decode(Arc::clone(input), &decoding)?),
            Node::Evaluate(evaluate) => Arc::new(evaluate.decode(Arc::clone(input), &decoding)?),
            Node::Language(language) => Arc::new(language.decode(Arc::clone(input), self.language(task), &decoding)?),
            Node::Search(_) => return Err(damaged("a search has two inputs or three")),
        })
    }

    fn try_encode(
        &self,
        node: Arc<dyn ExecutionPlan>,
        buffer: &mut Vec<u8>,
        converter: &dyn PhysicalProtoConverterExtension,
    ) -> Result<()> {
        let message = if let Some(predict) = node.downcast_ref::<PredictExec>() {
            Node::Predict(PredictMessage::of(predict, self, converter)?)
        } else if let Some(evaluate) = node.downcast_ref::<EvaluateExec>() {
            Node::Evaluate(EvaluateMessage::of(evaluate, self, converter)?)
        } else if let Some(language) = node.downcast_ref::<LanguageExec>() {
            Node::Language(LanguageMessage::of(language, self, converter)?)
        } else if let Some(search) = node.downcast_ref::<SearchExec>() {
            Node::Search(SearchMessage::of(search)?)
        } else {
            return Err(DataFusionError::NotImplemented(format!("{} cannot be encoded", node.name())));
        };
        buffer.extend(NodeMessage { node: Some(message) }.encode_to_vec());
        Ok(())
    }

    fn try_decode_udf(&self, name: &str, buffer: &[u8]) -> Result<Arc<ScalarUDF>> {
        if buffer.is_empty() {
            return scalar_functions()
                .into_iter()
                .find(|function| function.name() == name)
                .ok_or_else(|| DataFusionError::NotImplemented(format!("function {name} cannot be decoded")));
        }
        let message = FunctionMessage::decode(buffer).map_err(|error| damaged(&error.to_string()))?;
        let Some(input) = &message.input else {
            return Ok(Arc::new(ScalarUDF::new_from_impl(Deviations::from_state(message.state))));
        };
        let schema = schema_from_ipc(input).map_err(external)?;
        let [field] = schema.fields().as_ref() else { return Err(damaged("a function has one argument")) };
        let state = serde_json::from_str(&message.state).map_err(|error| damaged(&error.to_string()))?;
        let fitted = FittedTransform::from_json(&state).map_err(|error| external(Error::from(error)))?;
        Ok(FittedFunction::new(fitted, field.data_type().clone(), None).into_udf())
    }

    fn try_decode_udaf(&self, name: &str, _: &[u8]) -> Result<Arc<AggregateUDF>> {
        let found = drift::aggregate_functions().into_iter().find(|function| function.name() == name);
        found.ok_or_else(|| DataFusionError::NotImplemented(format!("aggregate function {name} cannot be decoded")))
    }

    fn try_encode_udf(&self, function: &ScalarUDF, buffer: &mut Vec<u8>) -> Result<()> {
        if let Some(deviations) = Deviations::of(function) {
            let state = deviations.state().to_owned();
            buffer.extend(FunctionMessage { input: None, state }.encode_to_vec());
        }
        let Some(fitted) = FittedFunction::of(function) else { return Ok(()) };
        let field = arrow::datatypes::Field::new("value", fitted.input().clone(), true);
        let input = Some(schema_to_ipc(&arrow::datatypes::Schema::new(vec![field])).map_err(external)?.to_vec());
        let state = fitted.fitted().to_json().to_string();
        buffer.extend(FunctionMessage { input, state }.encode_to_vec());
        Ok(())
    }
}

fn damaged(why: &str) -> DataFusionError {
    DataFusionError::Internal(format!("an encoded plan is damaged: {why}"))
}

fn external(error: Error) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}
