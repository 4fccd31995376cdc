//! The table and the plan of CSV and JSON files.
//!
//! Files are spread over partitions by size, a large one in pieces (`parts`, `split`); each is read as a stream in bounded
//! memory. Reading and splitting run in a task of their own, so decompression and parsing of one file overlap with the
//! query. Hive partitions that a filter rules out are not read.

use std::fmt;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;
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
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::metrics::{BaselineMetrics, Count, ExecutionPlanMetricsSet, MetricBuilder, MetricsSet};
use datafusion::physical_plan::stream::RecordBatchReceiverStream;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties};
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use object_store::{GetOptions, GetResult, GetResultPayload, ObjectMeta, ObjectStore, ObjectStoreExt};

use super::bad_rows::{BAD_ROWS_METRIC, BadRows, Reporter};
use super::cannot_read;
use super::csv::CsvParser;
use super::discover::{Found, RawFile};
use super::hive::{KeyedFile, KeyedFiles};
use super::json::JsonParser;
use super::options::{Format, TextOptions};
use super::parts::{Part, spread, whole};
use crate::error::Result;

/// The bytes of a local file that are read at once.
const BLOCK_BYTES: u64 = 512 * 1024;

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
    files: KeyedFiles,
    /// The files' own columns, with the types that the parsers make.
    file_schema: SchemaRef,
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
        let files = KeyedFiles::new(&found.files, partitions)?;
        let source = TextSource { found, files, file_schema: parsed, format, options };
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

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> DataFusionResult<Vec<TableProviderFilterPushDown>> {
        Ok(self.source.files.pushdown(filters))
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        let projection = projection.cloned().unwrap_or_else(|| (0..self.schema.fields().len()).collect());
        let schema = Arc::new(self.schema.project(&projection)?);
        let source = &self.source;
        let (files, rows_decide) = source.files.select(filters, state)?;
        let limit = limit.filter(|_| !rows_decide);
        let partitions = state.config().target_partitions();
        let groups = match limit {
            // A few rows are those at the files' starts.
            Some(_) => whole(&files, partitions),
            None => spread(&files, partitions, &source.found, source.format, &source.options),
        };
        if files.is_empty() {
            return Ok(Arc::new(EmptyExec::new(schema)));
        }
        Ok(Arc::new(TextScanExec::new(Arc::clone(source), groups, files.len(), projection, schema, limit)))
    }
}

/// Reads CSV or JSON files, one group of them per partition.
#[derive(Debug)]
struct TextScanExec {
    source: Arc<TextSource>,
    groups: Vec<Vec<Part>>,
    files: usize,
    projection: Vec<usize>,
    limit: Option<usize>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
    bad_rows: Arc<BadRows>,
}

impl TextScanExec {
    fn new(
        source: Arc<TextSource>,
        groups: Vec<Vec<Part>>,
        files: usize,
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
        Self { source, groups, files, projection, limit, properties: Arc::new(properties), metrics, bad_rows }
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
        write!(
            f,
            "TextScanExec: format={}, files={}, columns=[{}]",
            self.source.format.as_str(),
            self.files,
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
        let parts = self.groups[partition].clone();
        builder.spawn(async move { reader.run(parts, send).await.map_err(DataFusionError::from) });
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
    fn start_at(&mut self, header: &[u8], line: u64) -> Result<()> {
        match self {
            Self::Csv(parser) => parser.start_at(header, line),
            Self::Json(parser) => {
                parser.start_at(line);
                Ok(())
            }
        }
    }

    fn feed(&mut self, bytes: &[u8]) -> Result<Vec<RecordBatch>> {
        match self {
            Self::Csv(parser) => parser.feed(bytes),
            Self::Json(parser) => parser.feed(bytes),
        }
    }
}

impl GroupReader {
    async fn run(mut self, parts: Vec<Part>, send: BatchSender) -> Result<()> {
        for part in parts {
            let shown: Arc<str> = self.source.found.shown(&part.file.file).into();
            let done = self.read_part(&part, &shown, &send).await.map_err(|error| {
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
    async fn read_part(&mut self, part: &Part, shown: &Arc<str>, send: &BatchSender) -> Result<bool> {
        let KeyedFile { file, keys } = &part.file;
        let mut parser = self.parser(file, shown);
        let store = Arc::clone(&self.source.found.store);
        let mut stream = match &part.piece {
            None => open_bytes(store, &file.meta, &self.source.options).await?,
            Some((index, pieces)) => {
                let cut = pieces.get().await?;
                let Some(piece) = cut.pieces.get(*index) else { return Ok(false) };
                if *index > 0 {
                    parser.start_at(&cut.header, piece.line)?;
                }
                open_range(store, &file.meta, piece.start..piece.end).await?
            }
        };
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
                let batch = self.project(&batch, keys)?;
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

/// A file's bytes, decompressed.
pub(super) async fn open_bytes(
    store: Arc<dyn ObjectStore>,
    meta: &ObjectMeta,
    options: &TextOptions,
) -> Result<BoxStream<'static, DataFusionResult<Bytes>>> {
    let stream = bytes_of(store.get(&meta.location).await?);
    Ok(options.compression_of(meta.location.as_ref()).convert_stream(stream)?)
}

/// A part of a file's bytes.
async fn open_range(
    store: Arc<dyn ObjectStore>,
    meta: &ObjectMeta,
    range: Range<u64>,
) -> Result<BoxStream<'static, DataFusionResult<Bytes>>> {
    let options = GetOptions { range: Some(range.into()), ..GetOptions::default() };
    Ok(bytes_of(store.get_opts(&meta.location, options).await?))
}

/// A local file is read in larger blocks than its store would: each is a change of threads.
fn bytes_of(found: GetResult) -> BoxStream<'static, DataFusionResult<Bytes>> {
    let range = found.range.clone();
    match found.payload {
        GetResultPayload::File(file, _) => stream::try_unfold((Arc::new(file), range), |(file, range)| async move {
            if range.is_empty() {
                return Ok(None);
            }
            let reading = Arc::clone(&file);
            let end = range.end.min(range.start + BLOCK_BYTES);
            let block = tokio::task::spawn_blocking(move || read_block(&reading, range.start..end)).await;
            let block = block.map_err(|error| DataFusionError::External(Box::new(error)))??;
            let left = if block.is_empty() { range.end } else { range.start + block.len() as u64 };
            Ok(Some((block, (file, left..range.end))))
        })
        .boxed(),
        GetResultPayload::Stream(stream) => stream.map(|chunk| chunk.map_err(DataFusionError::from)).boxed(),
    }
}

fn read_block(mut file: &File, range: Range<u64>) -> std::io::Result<Bytes> {
    let length = usize::try_from(range.end - range.start).map_err(std::io::Error::other)?;
    file.seek(SeekFrom::Start(range.start))?;
    let mut block = Vec::with_capacity(length);
    file.take(range.end - range.start).read_to_end(&mut block)?;
    Ok(block.into())
}
