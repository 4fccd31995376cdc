//! What could come next at the prompt: a pure function of the text and the names in the lake.

use lakemill_base::{identifier, quoted_identifier};

use crate::sql::lex::{self, Token, TokenKind};

use super::keywords::{KEYWORDS, STATEMENTS, is_keyword};

/// The names that completion knows.
pub(super) trait Names {
    /// Tables and views, as they are written in SQL.
    fn relations(&self) -> Vec<String>;
    /// Models.
    fn models(&self) -> Vec<String>;
    /// Namespaces.
    fn namespaces(&self) -> Vec<String>;
    /// Functions, those of `ML.` among them.
    fn functions(&self) -> Vec<String>;
    /// The columns of a table or view; none when there is no such.
    fn columns(&self, relation: &str) -> Vec<String>;
}

/// The candidates for the word that ends at byte `at`, and where that word begins. `before` is what was typed on
/// earlier lines of the same statement.
pub(super) fn complete(before: &str, line: &str, at: usize, names: &dyn Names) -> (usize, Vec<String>) {
    let text = format!("{before}{line}");
    let offset = before.len();
    let at = offset + at;
    let statement = statement_around(&text, at);
    let tokens: Vec<Token> = lex::tokens(&text[statement.clone()])
        .into_iter()
        .map(|mut t| {
            t.range = t.range.start + statement.start..t.range.end + statement.start;
            t
        })
        .filter(|t| !matches!(t.kind, TokenKind::Space | TokenKind::Comment))
        .collect();
    let word_start = tokens
        .iter()
        .find(|t| t.range.start < at && at <= t.range.end && matches!(t.kind, TokenKind::Word | TokenKind::QuotedName))
        .map_or(at, |t| t.range.start);
    if word_start < offset || inside_text(&text[statement.start..], at - statement.start) {
        return (at - offset, Vec::new());
    }
    let prefix = &text[word_start..at];
    let prior: Vec<&Token> = tokens.iter().take_while(|t| t.range.end <= word_start).collect();
    let context = context(&text, &prior);
    let candidates = candidates(&context, prefix, &text, &tokens, names);
    (word_start - offset, filtered(candidates, prefix))
}

/// The part of `text` between the semicolons around byte `at`.
fn statement_around(text: &str, at: usize) -> std::ops::Range<usize> {
    let mut start = 0;
    for token in lex::tokens(text) {
        if &text[token.range.clone()] == ";" {
            if token.range.end <= at {
                start = token.range.end;
            } else {
                return start..token.range.start;
            }
        }
    }
    start..text.len()
}

/// Whether byte `at` lies within a string or a comment.
fn inside_text(text: &str, at: usize) -> bool {
    lex::tokens(text).iter().any(|t| {
        matches!(t.kind, TokenKind::Text | TokenKind::Comment)
            && t.range.start < at
            && (at < t.range.end || (at == t.range.end && t.open))
    })
}

/// What kind of word belongs here.
#[derive(Debug, PartialEq, Eq)]
enum Context {
    /// The first word of a statement.
    Start,
    /// A table or view.
    Relation,
    /// A table or view, or a table function.
    Source,
    Model,
    Namespace,
    /// What follows `qualifier.`.
    Member(String),
    /// Anything that an expression may hold.
    Expression,
}

fn context(text: &str, prior: &[&Token]) -> Context {
    let word = |t: &Token| text[t.range.clone()].to_ascii_uppercase();
    let Some(last) = prior.last() else { return Context::Start };
    match word(last).as_str() {
        "." if prior.len() > 1 => Context::Member(unquoted(&text[prior[prior.len() - 2].range.clone()])),
        "FROM" | "JOIN" => Context::Source,
        "INTO" | "UPDATE" | "TABLE" | "VIEW" | "DESCRIBE" | "OPTIMIZE" | "VACUUM" | "RESTORE" | "HISTORY"
        | "TRUNCATE" => Context::Relation,
        "MODEL" => Context::Model,
        "USE" | "NAMESPACE" | "SCHEMA" => Context::Namespace,
        "," if clause(text, prior) == Some("FROM") => Context::Source,
        _ => Context::Expression,
    }
}

