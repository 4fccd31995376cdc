//! A language model over rows, in a physical plan.
//!
//! It gathers many rows of a partition before it asks the model, since the engine orders and folds what it knows at once,
//! and keeps rows, their order and their partitions. Several partitions share one engine.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::compute::concat_batches;
use arrow::datatypes::{FieldRef, Schema, SchemaRef};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{ColumnStatistics, DataFusionError, Result, Statistics, internal_err};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::projection::{ProjectionMapping, ProjectionTargets};
use datafusion::physical_plan::execution_plan::CardinalityEffect;
use datafusion::physical_plan::metrics::{
    BaselineMetrics, Count, ExecutionPlanMetricsSet, MetricBuilder, MetricsSet, RecordOutput,
};
use datafusion::physical_plan::statistics::{ChildStats, StatisticsArgs};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, PlanProperties,
    ReplaceChildrenOptions,
};
use futures::{StreamExt, stream};
use tokio::sync::OnceCell;

use super::embed;
use super::generate::{self, Watch};
use super::kept::Kept;
use super::progress::{Counts, Tokens};
use super::prompt::{self, LineOrder};
use super::resume::{Finished, Resume};
use super::task::{Answer, NO_PROMPT, embedding_columns};
use super::{LanguageHandle, Task};
use crate::Error;
use crate::language::Embedding;
use crate::model::unary::row_by_row;
use crate::observer::Observer;
use crate::optimizer::Interrupt;

/// Rows that are asked at once: enough for every common prefix to show, few enough that their answers come within minutes.
const GATHERED_ROWS: usize = 8192;
/// Bytes of rows that are gathered.
const GATHERED_BYTES: usize = 64 * 1024 * 1024;

/// What an earlier run has finished, once it was looked for.
type FinishedCell<T> = Arc<OnceCell<Option<Arc<Finished<T>>>>>;

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct LanguageExec {
    input: Arc<dyn ExecutionPlan>,
    handle: Arc<LanguageHandle>,
    task: Arc<Task>,
    prompt: Arc<dyn PhysicalExpr>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
    counts: Arc<Counts>,
    answers: FinishedCell<Answer>,
    vectors: FinishedCell<Embedding>,
    line_order: Arc<LineOrder>,
}

impl LanguageExec {
    /// `task` for each row of `input`, with `prompt` over its columns.
    ///
    /// # Errors
    /// The properties of the input cannot be carried over.
    pub(crate) fn try_new(
        input: Arc<dyn ExecutionPlan>,
        handle: Arc<LanguageHandle>,
        task: Arc<Task>,
        prompt: Arc<dyn PhysicalExpr>,
    ) -> Result<Self> {
        let fields: Vec<FieldRef> = input.schema().fields().iter().cloned().chain(task.fields()).collect();
        let schema = Arc::new(Schema::new_with_metadata(fields, input.schema().metadata().clone()));
        let properties = Arc::new(properties(input.as_ref(), schema)?);
        Ok(Self {
            input,
            handle,
            task,
            prompt,
            properties,
            metrics: ExecutionPlanMetricsSet::new(),
            counts: Arc::default(),
            answers: Arc::default(),
            vectors: Arc::default(),
            line_order: Arc::default(),
        })
    }

    /// The rows.
    pub(super) fn input(&self) -> &Arc<dyn ExecutionPlan> {
        &self.input
    }

    /// The model.
    pub(super) fn handle(&self) -> &Arc<LanguageHandle> {
        &self.handle
    }

    /// What is asked.
    pub(super) fn task(&self) -> &Arc<Task> {
        &self.task
    }

    /// The prompt.
    pub(super) fn prompt(&self) -> &Arc<dyn PhysicalExpr> {
        &self.prompt
    }

    /// How far it is.
    pub(super) fn counts(&self) -> &Counts {
        &self.counts
    }

    fn over(&self, input: Arc<dyn ExecutionPlan>) -> Result<Self> {
        Self::try_new(input, Arc::clone(&self.handle), Arc::clone(&self.task), Arc::clone(&self.prompt))
    }
}

