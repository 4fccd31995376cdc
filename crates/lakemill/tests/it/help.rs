//! What the command line says of itself.

use expect_test::expect;

use crate::support::{Finished, Place, bare};

fn help(arguments: &[&str]) -> String {
    let place = Place::new();
    Finished::of(bare(&place.path("")).args(arguments)).ok().stdout
}

#[test]
fn the_short_help() {
    expect![[r#"
        From raw files to scored predictions: a data lake, SQL and machine learning in one engine

        Usage: lakemill [OPTIONS] <COMMAND>

        Commands:
          run          Run a pipeline: a folder of numbered SQL files and a pipeline.toml
          sql          Run SQL: at a prompt, from -c, from a file, or from a pipe
          tables       List the tables and views of the lake, or describe one of them
          models       List the models of the lake or describe one of them; fetch, list and remove files of
                       language models
          chat         Talk with a language model: at a prompt, or with a pipe
          report       Make the HTML report of a pipeline's last run again
          serve        Serve the lake: PostgreSQL's protocol, Arrow Flight SQL and HTTP, one engine behind
          users        List the users who may log into `lakemill serve`, add one, or change a password
          completions  Print a completion script for a shell
          help         Print this message or the help of the given subcommand(s)

        Options:
          -h, --help     Print help (see more with '--help')
          -V, --version  Print version

        Lake and engine:
              --lake <PATH|URL>     The lake: a folder, or s3://bucket/prefix [env: LAKEMILL_LAKE=]
                                    [default: ./lake]
              --catalog <PATH|URL>  The catalog: a SQLite file or a postgres:// URL [default: catalog.db in
                                    the lake] [env: LAKEMILL_CATALOG]
              --namespace <NAME>    The namespace of names that give none [default: main] [env:
                                    LAKEMILL_NAMESPACE=]
              --memory <SIZE>       Memory for queries and training, like 4GB or 50%; what needs more spills
                                    to disk [env: LAKEMILL_MEMORY=] [default: 70%]
              --threads <N>         Threads for queries and training [default: one per core] [env:
                                    LAKEMILL_THREADS=]
              --log <LEVEL|FILTER>  What to log on stderr: error, warn, info, debug, trace, or a filter like
                                    lakemill=debug,deltalake=info [env: LAKEMILL_LOG=]
              --color <WHEN>        When to use colours [default: auto] [possible values: auto, always,
                                    never]

        Examples:
          lakemill run examples/flights                   run a pipeline, from raw files to predictions
          lakemill sql                                    type SQL at a prompt
          lakemill sql -c 'SELECT * FROM flights LIMIT 5' run SQL and leave
          lakemill models                                 list the models of the lake
          lakemill chat                                   talk with a language model
          lakemill serve                                  serve the lake to psql, drivers and HTTP

        `lakemill help COMMAND` says more about each command.
    "#]]
    .assert_eq(&help(&["-h"]));
}

/// The long help of a command: its own part, and the options that all commands have.
fn long_help(command: &str) -> (String, String) {
    let text = help(&[command, "--help"]);
    let (own, rest) = text.split_once("Lake and engine:\n").unwrap();
    let (shared, examples) = rest.split_once("Examples:\n").unwrap();
    (format!("{own}Lake and engine: ..\n\nExamples:\n{examples}"), format!("Lake and engine:\n{}\n", shared.trim_end()))
}

#[test]
fn every_command_explains_the_options_of_lake_and_engine() {
    let expected = expect![[r#"
        Lake and engine:
              --lake <PATH|URL>
                  The lake: a folder, or s3://bucket/prefix
                  
                  [env: LAKEMILL_LAKE=]
                  [default: ./lake]

              --catalog <PATH|URL>
                  The catalog: a SQLite file or a postgres:// URL [default: catalog.db in the lake]
                  
                  [env: LAKEMILL_CATALOG]

              --namespace <NAME>
                  The namespace of names that give none [default: main]
                  
                  [env: LAKEMILL_NAMESPACE=]

              --memory <SIZE>
                  Memory for queries and training, like 4GB or 50%; what needs more spills to disk
                  
                  [env: LAKEMILL_MEMORY=]
                  [default: 70%]

              --threads <N>
                  Threads for queries and training [default: one per core]
                  
                  [env: LAKEMILL_THREADS=]

              --log <LEVEL|FILTER>
                  What to log on stderr: error, warn, info, debug, trace, or a filter like
                  lakemill=debug,deltalake=info
                  
                  [env: LAKEMILL_LOG=]

              --color <WHEN>
                  When to use colours

                  Possible values:
                  - auto:   On a terminal, unless NO_COLOR is set
                  - always
                  - never
                  
                  [default: auto]
    "#]];
    for command in ["run", "sql", "tables", "models", "chat", "report", "completions"] {
        expected.assert_eq(&long_help(command).1);
    }
}

#[test]
fn the_help_of_run() {
    expect![[r#"
        Run a pipeline: a folder of numbered SQL files and a pipeline.toml

        Each file is a step. A step runs when its text, or a table, model or file that it reads, has changed
        since it last succeeded; the others are up to date and skipped. Steps commit as they end: after
        Ctrl-C or a crash every table is at its last committed version, and the next run goes on from there.

        Usage: lakemill run [OPTIONS] <DIR>

        Arguments:
          <DIR>
                  The pipeline's folder

        Options:
              --force
                  Run steps that are up to date too

              --dry-run
                  Show what would run, and why; change nothing

              --only <STEP>
                  Run these steps and no others (repeatable)

              --from <STEP>
                  Run this step and those after it

              --report <PATH>
                  Where to write the report [default: below the lake]

              --format <FORMAT>
                  The form of the summary; with json, standard output holds nothing else

                  Possible values:
                  - text: For people
                  - json: For programs
                  
                  [default: text]

          -h, --help
                  Print help (see a summary with '-h')

        Lake and engine: ..

        Examples:
          lakemill run examples/flights                          run what is not up to date
          lakemill run examples/flights --dry-run                show what would run, and why
          lakemill run examples/flights --from 04_train          run this step and all that follow
          lakemill run examples/flights --only 05_select         run one step
          lakemill run examples/flights --force                  run everything
          lakemill run examples/flights --format json | jq .     a summary for programs
    "#]]
    .assert_eq(&long_help("run").0);
}

#[test]
fn the_help_of_sql() {
    expect![[r#"
        Run SQL: at a prompt, from -c, from a file, or from a pipe

        Without -c and -f, a terminal gets a prompt and a pipe is read as a script. Results go to standard
        output, messages and errors to standard error. A script stops at its first error.

        Usage: lakemill sql [OPTIONS]

        Options:
          -c, --command <SQL>
                  Run this SQL and leave (repeatable)

          -f, --file <FILE>
                  Run the SQL in this file and leave; - is standard input (repeatable)

              --format <FORMAT>
                  The form of the rows [default: by the ending of --output, else table]

                  Possible values:
                  - table:    A box fitted to the terminal; long results show their head and tail
                  - vertical: One line per column of each row, for rows that are wider than the screen
                  - csv:      Comma-separated values with a header line
                  - json:     One array of objects
                  - jsonl:    One object per line
                  - markdown: A GitHub table
                  - parquet:  A Parquet file, compressed with Zstandard

          -o, --output <FILE>
                  Write the rows to a file

              --max-rows <N>
                  The most rows that a table shows; 0 shows all of them
                  
                  [default: 40]

              --keep-going
                  Go on after an error; the exit code is that of the first one

          -q, --quiet
                  Print neither row counts nor messages

          -h, --help
                  Print help (see a summary with '-h')

        Lake and engine: ..

        Examples:
          lakemill sql
          lakemill sql -c 'SELECT carrier, count(*) FROM flights GROUP BY 1'
          lakemill sql -f prepare.sql
          echo 'SELECT 1;' | lakemill sql --format csv
          lakemill sql -c 'SELECT * FROM flights' --output flights.parquet
          lakemill sql -c "SELECT * FROM 'raw/*.csv' LIMIT 5"

        At the prompt, \? lists the backslash commands; Ctrl-C cancels a statement, Ctrl-D leaves.
    "#]]
    .assert_eq(&long_help("sql").0);
}

#[test]
fn every_command_has_examples() {
    for command in ["run", "sql", "tables", "models", "chat", "report", "serve", "users", "completions"] {
        assert!(help(&[command, "--help"]).contains("Examples:\n  lakemill "), "{command}");
    }
}

#[test]
fn versions() {
    assert_eq!(help(&["-V"]), format!("lakemill {}\n", env!("CARGO_PKG_VERSION")));
    let long = help(&["--version"]);
    assert!(["commit:", "target:", "compiler:"].iter().all(|part| long.contains(part)), "{long}");
}

#[test]
fn completions_for_every_shell() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = help(&["completions", shell]);
        assert!(script.contains("lakemill") && script.contains("dry-run"), "{shell}");
    }
}

#[test]
fn slips_have_suggestions() {
    let place = Place::new();
    let run = |arguments: &[&str]| Finished::of(bare(&place.path("")).args(arguments));
    run(&["modles"]).fails(2, "models");
    run(&["sql", "--fromat", "csv"]).fails(2, "--format");
    run(&["sql", "--format", "cvs"]).fails(2, "csv");
    run(&["sql", "--memory", "lots"]).fails(2, "write it like 4GB");
    run(&["sql", "--threads", "0"]).fails(2, "at least 1");
    run(&["--log", "lakemill=loud", "sql", "-c", "SELECT 1"]).fails(2, "no log filter");
}
