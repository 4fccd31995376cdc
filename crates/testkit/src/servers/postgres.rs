//! A PostgreSQL cluster of the tests' own, run by an unprivileged user.
//!
//! PostgreSQL refuses to run as root, so as root the cluster belongs to the `postgres` user that Debian's package
//! makes. Durability is off: the catalog's own crash tests use SQLite, and a test cluster is thrown away.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use super::guard::Guarded;
use super::{free_port, wait_until};
use crate::Result;

/// Says how to get PostgreSQL.
const MISSING: &str =
    "PostgreSQL's server is missing; install it with 'apt-get install postgresql', or let 'cargo xtask setup' do so";

/// A running PostgreSQL server.
#[derive(Debug)]
pub struct Postgres {
    url: String,
    _server: Option<Guarded>,
}

/// The server of this process, started at the first call.
pub fn postgres() -> Result<&'static Postgres> {
    static SERVER: OnceLock<Result<Postgres>> = OnceLock::new();
    SERVER.get_or_init(Postgres::start).as_ref().map_err(|error| error.to_string().into())
}

impl Postgres {
    fn start() -> Result<Self> {
        if let Ok(url) = std::env::var("LAKEMILL_TEST_POSTGRES") {
            return Ok(Self { url, _server: None });
        }
        let programs = programs()?;
        let folder = tempfile::Builder::new().prefix("lakemill-postgres-").tempdir()?.keep();
        let account = Account::of(&folder)?;
        let data = folder.join("data");
        let made = account
            .command(&programs.join("initdb"))
            .args(["--username=lakemill", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync", "-D"])
            .arg(&data)
            .current_dir(&folder)
            .output()?;
        if !made.status.success() {
            return Err(format!("initdb failed: {}", String::from_utf8_lossy(&made.stderr)).into());
        }
        let port = free_port(0)?;
        let mut command = account.prefix();
        command.push(programs.join("postgres").display().to_string());
        command.extend(["-D".to_owned(), data.display().to_string(), "-p".to_owned(), port.to_string()]);
        for setting in SETTINGS {
            command.extend(["-c".to_owned(), (*setting).to_owned()]);
        }
        let log = folder.join("log");
        let server = Guarded::start(&folder, "QUIT", &log, &command)?;
        let ready = programs.join("pg_isready");
        wait_until("PostgreSQL", &log, || {
            let mut ask = Command::new(&ready);
            ask.args(["-q", "-h", "127.0.0.1", "-U", "lakemill", "-p", &port.to_string()]);
            ask.status().is_ok_and(|status| status.success())
        })?;
        Ok(Self { url: format!("postgres://lakemill@127.0.0.1:{port}"), _server: Some(server) })
    }

    /// Makes an empty database and gives its URL.
    pub fn database(&self) -> Result<String> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("lake_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let made = Command::new(programs()?.join("psql"))
            .args(["--no-psqlrc", "--quiet", "--dbname"])
            .arg(format!("{}/postgres", self.url))
            .args(["--command", &format!("CREATE DATABASE {name}")])
            .output()?;
        if made.status.success() {
            Ok(format!("{}/{name}", self.url))
        } else {
            Err(format!("cannot create database {name}: {}", String::from_utf8_lossy(&made.stderr)).into())
        }
    }
}

/// Small, fast and not durable.
const SETTINGS: &[&str] = &[
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=",
    "fsync=off",
    "synchronous_commit=off",
    "full_page_writes=off",
    "max_connections=200",
    "shared_buffers=64MB",
];

/// What the tests run of PostgreSQL.
const PROGRAMS: [&str; 4] = ["initdb", "postgres", "pg_isready", "psql"];

/// The folder of PostgreSQL's programs: `LAKEMILL_POSTGRES_BIN`, or the newest of Debian's and of the path that has all.
fn programs() -> Result<PathBuf> {
    if let Ok(folder) = std::env::var("LAKEMILL_POSTGRES_BIN") {
        return Ok(PathBuf::from(folder));
    }
    let debian =
        std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten().map(|entry| entry.path().join("bin"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut found: Vec<PathBuf> = debian.chain(std::env::split_paths(&path)).collect();
    found.retain(|folder| PROGRAMS.iter().all(|program| folder.join(program).is_file()));
    found.into_iter().max().ok_or_else(|| MISSING.into())
}

/// Who runs the cluster.
struct Account {
    /// The user and group to become; none when this process is unprivileged already.
    owner: Option<(&'static str, String)>,
}

impl Account {
    /// Picks the account and gives it `folder`.
    fn of(folder: &Path) -> Result<Self> {
        if id(&["-u"]).as_deref() != Some("0") {
            return Ok(Self { owner: None });
        }
        let (user, group) = ["postgres", "nobody"]
            .into_iter()
            .find_map(|user| Some((user, id(&["-gn", user])?)))
            .ok_or("PostgreSQL does not run as root, and there is neither a 'postgres' nor a 'nobody' user")?;
        let given = Command::new("chown").args(["-R", user]).arg(folder).status()?;
        if given.success() {
            Ok(Self { owner: Some((user, group)) })
        } else {
            Err(format!("cannot give {} to {user}", folder.display()).into())
        }
    }

    /// The words before a command that make it run as this account.
    fn prefix(&self) -> Vec<String> {
        let Some((user, group)) = &self.owner else { return Vec::new() };
        ["setpriv", "--reuid", user, "--regid", group, "--clear-groups", "--"].map(str::to_owned).to_vec()
    }

    fn command(&self, program: &Path) -> Command {
        let prefix = self.prefix();
        let Some((first, rest)) = prefix.split_first() else { return Command::new(program) };
        let mut command = Command::new(first);
        command.args(rest).arg(program);
        command
    }
}

/// What `id` answers; none when it fails.
fn id(arguments: &[&str]) -> Option<String> {
    let output = Command::new("id").args(arguments).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
