//! Axes: from values to places, with round ticks.

use std::fmt::Write;

use crate::report::html::{esc, number, percent};

/// The width of every chart in its own units. The page scales it to the column that it stands in.
pub(crate) const WIDTH: f64 = 460.0;
/// The height of most charts.
pub(crate) const HEIGHT: f64 = 310.0;

const LEFT: f64 = 66.0;
const RIGHT: f64 = 16.0;
const TOP: f64 = 14.0;
const BOTTOM: f64 = 54.0;

/// One axis: what it measures and its range.
#[derive(Clone, Debug)]
pub(crate) struct Axis {
    /// What is measured, with its unit.
    pub(crate) label: String,
    pub(crate) min: f64,
    pub(crate) max: f64,
    /// Values are shares.
    pub(crate) percent: bool,
}

impl Axis {
    pub(crate) fn new(label: impl Into<String>, min: f64, max: f64) -> Self {
        // An empty or single-valued range would divide by zero.
        let max = if max > min { max } else { min + 1.0 };
        Self { label: label.into(), min, max, percent: false }
    }

    pub(crate) fn percent(mut self) -> Self {
        self.percent = true;
        self
    }

    /// An axis from zero, or below it, to a little above the greatest value.
    pub(crate) fn covering(label: impl Into<String>, values: impl Iterator<Item = f64>) -> Self {
        let (low, high) = values.filter(|v| v.is_finite()).fold((0.0_f64, 0.0_f64), |(l, h), v| (l.min(v), h.max(v)));
        let step = tick_step(low, high, 5);
        let up = (high / step).ceil() * step;
        Self::new(label, (low / step).floor() * step, if up > 0.0 || low < 0.0 { up } else { 1.0 })
    }

    /// An axis around the values, without zero if they are far from it.
    pub(crate) fn around(label: impl Into<String>, values: impl Iterator<Item = f64> + Clone) -> Self {
        let finite = values.filter(|v| v.is_finite());
        let low = finite.clone().fold(f64::INFINITY, f64::min);
        let high = finite.fold(f64::NEG_INFINITY, f64::max);
        if low > high {
            return Self::new(label, 0.0, 1.0);
        }
        let step = tick_step(low, high, 5);
        Self::new(label, (low / step).floor() * step, (high / step).ceil() * step)
    }

    pub(crate) fn ticks(&self, count: usize) -> Vec<f64> {
        let step = tick_step(self.min, self.max, count);
        let first = (self.min / step - 1e-9).ceil() as i64;
        let last = (self.max / step + 1e-9).floor() as i64;
        (first..=last).map(|n| n as f64 * step).collect()
    }

    pub(crate) fn show(&self, value: f64) -> String {
        if self.percent { percent(value) } else { number(value) }
    }
}

/// A round step (1, 2 or 5 times a power of ten) that gives about `count` ticks.
fn tick_step(min: f64, max: f64, count: usize) -> f64 {
    let rough = (max - min) / count as f64;
    if !(rough.is_finite() && rough > 0.0) {
        return 1.0;
    }
    let power = 10f64.powf(rough.log10().floor());
    let digit = rough / power;
    power
        * if digit <= 1.0 {
            1.0
        } else if digit <= 2.0 {
            2.0
        } else if digit <= 5.0 {
            5.0
        } else {
            10.0
        }
}

/// The plane between two axes.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    pub(crate) x: Axis,
    pub(crate) y: Axis,
    pub(crate) height: f64,
}

impl Frame {
    pub(crate) fn new(x: Axis, y: Axis) -> Self {
        Self { x, y, height: HEIGHT }
    }

    pub(crate) fn left(&self) -> f64 {
        LEFT
    }

    pub(crate) fn right(&self) -> f64 {
        WIDTH - RIGHT
    }

    pub(crate) fn bottom(&self) -> f64 {
        self.height - BOTTOM
    }

    pub(crate) fn at_x(&self, value: f64) -> f64 {
        LEFT + (value - self.x.min) / (self.x.max - self.x.min) * (self.right() - LEFT)
    }

    pub(crate) fn at_y(&self, value: f64) -> f64 {
        self.bottom() - (value - self.y.min) / (self.y.max - self.y.min) * (self.bottom() - TOP)
    }

    /// Opens the picture: its role, its name for screen readers, the grid and the axes.
    pub(crate) fn open(&self, name: &str, x_ticks: bool) -> String {
        let mut svg = open(name, WIDTH, self.height);
        for tick in self.y.ticks(5) {
            let y = self.at_y(tick);
            let _ = write!(
                svg,
                "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{:.1}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\
                 <text class=\"tick\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                self.right(),
                LEFT - 8.0,
                y + 4.0,
                esc(&self.y.show(tick)),
            );
        }
        if x_ticks {
            for tick in self.x.ticks(5) {
                let x = self.at_x(tick);
                let _ = write!(
                    svg,
                    "<line class=\"axis\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{0:.1}\" y2=\"{1:.1}\"/>\
                     <text class=\"tick\" x=\"{x:.1}\" y=\"{2:.1}\" text-anchor=\"middle\">{3}</text>",
                    self.bottom(),
                    self.bottom() + 4.0,
                    self.bottom() + 18.0,
                    esc(&self.x.show(tick)),
                );
            }
        }
        let _ = write!(
            svg,
            "<line class=\"axis\" x1=\"{LEFT}\" x2=\"{0:.1}\" y1=\"{1:.1}\" y2=\"{1:.1}\"/>\
             <text class=\"label\" x=\"{2:.1}\" y=\"{3:.1}\" text-anchor=\"middle\">{4}</text>\
             <text class=\"label\" transform=\"translate(11 {5:.1}) rotate(-90)\" text-anchor=\"middle\">{6}</text>",
            self.right(),
            self.at_y(self.y.min.max(0.0).min(self.y.max)),
            f64::midpoint(LEFT, self.right()),
            self.height - 10.0,
            esc(&self.x.label),
            f64::midpoint(TOP, self.bottom()),
            esc(&self.y.label),
        );
        svg
    }
}

/// Opens a picture of any size.
pub(crate) fn open(name: &str, width: f64, height: f64) -> String {
    format!("<svg viewBox=\"0 0 {width:.0} {height:.0}\" role=\"img\" aria-label=\"{}\">", esc(name))
}

#[cfg(test)]
mod tests {
    use super::{Axis, Frame};

    #[test]
    fn ticks_are_round() {
        assert_eq!(Axis::new("", 0.0, 1.0).ticks(5), [0.0, 0.2, 0.4, 0.6000000000000001, 0.8, 1.0]);
        assert_eq!(Axis::covering("", [3.0, 187.0].into_iter()).max, 200.0);
        assert_eq!(Axis::around("", [0.51, 0.58].into_iter()).min, 0.5);
    }

    #[test]
    fn empty_and_constant_ranges_do_not_divide_by_zero() {
        for axis in [
            Axis::covering("", std::iter::empty()),
            Axis::around("", std::iter::empty()),
            Axis::around("", [2.0, 2.0].into_iter()),
            Axis::covering("", [f64::NAN, f64::INFINITY].into_iter()),
        ] {
            let frame = Frame::new(axis.clone(), axis);
            assert!(frame.at_x(0.5).is_finite() && frame.at_y(0.5).is_finite());
        }
    }
}
