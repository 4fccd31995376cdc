//! PREDICT in a physical plan.

use std::fmt;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Field, FieldRef, Schema, SchemaRef};
use datafusion::common::{ColumnStatistics, DataFusionError, Result, Statistics};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::projection::{ProjectionMapping, ProjectionTargets};
use datafusion::physical_plan::execution_plan::CardinalityEffect;
use datafusion::physical_plan::metrics::{
    BaselineMetrics, ExecutionPlanMetricsSet, MetricBuilder, MetricsSet, RecordOutput,
};
use datafusion::physical_plan::statistics::{ChildStats, StatisticsArgs};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, PlanProperties};
use futures::StreamExt;
use lakemill_learn::PredictOptions;

use super::Outputs;
use crate::Error;
use crate::model::loaded::ModelHandle;
use crate::model::unary::{row_by_row, unary_operator};

/// See [`super`].
#[derive(Clone, Debug)]
pub(crate) struct PredictExec {
    input: Arc<dyn ExecutionPlan>,
    predictor: Predictor,
    outputs: Outputs,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

/// A model and the expressions that give its features: all that is needed to predict a batch.
#[derive(Clone, Debug)]
pub(crate) struct Predictor {
    handle: Arc<ModelHandle>,
    features: Vec<Arc<dyn PhysicalExpr>>,
    schema: SchemaRef,
}

impl Predictor {
    /// A predictor from `features`, which are in the model's order.
    pub(crate) fn new(handle: Arc<ModelHandle>, features: Vec<Arc<dyn PhysicalExpr>>) -> Self {
        let fields: Vec<Field> =
            handle.model.features().iter().map(|field| field.clone().with_nullable(true)).collect();
        Self { handle, features, schema: Arc::new(Schema::new(fields)) }
    }

    /// The model.
    pub(crate) fn handle(&self) -> &Arc<ModelHandle> {
        &self.handle
    }

    /// The features.
    pub(crate) fn features(&self) -> &[Arc<dyn PhysicalExpr>] {
        &self.features
    }

    /// The features of a batch.
    pub(crate) fn prepare(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let columns = self
            .features
            .iter()
            .map(|feature| feature.evaluate(batch)?.into_array(batch.num_rows()))
            .collect::<Result<Vec<_>>>()?;
        let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        Ok(RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)?)
    }

    /// The features as `name` or `name=expression`.
    pub(crate) fn describe(&self) -> String {
        let named =
            self.schema.fields().iter().zip(&self.features).map(|(field, expr)| match expr.downcast_ref::<Column>() {
                Some(column) if column.name() == field.name() => field.name().clone(),
                _ => format!("{}={expr}", field.name()),
            });
        named.collect::<Vec<_>>().join(", ")
    }
}

impl PredictExec {
    /// A prediction for each row of `input`.
    ///
    /// # Errors
    /// The input's columns and the prediction's do not make a schema.
    pub(crate) fn try_new(input: Arc<dyn ExecutionPlan>, predictor: Predictor, outputs: Outputs) -> Result<Self> {
        let properties = Arc::new(properties(&input, &predictor, outputs)?);
        Ok(Self { input, predictor, outputs, properties, metrics: ExecutionPlanMetricsSet::new() })
    }

    /// The model and its features.
    pub(crate) fn predictor(&self) -> &Predictor {
        &self.predictor
    }

    /// What is predicted.
    pub(crate) fn outputs(&self) -> Outputs {
        self.outputs
    }

    /// This operator over another input.
    fn over(&self, input: Arc<dyn ExecutionPlan>) -> Result<Self> {
        Self::try_new(input, self.predictor.clone(), self.outputs)
    }

    fn expressions(&self) -> impl Iterator<Item = &Arc<dyn PhysicalExpr>> {
        self.predictor.features.iter()
    }
}

