//! Values as text: Arrow reads most as SQL's casts do; bytes, arrays and intervals have forms of PostgreSQL's own.

use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;

/// Digits of the widest number.
const DECIMAL_DIGITS_MAX: usize = 38;

/// A value of a type; what is wrong with it otherwise. The result may be one that casts to the type.
pub(super) fn value(wanted: &DataType, text: &str) -> Result<ScalarValue, String> {
    match wanted {
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => bytes(text),
        DataType::Decimal128(..) => decimal(text.trim()),
        DataType::List(field) | DataType::LargeList(field) | DataType::FixedSizeList(field, _) => {
            let element = field.data_type();
            let one = |part: Option<String>| match part {
                None => ScalarValue::try_from(element).map_err(|error| error.to_string()),
                Some(part) => value(element, &part)?.cast_to(element).map_err(|error| error.to_string()),
            };
            let values = elements(text)?.into_iter().map(one).collect::<Result<Vec<_>, _>>()?;
            Ok(ScalarValue::List(ScalarValue::new_list_nullable(&values, element)))
        }
        DataType::Interval(_) => Ok(ScalarValue::from(interval(text))),
        // JDBC sends a date with the zone that it was made in.
        DataType::Date32 | DataType::Date64 => {
            Ok(ScalarValue::from(text.trim().split_once(" +").map_or(text.trim(), |(date, _)| date)))
        }
        _ => Ok(ScalarValue::from(text)),
    }
}

/// PostgreSQL's `1 day, -2:03:04.5` as `1 day -2 hours -3 minutes -4.5 seconds`.
fn interval(text: &str) -> String {
    let part = |part: &str| {
        let (sign, clock) = part.strip_prefix('-').map_or(("", part), |clock| ("-", clock));
        let mut clock = clock.trim_start_matches('+').splitn(3, ':');
        match (clock.next(), clock.next(), clock.next()) {
            (Some(hours), Some(minutes), seconds) => {
                let seconds = seconds.unwrap_or("0");
                format!("{sign}{hours} hours {sign}{minutes} minutes {sign}{seconds} seconds")
            }
            _ => part.to_owned(),
        }
    };
    text.replace(',', "").split_whitespace().map(part).collect::<Vec<_>>().join(" ")
}

/// A number with the digits that it has.
pub(super) fn decimal(text: &str) -> Result<ScalarValue, String> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let whole = whole.trim_start_matches('0');
    let all = [whole, fraction].concat();
    let plain = all.bytes().all(|byte| byte.is_ascii_digit()) && !digits.is_empty() && digits != ".";
    if !plain {
        // 1e5 and the like are for the cast to read.
        return Ok(ScalarValue::from(text));
    }
    if all.len() > DECIMAL_DIGITS_MAX {
        return Err(format!("it has {} digits; {DECIMAL_DIGITS_MAX} are the most", all.len()));
    }
    let unscaled =
        if all.is_empty() { 0 } else { format!("{sign}{all}").parse::<i128>().map_err(|e| e.to_string())? };
    let precision = u8::try_from(all.len().max(1)).unwrap_or(u8::MAX);
    let scale = i8::try_from(fraction.len()).unwrap_or(i8::MAX);
    Ok(ScalarValue::Decimal128(Some(unscaled), precision, scale))
}

/// `\x` and two digits a byte, or the older form with `\\` and `\ooo`.
fn bytes(text: &str) -> Result<ScalarValue, String> {
    let wrong = || format!("'{text}' is not written as \\x and two digits a byte");
    let Some(digits) = text.strip_prefix("\\x") else {
        return match text.contains('\\') {
            true => Err(wrong()),
            false => Ok(ScalarValue::Binary(Some(text.as_bytes().to_vec()))),
        };
    };
    let byte = |pair: &[u8]| {
        let pair = std::str::from_utf8(pair).ok().filter(|pair| pair.len() == 2)?;
        u8::from_str_radix(pair, 16).ok()
    };
    let bytes = digits.as_bytes().chunks(2).map(byte).collect::<Option<Vec<_>>>();
    bytes.map(|bytes| ScalarValue::Binary(Some(bytes))).ok_or_else(wrong)
}

/// `{1,NULL,"a \"b\""}`, of one dimension.
fn elements(text: &str) -> Result<Vec<Option<String>>, String> {
    let wrong = || format!("'{text}' is not written as {{1,2}}");
    let inner = text.trim().strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).ok_or_else(wrong)?;
    if inner.trim().is_empty() {
        return Ok(Vec::new());
    }
    let mut elements = Vec::new();
    let (mut part, mut quoted, mut within) = (String::new(), false, false);
    let mut characters = inner.chars();
    let done = |part: &mut String, quoted: &mut bool| {
        let part = std::mem::take(part);
        match std::mem::take(quoted) {
            true => Some(part),
            false => Some(part.trim().to_owned()).filter(|part| !part.eq_ignore_ascii_case("null")),
        }
    };
    while let Some(character) = characters.next() {
        match character {
            '\\' => part.push(characters.next().ok_or_else(wrong)?),
            '"' => (quoted, within) = (true, !within),
            ',' if !within => elements.push(done(&mut part, &mut quoted)),
            '{' | '}' if !within => return Err(format!("'{text}' has several dimensions; arrays have one")),
            other => part.push(other),
        }
    }
    elements.push(done(&mut part, &mut quoted));
    if within { Err(wrong()) } else { Ok(elements) }
}

#[cfg(test)]
mod tests {
    use datafusion::common::ScalarValue;

    use super::{bytes, decimal, elements, interval};

    #[test]
    fn arrays_have_quotes_and_nulls() {
        let texts = |text| elements(text).unwrap();
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(texts("{1,2}"), [some("1"), some("2")]);
        assert_eq!(texts("{}"), []);
        assert_eq!(texts(r#"{NULL,"NULL","a,\"b\\",c}"#), [None, some("NULL"), some("a,\"b\\"), some("c")]);
        assert!(elements("1,2").is_err() && elements("{{1},{2}}").is_err() && elements("{\"a}").is_err());
    }

    #[test]
    fn numbers_and_bytes_keep_what_they_come_with() {
        assert_eq!(decimal("-12.340").unwrap(), ScalarValue::Decimal128(Some(-12_340), 5, 3));
        assert_eq!(decimal("0.05").unwrap(), ScalarValue::Decimal128(Some(5), 2, 2));
        assert_eq!(decimal("1e5").unwrap(), ScalarValue::from("1e5"));
        assert!(decimal(&"9".repeat(39)).is_err());
        assert_eq!(bytes("\\x00fF").unwrap(), ScalarValue::Binary(Some(vec![0, 255])));
        assert_eq!(interval("1 day, -2:03:04.5"), "1 day -2 hours -03 minutes -04.5 seconds");
        assert!(bytes("\\x0").is_err() && bytes("\\xzz").is_err());
    }
}
