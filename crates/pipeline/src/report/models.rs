//! The models of a report: a table of metrics side by side, and their curves.

use std::fmt::Write;

use super::data::ModelData;
use super::html::{count, esc, number, percent};
use super::svg::{self, Axis, Bar, Line, LineChart};

/// More features than this make a picture that nobody reads; the table function gives them all.
const FEATURES_MAX: usize = 15;

/// A bin with fewer rows says nothing of how well scores are calibrated.
const BIN_ROWS_MIN: u64 = 20;

/// An entry of a legend.
pub(super) struct Legend {
    pub(super) name: String,
    pub(super) colour: usize,
    pub(super) dashed: bool,
    pub(super) filled: bool,
}

/// A figure with its caption.
pub(super) fn figure(title: &str, note: &str, legend: &str, drawing: &str) -> String {
    let note = if note.is_empty() { String::new() } else { format!("<p>{}</p>", esc(note)) };
    format!("<figure class=\"card\"><figcaption><h3>{}</h3>{note}{legend}</figcaption>{drawing}</figure>", esc(title))
}

/// A legend.
pub(super) fn legend(entries: &[Legend]) -> String {
    let items = entries.iter().fold(String::new(), |mut items, entry| {
        let form = if entry.filled {
            " box"
        } else if entry.dashed {
            " dash"
        } else {
            ""
        };
        let _ =
            write!(items, "<li><i class=\"{}{form}\"></i>{}</li>", svg::series_class(entry.colour), esc(&entry.name));
        items
    });
    format!("<ul class=\"legend\">{items}</ul>")
}

/// The metric that is compared first, the model that is best by it, and its value.
pub(super) fn best(models: &[ModelData]) -> Option<(&'static str, &ModelData, f64)> {
    let metric =
        ["roc_auc", "r2_score"].into_iter().find(|metric| models.iter().any(|m| m.metric(metric).is_some()))?;
    let (model, value) =
        models.iter().filter_map(|model| Some((model, model.metric(metric)?))).max_by(|a, b| a.1.total_cmp(&b.1))?;
    Some((metric, model, value))
}

/// A metric in words.
pub(super) fn metric_name(metric: &str) -> String {
    match metric {
        "roc_auc" => "ROC AUC".to_owned(),
        "log_loss" => "log-loss".to_owned(),
        "f1_score" => "F1 score".to_owned(),
        "r2_score" => "R²".to_owned(),
        other => other.replace('_', " "),
    }
}

fn lower_is_better(metric: &str) -> bool {
    metric.contains("loss") || metric.contains("error") || metric == "davies_bouldin_index"
}

/// The whole section.
pub(super) fn render(models: &[ModelData]) -> String {
    let mut out = comparison(models);
    let mut figures: Vec<String> = Vec::new();
    figures.extend(roc(models));
    figures.extend(calibration(models));
    for (at, model) in models.iter().enumerate() {
        figures.extend(scores(at, model));
    }
    for (at, model) in models.iter().enumerate() {
        figures.extend(loss(at, model));
        figures.extend(features(at, model));
    }
    for model in models {
        figures.extend(confusion(model));
    }
    if !figures.is_empty() {
        let _ = write!(out, "<div class=\"grid\">{}</div>", figures.concat());
    }
    out
}

fn comparison(models: &[ModelData]) -> String {
    let mut metrics: Vec<&str> = Vec::new();
    for (metric, _) in models.iter().flat_map(|model| &model.metrics) {
        if !metrics.contains(&metric.as_str()) {
            metrics.push(metric);
        }
    }
    metrics.sort_by_key(|metric| !matches!(*metric, "roc_auc" | "log_loss" | "r2_score"));
    let mut out = String::from(
        "<div class=\"card\"><div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Comparison of models\"><table><thead><tr><th>Model</th>",
    );
    for metric in &metrics {
        let hint = if lower_is_better(metric) { "lower is better" } else { "higher is better" };
        let _ = write!(out, "<th class=\"n\" title=\"{hint}\">{}</th>", esc(&metric_name(metric)));
    }
    out.push_str("</tr></thead><tbody>");
    for model in models {
        let _ = write!(
            out,
            "<tr><th scope=\"row\">{}<div class=\"sub\">{}, version {}</div></th>",
            esc(&model.name),
            esc(&model.model_type.to_lowercase().replace('_', " ")),
            model.version
        );
        for metric in &metrics {
            let value = model.metric(metric);
            let best = value.is_some_and(|value| models.len() > 1 && is_best(models, metric, value));
            let text = value.map_or_else(|| "–".to_owned(), |value| format!("{value:.4}"));
            let _ = write!(out, "<td class=\"n{}\">{}</td>", if best { " best" } else { "" }, esc(&text));
        }
        out.push_str("</tr>");
    }
    out.push_str("</tbody></table></div><p class=\"note\">Green: the best of its column.</p></div>");
    out
}

