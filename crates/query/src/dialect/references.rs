//! Which tables, models and files a statement names: known before anything is planned.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use datafusion::sql::parser::{CopyToSource, Statement as DFStatement};
use sqlparser::ast::{
    Expr, FromTable, FunctionArg, FunctionArgExpr, Ident, ObjectName, ObjectType, Query, Statement, TableFactor,
    TableObject, TableVersion, TableWithJoins, Value, Visit, Visitor,
};

use super::own::OwnStatement;
use super::script::{Ast, StatementKind};
use super::vector_index::{CreateVectorIndex, VectorIndexStatement};
use crate::lineage::ObjectRef;
use crate::model::ModelReference;

/// What a statement is, reads and writes.
#[derive(Clone, Debug)]
pub(crate) struct References {
    /// What it is.
    pub(crate) kind: StatementKind,
    /// What it reads.
    pub(crate) reads: BTreeSet<ObjectRef>,
    /// What it makes, changes or drops.
    pub(crate) writes: BTreeSet<ObjectRef>,
    namespace: String,
}

impl References {
    /// The references of a statement; names without a namespace are in `namespace`.
    pub(crate) fn of(ast: &Ast, namespace: &str) -> Self {
        let mut references = Self {
            kind: StatementKind::Query,
            reads: BTreeSet::new(),
            writes: BTreeSet::new(),
            namespace: namespace.to_owned(),
        };
        match ast {
            Ast::Sql(statement) => references.add_datafusion(statement),
            Ast::Own(statement) => references.add_own(statement),
            Ast::Model(statement) => {
                references.kind = statement.kind();
                statement.add_references(&mut references);
            }
        }
        references
    }

    /// Adds what a query, or another piece of syntax, reads.
    pub(crate) fn add_query(&mut self, query: &impl Visit) {
        let names = Names::of(query);
        for relation in &names.relations {
            match &relation.arguments {
                None => self.read_table(&relation.name),
                Some(arguments) => self.reads.extend(read_function_file(arguments).map(ObjectRef::file)),
            }
        }
        for model in &names.models {
            self.read_model(&model.object_name());
        }
    }

    /// Adds a model that is read.
    pub(crate) fn read_model(&mut self, name: &ObjectName) {
        self.reads.insert(ObjectRef::model(self.qualified(name)));
    }

    /// Adds a model that is made, changed or dropped.
    pub(crate) fn write_model(&mut self, name: &ObjectName) {
        self.writes.insert(ObjectRef::model(self.qualified(name)));
    }

    fn read_table(&mut self, name: &ObjectName) {
        self.reads.insert(self.relation(name));
    }

    fn write_table(&mut self, name: &ObjectName) {
        self.writes.insert(self.relation(name));
    }

    fn relation(&self, name: &ObjectName) -> ObjectRef {
        match file_name(name) {
            Some(file) => ObjectRef::file(file),
            None => ObjectRef::table(self.qualified(name)),
        }
    }

    /// `namespace.name` in the case that the lake keeps.
    fn qualified(&self, name: &ObjectName) -> String {
        let parts: Vec<String> = name.0.iter().filter_map(|part| part.as_ident()).map(normalized).collect();
        match parts.as_slice() {
            [table] => format!("{}.{table}", self.namespace),
            [.., namespace, table] => format!("{namespace}.{table}"),
            [] => String::new(),
        }
    }

    fn add_datafusion(&mut self, statement: &DFStatement) {
        match statement {
            DFStatement::Statement(statement) => self.add_statement(statement),
            DFStatement::CreateExternalTable(external) => {
                self.kind = StatementKind::Definition;
                self.write_table(&external.name);
                self.reads.extend(external.locations.iter().map(ObjectRef::file));
            }
            DFStatement::CopyTo(copy) => {
                self.kind = StatementKind::Copy;
                match &copy.source {
                    CopyToSource::Relation(name) => self.read_table(name),
                    CopyToSource::Query(query) => self.add_query(query),
                }
                self.writes.insert(ObjectRef::file(&copy.target));
            }
            DFStatement::Explain(explain) => {
                self.add_datafusion(&explain.statement);
                if !explain.options.analyze {
                    self.writes.clear();
                }
                self.kind = StatementKind::Query;
            }
            DFStatement::Reset(_) => self.kind = StatementKind::Session,
        }
    }

