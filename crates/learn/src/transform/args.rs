//! Reading the arguments of a call.

use arrow::datatypes::{DataType, FieldRef, Fields};

use crate::{Error, OptionValue, Result};

/// The arguments of a call of `function`.
pub(super) struct Args<'a> {
    function: &'static str,
    columns: &'a [DataType],
    constants: &'a [OptionValue],
}

impl<'a> Args<'a> {
    /// Checks that there is one column and that no more than `names` constants follow.
    pub(super) fn new(
        function: &'static str,
        columns: &'a [DataType],
        constants: &'a [OptionValue],
        names: &[&str],
    ) -> Result<Self> {
        if columns.len() != 1 {
            let text = format!("{function} takes one column as its first argument; {} are given", columns.len());
            return Err(Error::invalid(text));
        }
        if constants.len() > names.len() {
            let list = if names.is_empty() { "nothing".to_owned() } else { names.join(", ") };
            let text =
                format!("{function} takes {list} after the column; {} arguments are given there", constants.len());
            return Err(Error::invalid(text));
        }
        Ok(Self { function, columns, constants })
    }

    /// Checks that the column holds numbers.
    pub(super) fn number_column(&self) -> Result<()> {
        if self.columns[0].is_numeric() {
            return Ok(());
        }
        Err(self.wrong_column("a number"))
    }

    /// Checks that the column holds texts, or values that read as such.
    pub(super) fn category_column(&self) -> Result<()> {
        if is_category(&self.columns[0]) { Ok(()) } else { Err(self.wrong_column("a STRING")) }
    }

    /// The fields of a struct column.
    pub(super) fn struct_column(&self, wanted: &str, accept: fn(&DataType) -> bool) -> Result<Fields> {
        let DataType::Struct(fields) = &self.columns[0] else {
            return Err(self.wrong_column(wanted));
        };
        if fields.is_empty() || fields.len() > STRUCT_FIELDS_MAX {
            let text = format!("{} takes 1 to {STRUCT_FIELDS_MAX} fields; {} are given", self.function, fields.len());
            return Err(Error::invalid(text));
        }
        let unnamed = |field: &FieldRef| field.name().is_empty();
        let repeated = |at: usize, field: &FieldRef| fields[..at].iter().any(|other| other.name() == field.name());
        if let Some((_, field)) = fields.iter().enumerate().find(|(at, field)| unnamed(field) || repeated(*at, field)) {
            let text = format!(
                "{} needs fields with names of their own, as STRUCT(x AS a, y AS b); '{}' is not",
                self.function,
                field.name()
            );
            return Err(Error::invalid(text));
        }
        if let Some(field) = fields.iter().find(|field| !accept(field.data_type())) {
            let text = format!(
                "{} takes {wanted}; the field '{}' has type {}",
                self.function,
                field.name(),
                field.data_type()
            );
            return Err(Error::invalid(text));
        }
        Ok(fields.clone())
    }

    pub(super) fn column(&self) -> &DataType {
        &self.columns[0]
    }

    pub(super) fn wrong_column(&self, wanted: &str) -> Error {
        Error::invalid(format!("{} takes {wanted}; the column has type {} (CAST it)", self.function, self.columns[0]))
    }

    /// The constant number `at`, if it is given.
    pub(super) fn constant(&self, at: usize) -> Option<&'a OptionValue> {
        self.constants.get(at)
    }

    /// A whole number within `range`.
    pub(super) fn int(
        &self,
        at: usize,
        name: &str,
        default: Option<i64>,
        range: std::ops::RangeInclusive<i64>,
    ) -> Result<i64> {
        let wanted = || match *range.end() {
            i64::MAX => format!("a whole number of at least {}", range.start()),
            end => format!("a whole number from {} to {end}", range.start()),
        };
        match (self.constant(at), default) {
            (Some(OptionValue::Int(value)), _) if range.contains(value) => Ok(*value),
            (Some(value), _) => Err(self.wrong(name, &wanted(), value)),
            (None, Some(default)) => Ok(default),
            (None, None) => Err(Error::invalid(format!("{} needs {name}, {}", self.function, wanted()))),
        }
    }

    /// `TRUE` or `FALSE`.
    pub(super) fn bool(&self, at: usize, name: &str, default: bool) -> Result<bool> {
        match self.constant(at) {
            None => Ok(default),
            Some(OptionValue::Bool(value)) => Ok(*value),
            Some(value) => Err(self.wrong(name, "TRUE or FALSE", value)),
        }
    }

    /// One of `words`, in any case; the first is the default where `required` is not set.
    pub(super) fn word(&self, at: usize, name: &str, words: &[&'static str], required: bool) -> Result<&'static str> {
        let wanted = || words.iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(", ");
        match self.constant(at) {
            None if required => Err(Error::invalid(format!("{} needs {name}, one of {}", self.function, wanted()))),
            None => Ok(words.first().copied().unwrap_or_default()),
            Some(value) => {
                let given = value.as_str().map(str::to_lowercase);
                let found = words.iter().find(|word| given.as_deref() == Some(**word)).copied();
                found.ok_or_else(|| self.wrong(name, &format!("one of {}", wanted()), value))
            }
        }
    }

    pub(super) fn wrong(&self, name: &str, wanted: &str, given: &OptionValue) -> Error {
        Error::invalid(format!("{name} of {} must be {wanted}; given: {given}", self.function))
    }
}

/// BigQuery ML's limit for structs of features.
const STRUCT_FIELDS_MAX: usize = 10;

/// Whether a column is read as categories.
pub(super) fn is_category(data_type: &DataType) -> bool {
    match data_type {
        DataType::Dictionary(_, values) => is_category(values),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Boolean => true,
        DataType::Date32 | DataType::Date64 => true,
        other => other.is_integer(),
    }
}
