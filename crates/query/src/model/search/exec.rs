//! VECTOR_SEARCH in a physical plan, and as bytes.
//!
//! The query's rows are gathered first; the partitions of the base are then read at once, each with its own nearest rows, and
//! put together in one partition, in the order of the query's rows and of the distance.
//!
//! With an index there is a third input: the scan of the data files that have a segment. It is never run as it is; when the
//! segments have been searched, a scan of the rows that they named is made of it.

use std::fmt;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, RecordBatch, StructArray, UInt64Array};
use arrow::compute::{concat_batches, interleave_record_batch, take_record_batch};
use arrow::datatypes::{Fields, SchemaRef};
use datafusion::catalog::Session;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, Result, internal_err};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{Distribution, EquivalenceProperties, Partitioning, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::metrics::{
    BaselineMetrics, Count, ExecutionPlanMetricsSet, MetricBuilder, MetricsSet, RecordOutput,
};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties,
    InputDistributionRequirements, PlanProperties, ReplaceChildrenOptions,
};
use futures::{StreamExt, TryStreamExt, stream};
use tokio::task::JoinSet;

use super::index::{Chosen, GoOn, IndexUse, Rows, candidates, choose, find_pages, read_rows};
use super::nearest::{Found, Nearest, Vectors};
use super::node::output;
use super::{Search, SearchNode};
use crate::Error;
use crate::observer::Observer;
use crate::optimizer::Interrupt;

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct SearchExec {
    query: Arc<dyn ExecutionPlan>,
    /// What is compared row by row.
    base: Arc<dyn ExecutionPlan>,
    /// What is searched by an index.
    indexed: Option<Indexed>,
    search: Search,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

/// An index, and the scan of the data files that it covers.
#[derive(Clone, Debug)]
struct Indexed {
    index: Arc<IndexUse>,
    scan: Arc<dyn ExecutionPlan>,
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
        let (properties, metrics) = (Arc::new(properties), ExecutionPlanMetricsSet::new());
        Ok(Self { query, base, indexed: None, search, properties, metrics })
    }

    /// The search that a node means, by an index where there is one.
    ///
    /// # Errors
    /// The lake's, asked for its indexes.
    pub(crate) async fn plan(
        node: &SearchNode,
        query: &Arc<dyn ExecutionPlan>,
        base: &Arc<dyn ExecutionPlan>,
        session: &dyn Session,
    ) -> Result<Self> {
        let (query, search) = (Arc::clone(query), node.search().clone());
        match choose(node, base, session).await? {
            None => Self::try_new(query, Arc::clone(base), search),
            Some(Chosen { index, rest, indexed }) => {
                Self::try_new(query, rest, search)?.with_index(Arc::new(index), indexed)
            }
        }
    }

    fn with_index(mut self, index: Arc<IndexUse>, scan: Arc<dyn ExecutionPlan>) -> Result<Self> {
        if scan.schema().fields() != self.base.schema().fields() {
            return internal_err!("the inputs of a search have different columns");
        }
        self.indexed = Some(Indexed { index, scan });
        Ok(self)
    }
}