    fn add_statement(&mut self, statement: &Statement) {
        self.add_query(statement);
        self.kind = self.kind_of(statement);
        match statement {
            Statement::CreateTable(create) => {
                self.write_table(&create.name);
            }
            Statement::CreateView(create) => self.write_table(&create.name),
            Statement::Insert(insert) => {
                if let TableObject::TableName(name) = &insert.table {
                    self.write_table(name);
                }
            }
            Statement::Update(update) => self.write_factor(&update.table.relation),
            Statement::Delete(delete) => {
                let (FromTable::WithFromKeyword(from) | FromTable::WithoutKeyword(from)) = &delete.from;
                for TableWithJoins { relation, .. } in from {
                    self.write_factor(relation);
                }
            }
            Statement::Merge(merge) => self.write_factor(&merge.table),
            Statement::Truncate(truncate) => {
                for target in &truncate.table_names {
                    self.write_table(&target.name);
                }
            }
            Statement::AlterTable(alter) => self.write_table(&alter.name),
            Statement::Drop { object_type: ObjectType::Table | ObjectType::View, names, .. } => {
                for name in names {
                    self.write_table(name);
                }
            }
            _ => {}
        }
    }

    fn kind_of(&self, statement: &Statement) -> StatementKind {
        match statement {
            Statement::CreateTable(create) if create.query.is_some() => StatementKind::Write,
            Statement::Insert(_)
            | Statement::Update(_)
            | Statement::Delete(_)
            | Statement::Merge(_)
            | Statement::Truncate(_) => StatementKind::Write,
            Statement::CreateTable(_)
            | Statement::CreateView(_)
            | Statement::CreateSchema { .. }
            | Statement::AlterTable(_)
            | Statement::Drop { .. } => StatementKind::Definition,
            Statement::Set(_)
            | Statement::Reset(_)
            | Statement::Use(_)
            | Statement::Prepare { .. }
            | Statement::Deallocate { .. } => StatementKind::Session,
            _ => StatementKind::Query,
        }
    }

    fn write_factor(&mut self, factor: &TableFactor) {
        if let TableFactor::Table { name, .. } = factor {
            self.write_table(name);
        }
    }

    fn add_own(&mut self, statement: &OwnStatement) {
        self.kind = match statement {
            OwnStatement::CreateNamespace { .. } | OwnStatement::DropNamespace { .. } => StatementKind::Definition,
            // CREATE TOKEN gives a row, and is no query: it is not run to see what it gives.
            OwnStatement::Security(statement) if !statement.only_shows() => StatementKind::Definition,
            OwnStatement::Use { .. } => StatementKind::Session,
            OwnStatement::VectorIndex(VectorIndexStatement::Create(_) | VectorIndexStatement::Drop { .. }) => {
                StatementKind::Definition
            }
            OwnStatement::VectorIndex(VectorIndexStatement::Rebuild { .. }) => StatementKind::Maintenance,
            OwnStatement::Optimize { .. }
            | OwnStatement::Vacuum { .. }
            | OwnStatement::VacuumLake { .. }
            | OwnStatement::Restore { .. } => StatementKind::Maintenance,
            _ => StatementKind::Query,
        };
        match statement {
            OwnStatement::Optimize { table, .. }
            | OwnStatement::Vacuum { table, .. }
            | OwnStatement::Restore { table, .. } => self.write_table(table),
            OwnStatement::DescribeHistory { table, .. } => self.read_table(table),
            OwnStatement::ShowCreate { relation } => self.read_table(relation),
            // An index is made of its table, and changes nothing that others read.
            OwnStatement::VectorIndex(
                VectorIndexStatement::Create(CreateVectorIndex { table, .. })
                | VectorIndexStatement::Rebuild { table, .. },
            ) => self.read_table(table),
            _ => {}
        }
    }
}

/// The relations and models that a piece of SQL names, with common table expressions left out.
#[derive(Debug, Default)]
pub(crate) struct Names {
    /// Relations in order of use.
    pub(crate) relations: Vec<RelationUse>,
    /// Models in order of use.
    pub(crate) models: Vec<ModelReference>,
    /// How much of the lake `information_schema` must know.
    pub(crate) listing: Listing,
    /// Names of the common table expressions in scope, innermost last.
    common_tables: Vec<String>,
}

/// How much of the lake `information_schema` must know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Listing {
    /// Nothing: only functions and settings are read.
    #[default]
    Nothing,
    /// The names of namespaces and relations.
    Names,
    /// Their columns too.
    Columns,
}

