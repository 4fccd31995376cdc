//! The table and the plan of CSV and JSON files.
//!
//! Files are spread over partitions by size; each is read as a stream in bounded memory. Reading and splitting run in a
//! task of their own, so decompression and parsing of one file overlap with the query.

use std::fmt;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use async_trait::async_trait;
use bytes::Bytes;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{ScalarValue, internal_err};
use datafusion::error::{DataFusionError, Result as DataFusionResult};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::metrics::{BaselineMetrics, Count, ExecutionPlanMetricsSet, MetricBuilder, MetricsSet};
use datafusion::physical_plan::stream::RecordBatchReceiverStream;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties};
use futures::StreamExt;
use futures::stream::BoxStream;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};

use super::bad_rows::{BAD_ROWS_METRIC, BadRows, Reporter};
use super::csv::CsvParser;
use super::discover::{Found, RawFile};
use super::json::JsonParser;
use super::options::{Format, TextOptions};
use crate::error::{Error, Result};

/// Batches that wait between a file's reader and the query.
const QUEUE_BATCHES: usize = 4;

/// CSV and JSON files as a table.
#[derive(Debug)]
pub(super) struct TextTable {
    source: Arc<TextSource>,
    schema: SchemaRef,
}

/// What every partition of a scan needs.
#[derive(Debug)]
struct TextSource {
    found: Found,
    /// The files' own columns, with the types that the parsers make.
    file_schema: SchemaRef,
    partitions: Vec<(String, DataType)>,
    format: Format,
    options: TextOptions,
}

impl TextTable {
    pub(super) fn new(
        found: Found,
        file_schema: SchemaRef,
        partitions: Vec<(String, DataType)>,
        format: Format,
        options: TextOptions,
    ) -> Result<Self> {
        let parsed = file_schema.fields().iter().map(|field| {
            let data_type = parsed_type(field.data_type());
            Field::new(field.name(), data_type, true)
        });
        let parsed = Arc::new(Schema::new(parsed.collect::<Vec<_>>()));
        let own = parsed.fields().iter().map(|field| field.as_ref().clone());
        let keys = partitions.iter().map(|(name, data_type)| Field::new(name, data_type.clone(), true));
        let schema = Arc::new(Schema::new(own.chain(keys).collect::<Vec<_>>()));
        let source = TextSource { found, file_schema: parsed, partitions, format, options };
        Ok(Self { source: Arc::new(source), schema })
    }
}

/// Text is read into plain strings; views would only be copied once more.
fn parsed_type(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Utf8View | DataType::LargeUtf8 | DataType::Null => DataType::Utf8,
        other => other.clone(),
    }
}

#[async_trait]
impl TableProvider for TextTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _: &[Expr],
        limit: Option<usize>,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        let projection = projection.cloned().unwrap_or_else(|| (0..self.schema.fields().len()).collect());
        let schema = Arc::new(self.schema.project(&projection)?);
        let groups = spread(&self.source.found.files, state.config().target_partitions());
        Ok(Arc::new(TextScanExec::new(Arc::clone(&self.source), groups, projection, schema, limit)))
    }
}

/// Gives each file, largest first, to the partition that has least.
fn spread(files: &[RawFile], partitions: usize) -> Vec<Vec<RawFile>> {
    let mut by_size: Vec<&RawFile> = files.iter().collect();
    by_size.sort_by_key(|file| std::cmp::Reverse(file.meta.size));
    let mut groups: Vec<(u64, Vec<RawFile>)> = vec![(0, Vec::new()); partitions.clamp(1, files.len().max(1))];
    for file in by_size {
        if let Some(least) = groups.iter_mut().min_by_key(|(bytes, _)| *bytes) {
            least.0 += file.meta.size;
            least.1.push(file.clone());
        }
    }
    groups.into_iter().map(|(_, files)| files).collect()
}

/// Reads CSV or JSON files, one group of them per partition.
#[derive(Debug)]
struct TextScanExec {
    source: Arc<TextSource>,
    groups: Vec<Vec<RawFile>>,
    projection: Vec<usize>,
    limit: Option<usize>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
    bad_rows: Arc<BadRows>,
}

impl TextScanExec {
    fn new(
        source: Arc<TextSource>,
        groups: Vec<Vec<RawFile>>,
        projection: Vec<usize>,
        schema: SchemaRef,
        limit: Option<usize>,
    ) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema),
            Partitioning::UnknownPartitioning(groups.len()),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        let bad_rows = Arc::new(BadRows::new(source.options.on_error.clone()));
        let metrics = ExecutionPlanMetricsSet::new();
        Self { source, groups, projection, limit, properties: Arc::new(properties), metrics, bad_rows }
    }
}

impl DisplayAs for TextScanExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self
            .properties
            .equivalence_properties()
            .schema()
            .fields()
            .iter()
            .map(|field| field.name().as_str())
            .collect();
        let files: usize = self.groups.iter().map(Vec::len).sum();
        write!(
            f,
            "TextScanExec: format={}, files={files}, columns=[{}]",
            self.source.format.as_str(),
            names.join(", ")
        )?;
        match self.limit {
            Some(limit) => write!(f, ", limit={limit}"),
            None => Ok(()),
        }
    }
}

