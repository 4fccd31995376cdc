//! Relations of pg_catalog that the library leaves out, or whose columns it has as texts where clients need arrays.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use async_trait::async_trait;
use datafusion::catalog::view::ViewTable;
use datafusion::catalog::{MemTable, SchemaProvider, TableProvider};
use datafusion::common::{Column, ScalarValue};
use datafusion::datasource::provider_as_source;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{Expr, LogicalPlanBuilder, lit};
use lakemill_lake::{RelationKind, TableName};
use lakemill_query::Session;

use super::{functions, own};

/// The library's schema with the relations here in the place of its own.
#[derive(Debug)]
pub(super) struct Catalog {
    session: Session,
    library: Arc<dyn SchemaProvider>,
    relations: BTreeMap<&'static str, Arc<dyn TableProvider>>,
}

impl Catalog {
    pub(super) fn over(session: Session, library: impl SchemaProvider + 'static) -> Result<Self> {
        let mut relations: BTreeMap<&'static str, Arc<dyn TableProvider>> = BTreeMap::new();
        relations.insert("pg_constraint", empty(constraint())?);
        relations.insert("pg_index", empty(index())?);
        relations.insert("pg_settings", settings()?);
        Ok(Self { session, library: Arc::new(library), relations })
    }

    /// `pg_tables` or `pg_views`: the library has the views in the former.
    async fn listing(&self, views: bool) -> Result<Arc<dyn TableProvider>> {
        let unavailable = |error: lakemill_query::Error| DataFusionError::External(Box::new(error));
        let mut named = Vec::new();
        for namespace in self.session.namespaces().await.map_err(unavailable)? {
            let relations = self.session.relations(&namespace).await.map_err(unavailable)?;
            let wanted = relations.into_iter().filter(|relation| (relation.kind == RelationKind::View) == views);
            named.extend(wanted.map(|relation| relation.name));
        }
        let texts = |text: fn(&TableName) -> Option<&str>| -> ArrayRef {
            Arc::new(named.iter().map(text).collect::<StringArray>())
        };
        let no: ArrayRef = Arc::new(BooleanArray::from(vec![false; named.len()]));
        let names = [
            "schemaname",
            if views { "viewname" } else { "tablename" },
            if views { "viewowner" } else { "tableowner" },
        ];
        let known =
            [texts(|name| Some(&name.namespace)), texts(|name| Some(&name.table)), texts(|_| Some(functions::NOBODY))];
        let mut columns: Vec<(&str, ArrayRef)> = names.into_iter().zip(known).collect();
        match views {
            true => columns.push(("definition", texts(|_| None))),
            false => {
                columns.push(("tablespace", texts(|_| None)));
                let flags = ["hasindexes", "hasrules", "hastriggers", "rowsecurity"];
                columns.extend(flags.map(|name| (name, Arc::clone(&no))));
            }
        }
        in_memory(columns)
    }
}

#[async_trait]
impl SchemaProvider for Catalog {
    fn table_names(&self) -> Vec<String> {
        self.library.table_names()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        let name = name.to_ascii_lowercase();
        match (self.relations.get(name.as_str()), name.as_str()) {
            (Some(relation), _) => Ok(Some(Arc::clone(relation))),
            (None, "pg_class") => self.library.table("pg_class").await?.map(classes).transpose(),
            (None, "pg_tables") => Ok(Some(self.listing(false).await?)),
            (None, "pg_views") => Ok(Some(self.listing(true).await?)),
            (None, name) => self.library.table(name).await,
        }
    }

    fn table_exist(&self, name: &str) -> bool {
        self.library.table_exist(name)
    }
}

/// <https://www.postgresql.org/docs/16/catalog-pg-class.html>, with the columns that the library leaves out.
fn classes(table: Arc<dyn TableProvider>) -> Result<Arc<dyn TableProvider>> {
    let known = table.schema();
    let name = "pg_class";
    let columns = known.fields().iter().map(|field| Expr::Column(Column::new(Some(name), field.name())));
    let none = ScalarValue::try_from(list(DataType::Utf8))?;
    let others = ["reloptions", "relacl"].into_iter().filter(|other| known.column_with_name(other).is_none());
    let others = others.map(|other| lit(none.clone()).alias(other));
    let plan = LogicalPlanBuilder::scan(name, provider_as_source(Arc::clone(&table)), None)?;
    Ok(Arc::new(ViewTable::new(plan.project(columns.chain(others))?.build()?, None)))
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
    in_memory(columns)
}

fn in_memory(columns: Vec<(&str, ArrayRef)>) -> Result<Arc<dyn TableProvider>> {
    let columns = columns.into_iter().map(|(name, column)| (name, column, true));
    let batch = RecordBatch::try_from_iter_with_nullable(columns)?;
    Ok(Arc::new(MemTable::try_new(batch.schema(), vec![vec![batch]])?))
}
