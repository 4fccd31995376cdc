//! Checked names of tables and models.

use std::fmt;

use lakemill_base::{check_identifier, identifier, quoted_identifier};

use crate::error::{Error, Result};

/// The namespace of a name that gives none.
pub const DEFAULT_NAMESPACE: &str = "main";

/// The name of a table, view or external table: `namespace.table`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TableName {
    /// The namespace (SQL schema).
    pub namespace: String,
    /// The name within the namespace.
    pub table: String,
}

/// The name of a model: `namespace.model`. Models and tables have separate names.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ModelName {
    /// The namespace (SQL schema).
    pub namespace: String,
    /// The name within the namespace.
    pub model: String,
}

impl TableName {
    /// A name in a namespace.
    pub fn new(namespace: impl Into<String>, table: impl Into<String>) -> Self {
        Self { namespace: namespace.into(), table: table.into() }
    }

    /// A name in the default namespace.
    pub fn bare(table: impl Into<String>) -> Self {
        Self::new(DEFAULT_NAMESPACE, table)
    }

    /// The full name in quotes, as a statement takes it whatever is in it.
    pub fn quoted(&self) -> String {
        format!("{}.{}", quoted_identifier(&self.namespace), quoted_identifier(&self.table))
    }

    pub(crate) fn check(&self) -> Result<()> {
        check_identifier("namespace", &self.namespace).map_err(Error::invalid)?;
        check_identifier("table", &self.table).map_err(Error::invalid)
    }
}

impl ModelName {
    /// A name in a namespace.
    pub fn new(namespace: impl Into<String>, model: impl Into<String>) -> Self {
        Self { namespace: namespace.into(), model: model.into() }
    }

    /// A name in the default namespace.
    pub fn bare(model: impl Into<String>) -> Self {
        Self::new(DEFAULT_NAMESPACE, model)
    }

    pub(crate) fn check(&self) -> Result<()> {
        check_identifier("namespace", &self.namespace).map_err(Error::invalid)?;
        check_identifier("model", &self.model).map_err(Error::invalid)
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        display(f, &self.namespace, &self.table)
    }
}

impl fmt::Display for ModelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        display(f, &self.namespace, &self.model)
    }
}

/// Writes a name as SQL would need it: the default namespace is left out, odd characters are quoted.
fn display(f: &mut fmt::Formatter<'_>, namespace: &str, name: &str) -> fmt::Result {
    if namespace != DEFAULT_NAMESPACE {
        write!(f, "{}.", identifier(namespace))?;
    }
    f.write_str(&identifier(name))
}

#[cfg(test)]
mod tests {
    use super::TableName;

    #[test]
    fn shows_names_as_sql_needs_them() {
        assert_eq!(TableName::bare("flights").to_string(), "flights");
        assert_eq!(TableName::new("raw", "Flight Delays").to_string(), "raw.\"Flight Delays\"");
    }

    #[test]
    fn checks_both_parts() {
        assert!(TableName::new("..", "t").check().is_err());
        assert!(TableName::new("main", "a/b").check().is_err());
        assert!(TableName::new("main", "t").check().is_ok());
    }
}
