//! The lake's own `.slt` files: each in a fresh lake, in each of the four modes.

use lakemill_query::SessionOptions;
use lakemill_testkit::mode::Mode;
use lakemill_testkit::{Result, repository, slt::Suite};

fn suite() -> Suite {
    let tests = repository().join("crates/query/tests");
    Suite { folder: tests.join("slt"), data: tests.join("data"), session: SessionOptions::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn local_folder_with_sqlite() -> Result<()> {
    suite().run(Mode::LOCAL_SQLITE).await
}

mod full {
    use super::{Mode, Result, suite};

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn local_folder_with_postgres() -> Result<()> {
        suite().run(Mode::LOCAL_POSTGRES).await
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn s3_with_sqlite() -> Result<()> {
        suite().run(Mode::S3_SQLITE).await
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn s3_with_postgres() -> Result<()> {
        suite().run(Mode::S3_POSTGRES).await
    }
}
