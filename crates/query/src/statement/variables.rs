//! `SET name = value` and `RESET name`: the session's variables.

use datafusion::sql::parser::{ResetStatement, Statement as DFStatement};
use sqlparser::ast::{Ident, ObjectName, Set, Statement};

use crate::error::{Error, Result};
use crate::outcome::{Outcome, Summary};
use crate::session::StatementScope;

/// Short names of the variables that people change; all of DataFusion's are known by their full names.
const SHORT_NAMES: &[(&str, &str)] = &[
    ("batch_size", "datafusion.execution.batch_size"),
    ("memory_limit", "datafusion.runtime.memory_limit"),
    ("temp_directory", "datafusion.runtime.temp_directory"),
    ("threads", "datafusion.execution.target_partitions"),
];

/// What SET and SHOW suggest.
pub(crate) const SETTINGS: &[&str] = &["batch_size", "memory_limit", "temp_directory", "threads", "timezone"];

pub(super) async fn set(scope: &StatementScope, set: &Set) -> Result<Outcome> {
    let mut set = set.clone();
    let mut shown = "the time zone".to_owned();
    if let Set::SingleAssignment { variable, values, .. } = &mut set {
        shown = variable.to_string();
        if variable.to_string().eq_ignore_ascii_case("search_path")
            || variable.to_string().eq_ignore_ascii_case("schema")
        {
            return Err(Error::invalid("the default namespace is set by USE: USE name"));
        }
        *variable = full_name(variable);
        if values.is_empty() {
            return Err(Error::invalid(format!("SET {shown} needs a value")));
        }
    }
    run(scope, DFStatement::Statement(Box::new(Statement::Set(set)))).await?;
    Ok(Outcome::Done(Summary::new(format!("set {shown}"))))
}

pub(super) async fn reset(scope: &StatementScope, reset: &ResetStatement) -> Result<Outcome> {
    let ResetStatement::Variable(variable) = reset;
    let full = ResetStatement::Variable(full_name(variable));
    run(scope, DFStatement::Reset(full)).await?;
    Ok(Outcome::Done(Summary::new(format!("reset {variable}"))))
}

async fn run(scope: &StatementScope, statement: DFStatement) -> Result<()> {
    let plan = scope.plan(statement).await?;
    scope.session().context().execute_logical_plan(plan).await.map_err(|error| scope.error(error))?;
    Ok(())
}

fn full_name(variable: &ObjectName) -> ObjectName {
    let given = variable.to_string().to_lowercase();
    match SHORT_NAMES.iter().find(|(short, _)| *short == given) {
        Some((_, full)) => ObjectName::from(full.split('.').map(Ident::new).collect::<Vec<_>>()),
        None => variable.clone(),
    }
}
