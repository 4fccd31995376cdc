//! Text to values: a whole column at a time, and which rows could not be read.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, BooleanBuilder, StringArray};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, TimeUnit};
use arrow::util::display::FormatOptions;

use crate::error::Result;

/// A value that cannot be read becomes NULL; the rows are found by comparing the NULLs before and after.
const LENIENT: CastOptions<'static> = CastOptions { safe: true, format_options: FormatOptions::new() };

/// Reads a column; gives the rows whose text is no value of the type.
pub(super) fn read_column(text: &StringArray, data_type: &DataType) -> Result<(ArrayRef, Vec<usize>)> {
    if matches!(data_type, DataType::Utf8) {
        return Ok((Arc::new(text.clone()), Vec::new()));
    }
    let values = cast(text, data_type)?;
    if values.null_count() == text.null_count() {
        return Ok((values, Vec::new()));
    }
    // Spaces around a number are common and harmless.
    let trimmed: StringArray = text.iter().map(|value| value.map(str::trim)).collect();
    let values = cast(&trimmed, data_type)?;
    let bad = (0..text.len()).filter(|row| text.is_valid(*row) && values.is_null(*row)).collect();
    Ok((values, bad))
}

fn cast(text: &StringArray, data_type: &DataType) -> Result<ArrayRef> {
    if matches!(data_type, DataType::Boolean) {
        return Ok(Arc::new(booleans(text)));
    }
    Ok(cast_with_options(text, data_type, &LENIENT)?)
}

fn booleans(text: &StringArray) -> BooleanArray {
    let mut values = BooleanBuilder::with_capacity(text.len());
    for value in text {
        values.append_option(value.and_then(|value| match value.to_ascii_lowercase().as_str() {
            "true" | "t" | "yes" | "1" => Some(true),
            "false" | "f" | "no" | "0" => Some(false),
            _ => None,
        }));
    }
    values.finish()
}

/// The types that a column of text may turn out to be, narrowest first.
const CANDIDATES: usize = 6;

fn candidates() -> [DataType; CANDIDATES] {
    [
        DataType::Boolean,
        DataType::Int64,
        DataType::Float64,
        DataType::Date32,
        DataType::Timestamp(TimeUnit::Microsecond, None),
        DataType::Timestamp(TimeUnit::Microsecond, Some(Arc::from("UTC"))),
    ]
}

/// Narrows a column's type down as more of its text is seen.
#[derive(Clone, Debug)]
pub(super) struct Guess {
    open: [bool; CANDIDATES],
    seen: bool,
}

impl Guess {
    pub(super) const fn new() -> Self {
        Self { open: [true; CANDIDATES], seen: false }
    }

    /// Rules out what this text is not.
    pub(super) fn see(&mut self, text: &StringArray) -> Result<()> {
        if text.null_count() == text.len() {
            return Ok(());
        }
        self.seen = true;
        for (open, data_type) in self.open.iter_mut().zip(candidates()) {
            *open = *open && fits(text, &data_type)?;
        }
        Ok(())
    }

    /// The narrowest type that fits all that was seen; text if nothing was.
    pub(super) fn data_type(&self) -> DataType {
        let open = self.open.iter().zip(candidates()).find(|(open, _)| **open && self.seen);
        open.map_or(DataType::Utf8, |(_, data_type)| data_type)
    }
}

fn fits(text: &StringArray, data_type: &DataType) -> Result<bool> {
    let mut values = text.iter().flatten();
    match data_type {
        // `1` and `t` are more likely something else than a truth value.
        DataType::Boolean => Ok(values.all(|value| matches!(value.to_ascii_lowercase().as_str(), "true" | "false"))),
        DataType::Date32 if values.any(|value| value.trim().len() > 10) => Ok(false),
        DataType::Timestamp(_, zone) if text.iter().flatten().any(|value| has_zone(value) != zone.is_some()) => {
            Ok(false)
        }
        DataType::Float64
            if values
                .any(|value| value.bytes().any(|byte| byte.is_ascii_alphabetic() && byte != b'e' && byte != b'E')) =>
        {
            // NaN and inf are numbers; other words that a parser might take are text.
            let word = |value: &str| {
                matches!(value.trim().to_ascii_lowercase().as_str(), "nan" | "inf" | "-inf" | "infinity" | "-infinity")
            };
            let number = |value: &str| value.trim().parse::<f64>().is_ok();
            Ok(text
                .iter()
                .flatten()
                .all(|value| word(value) || (number(value) && !value.trim().eq_ignore_ascii_case("+inf"))))
        }
        _ => Ok(read_column(text, data_type)?.1.is_empty()),
    }
}

/// A timestamp's text ends in `Z` or an offset.
fn has_zone(value: &str) -> bool {
    let value = value.trim();
    let time = value.get(11..).unwrap_or_default();
    time.ends_with(['Z', 'z']) || time.contains('+') || time.contains('-')
}
