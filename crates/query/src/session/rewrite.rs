//! Names in FROM that are not names of the lake: versions, files and reading functions become names of pins.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use lakemill_lake::{ExternalEntry, TableName, external};
use sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, FunctionArgOperator, Ident, ObjectName, TableAlias, TableFactor, TableVersion,
    Value, VisitMut, VisitorMut,
};

use crate::dialect::{file_name, normalized, read_function_file, read_function_format};
use crate::error::{Error, Result};

/// Namespaces of pins that no namespace of a lake can have: those hold no colon.
pub(super) const FILES: &str = "lakemill:files";
const VERSIONS: &str = "lakemill:versions";

/// The pin of a file named in FROM.
pub(super) fn pinned_file(file: &str) -> TableName {
    TableName::new(FILES, file)
}

/// The pin of a table at a version.
pub(super) fn pinned_version(name: &ObjectName, version: &TableVersion) -> TableName {
    TableName::new(VERSIONS, format!("{name} {version}"))
}

/// Replaces versioned tables, files and reading functions by their pins, under an alias that keeps expressions
/// such as `t.a` meaning what they did.
pub(super) fn pin_names(syntax: &mut impl VisitMut) {
    let _ = syntax.visit(&mut Pinning);
}

struct Pinning;

impl VisitorMut for Pinning {
    type Break = ();

    fn post_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        let TableFactor::Table { name, alias, args, version, .. } = factor else { return ControlFlow::Continue(()) };
        let (pin, shown) = if let Some(arguments) = args.as_ref().filter(|_| read_function_format(name).is_some()) {
            let Ok(function) = FileFunction::parse(name, &arguments.args) else { return ControlFlow::Continue(()) };
            (function.pinned_name(), stem(&function.entry.location))
        } else if let Some(version) = version {
            let last = name.0.last().and_then(|part| part.as_ident()).cloned();
            (pinned_version(name, version), last.unwrap_or_else(|| Ident::new("t")))
        } else if let Some(file) = file_name(name) {
            (pinned_file(file), stem(file))
        } else {
            return ControlFlow::Continue(());
        };
        *args = None;
        *version = None;
        *name = ObjectName::from(vec![Ident::with_quote('"', pin.namespace), Ident::with_quote('"', pin.table)]);
        alias.get_or_insert_with(|| TableAlias { explicit: true, name: shown, columns: Vec::new(), at: None });
        ControlFlow::Continue(())
    }
}

/// `flights` of `data/flights.csv.gz` and of `data/flights/`.
fn stem(file: &str) -> Ident {
    let file = file.trim_end_matches('/');
    let name = file.rsplit('/').next().unwrap_or(file);
    let stem = name.split('.').next().filter(|stem| !stem.is_empty()).unwrap_or(name);
    Ident::with_quote('"', stem)
}

/// `read_csv('data/*.csv', header => true)`
pub(super) struct FileFunction {
    /// The files and how to read them.
    pub(super) entry: ExternalEntry,
}

impl FileFunction {
    /// Takes a reading function apart.
    pub(super) fn parse(name: &ObjectName, arguments: &[FunctionArg]) -> Result<Self> {
        let format = read_function_format(name).unwrap_or_default();
        let wrong = || {
            Error::invalid(format!(
                "read_{format} takes a path and options by name, as in read_{format}('data/*.{format}', option => 'value')"
            ))
        };
        let file = read_function_file(arguments).ok_or_else(wrong)?;
        let mut options = BTreeMap::new();
        for argument in &arguments[1..] {
            let FunctionArg::Named { name, arg: FunctionArgExpr::Expr(value), operator } = argument else {
                return Err(wrong());
            };
            if !matches!(operator, FunctionArgOperator::RightArrow | FunctionArgOperator::Assignment) {
                return Err(wrong());
            }
            options.insert(normalized(name), option_text(value).ok_or_else(wrong)?);
        }
        let mut entry = external::entry_for_path(file).unwrap_or_else(|_| unknown_extension(file));
        entry.format = format;
        entry.options.extend(options);
        Ok(Self { entry })
    }

    /// The pin: equal calls share one.
    pub(super) fn pinned_name(&self) -> TableName {
        let ExternalEntry { format, location, options, .. } = &self.entry;
        TableName::new(FILES, format!("{location} {format} {options:?}"))
    }
}

fn unknown_extension(file: &str) -> ExternalEntry {
    ExternalEntry {
        name: pinned_file(file),
        format: String::new(),
        location: file.to_owned(),
        options: BTreeMap::new(),
        schema: None,
        partition_columns: Vec::new(),
        created_ms: 0,
    }
}

fn option_text(value: &Expr) -> Option<String> {
    let Expr::Value(value) = value else { return None };
    match &value.value {
        Value::SingleQuotedString(text) | Value::EscapedStringLiteral(text) => Some(text.clone()),
        Value::Number(number, _) => Some(number.clone()),
        Value::Boolean(flag) => Some(flag.to_string()),
        _ => None,
    }
}
