//! Upright columns: a value for each category, or how scores are distributed.

use std::fmt::Write;

use super::frame::{Axis, Frame};
use super::lines::category_ticks;
use super::series_class;
use crate::report::html::{count, esc, number};

/// One column.
#[derive(Clone, Debug)]
pub(crate) struct Column {
    pub(crate) name: String,
    /// One value for each series; they stand beside each other.
    pub(crate) values: Vec<f64>,
}

/// Columns side by side, one group for each category.
pub(crate) fn columns(name: &str, x_label: &str, y: Axis, series: &[String], groups: &[Column]) -> String {
    let x = Axis::new(x_label, -0.5, groups.len() as f64 - 0.5);
    let frame = Frame::new(x, y);
    let mut svg = frame.open(name, false);
    let categories: Vec<String> = groups.iter().map(|group| group.name.clone()).collect();
    category_ticks(&mut svg, &frame, &categories);
    let width = (frame.right() - frame.left()) / groups.len().max(1) as f64 * 0.76 / series.len().max(1) as f64;
    let zero = frame.at_y(0.0_f64.clamp(frame.y.min, frame.y.max));
    for (at, group) in groups.iter().enumerate() {
        let start = frame.at_x(at as f64) - width * group.values.len() as f64 / 2.0;
        for (which, value) in group.values.iter().enumerate().filter(|(_, value)| value.is_finite()) {
            let top = frame.at_y(*value);
            let tip =
                format!("{} · {}: {}", group.name, series.get(which).map_or("", String::as_str), frame.y.show(*value));
            let left = start + width * which as f64;
            rect(&mut svg, &series_class(which), (left, top.min(zero), width - 1.0, (zero - top).abs()), &tip);
        }
    }
    svg.push_str("</svg>");
    svg
}

/// Columns over intervals of a number, split into those without and with the event. Each is `from`, `to`,
/// without, with.
pub(crate) fn stacked(name: &str, x: Axis, y_label: &str, names: [&str; 2], bins: &[(f64, f64, u64, u64)]) -> String {
    let y = Axis::covering(y_label, bins.iter().map(|(_, _, without, with)| (without + with) as f64));
    let frame = Frame::new(x, y);
    let mut svg = frame.open(name, true);
    for (from, to, without, with) in bins {
        let (left, right) = (frame.at_x(*from), frame.at_x(*to));
        let rows = without + with;
        let share = if rows == 0 { 0.0 } else { *with as f64 / rows as f64 * 100.0 };
        let tip = format!(
            "score {} to {}: {} rows, {} {} ({share:.1} %)",
            number(*from),
            number(*to),
            count(rows),
            count(*with),
            names[1]
        );
        let low = frame.at_y(*with as f64);
        let high = frame.at_y(rows as f64);
        let width = (right - left - 1.0).max(0.5);
        rect(&mut svg, "s1", (left, high, width, low - high), &tip);
        rect(&mut svg, "s2", (left, low, width, frame.bottom() - low), &tip);
    }
    svg.push_str("</svg>");
    svg
}

fn rect(svg: &mut String, class: &str, (x, y, width, height): (f64, f64, f64, f64), tip: &str) {
    let _ = write!(
        svg,
        "<rect class=\"fill {class}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\"><title>{}</title></rect>",
        esc(tip)
    );
}
