//! The names of the lake, read when the first Tab asks for them and again after they may have changed.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use arrow::array::AsArray;
use arrow::compute::cast;
use arrow::datatypes::DataType;
use datafusion::catalog::TableProvider;
use futures::FutureExt;
use lakemill_lake::{At, DEFAULT_NAMESPACE, Relation, TableName};
use lakemill_query::{ML_RELATIONS, NoObserver, Outcome, Session};

use super::complete::{Names, quoted};
use crate::engine::Engine;

/// The names of the lake behind `engine`. A lake that does not answer has none: completion never fails.
pub(super) struct LakeNames<'e> {
    engine: &'e Engine,
    known: RefCell<Option<Known>>,
    functions: RefCell<Option<Vec<String>>>,
    columns: RefCell<BTreeMap<String, Vec<String>>>,
    as_of: Cell<u64>,
}

#[derive(Clone, Default)]
struct Known {
    relations: Vec<String>,
    models: Vec<String>,
    namespaces: Vec<String>,
}

impl<'e> LakeNames<'e> {
    pub(super) fn new(engine: &'e Engine) -> Self {
        Self {
            engine,
            known: RefCell::default(),
            functions: RefCell::default(),
            columns: RefCell::default(),
            as_of: Cell::new(0),
        }
    }

    /// Forgets what was read before the `changes`th change.
    pub(super) fn refresh(&self, changes: u64) {
        if self.as_of.replace(changes) != changes {
            self.known.replace(None);
            self.columns.borrow_mut().clear();
        }
    }

    fn known(&self) -> Known {
        if let Some(known) = &*self.known.borrow() {
            return known.clone();
        }
        let read = async { known(self.engine.session().await?).await };
        let known = self.engine.block_on(read.boxed_local()).unwrap_or_default();
        self.known.replace(Some(known.clone()));
        known
    }
}

impl Names for LakeNames<'_> {
    fn relations(&self) -> Vec<String> {
        self.known().relations
    }

    fn models(&self) -> Vec<String> {
        self.known().models
    }

    fn namespaces(&self) -> Vec<String> {
        self.known().namespaces
    }

    fn functions(&self) -> Vec<String> {
        if let Some(functions) = &*self.functions.borrow() {
            return functions.clone();
        }
        let read = async { functions(self.engine.session().await?).await };
        let mut found = self.engine.block_on(read.boxed_local()).unwrap_or_default();
        found.extend(ML_RELATIONS.map(str::to_owned));
        found.extend(lakemill_learn::transform::transform_names().iter().map(|&name| name.to_owned()));
        let found: Vec<String> = found.into_iter().collect();
        self.functions.replace(Some(found.clone()));
        found
    }

    fn columns(&self, relation: &str) -> Vec<String> {
        if let Some(columns) = self.columns.borrow().get(relation) {
            return columns.clone();
        }
        let read = async { columns(self.engine.session().await?, relation).await };
        let columns = self.engine.block_on(read.boxed_local()).unwrap_or_default();
        self.columns.borrow_mut().insert(relation.to_owned(), columns.clone());
        columns
    }
}

async fn known(session: &Session) -> Result<Known> {
    let lake = session.lake();
    let current = session.namespace();
    let mut known = Known { namespaces: lake.namespaces().await?, ..Known::default() };
    let full = |namespace: &str, name: &str| {
        if namespace == current { quoted(name) } else { format!("{}.{}", quoted(namespace), quoted(name)) }
    };
    for namespace in &known.namespaces {
        let listed = lake.list(namespace).await?;
        known.relations.extend(listed.iter().map(|entry| full(namespace, &entry.name.table)));
    }
    let models = lake.models(None).await?;
    known.models.extend(models.iter().map(|m| full(&m.version.name.namespace, &m.version.name.model)));
    Ok(known)
}

async fn functions(session: &Session) -> Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    for batch in session.sql("SELECT DISTINCT routine_name FROM information_schema.routines").await? {
        let names = cast(batch.column(0), &DataType::Utf8)?;
        found.extend(names.as_string::<i32>().iter().flatten().map(str::to_owned));
    }
    Ok(found)
}

async fn columns(session: &Session, relation: &str) -> Result<Vec<String>> {
    let (namespace, table) = relation.split_once('.').unwrap_or(("", relation));
    let namespace = if namespace.is_empty() { session.namespace() } else { namespace.to_owned() };
    let name = TableName::new(if namespace.is_empty() { DEFAULT_NAMESPACE } else { &namespace }, table);
    let schema = match session.lake().find(&name, At::Latest).await? {
        Some(Relation::Table(table)) => table.schema(),
        Some(_) => {
            let sql = format!("SELECT * FROM {} LIMIT 0", name.quoted());
            let Some(parsed) = session.parse(&sql)?.pop() else { return Ok(Vec::new()) };
            match session.execute(&parsed, std::sync::Arc::new(NoObserver)).await?.outcome {
                Outcome::Rows(rows) => rows.schema(),
                Outcome::Done(_) => return Ok(Vec::new()),
            }
        }
        None => return Ok(Vec::new()),
    };
    Ok(schema.fields().iter().map(|field| quoted(field.name())).collect())
}
