//! Values as the text that `.slt` files hold, in the same conventions as DataFusion's files.
//!
//! NULL is `NULL`, the empty string `(empty)`, floats are rounded half to even at 12 decimals and decimals at
//! their scale, both without trailing zeros; a last cell of several lines becomes one row per line.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Float16Type, Float32Type, Float64Type, Schema};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use arrow::util::display::{ArrayFormatter, DurationFormat, FormatOptions};
use sqllogictest::ColumnType;

/// Decimals that a float keeps: enough to see a wrong answer, few enough to hide the order of a summation.
const FLOAT_DECIMALS: usize = 12;

/// The letter of a column's type in a `query` record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `B`
    Boolean,
    /// `D`: dates and times of day.
    DateTime,
    /// `I`
    Integer,
    /// `R`: floats and decimals.
    Real,
    /// `T`
    Text,
    /// `P`
    Timestamp,
    /// `?`
    Other,
}

const LETTERS: [(char, Kind); 7] = [
    ('B', Kind::Boolean),
    ('D', Kind::DateTime),
    ('I', Kind::Integer),
    ('R', Kind::Real),
    ('T', Kind::Text),
    ('P', Kind::Timestamp),
    ('?', Kind::Other),
];

impl ColumnType for Kind {
    fn from_char(value: char) -> Option<Self> {
        Some(LETTERS.iter().find(|(letter, _)| *letter == value).map_or(Self::Other, |(_, kind)| *kind))
    }

    fn to_char(&self) -> char {
        LETTERS.iter().find(|(_, kind)| kind == self).map_or('?', |(letter, _)| *letter)
    }
}

/// The letters of a schema's columns.
pub fn kinds(schema: &Schema) -> Vec<Kind> {
    schema.fields().iter().map(|field| kind(field.data_type())).collect()
}

fn kind(data_type: &DataType) -> Kind {
    match data_type {
        DataType::Boolean => Kind::Boolean,
        t if t.is_integer() => Kind::Integer,
        t if t.is_floating() || t.is_decimal() => Kind::Real,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Kind::Text,
        DataType::Date32 | DataType::Date64 | DataType::Time32(_) | DataType::Time64(_) => Kind::DateTime,
        DataType::Timestamp(_, _) => Kind::Timestamp,
        DataType::Dictionary(_, values) if kind(values) == Kind::Text => Kind::Text,
        _ => Kind::Other,
    }
}

/// All rows of `batches` as text.
pub fn rows(batches: &[RecordBatch]) -> Result<Vec<Vec<String>>, ArrowError> {
    let mut rows = Vec::new();
    for batch in batches {
        for row in 0..batch.num_rows() {
            let cells: Result<Vec<String>, ArrowError> =
                batch.columns().iter().map(|column| cell(column, row)).collect();
            push_lines(&mut rows, cells?);
        }
    }
    Ok(rows)
}

/// Adds a row, or, when its last cell has several lines (a plan), the row's other cells and then its lines.
fn push_lines(rows: &mut Vec<Vec<String>>, mut row: Vec<String>) {
    let Some(last) = row.pop_if(|cell| cell.contains('\n')) else {
        rows.push(row);
        return;
    };
    rows.push(row);
    for (index, line) in last.split('\n').enumerate() {
        // The runner folds white space, so indentation is written as dashes.
        let text = line.trim_start();
        let indent = "-".repeat(line.len() - text.len());
        rows.push(vec![format!("{:02}){indent}{text}", index + 1)]);
    }
}

