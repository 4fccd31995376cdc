//! One run of a pipeline at a time: two would make each other's tables anew.

use lakemill_base::ErrorKind;
use lakemill_lake::{RunLock, RunProcess, RunRecord};
use lakemill_query::Session;

use crate::error::{Error, Result};

/// Takes the lock of a pipeline's runs; `None` where the lake refuses changes, so that no run can do harm.
///
/// # Errors
/// Conflict: somebody else is running it; the text says who.
pub(super) async fn take(session: &Session, pipeline: &str) -> Result<Option<RunLock>> {
    let lake = session.lake();
    if lake.options().read_only {
        return Ok(None);
    }
    if let Some(lock) = lake.lock_run(pipeline).await? {
        return Ok(Some(lock));
    }
    let newest = lake.runs(Some(pipeline), 1).await?;
    let who = newest.first().filter(|run| run.finished_ms.is_none()).map_or_else(String::new, holder);
    let message = format!("pipeline '{pipeline}' is being run already{who}; wait until that run has ended, or stop it");
    Err(Error::new(ErrorKind::Conflict, message))
}

/// This process, as a run's details name it.
pub(super) fn this_process() -> RunProcess {
    RunProcess { id: std::process::id(), host: host() }
}

/// ` by process 4242 on host atlas since ..`
fn holder(run: &RunRecord) -> String {
    let process = &run.detail.process;
    let mut text = match process.id {
        0 => String::new(),
        id => format!(" by process {id}"),
    };
    if let Some(host) = process.host.as_deref().filter(|_| !text.is_empty()) {
        text.push_str(&format!(" on host {host}"));
    }
    if let Ok(since) = jiff::Timestamp::from_millisecond(run.started_ms) {
        text.push_str(&format!(", since {}", since.strftime("%F %T UTC")));
    }
    text
}

fn host() -> Option<String> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok().or_else(|| std::env::var("HOSTNAME").ok())?;
    Some(name.trim().to_owned()).filter(|name| !name.is_empty())
}
