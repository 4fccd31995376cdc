//! Statements about users, roles, privileges, tokens and the audit log.
//!
//! The words are PostgreSQL's; PREDICT, TOKEN and AUDIT are ours.

use std::fmt;

use lakemill_lake::{PrincipalKind, Privilege, SecurableKind};
use sqlparser::ast::{Expr, Ident, ObjectName};
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::Token;

use super::own::{parse_limit, parse_word};

/// A statement about who may do what.
#[derive(Clone, Debug)]
pub(crate) enum SecurityStatement {
    /// `CREATE USER [IF NOT EXISTS] u [[WITH] PASSWORD '..']`
    CreateUser { name: Ident, password: Option<Secret>, if_not_exists: bool },
    /// `ALTER USER u [WITH] PASSWORD {'..' | NULL}`
    AlterUser { name: Ident, password: Option<Secret> },
    /// `CREATE ROLE [IF NOT EXISTS] r`
    CreateRole { name: Ident, if_not_exists: bool },
    /// `DROP {USER | ROLE} [IF EXISTS] u`
    Drop { kind: PrincipalKind, name: Ident, if_exists: bool },
    /// `GRANT r, .. TO u, ..` and `REVOKE r, .. FROM u, ..`
    Roles { give: bool, roles: Vec<Ident>, users: Vec<Ident> },
    /// `GRANT SELECT, .. ON .. TO u, ..` and `REVOKE SELECT, .. ON .. FROM u, ..`
    Privileges { give: bool, privileges: Privileges, on: GrantedOn, grantees: Vec<Ident> },
    /// `CREATE TOKEN t FOR [USER] u [EXPIRES {IN n {HOURS | DAYS} | time}]`
    CreateToken { name: Ident, user: Ident, expires: Option<Expires> },
    /// `DROP TOKEN [IF EXISTS] t`
    DropToken { name: Ident, if_exists: bool },
    /// `SHOW {USERS | ROLES}`
    ShowPrincipals { kind: PrincipalKind },
    /// `SHOW GRANTS [FOR u]`
    ShowGrants { user: Option<Ident> },
    /// `SHOW TOKENS`
    ShowTokens,
    /// `SHOW AUDIT [LIMIT n]`
    ShowAudit { limit: Option<u64> },
}

impl SecurityStatement {
    /// What it is for, after "to".
    pub(crate) const fn purpose(&self) -> &'static str {
        match self {
            Self::CreateUser { .. } | Self::AlterUser { .. } | Self::CreateRole { .. } | Self::Drop { .. } => {
                "make, change and drop users and roles"
            }
            Self::Roles { .. } | Self::Privileges { .. } => "grant and revoke",
            Self::CreateToken { .. } | Self::DropToken { .. } | Self::ShowTokens => "make, list and drop tokens",
            Self::ShowPrincipals { .. } => "list users and roles",
            Self::ShowGrants { .. } => "see the privileges of others",
            Self::ShowAudit { .. } => "read the audit log",
        }
    }

    /// Whether it changes nothing.
    pub(crate) const fn only_shows(&self) -> bool {
        matches!(
            self,
            Self::ShowPrincipals { .. } | Self::ShowGrants { .. } | Self::ShowTokens | Self::ShowAudit { .. }
        )
    }
}

