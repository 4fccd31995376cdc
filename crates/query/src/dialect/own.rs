//! The lake's own statements: those that neither sqlparser nor DataFusion knows, or knows otherwise.

use sqlparser::ast::{Expr, Ident, ObjectName};
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::Token;

use super::security::{SecurityStatement, parse_security};
use super::vector_index::{VectorIndexStatement, parse_vector_index};

/// A statement of the lake's own grammar.
#[derive(Clone, Debug)]
pub(crate) enum OwnStatement {
    /// `CREATE NAMESPACE [IF NOT EXISTS] n`
    CreateNamespace { name: ObjectName, if_not_exists: bool },
    /// `DROP NAMESPACE [IF EXISTS] n [CASCADE | RESTRICT]`
    DropNamespace { name: ObjectName, if_exists: bool, cascade: bool },
    /// `USE n`
    Use { namespace: Ident },
    /// `OPTIMIZE t [ZORDER BY (a, b)]`
    Optimize { table: ObjectName, zorder: Vec<Ident> },
    /// `VACUUM t [RETAIN n HOURS] [DRY RUN]`
    Vacuum { table: ObjectName, retain_hours: Option<f64>, dry_run: bool },
    /// `VACUUM [DRY RUN]`: what nothing in the lake points to
    VacuumLake { dry_run: bool },
    /// `RESTORE [TABLE] t TO {VERSION | TIMESTAMP} AS OF x`
    Restore { table: ObjectName, to: TimePoint },
    /// `DESCRIBE HISTORY t [LIMIT n]`
    DescribeHistory { table: ObjectName, limit: Option<u64> },
    /// `DESCRIBE LINEAGE [TABLE | VIEW | MODEL] t`
    DescribeLineage { kind: Option<String>, object: ObjectName },
    /// `SHOW RUNS [OF 'pipeline'] [LIMIT n]`
    ShowRuns { pipeline: Option<String>, limit: Option<u64> },
    /// `DESCRIBE RUN 'id'`
    DescribeRun { run: String },
    /// `SHOW {SCHEMAS | NAMESPACES}`
    ShowNamespaces,
    /// `SHOW TABLES [FROM n] [LIKE 'p']`
    ShowTables { namespace: Option<Ident>, like: Option<String> },
    /// `SHOW ALL LIKE 'p'`
    ShowSettings { like: String },
    /// `SHOW CREATE {TABLE | VIEW} t`
    ShowCreate { relation: ObjectName },
    /// Users, roles, privileges, tokens and the audit log.
    Security(SecurityStatement),
    /// Indexes over vectors.
    VectorIndex(VectorIndexStatement),
}

/// A version of a table as the text names it.
#[derive(Clone, Debug)]
pub(crate) enum TimePoint {
    /// `VERSION AS OF 3`
    Version(Expr),
    /// `TIMESTAMP AS OF '2026-01-02 03:04:05'`, any constant expression of a timestamp
    Timestamp(Expr),
}

/// Parses one of our own statements; `None`, with nothing consumed, when the next words start none of them.
pub(crate) fn parse_own(parser: &mut Parser<'_>) -> Option<Result<OwnStatement, ParserError>> {
    if let Some(security) = parse_security(parser) {
        return Some(security.map(OwnStatement::Security));
    }
    if let Some(index) = parse_vector_index(parser) {
        return Some(index.map(OwnStatement::VectorIndex));
    }
    let parse: fn(&mut Parser<'_>) -> Result<OwnStatement, ParserError> = match words(parser) {
        ["CREATE", "NAMESPACE", _] => parse_create_namespace,
        ["DROP", "NAMESPACE", _] => parse_drop_namespace,
        ["USE", ..] => parse_use,
        ["OPTIMIZE", ..] => parse_optimize,
        ["VACUUM", ..] => parse_vacuum,
        ["RESTORE", ..] => parse_restore,
        ["DESCRIBE" | "DESC", "HISTORY", next] if !next.is_empty() => parse_describe_history,
        ["DESCRIBE" | "DESC", "LINEAGE", next] if !next.is_empty() => parse_describe_lineage,
        ["DESCRIBE" | "DESC", "RUN", ""] if next_is_text(parser) => parse_describe_run,
        ["SHOW", "RUNS", _] => parse_show_runs,
        ["SHOW", "SCHEMAS" | "NAMESPACES" | "DATABASES", ""] => parse_show_namespaces,
        ["SHOW", "TABLES", _] => parse_show_tables,
        ["SHOW", "ALL", "LIKE"] => parse_show_settings,
        ["SHOW", "CREATE", "TABLE" | "VIEW"] => parse_show_create,
        _ => return None,
    };
    Some(parse(parser))
}

