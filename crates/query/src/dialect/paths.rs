//! Relative paths in a statement, put below a folder of the caller's choice.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::path::Path;

use datafusion::sql::parser::{CopyToSource, Statement as DFStatement};
use sqlparser::ast::{
    FunctionArg, FunctionArgExpr, Ident, ObjectName, ObjectNamePart, Statement, TableFactor, Value, VisitMut,
    VisitorMut,
};

use super::references::file_name;
use super::script::{Ast, Parsed};
use crate::lineage::{ObjectKind, ObjectRef};

impl Parsed {
    /// The statement with the relative paths of raw files (`LOCATION`, `COPY TO`, `FROM 'f'`, `read_csv('f')`)
    /// taken to be in `folder`, not in the process's current one.
    #[must_use]
    pub fn based_in(mut self, folder: &Path) -> Self {
        match &mut self.ast {
            Ast::Sql(statement) => rebase(statement, folder),
            Ast::Model(statement) => statement.visit_query(&mut Rebase { folder }),
            Ast::Own(_) => {}
        }
        self.reads = objects(&self.reads, folder);
        self.writes = objects(&self.writes, folder);
        self
    }
}

fn objects(objects: &BTreeSet<ObjectRef>, folder: &Path) -> BTreeSet<ObjectRef> {
    let rebased = |object: &ObjectRef| match object.kind {
        ObjectKind::File => ObjectRef::file(below(folder, &object.name)),
        _ => object.clone(),
    };
    objects.iter().map(rebased).collect()
}

/// A path below `folder`; URLs and absolute paths stay as they are.
fn below(folder: &Path, path: &str) -> String {
    if path.contains("://") || Path::new(path).is_absolute() {
        return path.to_owned();
    }
    folder.join(path).to_string_lossy().into_owned()
}

fn rebase(statement: &mut DFStatement, folder: &Path) {
    match statement {
        DFStatement::CreateExternalTable(external) => {
            for location in &mut external.locations {
                *location = below(folder, location);
            }
        }
        DFStatement::CopyTo(copy) => copy.target = below(folder, &copy.target),
        DFStatement::Explain(explain) => return rebase(&mut explain.statement, folder),
        DFStatement::Statement(_) | DFStatement::Reset(_) => {}
    }
    visit_queries(statement, &mut Rebase { folder });
}

/// Visits the statement's queries, wherever they stand in it.
pub(super) fn visit_queries(statement: &mut DFStatement, visitor: &mut impl VisitorMut) {
    match statement {
        DFStatement::Statement(statement) => {
            let _ = Statement::visit(statement, visitor);
        }
        DFStatement::CopyTo(copy) => {
            if let CopyToSource::Query(query) = &mut copy.source {
                let _ = query.visit(visitor);
            }
        }
        DFStatement::Explain(explain) => visit_queries(&mut explain.statement, visitor),
        DFStatement::CreateExternalTable(_) | DFStatement::Reset(_) => {}
    }
}

struct Rebase<'a> {
    folder: &'a Path,
}

impl VisitorMut for Rebase<'_> {
    type Break = ();

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        let TableFactor::Table { name, args, .. } = factor else { return ControlFlow::Continue(()) };
        match args {
            None => {
                if let Some(path) = file_name(name) {
                    let mut ident = Ident::with_quote('\'', below(self.folder, path));
                    ident.span =
                        name.0.first().and_then(ObjectNamePart::as_ident).map_or(ident.span, |first| first.span);
                    *name = ObjectName::from(vec![ident]);
                }
            }
            Some(args) if is_reader(name) => {
                if let Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(sqlparser::ast::Expr::Value(value)))) =
                    args.args.first_mut()
                    && let Value::SingleQuotedString(path) = &mut value.value
                {
                    *path = below(self.folder, path);
                }
            }
            Some(_) => {}
        }
        ControlFlow::Continue(())
    }
}

/// Whether a table function reads files: `read_csv`, `read_parquet` ..
fn is_reader(name: &ObjectName) -> bool {
    let function = name.0.first().and_then(ObjectNamePart::as_ident);
    function.is_some_and(|function| function.value.to_ascii_lowercase().starts_with("read_"))
}
