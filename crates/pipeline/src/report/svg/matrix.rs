//! A confusion matrix: rows are the truth, columns the prediction, shades the share of the truth's rows.

use std::fmt::Write;

use super::frame::{WIDTH, open};
use crate::report::data::Confusion;
use crate::report::html::{count, esc, percent};

const LEFT: f64 = 96.0;
const TOP: f64 = 44.0;

/// Matrices with more classes than this show no numbers: there is no room for them.
const CLASSES_WITH_TEXT: usize = 6;

/// Draws a confusion matrix.
pub(crate) fn matrix(name: &str, confusion: &Confusion) -> String {
    let classes = confusion.labels.len().max(1);
    let side = (WIDTH - LEFT - 16.0) / classes as f64;
    let tall = side.min(96.0);
    let mut svg = open(name, WIDTH, TOP + tall * classes as f64 + 14.0);
    let _ = write!(
        svg,
        "<text class=\"label\" x=\"{:.1}\" y=\"14\" text-anchor=\"middle\">predicted</text>\
         <text class=\"label\" transform=\"translate(14 {:.1}) rotate(-90)\" text-anchor=\"middle\">actual</text>",
        LEFT + side * classes as f64 / 2.0,
        TOP + tall * classes as f64 / 2.0,
    );
    for (at, label) in confusion.labels.iter().enumerate() {
        let short: String = label.chars().take(10).collect();
        let _ = write!(
            svg,
            "<text class=\"tick\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{2}</text>\
             <text class=\"tick\" x=\"{3:.1}\" y=\"{4:.1}\" text-anchor=\"end\">{2}</text>",
            LEFT + side * (at as f64 + 0.5),
            TOP - 9.0,
            esc(&short),
            LEFT - 8.0,
            TOP + tall * (at as f64 + 0.5) + 4.0,
        );
    }
    for (truth, row) in confusion.counts.iter().enumerate() {
        let total = row.iter().sum::<u64>().max(1) as f64;
        for (predicted, rows) in row.iter().enumerate() {
            let share = *rows as f64 / total;
            let (x, y) = (LEFT + side * predicted as f64, TOP + tall * truth as f64);
            let label = |at: usize| confusion.labels.get(at).map_or("", String::as_str);
            let tip = format!(
                "actual {}, predicted {}: {} rows, {} of the actual",
                label(truth),
                label(predicted),
                count(*rows),
                percent(share)
            );
            let class = if truth == predicted { "s1" } else { "s2" };
            let _ = write!(
                svg,
                "<g><title>{}</title><rect class=\"fill {class}\" fill-opacity=\"{:.3}\" x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\" rx=\"4\"/>",
                esc(&tip),
                0.08 + share * 0.5,
                x + 2.0,
                y + 2.0,
                side - 4.0,
                tall - 4.0,
            );
            if classes <= CLASSES_WITH_TEXT {
                let _ = write!(
                    svg,
                    "<text class=\"cell\" x=\"{0:.1}\" y=\"{1:.1}\" text-anchor=\"middle\">{2}</text>\
                     <text class=\"tick\" x=\"{0:.1}\" y=\"{3:.1}\" text-anchor=\"middle\">{4}</text>",
                    x + side / 2.0,
                    y + tall / 2.0,
                    esc(&count(*rows)),
                    y + tall / 2.0 + 18.0,
                    esc(&percent(share)),
                );
            }
            svg.push_str("</g>");
        }
    }
    svg.push_str("</svg>");
    svg
}