/// The next three unquoted words in upper case; the empty text where there is something else.
fn words(parser: &Parser<'_>) -> [&'static str; 3] {
    [0, 1, 2].map(|n| match &parser.peek_nth_token_ref(n).token {
        Token::Word(word) => {
            let upper = word.value.to_ascii_uppercase();
            LEADING_WORDS.iter().find(|known| word.quote_style.is_none() && **known == upper).copied().unwrap_or("?")
        }
        _ => "",
    })
}

const LEADING_WORDS: &[&str] = &[
    "ALL",
    "CREATE",
    "DATABASES",
    "DESC",
    "DESCRIBE",
    "DROP",
    "HISTORY",
    "LIKE",
    "LINEAGE",
    "NAMESPACE",
    "NAMESPACES",
    "OPTIMIZE",
    "RESTORE",
    "RUN",
    "RUNS",
    "SCHEMAS",
    "SHOW",
    "TABLE",
    "TABLES",
    "USE",
    "VACUUM",
    "VIEW",
];

fn parse_create_namespace(parser: &mut Parser<'_>) -> Result<OwnStatement, ParserError> {
    skip(parser, 2);
    let if_not_exists = parser.parse_keywords(&[Keyword::IF, Keyword::NOT, Keyword::EXISTS]);
    Ok(OwnStatement::CreateNamespace { name: parser.parse_object_name(false)?, if_not_exists })
}

fn parse_drop_namespace(parser: &mut Parser<'_>) -> Result<OwnStatement, ParserError> {
    skip(parser, 2);
    let if_exists = parser.parse_keywords(&[Keyword::IF, Keyword::EXISTS]);
    let name = parser.parse_object_name(false)?;
    let cascade = parser.parse_one_of_keywords(&[Keyword::CASCADE, Keyword::RESTRICT]) == Some(Keyword::CASCADE);
    Ok(OwnStatement::DropNamespace { name, if_exists, cascade })
}

fn parse_use(parser: &mut Parser<'_>) -> Result<OwnStatement, ParserError> {
    skip(parser, 1);
    let _ = parse_word(parser, "SCHEMA") || parse_word(parser, "NAMESPACE") || parse_word(parser, "DATABASE");
    Ok(OwnStatement::Use { namespace: parser.parse_identifier()? })
}

fn parse_optimize(parser: &mut Parser<'_>) -> Result<OwnStatement, ParserError> {
    skip(parser, 1);
    let _ = parser.parse_keyword(Keyword::TABLE);
    let table = parser.parse_object_name(false)?;
    let mut zorder = Vec::new();
    if parse_word(parser, "ZORDER") {
        parser.expect_keyword_is(Keyword::BY)?;
        let parenthesised = parser.consume_token(&Token::LParen);
        zorder = parser.parse_comma_separated(Parser::parse_identifier)?;
        if parenthesised {
            parser.expect_token(&Token::RParen)?;
        }
    }
    Ok(OwnStatement::Optimize { table, zorder })
}

fn parse_vacuum(parser: &mut Parser<'_>) -> Result<OwnStatement, ParserError> {
    skip(parser, 1);
    let of_lake = match &parser.peek_token_ref().token {
        Token::EOF | Token::SemiColon => true,
        Token::Word(word) => {
            word.quote_style.is_none()
                && word.value.eq_ignore_ascii_case("DRY")
                && matches!(&parser.peek_nth_token_ref(1).token, Token::Word(next) if next.value.eq_ignore_ascii_case("RUN"))
        }
        _ => false,
    };
    if of_lake {
        return Ok(OwnStatement::VacuumLake { dry_run: parse_dry_run(parser)? });
    }
    let _ = parser.parse_keyword(Keyword::TABLE);
    let table = parser.parse_object_name(false)?;
    let mut retain_hours = None;
    if parse_word(parser, "RETAIN") {
        let number = parser.peek_token();
        let text = parser.parse_number_value()?.to_string();
        let parsed: Option<f64> = text.parse().ok().filter(|hours: &f64| hours.is_finite() && *hours >= 0.0);
        match parsed {
            Some(hours) => retain_hours = Some(hours),
            None => return parser.expected("a number of hours", number),
        }
        if !(parse_word(parser, "HOURS") || parse_word(parser, "HOUR")) {
            return parser.expected("HOURS", parser.peek_token());
        }
    }
    Ok(OwnStatement::Vacuum { table, retain_hours, dry_run: parse_dry_run(parser)? })
}

fn parse_dry_run(parser: &mut Parser<'_>) -> Result<bool, ParserError> {
    let dry_run = parse_word(parser, "DRY");
    if dry_run && !parse_word(parser, "RUN") {
        return parser.expected("RUN", parser.peek_token());
    }
    Ok(dry_run)
}