impl DisplayAs for SearchExec {
    fn fmt_as(&self, kind: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match kind {
            DisplayFormatType::Default | DisplayFormatType::Verbose => write!(f, "SearchExec: {}", self.search)?,
            DisplayFormatType::TreeRender => writeln!(f, "{}", self.search)?,
        }
        let Some(Indexed { index, .. }) = &self.indexed else { return Ok(()) };
        let (by_index, exact) = (index.segments.len(), index.files_exact);
        match kind {
            DisplayFormatType::Default | DisplayFormatType::Verbose => write!(
                f,
                ", index={}, ef_search={}, by_index={by_index} files of {} rows, exact={exact} files of {} rows",
                index.name,
                index.breadth,
                index.rows(),
                index.rows_exact
            ),
            DisplayFormatType::TreeRender => writeln!(f, "index={}", index.name),
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
        let mut children = vec![&self.query, &self.base];
        children.extend(self.indexed.as_ref().map(|indexed| &indexed.scan));
        children
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn input_distribution_requirements(&self) -> InputDistributionRequirements {
        let mut required = vec![Distribution::SinglePartition, Distribution::UnspecifiedDistribution];
        required.extend(self.indexed.as_ref().map(|_| Distribution::UnspecifiedDistribution));
        InputDistributionRequirements::new(required)
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        // The scan of what is indexed is not run as it is: parts of files would be of no use.
        let mut benefits = vec![false, true];
        benefits.extend(self.indexed.as_ref().map(|_| false));
        benefits
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let mut children = children.into_iter();
        let (Some(query), Some(base), scan, None) =
            (children.next(), children.next(), children.next(), children.next())
        else {
            return internal_err!("SearchExec has two children or three");
        };
        let node = Self::try_new(query, base, self.search.clone())?;
        match (&self.indexed, scan) {
            (None, None) => Ok(Arc::new(node)),
            (Some(Indexed { index, .. }), Some(scan)) => Ok(Arc::new(node.with_index(Arc::clone(index), scan)?)),
            _ => internal_err!("SearchExec has a third child where it has an index"),
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
            indexed: self.indexed.clone(),
            search: self.search.clone(),
            schema: self.schema(),
            counts: Counts::new(&self.metrics, self.indexed.is_some()),
            observer: context.session_config().options().extensions.get::<Interrupt>().map(|ask| Arc::clone(&ask.0)),
            context,
        };
        let baseline = BaselineMetrics::new(&self.metrics, partition);
        let rows = stream::once(async move { Ok(run.run().await?.record_output(&baseline)) });
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), rows)))
    }
}

/// What EXPLAIN ANALYZE tells of a search.
#[derive(Clone)]
struct Counts {
    /// Rows that were compared one by one.
    exact: Count,
    index: Option<IndexCounts>,
}

#[derive(Clone)]
struct IndexCounts {
    /// Rows of the segments that were searched.
    searched: Count,
    /// Rows that were read because a segment named them.
    fetched: Count,
    /// Segments that could not be used.
    unusable: Count,
}

impl Counts {
    fn new(metrics: &ExecutionPlanMetricsSet, has_index: bool) -> Self {
        let count = |name| MetricBuilder::new(metrics).counter(name, 0);
        let index = || IndexCounts {
            searched: count("rows_searched_by_index"),
            fetched: count("rows_fetched"),
            unusable: count("segments_unusable"),
        };
        Self { exact: count("rows_compared_exactly"), index: has_index.then(index) }
    }
}

/// A search at work.
#[derive(Clone)]
struct Run {
    query: Arc<dyn ExecutionPlan>,
    base: Arc<dyn ExecutionPlan>,
    indexed: Option<Indexed>,
    search: Search,
    schema: SchemaRef,
    counts: Counts,
    observer: Option<Arc<dyn Observer>>,
    context: Arc<TaskContext>,
}