/// The word that began the clause at the end of `prior`, in the same parentheses.
fn clause(text: &str, prior: &[&Token]) -> Option<&'static str> {
    const CLAUSES: [&str; 8] = ["SELECT", "FROM", "WHERE", "GROUP", "ORDER", "HAVING", "ON", "SET"];
    let mut depth = 0i32;
    for token in prior.iter().rev() {
        match &text[token.range.clone()] {
            ")" => depth += 1,
            "(" if depth == 0 => return None,
            "(" => depth -= 1,
            word if depth == 0 => {
                if let Some(found) = CLAUSES.iter().find(|c| c.eq_ignore_ascii_case(word)) {
                    return Some(found);
                }
            }
            _ => {}
        }
    }
    None
}

fn candidates(context: &Context, prefix: &str, text: &str, tokens: &[Token], names: &dyn Names) -> Vec<String> {
    let cased = |words: &[&str]| -> Vec<String> {
        let lower = prefix.chars().any(char::is_lowercase);
        words.iter().map(|w| if lower { w.to_lowercase() } else { (*w).to_owned() }).collect()
    };
    match context {
        Context::Start => cased(STATEMENTS),
        Context::Relation => [names.relations(), cased(&["IF"])].concat(),
        Context::Source => {
            let functions = names.functions().into_iter().filter(|f| f.starts_with("ML.")).map(called);
            names.relations().into_iter().chain(functions).chain(cased(&["LATERAL", "UNNEST"])).collect()
        }
        Context::Model => names.models(),
        Context::Namespace => names.namespaces(),
        Context::Member(qualifier) => members(qualifier, text, tokens, names),
        Context::Expression => {
            let columns = referenced(text, tokens).into_iter().flat_map(|(relation, _)| names.columns(&relation));
            let mut found: Vec<String> = columns.collect();
            found.sort_unstable();
            found.dedup();
            // An empty prefix would list every function of the engine.
            if !prefix.is_empty() {
                found.extend(names.functions().into_iter().map(called));
                found.extend(cased(KEYWORDS));
                found.extend(cased(&["SELECT", "VALUES", "SET"]));
            }
            found
        }
    }
}

/// What `qualifier.` may be followed by: a function of `ML`, a column of an alias, a table of a namespace.
fn members(qualifier: &str, text: &str, tokens: &[Token], names: &dyn Names) -> Vec<String> {
    if qualifier.eq_ignore_ascii_case("ml") {
        return names
            .functions()
            .into_iter()
            .filter_map(|f| f.strip_prefix("ML.").map(|name| called(name.to_owned())))
            .collect();
    }
    let aliased = referenced(text, tokens).into_iter().find(|(relation, alias)| {
        alias.as_deref().unwrap_or(relation).eq_ignore_ascii_case(qualifier)
            || relation.rsplit('.').next().is_some_and(|last| last.eq_ignore_ascii_case(qualifier))
    });
    let columns = names.columns(&aliased.map_or_else(|| qualifier.to_owned(), |(relation, _)| relation));
    if !columns.is_empty() {
        return columns;
    }
    let namespace = format!("{qualifier}.");
    names.relations().iter().filter_map(|r| r.strip_prefix(&namespace)).map(str::to_owned).collect()
}

/// The tables that the statement names, with their aliases.
fn referenced(text: &str, tokens: &[Token]) -> Vec<(String, Option<String>)> {
    let word = |i: usize| tokens.get(i).map(|t: &Token| &text[t.range.clone()]);
    let is_name = |i: usize| {
        tokens.get(i).is_some_and(|t| match t.kind {
            TokenKind::QuotedName => true,
            TokenKind::Word => !is_keyword(&text[t.range.clone()]),
            _ => false,
        })
    };
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let opens = word(at)
            .is_some_and(|w| ["FROM", "JOIN", "INTO", "UPDATE", "TABLE"].iter().any(|k| k.eq_ignore_ascii_case(w)));
        at += 1;
        while opens && is_name(at) {
            let mut name = unquoted(word(at).unwrap_or_default());
            at += 1;
            while word(at) == Some(".") && is_name(at + 1) {
                name = format!("{name}.{}", unquoted(word(at + 1).unwrap_or_default()));
                at += 2;
            }
            at += usize::from(word(at).is_some_and(|w| w.eq_ignore_ascii_case("AS")));
            let alias = is_name(at).then(|| unquoted(word(at).unwrap_or_default()));
            at += usize::from(alias.is_some());
            found.push((name, alias));
            if word(at) != Some(",") {
                break;
            }
            at += 1;
        }
    }
    found
}