fn parse_restore(parser: &mut Parser<'_>) -> Result<OwnStatement, ParserError> {
    skip(parser, 1);
    let _ = parser.parse_keyword(Keyword::TABLE);
    let table = parser.parse_object_name(false)?;
    parser.expect_keyword_is(Keyword::TO)?;
    let by_version = parser.parse_keyword(Keyword::VERSION);
    if !by_version && !parser.parse_keyword(Keyword::TIMESTAMP) {
        return parser.expected("VERSION AS OF or TIMESTAMP AS OF", parser.peek_token());
    }
    parser.expect_keywords(&[Keyword::AS, Keyword::OF])?;
    let point = parser.parse_expr()?;
    let to = if by_version { TimePoint::Version(point) } else { TimePoint::Timestamp(point) };
    Ok(OwnStatement::Restore { table, to })
}

fn parse_describe_history(parser: &mut Parser<'_>) -> Result<OwnStatement, ParserError> {
    skip(parser, 2);
    let _ = parser.parse_keyword(Keyword::TABLE);
    let table = parser.parse_object_name(false)?;
    Ok(OwnStatement::DescribeHistory { table, limit: parse_limit(parser)? })
}

fn parse_describe_lineage(parser: &mut Parser<'_>) -> Result<OwnStatement, ParserError> {
    skip(parser, 2);
    let mut kind = None;
    for word in ["TABLE", "VIEW", "MODEL"] {
        let followed = matches!(parser.peek_nth_token_ref(1).token, Token::Word(_));
        if followed && parse_word(parser, word) {
            kind = Some(word.to_ascii_lowercase());
            break;
        }
    }
    Ok(OwnStatement::DescribeLineage { kind, object: parser.parse_object_name(false)? })
}

/// Whether two words are followed by a text: `DESCRIBE run` describes a table of that name.
fn next_is_text(parser: &Parser<'_>) -> bool {
    matches!(parser.peek_nth_token_ref(2).token, Token::SingleQuotedString(_))
}

fn parse_describe_run(parser: &mut Parser<'_>) -> Result<OwnStatement, ParserError> {
    skip(parser, 2);
    Ok(OwnStatement::DescribeRun { run: parser.parse_literal_string()? })
}

fn parse_show_runs(parser: &mut Parser<'_>) -> Result<OwnStatement, ParserError> {
    skip(parser, 2);
    let pipeline = match parser.parse_keyword(Keyword::OF) {
        true => Some(parser.parse_literal_string()?),
        false => None,
    };
    Ok(OwnStatement::ShowRuns { pipeline, limit: parse_limit(parser)? })
}

/// `[LIMIT n]`
pub(super) fn parse_limit(parser: &mut Parser<'_>) -> Result<Option<u64>, ParserError> {
    match parser.parse_keyword(Keyword::LIMIT) {
        true => parser.parse_literal_uint().map(Some),
        false => Ok(None),
    }
}

fn parse_show_namespaces(parser: &mut Parser<'_>) -> Result<OwnStatement, ParserError> {
    skip(parser, 2);
    Ok(OwnStatement::ShowNamespaces)
}

fn parse_show_tables(parser: &mut Parser<'_>) -> Result<OwnStatement, ParserError> {
    skip(parser, 2);
    let from = parser.parse_one_of_keywords(&[Keyword::FROM, Keyword::IN]).is_some();
    let namespace = if from { Some(parser.parse_identifier()?) } else { None };
    let like = if parser.parse_keyword(Keyword::LIKE) { Some(parser.parse_literal_string()?) } else { None };
    Ok(OwnStatement::ShowTables { namespace, like })
}

fn parse_show_settings(parser: &mut Parser<'_>) -> Result<OwnStatement, ParserError> {
    skip(parser, 3);
    Ok(OwnStatement::ShowSettings { like: parser.parse_literal_string()? })
}

fn parse_show_create(parser: &mut Parser<'_>) -> Result<OwnStatement, ParserError> {
    skip(parser, 3);
    Ok(OwnStatement::ShowCreate { relation: parser.parse_object_name(false)? })
}

fn skip(parser: &mut Parser<'_>, words: usize) {
    for _ in 0..words {
        parser.next_token();
    }
}

/// Consumes the next token if it is this unquoted word, whether or not sqlparser has it as a keyword.
pub(super) fn parse_word(parser: &mut Parser<'_>, expected: &str) -> bool {
    let found = matches!(&parser.peek_token_ref().token,
        Token::Word(word) if word.quote_style.is_none() && word.value.eq_ignore_ascii_case(expected));
    if found {
        parser.next_token();
    }
    found
}
