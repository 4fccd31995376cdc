//! From data files to segments.
//!
//! A file's column is read in the order of its rows, one file at a time; then all cores add its vectors to the graph.

use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion::catalog::TableProvider;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::physical_plan::ExecutionPlan;
use futures::TryStreamExt;
use lakemill_base::ErrorKind;
use lakemill_kernels::graph::{Builder, Graph};
use lakemill_lake::{IndexableFile, LakeTable, VectorIndex};
use object_store::ObjectStoreExt;
use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};

use super::files::{files_of, read};
use super::segment::{Header, encode, prepared, shape, verify};
use super::{Definition, FILE_ROWS_MIN};
use crate::model::search::Distance;
use crate::model::search::nearest::Vectors;
use crate::observer::Progress;
use crate::session::StatementScope;
use crate::{Error, Result};

/// Vectors that are added before the observer is told again.
const STEP_ROWS: usize = 1024;

/// What is kept of a vector while it is added, beside its elements and its neighbours, roughly: its number, its lists and what
/// they have free.
const VECTOR_OVERHEAD_BYTES: usize = 128;

/// What was built.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Built {
    pub(super) segments: usize,
    pub(super) rows: usize,
}

/// Which segments are built.
#[derive(Clone, Debug)]
pub(super) enum Present {
    /// All that are not among these.
    Trusted(BTreeSet<String>),
    /// Those too whose content does not fit their checksum.
    Checked(BTreeSet<String>),
}

impl Present {
    fn names(&self) -> &BTreeSet<String> {
        match self {
            Self::Trusted(names) | Self::Checked(names) => names,
        }
    }
}

/// Builds the segments that an index lacks.
///
/// # Errors
/// Invalid: the vectors differ in length. Exhausted: a file's vectors do not fit into the memory limit. Cancelled.
pub(super) async fn build(
    scope: &StatementScope,
    table: &LakeTable,
    index: &VectorIndex,
    present: &Present,
) -> Result<Built> {
    let Some(mut files) = table.indexable_files()? else {
        return Err(Error::invalid(format!(
            "table {} has deletion vectors or column mapping, so that an index cannot tell its rows by their place in its files",
            table.name()
        )));
    };
    files.retain(|file| file.rows >= FILE_ROWS_MIN);
    let work = Work::new(scope, table, index, &files).await?;
    let mut built = Built::default();
    let mut done = 0;
    for file in &files {
        if !work.is_present(file, present).await? && work.file(file, done).await? {
            built.segments += 1;
            built.rows += file.rows;
        }
        done += file.rows;
    }
    Ok(built)
}

/// The building of one index.
struct Work<'a> {
    scope: &'a StatementScope,
    index: &'a VectorIndex,
    definition: Definition,
    /// Reads the column of all files.
    plan: Arc<dyn ExecutionPlan>,
    threads: Arc<ThreadPool>,
    rows_total: usize,
}

impl<'a> Work<'a> {
    async fn new(
        scope: &'a StatementScope,
        table: &LakeTable,
        index: &'a VectorIndex,
        files: &[IndexableFile],
    ) -> Result<Self> {
        let column = table.schema().index_of(&index.column).map_err(|_| {
            let (name, column) = (&index.name, &index.column);
            Error::invalid(format!(
                "table {} has no column '{column}' any more, which vector index {name} is over",
                table.name()
            ))
        })?;
        let threads = ThreadPoolBuilder::new().num_threads(scope.session().threads()).build();
        Ok(Self {
            scope,
            index,
            definition: serde_json::from_value(index.definition.clone())
                .map_err(|error| Error::internal(format!("vector index {} is damaged: {error}", index.name)))?,
            plan: table.scan(scope.state(), Some(&vec![column]), &[], None).await?,
            threads: Arc::new(threads.map_err(|error| Error::internal(format!("no threads: {error}")))?),
            rows_total: files.iter().map(|file| file.rows).sum(),
        })
    }

