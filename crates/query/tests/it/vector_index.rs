//! Indexes over vectors: how near their answers are to the exact ones, what they read, what becomes of damaged files, who may
//! make them.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::{ArrayRef, AsArray, FixedSizeListArray, Float32Array, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Int64Type};
use arrow::util::pretty::pretty_format_batches;
use datafusion::datasource::MemTable;
use datafusion::physical_plan::collect;
use datafusion_proto::bytes::{
    physical_plan_from_bytes_with_extension_codec, physical_plan_to_bytes_with_extension_codec,
};
use lakemill_base::ErrorKind;
use lakemill_lake::{Lake, LakeOptions};
use lakemill_query::{ModelCodec, Observer, Progress, Session, SessionOptions};
use tempfile::TempDir;

const WIDTH: usize = 32;
const ROWS: usize = 20_000;
const QUERIES: usize = 100;

struct World {
    folder: TempDir,
    session: Session,
}

impl World {
    async fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let session = open(&folder, SessionOptions::default()).await;
        session.add_temporary("vectors", table(&vectors(ROWS, 1)));
        session.add_temporary("queries", table(&vectors(QUERIES, 2)));
        session.sql("CREATE TABLE docs AS SELECT * FROM vectors; OPTIMIZE docs").await.unwrap();
        Self { folder, session }
    }

    async fn index(&self, distance: &str) {
        let sql = format!(
            "CREATE OR REPLACE VECTOR INDEX near ON docs (v) OPTIONS (index_type = 'HNSW', distance_type = '{distance}')"
        );
        self.session.sql(&sql).await.unwrap();
    }

    /// The files of all indexes.
    fn segments(&self) -> Vec<PathBuf> {
        let mut files = Vec::new();
        let Ok(folders) = std::fs::read_dir(self.folder.path().join("lake/indexes")) else { return files };
        for folder in folders {
            files.extend(std::fs::read_dir(folder.unwrap().path()).unwrap().map(|file| file.unwrap().path()));
        }
        files
    }
}

async fn open(folder: &TempDir, options: SessionOptions) -> Session {
    let lake = Lake::open(LakeOptions::new(folder.path().join("lake").to_str().unwrap())).await.unwrap();
    Session::open(lake, options).unwrap()
}

/// Rows of an id and a vector near one of a hundred centres.
fn vectors(rows: usize, seed: u64) -> RecordBatch {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1u64 << 24) as f32 - 0.5
    };
    let centre = |cluster: usize, lane: usize| ((cluster * 7919 + lane * 104_729) % 1009) as f32 / 1009.0 - 0.5;
    let elements = (0..rows * WIDTH).map(|place| centre(place / WIDTH % 100, place % WIDTH) + 0.4 * next());
    let elements = Float32Array::from_iter_values(elements);
    let item = Arc::new(Field::new("item", DataType::Float32, true));
    let vectors = FixedSizeListArray::new(item, i32::try_from(WIDTH).unwrap(), Arc::new(elements), None);
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(0..i64::try_from(rows).unwrap()));
    RecordBatch::try_from_iter([("id", ids), ("v", Arc::new(vectors) as _)]).unwrap()
}

fn table(batch: &RecordBatch) -> Arc<MemTable> {
    Arc::new(MemTable::try_new(batch.schema(), vec![vec![batch.clone()]]).unwrap())
}

fn search(distance: &str, options: &str) -> String {
    format!(
        "SELECT query.id AS q, base.id AS b, distance FROM VECTOR_SEARCH(TABLE docs, 'v', TABLE queries, top_k => 10, \
         distance_type => '{distance}'{options}) ORDER BY q, distance, b"
    )
}

const EXACT: &str = ", options => '{\"use_brute_force\": true}'";

/// Pairs of a query and what was found for it.
fn pairs(batches: &[RecordBatch]) -> Vec<(i64, i64)> {
    let column = |batch: &RecordBatch, column| batch.column(column).as_primitive::<Int64Type>().values().to_vec();
    batches.iter().flat_map(|batch| column(batch, 0).into_iter().zip(column(batch, 1))).collect()
}

