//! Ctrl-C: tables stay at their last committed version, and the exit code says so.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use lakemill_base::{SplitMix64, Stopwatch};

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

/// Whatever the instant, the exit code and the words say what the table holds.
#[test]
fn the_answer_to_ctrl_c_is_what_happened() {
    const ROWS: u64 = 300_000;
    let place = Place::new();
    let insert = format!("INSERT INTO t SELECT value * 7919 % 1000003 AS a FROM generate_series(1, {ROWS})");
    place.sql("CREATE TABLE t (a BIGINT)", &[]).ok();
    let watch = Stopwatch::start();
    place.sql(&insert, &[]).ok();
    let (whole, mut rows) = (watch.elapsed(), ROWS);
    let mut random = SplitMix64::new(20_130_101);
    for round in 0..10 {
        let mut command = place.lakemill(&["sql", "-c", &insert]);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        pause(whole.mul_f64(0.2 + 0.8 * random.next_f64()));
        // It may have ended already.
        Command::new("kill").args(["-INT", &child.id().to_string()]).stderr(Stdio::null()).status().unwrap();
        let out = end(child, Duration::from_secs(20));
        match out.code {
            Some(0) => {
                assert!(out.stderr.contains("inserted 300000 rows into t"), "{round}: {out:?}");
                rows += ROWS;
            }
            Some(130) => {
                assert!(out.stderr.contains("cancelled") && !out.stderr.contains("inserted"), "{round}: {out:?}")
            }
            // On a busy machine the signal may come before the process listens, and ends it as it ends any process.
            None => assert!(out.stdout.is_empty() && out.stderr.is_empty(), "{round}: {out:?}"),
            _ => panic!("{round}: {out:?}"),
        }
        assert_eq!(place.value("SELECT count(*) FROM t"), rows.to_string(), "{round}: {out:?}");
    }
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
