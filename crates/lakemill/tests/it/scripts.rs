//! Scripts from -c, -f and pipes: places of errors, exit codes, backslash commands.

use crate::support::{Finished, Place};

#[test]
fn standard_input_is_a_script() {
    let place = Place::new();
    let script =
        "-- a comment\nCREATE TABLE t AS SELECT 1 AS a;\nINSERT INTO t VALUES (2);\n\nSELECT sum(a) AS s FROM t";
    let out = Finished::with_input(&mut place.lakemill(&["sql", "--format", "csv"]), script).ok();
    assert_eq!(out.stdout, "s\n3\n");
}

#[test]
fn commands_run_in_order_and_stop_at_the_first_error() {
    let place = Place::new();
    let commands = ["sql", "--format", "csv", "-c", "SELECT 1 AS a", "-c", "SELECT nope", "-c", "SELECT 3 AS c"];
    let out = Finished::of(&mut place.lakemill(&commands));
    out.fails(3, "nope");
    assert_eq!(out.stdout, "a\n1\n");
}

#[test]
fn commands_and_files_run_in_the_order_of_the_command_line() {
    let place = Place::new();
    place.write("two.sql", "SELECT 2 AS b;");
    place.write("four.sql", "SELECT 4 AS d;");
    let arguments = ["-c", "SELECT 1 AS a", "-f", "two.sql", "--command", "SELECT 3 AS c", "--file=four.sql"];
    let out = Finished::of(place.lakemill(&["sql", "--format", "csv"]).args(arguments)).ok();
    assert_eq!(out.stdout, "a\n1\nb\n2\nc\n3\nd\n4\n");
    let out =
        Finished::of(&mut place.lakemill(&["sql", "--format", "csv", "-f", "two.sql", "-c", "\\q", "-f", "four.sql"]))
            .ok();
    assert_eq!(out.stdout, "b\n2\n");
}

#[test]
fn keep_going_goes_on_and_keeps_the_first_exit_code() {
    let place = Place::new();
    let script = "SELECT 1 AS a; SELECT nope; SELEKT 2; SELECT 3 AS c;";
    let out = place.sql(script, &["--format", "csv", "--keep-going"]);
    assert_eq!(out.stdout, "a\n1\nc\n3\n");
    out.fails(3, "nope");
    assert!(out.stderr.contains("SELEKT"), "{}", out.stderr);
}

#[test]
fn an_error_in_a_file_names_its_place() {
    let place = Place::new();
    place.write("s.sql", "SELECT 1;\n\nCREATE TABLE t (a INT);\nSELECT a,\n       b_typo\nFROM t;\n");
    let out = Finished::of(&mut place.lakemill(&["sql", "--quiet", "-f", "s.sql"]));
    out.fails(3, "b_typo");
    assert!(out.stderr.contains(" --> s.sql:5:8\n") && out.stderr.contains("\n5 |        b_typo\n"), "{}", out.stderr);
}

#[test]
fn a_syntax_error_names_its_place() {
    let place = Place::new();
    place.write("s.sql", "SELECT 1;\nSELECT 1 +;\n");
    let out = Finished::of(&mut place.lakemill(&["sql", "-f", "s.sql"]));
    out.fails(2, " --> s.sql:2:");
}

#[test]
fn exit_codes_tell_what_to_do() {
    let place = Place::new();
    place.sql("SELEKT 1", &[]).fails(2, "SELEKT");
    place.sql("SELECT * FROM missing", &[]).fails(3, "missing");
    place.sql("SELECT * FROM 'nowhere.csv'", &[]).fails(3, "nowhere.csv");
    place.write("bad.csv", "a,b\n1,2\n3\n");
    assert_eq!(place.sql("SELECT * FROM 'bad.csv'", &[]).code, Some(65));
}

#[test]
fn backslash_commands_work_in_scripts() {
    let place = Place::new();
    place.write("inner.sql", "SELECT 2 AS b;");
    let script = "\\format csv\nSELECT 1 AS a;\n\\i inner.sql\n\\q\nSELECT 3 AS never;";
    let out = Finished::with_input(&mut place.lakemill(&["sql", "--quiet"]), script).ok();
    assert_eq!(out.stdout, "a\n1\nb\n2\n");
}

#[test]
fn an_unknown_command_has_a_suggestion() {
    Place::new().sql("\\timng", &[]).fails(2, "did you mean '\\timing'?");
}

#[test]
fn output_goes_to_a_file_and_back() {
    let place = Place::new();
    let script = "\\o first.csv\nSELECT 1 AS a;\n\\o\nSELECT 2 AS b;";
    let out = Finished::with_input(&mut place.lakemill(&["sql", "--format", "csv", "--quiet"]), script).ok();
    assert_eq!(out.stdout, "b\n2\n");
    assert_eq!(std::fs::read_to_string(place.path("first.csv")).unwrap(), "a\n1\n");
}

#[test]
fn a_file_that_reads_itself_ends() {
    let place = Place::new();
    place.write("loop.sql", "\\i loop.sql\n");
    Finished::of(&mut place.lakemill(&["sql", "-f", "loop.sql"])).fails(2, "read by itself");
}

#[test]
fn a_missing_script_is_named() {
    Finished::of(&mut Place::new().lakemill(&["sql", "-f", "none.sql"])).fails(3, "cannot read 'none.sql'");
}

#[test]
fn messages_go_to_standard_error() {
    let place = Place::new();
    let out = place.sql("CREATE TABLE t AS SELECT 1 AS a", &[]).ok();
    assert_eq!(out.stdout, "");
    assert!(out.stderr.contains("t"), "{}", out.stderr);
    assert_eq!(place.sql("INSERT INTO t VALUES (2)", &["--quiet"]).ok().stderr, "");
}