    async fn is_present(&self, file: &IndexableFile, present: &Present) -> Result<bool> {
        if !present.names().contains(&file.segment) {
            return Ok(false);
        }
        if matches!(present, Present::Trusted(_)) {
            return Ok(true);
        }
        let path = self.index.segment(&file.segment);
        let found = match self.scope.lake().object_store().get(&path).await {
            Ok(found) => found,
            Err(object_store::Error::NotFound { .. }) => return Ok(false),
            Err(error) => return Err(lakemill_lake::Error::from(error).into()),
        };
        let memory = self.memory();
        self.grow(&memory, usize::try_from(found.meta.size).unwrap_or(usize::MAX), file)?;
        let bytes = found.bytes().await.map_err(lakemill_lake::Error::from)?;
        let checked = tokio::task::spawn_blocking(move || verify(&bytes).map(|(header, _)| header)).await;
        match checked.map_err(|error| Error::internal(format!("checking a segment failed: {error}")))? {
            Ok(header) => Ok(header.rows == file.rows),
            Err(what) => {
                tracing::warn!(segment = %path, what, "a damaged segment is built anew");
                Ok(false)
            }
        }
    }

    /// Builds and stores one segment; false: the file has a vector that no graph can take, and is always compared whole.
    async fn file(&self, file: &IndexableFile, done: usize) -> Result<bool> {
        let memory = self.memory();
        let Some(vectors) = self.read(file, &memory).await? else { return Ok(false) };
        if vectors.numbers.is_empty() {
            self.store(file, None, memory).await?;
            return Ok(true);
        }
        let shape = shape(&self.definition, vectors.width);
        let builder =
            Builder::new(shape, vectors.elements, vectors.numbers).map_err(|error| failed(&error.to_string()))?;
        let builder = Arc::new(builder);
        self.add(&builder, vectors.count, done).await?;
        let builder = Arc::into_inner(builder).ok_or_else(|| failed("it is still being built"))?;
        let graph = tokio::task::spawn_blocking(|| builder.finish()).await;
        let graph = graph.map_err(|error| failed(&error.to_string()))?;
        self.store(file, Some(graph), memory).await?;
        Ok(true)
    }

    /// The vectors of a file; `None`: one of them has an element that is no number.
    async fn read(&self, file: &IndexableFile, memory: &MemoryReservation) -> Result<Option<FileVectors>> {
        let of_file = files_of(&self.plan).unwrap_or_default();
        let of_file = of_file.into_iter().filter(|scanned| scanned.object_meta.location == file.path).collect();
        let mut batches = read(&self.plan, of_file, 1, None)?.execute(0, self.scope.state().task_ctx())?;
        let mut all = FileVectors::default();
        let mut rows = 0;
        while let Some(batch) = batches.try_next().await? {
            let vectors = Vectors::new(batch.column(0), "the table")?;
            if !vectors.are_finite() {
                tracing::warn!(file = %file.path, "a vector has an element that is no number; its data file has no index");
                return Ok(None);
            }
            if all.width == 0 && vectors.width() > 0 {
                self.grow(memory, self.bytes_of(file, vectors.width()), file)?;
                all.elements.reserve_exact(file.rows.saturating_mul(vectors.width()));
            }
            all.add(&vectors, rows, self.definition.distance)?;
            rows += vectors.rows();
        }
        match rows == file.rows {
            true => Ok(Some(all)),
            false => Err(Error::new(
                ErrorKind::Data,
                format!("data file '{}' has {rows} rows, and the table's log says {}", file.path, file.rows),
            )),
        }
    }

    /// Memory that a file's segment is built in: the graph and its bytes are there together in the end.
    fn bytes_of(&self, file: &IndexableFile, width: usize) -> usize {
        let neighbours = 5 * self.definition.connectivity;
        let each = (width + neighbours) * size_of::<f32>() + VECTOR_OVERHEAD_BYTES;
        file.rows.saturating_mul(2 * each)
    }

