//! `CREATE [OR REPLACE] [TEMP] VIEW [IF NOT EXISTS] v [(columns)] AS query`

use std::ops::ControlFlow;

use lakemill_lake::{Securable, TableName, ViewEntry};
use sqlparser::ast::{CreateView, Ident, ObjectName, Query, TableFactor, VisitMut, VisitorMut};

use super::create_table::refuse_unnamed_columns;
use super::write::record;
use crate::dialect::{Names, file_name, normalized};
use crate::error::{Error, Result};
use crate::lineage::{ObjectRef, ObjectVersion};
use crate::outcome::{Outcome, Summary};
use crate::session::{StatementScope, Temporary, digest, full_name, position_of};

pub(super) async fn create(scope: &StatementScope, create: &CreateView) -> Result<Outcome> {
    if create.materialized {
        return Err(Error::invalid("materialized views are not supported; CREATE TABLE .. AS keeps the rows"));
    }
    let name = scope.table_name(&create.name)?;
    let plan = scope.plan_query(&create.query).await?;
    refuse_unnamed_columns(&plan)?;
    let text = view_text(scope, create, &name.namespace, plan.schema().fields().len())?;
    if create.temporary {
        return temporary(scope, create, name, text);
    }
    let locate = |error: lakemill_lake::Error| scope.locate(error.into(), position_of(&create.name));
    let made = scope.lake().create_view(&name, &text, create.or_replace, create.if_not_exists).await.map_err(locate)?;
    if !made {
        return Ok(Outcome::Done(Summary::new(format!("view {name} exists already; nothing to do"))));
    }
    scope.made(&Securable::table(&name)).await?;
    scope.record_write(ObjectRef::table(full_name(&name)), ObjectVersion::Fingerprint(digest(&text)));
    record(scope, &name, "view", 0).await?;
    Ok(Outcome::Done(Summary::new(format!("created view {name}"))))
}

/// A view that ends with the session.
fn temporary(scope: &StatementScope, create: &CreateView, name: TableName, sql: String) -> Result<Outcome> {
    let temporaries = scope.session().temporary();
    let makes = temporaries.makes(&name, create.if_not_exists, create.or_replace);
    if !makes.map_err(|error| scope.locate(error, position_of(&create.name)))? {
        return Ok(Outcome::Done(Summary::new(format!("temporary view {name} exists already; nothing to do"))));
    }
    let message = format!("created temporary view {name}");
    temporaries.insert(name.clone(), Temporary::View(ViewEntry { name, sql, created_ms: 0 }));
    Ok(Outcome::Done(Summary::new(message)))
}

/// The query as it is kept. It is the user's text where that means the same from within the view's namespace;
/// else names get the namespace that they have now.
fn view_text(scope: &StatementScope, create: &CreateView, namespace: &str, columns: usize) -> Result<String> {
    let here = scope.session().namespace();
    let names = Names::of(create.query.as_ref());
    let bare = |name: &ObjectName| name.0.len() == 1 && file_name(name).is_none();
    let moves = here != namespace
        && (names.relations.iter().any(|relation| bare(&relation.name))
            || names.models.iter().any(|model| model.parts.len() == 1));
    let text = match moves {
        false => body_text(&scope.statement().text, create),
        true => qualified(create.query.as_ref().clone(), &names, &here)?,
    };
    if create.columns.is_empty() {
        return Ok(text);
    }
    if create.columns.len() != columns {
        return Err(Error::invalid(format!(
            "{} columns are named, but the query gives {columns}",
            create.columns.len()
        )));
    }
    let list: Vec<String> = create.columns.iter().map(|column| column.name.to_string()).collect();
    Ok(format!("SELECT * FROM (\n{text}\n) AS t ({})", list.join(", ")))
}

/// The statement's own text from its query on, comments and layout kept.
fn body_text(statement: &str, create: &CreateView) -> String {
    let start = sqlparser::ast::Spanned::span(create.query.as_ref()).start;
    let offset = statement
        .split_inclusive('\n')
        .take(usize::try_from(start.line.saturating_sub(1)).unwrap_or(0))
        .map(str::len)
        .sum::<usize>();
    let column = usize::try_from(start.column.saturating_sub(1)).unwrap_or(0);
    let body: Option<&str> = statement.get(offset..).and_then(|line| {
        let (at, _) = line.char_indices().nth(column)?;
        line.get(at..)
    });
    // A query that begins with a parenthesis has its span inside it; printing the syntax is right then.
    match body.filter(|body| {
        start.line > 0 && crate::dialect::parse_query_text(body).is_ok_and(|query| query == create.query)
    }) {
        Some(body) => body.trim_end().to_owned(),
        None => create.query.to_string(),
    }
}

fn qualified(mut query: Query, names: &Names, namespace: &str) -> Result<String> {
    if names.models.iter().any(|model| model.parts.len() == 1) {
        return Err(Error::invalid("a view in another namespace needs full names of models: MODEL namespace.name"));
    }
    let bare = names.relations.iter().filter_map(|relation| match relation.name.0.as_slice() {
        [part] if file_name(&relation.name).is_none() => part.as_ident().map(normalized),
        _ => None,
    });
    let mut visitor = Qualifier { bare: bare.collect(), namespace };
    let _ = query.visit(&mut visitor);
    Ok(query.to_string())
}

struct Qualifier<'a> {
    bare: Vec<String>,
    namespace: &'a str,
}

impl VisitorMut for Qualifier<'_> {
    type Break = ();

    fn post_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        if let TableFactor::Table { name, args: None, .. } = factor
            && let [part] = name.0.as_slice()
            && let Some(ident) = part.as_ident()
            && self.bare.contains(&normalized(ident))
        {
            *name = ObjectName::from(vec![Ident::with_quote('"', self.namespace), ident.clone()]);
        }
        ControlFlow::Continue(())
    }
}
