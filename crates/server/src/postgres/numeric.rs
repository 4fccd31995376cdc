//! Numbers with a fixed point on their way to the client: all 38 digits, where the library's own way ends at 28.

use arrow::array::{Array, PrimitiveArray};
use arrow::datatypes::Decimal128Type;
use pgwire::api::Type;
use pgwire::api::results::{DataRowEncoder, FieldFormat, FieldInfo};
use pgwire::error::PgWireResult;

/// Adds the number of a row.
pub(super) fn encode(
    encoder: &mut DataRowEncoder,
    numbers: &PrimitiveArray<Decimal128Type>,
    row: usize,
    field: &FieldInfo,
) -> PgWireResult<()> {
    let text = (!numbers.is_null(row)).then(|| numbers.value_as_string(row));
    let options = field.format_options();
    match field.format() {
        FieldFormat::Text => {
            encoder.encode_field_with_type_and_format(&text, &Type::TEXT, FieldFormat::Text, options.as_ref())
        }
        FieldFormat::Binary => {
            let bytes = text.map(|text| binary(&text));
            encoder.encode_field_with_type_and_format(&bytes, &Type::BYTEA, FieldFormat::Binary, options.as_ref())
        }
    }
}

/// How many groups of four digits, the weight of the first one, the sign, the digits after the point, the groups.
fn binary(text: &str) -> Vec<u8> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let whole = format!("{}{whole}", "0".repeat((4 - whole.len() % 4) % 4));
    let filled = format!("{fraction}{}", "0".repeat((4 - fraction.len() % 4) % 4));
    let all = [whole.as_bytes(), filled.as_bytes()].concat();
    let groups: Vec<i16> = all
        .chunks(4)
        .map(|group| group.iter().fold(0, |number, digit| number * 10 + i16::from(digit - b'0')))
        .collect();
    let first = groups.iter().position(|group| *group != 0).unwrap_or(groups.len());
    let last = groups.iter().rposition(|group| *group != 0).map_or(first, |last| last + 1);
    let small = |number: usize| i16::try_from(number).unwrap_or(i16::MAX);
    let weight = if first == groups.len() { 0 } else { small(whole.len() / 4) - 1 - small(first) };
    let sign: u16 = if text.starts_with('-') { 0x4000 } else { 0 };
    let mut bytes = Vec::new();
    bytes.extend(small(last - first).to_be_bytes());
    bytes.extend(weight.to_be_bytes());
    bytes.extend(sign.to_be_bytes());
    bytes.extend(small(fraction.len()).to_be_bytes());
    groups[first..last].iter().for_each(|group| bytes.extend(group.to_be_bytes()));
    bytes
}

#[cfg(test)]
mod tests {
    use super::binary;

    #[test]
    fn groups_are_those_that_postgresql_sends() {
        let groups =
            |text| binary(text).chunks(2).map(|pair| i16::from_be_bytes([pair[0], pair[1]])).collect::<Vec<_>>();
        // Count, weight, sign, scale, groups: as PostgreSQL 16 sends these numbers.
        assert_eq!(groups("12.34"), [2, 0, 0, 2, 12, 3400]);
        assert_eq!(groups("-12345.6"), [3, 1, 0x4000, 1, 1, 2345, 6000]);
        assert_eq!(groups("0.00000005"), [1, -2, 0, 8, 5]);
        assert_eq!(groups("100000000"), [1, 2, 0, 0, 1]);
        assert_eq!(groups("0.00"), [0, 0, 0, 2]);
    }
}
