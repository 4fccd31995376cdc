//! CREATE, ALTER and DROP VECTOR INDEX, and SHOW VECTOR INDEXES.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, UInt64Array};
use datafusion::catalog::TableProvider;
use datafusion::physical_plan::memory::MemoryStream;
use lakemill_base::{ErrorKind, unknown};
use lakemill_lake::{At, LakeTable, Privilege, Relation, Securable, TableName, VectorIndex, sql_type};
use lakemill_learn::OptionValue;
use sqlparser::ast::{Ident, ObjectName};

use super::build::{Built, Present, build};
use super::{Definition, FILE_ROWS_MIN};
use crate::dialect::{CreateVectorIndex, VectorIndexStatement, normalized};
use crate::lineage::{ObjectRef, ObjectVersion};
use crate::model::LocatedOption;
use crate::model::search::Distance;
use crate::model::search::relation::is_vector;
use crate::model::transform::position;
use crate::outcome::{Outcome, Summary};
use crate::session::{StatementScope, full_name, ident_position, position_of};
use crate::{Error, Result};

/// The one kind of index that there is.
const INDEX_TYPE: &str = "HNSW";

const OPTIONS: [&str; 4] = ["index_type", "distance_type", "connectivity", "ef_construction"];

/// Neighbours of a vector, as the paper has them for vectors of a few hundred elements.
const CONNECTIVITY: usize = 16;
const CONNECTIVITY_RANGE: std::ops::RangeInclusive<i64> = 2..=128;

const EF_CONSTRUCTION: usize = 128;
const EF_CONSTRUCTION_RANGE: std::ops::RangeInclusive<i64> = 8..=4096;

/// Executes a statement about indexes.
pub(crate) async fn execute(scope: &StatementScope, statement: &VectorIndexStatement) -> Result<Outcome> {
    match statement {
        VectorIndexStatement::Create(statement) => create(scope, statement).await,
        VectorIndexStatement::Rebuild { name, table, if_exists } => rebuild(scope, name, table, *if_exists).await,
        VectorIndexStatement::Drop { name, table, if_exists } => drop_index(scope, name, table, *if_exists).await,
        VectorIndexStatement::Show => show(scope).await,
    }
}

async fn create(scope: &StatementScope, statement: &CreateVectorIndex) -> Result<Outcome> {
    let definition = definition(&statement.options).map_err(|error| scope.shifted(error))?;
    let (name, column) = (normalized(&statement.name), normalized(&statement.column));
    let table = lake_table(scope, &statement.table).await?;
    check_column(&table, &column).map_err(|error| scope.locate(error, ident_position(&statement.column)))?;
    let known = scope.lake().indexes_of(&table).await?;
    let before = known.iter().find(|index| index.name == name);
    if before.is_some() && statement.if_not_exists {
        let message = format!("there is a vector index {name} on {} already; nothing to do", table.name());
        return Ok(Outcome::Done(Summary::new(message)));
    }
    let position = ident_position(&statement.name);
    if before.is_some() && !statement.or_replace {
        let message =
            format!("table {} has a vector index {name} already; use CREATE OR REPLACE or IF NOT EXISTS", table.name());
        return Err(scope.locate(Error::invalid(message), position));
    }
    let same = |index: &&VectorIndex| {
        index.name != name
            && index.column == column
            && serde_json::from_value(index.definition.clone())
                .is_ok_and(|of: Definition| of.distance == definition.distance)
    };
    if let Some(other) = known.iter().find(same) {
        let message = format!(
            "column '{column}' has a vector index for {} already, {}; drop it first",
            definition.distance.as_str(),
            other.name
        );
        return Err(scope.locate(Error::invalid(message), position));
    }
    let json = serde_json::to_value(&definition).map_err(|error| Error::internal(error.to_string()))?;
    let draft = scope.lake().draft_index(&table, &name, &column, json);
    let index = draft.map_err(|error| scope.locate(error.into(), position))?;
    let done = made(scope, &table, &index, before).await;
    let built = done.map_err(|error| scope.locate(error, position_of(&statement.table)))?;
    read_of(scope, &table);
    let message = format!("indexed {} of {} by {}", rows(built.rows), table.name(), index.name);
    Ok(Outcome::Done(summary(message, &table, built)))
}

/// Builds the segments first and makes the index known last.
async fn made(
    scope: &StatementScope,
    table: &LakeTable,
    index: &VectorIndex,
    before: Option<&VectorIndex>,
) -> Result<Built> {
    let done = async {
        let built = build(scope, table, index, &Present::Trusted(BTreeSet::new())).await?;
        scope.lake().save_index(index, before).await?;
        Ok(built)
    };
    match done.await {
        Ok(built) => Ok(built),
        Err(error) => {
            if let Err(left) = scope.lake().discard_index(index).await {
                tracing::warn!(error = %left, folder = index.folder, "what was built of an index stays until it is an orphan");
            }
            Err(error)
        }
    }
}

