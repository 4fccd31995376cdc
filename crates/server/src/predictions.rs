//! What `:predict` answers, kept in the lake: `predictions.NAME` has the rows of a model's requests, or of a sample.
//!
//! A request leaves its rows in a queue and goes on; one task writes what the queue has, every half minute or when there
//! is much, in one commit for each model. A lake that cannot keep up costs rows, which are counted, never answers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use arrow::array::{
    ArrayRef, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray, UInt64Array,
};
use arrow::compute::{concat_batches, take_record_batch};
use arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::datasource::MemTable;
use lakemill_base::{ErrorKind, SplitMix64, Stopwatch, quoted_identifier};
use lakemill_lake::{DEFAULT_NAMESPACE, ModelName, TableName, sql_type};
use lakemill_query::{Scorer, Session};
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::error::{Error, Result};
use crate::metrics::Metrics;

/// The namespace of the tables.
const NAMESPACE: &str = "predictions";

/// How long rows wait at most.
const WRITE_EVERY: Duration = Duration::from_secs(30);

/// Rows that are worth a commit before that.
const WRITE_ROWS: usize = 20_000;

/// Rows that wait at most; more are left out.
const WAITING_ROWS_MAX: usize = 200_000;

/// What the tables have besides the model's own columns.
const OWN_COLUMNS: [&str; 5] = ["predicted_at", "request_id", "instance", "model_version", "latency_ms"];

/// The name that a statement has the rows under.
const ROWS: &str = "predicted_rows";

/// Keeps predictions. One for each server.
#[derive(Debug)]
pub(crate) struct PredictionLog {
    /// The share of requests that is kept.
    rate: f64,
    /// How many requests have asked whether they are kept.
    asked: AtomicU64,
    seed: SplitMix64,
    session: Session,
    metrics: Arc<Metrics>,
    waiting: Arc<AtomicUsize>,
    queue: Mutex<Option<mpsc::UnboundedSender<Entry>>>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

/// A request that is kept.
#[derive(Debug)]
pub(crate) struct Ticket {
    id: String,
    took: Stopwatch,
}

impl Ticket {
    /// What the request is called.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }
}

#[derive(Debug)]
struct Entry {
    model: ModelName,
    rows: RecordBatch,
}

impl PredictionLog {
    /// Begins to keep the share `rate` of requests; `session` may write the tables, and does so on `work`.
    pub(crate) fn start(session: Session, work: &Handle, rate: f64, metrics: Arc<Metrics>) -> Arc<Self> {
        let (queue, entries) = mpsc::unbounded_channel();
        let waiting = Arc::new(AtomicUsize::new(0));
        let writer = Writer { session: session.clone(), metrics: Arc::clone(&metrics), waiting: Arc::clone(&waiting) };
        let seed = SplitMix64::new(u64::try_from(session.clock().now_ms()).unwrap_or_default());
        Arc::new(Self {
            rate,
            asked: AtomicU64::new(0),
            seed,
            session,
            metrics,
            waiting,
            queue: Mutex::new(Some(queue)),
            writer: Mutex::new(Some(work.spawn(writer.run(entries)))),
        })
    }

    /// What a request needs to be kept, if it is to be. `id` is what the client calls it.
    pub(crate) fn ticket(&self, id: Option<&str>, took: Stopwatch) -> Option<Ticket> {
        let asked = self.asked.fetch_add(1, Ordering::Relaxed);
        let kept = self.rate >= 1.0 || self.seed.split(asked).next_f64() < self.rate;
        kept.then(|| Ticket { id: id.map_or_else(|| Uuid::now_v7().to_string(), str::to_owned), took })
    }

