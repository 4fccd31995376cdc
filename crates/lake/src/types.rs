//! Arrow's types by the names that SQL has for them: what DESCRIBE, SHOW CREATE and errors print.

use arrow::datatypes::DataType;
use lakemill_base::identifier;

/// The name that `CREATE TABLE` takes for a type.
#[must_use]
pub fn sql_type(data_type: &DataType) -> String {
    match data_type {
        DataType::Null => "NULL".to_owned(),
        DataType::Boolean => "BOOLEAN".to_owned(),
        DataType::Int8 => "TINYINT".to_owned(),
        DataType::Int16 => "SMALLINT".to_owned(),
        DataType::Int32 => "INT".to_owned(),
        DataType::Int64 => "BIGINT".to_owned(),
        DataType::UInt8 => "TINYINT UNSIGNED".to_owned(),
        DataType::UInt16 => "SMALLINT UNSIGNED".to_owned(),
        DataType::UInt32 => "INT UNSIGNED".to_owned(),
        DataType::UInt64 => "BIGINT UNSIGNED".to_owned(),
        DataType::Float16 | DataType::Float32 => "FLOAT".to_owned(),
        DataType::Float64 => "DOUBLE".to_owned(),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "VARCHAR".to_owned(),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            "BYTEA".to_owned()
        }
        DataType::Date32 | DataType::Date64 => "DATE".to_owned(),
        DataType::Time32(_) | DataType::Time64(_) => "TIME".to_owned(),
        DataType::Timestamp(_, None) => "TIMESTAMP".to_owned(),
        DataType::Timestamp(_, Some(_)) => "TIMESTAMP WITH TIME ZONE".to_owned(),
        DataType::Interval(_) | DataType::Duration(_) => "INTERVAL".to_owned(),
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale)
        | DataType::Decimal256(precision, scale) => format!("DECIMAL({precision}, {scale})"),
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::ListView(item)
        | DataType::LargeListView(item)
        | DataType::FixedSizeList(item, _) => format!("ARRAY<{}>", sql_type(item.data_type())),
        DataType::Struct(fields) => {
            let field = |name: &str, data_type| format!("{} {}", identifier(name), sql_type(data_type));
            let fields: Vec<String> = fields.iter().map(|part| field(part.name(), part.data_type())).collect();
            format!("STRUCT<{}>", fields.join(", "))
        }
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(pair) if pair.len() == 2 => {
                format!("MAP<{}, {}>", sql_type(pair[0].data_type()), sql_type(pair[1].data_type()))
            }
            _ => "MAP".to_owned(),
        },
        DataType::Dictionary(_, values) => sql_type(values),
        DataType::RunEndEncoded(_, values) => sql_type(values.data_type()),
        DataType::Union(..) => "UNION".to_owned(),
    }
}

/// Types that stand in texts of Arrow and DataFusion without arguments, and mean nothing else there.
const PLAIN_TYPES: &[&str] = &[
    "Boolean",
    "Int8",
    "Int16",
    "Int32",
    "Int64",
    "UInt8",
    "UInt16",
    "UInt32",
    "UInt64",
    "Float16",
    "Float32",
    "Float64",
    "Utf8",
    "LargeUtf8",
    "Utf8View",
    "LargeBinary",
    "BinaryView",
    "Date32",
    "Date64",
];

/// Types that have arguments in brackets.
const TYPES_WITH_ARGUMENTS: &[&str] = &[
    "Decimal32",
    "Decimal64",
    "Decimal128",
    "Decimal256",
    "Dictionary",
    "Duration",
    "FixedSizeBinary",
    "FixedSizeList",
    "Interval",
    "LargeList",
    "LargeListView",
    "List",
    "ListView",
    "Map",
    "RunEndEncoded",
    "Struct",
    "Time32",
    "Time64",
    "Timestamp",
];

/// The text of a library with Arrow's names of types turned into SQL's: `Utf8View` into `VARCHAR`.
#[must_use]
pub fn with_sql_types(text: &str) -> String {
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    let mut inside_a_word = false;
    while let Some(first) = rest.chars().next() {
        if !inside_a_word && let Some((length, name)) = leading_type(rest) {
            result.push_str(&name);
            rest = &rest[length..];
            continue;
        }
        inside_a_word = is_word(first);
        result.push(first);
        rest = &rest[first.len_utf8()..];
    }
    result
}

/// The length and the SQL name of the type that a text begins with.
fn leading_type(text: &str) -> Option<(usize, String)> {
    let end = text.find(|c: char| !is_word(c)).unwrap_or(text.len());
    let (word, after) = text.split_at(end);
    if PLAIN_TYPES.contains(&word) {
        let data_type: DataType = word.parse().ok()?;
        return Some((end, sql_type(&data_type)));
    }
    if !TYPES_WITH_ARGUMENTS.contains(&word) || !after.starts_with('(') {
        return None;
    }
    let mut depth = 0_usize;
    let close = after.find(|c: char| {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        depth == 0
    })?;
    let whole = &text[..=end + close];
    let data_type: DataType = whole.parse().ok()?;
    Some((whole.len(), sql_type(&data_type)))
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::datatypes::{DataType, Field};

    use super::{sql_type, with_sql_types};

    #[test]
    fn names_nested_types() {
        let item = DataType::Struct(vec![Field::new("Big a", DataType::UInt64, true)].into());
        let list = DataType::List(Arc::new(Field::new("item", item, true)));
        assert_eq!(sql_type(&list), "ARRAY<STRUCT<\"Big a\" BIGINT UNSIGNED>>");
        assert_eq!(sql_type(&DataType::Dictionary(Box::new(DataType::Int8), Box::new(DataType::Utf8View))), "VARCHAR");
    }

    #[test]
    fn texts_of_libraries_speak_sql() {
        for (given, expected) in [
            ("Cannot cast string 'x' to value of Int32 type", "Cannot cast string 'x' to value of INT type"),
            ("coerce Int64 + Utf8View", "coerce BIGINT + VARCHAR"),
            ("no List(Int64) or Timestamp(ns)", "no ARRAY<BIGINT> or TIMESTAMP"),
            ("Decimal128(10, 2)(x)", "DECIMAL(10, 2)(x)"),
            ("my_Int32 and Int32x stay, List of things too (", "my_Int32 and Int32x stay, List of things too ("),
            ("Struct(unknown", "Struct(unknown"),
            ("größer als Float64", "größer als DOUBLE"),
        ] {
            assert_eq!(with_sql_types(given), expected);
        }
    }
}