async fn rebuild(scope: &StatementScope, name: &Ident, table: &ObjectName, if_exists: bool) -> Result<Outcome> {
    let Some((table, index)) = known_index(scope, name, table, if_exists).await? else { return Ok(nothing(name)) };
    let present = Present::Checked(scope.lake().segments_of(&index).await?);
    let built = build(scope, &table, &index, &present).await;
    let built = built.map_err(|error| scope.locate(error, ident_position(name)))?;
    read_of(scope, &table);
    let message = match built.segments {
        0 => format!("vector index {} is complete; nothing to do", index.name),
        _ => format!("indexed {} more of {} by {}", rows(built.rows), table.name(), index.name),
    };
    Ok(Outcome::Done(summary(message, &table, built)))
}

async fn drop_index(scope: &StatementScope, name: &Ident, table: &ObjectName, if_exists: bool) -> Result<Outcome> {
    let Some((table, index)) = known_index(scope, name, table, if_exists).await? else { return Ok(nothing(name)) };
    scope.lake().drop_index(&index).await?;
    Ok(Outcome::Done(Summary::new(format!("dropped vector index {} of {}", index.name, table.name()))))
}

fn nothing(name: &Ident) -> Outcome {
    Outcome::Done(Summary::new(format!("there is no vector index {}; nothing to do", normalized(name))))
}

/// Indexes the data files that a table has got since, as far as that goes; gives what is left to do by hand.
pub(crate) async fn reindex(scope: &StatementScope, name: &TableName) -> Result<Vec<String>> {
    let Relation::Table(table) = scope.lake().resolve(name, At::Latest).await? else { return Ok(Vec::new()) };
    let mut left = Vec::new();
    for index in scope.lake().indexes_of(&table).await? {
        let done = async {
            let present = Present::Trusted(scope.lake().segments_of(&index).await?);
            build(scope, &table, &index, &present).await
        };
        if let Err(error) = done.await {
            tracing::warn!(%error, index = index.name, "a vector index is not complete");
            let why = error.message();
            left.push(format!("{}: ALTER VECTOR INDEX {0} ON {name} REBUILD is left to do, since {why}", index.name));
        }
    }
    Ok(left)
}

/// An index of a table, with the rows that it covers and all of them.
type Listed = (TableName, VectorIndex, Definition, u64, u64);

async fn show(scope: &StatementScope) -> Result<Outcome> {
    let rights = scope.rights().await?;
    let mut indexes = scope.lake().indexes().await?;
    indexes.retain(|(table, _)| rights.is_none_or(|rights| rights.allows(Privilege::Select, &Securable::table(table))));
    let mut listed = Vec::with_capacity(indexes.len());
    for (name, index) in indexes {
        // Dropped meanwhile.
        let Some(Relation::Table(table)) = scope.lake().find(&name, At::Latest).await? else { continue };
        let definition: Definition = serde_json::from_value(index.definition.clone())
            .map_err(|error| Error::internal(format!("vector index {} is damaged: {error}", index.name)))?;
        let segments = scope.lake().segments_of(&index).await?;
        let files = table.indexable_files()?.unwrap_or_default();
        let indexed = files.iter().filter(|file| segments.contains(&file.segment)).map(|file| file.rows as u64).sum();
        let total = table.row_count().unwrap_or_default().max(indexed);
        listed.push((name, index, definition, indexed, total));
    }
    let text = |value: &dyn Fn(&Listed) -> String| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(listed.iter().map(value)))
    };
    let number = |value: &dyn Fn(u64, u64) -> u64| -> ArrayRef {
        Arc::new(UInt64Array::from_iter_values(listed.iter().map(|(.., indexed, total)| value(*indexed, *total))))
    };
    let coverage =
        |indexed: u64, total: u64| (indexed * 100).checked_div(total).and_then(|part| i64::try_from(part).ok());
    let coverage: Int64Array = listed.iter().map(|(.., indexed, total)| coverage(*indexed, *total)).collect();
    let batch = RecordBatch::try_from_iter([
        ("namespace", text(&|(table, ..)| table.namespace.clone())),
        ("table", text(&|(table, ..)| table.table.clone())),
        ("name", text(&|(_, index, ..)| index.name.clone())),
        ("column", text(&|(_, index, ..)| index.column.clone())),
        ("index_type", text(&|_| INDEX_TYPE.to_owned())),
        ("distance_type", text(&|(_, _, definition, ..)| definition.distance.as_str().to_owned())),
        ("rows_indexed", number(&|indexed, _| indexed)),
        ("rows_not_indexed", number(&|indexed, total| total - indexed)),
        ("coverage_percentage", Arc::new(coverage) as _),
    ])?;
    let schema = batch.schema();
    Ok(Outcome::Rows(Box::pin(MemoryStream::try_new(vec![batch], schema, None)?)))
}

