//! The report as one HTML file: no script, no network, readable on a phone and in print.
//!
//! Not here: where the values come from (`collect`), how a chart is drawn (`svg`).

use std::fmt::Write;

use super::data::{ChartData, ReportData, StepRow, TableRow};
use super::html::{anchor, bytes, count, esc, number, percent, seconds};
use super::models;
use super::svg::{self, Axis, Bar, Column, Line, LineChart};
use crate::definition::ChartKind;
use crate::state::{Preview, Quality};

const STYLE: &str = include_str!("style.css");

/// Nothing but what stands in the file may be loaded, whatever a name or a cell holds.
const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'";

/// A section: its title, a sentence on it and its contents.
struct Section {
    title: &'static str,
    about: String,
    body: String,
}

/// Renders the report.
pub(crate) fn render(data: &ReportData) -> String {
    let sections: Vec<Section> = [
        models_section(data),
        pictures(data),
        steps(data),
        quality(data),
        tables(data),
        lineage(data),
        queries(data),
        missing(data),
    ]
    .into_iter()
    .flatten()
    .collect();
    let mut page = String::with_capacity(256 << 10);
    let _ = write!(
        page,
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\
         <meta name=\"generator\" content=\"Lakemill {}\"><title>{}</title><style>{STYLE}</style></head><body>",
        esc(&data.version),
        esc(&data.title),
    );
    header(&mut page, data, &sections);
    page.push_str("<main>");
    for section in &sections {
        let _ = write!(
            page,
            "<section id=\"{}\"><h2>{}</h2><p class=\"about\">{}</p>{}</section>",
            anchor(section.title),
            esc(section.title),
            esc(&section.about),
            section.body
        );
    }
    let _ = writeln!(
        page,
        "</main><footer><p>Written by Lakemill {}. Every figure comes from the tables and models named here.</p></footer></body></html>",
        esc(&data.version)
    );
    page
}

fn header(page: &mut String, data: &ReportData, sections: &[Section]) {
    let (class, status) = match data.status.as_str() {
        "finished" => ("good", "finished"),
        other => ("bad", other),
    };
    let _ = write!(page, "<header><p class=\"eyebrow\">Pipeline report</p><h1>{}</h1>", esc(&data.title));
    if !data.description.is_empty() {
        let _ = write!(page, "<p class=\"lead\">{}</p>", esc(&data.description));
    }
    let _ =
        write!(page, "<p class=\"meta\"><span class=\"pill {class}\">{}</span> {}</p>", esc(status), esc(&data.when));
    if let Some(error) = &data.error {
        let _ = write!(
            page,
            "<div class=\"card error\"><strong>The run failed.</strong> <code>{}</code></div>",
            esc(error)
        );
    }
    tiles(page, data);
    page.push_str("<nav aria-label=\"Sections\">");
    for section in sections {
        let _ = write!(page, "<a href=\"#{}\">{}</a>", anchor(section.title), esc(section.title));
    }
    page.push_str("</nav></header>");
}

/// The figures that a reader wants first.
fn tiles(page: &mut String, data: &ReportData) {
    let mut tiles: Vec<(String, String)> = Vec::new();
    if let Some((metric, model, value)) = models::best(&data.models) {
        tiles.push((number(value), format!("{}, {}", models::metric_name(metric), model.name)));
    }
    let rows: u64 = data.steps.iter().map(|step| step.rows).sum();
    let time: f64 = data.steps.iter().map(|step| step.seconds).sum();
    tiles.push((count(rows), "rows written".to_owned()));
    tiles.push((seconds(time), format!("in {} steps", data.steps.len())));
    if !data.models.is_empty() {
        tiles.push((data.models.len().to_string(), if data.models.len() == 1 { "model" } else { "models" }.to_owned()));
    }
    if !data.quality.is_empty() {
        tiles.push((data.quality.len().to_string(), "findings on the data".to_owned()));
    }
    page.push_str("<div class=\"tiles\">");
    for (value, label) in tiles {
        let _ = write!(page, "<div class=\"tile\"><b>{}</b><span>{}</span></div>", esc(&value), esc(&label));
    }
    page.push_str("</div>");
}

fn models_section(data: &ReportData) -> Option<Section> {
    if data.models.is_empty() {
        return None;
    }
    Some(Section {
        title: "Models",
        about: "Metrics and curves on rows that no model saw in training.".to_owned(),
        body: models::render(&data.models),
    })
}

fn steps(data: &ReportData) -> Option<Section> {
    let longest = data.steps.iter().map(|step| step.seconds).fold(0.0, f64::max).max(1e-9);
    let mut body = String::from(
        "<div class=\"card\"><div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Steps\"><table><thead><tr><th>Step</th><th>Last run</th><th class=\"n\">Rows written</th><th class=\"n\">Time</th><th aria-label=\"Share of the longest step\"></th></tr></thead><tbody>",
    );
    for step in &data.steps {
        step_row(&mut body, step, longest);
    }
    body.push_str("</tbody></table></div></div>");
    let about = "What ran, how long it took and how many rows it wrote. A step runs again only if something that it depends on has changed.";
    (!data.steps.is_empty()).then(|| Section { title: "Steps", about: about.to_owned(), body })
}

