//! Relations of pg_catalog that the library leaves out, or whose columns it has as texts where clients need arrays.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use async_trait::async_trait;
use datafusion::catalog::{MemTable, SchemaProvider, TableProvider};
use datafusion::error::Result;

use super::own;

/// The library's schema with the relations here in the place of its own.
#[derive(Debug)]
pub(super) struct Catalog {
    library: Arc<dyn SchemaProvider>,
    relations: BTreeMap<&'static str, Arc<dyn TableProvider>>,
}

impl Catalog {
    pub(super) fn over(library: impl SchemaProvider + 'static) -> Result<Self> {
        let mut relations: BTreeMap<&'static str, Arc<dyn TableProvider>> = BTreeMap::new();
        relations.insert("pg_constraint", empty(constraint())?);
        relations.insert("pg_index", empty(index())?);
        relations.insert("pg_settings", settings()?);
        Ok(Self { library: Arc::new(library), relations })
    }
}

#[async_trait]
impl SchemaProvider for Catalog {
    fn table_names(&self) -> Vec<String> {
        self.library.table_names()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        match self.relations.get(name.to_ascii_lowercase().as_str()) {
            Some(relation) => Ok(Some(Arc::clone(relation))),
            None => self.library.table(name).await,
        }
    }

    fn table_exist(&self, name: &str) -> bool {
        self.library.table_exist(name)
    }
}

fn empty(columns: Vec<(&str, DataType)>) -> Result<Arc<dyn TableProvider>> {
    let fields: Vec<Field> = columns.into_iter().map(|(name, data_type)| Field::new(name, data_type, true)).collect();
    Ok(Arc::new(MemTable::try_new(Arc::new(Schema::new(fields)), vec![Vec::new()])?))
}

fn list(element: DataType) -> DataType {
    DataType::new_list(element, true)
}

/// <https://www.postgresql.org/docs/16/catalog-pg-constraint.html>; a lake's tables have no keys.
fn constraint() -> Vec<(&'static str, DataType)> {
    use DataType::{Boolean, Int16, Int32, Utf8};
    let mut columns = vec![("oid", Int32), ("conname", Utf8), ("connamespace", Int32), ("contype", Utf8)];
    columns.extend(["condeferrable", "condeferred", "convalidated"].map(|name| (name, Boolean)));
    columns.extend(["conrelid", "contypid", "conindid", "conparentid", "confrelid"].map(|name| (name, Int32)));
    columns.extend(["confupdtype", "confdeltype", "confmatchtype"].map(|name| (name, Utf8)));
    columns.extend([("conislocal", Boolean), ("coninhcount", Int16), ("connoinherit", Boolean)]);
    columns.extend(["conkey", "confkey", "confdelsetcols"].map(|name| (name, list(Int16))));
    columns.extend(["conpfeqop", "conppeqop", "conffeqop", "conexclop"].map(|name| (name, list(Int32))));
    columns.push(("conbin", Utf8));
    columns
}

/// <https://www.postgresql.org/docs/16/catalog-pg-index.html>; a lake's tables have no indexes.
fn index() -> Vec<(&'static str, DataType)> {
    use DataType::{Boolean, Int16, Int32, Utf8};
    let mut columns = vec![("indexrelid", Int32), ("indrelid", Int32), ("indnatts", Int16), ("indnkeyatts", Int16)];
    let flags = [
        "indisunique",
        "indnullsnotdistinct",
        "indisprimary",
        "indisexclusion",
        "indimmediate",
        "indisclustered",
        "indisvalid",
        "indcheckxmin",
        "indisready",
        "indislive",
        "indisreplident",
    ];
    columns.extend(flags.map(|name| (name, Boolean)));
    columns.extend([("indkey", list(Int16)), ("indcollation", list(Int32)), ("indclass", list(Int32))]);
    columns.extend([("indoption", list(Int16)), ("indexprs", Utf8), ("indpred", Utf8)]);
    columns
}

/// What SHOW knows, as it is when a connection begins.
fn settings() -> Result<Arc<dyn TableProvider>> {
    let (names, values): (Vec<&str>, Vec<&str>) = own::SETTINGS.iter().copied().unzip();
    let constant = |text: Option<&str>| -> ArrayRef { Arc::new(StringArray::from(vec![text; names.len()])) };
    let values: ArrayRef = Arc::new(StringArray::from(values));
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("name", Arc::new(StringArray::from(names.clone()))),
        ("setting", Arc::clone(&values)),
        ("unit", constant(None)),
        ("category", constant(Some("Client Connection Defaults"))),
        ("short_desc", constant(Some(""))),
        ("extra_desc", constant(None)),
        ("context", constant(Some("user"))),
        ("vartype", constant(Some("string"))),
        ("source", constant(Some("default"))),
        ("boot_val", Arc::clone(&values)),
        ("reset_val", values),
    ];
    let batch =
        RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, column)| (name, column, true)))?;
    Ok(Arc::new(MemTable::try_new(batch.schema(), vec![vec![batch]])?))
}
