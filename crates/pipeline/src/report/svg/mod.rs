//! Charts as inline SVG. Colours come from the page's CSS variables, so one picture fits light and dark; text
//! stays text, and every mark carries its values in a `<title>`.
//!
//! Not here: what is drawn (`data`) and how pictures are placed (`page`).

mod bars;
mod columns;
mod frame;
mod lineage;
mod lines;
mod matrix;

pub(crate) use bars::{Bar, bars};
pub(crate) use columns::{Column, columns, stacked};
pub(crate) use frame::Axis;
pub(crate) use lineage::lineage;
pub(crate) use lines::{Line, LineChart, lines};
pub(crate) use matrix::matrix;

/// The colours of series, in order; more series than colours start again, told apart by their dashes.
const SERIES_COLOURS: usize = 6;

/// The CSS class of the series at an index.
pub(crate) fn series_class(index: usize) -> String {
    format!("s{}", index % SERIES_COLOURS + 1)
}