/// The input's partitioning and order hold for the output, its columns moved right by the predicted ones.
fn properties(input: &Arc<dyn ExecutionPlan>, predictor: &Predictor, outputs: Outputs) -> Result<PlanProperties> {
    let mut fields: Vec<FieldRef> = outputs.fields(&predictor.handle);
    fields.extend(input.schema().fields().iter().cloned());
    let schema = Arc::new(Schema::new_with_metadata(fields, input.schema().metadata().clone()));
    let added = outputs.fields(&predictor.handle).len();
    let column = |name: &str, index: usize| Arc::new(Column::new(name, index)) as Arc<dyn PhysicalExpr>;
    let mapping: ProjectionMapping = input
        .schema()
        .fields()
        .iter()
        .enumerate()
        .map(|(index, field)| {
            let target = (column(field.name(), index + added), index + added);
            (column(field.name(), index), ProjectionTargets::from(vec![target]))
        })
        .collect();
    let equivalence = input.equivalence_properties().project(&mapping, schema);
    let partitioning = input.output_partitioning().project(&mapping, input.equivalence_properties());
    Ok(PlanProperties::new(equivalence, partitioning, input.pipeline_behavior(), input.boundedness()))
}

impl DisplayAs for PredictExec {
    fn fmt_as(&self, kind: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let outputs: Vec<String> =
            self.outputs.fields(&self.predictor.handle).iter().map(|field| field.name().clone()).collect();
        let model = &self.predictor.handle;
        match kind {
            DisplayFormatType::Default | DisplayFormatType::Verbose => {
                let features = self.predictor.describe();
                write!(f, "PredictExec: model={model}, features=[{features}], output=[{}]", outputs.join(", "))?;
                match self.outputs.threshold() {
                    Some(threshold) => write!(f, ", threshold={threshold}"),
                    None => Ok(()),
                }
            }
            DisplayFormatType::TreeRender => {
                writeln!(f, "model={model}")?;
                writeln!(f, "features={}", self.predictor.features.len())?;
                writeln!(f, "output={}", outputs.join(", "))
            }
        }
    }
}

impl ExecutionPlan for PredictExec {
    unary_operator!("PredictExec");

    /// The order is kept, which the equivalence properties say. Said here, the optimizer would push a sort below this
    /// operator with the columns' places unchanged, and the predictions stand before them.
    fn maintains_input_order(&self) -> Vec<bool> {
        vec![false]
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let input = self.input.execute(partition, context)?;
        let baseline = BaselineMetrics::new(&self.metrics, partition);
        let batches = MetricBuilder::new(&self.metrics).counter("input_batches", partition);
        let predictor = self.predictor.clone();
        let options = PredictOptions { threshold: self.outputs.threshold(), labels_only: self.outputs.labels_only };
        let schema = self.schema();
        let output = Arc::clone(&schema);
        let rows = input.map(move |batch| {
            let batch = batch?;
            let timer = baseline.elapsed_compute().timer();
            batches.add(1);
            let predicted = predict(&predictor, &batch, &options, &output)?;
            timer.done();
            Ok(predicted.record_output(&baseline))
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, rows)))
    }

    fn child_stats_requests(&self, partition: Option<usize>) -> Vec<ChildStats> {
        vec![ChildStats::At(partition)]
    }

    fn statistics_from_inputs(&self, input: &[Arc<Statistics>], _: &StatisticsArgs) -> Result<Arc<Statistics>> {
        let Some(input) = input.first() else { return Ok(Arc::new(Statistics::new_unknown(&self.schema()))) };
        let added = self.outputs.fields(&self.predictor.handle).len();
        let mut columns = vec![ColumnStatistics::new_unknown(); added];
        columns.extend(input.column_statistics.iter().cloned());
        Ok(row_by_row(input, columns))
    }

    fn supports_limit_pushdown(&self) -> bool {
        true
    }

    fn cardinality_effect(&self) -> CardinalityEffect {
        CardinalityEffect::Equal
    }
}

fn predict(
    predictor: &Predictor,
    batch: &RecordBatch,
    options: &PredictOptions,
    schema: &SchemaRef,
) -> Result<RecordBatch> {
    let features = predictor.prepare(batch)?;
    let mut columns = predictor
        .handle
        .model
        .predict(&features, options)
        .map_err(|error| DataFusionError::External(Box::new(Error::from(error))))?;
    columns.extend(batch.columns().iter().cloned());
    Ok(RecordBatch::try_new(Arc::clone(schema), columns)?)
}