fn cell(column: &ArrayRef, row: usize) -> Result<String, ArrowError> {
    if column.is_null(row) {
        return Ok("NULL".to_owned());
    }
    Ok(match column.data_type() {
        DataType::Float16 => float(column.as_primitive::<Float16Type>().value(row).to_f64()),
        DataType::Float32 => {
            let value = column.as_primitive::<Float32Type>().value(row);
            if value.is_finite() { rounded(&value.to_string(), FLOAT_DECIMALS) } else { float(f64::from(value)) }
        }
        DataType::Float64 => float(column.as_primitive::<Float64Type>().value(row)),
        DataType::Utf8 => text(column.as_string::<i32>().value(row)),
        DataType::LargeUtf8 => text(column.as_string::<i64>().value(row)),
        DataType::Utf8View => text(column.as_string_view().value(row)),
        DataType::Dictionary(_, _) => {
            let dictionary = column.as_any_dictionary();
            let key = dictionary.normalized_keys()[row];
            cell(dictionary.values(), key)?
        }
        other => {
            let options = FormatOptions::default().with_null("NULL").with_duration_format(DurationFormat::Pretty);
            let shown = ArrayFormatter::try_new(column.as_ref(), &options)?.value(row).to_string();
            if other.is_decimal() { trim_zeros(&shown) } else { shown }
        }
    })
}

fn text(value: &str) -> String {
    if value.is_empty() {
        return "(empty)".to_owned();
    }
    value.trim_end_matches('\n').replace('\0', "\\0")
}

fn float(value: f64) -> String {
    if value.is_nan() {
        "NaN".to_owned() // without its sign, which differs between platforms
    } else if value.is_infinite() {
        if value > 0.0 { "Infinity".to_owned() } else { "-Infinity".to_owned() }
    } else {
        rounded(&value.to_string(), FLOAT_DECIMALS)
    }
}

/// A plain decimal number rounded half to even at `decimals`, without trailing zeros.
fn rounded(number: &str, decimals: usize) -> String {
    let (sign, digits) = number.strip_prefix('-').map_or(("", number), |rest| ("-", rest));
    let Some((whole, fraction)) = digits.split_once('.') else {
        return signed(sign, digits);
    };
    if fraction.len() <= decimals {
        return signed(sign, &trim_zeros(digits));
    }
    let (kept, dropped) = fraction.split_at(decimals);
    let mut all: Vec<u8> = whole.bytes().chain(kept.bytes()).collect();
    if rounds_up(dropped, all.last().copied().unwrap_or(b'0')) {
        increment(&mut all);
    }
    let point = all.len() - decimals;
    let text: String = all.iter().map(|digit| char::from(*digit)).collect();
    signed(sign, &trim_zeros(&format!("{}.{}", &text[..point], &text[point..])))
}

fn rounds_up(dropped: &str, last_kept: u8) -> bool {
    let mut digits = dropped.bytes();
    match digits.next().unwrap_or(b'0') {
        b'0'..=b'4' => false,
        b'5' if digits.all(|digit| digit == b'0') => last_kept % 2 == 1,
        _ => true,
    }
}

fn increment(digits: &mut Vec<u8>) {
    for digit in digits.iter_mut().rev() {
        if *digit < b'9' {
            *digit += 1;
            return;
        }
        *digit = b'0';
    }
    digits.insert(0, b'1');
}

fn trim_zeros(number: &str) -> String {
    if number.contains('.') { number.trim_end_matches('0').trim_end_matches('.').to_owned() } else { number.to_owned() }
}

fn signed(sign: &str, digits: &str) -> String {
    if digits.bytes().all(|digit| matches!(digit, b'0' | b'.')) { "0".to_owned() } else { format!("{sign}{digits}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_half_to_even_at_twelve_decimals() {
        let cases = [
            ("1", "1"),
            ("-0", "0"),
            ("1.50", "1.5"),
            ("0.1234567890125", "0.123456789012"),
            ("0.1234567890135", "0.123456789014"),
            ("0.12345678901250001", "0.123456789013"),
            ("9.9999999999999", "10"),
            ("-9.9999999999999", "-10"),
            ("-0.0000000000001", "0"),
            ("100", "100"),
        ];
        for (given, expected) in cases {
            assert_eq!(rounded(given, FLOAT_DECIMALS), expected, "{given}");
        }
    }

    #[test]
    fn splits_a_plan_into_lines() {
        let mut rows = Vec::new();
        push_lines(&mut rows, vec!["logical_plan".to_owned(), "Sort\n  Scan".to_owned()]);
        assert_eq!(rows, [vec!["logical_plan"], vec!["01)Sort"], vec!["02)--Scan"]]);
    }
}
