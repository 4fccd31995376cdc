//! Option values as they were written in SQL.

use std::fmt;

use lakemill_base::text_literal;

/// The value of an option or of a constant argument.
#[derive(Clone, Debug, PartialEq)]
pub enum OptionValue {
    /// `TRUE` or `FALSE`.
    Bool(bool),
    /// A number without a decimal point.
    Int(i64),
    /// Any other number.
    Float(f64),
    /// A quoted text.
    String(String),
    /// `[a, b]`.
    Array(Vec<OptionValue>),
    /// `STRUCT(a AS x, b AS y)`; fields without a name have an empty one.
    Struct(Vec<(String, OptionValue)>),
}

impl OptionValue {
    /// The kind of value, as error texts name it.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Bool(_) => "BOOL",
            Self::Int(_) => "INT64",
            Self::Float(_) => "FLOAT64",
            Self::String(_) => "STRING",
            Self::Array(_) => "ARRAY",
            Self::Struct(_) => "STRUCT",
        }
    }

    /// The value as a number, if it is one.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Int(value) => Some(*value as f64),
            Self::Float(value) => Some(*value),
            _ => None,
        }
    }

    /// The value as a text, if it is one.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(value) => Some(value),
            _ => None,
        }
    }
}

impl fmt::Display for OptionValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool(value) => f.write_str(if *value { "TRUE" } else { "FALSE" }),
            Self::Int(value) => write!(f, "{value}"),
            Self::Float(value) => write!(f, "{value:?}"),
            Self::String(value) => f.write_str(&text_literal(value)),
            Self::Array(values) => {
                f.write_str("[")?;
                for (index, value) in values.iter().enumerate() {
                    write!(f, "{}{value}", if index == 0 { "" } else { ", " })?;
                }
                f.write_str("]")
            }
            Self::Struct(fields) => {
                f.write_str("STRUCT(")?;
                for (index, (name, value)) in fields.iter().enumerate() {
                    write!(f, "{}{value}", if index == 0 { "" } else { ", " })?;
                    if !name.is_empty() {
                        write!(f, " AS {name}")?;
                    }
                }
                f.write_str(")")
            }
        }
    }
}