/// The index and its table; `None`: one of them is not there, and need not be.
async fn known_index(
    scope: &StatementScope,
    name: &Ident,
    table: &ObjectName,
    if_exists: bool,
) -> Result<Option<(Arc<LakeTable>, VectorIndex)>> {
    if if_exists && !scope.lake().has_relation(&scope.table_name(table)?).await? {
        return Ok(None);
    }
    let table = lake_table(scope, table).await?;
    match scope.lake().index_of(&table, &normalized(name)).await {
        Ok(index) => Ok(Some((table, index))),
        Err(error) if if_exists && error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(scope.locate(error.into(), ident_position(name))),
    }
}

async fn lake_table(scope: &StatementScope, object: &ObjectName) -> Result<Arc<LakeTable>> {
    let name = scope.table_name(object)?;
    let wrong = |what: &str| {
        let message = format!("'{name}' is {what}; a vector index is for tables of the lake");
        scope.locate(Error::invalid(message), position_of(object))
    };
    if scope.session().temporary().contains(&name) {
        return Err(wrong("temporary"));
    }
    let found = scope.lake().resolve(&name, At::Latest).await;
    match found.map_err(|error| scope.locate(error.into(), position_of(object)))? {
        Relation::Table(table) => Ok(table),
        Relation::View(_) => Err(wrong("a view")),
        Relation::External(_) => Err(wrong("an external table")),
    }
}

fn check_column(table: &LakeTable, column: &str) -> Result<()> {
    let schema = table.schema();
    let Ok(field) = schema.field_with_name(column) else {
        let known = schema.fields().iter().map(|field| field.name().as_str());
        return Err(Error::invalid(format!("table {}: {}", table.name(), unknown("column", column, known))));
    };
    match is_vector(field.data_type()) {
        true => Ok(()),
        false => Err(Error::invalid(format!(
            "column '{column}' is {}; a vector index needs an array of numbers",
            sql_type(field.data_type())
        ))),
    }
}

fn definition(options: &[LocatedOption]) -> Result<Definition> {
    let mut definition =
        Definition { distance: Distance::Euclidean, connectivity: CONNECTIVITY, ef_construction: EF_CONSTRUCTION };
    let mut kind = None;
    for option in options {
        let set = set_option(&mut definition, &mut kind, option);
        set.map_err(|error| error.at(position(option.at)))?;
    }
    match kind {
        Some(()) => Ok(definition),
        None => Err(Error::invalid(format!("a vector index needs its kind: OPTIONS (index_type = '{INDEX_TYPE}')"))),
    }
}

fn set_option(definition: &mut Definition, kind: &mut Option<()>, option: &LocatedOption) -> Result<()> {
    let within = |range: std::ops::RangeInclusive<i64>| match &option.value {
        OptionValue::Int(value) if range.contains(value) => Ok(usize::try_from(*value).unwrap_or_default()),
        other => Err(Error::invalid(format!(
            "option '{}' is a whole number from {} to {}, not {other}",
            option.name,
            range.start(),
            range.end()
        ))),
    };
    match (option.name.as_str(), &option.value) {
        ("index_type", OptionValue::String(text)) if text.eq_ignore_ascii_case(INDEX_TYPE) => *kind = Some(()),
        ("index_type", other) => {
            return Err(Error::invalid(format!(
                "there is no index of type {other}; '{INDEX_TYPE}' is the one that there is"
            )));
        }
        ("distance_type", OptionValue::String(text)) => definition.distance = Distance::parse(text)?,
        ("distance_type", other) => {
            return Err(Error::invalid(format!("option 'distance_type' is a text, not {other}")));
        }
        ("connectivity", _) => definition.connectivity = within(CONNECTIVITY_RANGE)?,
        ("ef_construction", _) => definition.ef_construction = within(EF_CONSTRUCTION_RANGE)?,
        (other, _) => return Err(Error::invalid(unknown("option", other, OPTIONS))),
    }
    Ok(())
}

fn summary(message: String, table: &LakeTable, built: Built) -> Summary {
    let small = table.row_count().is_some_and(|rows| rows < FILE_ROWS_MIN as u64);
    let message = match small {
        true => format!("{message}; data files of fewer than {FILE_ROWS_MIN} rows are always searched exactly"),
        false => message,
    };
    Summary::new(message).with_detail("segments", built.segments).with_detail("rows", built.rows)
}

fn read_of(scope: &StatementScope, table: &LakeTable) {
    scope.record_read(ObjectRef::table(full_name(table.name())), ObjectVersion::Version(table.version()));
}

fn rows(count: usize) -> String {
    if count == 1 { "1 row".to_owned() } else { format!("{count} rows") }
}
