//! A measure of predictions in a physical plan.

use std::fmt;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Field, Schema};
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, Partitioning, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::metrics::{BaselineMetrics, Count, ExecutionPlanMetricsSet, MetricBuilder, MetricsSet};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, PlanProperties};
use futures::StreamExt;
use futures::stream;
use lakemill_learn::{Driver, metrics};
use tokio::task::JoinSet;

use super::Measure;
use crate::Error;
use crate::model::predict::Predictor;
use crate::model::unary::unary_operator;

/// See [`super`].
#[derive(Clone, Debug)]
pub(crate) struct EvaluateExec {
    input: Arc<dyn ExecutionPlan>,
    predictor: Predictor,
    label: Arc<dyn PhysicalExpr>,
    measure: Measure,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl EvaluateExec {
    /// Measures a model's predictions against `label` on the rows of `input`.
    ///
    /// # Errors
    /// The measure is not defined for the model.
    pub(crate) fn try_new(
        input: Arc<dyn ExecutionPlan>,
        predictor: Predictor,
        label: Arc<dyn PhysicalExpr>,
        measure: Measure,
    ) -> Result<Self> {
        let schema = measure.schema(&predictor.handle().model).map_err(external)?;
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Final,
            Boundedness::Bounded,
        );
        let metrics = ExecutionPlanMetricsSet::new();
        Ok(Self { input, predictor, label, measure, properties: Arc::new(properties), metrics })
    }

    /// The model and its features.
    pub(crate) fn predictor(&self) -> &Predictor {
        &self.predictor
    }

    /// The label.
    pub(crate) fn label(&self) -> &Arc<dyn PhysicalExpr> {
        &self.label
    }

    /// What is measured.
    pub(crate) fn measure(&self) -> &Measure {
        &self.measure
    }

    /// This operator over another input.
    fn over(&self, input: Arc<dyn ExecutionPlan>) -> Result<Self> {
        Self::try_new(input, self.predictor.clone(), Arc::clone(&self.label), self.measure.clone())
    }

    fn expressions(&self) -> impl Iterator<Item = &Arc<dyn PhysicalExpr>> {
        self.predictor.features().iter().chain([&self.label])
    }

    fn scorer(&self, partition: usize, context: &Arc<TaskContext>) -> Result<Scorer> {
        let memory = MemoryConsumer::new(format!("EvaluateExec[{partition}]")).register(context.memory_pool());
        let label =
            Field::new(self.predictor.handle().model.label(), self.label.data_type(&self.input.schema())?, true);
        Ok(Scorer {
            rows: self.input.execute(partition, Arc::clone(context))?,
            predictor: self.predictor.clone(),
            label: (label, Arc::clone(&self.label)),
            memory,
            baseline: BaselineMetrics::new(&self.metrics, partition),
            scored_rows: MetricBuilder::new(&self.metrics).counter("scored_rows", partition),
        })
    }
}

/// Scores one partition.
struct Scorer {
    rows: SendableRecordBatchStream,
    predictor: Predictor,
    label: (Field, Arc<dyn PhysicalExpr>),
    memory: MemoryReservation,
    baseline: BaselineMetrics,
    scored_rows: Count,
}

impl Scorer {
    /// Labels and scores of all rows; the reservation holds the memory that they take.
    async fn run(mut self) -> Result<(Vec<RecordBatch>, MemoryReservation)> {
        let mut scored = Vec::new();
        while let Some(batch) = self.rows.next().await {
            let batch = batch?;
            let timer = self.baseline.elapsed_compute().timer();
            let batch = self.score(&batch)?;
            timer.done();
            self.memory.try_grow(batch.get_array_memory_size())?;
            self.scored_rows.add(batch.num_rows());
            scored.push(batch);
        }
        Ok((scored, self.memory))
    }

    fn score(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let features = self.predictor.prepare(batch)?;
        let (field, expr) = &self.label;
        let mut fields: Vec<Field> = features.schema().fields().iter().map(|field| field.as_ref().clone()).collect();
        let mut columns = features.columns().to_vec();
        fields.push(field.clone());
        columns.push(expr.evaluate(batch)?.into_array(batch.num_rows())?);
        let rows = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?;
        metrics::scored(&self.predictor.handle().model, &rows).map_err(|error| external(error.into()))
    }
}

impl DisplayAs for EvaluateExec {
    fn fmt_as(&self, kind: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let model = self.predictor.handle();
        match kind {
            DisplayFormatType::Default | DisplayFormatType::Verbose => {
                let features = self.predictor.describe();
                write!(f, "EvaluateExec: {}, model={model}, label={}, features=[{features}]", self.measure, self.label)
            }
            DisplayFormatType::TreeRender => {
                writeln!(f, "{}", self.measure)?;
                writeln!(f, "model={model}")
            }
        }
    }
}

impl ExecutionPlan for EvaluateExec {
    unary_operator!("EvaluateExec");

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        if partition != 0 {
            return Err(DataFusionError::Internal(format!("EvaluateExec has one partition, not {partition}")));
        }
        let partitions = self.input.output_partitioning().partition_count();
        let scorers = (0..partitions).map(|partition| self.scorer(partition, &context)).collect::<Result<Vec<_>>>()?;
        let threads = context.session_config().target_partitions();
        let (measure, predictor, schema) = (self.measure.clone(), self.predictor.clone(), self.schema());
        let rows = stream::once(measure_all(scorers, measure, predictor, threads));
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, rows)))
    }
}

/// Runs the scorers as tasks of their own and measures what they found, in the order of the partitions.
async fn measure_all(
    scorers: Vec<Scorer>,
    measure: Measure,
    predictor: Predictor,
    threads: usize,
) -> Result<RecordBatch> {
    let mut tasks = JoinSet::new();
    for (partition, scorer) in scorers.into_iter().enumerate() {
        tasks.spawn(async move { scorer.run().await.map(|scored| (partition, scored)) });
    }
    let mut parts = Vec::new();
    while let Some(part) = tasks.join_next().await {
        parts.push(part.map_err(|error| DataFusionError::ExecutionJoin(Box::new(error)))??);
    }
    parts.sort_by_key(|(partition, _)| *partition);
    let scored: Vec<RecordBatch> = parts.iter().flat_map(|(_, (batches, _))| batches.iter().cloned()).collect();
    let measured = tokio::task::spawn_blocking(move || {
        let driver = Driver::new(threads).map_err(Error::from)?;
        measure.measure(&predictor.handle().model, &scored, &driver)
    });
    measured.await.map_err(|error| DataFusionError::ExecutionJoin(Box::new(error)))?.map_err(external)
}

fn external(error: Error) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}
