//! `lakemill run`.

mod summary;
mod view;

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Result;
use futures::FutureExt;
use lakemill_pipeline::{Action, Cancel, Pipeline, Plan, RunOptions, RunOutcome, RunSummary, report};
use lakemill_query::Session;

use crate::cli::{GlobalArgs, RunArgs, SummaryFormat};
use crate::engine::Engine;
use crate::failure::Cancelled;
use crate::interrupt::CancelFlag;

use view::RunView;

/// Runs a pipeline, or shows what would run.
pub(super) fn run(global: &GlobalArgs, args: &RunArgs) -> Result<u8> {
    let engine = Engine::start(global)?;
    let flag = engine.interrupts().arm();
    let pipeline = Pipeline::load(&args.folder)?;
    let options = RunOptions { force: args.force, only: args.only.clone(), from: args.from.clone() };
    let work = async {
        if args.dry_run {
            let plan = pipeline.plan(engine.session().await?, &options).await?;
            return show_plan(&pipeline, &plan, args.format);
        }
        execute(engine.lake_session().await?, &pipeline, &options, args, &flag).await
    };
    engine.block_on(work.boxed_local()).map(|()| 0)
}

async fn execute(
    session: &Session,
    pipeline: &Pipeline,
    options: &RunOptions,
    args: &RunArgs,
    flag: &CancelFlag,
) -> Result<()> {
    let cancel = Cancel::new();
    let view = Arc::new(RunView::new(args.format));
    let mut run = pipeline.run(session, options, view.clone(), &cancel).boxed_local();
    let summary = tokio::select! {
        biased;
        summary = &mut run => summary,
        () = flag.wait() => {
            cancel.cancel();
            run.await
        }
    };
    view.clear();
    let summary = summary?;
    let path = match summary.is_finished() {
        true => Some(write_report(session, pipeline, &summary, args).await?),
        false => None,
    };
    match args.format {
        SummaryFormat::Json => summary::json(&summary, path.as_deref())?,
        SummaryFormat::Text => summary::text(&summary, path.as_deref())?,
    }
    match summary.outcome {
        RunOutcome::Finished => Ok(()),
        RunOutcome::Failed(error) => Err(error.into()),
        RunOutcome::Cancelled => {
            let kept = "what was done before is kept, and the next run goes on from there";
            Err(anyhow::Error::new(Cancelled).context(format!("stopped; {kept}")))
        }
    }
}

/// Writes the report; one that tells of the same run already is left as it is.
async fn write_report(session: &Session, pipeline: &Pipeline, summary: &RunSummary, args: &RunArgs) -> Result<PathBuf> {
    let path = match &args.report {
        Some(path) => path.clone(),
        None => report::default_path(session, pipeline),
    };
    if summary.is_up_to_date() && path.exists() && args.report.is_none() {
        return Ok(path);
    }
    Ok(report::write(session, pipeline, &path).await?)
}

fn show_plan(pipeline: &Pipeline, plan: &Plan, format: SummaryFormat) -> Result<()> {
    if format == SummaryFormat::Json {
        return summary::plan_json(pipeline, plan);
    }
    let mut out = io::stdout();
    let bold = console::Style::new().bold();
    let dim = console::Style::new().dim();
    for step in &plan.steps {
        let state = match (step.selected, step.is_up_to_date()) {
            (false, _) => "not selected".to_owned(),
            (true, true) => "up to date".to_owned(),
            (true, false) => step.reason().map_or("would be completed".to_owned(), |_| "would run".to_owned()),
        };
        writeln!(out, "{} {}: {state}", bold.apply_to(&step.id), dim.apply_to(&step.title))?;
        for statement in step.statements.iter().filter(|_| step.selected) {
            match &statement.action {
                Action::UpToDate => {}
                Action::Record => writeln!(out, "  line {}: {} (record its commit)", statement.line, statement.label)?,
                Action::Run(reason) => writeln!(out, "  line {}: {} ({reason})", statement.line, statement.label)?,
            }
        }
    }
    if plan.is_up_to_date() {
        writeln!(out, "everything is up to date")?;
    }
    Ok(())
}
