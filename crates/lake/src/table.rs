//! One table at one version.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::error::Result as DataFusionResult;
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::ExecutionPlan;

use crate::name::TableName;

/// Which version of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum At {
    /// The newest.
    #[default]
    Latest,
    /// A version by number.
    Version(u64),
    /// The newest version that was committed at or before this time, in milliseconds since the epoch.
    TimestampMs(i64),
}

/// One table at one version.
#[derive(Debug)]
pub struct LakeTable {
    name: TableName,
    version: u64,
    schema: SchemaRef,
}

impl LakeTable {
    /// The table's name.
    pub fn name(&self) -> &TableName {
        &self.name
    }
    /// The version that it is pinned at.
    pub fn version(&self) -> u64 {
        self.version
    }
    /// Rows by the log's statistics, where every file has them.
    pub fn row_count(&self) -> Option<u64> {
        todo!()
    }
    /// Bytes of all data files.
    pub fn size_bytes(&self) -> u64 {
        todo!()
    }
    /// Partition columns in order.
    pub fn partition_columns(&self) -> &[String] {
        todo!()
    }
    /// CHECK constraints: name and SQL.
    pub fn checks(&self) -> Vec<(String, String)> {
        todo!()
    }
    /// The table's comment.
    pub fn comment(&self) -> Option<String> {
        todo!()
    }
    /// Where its files lie.
    pub fn location(&self) -> &url::Url {
        todo!()
    }
}

#[async_trait]
impl TableProvider for LakeTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }
    fn table_type(&self) -> TableType {
        TableType::Base
    }
    async fn scan(
        &self,
        _state: &dyn Session,
        _projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        _limit: Option<usize>,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        todo!()
    }
}