fn step_row(body: &mut String, step: &StepRow, longest: f64) {
    let class = match step.status.as_str() {
        "failed" | "stopped" | "never ran" => "bad",
        _ => "good",
    };
    let _ = write!(
        body,
        "<tr><th scope=\"row\" class=\"wide\">{} <span class=\"sub\">{}</span>",
        esc(&step.title),
        esc(&step.id)
    );
    if !step.about.is_empty() {
        let _ = write!(body, "<div class=\"sub\">{}</div>", esc(&step.about));
    }
    if !step.statements.is_empty() {
        let noun = if step.statements.len() == 1 { "statement" } else { "statements" };
        let _ = write!(body, "<details><summary>{} {noun}</summary><ul>", step.statements.len());
        for statement in &step.statements {
            let rows = statement.rows.map(|rows| format!(", {} rows", count(rows))).unwrap_or_default();
            let _ = write!(
                body,
                "<li><code>{}</code> {}{}<br>{}</li>",
                esc(&statement.label),
                seconds(statement.seconds),
                rows,
                esc(&statement.message)
            );
        }
        body.push_str("</ul></details>");
    }
    let _ = write!(
        body,
        "</th><td><span class=\"pill {class}\">{}</span></td><td class=\"n\">{}</td><td class=\"n\">{}</td><td style=\"width:26%\"><span class=\"bar\" style=\"width:{:.1}%\"></span></td></tr>",
        esc(&step.status),
        count(step.rows),
        seconds(step.seconds),
        step.seconds / longest * 100.0,
    );
}

fn quality(data: &ReportData) -> Option<Section> {
    if data.quality.is_empty() {
        return None;
    }
    let mut body = String::from(
        "<div class=\"card\"><div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Data quality\"><table><thead><tr><th>Data</th><th>Finding</th><th class=\"n\">Rows</th><th class=\"n\">Share</th><th></th><th>What was done</th></tr></thead><tbody>",
    );
    for Quality { relation, finding, rows, of_rows, treatment } in &data.quality {
        let share = if *of_rows == 0 { 0.0 } else { *rows as f64 / *of_rows as f64 };
        let _ = write!(
            body,
            "<tr><th scope=\"row\">{}</th><td>{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td><span class=\"track\"><span class=\"bar warn\" style=\"width:{:.2}%\"></span></span></td><td>{}</td></tr>",
            esc(relation),
            esc(finding),
            count(*rows),
            percent(share),
            share.clamp(0.0, 1.0) * 100.0,
            esc(treatment),
        );
    }
    body.push_str("</tbody></table></div></div>");
    let about = "What is odd in the raw data, how many rows it concerns, and what the pipeline did with them.";
    Some(Section { title: "Data quality", about: about.to_owned(), body })
}

fn tables(data: &ReportData) -> Option<Section> {
    if data.tables.is_empty() {
        return None;
    }
    let mut body = String::from(
        "<div class=\"card\"><div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Tables\"><table><thead><tr><th>Name</th><th>Kind</th><th class=\"n\">Version</th><th class=\"n\">Rows</th><th class=\"n\">Columns</th><th class=\"n\">Size</th></tr></thead><tbody>",
    );
    for TableRow { name, kind, version, rows, columns, bytes: size, location } in &data.tables {
        let dash = || "–".to_owned();
        let place = location
            .as_ref()
            .map(|at| format!("<div class=\"sub\"><code>{}</code></div>", esc(at)))
            .unwrap_or_default();
        let _ = write!(
            body,
            "<tr><th scope=\"row\">{}{place}</th><td>{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td></tr>",
            esc(name),
            esc(kind),
            version.map_or_else(dash, |version| version.to_string()),
            rows.map_or_else(dash, count),
            columns.map_or_else(dash, |columns| columns.to_string()),
            size.map_or_else(dash, bytes),
        );
    }
    body.push_str("</tbody></table></div></div>");
    let about = "What the pipeline reads and writes. A version is kept for each change: any of them can be read again.";
    Some(Section { title: "Tables", about: about.to_owned(), body })
}

fn lineage(data: &ReportData) -> Option<Section> {
    if data.lineage.edges.is_empty() {
        return None;
    }
    let (picture, width) = svg::lineage(&data.lineage);
    let picture = picture.replacen(
        "<svg ",
        &format!("<svg class=\"fixed\" style=\"min-width:{width:.0}px;max-width:{:.0}px\" ", width * 1.15),
        1,
    );
    let body = format!(
        "<div class=\"card\"><div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Lineage\">{picture}</div>\
         <ul class=\"legend\"><li><span class=\"key file\"></span>raw files</li><li><span class=\"key table\"></span>tables</li><li><span class=\"key model\"></span>models</li></ul></div>"
    );
    let about = "What was made from what, from the raw files on the left to the results on the right.";
    Some(Section { title: "Lineage", about: about.to_owned(), body })
}

