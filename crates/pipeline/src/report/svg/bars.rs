//! Horizontal bars, for names of any length.

use std::fmt::Write;

use super::frame::{WIDTH, open};
use super::series_class;
use crate::report::html::esc;

const ROW: f64 = 24.0;
const NAME_WIDTH: f64 = 176.0;
const VALUE_WIDTH: f64 = 62.0;
const NAME_CHARS_MAX: usize = 26;

/// One bar.
#[derive(Clone, Debug)]
pub(crate) struct Bar {
    pub(crate) name: String,
    pub(crate) value: f64,
    /// The value as it is written beside the bar.
    pub(crate) text: String,
}

/// Draws bars, in the given order, from a common zero.
pub(crate) fn bars(name: &str, colour: usize, bars: &[Bar]) -> String {
    let height = ROW * bars.len() as f64 + 12.0;
    let mut svg = open(name, WIDTH, height);
    let finite = bars.iter().map(|bar| bar.value).filter(|value| value.is_finite());
    let (low, high) = finite.fold((0.0_f64, 0.0_f64), |(low, high), value| (low.min(value), high.max(value)));
    let span = if high > low { high - low } else { 1.0 };
    let room = WIDTH - NAME_WIDTH - VALUE_WIDTH;
    let place = |value: f64| NAME_WIDTH + (value - low) / span * room;
    for (at, bar) in bars.iter().enumerate() {
        let y = 6.0 + ROW * at as f64;
        let value = if bar.value.is_finite() { bar.value } else { 0.0 };
        let (from, to) = (place(value.min(0.0)), place(value.max(0.0)));
        let class = if value < 0.0 { series_class(1) } else { series_class(colour) };
        let _ = write!(
            svg,
            "<g><title>{full}: {text}</title>\
             <text class=\"name\" x=\"{name_x:.1}\" y=\"{base:.1}\" text-anchor=\"end\">{short}</text>\
             <rect class=\"fill {class}\" x=\"{from:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"{thick:.1}\" rx=\"2\"/>\
             <text class=\"value\" x=\"{value_x:.1}\" y=\"{base:.1}\">{text}</text></g>",
            full = esc(&bar.name),
            text = esc(&bar.text),
            name_x = NAME_WIDTH - 8.0,
            base = y + ROW / 2.0 + 4.0,
            short = esc(&shorten(&bar.name)),
            top = y + 4.0,
            width = (to - from).max(1.0),
            thick = ROW - 8.0,
            value_x = to + 6.0,
        );
    }
    svg.push_str("</svg>");
    svg
}

fn shorten(name: &str) -> String {
    if name.chars().count() <= NAME_CHARS_MAX {
        name.to_owned()
    } else {
        name.chars().take(NAME_CHARS_MAX - 1).chain(['…']).collect()
    }
}