/// A relation as a FROM clause names it.
#[derive(Clone, Debug)]
pub(crate) struct RelationUse {
    /// Its name, or a quoted path.
    pub(crate) name: ObjectName,
    /// The version asked for.
    pub(crate) version: Option<TableVersion>,
    /// The arguments of `read_csv('f', ..)` and its like.
    pub(crate) arguments: Option<Vec<FunctionArg>>,
}

impl Names {
    /// The names in a piece of syntax.
    pub(crate) fn of(syntax: &impl Visit) -> Self {
        let mut names = Self::default();
        let _ = syntax.visit(&mut names);
        names
    }

    fn is_common_table(&self, name: &ObjectName) -> bool {
        let [part] = name.0.as_slice() else { return false };
        part.as_ident()
            .is_some_and(|ident| ident.quote_style != Some('\'') && self.common_tables.contains(&normalized(ident)))
    }
}

impl Visitor for Names {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        for table in query.with.iter().flat_map(|with| &with.cte_tables) {
            // A common table that is not recursive may read a lake table of its own name.
            if !query.with.as_ref().is_some_and(|with| with.recursive) {
                table.query.visit(self)?;
            }
            self.common_tables.push(normalized(&table.alias.name));
        }
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        let tables = query.with.as_ref().map_or(0, |with| with.cte_tables.len());
        self.common_tables.truncate(self.common_tables.len().saturating_sub(tables));
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        let TableFactor::Table { name, args, version, .. } = factor else { return ControlFlow::Continue(()) };
        if is_system(name) {
            let view = name.0.last().and_then(|part| part.as_ident()).map(normalized).unwrap_or_default();
            self.listing = self.listing.max(match view.as_str() {
                "columns" | "views" => Listing::Columns,
                "tables" | "schemata" => Listing::Names,
                _ => Listing::Nothing,
            });
        } else if args.is_none() && !self.is_common_table(name) {
            self.relations.push(RelationUse { name: name.clone(), version: version.clone(), arguments: None });
        } else if let Some(arguments) = args.as_ref().filter(|_| read_function_format(name).is_some()) {
            self.relations.push(RelationUse {
                name: name.clone(),
                version: None,
                arguments: Some(arguments.args.clone()),
            });
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_statement(&mut self, statement: &Statement) -> ControlFlow<()> {
        match statement {
            Statement::ExplainTable { table_name, .. } => {
                self.relations.push(RelationUse { name: table_name.clone(), version: None, arguments: None });
            }
            Statement::ShowColumns { .. } => self.listing = Listing::Columns,
            _ => {}
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        self.models.extend(ModelReference::from_expr(expr, normalized));
        ControlFlow::Continue(())
    }
}

/// An identifier in the case that the lake keeps: as written in quotes, else in lower case.
pub(crate) fn normalized(ident: &Ident) -> String {
    match ident.quote_style {
        Some(_) => ident.value.clone(),
        None => ident.value.to_lowercase(),
    }
}

/// The path in `FROM 'data/x.parquet'`; also in double quotes, if it holds a `/`, which no name of a table does.
pub(crate) fn file_name(name: &ObjectName) -> Option<&str> {
    let [part] = name.0.as_slice() else { return None };
    let ident = part.as_ident()?;
    let quoted_path = ident.quote_style.is_some() && ident.value.contains('/');
    (ident.quote_style == Some('\'') || quoted_path).then_some(ident.value.as_str())
}

/// Whether a name is of the session's own `information_schema`.
pub(crate) fn is_system(name: &ObjectName) -> bool {
    name.0.len() >= 2
        && name.0[name.0.len() - 2].as_ident().is_some_and(|ident| normalized(ident) == "information_schema")
}

/// `csv` of `read_csv(..)`: the format that a reading function names.
pub(crate) fn read_function_format(name: &ObjectName) -> Option<String> {
    let [part] = name.0.as_slice() else { return None };
    let function = part.as_ident()?.value.to_ascii_lowercase();
    let format = function.strip_prefix("read_")?;
    ["csv", "json", "parquet", "avro", "arrow", "delta"].contains(&format).then(|| format.to_owned())
}

/// The file that a reading function's first argument names.
pub(crate) fn read_function_file(arguments: &[FunctionArg]) -> Option<&str> {
    match arguments.first()? {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Value(value))) => match &value.value {
            Value::SingleQuotedString(file) => Some(file),
            _ => None,
        },
        _ => None,
    }
}