fn is_best(models: &[ModelData], metric: &str, value: f64) -> bool {
    models
        .iter()
        .filter_map(|model| model.metric(metric))
        .all(|other| if lower_is_better(metric) { value <= other } else { value >= other })
}

fn roc(models: &[ModelData]) -> Option<String> {
    let drawn = || models.iter().enumerate().filter(|(_, model)| model.roc.len() > 1);
    let line = |(at, model): (usize, &ModelData)| Line {
        name: model.name.clone(),
        colour: at,
        dashed: at % 2 == 1,
        points: model.roc.iter().map(|point| (point.false_positive_rate, point.recall)).collect(),
        tips: model
            .roc
            .iter()
            .map(|point| {
                format!(
                    "{} at threshold {}: finds {}, false alarms {}",
                    model.name,
                    number(point.threshold),
                    percent(point.recall),
                    percent(point.false_positive_rate)
                )
            })
            .collect(),
    };
    let lines: Vec<Line> = drawn().map(line).collect();
    let entries: Vec<Legend> = drawn()
        .map(|(at, model)| {
            let area = model.metric("roc_auc").map(|auc| format!(", area {auc:.4}")).unwrap_or_default();
            Legend { name: format!("{}{area}", model.name), colour: at, dashed: at % 2 == 1, filled: false }
        })
        .collect();
    (!lines.is_empty()).then(|| {
        let drawing = svg::lines(&LineChart {
            name: "ROC curves".to_owned(),
            x: Axis::new("false alarms: share of the negatives", 0.0, 1.0).percent(),
            y: Axis::new("found: share of the positives", 0.0, 1.0).percent(),
            lines,
            diagonal: Some("no better than chance"),
            categories: Vec::new(),
        });
        figure(
            "ROC curves",
            "How many are found for how many false alarms. Dotted: chance.",
            &legend(&entries),
            &drawing,
        )
    })
}

fn calibration(models: &[ModelData]) -> Option<String> {
    let kept =
        |model: &ModelData| model.bins.iter().filter(|bin| bin.rows >= BIN_ROWS_MIN).copied().collect::<Vec<_>>();
    let mut lines = Vec::new();
    let mut entries = Vec::new();
    for (at, model) in models.iter().enumerate() {
        let bins = kept(model);
        if bins.is_empty() {
            continue;
        }
        let rate = |positives: u64, rows: u64| positives as f64 / rows.max(1) as f64;
        entries.push(Legend { name: model.name.clone(), colour: at, dashed: at % 2 == 1, filled: false });
        lines.push(Line {
            name: model.name.clone(),
            colour: at,
            dashed: at % 2 == 1,
            points: bins.iter().map(|bin| (bin.mean_score, rate(bin.positives, bin.rows))).collect(),
            tips: bins
                .iter()
                .map(|bin| {
                    format!(
                        "{}: predicted {}, happened {}, {} rows",
                        model.name,
                        percent(bin.mean_score),
                        percent(rate(bin.positives, bin.rows)),
                        count(bin.rows)
                    )
                })
                .collect(),
        });
    }
    (!lines.is_empty()).then(|| {
        let drawing = svg::lines(&LineChart {
            name: "Calibration curves".to_owned(),
            x: Axis::new("predicted probability", 0.0, 1.0).percent(),
            y: Axis::new("share that happened", 0.0, 1.0).percent(),
            lines,
            diagonal: Some("perfectly calibrated"),
            categories: Vec::new(),
        });
        let note = format!(
            "What a probability is worth. Dotted: perfect. Bins of fewer than {BIN_ROWS_MIN} rows are left out."
        );
        figure("Calibration", &note, &legend(&entries), &drawing)
    })
}

