//! The prompt, through a pseudo-terminal.

use rexpect::session::{PtySession, spawn_command};

use crate::support::Place;

const WAIT_MS: u64 = 30_000;

fn start(place: &Place) -> PtySession {
    let mut command = place.lakemill(&["sql"]);
    command.env("LAKEMILL_HISTORY", place.path("history")).env("TERM", "xterm");
    // The terminal is the process's standard input here.
    command.stdin(std::process::Stdio::inherit());
    let mut session = spawn_command(command, Some(WAIT_MS)).unwrap();
    session.exp_string("lakemill> ").unwrap();
    session
}

fn leave(session: &mut PtySession) {
    session.send_line("\\q").unwrap();
    session.exp_eof().unwrap();
}

#[test]
fn statements_may_take_several_lines() {
    let place = Place::new();
    let mut session = start(&place);
    session.send_line("SELECT 40 +").unwrap();
    session.exp_string("--> ").unwrap();
    session.send_line("2 AS answer;").unwrap();
    session.exp_string("answer").unwrap();
    session.exp_string("42").unwrap();
    session.exp_string("1 row").unwrap();
    leave(&mut session);
    let history = std::fs::read_to_string(place.path("history")).unwrap();
    assert!(history.contains("SELECT 40 +"), "{history}");
}

#[test]
fn errors_keep_the_session() {
    let place = Place::new();
    let mut session = start(&place);
    session.send_line("SELECT nope;").unwrap();
    session.exp_string("error:").unwrap();
    session.send_line("SELECT 'still ' || 'here' AS x;").unwrap();
    session.exp_string("still here").unwrap();
    leave(&mut session);
}

#[test]
fn control_c_cancels_the_statement_and_control_d_leaves() {
    let place = Place::new();
    let mut session = start(&place);
    // The first answer says that the second statement is about to run.
    let endless = "SELECT count(*) FROM generate_series(1,1000000) a, generate_series(1,1000000) b;";
    session.send_line(&format!("SELECT 'under' || 'way' AS x; {endless}")).unwrap();
    session.exp_string("underway").unwrap();
    session.exp_string("1 row").unwrap();
    session.send_control('c').unwrap();
    session.exp_string("cancelled").unwrap();
    session.exp_string("lakemill> ").unwrap();
    session.send_line("SELECT 'alive' AS x;").unwrap();
    session.exp_string("alive").unwrap();
    session.exp_string("lakemill> ").unwrap();
    session.send_control('d').unwrap();
    session.exp_eof().unwrap();
}

#[test]
fn a_long_query_says_how_many_rows_it_has_read() {
    let place = Place::new();
    let endless = "SELECT count(*) FROM generate_series(1,1000000) a, generate_series(1,1000000) b";
    let mut command = place.lakemill(&["sql", "-c", endless]);
    command.env("TERM", "xterm");
    let mut session = spawn_command(command, Some(WAIT_MS)).unwrap();
    session.exp_regex("reading, [0-9,]+ rows").unwrap();
    session.send_control('c').unwrap();
    session.exp_string("cancelled").unwrap();
    session.exp_eof().unwrap();
    // Not a terminal: nothing but the answer.
    let quick = place.sql("SELECT count(*) AS n FROM generate_series(1, 1000) a", &["--format", "csv"]).ok();
    assert_eq!((quick.stdout.as_str(), quick.stderr.as_str()), ("n\n1000\n", ""));
}

#[test]
fn control_c_clears_what_was_typed() {
    let place = Place::new();
    let mut session = start(&place);
    session.send_line("SELECT (").unwrap();
    session.exp_string("(-> ").unwrap();
    session.send_control('c').unwrap();
    session.exp_string("lakemill> ").unwrap();
    session.send_line("SELECT 'fre' || 'sh' AS x;").unwrap();
    session.exp_string("fresh").unwrap();
    leave(&mut session);
}

#[test]
fn tab_completes_names_of_the_lake() {
    let place = Place::new();
    place.sql("CREATE TABLE departures AS SELECT 7 AS delay_minutes", &["--quiet"]).ok();
    let mut session = start(&place);
    session.send("SELECT * FROM depar\t").unwrap();
    session.flush().unwrap();
    session.exp_string("departures").unwrap();
    session.send_line(";").unwrap();
    session.exp_string("delay_minutes").unwrap();
    session.exp_string("lakemill> ").unwrap();
    session.send("sel\t").unwrap();
    session.flush().unwrap();
    session.exp_string("select").unwrap();
    session.send_control('c').unwrap();
    session.exp_string("lakemill> ").unwrap();
    leave(&mut session);
}

#[test]
fn backslash_commands_describe_the_lake() {
    let place = Place::new();
    place.sql("CREATE TABLE departures AS SELECT 7 AS delay_minutes", &["--quiet"]).ok();
    let mut session = start(&place);
    session.send_line("\\dt").unwrap();
    session.exp_string("departures").unwrap();
    session.send_line("\\d departures").unwrap();
    session.exp_string("delay_minutes").unwrap();
    session.send_line("\\x").unwrap();
    session.exp_string("one line per column: on").unwrap();
    session.send_line("SELECT * FROM departures;").unwrap();
    session.exp_string("row 1").unwrap();
    session.send_line("\\?").unwrap();
    session.exp_string("\\timing").unwrap();
    leave(&mut session);
}