    /// Keeps the rows of requests: which they are, and how many of `rows` and `predictions` each has, in their order.
    pub(crate) fn keep<'a>(
        &self,
        scorer: &Scorer,
        requests: impl Iterator<Item = (Option<&'a Ticket>, usize)>,
        rows: &RecordBatch,
        predictions: &RecordBatch,
    ) {
        let mut kept = Kept::default();
        let mut first = 0;
        for (ticket, count) in requests {
            if let Some(ticket) = ticket {
                kept.add(ticket, first, count);
            }
            first += count;
        }
        let count = kept.places.len();
        if count == 0 {
            return;
        }
        if self.waiting.load(Ordering::Relaxed) + count > WAITING_ROWS_MAX {
            self.metrics.unlogged(&scorer.name().to_string(), count as u64);
            return;
        }
        match kept.rows(scorer, self.session.clock().now_ms(), rows, predictions) {
            Ok(rows) => {
                if let Some(queue) = self.queue.lock().as_ref() {
                    self.waiting.fetch_add(count, Ordering::Relaxed);
                    // The writer ends after the queue does.
                    let _ = queue.send(Entry { model: scorer.name().clone(), rows });
                }
            }
            Err(error) => {
                tracing::warn!("predictions of model {} are not kept: {error}", scorer.name());
                self.metrics.unlogged(&scorer.name().to_string(), count as u64);
            }
        }
    }

    /// Writes what waits. Nothing is kept after that.
    pub(crate) async fn close(&self) {
        drop(self.queue.lock().take());
        let writer = self.writer.lock().take();
        if let Some(writer) = writer {
            let _ = writer.await;
        }
    }
}

/// The rows that are kept of some requests that were predicted together.
#[derive(Debug, Default)]
struct Kept<'a> {
    places: Vec<u64>,
    requests: Vec<&'a str>,
    instances: Vec<i32>,
    latencies: Vec<f64>,
}

impl<'a> Kept<'a> {
    fn add(&mut self, ticket: &'a Ticket, first: usize, count: usize) {
        let latency = ticket.took.elapsed().as_secs_f64() * 1000.0;
        for instance in 0..count {
            self.places.push((first + instance) as u64);
            self.requests.push(ticket.id());
            self.instances.push(i32::try_from(instance).unwrap_or(i32::MAX));
            self.latencies.push(latency);
        }
    }

    /// Their rows, in memory of their own.
    fn rows(self, scorer: &Scorer, now_ms: i64, rows: &RecordBatch, predictions: &RecordBatch) -> Result<RecordBatch> {
        let count = self.places.len();
        let places = UInt64Array::from(self.places);
        let (rows, predictions) = (take_record_batch(rows, &places), take_record_batch(predictions, &places));
        let (rows, predictions) = (rows.map_err(internal)?, predictions.map_err(internal)?);
        let own: [ArrayRef; 5] = [
            Arc::new(TimestampMicrosecondArray::from(vec![now_ms * 1000; count]).with_timezone("UTC")),
            Arc::new(StringArray::from(self.requests)),
            Arc::new(Int32Array::from(self.instances)),
            Arc::new(Int64Array::from(vec![i64::try_from(scorer.version()).unwrap_or(i64::MAX); count])),
            Arc::new(Float64Array::from(self.latencies)),
        ];
        let given = [rows, predictions].map(|batch| (batch.schema(), batch.columns().to_vec()));
        let mut fields: Vec<Field> = OWN_COLUMNS
            .iter()
            .zip(&own)
            .map(|(name, array)| Field::new(*name, array.data_type().clone(), true))
            .collect();
        let mut columns = own.to_vec();
        for (schema, arrays) in given {
            for (field, array) in schema.fields().iter().zip(arrays) {
                // An input that is called as a prediction is: the model was trained on it, and the rows have both.
                if fields.iter().any(|known| known.name().eq_ignore_ascii_case(field.name())) {
                    let message = format!("a table cannot have two columns named '{}'", field.name());
                    return Err(Error::invalid(message));
                }
                fields.push(field.as_ref().clone().with_nullable(true));
                columns.push(array);
            }
        }
        RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).map_err(internal)
    }
}

/// Writes what the queue has.
struct Writer {
    session: Session,
    metrics: Arc<Metrics>,
    waiting: Arc<AtomicUsize>,
}