    /// Adds the vectors of a file; `done` rows of other files come before.
    async fn add(&self, builder: &Arc<Builder>, count: usize, done: usize) -> Result<()> {
        for start in (0..count).step_by(STEP_ROWS) {
            let end = (start + STEP_ROWS).min(count);
            let (threads, builder) = (Arc::clone(&self.threads), Arc::clone(builder));
            let observer = Arc::clone(self.scope.observer());
            let work = move || {
                threads.install(|| {
                    (start..end).into_par_iter().try_for_each(|place| {
                        if observer.is_cancelled() {
                            return Err(Error::cancelled());
                        }
                        builder.add(place);
                        Ok(())
                    })
                })
            };
            let added = tokio::task::spawn_blocking(work).await;
            added.map_err(|error| Error::internal(format!("building an index failed: {error}")))??;
            let rows_total = Some(self.rows_total as u64);
            self.scope.observer().progress(Progress { rows_total, ..Progress::rows("indexing", (done + end) as u64) });
        }
        Ok(())
    }

    async fn store(&self, file: &IndexableFile, graph: Option<Graph>, memory: MemoryReservation) -> Result<()> {
        let header = Header {
            rows: file.rows,
            vectors: graph.as_ref().map_or(0, Graph::len),
            dimensions: graph.as_ref().map_or(0, Graph::dimensions),
            distance: self.definition.distance,
            connectivity: self.definition.connectivity,
        };
        let bytes = tokio::task::spawn_blocking(move || encode(&header, graph.as_ref())).await;
        let bytes = bytes.map_err(|error| Error::internal(format!("building an index failed: {error}")))?;
        let bytes = bytes.map_err(|what| failed(&what))?;
        let path = self.index.segment(&file.segment);
        let stored = self.scope.lake().object_store().put(&path, bytes.into()).await;
        drop(memory);
        stored.map(|_| ()).map_err(|error| lakemill_lake::Error::from(error).into())
    }

    fn memory(&self) -> MemoryReservation {
        let name = format!("vector index {}", self.index.name);
        MemoryConsumer::new(name).register(&self.scope.state().runtime_env().memory_pool)
    }

    fn grow(&self, memory: &MemoryReservation, bytes: usize, file: &IndexableFile) -> Result<()> {
        memory.try_grow(bytes).map_err(|error| {
            let message = format!(
                "vector index {} needs {} MB for a data file of {} rows, which memory_limit does not leave; raise it",
                self.index.name,
                bytes / 1_000_000,
                file.rows
            );
            Error::new(ErrorKind::Exhausted, message).with_source(error)
        })
    }
}

/// The vectors of a data file, as the graph has them.
#[derive(Debug, Default)]
struct FileVectors {
    /// Elements of each; 0 while there is none.
    width: usize,
    elements: Vec<f32>,
    /// The row of each.
    numbers: Vec<u32>,
    count: usize,
}

impl FileVectors {
    /// Adds those of a batch, whose first row is `first` in the file.
    fn add(&mut self, vectors: &Vectors, first: usize, distance: Distance) -> Result<()> {
        if self.width != 0 && vectors.width() != 0 && self.width != vectors.width() {
            return Err(Error::invalid(format!(
                "the vectors of the table differ in length: some have {} elements, others {}",
                self.width,
                vectors.width()
            )));
        }
        self.width = self.width.max(vectors.width());
        for row in 0..vectors.rows() {
            let Some(vector) = vectors.get(row) else { continue };
            self.elements.extend_from_slice(&prepared(distance, vector, vectors.norm(row)));
            let number = u32::try_from(first + row).map_err(|_| failed("a data file has more than 2^32 rows"))?;
            self.numbers.push(number);
            self.count += 1;
        }
        Ok(())
    }
}

fn failed(what: &str) -> Error {
    Error::internal(format!("building a graph failed: {what}"))
}
