//! How lists and descriptions are printed, for people and for programs.

use std::io::{self, IsTerminal, Write};

use anyhow::{Context, Result};
use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::failure::Problem;
use crate::output::{self, Format, Style};

/// A part of a description.
pub(super) enum Section {
    Rows(String, RecordBatch),
    Value(String, Value),
}

impl Section {
    pub(super) fn rows(title: &str, rows: RecordBatch) -> Self {
        Self::Rows(title.to_owned(), rows)
    }

    pub(super) fn value(title: &str, value: Value) -> Self {
        Self::Value(title.to_owned(), value)
    }
}

/// Prints a list in any format.
pub(super) fn print(batch: &RecordBatch, format: Format) -> Result<()> {
    let stdout = io::stdout();
    if format == Format::Parquet && stdout.is_terminal() {
        return Err(Problem::invalid("parquet is not for a terminal; send it to a file or a pipe").into());
    }
    let mut sink = output::sink(format, &batch.schema(), Box::new(stdout), style())?;
    sink.batch(batch)?;
    sink.finish()
}

/// Prints a description: as one JSON object, or as text with a title for each part.
pub(super) fn describe(name: &str, properties: &[(&str, Value)], sections: &[Section], format: Format) -> Result<()> {
    match format {
        Format::Json | Format::Jsonl => describe_json(name, properties, sections, format),
        Format::Table | Format::Vertical | Format::Markdown => describe_text(name, properties, sections, format),
        Format::Csv | Format::Parquet => Err(Problem::invalid(format!(
            "a description has parts of several shapes, which {} cannot hold; take table, markdown or json",
            format.as_str()
        ))
        .into()),
    }
}

fn describe_json(name: &str, properties: &[(&str, Value)], sections: &[Section], format: Format) -> Result<()> {
    let mut object = Map::new();
    object.insert("name".into(), Value::from(name));
    for (key, value) in properties {
        object.insert(key.replace(' ', "_"), value.clone());
    }
    for section in sections {
        match section {
            Section::Rows(title, rows) => object.insert(title.clone(), rows_as_json(rows)?),
            Section::Value(title, value) => object.insert(title.clone(), value.clone()),
        };
    }
    let object = Value::Object(object);
    let text = if format == Format::Jsonl { object.to_string() } else { serde_json::to_string_pretty(&object)? };
    writeln!(io::stdout(), "{text}")?;
    Ok(())
}

fn rows_as_json(rows: &RecordBatch) -> Result<Value> {
    let mut writer = arrow::json::WriterBuilder::new()
        .with_explicit_nulls(true)
        .build::<_, arrow::json::writer::JsonArray>(Vec::new());
    writer.write(rows)?;
    writer.finish()?;
    let bytes = writer.into_inner();
    if bytes.is_empty() { Ok(Value::Array(Vec::new())) } else { Ok(serde_json::from_slice(&bytes)?) }
}

fn describe_text(name: &str, properties: &[(&str, Value)], sections: &[Section], format: Format) -> Result<()> {
    let mut out = io::stdout();
    let bold = console::Style::new().bold();
    writeln!(out, "{}", bold.apply_to(name))?;
    let pairs = properties.iter().map(|(key, value)| (*key, value));
    write_pairs(&mut out, pairs)?;
    for section in sections {
        match section {
            Section::Rows(title, rows) if rows.num_rows() > 0 => {
                writeln!(out, "\n{}", bold.apply_to(title))?;
                let mut sink = output::sink(format, &rows.schema(), Box::new(&mut out), style())?;
                sink.batch(rows)?;
                sink.finish()?;
            }
            Section::Rows(..) => {}
            Section::Value(title, value) => {
                writeln!(out, "\n{}", bold.apply_to(title))?;
                match value {
                    Value::Object(object) => write_pairs(&mut out, object.iter().map(|(k, v)| (k.as_str(), v)))?,
                    other => writeln!(out, "  {}", text(other))?,
                }
            }
        }
    }
    Ok(())
}

/// Names and values, the values lined up.
fn write_pairs<'p>(out: &mut impl Write, pairs: impl Iterator<Item = (&'p str, &'p Value)>) -> Result<()> {
    let pairs: Vec<(&str, &Value)> = pairs.filter(|(_, value)| !value.is_null()).collect();
    let width = pairs.iter().map(|(key, _)| key.chars().count()).max().unwrap_or(0);
    for (key, value) in pairs {
        let value = text(value).replace('\n', &format!("\n  {:width$}  ", ""));
        writeln!(out, "  {key:width$}  {value}")?;
    }
    Ok(())
}

/// A JSON value as people write it.
fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(values) if values.iter().all(|v| !v.is_object()) => {
            values.iter().map(text).collect::<Vec<_>>().join(", ")
        }
        other => other.to_string(),
    }
}

fn style() -> Style {
    let width = io::stdout().is_terminal().then(|| usize::from(console::Term::stdout().size().1));
    Style { rows_max: usize::MAX, width, color: console::colors_enabled() }
}

/// A time as text, to the second.
pub(super) fn instant(ms: i64) -> String {
    Timestamp::from_millisecond(ms)
        .map_or_else(|_| ms.to_string(), |time| time.strftime("%Y-%m-%d %H:%M:%SZ").to_string())
}

/// The namespace and the name in `name`, which may be `name`, `namespace.name`, with either part in quotes.
pub(super) fn qualified(name: &str, namespace: &str) -> (String, String) {
    let mut parts = vec![String::new()];
    let mut in_quotes = false;
    let mut chars = name.chars().peekable();
    while let Some(c) = chars.next() {
        let last = parts.len() - 1;
        match c {
            '"' if in_quotes && chars.peek() == Some(&'"') => {
                chars.next();
                parts[last].push('"');
            }
            '"' => in_quotes = !in_quotes,
            '.' if !in_quotes && parts.len() == 1 => parts.push(String::new()),
            c => parts[last].push(c),
        }
    }
    match parts.len() {
        1 => (namespace.to_owned(), parts.swap_remove(0)),
        _ => {
            let name = parts.swap_remove(1);
            (parts.swap_remove(0), name)
        }
    }
}

/// All rows as one batch.
pub(super) fn one_batch(batches: &[RecordBatch]) -> Result<RecordBatch> {
    let first = batches.first().context("a description has no rows")?;
    Ok(concat_batches(&first.schema(), batches)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_qualified_names() {
        let read = |name| qualified(name, "main");
        assert_eq!(read("flights"), ("main".into(), "flights".into()));
        assert_eq!(read("raw.flights"), ("raw".into(), "flights".into()));
        assert_eq!(read("raw.\"a.b\"\"c\""), ("raw".into(), "a.b\"c".into()));
    }

    #[test]
    fn writes_instants() {
        assert_eq!(instant(0), "1970-01-01 00:00:00Z");
    }
}