/// A text that is not shown.
#[derive(Clone)]
pub(crate) struct Secret(pub(crate) String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// The privileges that a statement names.
#[derive(Clone, Debug)]
pub(crate) enum Privileges {
    /// `ALL [PRIVILEGES]`: all that there are for the kind of object.
    All,
    /// These.
    Named(Vec<Privilege>),
}

/// What privileges are granted on.
#[derive(Clone, Debug)]
pub(crate) enum GrantedOn {
    /// `[TABLE] t, ..`, `MODEL m, ..`
    Objects(SecurableKind, Vec<ObjectName>),
    /// `ALL {TABLES | MODELS} IN SCHEMA n`: those that there are.
    AllIn(SecurableKind, Ident),
    /// `SCHEMA n`: all that there are and will be, or, for CREATE, the namespace itself.
    Namespace(Ident),
}

/// When a token ends.
#[derive(Clone, Debug)]
pub(crate) enum Expires {
    /// After this many milliseconds.
    AfterMs(i64),
    /// At a time.
    At(Box<Expr>),
}

const HOUR_MS: i64 = 3_600_000;

/// Parses a statement about who may do what; `None`, with nothing consumed, when the next words start none.
pub(crate) fn parse_security(parser: &mut Parser<'_>) -> Option<Result<SecurityStatement, ParserError>> {
    let words = [0, 1].map(|n| match &parser.peek_nth_token_ref(n).token {
        Token::Word(word) if word.quote_style.is_none() => word.value.to_ascii_uppercase(),
        _ => String::new(),
    });
    let parse: fn(&mut Parser<'_>) -> Result<SecurityStatement, ParserError> =
        match [words[0].as_str(), words[1].as_str()] {
            ["CREATE", "USER"] => parse_create_user,
            ["ALTER", "USER" | "ROLE"] => parse_alter_user,
            ["CREATE", "ROLE"] => parse_create_role,
            ["DROP", "USER"] => |parser| parse_drop(parser, PrincipalKind::User),
            ["DROP", "ROLE"] => |parser| parse_drop(parser, PrincipalKind::Role),
            ["GRANT", _] => |parser| parse_grant(parser, true),
            ["REVOKE", _] => |parser| parse_grant(parser, false),
            ["CREATE", "TOKEN"] => parse_create_token,
            ["DROP", "TOKEN"] => parse_drop_token,
            ["SHOW", "USERS"] => |parser| show(parser, SecurityStatement::ShowPrincipals { kind: PrincipalKind::User }),
            ["SHOW", "ROLES"] => |parser| show(parser, SecurityStatement::ShowPrincipals { kind: PrincipalKind::Role }),
            ["SHOW", "TOKENS"] => |parser| show(parser, SecurityStatement::ShowTokens),
            ["SHOW", "GRANTS"] => parse_show_grants,
            ["SHOW", "AUDIT"] => parse_show_audit,
            _ => return None,
        };
    Some(parse(parser))
}

fn parse_create_user(parser: &mut Parser<'_>) -> Result<SecurityStatement, ParserError> {
    skip(parser, 2);
    let if_not_exists = parser.parse_keywords(&[Keyword::IF, Keyword::NOT, Keyword::EXISTS]);
    let name = parser.parse_identifier()?;
    let password = match parse_password_word(parser)? {
        true => Some(parse_password(parser)?),
        false => None,
    };
    Ok(SecurityStatement::CreateUser { name, password, if_not_exists })
}

fn parse_alter_user(parser: &mut Parser<'_>) -> Result<SecurityStatement, ParserError> {
    skip(parser, 2);
    let name = parser.parse_identifier()?;
    if !parse_password_word(parser)? {
        return parser.expected("PASSWORD", parser.peek_token());
    }
    let password = match parser.parse_keyword(Keyword::NULL) {
        true => None,
        false => Some(parse_password(parser)?),
    };
    Ok(SecurityStatement::AlterUser { name, password })
}

/// `[WITH] [ENCRYPTED] PASSWORD`
fn parse_password_word(parser: &mut Parser<'_>) -> Result<bool, ParserError> {
    let with = parser.parse_keyword(Keyword::WITH);
    let encrypted = parse_word(parser, "ENCRYPTED");
    match parse_word(parser, "PASSWORD") {
        false if with || encrypted => parser.expected("PASSWORD", parser.peek_token()),
        found => Ok(found),
    }
}

fn parse_password(parser: &mut Parser<'_>) -> Result<Secret, ParserError> {
    match parser.next_token().token {
        Token::SingleQuotedString(password) => Ok(Secret(password)),
        // What stands there may be the password itself.
        _ => Err(ParserError::ParserError("PASSWORD is followed by a text in single quotes".to_owned())),
    }
}

fn parse_create_role(parser: &mut Parser<'_>) -> Result<SecurityStatement, ParserError> {
    skip(parser, 2);
    let if_not_exists = parser.parse_keywords(&[Keyword::IF, Keyword::NOT, Keyword::EXISTS]);
    Ok(SecurityStatement::CreateRole { name: parser.parse_identifier()?, if_not_exists })
}

fn parse_drop(parser: &mut Parser<'_>, kind: PrincipalKind) -> Result<SecurityStatement, ParserError> {
    skip(parser, 2);
    let if_exists = parser.parse_keywords(&[Keyword::IF, Keyword::EXISTS]);
    Ok(SecurityStatement::Drop { kind, name: parser.parse_identifier()?, if_exists })
}

/// Privileges, if ON follows them; else roles.
fn parse_grant(parser: &mut Parser<'_>, give: bool) -> Result<SecurityStatement, ParserError> {
    skip(parser, 1);
    let first = parser.peek_token();
    let names = parser.parse_comma_separated(Parser::parse_identifier)?;
    let with_privileges = names.len() == 1 && parse_word(parser, "PRIVILEGES");
    if matches!(parser.peek_token_ref().token, Token::LParen) {
        return Err(ParserError::ParserError(format!(
            "privileges are on whole tables, not on columns{}",
            parser.peek_token_ref().span.start
        )));
    }
    if !with_privileges && !parser.parse_keyword(Keyword::ON) {
        expect_direction(parser, give, "ON, TO or FROM")?;
        let _ = parse_word(parser, "USER");
        return Ok(SecurityStatement::Roles { give, roles: names, users: parse_grantees(parser)? });
    }
    if with_privileges {
        parser.expect_keyword_is(Keyword::ON)?;
    }
    let mut privileges = Vec::new();
    let is_all = matches!(names.as_slice(), [name] if name.value.eq_ignore_ascii_case("ALL"));
    for name in names.iter().filter(|_| !is_all) {
        match Privilege::parse(&name.value.to_ascii_uppercase()) {
            Some(privilege) => privileges.push(privilege),
            None => return parser.expected("SELECT, INSERT, UPDATE, DELETE, PREDICT, CREATE or ALL", first),
        }
    }
    let privileges = if is_all { Privileges::All } else { Privileges::Named(privileges) };
    let on = parse_granted_on(parser, &privileges)?;
    expect_direction(parser, give, if give { "TO" } else { "FROM" })?;
    let _ = parse_word(parser, "USER") || parse_word(parser, "ROLE");
    Ok(SecurityStatement::Privileges { give, privileges, on, grantees: parse_grantees(parser)? })
}

fn expect_direction(parser: &mut Parser<'_>, give: bool, wanted: &str) -> Result<(), ParserError> {
    match parser.parse_keyword(if give { Keyword::TO } else { Keyword::FROM }) {
        true => Ok(()),
        false => parser.expected(wanted, parser.peek_token()),
    }
}

fn parse_grantees(parser: &mut Parser<'_>) -> Result<Vec<Ident>, ParserError> {
    parser.parse_comma_separated(Parser::parse_identifier)
}

fn parse_granted_on(parser: &mut Parser<'_>, privileges: &Privileges) -> Result<GrantedOn, ParserError> {
    // `ON model TO ann` is a table of that name.
    let named = |parser: &Parser<'_>| match &parser.peek_nth_token_ref(1).token {
        Token::Word(word) => !matches!(word.keyword, Keyword::TO | Keyword::FROM),
        _ => false,
    };
    if named(parser) && (parse_word(parser, "SCHEMA") || parse_word(parser, "NAMESPACE")) {
        return Ok(GrantedOn::Namespace(parser.parse_identifier()?));
    }
    if named(parser) && parse_word(parser, "ALL") {
        let kind = match parse_word(parser, "TABLES") {
            true => SecurableKind::Table,
            false if parse_word(parser, "MODELS") => SecurableKind::Model,
            false => return parser.expected("TABLES or MODELS", parser.peek_token()),
        };
        parser.expect_keyword_is(Keyword::IN)?;
        if !(parse_word(parser, "SCHEMA") || parse_word(parser, "NAMESPACE")) {
            return parser.expected("SCHEMA", parser.peek_token());
        }
        return Ok(GrantedOn::AllIn(kind, parser.parse_identifier()?));
    }
    let kind = match named(parser) {
        true if parse_word(parser, "MODEL") => SecurableKind::Model,
        true if parse_word(parser, "TABLE") || parse_word(parser, "VIEW") => SecurableKind::Table,
        _ if matches!(privileges, Privileges::Named(named) if named.contains(&Privilege::Predict)) => {
            return parser.expected("MODEL", parser.peek_token());
        }
        _ => SecurableKind::Table,
    };
    let objects = parser.parse_comma_separated(|parser| parser.parse_object_name(false))?;
    Ok(GrantedOn::Objects(kind, objects))
}

fn parse_create_token(parser: &mut Parser<'_>) -> Result<SecurityStatement, ParserError> {
    skip(parser, 2);
    let name = parser.parse_identifier()?;
    parser.expect_keyword_is(Keyword::FOR)?;
    let named = matches!(parser.peek_nth_token_ref(1).token, Token::Word(_));
    if named && !parser.peek_nth_token_ref(1).token.to_string().eq_ignore_ascii_case("EXPIRES") {
        let _ = parse_word(parser, "USER");
    }
    let user = parser.parse_identifier()?;
    let expires = match parse_word(parser, "EXPIRES") {
        true => Some(parse_expires(parser)?),
        false => None,
    };
    Ok(SecurityStatement::CreateToken { name, user, expires })
}

fn parse_expires(parser: &mut Parser<'_>) -> Result<Expires, ParserError> {
    if !parser.parse_keyword(Keyword::IN) {
        let _ = parse_word(parser, "AT");
        return parser.parse_expr().map(|time| Expires::At(Box::new(time)));
    }
    let count = parser.peek_token();
    let number = i64::try_from(parser.parse_literal_uint()?).ok();
    let unit_ms = match parse_word(parser, "DAYS") || parse_word(parser, "DAY") {
        true => 24 * HOUR_MS,
        false if parse_word(parser, "HOURS") || parse_word(parser, "HOUR") => HOUR_MS,
        false => return parser.expected("DAYS or HOURS", parser.peek_token()),
    };
    match number.and_then(|number| number.checked_mul(unit_ms)).filter(|after_ms| *after_ms > 0) {
        Some(after_ms) => Ok(Expires::AfterMs(after_ms)),
        None => parser.expected("a number of days or hours", count),
    }
}

fn parse_drop_token(parser: &mut Parser<'_>) -> Result<SecurityStatement, ParserError> {
    skip(parser, 2);
    let if_exists = parser.parse_keywords(&[Keyword::IF, Keyword::EXISTS]);
    Ok(SecurityStatement::DropToken { name: parser.parse_identifier()?, if_exists })
}

fn show(parser: &mut Parser<'_>, statement: SecurityStatement) -> Result<SecurityStatement, ParserError> {
    skip(parser, 2);
    Ok(statement)
}

fn parse_show_grants(parser: &mut Parser<'_>) -> Result<SecurityStatement, ParserError> {
    skip(parser, 2);
    let user = match parser.parse_keyword(Keyword::FOR) || parser.parse_keyword(Keyword::TO) {
        true => Some(parser.parse_identifier()?),
        false => None,
    };
    Ok(SecurityStatement::ShowGrants { user })
}

fn parse_show_audit(parser: &mut Parser<'_>) -> Result<SecurityStatement, ParserError> {
    skip(parser, 2);
    Ok(SecurityStatement::ShowAudit { limit: parse_limit(parser)? })
}

fn skip(parser: &mut Parser<'_>, words: usize) {
    for _ in 0..words {
        parser.next_token();
    }
}

#[cfg(test)]
mod tests {
    use sqlparser::parser::Parser;

    use super::{SecurityStatement, parse_security};
    use crate::dialect::LakemillDialect;

    fn parsed(text: &str) -> Option<Result<SecurityStatement, String>> {
        let mut parser = Parser::new(&LakemillDialect).try_with_sql(text).unwrap();
        let parsed = parse_security(&mut parser)?;
        Some(parsed.map_err(|error| error.to_string()).and_then(|statement| match parser.peek_token().to_string() {
            end if end == "EOF" => Ok(statement),
            rest => Err(format!("{rest} is left")),
        }))
    }

    #[test]
    fn the_forms_of_the_documentation_are_known() {
        for text in [
            "CREATE USER ann PASSWORD 'secret'",
            "create user if not exists \"Ann\" with encrypted password 'it''s'",
            "CREATE USER robot",
            "ALTER USER ann PASSWORD NULL",
            "DROP USER IF EXISTS ann",
            "CREATE ROLE analyst",
            "GRANT analyst, admin TO ann, bob",
            "REVOKE analyst FROM ann",
            "GRANT SELECT, INSERT ON TABLE raw.flights, planes TO analyst",
            "GRANT ALL PRIVILEGES ON flights TO ann",
            "GRANT SELECT ON ALL TABLES IN SCHEMA raw TO ann",
            "GRANT ALL ON SCHEMA raw TO ann",
            "GRANT PREDICT ON MODEL late_trees TO ann",
            "REVOKE CREATE ON SCHEMA main FROM analyst",
            "GRANT SELECT ON model TO ann",
            "CREATE TOKEN dashboard FOR USER ann EXPIRES IN 90 DAYS",
            "CREATE TOKEN t FOR user EXPIRES '2030-01-01'",
            "CREATE TOKEN t FOR ann",
            "SHOW GRANTS FOR ann",
            "SHOW AUDIT LIMIT 10",
        ] {
            parsed(text)
                .unwrap_or_else(|| panic!("{text} is not known"))
                .unwrap_or_else(|error| panic!("{text}: {error}"));
        }
        for other in ["CREATE TABLE users (a INT)", "SHOW TABLES", "SELECT 1", "DROP TABLE token", "SHOW threads"] {
            assert!(parsed(other).is_none(), "{other}");
        }
    }

    #[test]
    fn what_is_wrong_is_named_and_passwords_are_not() {
        let error = |text: &str| parsed(text).unwrap().unwrap_err();
        assert!(error("GRANT SELECT (a) ON t TO ann").contains("not on columns"));
        assert!(error("GRANT USAGE ON t TO ann").contains("PREDICT"), "{}", error("GRANT USAGE ON t TO ann"));
        assert!(error("GRANT PREDICT ON t TO ann").contains("MODEL"));
        assert!(error("CREATE TOKEN t FOR ann EXPIRES IN 0 DAYS").contains("number of days"));
        assert!(!error("CREATE USER ann PASSWORD hunter2").contains("hunter2"));
        assert!(!format!("{:?}", parsed("CREATE USER ann PASSWORD 'hunter2'")).contains("hunter2"));
    }
}
