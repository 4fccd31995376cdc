//! Values in PostgreSQL's binary forms. Numbers are big-endian; days and microseconds count from 2000-01-01.

use arrow::datatypes::{DataType, IntervalMonthDayNano};
use datafusion::common::ScalarValue;
use pgwire::api::Type;

use super::{arrow_type, element, text};

/// Days from 1970-01-01 to 2000-01-01.
const EPOCH_DAYS: i32 = 10_957;
const DAY_MICROSECONDS: i64 = 86_400_000_000;

/// Arrays with more dimensions than this have no type here.
const DIMENSIONS_MAX: i32 = 1;

/// A value of a wire type; what is wrong with it otherwise.
pub(super) fn value(wire: &Type, bytes: &[u8]) -> Result<ScalarValue, String> {
    let micros = |bytes| Ok::<_, String>(i64::from_be_bytes(exact(bytes)?));
    let instant = |bytes| {
        let since = i64::from(EPOCH_DAYS) * DAY_MICROSECONDS;
        micros(bytes)?.checked_add(since).ok_or_else(|| "it is out of range".to_owned())
    };
    Ok(match *wire {
        Type::BOOL => ScalarValue::from(exact::<1>(bytes)?[0] != 0),
        Type::INT2 => ScalarValue::from(i16::from_be_bytes(exact(bytes)?)),
        Type::INT4 => ScalarValue::from(i32::from_be_bytes(exact(bytes)?)),
        Type::INT8 => ScalarValue::from(i64::from_be_bytes(exact(bytes)?)),
        Type::OID => ScalarValue::from(i64::from(u32::from_be_bytes(exact(bytes)?))),
        Type::FLOAT4 => ScalarValue::from(f32::from_be_bytes(exact(bytes)?)),
        Type::FLOAT8 => ScalarValue::from(f64::from_be_bytes(exact(bytes)?)),
        Type::NUMERIC => text::decimal(&numeric(bytes)?)?,
        Type::BYTEA => ScalarValue::Binary(Some(bytes.to_vec())),
        Type::DATE => ScalarValue::Date32(Some(i32::from_be_bytes(exact(bytes)?).saturating_add(EPOCH_DAYS))),
        Type::TIME => ScalarValue::Time64Microsecond(Some(micros(bytes)?)),
        Type::TIMESTAMP => ScalarValue::TimestampMicrosecond(Some(instant(bytes)?), None),
        Type::TIMESTAMPTZ => ScalarValue::TimestampMicrosecond(Some(instant(bytes)?), Some("+00:00".into())),
        Type::INTERVAL => {
            let parts: [u8; 16] = exact(bytes)?;
            let (time, rest) = parts.split_at(8);
            let nanoseconds = micros(time)?.checked_mul(1_000).ok_or("it is out of range")?;
            let (days, months) = (i32::from_be_bytes(exact(&rest[..4])?), i32::from_be_bytes(exact(&rest[4..])?));
            ScalarValue::IntervalMonthDayNano(Some(IntervalMonthDayNano::new(months, days, nanoseconds)))
        }
        Type::UUID => ScalarValue::from(uuid(&exact(bytes)?)),
        Type::JSONB => string(bytes.strip_prefix(&[1]).unwrap_or(bytes))?,
        _ => match element(wire) {
            Some(element) => array(&element, bytes)?,
            None => string(bytes)?,
        },
    })
}

fn exact<const N: usize>(bytes: &[u8]) -> Result<[u8; N], String> {
    bytes.try_into().map_err(|_| format!("it has {} bytes, where {N} are wanted", bytes.len()))
}

fn string(bytes: &[u8]) -> Result<ScalarValue, String> {
    std::str::from_utf8(bytes).map(ScalarValue::from).map_err(|error| error.to_string())
}

fn uuid(bytes: &[u8; 16]) -> String {
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]].join("-")
}

/// Takes `N` bytes from the front.
fn take<const N: usize>(bytes: &mut &[u8]) -> Result<[u8; N], String> {
    let (taken, rest) = bytes.split_first_chunk().ok_or("it is cut short")?;
    *bytes = rest;
    Ok(*taken)
}

