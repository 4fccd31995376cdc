//! A lake in a temporary folder with a session over it.

use std::path::Path;
use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use arrow::util::pretty::pretty_format_batches;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::{SessionConfig, SessionContext};
use lakemill_lake::{At, Commit, Error, Lake, LakeOptions, LakeTable, Relation, TableName, WriteMode, external};
use tempfile::TempDir;

pub struct TestLake {
    pub lake: Lake,
    pub context: SessionContext,
    pub folder: TempDir,
}

impl TestLake {
    pub async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let lake = Lake::open(LakeOptions::new(folder.path().join("lake").to_str().unwrap())).await.unwrap();
        let context = context(&lake);
        Self { lake, context, folder }
    }

    pub async fn plan(&self, sql: &str) -> LogicalPlan {
        self.context.state().create_logical_plan(sql).await.unwrap()
    }

    /// A plan over lake tables, which it names.
    pub async fn plan_over(&self, sql: &str, tables: &[&str]) -> LogicalPlan {
        for table in tables {
            self.register(table, At::Latest).await;
        }
        self.plan(sql).await
    }

    pub async fn register(&self, name: &str, at: At) {
        let table = self.table(name, at).await;
        self.context.deregister_table(name).unwrap();
        self.context.register_table(name, table).unwrap();
    }

    pub async fn table(&self, name: &str, at: At) -> Arc<LakeTable> {
        match self.lake.resolve(&TableName::bare(name), at).await.unwrap() {
            Relation::Table(table) => table,
            other => panic!("{other:?}"),
        }
    }

    pub async fn write(&self, name: &str, mode: WriteMode, sql: &str) -> Result<Option<Commit>, Error> {
        let plan = self.plan(sql).await;
        self.lake.write(&TableName::bare(name), mode, plan, &self.context.state()).await
    }

    pub async fn create(&self, name: &str, sql: &str) -> Commit {
        let mode = WriteMode::Create { or_replace: false, if_not_exists: false, partition_by: Vec::new() };
        self.write(name, mode, sql).await.unwrap().unwrap()
    }

    pub async fn append(&self, name: &str, sql: &str) -> Result<Commit, Error> {
        self.write(name, WriteMode::Append, sql).await.map(Option::unwrap)
    }

    /// How many files the lake's tables have, their logs left out.
    pub fn files(&self) -> usize {
        fn count(folder: &Path) -> usize {
            let entries = folder.read_dir().unwrap().map(|entry| entry.unwrap());
            entries.map(|entry| if entry.file_type().unwrap().is_dir() { count(&entry.path()) } else { 1 }).sum()
        }
        let tables = self.folder.path().join("lake/tables").read_dir().unwrap();
        let paths = tables.map(|table| table.unwrap().path());
        paths.map(|path| count(&path) - count(&path.join("_delta_log"))).sum()
    }

    /// The rows of a query over lake tables, as text.
    pub async fn rows(&self, sql: &str, tables: &[&str]) -> String {
        for table in tables {
            self.register(table, At::Latest).await;
        }
        let batches = self.context.sql(sql).await.unwrap().collect().await.unwrap();
        table_text(&batches)
    }

    /// An expression over a table's columns.
    pub async fn expr(&self, table: &str, sql: &str) -> datafusion::logical_expr::Expr {
        use datafusion::catalog::TableProvider;
        use datafusion::common::DFSchema;
        let table = self.table(table, At::Latest).await;
        let schema = DFSchema::try_from(table.schema()).unwrap();
        self.context.state().create_logical_expr(sql, &schema).unwrap()
    }

    /// The rows of a raw file.
    pub async fn raw(&self, path: &str, options: &[(&str, &str)], sql: &str) -> Result<String, Error> {
        let mut entry = external::entry_for_path(path)?;
        entry.options = options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let entry = external::infer(&self.lake, entry, &self.context.state()).await?;
        let provider = external::provider(&self.lake, &entry, &self.context.state()).await?;
        self.context.deregister_table("raw").unwrap();
        self.context.register_table("raw", provider).unwrap();
        let batches = self.context.sql(sql).await?.collect().await?;
        Ok(table_text(&batches))
    }

    pub fn file(&self, name: &str, contents: impl AsRef<[u8]>) -> String {
        let path = self.folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, contents).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

pub fn context(lake: &Lake) -> SessionContext {
    let runtime =
        RuntimeEnvBuilder::new().with_object_store_registry(lake.object_store_registry()).build_arc().unwrap();
    SessionContext::new_with_config_rt(SessionConfig::new().with_target_partitions(2), runtime)
}

pub fn table_text(batches: &[RecordBatch]) -> String {
    let text = pretty_format_batches(batches).unwrap().to_string();
    let lines = text.lines().filter(|line| !line.starts_with('+'));
    lines
        .map(|line| line.trim_matches(['|', ' ']).split('|').map(str::trim).collect::<Vec<_>>().join(" "))
        .collect::<Vec<_>>()
        .join("\n")
}
