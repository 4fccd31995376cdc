//! Lines: ROC and calibration curves, loss per iteration, series over time.

use std::fmt::Write;

use super::frame::{Axis, Frame};
use super::series_class;
use crate::report::html::esc;

/// Curves with more points are thinned: no screen shows more.
const POINTS_MAX: usize = 400;

/// Lines with at most this many points show each of them.
const DOTS_MAX: usize = 40;

/// One line.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) name: String,
    /// Index of its colour.
    pub(crate) colour: usize,
    pub(crate) dashed: bool,
    pub(crate) points: Vec<(f64, f64)>,
    /// What to say of each point; made from the axes if empty.
    pub(crate) tips: Vec<String>,
}

/// A chart of lines.
#[derive(Clone, Debug)]
pub(crate) struct LineChart {
    /// For screen readers.
    pub(crate) name: String,
    pub(crate) x: Axis,
    pub(crate) y: Axis,
    pub(crate) lines: Vec<Line>,
    /// Draws the diagonal and says what it stands for.
    pub(crate) diagonal: Option<&'static str>,
    /// The names of x, where it is no number: they stand at 0, 1, 2 ..
    pub(crate) categories: Vec<String>,
}

/// Draws a chart of lines.
pub(crate) fn lines(chart: &LineChart) -> String {
    let frame = Frame::new(chart.x.clone(), chart.y.clone());
    let mut svg = frame.open(&chart.name, chart.categories.is_empty());
    if !chart.categories.is_empty() {
        category_ticks(&mut svg, &frame, &chart.categories);
    }
    if let Some(meaning) = chart.diagonal {
        let low = frame.x.min.max(frame.y.min);
        let high = frame.x.max.min(frame.y.max);
        let _ = write!(
            svg,
            "<line class=\"diagonal\" x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\"><title>{}</title></line>",
            frame.at_x(low),
            frame.at_y(low),
            frame.at_x(high),
            frame.at_y(high),
            esc(meaning),
        );
    }
    for line in &chart.lines {
        draw(&mut svg, &frame, line, &chart.categories);
    }
    svg.push_str("</svg>");
    svg
}

fn draw(svg: &mut String, frame: &Frame, line: &Line, categories: &[String]) {
    let class = series_class(line.colour);
    let dash = if line.dashed { " dashed" } else { "" };
    let kept = thin(&line.points);
    let path: String = kept
        .iter()
        .enumerate()
        .map(|(n, at)| {
            let (x, y) = line.points[*at];
            format!("{}{:.1} {:.1}", if n == 0 { "M" } else { "L" }, frame.at_x(x), frame.at_y(y))
        })
        .collect();
    let _ = write!(svg, "<path class=\"line {class}{dash}\" d=\"{path}\"><title>{}</title></path>", esc(&line.name));
    let few = kept.len() <= DOTS_MAX;
    for at in kept {
        let (x, y) = line.points[at];
        let tip = line.tips.get(at).cloned().unwrap_or_else(|| {
            let x_text = category(categories, x).unwrap_or_else(|| frame.x.show(x));
            format!("{}: {} at {x_text}", line.name, frame.y.show(y))
        });
        let (radius, ghost) = if few { (3.0, "") } else { (6.0, " ghost") };
        let _ = write!(
            svg,
            "<circle class=\"dot {class}{ghost}\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"{radius}\"><title>{}</title></circle>",
            frame.at_x(x),
            frame.at_y(y),
            esc(&tip),
        );
    }
}

fn category(categories: &[String], x: f64) -> Option<String> {
    categories.get(x as usize).cloned()
}

/// The indices of the finite points to draw: evenly spread, the first and the last among them.
fn thin(points: &[(f64, f64)]) -> Vec<usize> {
    let finite: Vec<usize> =
        (0..points.len()).filter(|at| points[*at].0.is_finite() && points[*at].1.is_finite()).collect();
    if finite.len() <= POINTS_MAX {
        return finite;
    }
    let last = finite.len() - 1;
    let mut kept: Vec<usize> = (0..POINTS_MAX).map(|n| finite[n * last / (POINTS_MAX - 1)]).collect();
    kept.dedup();
    kept
}

/// Names below the axis, as many as fit.
pub(super) fn category_ticks(svg: &mut String, frame: &Frame, categories: &[String]) {
    let longest = categories.iter().map(|name| name.chars().count()).max().unwrap_or_default().clamp(1, 12);
    let room = (frame.right() - frame.left()) / (longest as f64 * 9.0 + 10.0);
    let every = (categories.len() as f64 / room.max(1.0)).ceil().max(1.0) as usize;
    for (at, name) in categories.iter().enumerate().step_by(every) {
        let short: String =
            if name.chars().count() > 12 { name.chars().take(11).chain(['…']).collect() } else { name.clone() };
        let _ = write!(
            svg,
            "<text class=\"tick\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            frame.at_x(at as f64),
            frame.bottom() + 18.0,
            esc(&short),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::thin;

    #[test]
    fn thinning_keeps_the_ends_and_skips_gaps() {
        let points: Vec<(f64, f64)> = (0..5000).map(|n| (f64::from(n), if n == 7 { f64::NAN } else { 1.0 })).collect();
        let kept = thin(&points);
        assert!(kept.len() <= 400 && !kept.contains(&7));
        assert_eq!((kept.first(), kept.last()), (Some(&0), Some(&4999)));
    }
}
