//! A measure of predictions as bytes. The model travels as in [`crate::model::predict`].

use std::sync::Arc;

use datafusion::common::{DataFusionError, Result};
use datafusion::physical_plan::ExecutionPlan;
use datafusion_proto::physical_plan::from_proto::parse_physical_exprs;
use datafusion_proto::physical_plan::to_proto::serialize_physical_exprs;
use datafusion_proto::physical_plan::{
    PhysicalExtensionCodec, PhysicalPlanDecodeContext, PhysicalProtoConverterExtension,
};
use datafusion_proto::protobuf::PhysicalExprNode;

use super::{EvaluateExec, Measure};
use crate::model::predict::{Decoding, PredictorMessage};

/// An [`EvaluateExec`].
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct EvaluateMessage {
    #[prost(message, optional, tag = "1")]
    predictor: Option<PredictorMessage>,
    #[prost(message, optional, tag = "2")]
    label: Option<PhysicalExprNode>,
    #[prost(string, tag = "3")]
    measure: String,
    /// The threshold or the thresholds; none where none were given.
    #[prost(double, repeated, tag = "4")]
    thresholds: Vec<f64>,
    #[prost(uint32, tag = "5")]
    bins: u32,
}

impl EvaluateMessage {
    /// A node as a message.
    pub(crate) fn of(
        node: &EvaluateExec,
        codec: &dyn PhysicalExtensionCodec,
        converter: &dyn PhysicalProtoConverterExtension,
    ) -> Result<Self> {
        let (thresholds, bins) = match node.measure() {
            Measure::Evaluate { threshold } | Measure::ConfusionMatrix { threshold } => {
                (threshold.iter().copied().collect(), 0)
            }
            Measure::RocCurve { thresholds } => (thresholds.clone().unwrap_or_default(), 0),
            Measure::Calibration { bins } => (Vec::new(), *bins),
        };
        Ok(Self {
            predictor: Some(PredictorMessage::of(node.predictor(), codec, converter)?),
            label: serialize_physical_exprs([node.label()], codec, converter)?.pop(),
            measure: node.measure().name().to_string(),
            thresholds,
            bins,
        })
    }

    /// The node above `input`.
    pub(crate) fn decode(self, input: Arc<dyn ExecutionPlan>, decoding: &Decoding<'_>) -> Result<EvaluateExec> {
        let damaged = |what: &str| DataFusionError::Internal(format!("an encoded plan is damaged: {what}"));
        let context = PhysicalPlanDecodeContext::new(decoding.task, decoding.codec);
        let label = parse_physical_exprs(&self.label, &context, &input.schema(), decoding.converter)?.pop();
        let label = label.ok_or_else(|| damaged("no label"))?;
        let threshold = self.thresholds.first().copied();
        let measure = match self.measure.as_str() {
            "ML.EVALUATE" => Measure::Evaluate { threshold },
            "ML.CONFUSION_MATRIX" => Measure::ConfusionMatrix { threshold },
            "ML.ROC_CURVE" => {
                Measure::RocCurve { thresholds: (!self.thresholds.is_empty()).then_some(self.thresholds) }
            }
            "ML.CALIBRATION" => Measure::Calibration { bins: self.bins },
            _ => return Err(damaged("an unknown measure")),
        };
        let predictor = self.predictor.ok_or_else(|| damaged("no predictor"))?.decode(input.as_ref(), decoding)?;
        EvaluateExec::try_new(input, predictor, label, measure)
    }
}
