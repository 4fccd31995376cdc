//! Contenders run in turns; medians and ratios in a table.

use std::collections::BTreeMap;
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::shell;

/// Something that is measured: a process that prints its figures.
pub(super) struct Contender {
    name: &'static str,
    command: Box<dyn Fn() -> Command>,
}

impl Contender {
    pub(super) fn new(name: &'static str, command: impl Fn() -> Command + 'static) -> Self {
        Self { name, command: Box::new(command) }
    }
}

/// A contender's figures: the median of each.
pub(super) struct Standing {
    pub(super) name: &'static str,
    pub(super) version: String,
    pub(super) figures: BTreeMap<String, f64>,
}

impl Standing {
    /// A figure by name.
    pub(super) fn figure(&self, name: &str) -> Result<f64> {
        self.figures.get(name).copied().with_context(|| format!("{} gave no figure '{name}'", self.name))
    }
}

/// Runs every contender `rounds` times, in turns.
pub(super) fn hold(contenders: &[Contender], rounds: usize) -> Result<Vec<Standing>> {
    let mut seen: Vec<(String, BTreeMap<String, Vec<f64>>)> = contenders.iter().map(|_| Default::default()).collect();
    for round in 1..=rounds.max(1) {
        for (contender, (version, figures)) in contenders.iter().zip(&mut seen) {
            let printed = shell::output(&mut (contender.command)())?;
            let line = printed.lines().rev().find(|line| line.starts_with('{'));
            let line = line.with_context(|| format!("{} printed no figures:\n{printed}", contender.name))?;
            let report: Value = serde_json::from_str(line)?;
            *version = report["version"].as_str().unwrap_or_default().to_owned();
            // Figures may also stand beside the version.
            let report_figures = report.get("figures").unwrap_or(&report);
            for (name, value) in report_figures.as_object().into_iter().flatten() {
                figures.entry(name.clone()).or_default().extend(value.as_f64());
            }
            println!("round {round} of {rounds}: {}", contender.name);
        }
    }
    let standings = contenders.iter().zip(seen).map(|(contender, (version, figures))| Standing {
        name: contender.name,
        version,
        figures: figures.into_iter().map(|(name, values)| (name, median(values))).collect(),
    });
    Ok(standings.collect())
}

/// The middle of the values; the mean of the two in the middle of an even number.
pub(super) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => f64::NAN,
        length if length % 2 == 1 => values[middle],
        _ => f64::midpoint(values[middle - 1], values[middle]),
    }
}

/// Prints rows of cells in columns: the first to the left, the others to the right.
pub(super) fn table(rows: &[Vec<String>]) {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns)
        .map(|column| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0))
        .collect();
    println!();
    for row in rows {
        let cells = row.iter().zip(&widths).enumerate().map(|(column, (cell, width))| {
            if column == 0 { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
        });
        println!("{}", cells.collect::<Vec<_>>().join("  ").trim_end());
    }
}

/// A row per figure, a column per contender, and how the first stands to each of the others.
pub(super) fn compare(standings: &[Standing], figures: &[String], digits: usize) -> Vec<Vec<String>> {
    let Some((ours, others)) = standings.split_first() else { return Vec::new() };
    let mut head = vec![String::new()];
    head.extend(standings.iter().map(|standing| format!("{} {}", standing.name, standing.version)));
    head.extend(others.iter().map(|other| format!("{}/{}", ours.name, other.name)));
    let mut rows = vec![head];
    for name in figures {
        let value = |standing: &Standing| standing.figures.get(name).copied().unwrap_or(f64::NAN);
        let mut row = vec![name.clone()];
        row.extend(standings.iter().map(|standing| format!("{:.digits$}", value(standing))));
        row.extend(others.iter().map(|other| format!("{:.2}", value(ours) / value(other))));
        rows.push(row);
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::median;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), 2.5);
        assert!(median(Vec::new()).is_nan());
    }
}
