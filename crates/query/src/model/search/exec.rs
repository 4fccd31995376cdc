//! VECTOR_SEARCH in a physical plan, and as bytes.
//!
//! The query's rows are gathered first; the partitions of the base are then read at once, each with its own nearest rows, and
//! put together in one partition, in the order of the query's rows and of the distance.

use std::fmt;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, RecordBatch, StructArray, UInt64Array};
use arrow::compute::{concat_batches, interleave_record_batch, take_record_batch};
use arrow::datatypes::{Fields, SchemaRef};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, Result, internal_err};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{Distribution, EquivalenceProperties, Partitioning, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet, RecordOutput};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties,
    InputDistributionRequirements, PlanProperties, ReplaceChildrenOptions,
};
use futures::{StreamExt, TryStreamExt, stream};
use tokio::task::JoinSet;

use super::Search;
use super::nearest::{Found, Nearest, Vectors};
use super::node::output;
use crate::Error;
use crate::observer::Observer;
use crate::optimizer::Interrupt;

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct SearchExec {
    query: Arc<dyn ExecutionPlan>,
    base: Arc<dyn ExecutionPlan>,
    search: Search,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl SearchExec {
    /// A search of `base` for the rows of `query`.
    ///
    /// # Errors
    /// Internal: a column is not there.
    pub(crate) fn try_new(query: Arc<dyn ExecutionPlan>, base: Arc<dyn ExecutionPlan>, search: Search) -> Result<Self> {
        let (query_fields, base_fields) = (query.schema().fields().clone(), base.schema().fields().clone());
        if search.query_column >= query_fields.len() || search.base_column >= base_fields.len() {
            return internal_err!("a search's column of vectors is gone");
        }
        let schema = Arc::new(output(&query_fields, &base_fields));
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Final,
            Boundedness::Bounded,
        );
        Ok(Self { query, base, search, properties: Arc::new(properties), metrics: ExecutionPlanMetricsSet::new() })
    }
}

impl DisplayAs for SearchExec {
    fn fmt_as(&self, kind: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match kind {
            DisplayFormatType::Default | DisplayFormatType::Verbose => write!(f, "SearchExec: {}", self.search),
            DisplayFormatType::TreeRender => writeln!(f, "{}", self.search),
        }
    }
}

impl ExecutionPlan for SearchExec {
    fn name(&self) -> &'static str {
        "SearchExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.query, &self.base]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn input_distribution_requirements(&self) -> InputDistributionRequirements {
        InputDistributionRequirements::new(vec![Distribution::SinglePartition, Distribution::UnspecifiedDistribution])
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false, true]
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        match <[Arc<dyn ExecutionPlan>; 2]>::try_from(children) {
            Ok([query, base]) => Ok(Arc::new(Self::try_new(query, base, self.search.clone())?)),
            Err(_) => internal_err!("SearchExec has two children"),
        }
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        self.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        if partition != 0 {
            return internal_err!("SearchExec has one partition, not {partition}");
        }
        let run = Run {
            query: Arc::clone(&self.query),
            base: Arc::clone(&self.base),
            search: self.search.clone(),
            schema: self.schema(),
            observer: context.session_config().options().extensions.get::<Interrupt>().map(|ask| Arc::clone(&ask.0)),
            context,
        };
        let baseline = BaselineMetrics::new(&self.metrics, partition);
        let rows = stream::once(async move { Ok(run.run().await?.record_output(&baseline)) });
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), rows)))
    }
}

/// A search at work.
#[derive(Clone)]
struct Run {
    query: Arc<dyn ExecutionPlan>,
    base: Arc<dyn ExecutionPlan>,
    search: Search,
    schema: SchemaRef,
    observer: Option<Arc<dyn Observer>>,
    context: Arc<TaskContext>,
}

