//! ML.EVALUATE, ML.CONFUSION_MATRIX, ML.ROC_CURVE and ML.CALIBRATION over rows: a fold over partitions.
//!
//! Each partition of the input scores its own rows and keeps a label and the scores of each; one task then measures
//! them all. Features never leave their partition.

mod codec;
mod exec;
mod measure;
mod node;

pub(crate) use codec::EvaluateMessage;
pub(crate) use exec::EvaluateExec;
pub(crate) use measure::Measure;
pub(crate) use node::EvaluateNode;