fn queries(data: &ReportData) -> Option<Section> {
    if data.queries.is_empty() {
        return None;
    }
    let mut body = String::new();
    for query in &data.queries {
        let title = query.title.lines().next().unwrap_or_default();
        let _ = write!(
            body,
            "<div class=\"card\">{}</div>",
            preview_table(if title.is_empty() { "Query" } else { title }, query)
        );
    }
    let about = "What the queries in the steps gave.";
    Some(Section { title: "Query results", about: about.to_owned(), body })
}

fn missing(data: &ReportData) -> Option<Section> {
    if data.missing.is_empty() {
        return None;
    }
    let items: String = data.missing.iter().fold(String::new(), |mut items, item| {
        let _ = write!(items, "<li>{}</li>", esc(item));
        items
    });
    let about = "These parts of the report could not be made.";
    let body = format!("<div class=\"card error\"><ul>{items}</ul></div>");
    Some(Section { title: "Missing parts", about: about.to_owned(), body })
}

/// A query's rows as a table.
fn preview_table(title: &str, preview: &Preview) -> String {
    let mut out = format!(
        "<h3>{0}</h3><div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"{0}\"><table><thead><tr>",
        esc(title)
    );
    let class = |at: usize| if preview.numeric.get(at) == Some(&true) { " class=\"n\"" } else { "" };
    for (at, column) in preview.columns.iter().enumerate() {
        let _ = write!(out, "<th{}>{}</th>", class(at), esc(column));
    }
    out.push_str("</tr></thead><tbody>");
    for row in &preview.rows {
        out.push_str("<tr>");
        for (at, cell) in row.iter().enumerate() {
            let text = match cell {
                None => "–".to_owned(),
                Some(text) if preview.numeric.get(at) == Some(&true) => figure(text),
                Some(text) => text.clone(),
            };
            let _ = write!(out, "<td{}>{}</td>", class(at), esc(&text));
        }
        out.push_str("</tr>");
    }
    out.push_str("</tbody></table></div>");
    if preview.more {
        let _ = write!(out, "<p class=\"note\">The first {} rows.</p>", preview.rows.len());
    }
    out
}

/// A number in a cell, with its fraction cut to what people read. Years and ids keep their digits.
fn figure(text: &str) -> String {
    match text.parse::<f64>() {
        Ok(value) if text.contains(['.', 'e']) => number(value),
        _ => text.to_owned(),
    }
}

fn pictures(data: &ReportData) -> Option<Section> {
    if data.charts.is_empty() {
        return None;
    }
    let mut body = String::from("<div class=\"grid\">");
    for chart in &data.charts {
        body.push_str(&picture(chart));
    }
    body.push_str("</div>");
    let about = "Queries over the tables of this run.";
    Some(Section { title: "The data in pictures", about: about.to_owned(), body })
}

fn picture(chart: &ChartData) -> String {
    let shares = |axis: Axis| if chart.percent { axis.percent() } else { axis };
    let values = || chart.series.iter().flat_map(|(_, values)| values.iter().copied());
    let drawing = match chart.kind {
        ChartKind::Table => return format!("<div class=\"card\">{}</div>", preview_table(&chart.title, &chart.rows)),
        ChartKind::Bar => {
            let first: &[f64] = chart.series.first().map_or(&[], |(_, values)| values);
            let axis = shares(Axis::new("", 0.0, 1.0));
            let bar =
                |(name, value): (&String, &f64)| Bar { name: name.clone(), value: *value, text: axis.show(*value) };
            svg::bars(&chart.title, 0, &chart.categories.iter().zip(first).map(bar).collect::<Vec<_>>())
        }
        ChartKind::Column => {
            let names: Vec<String> = chart.series.iter().map(|(name, _)| name.clone()).collect();
            let group = |(at, name): (usize, &String)| Column {
                name: name.clone(),
                values: chart.series.iter().map(|(_, values)| values[at]).collect(),
            };
            let groups: Vec<Column> = chart.categories.iter().enumerate().map(group).collect();
            svg::columns(&chart.title, &chart.x, shares(Axis::covering(&chart.y, values())), &names, &groups)
        }
        ChartKind::Line => {
            let last = chart.categories.len().saturating_sub(1) as f64;
            let line = |(at, (name, values)): (usize, &(String, Vec<f64>))| Line {
                name: name.clone(),
                colour: at,
                dashed: at % 2 == 1,
                points: values.iter().enumerate().map(|(x, y)| (x as f64, *y)).collect(),
                tips: Vec::new(),
            };
            svg::lines(&LineChart {
                name: chart.title.clone(),
                x: Axis::new(&chart.x, 0.0, last),
                y: shares(Axis::covering(&chart.y, values())),
                lines: chart.series.iter().enumerate().map(line).collect(),
                diagonal: None,
                categories: chart.categories.clone(),
            })
        }
    };
    let mut legend = String::new();
    if chart.series.len() > 1 {
        let names = chart.series.iter().enumerate().map(|(at, (name, _))| {
            let dashed = chart.kind == ChartKind::Line && at % 2 == 1;
            models::Legend { name: name.clone(), colour: at, dashed, filled: chart.kind == ChartKind::Column }
        });
        legend = models::legend(&names.collect::<Vec<_>>());
    }
    models::figure(&chart.title, &chart.note, &legend, &drawing)
}