impl Run {
    async fn run(self) -> Result<RecordBatch> {
        let memory = self.memory();
        let mut rows = self.query.execute(0, Arc::clone(&self.context))?;
        let mut batches = Vec::new();
        while let Some(batch) = rows.try_next().await? {
            memory.try_grow(batch.get_array_memory_size())?;
            batches.push(batch);
        }
        let queries = concat_batches(&self.query.schema(), &batches)?;
        let vectors = Vectors::new(queries.column(self.search.query_column), "the query").map_err(external)?;
        let vectors = Arc::new(vectors);
        let mut tasks = JoinSet::new();
        for partition in 0..self.base.output_partitioning().partition_count() {
            tasks.spawn(self.clone().partition(partition, Arc::clone(&vectors)));
        }
        let mut parts = Vec::new();
        while let Some(done) = tasks.join_next().await {
            parts.push(done.map_err(|error| external(Error::internal(format!("a search failed: {error}"))))??);
        }
        parts.sort_by_key(|(partition, ..)| *partition);
        let (nearest, _reserved): (Vec<Nearest>, Vec<MemoryReservation>) =
            parts.into_iter().map(|(_, nearest, memory)| (nearest, memory)).unzip();
        let (found, kept) = Nearest::merge(nearest, self.search.top_k);
        self.rows(&queries, &found, &kept)
    }

    async fn partition(self, partition: usize, queries: Arc<Vectors>) -> Result<(usize, Nearest, MemoryReservation)> {
        let memory = self.memory();
        let mut nearest = Nearest::new(queries, self.search.clone());
        let mut rows = self.base.execute(partition, Arc::clone(&self.context))?;
        let go_on = || match &self.observer {
            Some(observer) if observer.is_cancelled() => Err(Error::cancelled()),
            _ => Ok(()),
        };
        while let Some(batch) = rows.next().await.transpose()? {
            nearest.add(&batch, &go_on).map_err(external)?;
            memory.try_resize(nearest.memory_bytes())?;
        }
        Ok((partition, nearest, memory))
    }

    fn memory(&self) -> MemoryReservation {
        MemoryConsumer::new("VECTOR_SEARCH").register(self.context.memory_pool())
    }

    fn rows(&self, queries: &RecordBatch, found: &[Found], kept: &[Vec<RecordBatch>]) -> Result<RecordBatch> {
        let wanted = UInt64Array::from_iter_values(found.iter().map(|found| found.query as u64));
        let queries = take_record_batch(queries, &wanted)?;
        let mut batches: Vec<&RecordBatch> = Vec::new();
        let mut firsts = Vec::with_capacity(kept.len());
        for of_partition in kept {
            firsts.push(batches.len());
            batches.extend(of_partition);
        }
        let places: Vec<(usize, usize)> =
            found.iter().map(|found| (firsts[found.partition] + found.batch, found.row)).collect();
        let base = match batches.is_empty() {
            true => RecordBatch::new_empty(self.base.schema()),
            false => interleave_record_batch(&batches, &places)?,
        };
        let distances = Float64Array::from_iter_values(found.iter().map(|found| found.distance));
        let structs = |batch: RecordBatch, fields: &Fields| -> Result<ArrayRef> {
            Ok(Arc::new(StructArray::try_new_with_length(fields.clone(), batch.columns().to_vec(), None, found.len())?))
        };
        let query = structs(queries, self.query.schema().fields())?;
        let base = structs(base, self.base.schema().fields())?;
        Ok(RecordBatch::try_new(Arc::clone(&self.schema), vec![query, base, Arc::new(distances)])?)
    }
}

/// A [`SearchExec`] as bytes.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct SearchMessage {
    /// A `Search` as JSON.
    #[prost(string, tag = "1")]
    search: String,
}

impl SearchMessage {
    /// A node as a message.
    pub(crate) fn of(node: &SearchExec) -> Result<Self> {
        let search = serde_json::to_string(&node.search).map_err(|error| damaged(&error.to_string()))?;
        Ok(Self { search })
    }

    /// The node above its inputs.
    pub(crate) fn decode(&self, query: Arc<dyn ExecutionPlan>, base: Arc<dyn ExecutionPlan>) -> Result<SearchExec> {
        let search = serde_json::from_str(&self.search).map_err(|error| damaged(&error.to_string()))?;
        SearchExec::try_new(query, base, search)
    }
}

fn damaged(what: &str) -> DataFusionError {
    DataFusionError::Internal(format!("an encoded plan is damaged: {what}"))
}

fn external(error: Error) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}