/// The input's columns keep their places, order and partitioning.
fn properties(input: &dyn ExecutionPlan, schema: SchemaRef) -> Result<PlanProperties> {
    let column = |name: &str, index: usize| Arc::new(Column::new(name, index)) as Arc<dyn PhysicalExpr>;
    let mapping: ProjectionMapping = input
        .schema()
        .fields()
        .iter()
        .enumerate()
        .map(|(index, field)| {
            let target = (column(field.name(), index), index);
            (column(field.name(), index), ProjectionTargets::from(vec![target]))
        })
        .collect();
    let equivalence = input.equivalence_properties().project(&mapping, schema);
    let partitioning = input.output_partitioning().project(&mapping, input.equivalence_properties());
    Ok(PlanProperties::new(equivalence, partitioning, input.pipeline_behavior(), input.boundedness()))
}

impl DisplayAs for LanguageExec {
    fn fmt_as(&self, kind: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match kind {
            DisplayFormatType::Default | DisplayFormatType::Verbose => {
                write!(f, "LanguageExec: {}, model={}, prompt={}", self.task.function(), self.handle, self.prompt)
            }
            DisplayFormatType::TreeRender => {
                writeln!(f, "function={}", self.task.function())?;
                writeln!(f, "model={}", self.handle)
            }
        }
    }
}

impl ExecutionPlan for LanguageExec {
    fn name(&self) -> &'static str {
        "LanguageExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        f(&self.prompt)
    }

    fn replace_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        match (children.pop(), children.is_empty()) {
            (Some(input), true) => Ok(Arc::new(self.over(input)?)),
            _ => internal_err!("LanguageExec has one child"),
        }
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        self.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    /// The engine has the cores to itself: rows that are together share more prefixes.
    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let run = Run {
            input: self.input.execute(partition, Arc::clone(&context))?,
            node: self.clone(),
            schema: self.schema(),
            memory: MemoryConsumer::new(self.task.function()).register(context.memory_pool()),
            watching: Arc::new(Watching::new(self, partition, &context)),
            resume: context.session_config().options().extensions.get::<Resume>().cloned(),
            baseline: BaselineMetrics::new(&self.metrics, partition),
            done: false,
        };
        let rows = stream::try_unfold(run, |mut run| async move { Ok(run.next().await?.map(|batch| (batch, run))) });
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), rows)))
    }

    fn child_stats_requests(&self, partition: Option<usize>) -> Vec<ChildStats> {
        vec![ChildStats::At(partition)]
    }

    fn statistics_from_inputs(&self, input: &[Arc<Statistics>], _: &StatisticsArgs) -> Result<Arc<Statistics>> {
        let Some(input) = input.first() else { return Ok(Arc::new(Statistics::new_unknown(&self.schema()))) };
        let mut columns = input.column_statistics.clone();
        columns.extend(vec![ColumnStatistics::new_unknown(); self.task.fields().len()]);
        Ok(row_by_row(input, columns))
    }

    fn supports_limit_pushdown(&self) -> bool {
        true
    }

    fn cardinality_effect(&self) -> CardinalityEffect {
        CardinalityEffect::Equal
    }
}

/// One partition at work. Dropping it stops the engine's work for it.
struct Run {
    input: SendableRecordBatchStream,
    node: LanguageExec,
    schema: SchemaRef,
    memory: MemoryReservation,
    watching: Arc<Watching>,
    resume: Option<Resume>,
    baseline: BaselineMetrics,
    done: bool,
}

impl Drop for Run {
    fn drop(&mut self) {
        self.watching.stop.store(true, Ordering::Relaxed);
    }
}

