//! `SET name = value`, `RESET name` and `SHOW name`: the session's variables.

use datafusion::sql::parser::{ResetStatement, Statement as DFStatement};
use lakemill_base::{did_you_mean, text_literal, unknown};
use sqlparser::ast::{Expr, Ident, ObjectName, Set, Statement, Value};

use super::query;
use crate::dialect::parse_query_text;
use crate::error::{Error, Result};
use crate::outcome::{Outcome, Summary};
use crate::session::{StatementScope, ident_position, parse_size, position_of, spanned_position};

/// Short names of the variables that people change; all of DataFusion's are known by their full names.
const SHORT_NAMES: &[(&str, &str)] = &[
    ("batch_size", "datafusion.execution.batch_size"),
    ("memory_limit", MEMORY_LIMIT),
    ("temp_directory", "datafusion.runtime.temp_directory"),
    ("threads", "datafusion.execution.target_partitions"),
];

const MEMORY_LIMIT: &str = "datafusion.runtime.memory_limit";

/// What SET and SHOW suggest.
pub(crate) const SETTINGS: &[&str] = &["batch_size", "memory_limit", "temp_directory", "threads", "timezone"];

/// What else SHOW shows.
const LISTS: &[&str] = &[
    "ALL",
    "AUDIT",
    "COLUMNS",
    "CREATE",
    "FUNCTIONS",
    "GRANTS",
    "MODELS",
    "NAMESPACES",
    "ROLES",
    "RUNS",
    "TABLES",
    "TOKENS",
    "USERS",
];

/// Variables of DataFusion's that a session on a lake needs as they are, with what to do instead.
const FIXED: &[(&str, &str)] = &[
    ("datafusion.catalog.create_default_catalog_and_schema", "the lake is the catalog"),
    ("datafusion.catalog.default_catalog", "the lake is the catalog"),
    ("datafusion.catalog.default_schema", "the default namespace is set by USE: USE name"),
    ("datafusion.catalog.information_schema", "information_schema is always there"),
    ("datafusion.sql_parser.dialect", "there is one dialect"),
    (
        "datafusion.sql_parser.enable_ident_normalization",
        "names without quotes are in lower case; write \"Name\" for others",
    ),
];

pub(super) async fn set(scope: &StatementScope, set: &Set) -> Result<Outcome> {
    let mut set = set.clone();
    let mut shown = "the time zone".to_owned();
    if let Set::SingleAssignment { variable, values, .. } = &mut set {
        shown = variable.to_string();
        let full = changeable(scope, variable)?;
        let Some(value) = values.first() else { return Err(Error::invalid(format!("SET {shown} needs a value"))) };
        if full.to_string().eq_ignore_ascii_case(MEMORY_LIMIT) {
            let bytes = parse_size(&text_of(value)).map_err(|error| scope.locate(error, spanned_position(value)))?;
            scope.session().set_memory_limit(Some(bytes))?;
            return Ok(Outcome::Done(Summary::new(format!("set {shown}"))));
        }
        *variable = full;
    }
    run(scope, DFStatement::Statement(Box::new(Statement::Set(set)))).await?;
    Ok(Outcome::Done(Summary::new(format!("set {shown}"))))
}

pub(super) async fn reset(scope: &StatementScope, reset: &ResetStatement) -> Result<Outcome> {
    let ResetStatement::Variable(variable) = reset;
    let full = changeable(scope, variable)?;
    if full.to_string().eq_ignore_ascii_case(MEMORY_LIMIT) {
        scope.session().set_memory_limit(None)?;
    } else {
        run(scope, DFStatement::Reset(ResetStatement::Variable(full))).await?;
    }
    Ok(Outcome::Done(Summary::new(format!("reset {variable}"))))
}

/// `SHOW name [VERBOSE]` and `SHOW ALL [VERBOSE]`
pub(super) async fn show(scope: &StatementScope, variable: &[Ident]) -> Result<Outcome> {
    let is_verbose = |ident: &Ident| ident.value.eq_ignore_ascii_case("verbose");
    let (name, verbose) = match variable {
        [name @ .., last] if !name.is_empty() && is_verbose(last) => (name, Some(last.clone())),
        name => (name, None),
    };
    let written = ObjectName::from(name.to_vec());
    let full = full_name(&written);
    let known = |full: &str| {
        full.starts_with("datafusion.runtime.")
            || scope.state().config().options().entries().iter().any(|entry| entry.key == full)
    };
    let special = ["all", "timezone", "time.zone"];
    let lower = full.to_string().to_lowercase();
    if !special.contains(&lower.as_str()) && !known(&lower) {
        let given = written.to_string();
        let near = |known: &[&'static str]| did_you_mean(&given, known.iter().copied());
        let message = match (near(SETTINGS), near(LISTS)) {
            (None, Some(list)) => format!("nothing to show is called '{given}'; did you mean SHOW {list}?"),
            _ => unknown("setting", &given, SETTINGS.iter().copied()),
        };
        return Err(scope.locate(Error::not_found(message), name.first().and_then(ident_position)));
    }
    let idents = full.0.iter().filter_map(|part| part.as_ident()).cloned();
    query::execute(scope, &Statement::ShowVariable { variable: idents.chain(verbose).collect() }).await
}

/// `SHOW ALL LIKE 'pattern'`
pub(super) async fn show_like(scope: &StatementScope, pattern: &str) -> Result<Outcome> {
    let pattern = text_literal(pattern);
    let settings = parse_query_text(&format!(
        "SELECT name, value FROM information_schema.df_settings WHERE name LIKE {pattern} ORDER BY name"
    ))?;
    query::execute(scope, &Statement::Query(settings)).await
}

async fn run(scope: &StatementScope, statement: DFStatement) -> Result<()> {
    let plan = scope.plan(statement).await?;
    scope.session().context().execute_logical_plan(plan).await.map_err(|error| scope.error(error))?;
    Ok(())
}

/// The full name of a variable, if it is one that may change.
fn changeable(scope: &StatementScope, variable: &ObjectName) -> Result<ObjectName> {
    let full = full_name(variable);
    let name = full.to_string().to_lowercase();
    let is_machine = name.starts_with("datafusion.runtime.") || name == "datafusion.execution.target_partitions";
    let instead = match name.as_str() {
        _ if is_machine && scope.session().options().confinement.is_some() => {
            Some("the server's memory, threads and disk are shared by its clients, and set when it starts")
        }
        "search_path" | "schema" => Some("the default namespace is set by USE: USE name"),
        name => FIXED.iter().find(|(fixed, _)| *fixed == name).map(|(_, instead)| *instead),
    };
    match instead {
        Some(instead) => {
            let error = Error::invalid(format!("'{variable}' cannot be changed: {instead}"));
            Err(scope.locate(error, position_of(variable)))
        }
        None => Ok(full),
    }
}

fn full_name(variable: &ObjectName) -> ObjectName {
    let given = variable.to_string().to_lowercase();
    match SHORT_NAMES.iter().find(|(short, _)| *short == given) {
        Some((_, full)) => ObjectName::from(full.split('.').map(Ident::new).collect::<Vec<_>>()),
        None => variable.clone(),
    }
}

/// A value without its quotes.
fn text_of(value: &Expr) -> String {
    match value {
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text) | Value::DoubleQuotedString(text) => text.clone(),
            other => other.to_string(),
        },
        other => other.to_string(),
    }
}
