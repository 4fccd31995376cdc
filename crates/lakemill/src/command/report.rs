//! `lakemill report`.

use std::io::{self, Write};

use anyhow::Result;
use lakemill_pipeline::{Pipeline, report};

use crate::cli::{GlobalArgs, ReportArgs};
use crate::engine::look;

/// Writes the report of a pipeline's last run again.
pub(super) fn run(global: &GlobalArgs, args: &ReportArgs) -> Result<u8> {
    let pipeline = Pipeline::load(&args.folder)?;
    look(global, async |session| {
        let path = args.output.clone().unwrap_or_else(|| report::default_path(session, &pipeline));
        let path = report::write(session, &pipeline, &path).await?;
        let label = if args.path { "" } else { "report: " };
        writeln!(io::stdout(), "{label}{}", path.display())?;
        Ok(())
    })
}