impl Run {
    async fn next(&mut self) -> Result<Option<RecordBatch>> {
        let Some(batch) = self.gather().await? else { return Ok(None) };
        let prompts = self.node.prompt.evaluate(&batch)?.into_array(batch.num_rows())?;
        let prompts = prompt::texts(&prompts, &self.node.task, &self.node.line_order).await?;
        self.node.counts.start();
        let added = match self.node.task.as_ref() {
            Task::Embedding => self.embed(prompts).await?,
            _ => self.generate(prompts).await?,
        };
        let columns = batch.columns().iter().cloned().chain(added).collect();
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), columns)?;
        self.memory.free();
        Ok(Some(batch.record_output(&self.baseline)))
    }

    /// Many rows of the input, as one batch.
    async fn gather(&mut self) -> Result<Option<RecordBatch>> {
        let (mut batches, mut rows) = (Vec::new(), 0);
        while !self.done && rows < GATHERED_ROWS && self.memory.size() < GATHERED_BYTES {
            match self.input.next().await.transpose()? {
                Some(batch) if batch.num_rows() > 0 => {
                    self.memory.try_grow(batch.get_array_memory_size())?;
                    rows += batch.num_rows();
                    batches.push(batch);
                }
                Some(_) => {}
                None => self.done = true,
            }
        }
        match batches.len() {
            0 => Ok(None),
            _ => Ok(Some(concat_batches(&self.node.input.schema(), &batches)?)),
        }
    }

    async fn generate(&mut self, prompts: StringArray) -> Result<Vec<ArrayRef>> {
        let handle = &self.node.handle;
        let generator = handle.models.generator(&handle.info).await.map_err(external)?;
        let finished = self.finished(Arc::clone(&self.node.answers)).await.map_err(external)?;
        let (task, watching) = (Arc::clone(&self.node.task), Arc::clone(&self.watching));
        let work = move || {
            let rows: Vec<Option<&str>> = prompts.iter().collect();
            let answers = generate::generate(&generator, &task, &rows, finished.as_deref(), watching.as_ref())
                .map_err(external)?;
            watching.answered(answers.folded, answers.resumed);
            task.columns(&answers.answers).map_err(external)
        };
        blocking(work).await
    }

    async fn embed(&mut self, texts: StringArray) -> Result<Vec<ArrayRef>> {
        let handle = &self.node.handle;
        let embedder = handle.models.embedder(&handle.info).await.map_err(external)?;
        let finished = self.finished(Arc::clone(&self.node.vectors)).await.map_err(external)?;
        let watching = Arc::clone(&self.watching);
        let work = move || {
            let rows: Vec<Option<&str>> = texts.iter().collect();
            let made = embed::embed(&embedder, &rows, finished.as_deref(), watching.as_ref()).map_err(external)?;
            watching.answered(made.folded, made.resumed);
            let rows: Vec<_> = made.embeddings.iter().map(|made| made.as_deref().ok_or(NO_PROMPT)).collect();
            Ok(embedding_columns(&rows))
        };
        blocking(work).await
    }

    /// Rows that an earlier run of the statement has finished; read once for all partitions.
    async fn finished<T: Kept>(&mut self, cell: FinishedCell<T>) -> crate::Result<Option<Arc<Finished<T>>>> {
        let Some(resume) = &self.resume else { return Ok(None) };
        let open =
            || async { resume.open(&self.node.handle, &self.node.task).await.map(|found| Some(Arc::new(found))) };
        cell.get_or_try_init(open).await.cloned()
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| external(Error::internal(format!("a language model's run failed: {error}"))))?
}

/// What a partition tells and asks while the engine works for it.
struct Watching {
    stop: AtomicBool,
    observer: Option<Arc<dyn Observer>>,
    counts: Arc<Counts>,
    prefilled: Count,
    reused: Count,
    generated: Count,
    folded: Count,
    resumed: Count,
}

impl Watching {
    fn new(node: &LanguageExec, partition: usize, context: &TaskContext) -> Self {
        let count = |name: &'static str| MetricBuilder::new(&node.metrics).counter(name, partition);
        let interrupt = context.session_config().options().extensions.get::<Interrupt>();
        Self {
            stop: AtomicBool::new(false),
            observer: interrupt.map(|interrupt| Arc::clone(&interrupt.0)),
            counts: Arc::clone(&node.counts),
            prefilled: count("tokens_prefilled"),
            reused: count("tokens_reused"),
            generated: count("tokens_generated"),
            folded: count("prompts_folded"),
            resumed: count("prompts_resumed"),
        }
    }

    fn answered(&self, folded: usize, resumed: usize) {
        self.folded.add(folded);
        self.resumed.add(resumed);
    }
}

impl Watch for Watching {
    fn is_cancelled(&self) -> bool {
        self.stop.load(Ordering::Relaxed) || self.observer.as_ref().is_some_and(|observer| observer.is_cancelled())
    }

    fn tokens(&self, tokens: Tokens) {
        self.prefilled.add(tokens.prefilled as usize);
        self.reused.add(tokens.reused as usize);
        self.generated.add(tokens.generated as usize);
        self.counts.tokens(tokens);
    }

    fn rows(&self, rows: u64) {
        self.counts.rows(rows);
    }
}

fn external(error: Error) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}
