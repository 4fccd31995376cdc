//! `lakemill run`: one run at a time, and the example from raw files to its report.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;

use lakemill_base::Stopwatch;
use serde_json::Value;

use crate::support::{Finished, Place};

/// Never ends before the test does.
const ENDLESS: &str = "CREATE OR REPLACE TABLE t AS
    SELECT a.value FROM generate_series(1, 1000000) a, generate_series(1, 1000000) b;";

#[test]
fn a_pipeline_runs_once_at_a_time() {
    let place = Place::new();
    place.write("p/01_endless.sql", ENDLESS);
    let mut first = place.lakemill(&["run", "p"]).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(first.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "[1/1] Endless");

    let second = Finished::of(&mut place.lakemill(&["run", "p"]));
    second.fails(4, &format!("pipeline 'p' is being run already by process {}", first.id()));
    second.fails(4, "wait until that run has ended, or stop it");
    Finished::of(&mut place.lakemill(&["run", "p", "--dry-run"])).ok();

    first.kill().unwrap();
    first.wait().unwrap();
    place.write("p/01_endless.sql", "CREATE OR REPLACE TABLE t AS SELECT 1 AS a;");
    Finished::of(&mut place.lakemill(&["run", "p"])).ok();
    assert_eq!(place.value("SELECT count(*) FROM t"), "1");
}

/// A step's state in the summary of a run.
fn statuses(summary: &Value) -> Vec<&str> {
    summary["steps"].as_array().unwrap().iter().map(|step| step["status"].as_str().unwrap()).collect()
}

fn metric(summary: &Value, model: &str, name: &str) -> f64 {
    let models = summary["models"].as_array().unwrap();
    let model = models.iter().find(|entry| entry["model"].as_str().unwrap().ends_with(model)).unwrap();
    model["metrics"][name].as_f64().unwrap_or_else(|| panic!("{name} in {model}"))
}

#[test]
fn the_flights_example_goes_from_raw_files_to_a_report() {
    let place = Place::new();
    let example = Path::new("../../examples/flights").canonicalize().unwrap();
    let run = || {
        let mut command = place.lakemill(&["run", "--format", "json"]);
        Finished::of(command.arg(&example)).ok()
    };
    let summary: Value = serde_json::from_str(&run().stdout).unwrap();
    assert_eq!(statuses(&summary), ["done"; 7]);
    assert_eq!(summary["outcome"], "finished");
    // On November and December, LightGBM's and XGBoost's trees reach an AUC of 0.67 to 0.69 and a log-loss of 0.52 to 0.54
    // (`cargo xtask bench trees`). The exact figures are compared with scikit-learn's in bench/reference.
    for (model, auc_wanted, loss_wanted) in
        [("delay_trees", 0.665..0.70, 0.51..0.55), ("delay_linear", 0.68..0.72, 0.50..0.54)]
    {
        let (auc, loss) = (metric(&summary, model, "roc_auc"), metric(&summary, model, "log_loss"));
        assert!(auc_wanted.contains(&auc) && loss_wanted.contains(&loss), "{model}: AUC {auc}, log-loss {loss}");
    }
    assert_eq!(place.value("SELECT count(*) FROM features"), "336776");

    let report = std::fs::read_to_string(summary["report"].as_str().unwrap()).unwrap();
    for title in [
        "ROC curves",
        "Calibration",
        "Loss of delay_trees",
        "What delay_trees looks at",
        "Weights of delay_linear",
        "Late arrivals by hour of departure",
        "Lineage",
    ] {
        assert!(report.contains(title), "the report shows '{title}'");
    }
    assert!(!report.contains("Missing parts"), "all parts of the report were made");
    assert!(report.matches("<svg").count() >= 10, "{} pictures", report.matches("<svg").count());
    assert!(report.ends_with("</html>\n") || report.ends_with("</html>"), "the report is whole");
    assert!(!report.contains("<script") && !report.contains("src=\"http"), "the report loads nothing");

    let watch = Stopwatch::start();
    let again: Value = serde_json::from_str(&run().stdout).unwrap();
    let seconds = watch.seconds();
    assert_eq!(statuses(&again), ["up to date"; 7]);
    // It takes a few hundred milliseconds; other tests may be running beside it.
    assert!(seconds < 3.0, "{seconds} s to find everything up to date");
}
