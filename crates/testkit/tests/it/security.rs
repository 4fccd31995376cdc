//! `lakemill serve` with users: passwords, tokens, TLS, privileges and the audit log, as psql, programs over HTTP and ADBC's
//! driver meet them. What clients see is checked in `tests/python/security_client.py`.

use std::path::Path;
use std::process::Command;

use lakemill_testkit::servers::Lakemill;
use lakemill_testkit::{Result, process};

/// What there is: `ann` may read `open` and nothing else; `root` is an administrator.
const LAKE: &str = "
    CREATE TABLE open AS SELECT value AS id FROM generate_series(1, 5);
    CREATE TABLE secret AS SELECT value AS x, value * 2.0 AS y FROM generate_series(1, 20) AS t (value);
    CREATE VIEW secret_view AS SELECT * FROM secret;
    CREATE MODEL secret_model OPTIONS (model_type = 'LINEAR_REG', input_label_cols = ['y'], data_split_method = 'NO_SPLIT')
        AS SELECT CAST(x AS DOUBLE) AS x, y FROM secret;
    GRANT SELECT ON open TO ann;";

fn lakemill(lake: &Path) -> Result<Command> {
    let mut command = Command::new(process::lakemill()?);
    command.arg("--lake").arg(lake);
    Ok(command)
}

/// A token of a user.
fn token(lake: &Path, user: &str) -> Result<String> {
    let sql = format!("CREATE TOKEN {user}_token FOR {user}");
    let csv = process::piped(lakemill(lake)?.args(["sql", "--format", "csv", "-c", &sql]), "")?;
    let token = csv.split([',', '\n']).find(|cell| cell.starts_with("lakemill_"));
    Ok(token.ok_or_else(|| format!("no token in {csv}"))?.to_owned())
}

fn openssl(folder: &Path, arguments: &str) -> Result<()> {
    let output = Command::new("openssl").current_dir(folder).args(arguments.split(' ')).output()?;
    process::said("openssl", output).map(drop)
}

/// A certificate of this machine's, `server.pem` with `server.key`, that `ca.pem` vouches for.
fn certificate(folder: &Path) -> Result<()> {
    std::fs::write(folder.join("names"), "subjectAltName = IP:127.0.0.1, DNS:localhost\n")?;
    openssl(folder, "req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -days 2 -subj /CN=test-ca")?;
    openssl(folder, "req -newkey rsa:2048 -nodes -keyout server.key -out server.csr -subj /CN=localhost")?;
    openssl(
        folder,
        "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out server.pem -days 2 -extfile names",
    )
}

#[test]
fn users_see_and_do_what_they_were_granted_over_every_protocol() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let lake = folder.path().join("lake");
    process::piped(lakemill(&lake)?.args(["users", "add", "ann"]), "correct horse\n")?;
    process::piped(lakemill(&lake)?.args(["users", "add", "root", "--admin"]), "battery staple\n")?;
    process::piped(lakemill(&lake)?.args(["sql"]), LAKE)?;
    certificate(folder.path())?;
    let file = |name: &str| folder.path().join(name).display().to_string();
    let (ann, root) = (token(&lake, "ann")?, token(&lake, "root")?);
    let options = ["--auth", "required", "--tls-cert", &file("server.pem"), "--tls-key", &file("server.key")];
    let server = Lakemill::serve(&lake.display().to_string(), &options)?;
    let port = |name: &str| -> Result<String> { Ok(server.address(name)?.port().to_string()) };
    let arguments = [&port("http")?, &port("postgres")?, &port("flight")?, &file("ca.pem"), &ann, &root];
    let passed = process::python("tests/python/security_client.py", &arguments.map(String::as_str), &[])?;
    assert!(passed.lines().count() >= 6, "{passed}");
    Ok(())
}

#[test]
fn what_would_be_open_to_all_is_refused_at_the_start() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let lake = folder.path().join("lake");
    certificate(folder.path())?;
    openssl(folder.path(), "genrsa -out other.key 2048")?;
    let file = |name: &str| folder.path().join(name).display().to_string();
    let (pem, key, other, none) = (file("server.pem"), file("server.key"), file("other.key"), file("none"));
    let open = ["--http", "0.0.0.0:0", "--postgres", "off", "--flight", "off"];
    let local = ["--http", "127.0.0.1:0", "--postgres", "off", "--flight", "off"];
    for (address, options, wanted) in [
        (open, vec![], "give --tls-cert and --tls-key, or --insecure"),
        (open, vec!["--auth", "off"], "--auth off would let do everything"),
        (open, vec!["--auth", "off", "--insecure"], "--auth off would let do everything"),
        (local, vec!["--tls-cert", &none, "--tls-key", &key], "none' cannot be read"),
        (local, vec!["--tls-cert", &pem, "--tls-key", &none], "none' cannot be read"),
        (local, vec!["--tls-cert", &key, "--tls-key", &key], "holds no cert in PEM"),
        (local, vec!["--tls-cert", &pem, "--tls-key", &pem], "holds no key in PEM"),
        (local, vec!["--tls-cert", &pem, "--tls-key", &other], "cannot be used together"),
        (local, vec!["--tls-cert", &pem], "--tls-key"),
    ] {
        let output = lakemill(&lake)?.arg("serve").args(address).args(&options).output()?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{options:?}: {said}");
        assert!(said.contains(wanted), "{options:?}: {said}");
    }
    Ok(())
}