/// What a partition has: its nearest rows, and the memory that they take.
type Part = (Nearest, MemoryReservation);

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
        let mut parts = self.compared(&self.base, &self.counts.exact, &vectors).await?;
        if let Some(indexed) = &self.indexed {
            parts.extend(self.by_index(indexed, &vectors).await?);
        }
        let (nearest, _reserved): (Vec<Nearest>, Vec<MemoryReservation>) = parts.into_iter().unzip();
        let (found, kept) = Nearest::merge(nearest, self.search.top_k);
        self.rows(&queries, &found, &kept)
    }

    /// The nearest rows of each partition of a plan, all of whose rows are compared.
    async fn compared(
        &self,
        plan: &Arc<dyn ExecutionPlan>,
        count: &Count,
        queries: &Arc<Vectors>,
    ) -> Result<Vec<Part>> {
        let mut tasks = JoinSet::new();
        for partition in 0..plan.output_partitioning().partition_count() {
            let rows = plan.execute(partition, Arc::clone(&self.context))?;
            let work = self.clone().partition(rows, count.clone(), Arc::clone(queries));
            tasks.spawn(async move { work.await.map(|part| (partition, part)) });
        }
        let mut parts = Vec::new();
        while let Some(done) = tasks.join_next().await {
            parts.push(done.map_err(|error| external(Error::internal(format!("a search failed: {error}"))))??);
        }
        parts.sort_by_key(|(partition, _)| *partition);
        Ok(parts.into_iter().map(|(_, part)| part).collect())
    }

    async fn partition(self, mut rows: SendableRecordBatchStream, count: Count, queries: Arc<Vectors>) -> Result<Part> {
        let memory = self.memory();
        let mut nearest = Nearest::new(queries, self.search.clone());
        let go_on = self.go_on();
        while let Some(batch) = rows.next().await.transpose()? {
            count.add(batch.num_rows());
            nearest.add(&batch, go_on.as_ref()).map_err(external)?;
            memory.try_resize(nearest.memory_bytes())?;
        }
        Ok((nearest, memory))
    }

    /// The nearest rows of those that the segments of an index name.
    async fn by_index(&self, indexed: &Indexed, queries: &Arc<Vectors>) -> Result<Vec<Part>> {
        let Some(counts) = &self.counts.index else { return internal_err!("a search by an index counts its rows") };
        let found = candidates(&indexed.index, &self.search, queries, &self.context, &self.go_on()).await?;
        counts.searched.add(found.rows_searched);
        counts.unusable.add(found.segments_unusable);
        let partitions = self.context.session_config().target_partitions();
        let named = read_rows(&indexed.scan, partitions, &|file| found.of(file).filter(Rows::are_some))?;
        let Some(named) = named else {
            // Some rule has made another plan of the scan.
            return self.compared(&indexed.scan, &self.counts.exact, queries).await;
        };
        find_pages(&named, &self.context).await?;
        let mut parts = self.compared(&named, &counts.fetched, queries).await?;
        let whole = read_rows(&indexed.scan, partitions, &|file| found.of(file).filter(|rows| !rows.are_some()))?;
        if let (Some(whole), true) = (whole, found.segments_unusable > 0) {
            parts.extend(self.compared(&whole, &self.counts.exact, queries).await?);
        }
        Ok(parts)
    }

    fn go_on(&self) -> GoOn {
        let observer = self.observer.clone();
        Arc::new(move || match &observer {
            Some(observer) if observer.is_cancelled() => Err(Error::cancelled()),
            _ => Ok(()),
        })
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
    /// An `IndexUse` as JSON.
    #[prost(string, optional, tag = "2")]
    index: Option<String>,
}

impl SearchMessage {
    /// A node as a message.
    pub(crate) fn of(node: &SearchExec) -> Result<Self> {
        let search = serde_json::to_string(&node.search).map_err(|error| damaged(&error.to_string()))?;
        let index = node.indexed.as_ref().map(|indexed| serde_json::to_string(indexed.index.as_ref())).transpose();
        Ok(Self { search, index: index.map_err(|error| damaged(&error.to_string()))? })
    }

    /// The node above its inputs.
    pub(crate) fn decode(
        &self,
        query: Arc<dyn ExecutionPlan>,
        base: Arc<dyn ExecutionPlan>,
        indexed: &[Arc<dyn ExecutionPlan>],
    ) -> Result<SearchExec> {
        let search = serde_json::from_str(&self.search).map_err(|error| damaged(&error.to_string()))?;
        let node = SearchExec::try_new(query, base, search)?;
        match (&self.index, indexed) {
            (None, []) => Ok(node),
            (Some(index), [scan]) => {
                let index: IndexUse = serde_json::from_str(index).map_err(|error| damaged(&error.to_string()))?;
                node.with_index(Arc::new(index), Arc::clone(scan))
            }
            _ => Err(damaged("a search has a third input where it has an index")),
        }
    }
}

fn damaged(what: &str) -> DataFusionError {
    DataFusionError::Internal(format!("an encoded plan is damaged: {what}"))
}

fn external(error: Error) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}
