//! The codec of plans that hold our operators and functions: one message whose field says which operator it is.
//!
//! Each operator's own message, with what it carries and why, stands beside the operator.

use std::sync::Arc;

use datafusion::common::{DataFusionError, Result};
use datafusion::execution::TaskContext;
use datafusion::logical_expr::{AggregateUDF, ScalarUDF};
use datafusion::physical_plan::ExecutionPlan;
use datafusion_proto::physical_plan::{PhysicalExtensionCodec, PhysicalProtoConverterExtension};
use lakemill_learn::FittedTransform;
use prost::Message;

use super::drift::{self, Deviations};
use super::evaluate::{EvaluateExec, EvaluateMessage};
use super::predict::{Decoding, ModelCache, PredictExec, PredictMessage};
use super::transform::{FittedFunction, scalar_functions, schema_from_ipc, schema_to_ipc};
use crate::Error;

/// Encodes and decodes plans with models.
#[derive(Debug, Default)]
pub struct ModelCodec {
    models: ModelCache,
}

#[derive(Clone, PartialEq, Message)]
struct NodeMessage {
    #[prost(oneof = "Node", tags = "1, 2")]
    node: Option<Node>,
}

#[expect(clippy::large_enum_variant, reason = "the shape of a protobuf oneof")]
#[derive(Clone, PartialEq, prost::Oneof)]
enum Node {
    #[prost(message, tag = "1")]
    Predict(PredictMessage),
    #[prost(message, tag = "2")]
    Evaluate(EvaluateMessage),
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
        let [input] = inputs else { return Err(damaged("an operator of models has one input")) };
        let decoding = Decoding { task, codec: self, converter, models: &self.models };
        Ok(match message.node.ok_or_else(|| damaged("an unknown operator"))? {
            Node::Predict(predict) => Arc::new(predict.decode(Arc::clone(input), &decoding)?),
            Node::Evaluate(evaluate) => Arc::new(evaluate.decode(Arc::clone(input), &decoding)?),
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
