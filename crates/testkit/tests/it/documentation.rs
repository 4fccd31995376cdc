//! The examples of `docs/` and the README: the `sql` blocks of a page run in order in one fresh lake. The current
//! folder is a page's own and has the repository's `examples` in it, so that examples may write files.
//!
//! `sql error` marks an example that fails; a `text error` block right after it holds a part of the message.
//! A comment `<!-- sql` .. `-->` runs too: what an example needs and a reader need not see.
//! ```` ```text result ```` after a `sql` block holds its rows as the runner of `.slt` files writes them.

use lakemill_lake::Lake;
use lakemill_query::SessionOptions;
use lakemill_testkit::docs::{Block, blocks, pages};
use lakemill_testkit::mode::{FreshLake, Mode};
use lakemill_testkit::slt::Connection;
use lakemill_testkit::{Result, format, repository};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_sql_example_runs() -> Result<()> {
    let root = repository();
    let mut pages = pages(&root.join("docs"))?;
    pages.push(root.join("README.md"));
    let mut failures = Vec::new();
    let mut examples = 0;
    for page in pages {
        let name = page.strip_prefix(&root)?.display().to_string();
        let blocks = blocks(&std::fs::read_to_string(&page)?);
        let fresh = FreshLake::new(Mode::LOCAL_SQLITE)?;
        std::os::unix::fs::symlink(root.join("examples"), fresh.scratch.path().join("examples"))?;
        std::env::set_current_dir(fresh.scratch.path())?;
        let lake = Lake::open(fresh.options.clone()).await?;
        let connection = Connection::open(lake, SessionOptions::default())?;
        for (index, block) in blocks.iter().enumerate().filter(|(_, block)| block.language.starts_with("sql")) {
            examples += 1;
            if let Err(error) = example(&connection, block, blocks.get(index + 1)).await {
                failures.push(format!("{name}:{}: {error}", block.line));
            }
        }
    }
    assert!(failures.is_empty(), "{} of {examples} examples fail:\n{}", failures.len(), failures.join("\n"));
    Ok(())
}

async fn example(connection: &Connection, block: &Block, next: Option<&Block>) -> Result<()> {
    let outcome = connection.session().sql(&block.text).await;
    let beside = |language: &str| next.filter(|next| next.language == language).map(|next| next.text.trim());
    if block.language == "sql error" {
        let Err(error) = outcome else { return Err("should fail and does not".into()) };
        let expected = beside("text error").unwrap_or_default();
        return if error.to_string().contains(expected) { Ok(()) } else { Err(format!("fails with '{error}'").into()) };
    }
    let batches = outcome?;
    if let Some(expected) = beside("text result") {
        let rows: Vec<String> = format::rows(&batches)?.iter().map(|cells| cells.join(" ")).collect();
        let expected: Vec<String> =
            expected.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        if rows != expected {
            return Err(format!("gives\n{}", rows.join("\n")).into());
        }
    }
    Ok(())
}