/// The share of the exact answer that an answer has.
fn recall(found: &[RecordBatch], exact: &[RecordBatch]) -> f64 {
    let (found, exact) = (pairs(found), pairs(exact));
    exact.iter().filter(|pair| found.contains(pair)).count() as f64 / exact.len() as f64
}

async fn analyzed(session: &Session, sql: &str) -> String {
    let batches = session.sql(&format!("EXPLAIN ANALYZE {sql}")).await.unwrap();
    pretty_format_batches(&batches).unwrap().to_string()
}

/// The sum of a figure of EXPLAIN ANALYZE.
fn figure(text: &str, name: &str) -> u64 {
    let wanted = format!("{name}=");
    let figures = text.match_indices(&wanted).map(|(at, _)| {
        let figure = text[at + wanted.len()..].split([',', ']']).next().unwrap().trim();
        let mut words = figure.split_whitespace();
        let number: f64 = words.next().unwrap().parse().unwrap();
        let scale = match words.next().unwrap_or_default() {
            "KB" => 1024.0,
            "MB" => 1024.0 * 1024.0,
            "K" => 1e3,
            "M" => 1e6,
            _ => 1.0,
        };
        (number * scale) as u64
    });
    figures.sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn nearly_all_of_the_exact_answer_is_found_and_little_is_read() {
    let world = World::new().await;
    for distance in ["EUCLIDEAN", "COSINE", "DOT_PRODUCT"] {
        world.index(distance).await;
        let exact = world.session.sql(&search(distance, EXACT)).await.unwrap();
        let found = world.session.sql(&search(distance, "")).await.unwrap();
        let recall = recall(&found, &exact);
        assert!(recall >= 0.95, "{distance}: {recall}");
        assert_eq!(pairs(&found).len(), 10 * QUERIES);
    }
    let one = search("DOT_PRODUCT", "").replace("TABLE queries", "(SELECT * FROM queries WHERE id = 7)");
    let by_index = analyzed(&world.session, &one).await;
    assert_eq!(figure(&by_index, "rows_searched_by_index"), ROWS as u64, "{by_index}");
    assert_eq!(figure(&by_index, "rows_fetched"), 10, "{by_index}");
    assert_eq!(figure(&by_index, "rows_compared_exactly"), 0, "{by_index}");
    // Of the pages of its one data file, three or so, a search for one row reads one.
    let one_row = one.replace("top_k => 10", "top_k => 1");
    let few = analyzed(&world.session, &one_row).await;
    let whole = analyzed(&world.session, &one.replace(", distance_type", &format!("{EXACT}, distance_type"))).await;
    assert_eq!(figure(&whole, "rows_compared_exactly"), ROWS as u64, "{whole}");
    assert!(3 * figure(&few, "bytes_scanned") < 2 * figure(&whole, "bytes_scanned"), "{few}\n{whole}");
}

/// A distance that is found by an index is the one that a scan finds, and another session of the lake finds the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_lake_that_is_opened_again_finds_the_same() {
    let world = World::new().await;
    world.index("COSINE").await;
    let found = world.session.sql(&search("COSINE", "")).await.unwrap();
    let again = open(&world.folder, SessionOptions::default()).await;
    again.add_temporary("queries", table(&vectors(QUERIES, 2)));
    let later = again.sql(&search("COSINE", "")).await.unwrap();
    let text = |batches: &[RecordBatch]| pretty_format_batches(batches).unwrap().to_string();
    assert_eq!(text(&found), text(&later));
    let exact = again.sql(&search("COSINE", EXACT)).await.unwrap();
    let first = |batches: &[RecordBatch]| batches[0].column(2).as_primitive::<arrow::datatypes::Float64Type>().value(0);
    assert_eq!(first(&exact).to_bits(), first(&found).to_bits());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_segment_is_not_used_and_built_anew() {
    let world = World::new().await;
    world.index("EUCLIDEAN").await;
    let segments = world.segments();
    let [segment] = segments.as_slice() else { panic!("{segments:?}") };
    let whole = std::fs::read(segment).unwrap();
    let exact = pairs(&world.session.sql(&search("EUCLIDEAN", EXACT)).await.unwrap());
    let mut damaged = whole.clone();
    damaged[whole.len() / 2] ^= 1;
    for bytes in [&damaged[..], &whole[..whole.len() / 3], &[]] {
        std::fs::write(segment, bytes).unwrap();
        let again = open(&world.folder, SessionOptions::default()).await;
        again.add_temporary("queries", table(&vectors(QUERIES, 2)));
        assert_eq!(pairs(&again.sql(&search("EUCLIDEAN", "")).await.unwrap()), exact);
        let told = analyzed(&again, &search("EUCLIDEAN", "")).await;
        assert_eq!(figure(&told, "segments_unusable"), 1, "{told}");
        assert_eq!(figure(&told, "rows_compared_exactly"), ROWS as u64, "{told}");
    }
    world.session.sql("ALTER VECTOR INDEX near ON docs REBUILD").await.unwrap();
    let told = analyzed(&world.session, &search("EUCLIDEAN", "")).await;
    assert_eq!(
        (figure(&told, "segments_unusable"), figure(&told, "rows_searched_by_index")),
        (0, ROWS as u64),
        "{told}"
    );
}

/// VACUUM, DROP INDEX and DROP TABLE leave no file of an index that nothing needs.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_dropped_leaves_no_files() {
    let world = World::new().await;
    world.index("EUCLIDEAN").await;
    world.session.sql("UPDATE docs SET id = -1 WHERE id = 5; ALTER VECTOR INDEX near ON docs REBUILD").await.unwrap();
    assert_eq!(world.segments().len(), 2, "one of each version's data file");
    world.session.sql("VACUUM docs RETAIN 0 HOURS").await.unwrap();
    assert_eq!(world.segments().len(), 1, "the old data file is gone");
    world.session.sql("DROP VECTOR INDEX near ON docs").await.unwrap();
    assert_eq!(world.segments(), Vec::<PathBuf>::new());
    world.index("COSINE").await;
    world.index("COSINE").await;
    assert_eq!(world.segments().len(), 1, "the replaced index is gone");
    world.session.sql("DROP TABLE docs").await.unwrap();
    assert_eq!(world.segments(), Vec::<PathBuf>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_owns_a_table_makes_its_indexes_and_who_reads_it_uses_them() {
    let world = World::new().await;
    world.session.sql("CREATE USER ann; CREATE USER bob; GRANT SELECT ON docs TO ann").await.unwrap();
    world.index("EUCLIDEAN").await;
    let user = |name: &str| {
        world.session.client_as(lakemill_query::Principal {
            user: name.to_owned(),
            address: "192.0.2.1".to_owned(),
            protocol: "http".to_owned(),
            auditor: Arc::new(Silent),
        })
    };
    let ann = user("ann");
    ann.add_temporary("queries", table(&vectors(QUERIES, 2)));
    let told = analyzed(&ann, &search("EUCLIDEAN", "")).await;
    assert_eq!(figure(&told, "rows_searched_by_index"), ROWS as u64, "{told}");
    for sql in [
        "CREATE VECTOR INDEX other ON docs (v) OPTIONS (index_type = 'HNSW', distance_type = 'COSINE')",
        "CREATE OR REPLACE VECTOR INDEX near ON docs (v) OPTIONS (index_type = 'HNSW')",
        "ALTER VECTOR INDEX near ON docs REBUILD",
        "DROP VECTOR INDEX near ON docs",
    ] {
        assert_eq!(ann.sql(sql).await.unwrap_err().kind(), ErrorKind::Denied, "{sql}");
    }
    let listed = async |session: &Session| {
        session.sql("SHOW VECTOR INDEXES").await.unwrap().iter().map(RecordBatch::num_rows).sum::<usize>()
    };
    assert_eq!((listed(&ann).await, listed(&user("bob")).await), (1, 0));
}

#[derive(Debug)]
struct Silent;

impl lakemill_query::Auditor for Silent {
    fn record(&self, _: lakemill_lake::AuditEntry) {}
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_with_an_index_comes_back_as_it_was() {
    let world = World::new().await;
    world.index("EUCLIDEAN").await;
    world
        .session
        .sql("CREATE TABLE wanted AS SELECT * FROM queries; INSERT INTO docs SELECT -1, v FROM vectors LIMIT 1")
        .await
        .unwrap();
    let sql = search("EUCLIDEAN", "").replace("TABLE queries", "TABLE wanted");
    let (there, task) = world.session.plan(&world.session.parse(&sql).unwrap()[0]).await.unwrap();
    let codec = ModelCodec::default();
    let bytes = physical_plan_to_bytes_with_extension_codec(Arc::clone(&there), &codec).unwrap();
    let back = physical_plan_from_bytes_with_extension_codec(&bytes, &task, &codec).unwrap();
    let here = collect(there, Arc::clone(&task)).await.unwrap();
    let again = collect(back, task).await.unwrap();
    assert_eq!(pairs(&here), pairs(&again));
    assert_eq!(pairs(&here).len(), 10 * QUERIES);
}

/// Stops a statement when it has told of its progress.
#[derive(Debug, Default)]
struct Impatient {
    rows: AtomicU64,
}

impl Observer for Impatient {
    fn progress(&self, progress: Progress<'_>) {
        if progress.phase == "indexing" {
            assert_eq!(progress.rows_total, Some(ROWS as u64));
            self.rows.store(progress.rows_done, Ordering::SeqCst);
        }
    }

    fn is_cancelled(&self) -> bool {
        self.rows.load(Ordering::SeqCst) > 0
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn building_is_watched_stopped_and_held_to_the_memory_limit() {
    let world = World::new().await;
    let sql = "CREATE VECTOR INDEX near ON docs (v) OPTIONS (index_type = 'HNSW')";
    let impatient = Arc::new(Impatient::default());
    let parsed = world.session.parse(sql).unwrap().remove(0);
    let error = world.session.execute(&parsed, Arc::<Impatient>::clone(&impatient)).await.err().unwrap();
    assert!(error.message().contains("was cancelled"), "{error}");
    assert!(impatient.rows.load(Ordering::SeqCst) < ROWS as u64);
    let small = SessionOptions { memory_bytes: Some(4 << 20), ..SessionOptions::default() };
    let small = open(&world.folder, small).await;
    let error = small.sql(sql).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Exhausted, "{error}");
    assert!(error.message().contains("which memory_limit does not leave"), "{error}");
    // An index that does not fit is done without.
    world.index("EUCLIDEAN").await;
    small.add_temporary("queries", table(&vectors(1, 2)));
    let unsorted = search("EUCLIDEAN", "").replace(" ORDER BY q, distance, b", "");
    let told = analyzed(&small, &unsorted).await;
    assert_eq!(figure(&told, "segments_unusable"), 1, "{told}");
}

/// Vectors that are no numbers, differ in length or are missing.
#[tokio::test(flavor = "multi_thread")]
async fn strange_vectors_are_searched_exactly_or_refused() {
    let world = World::new().await;
    let rows = "generate_series(0, 11999) AS t (value)";
    let script = format!(
        "CREATE TABLE odd AS SELECT value AS id, CASE WHEN value = 17 THEN [1.0] ELSE [value, 1.0] END AS v FROM {rows};
         CREATE TABLE infinite AS SELECT value AS id, [value, CASE WHEN value = 17 THEN 'NaN'::DOUBLE ELSE 1.0 END] AS v FROM {rows};
         CREATE TABLE empty AS SELECT value AS id, CASE WHEN value < 0 THEN [1.0, 2.0] END AS v FROM {rows};"
    );
    world.session.sql(&script).await.unwrap();
    let create = |table: &str| format!("CREATE VECTOR INDEX i ON {table} (v) OPTIONS (index_type = 'HNSW')");
    let error = world.session.sql(&create("odd")).await.unwrap_err();
    assert!(error.message().contains("the vectors of the table differ in length"), "{error}");
    assert_eq!(world.segments(), Vec::<PathBuf>::new());
    for (table, found) in [("infinite", 1), ("empty", 0)] {
        world.session.sql(&create(table)).await.unwrap();
        let sql =
            format!("SELECT base.id FROM VECTOR_SEARCH(TABLE {table}, 'v', (SELECT [3.0, 1.0] AS v), top_k => 1)");
        let rows = world.session.sql(&sql).await.unwrap();
        let ids: Vec<i64> =
            rows.iter().flat_map(|rows| rows.column(0).as_primitive::<Int64Type>().values().to_vec()).collect();
        assert_eq!(ids, vec![3; found], "{table}");
    }
}
