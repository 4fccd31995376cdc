//! The last lines of a run: its steps, its models, its report.

use std::io::{self, IsTerminal, Write};
use std::path::Path;

use anyhow::Result;
use lakemill_pipeline::{
    Action, ModelMetrics, Pipeline, Plan, PlannedStatement, PlannedStep, RunOutcome, RunSummary, StatementSummary,
    StepStatus, StepSummary,
};
use serde_json::{Value, json};

use crate::output::{Style, draw_texts, grouped};
use crate::sql::runner::seconds;

/// Prints the summary for people.
pub(super) fn text(summary: &RunSummary, report: Option<&Path>) -> Result<()> {
    let mut out = io::stdout();
    if summary.is_up_to_date() {
        writeln!(out, "everything is up to date ({})", seconds(summary.seconds))?;
    } else {
        writeln!(out)?;
        let rows = summary.steps.iter().map(|step| {
            let ran = matches!(step.status, StepStatus::Ran | StepStatus::Failed | StepStatus::Cancelled);
            vec![
                Some(step.id.clone()),
                Some(step.status.as_str().to_owned()),
                Some(if ran { grouped(step.rows) } else { String::new() }),
                Some(if ran { seconds(step.seconds) } else { String::new() }),
            ]
        });
        let columns = [("step", false), ("status", false), ("rows written", true), ("time", true)];
        draw_texts(&mut out, &columns, rows.collect(), style())?;
        models(&mut out, &summary.models)?;
    }
    if matches!(summary.outcome, RunOutcome::Finished) && !summary.is_up_to_date() {
        let done = summary.steps.iter().filter(|step| step.status == StepStatus::Ran).count();
        let plural = if done == 1 { "" } else { "s" };
        let (rows, time) = (grouped(summary.rows()), seconds(summary.seconds));
        writeln!(out, "{done} step{plural}, {rows} rows written in {time}")?;
    }
    if let Some(report) = report {
        writeln!(out, "report: {}", report.display())?;
    }
    Ok(())
}

/// The models side by side, on the rows that they were not fitted on.
fn models(out: &mut dyn Write, models: &[ModelMetrics]) -> Result<()> {
    let mut names: Vec<&str> = Vec::new();
    for (name, _) in models.iter().flat_map(|model| &model.metrics) {
        if !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    if names.is_empty() {
        return Ok(());
    }
    let columns: Vec<(&str, bool)> =
        [("model", false), ("type", false)].into_iter().chain(names.iter().map(|name| (*name, true))).collect();
    let rows = models.iter().map(|model| {
        let figure =
            |name: &&str| model.metrics.iter().find(|(known, _)| known == name).map(|(_, value)| format!("{value:.4}"));
        let head = [Some(model.model.clone()), Some(model.model_type.clone())];
        head.into_iter().chain(names.iter().map(figure)).collect()
    });
    draw_texts(out, &columns, rows.collect(), style())
}

fn style() -> Style {
    let width = io::stdout().is_terminal().then(|| usize::from(console::Term::stdout().size().1));
    Style { rows_max: usize::MAX, width, color: console::colors_enabled() }
}

/// Prints the summary for programs.
pub(super) fn json(summary: &RunSummary, report: Option<&Path>) -> Result<()> {
    let (outcome, error) = match &summary.outcome {
        RunOutcome::Finished => ("finished", None),
        RunOutcome::Failed(error) => ("failed", Some(error.to_string())),
        RunOutcome::Cancelled => ("cancelled", None),
    };
    let steps: Value = summary.steps.iter().map(step_json).collect();
    let models: Vec<Value> = summary
        .models
        .iter()
        .map(|model| {
            let metrics: serde_json::Map<String, Value> =
                model.metrics.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
            json!({ "model": model.model, "version": model.version, "type": model.model_type, "metrics": metrics })
        })
        .collect();
    print(&json!({
        "pipeline": summary.pipeline, "run": summary.run, "outcome": outcome, "error": error,
        "seconds": summary.seconds, "rows": summary.rows(), "steps": steps, "models": models,
        "report": report.map(|path| path.display().to_string()),
    }))
}

fn step_json(step: &StepSummary) -> Value {
    let statement = |s: &StatementSummary| {
        json!({ "line": s.line, "label": s.label, "reason": s.reason, "rows": s.rows, "seconds": s.seconds,
                "message": s.message })
    };
    json!({ "id": step.id, "title": step.title, "status": step.status.as_str(), "rows": step.rows,
            "seconds": step.seconds, "statements": step.statements.iter().map(statement).collect::<Value>() })
}

/// Prints what would run, for programs.
pub(super) fn plan_json(pipeline: &Pipeline, plan: &Plan) -> Result<()> {
    let steps: Value = plan.steps.iter().map(planned_json).collect();
    print(&json!({ "pipeline": pipeline.name, "up_to_date": plan.is_up_to_date(), "steps": steps }))
}

fn planned_json(step: &PlannedStep) -> Value {
    let statement = |statement: &PlannedStatement| {
        let (action, reason) = match &statement.action {
            Action::UpToDate => ("up to date", None),
            Action::Record => ("record", None),
            Action::Run(reason) => ("run", Some(reason.to_string())),
        };
        json!({ "line": statement.line, "label": statement.label, "action": action, "reason": reason })
    };
    json!({ "id": step.id, "title": step.title, "selected": step.selected, "up_to_date": step.is_up_to_date(),
            "statements": step.statements.iter().map(statement).collect::<Value>() })
}

fn print(value: &Value) -> Result<()> {
    writeln!(io::stdout(), "{}", serde_json::to_string_pretty(value)?)?;
    Ok(())
}