/// Dimensions, whether there are NULLs, the element's type; per dimension its length and lower bound; the elements.
fn array(element: &Type, mut bytes: &[u8]) -> Result<ScalarValue, String> {
    let dimensions = i32::from_be_bytes(take(&mut bytes)?);
    let (_nulls, _element) = (take::<4>(&mut bytes)?, take::<4>(&mut bytes)?);
    if dimensions > DIMENSIONS_MAX {
        return Err(format!("it has {dimensions} dimensions; arrays have one"));
    }
    let mut values = Vec::new();
    let data_type = arrow_type(element).unwrap_or(DataType::Utf8);
    if dimensions == 1 {
        let length = i32::from_be_bytes(take(&mut bytes)?);
        let _lower_bound = take::<4>(&mut bytes)?;
        for _ in 0..length {
            let size = i32::from_be_bytes(take(&mut bytes)?);
            let Ok(size) = usize::try_from(size) else {
                values.push(ScalarValue::try_from(&data_type).map_err(|error| error.to_string())?);
                continue;
            };
            let (one, rest) = bytes.split_at_checked(size).ok_or("it is cut short")?;
            bytes = rest;
            let one = value(element, one)?.cast_to(&data_type).map_err(|error| error.to_string())?;
            values.push(one);
        }
    }
    Ok(ScalarValue::List(ScalarValue::new_list_nullable(&values, &data_type)))
}

/// Groups of four digits: how many, the weight of the first one, the sign, the digits after the point.
fn numeric(mut bytes: &[u8]) -> Result<String, String> {
    let groups = i16::from_be_bytes(take(&mut bytes)?);
    let weight = i16::from_be_bytes(take(&mut bytes)?);
    let sign = u16::from_be_bytes(take(&mut bytes)?);
    let scale = usize::from(u16::from_be_bytes(take(&mut bytes)?));
    let sign = match sign {
        0 => "",
        0x4000 => "-",
        _ => return Err("it is no finite number".to_owned()),
    };
    let mut digits = Vec::new();
    for _ in 0..groups {
        digits.push(i16::from_be_bytes(take(&mut bytes)?));
    }
    let group = |at: i32| usize::try_from(at).ok().and_then(|at| digits.get(at)).copied().unwrap_or(0);
    let whole: String = (0..=i32::from(weight).max(0))
        .map(|at| {
            let shift = i32::from(weight).min(0);
            format!("{:04}", group(at + shift))
        })
        .collect();
    let fraction: String = (0..i32::try_from(scale.div_ceil(4)).unwrap_or(0))
        .map(|at| format!("{:04}", group(i32::from(weight) + 1 + at)))
        .collect();
    let whole = if weight < 0 { "0" } else { whole.trim_start_matches('0') };
    let whole = if whole.is_empty() { "0" } else { whole };
    Ok(match scale {
        0 => format!("{sign}{whole}"),
        _ => format!("{sign}{whole}.{}", &fraction[..scale]),
    })
}

#[cfg(test)]
mod tests {
    use super::numeric;

    fn read(groups: &[i16], weight: i16, sign: u16, scale: u16) -> String {
        let mut bytes = Vec::new();
        bytes.extend(i16::try_from(groups.len()).unwrap().to_be_bytes());
        bytes.extend(weight.to_be_bytes());
        bytes.extend(sign.to_be_bytes());
        bytes.extend(scale.to_be_bytes());
        groups.iter().for_each(|group| bytes.extend(group.to_be_bytes()));
        numeric(&bytes).unwrap()
    }

    #[test]
    fn numerics_are_groups_of_four_digits() {
        // As PostgreSQL 16 sends them for the numbers on the right.
        assert_eq!(read(&[12, 3400], 0, 0, 2), "12.34");
        assert_eq!(read(&[1, 2345, 6000], 1, 0x4000, 1), "-12345.6");
        assert_eq!(read(&[5], -2, 0, 8), "0.00000005");
        assert_eq!(read(&[500], -1, 0, 3), "0.050");
        assert_eq!(read(&[1], 2, 0, 0), "100000000");
        assert_eq!(read(&[], 0, 0, 2), "0.00");
    }
}