/// The candidates that begin with `prefix`, whatever the case of its letters.
fn filtered(candidates: Vec<String>, prefix: &str) -> Vec<String> {
    let prefix = prefix.trim_start_matches(['"', '`']).to_lowercase();
    let mut seen = std::collections::HashSet::new();
    candidates
        .into_iter()
        .filter(|c| c.trim_start_matches('"').to_lowercase().starts_with(&prefix) && seen.insert(c.clone()))
        .collect()
}

fn called(function: String) -> String {
    function + "("
}

fn unquoted(name: &str) -> String {
    let inner = name.strip_prefix(['"', '`']).and_then(|n| n.strip_suffix(['"', '`']));
    inner.map_or_else(|| name.to_owned(), |inner| inner.replace("\"\"", "\""))
}

/// A name as SQL needs it: quoted unless it is lower-case ASCII, digits and underscores, and no keyword.
pub(super) fn quoted(name: &str) -> String {
    if is_keyword(name) { quoted_identifier(name) } else { identifier(name) }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Lake;

    impl Names for Lake {
        fn relations(&self) -> Vec<String> {
            ["flights", "planes", "raw.weather", "\"Odd Name\""].map(Into::into).into()
        }
        fn models(&self) -> Vec<String> {
            vec!["late_trees".into()]
        }
        fn namespaces(&self) -> Vec<String> {
            vec!["main".into(), "raw".into()]
        }
        fn functions(&self) -> Vec<String> {
            ["abs", "count", "ML.PREDICT", "ML.EVALUATE"].map(Into::into).into()
        }
        fn columns(&self, relation: &str) -> Vec<String> {
            match relation {
                "flights" => vec!["carrier".into(), "arr_delay".into()],
                "raw.weather" => vec!["temp".into()],
                _ => Vec::new(),
            }
        }
    }

    /// Completes at the `|`.
    fn at_bar(text: &str) -> Vec<String> {
        let at = text.find('|').unwrap();
        complete("", &text.replace('|', ""), at, &Lake).1
    }

    #[test]
    fn begins_statements() {
        assert_eq!(at_bar("sel|"), ["select"]);
        assert_eq!(at_bar("SELECT 1; DESC|"), ["DESCRIBE"]);
    }

    #[test]
    fn names_tables_where_tables_stand() {
        assert_eq!(at_bar("SELECT * FROM fl|"), ["flights"]);
        assert_eq!(at_bar("SELECT * FROM flights, pl|"), ["planes"]);
        assert_eq!(at_bar("SELECT * FROM raw.|"), ["weather"]);
        assert_eq!(at_bar("DESCRIBE od|"), ["\"Odd Name\""]);
        assert!(at_bar("SELECT * FROM |").contains(&"ML.PREDICT(".to_owned()));
    }

    #[test]
    fn names_columns_of_the_statements_tables() {
        assert_eq!(at_bar("SELECT arr| FROM flights"), ["arr_delay"]);
        assert_eq!(at_bar("SELECT f.| FROM flights AS f"), ["carrier", "arr_delay"]);
        assert_eq!(at_bar("SELECT w.te| FROM flights f JOIN raw.weather w ON true"), ["temp"]);
        assert_eq!(at_bar("SELECT | FROM flights"), ["arr_delay", "carrier"]);
    }

    #[test]
    fn names_models_and_functions() {
        assert_eq!(at_bar("SELECT * FROM ML.PREDICT(MODEL la|"), ["late_trees"]);
        assert_eq!(at_bar("SELECT * FROM ML.P|"), ["PREDICT("]);
        assert_eq!(at_bar("SELECT ab| FROM t"), ["abs("]);
    }

    #[test]
    fn sees_earlier_lines() {
        let (start, found) = complete("SELECT *\nFROM flights\n", "WHERE carr", 10, &Lake);
        assert_eq!((start, found), (6, vec!["carrier".to_owned()]));
    }

    #[test]
    fn is_silent_in_strings_and_comments() {
        assert!(at_bar("SELECT 'fl|").is_empty());
        assert!(at_bar("SELECT 1 -- fl|").is_empty());
    }
}
