//! Texts and bytes that are almost right: what reads them gives a value or an error, and never panics.
//!
//! The ports of a server are tried by `tests/python/fuzz_client.py`.

use std::process::Command;
use std::sync::Arc;

use datafusion_proto::bytes::{
    physical_plan_from_bytes_with_extension_codec, physical_plan_to_bytes_with_extension_codec,
};
use lakemill_base::SplitMix64;
use lakemill_lake::{Lake, LakeOptions};
use lakemill_query::{ModelCodec, Session, SessionOptions};
use lakemill_testkit::docs::{blocks, pages};
use lakemill_testkit::servers::Lakemill;
use lakemill_testkit::{Result, process, quick, repository};

/// What is put into them.
const ODD: [&[u8]; 14] =
    [b"\0", b"\xff", b"'", b"\"", b"`", b"(", b"[", b"$$", b"--", b"/*", b";", b"@", b"1e999", "\u{1F4A9}".as_bytes()];

/// A seed with one to four changes.
fn changed(seed: &[u8], random: &mut SplitMix64) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    let mut below = |bound: usize| usize::try_from(random.below(bound as u64)).unwrap_or(0);
    for _ in 0..=below(4) {
        let (a, b) = (below(bytes.len() + 1), below(bytes.len() + 1));
        let (at, to) = (a.min(b), a.max(b));
        let odd = ODD[below(ODD.len())];
        match below(5) {
            0 => drop(bytes.drain(at..to)),
            1 => drop(bytes.splice(at..at, odd.iter().copied())),
            2 => drop(bytes.splice(at..to, odd.iter().copied())),
            3 => {
                let again = bytes[at..to].to_vec();
                drop(bytes.splice(to..to, again));
            }
            _ => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte = (to % 256) as u8),
        }
    }
    bytes
}

async fn session(folder: &std::path::Path) -> Result<Session> {
    let lake = Lake::open(LakeOptions::new(folder.join("lake").display().to_string())).await?;
    Ok(Session::open(lake, SessionOptions::default())?)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_is_parsed_or_refused() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let session = session(folder.path()).await?;
    let mut seeds = Vec::new();
    for page in pages(&repository().join("docs"))? {
        let sql = |block: &lakemill_testkit::docs::Block| block.language.starts_with("sql");
        seeds.extend(blocks(&std::fs::read_to_string(page)?).into_iter().filter(sql).map(|block| block.text));
    }
    for file in std::fs::read_dir(repository().join("crates/query/tests/slt"))? {
        let text = std::fs::read_to_string(file?.path())?;
        let records =
            text.split("\n\n").filter(|record| record.starts_with("query ") || record.starts_with("statement "));
        let sql = |record: &str| Some(record.split_once('\n')?.1.split("\n----").next()?.to_owned());
        seeds.extend(records.filter_map(sql));
    }
    assert!(seeds.len() > 300, "{}", seeds.len());
    let mut random = SplitMix64::new(11);
    let (mut parsed, rounds) = (0, if quick() { 10_000 } else { 100_000 });
    for round in 0..rounds {
        let text = String::from_utf8_lossy(&changed(seeds[round % seeds.len()].as_bytes(), &mut random)).into_owned();
        parsed += usize::from(session.parse(&text).is_ok());
    }
    // Some changes leave a text right: not everything is refused at its first word.
    assert!(parsed > rounds / 100, "{parsed}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_encoded_plan_is_decoded_or_refused() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let session = session(folder.path()).await?;
    session
        .sql(
            "CREATE TABLE t AS SELECT value AS x, value % 10 > 4 AS label FROM generate_series(1, 600);
             CREATE MODEL m TRANSFORM (ML.STANDARD_SCALER(x % 10) OVER () AS s, label)
             OPTIONS (model_type = 'LOGISTIC_REG') AS SELECT x, label FROM t",
        )
        .await?;
    let mut random = SplitMix64::new(13);
    for sql in ["SELECT * FROM ML.PREDICT(MODEL m, TABLE t)", "SELECT * FROM ML.VALIDATE_DATA_SKEW(MODEL m, TABLE t)"] {
        let (plan, task) = session.plan(&session.parse(sql)?[0]).await?;
        let codec = ModelCodec::default();
        let seed = physical_plan_to_bytes_with_extension_codec(Arc::clone(&plan), &codec)?;
        for _ in 0..if quick() { 200 } else { 2_000 } {
            let bytes = changed(&seed, &mut random);
            let _ = physical_plan_from_bytes_with_extension_codec(&bytes, &task, &ModelCodec::default());
        }
    }
    Ok(())
}

#[test]
fn every_port_answers_or_refuses() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let lake = folder.path().join("lake").display().to_string();
    let mut fill = Command::new(process::lakemill()?);
    process::piped(fill.args(["--lake", &lake, "sql"]), super::serve::LAKE)?;
    let server = Lakemill::serve(&lake, &[])?;
    let ports: Vec<String> = ["http", "postgres", "flight"]
        .into_iter()
        .map(|face| Ok(server.address(face)?.port().to_string()))
        .collect::<Result<_>>()?;
    let rounds = if quick() { "1000" } else { "4000" };
    process::python("tests/python/fuzz_client.py", &[&ports[0], &ports[1], &ports[2], rounds], &[])?;
    Ok(())
}