impl Writer {
    async fn run(self, mut entries: mpsc::UnboundedReceiver<Entry>) {
        let mut tables: BTreeMap<String, (ModelName, Vec<RecordBatch>)> = BTreeMap::new();
        let mut rows = 0;
        let mut tick = tokio::time::interval(WRITE_EVERY);
        loop {
            let open = tokio::select! {
                entry = entries.recv() => match entry {
                    Some(Entry { model, rows: batch }) => {
                        rows += batch.num_rows();
                        let table = tables.entry(model.to_string()).or_insert_with(|| (model, Vec::new()));
                        table.1.push(batch);
                        if rows < WRITE_ROWS {
                            continue;
                        }
                        true
                    }
                    None => false,
                },
                _ = tick.tick() => true,
            };
            for (name, (model, batches)) in std::mem::take(&mut tables) {
                self.write_all(&name, &model, batches).await;
            }
            self.waiting.fetch_sub(std::mem::take(&mut rows), Ordering::Relaxed);
            if !open {
                return;
            }
        }
    }

    /// Writes the rows of one model, those of each version together.
    async fn write_all(&self, name: &str, model: &ModelName, batches: Vec<RecordBatch>) {
        let mut by_columns: Vec<(SchemaRef, Vec<RecordBatch>)> = Vec::new();
        for batch in batches {
            match by_columns.iter_mut().find(|(schema, _)| *schema == batch.schema()) {
                Some((_, same)) => same.push(batch),
                None => by_columns.push((batch.schema(), vec![batch])),
            }
        }
        for (schema, batches) in by_columns {
            let count = batches.iter().map(RecordBatch::num_rows).sum::<usize>() as u64;
            match self.write(&table_of(model), &schema, &batches).await {
                Ok(()) => self.metrics.logged(name, count),
                Err(error) => {
                    tracing::warn!("{count} predictions of model {name} could not be kept: {error}");
                    self.metrics.unlogged(name, count);
                }
            }
        }
    }

    async fn write(&self, table: &TableName, schema: &SchemaRef, batches: &[RecordBatch]) -> Result<()> {
        let rows = concat_batches(schema, batches).map_err(internal)?;
        let rows = MemTable::try_new(Arc::clone(schema), vec![vec![rows]])?;
        self.session.add_temporary(ROWS, Arc::new(rows));
        let written = self.insert(table, schema).await;
        self.session.remove_temporary(ROWS);
        written
    }

    async fn insert(&self, table: &TableName, schema: &SchemaRef) -> Result<()> {
        let name = table.quoted();
        let known = match self.session.columns(table).await {
            Ok(known) => known,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let namespace = quoted_identifier(NAMESPACE);
                let create = format!(
                    "CREATE SCHEMA IF NOT EXISTS {namespace}; \
                     CREATE TABLE IF NOT EXISTS {name} AS SELECT * FROM {ROWS} WHERE false"
                );
                self.session.sql(&create).await?;
                self.session.columns(table).await?
            }
            Err(error) => return Err(error.into()),
        };
        for field in schema.fields().iter().filter(|field| known.field_with_name(field.name()).is_err()) {
            let column = quoted_identifier(field.name());
            let add = format!("ALTER TABLE {name} ADD COLUMN {column} {}", sql_type(field.data_type()));
            self.session.sql(&add).await?;
        }
        let columns: Vec<String> = schema.fields().iter().map(|field| quoted_identifier(field.name())).collect();
        let columns = columns.join(", ");
        self.session.sql(&format!("INSERT INTO {name} ({columns}) SELECT {columns} FROM {ROWS}")).await?;
        Ok(())
    }
}

/// `predictions.NAME`, or `predictions.NAMESPACE_NAME` for models that are not in the default namespace.
fn table_of(model: &ModelName) -> TableName {
    match model.namespace.as_str() {
        DEFAULT_NAMESPACE => TableName::new(NAMESPACE, model.model.as_str()),
        namespace => TableName::new(NAMESPACE, format!("{namespace}_{}", model.model)),
    }
}

fn internal(error: arrow::error::ArrowError) -> Error {
    Error::internal(error.to_string())
}
