//! `information_schema`: DataFusion's, with types by the names that SQL has for them.

use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, AsArray, StringArray};
use arrow::datatypes::DataType;
use async_trait::async_trait;
use datafusion::catalog::information_schema::InformationSchemaProvider;
use datafusion::catalog::view::ViewTable;
use datafusion::catalog::{CatalogProviderList, SchemaProvider, TableProvider};
use datafusion::common::Column;
use datafusion::datasource::provider_as_source;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{ColumnarValue, Expr, LogicalPlanBuilder, ScalarUDF, Volatility, create_udf};
use lakemill_lake::with_sql_types;

/// The name of the schema.
pub(super) const INFORMATION_SCHEMA: &str = "information_schema";

/// The column that names types, in every table that has it.
const DATA_TYPE: &str = "data_type";

/// DataFusion's own tables about a catalog, with `data_type` in SQL.
#[derive(Debug)]
pub(super) struct Information(InformationSchemaProvider);

impl Information {
    pub(super) fn new(catalogs: Arc<dyn CatalogProviderList>) -> Self {
        Self(InformationSchemaProvider::new(catalogs))
    }
}

#[async_trait]
impl SchemaProvider for Information {
    fn table_names(&self) -> Vec<String> {
        self.0.table_names()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        self.0.table(name).await?.map(|table| with_named_types(name, table)).transpose()
    }

    fn table_exist(&self, name: &str) -> bool {
        self.0.table_exist(name)
    }
}

fn with_named_types(name: &str, table: Arc<dyn TableProvider>) -> Result<Arc<dyn TableProvider>> {
    let schema = table.schema();
    if schema.column_with_name(DATA_TYPE).is_none() {
        return Ok(table);
    }
    let columns = schema.fields().iter().map(|field| {
        let column = Expr::Column(Column::new(Some(name), field.name()));
        match field.name() == DATA_TYPE {
            true => SQL_TYPE.call(vec![column]).alias(DATA_TYPE),
            false => column,
        }
    });
    let plan = LogicalPlanBuilder::scan(name, provider_as_source(table), None)?.project(columns)?.build()?;
    Ok(Arc::new(ViewTable::new(plan, None)))
}

/// Arrow's name of a type as SQL's.
static SQL_TYPE: LazyLock<ScalarUDF> = LazyLock::new(|| {
    let named = |arguments: &[ColumnarValue]| {
        let [names] = arguments else {
            return Err(DataFusionError::Internal("sql_type takes one argument".to_owned()));
        };
        let names = names.to_array(1)?;
        let names = names.as_string::<i32>().iter().map(|name| name.map(with_sql_types));
        Ok(ColumnarValue::Array(Arc::new(names.collect::<StringArray>()) as ArrayRef))
    };
    create_udf("sql_type", vec![DataType::Utf8], DataType::Utf8, Volatility::Immutable, Arc::new(named))
});
