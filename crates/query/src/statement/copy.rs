//! `COPY {t | (query)} TO 'file' [STORED AS format] [PARTITIONED BY (..)] [OPTIONS (..)]`
//!
//! A file is replaced, as cp and DuckDB do; a folder that is not empty is refused, since old and new files would
//! mix, unless OPTIONS (overwrite true) says to empty it first.

use std::sync::Arc;

use datafusion::common::Column;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::dml::CopyTo;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, cast};
use datafusion::sql::parser::{CopyToStatement, Statement as DFStatement};
use futures::TryStreamExt;
use lakemill_base::ErrorKind;
use object_store::ObjectStoreExt;
use object_store::path::Path;
use sqlparser::ast::Value;
use url::Url;

use super::insert::count_of;
use super::query::collect;
use super::write::rows;
use crate::error::{Error, Result};
use crate::lineage::{ObjectRef, ObjectVersion};
use crate::outcome::{Outcome, Summary};
use crate::plain::plain_type;
use crate::session::StatementScope;

pub(super) async fn execute(scope: &StatementScope, copy: &CopyToStatement) -> Result<Outcome> {
    let mut copy = copy.clone();
    let overwrite = take_overwrite(&mut copy)?;
    refuse_encryption(&copy)?;
    let target = copy.target.clone();
    let place = || scope.statement().literal_after("TO");
    scope.check_location(&target).await.map_err(|error| scope.locate(error, place()))?;
    let statement = DFStatement::CopyTo(copy);
    let LogicalPlan::Copy(sink) = scope.plan(statement).await? else {
        return Err(Error::internal("a COPY did not plan as one"));
    };
    let sink = CopyTo { input: Arc::new(plain(&sink.input).map_err(|error| scope.error(error))?), ..sink };
    let is_folder = !sink.partition_by.is_empty() || target.ends_with('/') || !has_extension(&target);
    let ready = match is_folder {
        true => clear_folder(scope, &target, overwrite).await,
        false => make_parent(&target),
    };
    ready.map_err(|error| scope.locate(error, place()))?;
    let count = count_of(&collect(scope, &LogicalPlan::Copy(sink)).await?);
    scope.record_write(ObjectRef::file(&target), ObjectVersion::Fingerprint(format!("{count} rows")));
    Ok(Outcome::Done(Summary::new(format!("wrote {} to {target}", rows(count))).with_rows(count)))
}

/// The rows in the types that every reader knows: files that carry Arrow's schema would name views otherwise.
fn plain(input: &LogicalPlan) -> datafusion::error::Result<LogicalPlan> {
    let columns = input.schema().iter().map(|(qualifier, field)| {
        let column = Expr::Column(Column::from((qualifier, field)));
        let plain = plain_type(field.data_type());
        match plain == *field.data_type() {
            true => column,
            false => cast(column, plain).alias(field.name()),
        }
    });
    LogicalPlanBuilder::from(input.clone()).project(columns.collect::<Vec<_>>())?.build()
}

/// The options would be taken, and the file written for all to read.
fn refuse_encryption(copy: &CopyToStatement) -> Result<()> {
    match copy.options.iter().find(|(key, _)| key.to_lowercase().contains("crypto.")) {
        Some((key, _)) => Err(Error::invalid(format!(
            "option '{key}' is not supported: Parquet files are written without encryption"
        ))),
        None => Ok(()),
    }
}

fn take_overwrite(copy: &mut CopyToStatement) -> Result<bool> {
    let mut overwrite = false;
    let mut wrong = None;
    copy.options.retain(|(key, value)| {
        let ours = key.eq_ignore_ascii_case("overwrite");
        if ours {
            match value {
                Value::Boolean(flag) => overwrite = *flag,
                Value::SingleQuotedString(text) if text.eq_ignore_ascii_case("true") => overwrite = true,
                Value::SingleQuotedString(text) if text.eq_ignore_ascii_case("false") => {}
                other => wrong = Some(other.to_string()),
            }
        }
        !ours
    });
    match wrong {
        Some(value) => Err(Error::invalid(format!("option 'overwrite' is true or false, not {value}"))),
        None => Ok(overwrite),
    }
}

fn has_extension(target: &str) -> bool {
    target.rsplit('/').next().is_some_and(|name| name.contains('.'))
}

/// A local file's folder is made where it is missing; object stores have no folders.
fn make_parent(target: &str) -> Result<()> {
    if target.contains("://") {
        return Ok(());
    }
    match std::path::Path::new(target).parent() {
        Some(parent) if !parent.as_os_str().is_empty() => std::fs::create_dir_all(parent).map_err(|error| {
            Error::new(ErrorKind::Invalid, format!("cannot make the folder '{}': {error}", parent.display()))
        }),
        _ => Ok(()),
    }
}

async fn clear_folder(scope: &StatementScope, target: &str, overwrite: bool) -> Result<()> {
    let url = match Url::parse(target) {
        Ok(url) if target.contains("://") => url,
        _ => {
            std::fs::create_dir_all(target)
                .map_err(|error| Error::invalid(format!("cannot make the folder '{target}': {error}")))?;
            let folder = std::fs::canonicalize(target)
                .map_err(|error| Error::invalid(format!("cannot use the folder '{target}': {error}")))?;
            Url::from_directory_path(&folder)
                .map_err(|()| Error::invalid(format!("'{}' is not a folder", folder.display())))?
        }
    };
    let store_url = ObjectStoreUrl::parse(&url[..url::Position::BeforePath]).map_err(|error| scope.error(error))?;
    let store = scope.state().runtime_env().object_store(&store_url).map_err(|error| scope.error(error))?;
    let prefix = Path::from_url_path(url.path()).map_err(|error| Error::invalid(error.to_string()))?;
    let found: Vec<_> =
        store.list(Some(&prefix)).try_collect().await.map_err(datafusion::error::DataFusionError::from)?;
    if !found.is_empty() && !overwrite {
        return Err(Error::new(
            ErrorKind::Conflict,
            format!(
                "folder '{target}' holds {} files; choose another one or say OPTIONS (overwrite true)",
                found.len()
            ),
        ));
    }
    for object in found {
        store.delete(&object.location).await.map_err(datafusion::error::DataFusionError::from)?;
    }
    Ok(())
}