impl ExecutionPlan for TextScanExec {
    fn name(&self) -> &'static str {
        "TextScanExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        if children.is_empty() { Ok(self) } else { internal_err!("TextScanExec has no children") }
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> DataFusionResult<TreeNodeRecursion>,
    ) -> DataFusionResult<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> DataFusionResult<SendableRecordBatchStream> {
        let schema = self.schema();
        let mut builder = RecordBatchReceiverStream::builder(Arc::clone(&schema), QUEUE_BATCHES);
        let send = builder.tx();
        let reader = GroupReader {
            source: Arc::clone(&self.source),
            projection: self.projection.clone(),
            schema,
            left: self.limit.unwrap_or(usize::MAX),
            batch_rows: context.session_config().batch_size(),
            bad_rows: Arc::clone(&self.bad_rows),
            bad_count: MetricBuilder::new(&self.metrics).counter(BAD_ROWS_METRIC, partition),
            bytes: MetricBuilder::new(&self.metrics).counter("bytes_read", partition),
            baseline: BaselineMetrics::new(&self.metrics, partition),
        };
        let files = self.groups[partition].clone();
        builder.spawn(async move { reader.run(files, send).await.map_err(DataFusionError::from) });
        Ok(builder.build())
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}

type BatchSender = tokio::sync::mpsc::Sender<DataFusionResult<RecordBatch>>;

/// Reads one partition's files in turn.
struct GroupReader {
    source: Arc<TextSource>,
    projection: Vec<usize>,
    schema: SchemaRef,
    left: usize,
    batch_rows: usize,
    bad_rows: Arc<BadRows>,
    bad_count: Count,
    bytes: Count,
    baseline: BaselineMetrics,
}

enum Parser {
    Csv(Box<CsvParser>),
    Json(Box<JsonParser>),
}

impl Parser {
    fn feed(&mut self, bytes: &[u8]) -> Result<Vec<RecordBatch>> {
        match self {
            Self::Csv(parser) => parser.feed(bytes),
            Self::Json(parser) => parser.feed(bytes),
        }
    }
}

impl GroupReader {
    async fn run(mut self, files: Vec<RawFile>, send: BatchSender) -> Result<()> {
        for file in files {
            let shown: Arc<str> = self.source.found.shown(&file).into();
            let done = self.read_file(&file, &shown, &send).await.map_err(|error| {
                if error.to_string().contains(shown.as_ref()) {
                    error
                } else {
                    cannot_read(error, &shown, self.source.format)
                }
            })?;
            if done {
                break;
            }
        }
        self.baseline.done();
        self.bad_rows.flush()
    }

    /// True when nobody wants more rows.
    async fn read_file(&mut self, file: &RawFile, shown: &Arc<str>, send: &BatchSender) -> Result<bool> {
        let mut parser = self.parser(file, shown);
        let keys = self.key_values(file)?;
        let mut stream = open_bytes(Arc::clone(&self.source.found.store), &file.meta, &self.source.options).await?;
        loop {
            let chunk = stream.next().await.transpose()?;
            let at_end = chunk.is_none();
            let chunk = chunk.unwrap_or_default();
            if chunk.is_empty() && !at_end {
                continue;
            }
            self.bytes.add(chunk.len());
            let batches = {
                let _timer = self.baseline.elapsed_compute().timer();
                parser.feed(&chunk)?
            };
            for batch in batches {
                let batch = self.project(&batch, &keys)?;
                let batch = batch.slice(0, batch.num_rows().min(self.left));
                self.left -= batch.num_rows();
                self.baseline.record_output(batch.num_rows());
                if batch.num_rows() > 0 && send.send(Ok(batch)).await.is_err() {
                    return Ok(true);
                }
                if self.left == 0 {
                    return Ok(true);
                }
            }
            if at_end {
                return Ok(false);
            }
        }
    }

    fn parser(&self, file: &RawFile, shown: &Arc<str>) -> Parser {
        let source = &self.source;
        let reporter =
            Reporter { rows: Arc::clone(&self.bad_rows), file: Arc::clone(shown), count: self.bad_count.clone() };
        let wanted: Vec<bool> =
            (0..source.file_schema.fields().len()).map(|column| self.projection.contains(&column)).collect();
        if source.format == Format::Csv {
            let path = file.meta.location.as_ref();
            let parser = CsvParser::new(&source.options, path, &source.file_schema, wanted, reporter, self.batch_rows);
            return Parser::Csv(Box::new(parser));
        }
        let parser = JsonParser::new(source.options.layout, &source.file_schema, reporter, self.batch_rows);
        Parser::Json(Box::new(parser))
    }

    fn key_values(&self, file: &RawFile) -> Result<Vec<ScalarValue>> {
        let value = |(name, data_type): &(String, DataType)| match file.value_of(name) {
            None => Ok(ScalarValue::try_from(data_type)?),
            Some(text) => ScalarValue::try_from_string(text.to_owned(), data_type).map_err(|error| {
                Error::data(format!(
                    "'{}': the folder says {name} = '{text}', which is no {data_type}",
                    file.meta.location
                ))
                .with_source(error)
            }),
        };
        self.source.partitions.iter().map(value).collect()
    }

    fn project(&self, batch: &RecordBatch, keys: &[ScalarValue]) -> Result<RecordBatch> {
        let own = self.source.file_schema.fields().len();
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(self.projection.len());
        for column in &self.projection {
            columns.push(match column.checked_sub(own) {
                None => Arc::clone(batch.column(*column)),
                Some(key) => keys[key].to_array_of_size(batch.num_rows())?,
            });
        }
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        Ok(RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)?)
    }
}

fn cannot_read(error: Error, file: &str, format: Format) -> Error {
    error.context(format_args!("cannot read '{file}' as {}", format.shown()))
}

/// A file's bytes, decompressed.
pub(super) async fn open_bytes(
    store: Arc<dyn ObjectStore>,
    meta: &ObjectMeta,
    options: &TextOptions,
) -> Result<BoxStream<'static, DataFusionResult<Bytes>>> {
    let stream =
        store.get(&meta.location).await?.into_stream().map(|chunk| chunk.map_err(DataFusionError::from)).boxed();
    Ok(options.compression_of(meta.location.as_ref()).convert_stream(stream)?)
}