fn scores(at: usize, model: &ModelData) -> Option<String> {
    if model.bins.is_empty() {
        return None;
    }
    let bins: Vec<(f64, f64, u64, u64)> =
        model.bins.iter().map(|bin| (bin.from, bin.to, bin.rows - bin.positives, bin.positives)).collect();
    let title = format!("Scores of {}", model.name);
    let names = ["negatives", "positives"];
    let drawing = svg::stacked(&title, Axis::new("predicted probability", 0.0, 1.0).percent(), "rows", names, &bins);
    let entry = |at: usize| Legend { name: names[at].to_owned(), colour: at, dashed: false, filled: true };
    let _ = at;
    Some(figure(
        &title,
        "How the probabilities are distributed, by what happened.",
        &legend(&[entry(1), entry(0)]),
        &drawing,
    ))
}

fn loss(at: usize, model: &ModelData) -> Option<String> {
    if model.loss.len() < 2 {
        return None;
    }
    let train: Vec<(f64, f64)> = model.loss.iter().map(|point| (point.iteration, point.loss)).collect();
    let eval: Vec<(f64, f64)> =
        model.loss.iter().filter_map(|point| Some((point.iteration, point.eval_loss?))).collect();
    let values = train.iter().chain(&eval).map(|(_, loss)| *loss);
    let last = train.iter().map(|(iteration, _)| *iteration).fold(1.0, f64::max);
    let y = Axis::around("loss", values);
    let mut lines =
        vec![Line { name: "training".to_owned(), colour: at, dashed: false, points: train, tips: Vec::new() }];
    let mut entries = vec![Legend { name: "training".to_owned(), colour: at, dashed: false, filled: false }];
    if !eval.is_empty() {
        lines.push(Line { name: "held-out".to_owned(), colour: at + 2, dashed: true, points: eval, tips: Vec::new() });
        entries.push(Legend { name: "held-out".to_owned(), colour: at + 2, dashed: true, filled: false });
    }
    let title = format!("Loss of {}", model.name);
    let chart = LineChart {
        name: title.clone(),
        x: Axis::new("iteration", 0.0, last),
        y,
        lines,
        diagonal: None,
        categories: Vec::new(),
    };
    Some(figure(&title, "After each iteration of training.", &legend(&entries), &svg::lines(&chart)))
}

fn features(at: usize, model: &ModelData) -> Option<String> {
    let (values, title, note) = if !model.importance.is_empty() {
        (&model.importance, format!("What {} looks at", model.name), "Share of the total gain of all splits.")
    } else if !model.weights.is_empty() {
        (&model.weights, format!("Weights of {}", model.name), "Largest weights; features are on one scale.")
    } else {
        return None;
    };
    let is_share = !model.importance.is_empty();
    let total: f64 =
        if is_share { values.iter().map(|(_, gain)| gain).sum::<f64>().max(f64::MIN_POSITIVE) } else { 1.0 };
    let bars: Vec<Bar> = values
        .iter()
        .take(FEATURES_MAX)
        .map(|(name, value)| Bar {
            name: name.clone(),
            value: value / total,
            text: if is_share { percent(value / total) } else { number(*value) },
        })
        .collect();
    let more = values.len().saturating_sub(FEATURES_MAX);
    let note = if more > 0 { format!("{note} The first {FEATURES_MAX} of {}.", values.len()) } else { note.to_owned() };
    Some(figure(&title, &note, "", &svg::bars(&title, at, &bars)))
}

fn confusion(model: &ModelData) -> Option<String> {
    let matrix = model.confusion.as_ref().filter(|matrix| !matrix.labels.is_empty())?;
    let title = format!("Confusion of {}", model.name);
    let drawing = svg::matrix(&title, matrix);
    Some(figure(&title, "Held-out rows by what happened and what was predicted; blue is right.", "", &drawing))
}
