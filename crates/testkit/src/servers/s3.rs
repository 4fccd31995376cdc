//! A real S3 server (SeaweedFS) with keys, on 127.0.0.1.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::guard::Guarded;
use super::{free_port, wait_until};
use crate::{Result, process};

const BUCKET: &str = "lakemill";
const ACCESS_KEY: &str = "lakemill";
const SECRET_KEY: &str = "lakemill-secret";
/// SeaweedFS derives each service's gRPC port from its HTTP port.
const GRPC_OFFSET: u16 = 10_000;

/// A running S3 server.
#[derive(Debug)]
pub struct S3 {
    endpoint: String,
    _server: Option<Guarded>,
}

/// The server of this process, started at the first call.
pub fn s3() -> Result<&'static S3> {
    static SERVER: OnceLock<Result<S3>> = OnceLock::new();
    SERVER.get_or_init(S3::start).as_ref().map_err(|error| error.to_string().into())
}

impl S3 {
    fn start() -> Result<Self> {
        if let Ok(endpoint) = std::env::var("LAKEMILL_TEST_S3") {
            return Ok(Self { endpoint, _server: None });
        }
        let weed = process::python_folder()?.join("weed");
        if !weed.is_file() {
            return Err(format!("the S3 server is missing from {}; run 'cargo xtask setup'", weed.display()).into());
        }
        let folder = tempfile::Builder::new().prefix("lakemill-s3-").tempdir()?.keep();
        let config = folder.join("s3.json");
        std::fs::write(&config, identities())?;
        std::fs::create_dir(folder.join("data"))?;
        let mut command = vec![weed.display().to_string(), "server".to_owned(), "-s3".to_owned()];
        command.push(format!("-dir={}", folder.join("data").display()));
        command.push(format!("-s3.config={}", config.display()));
        command.extend(FLAGS.iter().map(|flag| (*flag).to_owned()));
        let mut s3_port = 0;
        for service in ["master", "volume", "filer", "s3"] {
            s3_port = free_port(GRPC_OFFSET)?;
            command.push(format!("-{service}.port={s3_port}"));
        }
        let log = folder.join("log");
        let server = Guarded::start(&folder, "KILL", &log, &command)?;
        wait_until("the S3 server", &log, || healthy(s3_port))?;
        let server = Self { endpoint: format!("http://127.0.0.1:{s3_port}"), _server: Some(server) };
        server.make_bucket(&weed, &command, &log)?;
        Ok(server)
    }

    /// Makes the bucket through SeaweedFS's own shell, once its filer takes commands.
    fn make_bucket(&self, weed: &Path, server: &[String], log: &Path) -> Result<()> {
        let port = |service: &str| {
            let flag = format!("-{service}.port=");
            server.iter().find_map(|word| word.strip_prefix(&flag)).unwrap_or_default().to_owned()
        };
        let (master, filer) = (format!("127.0.0.1:{}", port("master")), format!("127.0.0.1:{}", port("filer")));
        wait_until("the S3 server's filer", log, || {
            process::piped(
                std::process::Command::new(weed).args(["shell", "-master", &master, "-filer", &filer]),
                &format!("s3.bucket.create -name {BUCKET}\ns3.bucket.list\nexit\n"),
            )
            .is_ok_and(|listed| {
                listed.lines().any(|line| line.trim_start().trim_start_matches("> ").starts_with(BUCKET))
            })
        })
    }

    /// `http://127.0.0.1:port`
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// A folder of the bucket that nothing uses yet.
    pub fn folder(&self) -> String {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        format!("s3://{BUCKET}/{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
    }

    /// The lake's storage options that reach this server.
    pub fn options(&self) -> BTreeMap<String, String> {
        [
            ("endpoint", self.endpoint.as_str()),
            ("access_key_id", ACCESS_KEY),
            ("secret_access_key", SECRET_KEY),
            ("region", "us-east-1"),
            ("allow_http", "true"),
        ]
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
    }

    /// The environment variables that reach this server, for other processes.
    pub fn environment(&self) -> BTreeMap<String, String> {
        let mut variables: BTreeMap<String, String> =
            self.options().into_iter().map(|(key, value)| (format!("AWS_{}", key.to_uppercase()), value)).collect();
        variables.insert("AWS_ENDPOINT_URL".to_owned(), self.endpoint.clone());
        variables
    }
}

/// Small volumes, so that a bucket does not claim gigabytes, and nothing listening that the tests do not use.
const FLAGS: &[&str] = &[
    "-ip=127.0.0.1",
    "-ip.bind=127.0.0.1",
    "-volume.max=64",
    "-master.volumeSizeLimitMB=64",
    "-master.telemetry=false",
    "-s3.port.iceberg=0",
    "-s3.port.lance=0",
];

fn identities() -> String {
    format!(
        r#"{{"identities": [{{"name": "tests", "credentials": [{{"accessKey": "{ACCESS_KEY}", "secretKey": "{SECRET_KEY}"}}],
            "actions": ["Admin", "Read", "Write", "List", "Tagging"]}}]}}"#
    )
}

fn healthy(port: u16) -> bool {
    let ask = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        stream.write_all(b"GET /healthz HTTP/1.0\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer.lines().next().is_some_and(|status| status.contains(" 200")))
    };
    ask().unwrap_or(false)
}
