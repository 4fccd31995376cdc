//! Ctrl-C: tables stay at their last committed version, and the exit code says so.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use lakemill_base::Stopwatch;

use crate::support::{Finished, Place};

/// Never ends before the test does.
const ENDLESS: &str = "INSERT INTO t SELECT a.value FROM generate_series(1, 1000000) a, generate_series(1, 1000000) b";

fn signal(child: &Child, name: &str) {
    let status = Command::new("kill").args([name, &child.id().to_string()]).status().unwrap();
    assert!(status.success());
}

/// Waits for the end of a process; one that hangs is killed and fails the test.
fn end(mut child: Child, within: Duration) -> Finished {
    let watch = Stopwatch::start();
    while child.try_wait().unwrap().is_none() {
        if watch.elapsed() > within {
            child.kill().unwrap();
            panic!("still running after {within:?}");
        }
        pause(Duration::from_millis(20));
    }
    Finished::from(child.wait_with_output().unwrap())
}

#[expect(clippy::disallowed_methods, reason = "there is nothing to wait on: the process says nothing yet")]
fn pause(time: Duration) {
    std::thread::sleep(time);
}

#[test]
fn a_cancelled_insert_commits_nothing() {
    let place = Place::new();
    place.sql("CREATE TABLE t AS SELECT 1 AS a", &[]).ok();
    let mut command = place.lakemill(&["sql", "-c", ENDLESS, "-c", "SELECT 'not reached'"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    pause(Duration::from_millis(1500));
    signal(&child, "-INT");
    let out = end(child, Duration::from_secs(20));
    assert_eq!(out.code, Some(130), "{out:?}");
    assert!(out.stderr.contains("cancelled") && !out.stdout.contains("not reached"), "{out:?}");
    assert_eq!(place.value("SELECT count(*) FROM t"), "1");
}

#[test]
fn a_cancelled_query_ends_at_once() {
    let place = Place::new();
    let sql =
        "SELECT count(*) FROM generate_series(1, 1000000) a, generate_series(1, 1000000) b WHERE a.value < b.value";
    let mut command = place.lakemill(&["sql", "-c", sql]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    pause(Duration::from_millis(1000));
    signal(&child, "-INT");
    assert_eq!(end(child, Duration::from_secs(10)).code, Some(130));
}
