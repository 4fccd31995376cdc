//! The operator as bytes: what the model is and where its files lie, the task, the prompt. The files themselves stay where
//! they are; who runs the plan fetches and checks them.

use std::sync::Arc;

use datafusion::common::{DataFusionError, Result};
use datafusion::physical_plan::ExecutionPlan;
use datafusion_proto::physical_plan::from_proto::parse_physical_exprs;
use datafusion_proto::physical_plan::to_proto::serialize_physical_exprs;
use datafusion_proto::physical_plan::{
    PhysicalExtensionCodec, PhysicalPlanDecodeContext, PhysicalProtoConverterExtension,
};
use datafusion_proto::protobuf::PhysicalExprNode;

use super::{LanguageExec, LanguageHandle};
use crate::language::Models;
use crate::model::predict::Decoding;

/// A [`LanguageExec`].
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct LanguageMessage {
    /// A `ModelInfo` as JSON.
    #[prost(string, tag = "1")]
    model: String,
    /// A `Task` as JSON.
    #[prost(string, tag = "2")]
    task: String,
    #[prost(message, repeated, tag = "3")]
    prompt: Vec<PhysicalExprNode>,
}

impl LanguageMessage {
    /// A node as a message.
    pub(crate) fn of(
        node: &LanguageExec,
        codec: &dyn PhysicalExtensionCodec,
        converter: &dyn PhysicalProtoConverterExtension,
    ) -> Result<Self> {
        Ok(Self {
            model: serde_json::to_string(&node.handle().info).map_err(|error| damaged(&error.to_string()))?,
            task: serde_json::to_string(node.task().as_ref()).map_err(|error| damaged(&error.to_string()))?,
            prompt: serialize_physical_exprs([node.prompt()], codec, converter)?,
        })
    }

    /// The node above `input`, whose model `models` loads.
    pub(crate) fn decode(
        self,
        input: Arc<dyn ExecutionPlan>,
        models: &Models,
        decoding: &Decoding<'_>,
    ) -> Result<LanguageExec> {
        let info = serde_json::from_str(&self.model).map_err(|error| damaged(&error.to_string()))?;
        let task = serde_json::from_str(&self.task).map_err(|error| damaged(&error.to_string()))?;
        let context = PhysicalPlanDecodeContext::new(decoding.task, decoding.codec);
        let mut prompt = parse_physical_exprs(&self.prompt, &context, &input.schema(), decoding.converter)?;
        match (prompt.pop(), prompt.is_empty()) {
            (Some(prompt), true) => {
                let handle = LanguageHandle { info, models: models.clone() };
                LanguageExec::try_new(input, Arc::new(handle), Arc::new(task), prompt)
            }
            _ => Err(damaged("a language model has one prompt")),
        }
    }
}

fn damaged(what: &str) -> DataFusionError {
    DataFusionError::Internal(format!("an encoded plan is damaged: {what}"))
}
