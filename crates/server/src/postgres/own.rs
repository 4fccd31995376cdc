//! Statements that PostgreSQL's clients send and a lake has no counterpart of: transaction blocks, and settings of the
//! connection.

use std::collections::BTreeMap;
use std::time::Duration;

use sqlparser::tokenizer::Token;

use crate::error::{Error, Result};

/// A statement of PostgreSQL's alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Own {
    Begin,
    Commit,
    Rollback,
    /// SAVEPOINT with its name.
    Savepoint(String),
    /// ROLLBACK TO a savepoint.
    RollbackTo(String),
    /// What changes nothing here: RELEASE, SET TRANSACTION.
    Taken(&'static str),
    /// A setting of the connection.
    Set {
        name: String,
        value: String,
    },
    Show {
        name: String,
    },
    /// RESET of one setting, or of all.
    Reset {
        name: Option<String>,
    },
    /// Undoes what the connection has set and prepared: DISCARD, CLOSE, UNLISTEN, DEALLOCATE ALL.
    Discard(&'static str),
    /// LISTEN and NOTIFY, which the lake does not have.
    Unsupported(&'static str),
}

/// Settings that clients of PostgreSQL make, with what they begin as. They change how PostgreSQL answers, not what.
pub(super) const SETTINGS: &[(&str, &str)] = &[
    ("application_name", ""),
    ("bytea_output", "hex"),
    ("client_encoding", "UTF8"),
    ("client_min_messages", "notice"),
    ("datestyle", "ISO, MDY"),
    ("default_transaction_isolation", "read committed"),
    ("default_transaction_read_only", "off"),
    ("extra_float_digits", "1"),
    ("idle_in_transaction_session_timeout", "0"),
    ("integer_datetimes", "on"),
    ("intervalstyle", "postgres"),
    ("is_superuser", "on"),
    ("jit", "off"),
    ("lc_collate", "C.UTF-8"),
    ("lock_timeout", "0"),
    ("max_identifier_length", "63"),
    ("max_index_keys", "32"),
    ("row_security", "off"),
    ("search_path", "main"),
    ("server_encoding", "UTF8"),
    ("server_version", SERVER_VERSION),
    ("server_version_num", "160000"),
    ("session_authorization", ""),
    ("standard_conforming_strings", "on"),
    ("statement_timeout", "0"),
    ("synchronize_seqscans", "on"),
    ("transaction_isolation", "read committed"),
    ("transaction_read_only", "off"),
];

/// The version of PostgreSQL whose clients are served.
pub(super) const SERVER_VERSION: &str = "16.0 (Lakemill)";

/// A connection's settings.
#[derive(Clone, Debug, Default)]
pub(super) struct Settings(BTreeMap<String, String>);

impl Settings {
    fn known(name: &str) -> Option<&'static str> {
        SETTINGS.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).or_else(|| Self::known(name))
    }

    /// Sets one.
    ///
    /// # Errors
    /// A value that would change what this server does and that it does not know.
    pub(super) fn set(&mut self, name: &str, value: &str) -> Result<()> {
        // Some clients quote what they send at the start.
        let value = value.trim().trim_matches('\'');
        let refused = |why: &str| Err(Error::unsupported(format!("{name} cannot be '{value}': {why}")));
        match name {
            "client_encoding"
                if !matches!(value.to_ascii_uppercase().replace('-', "").as_str(), "UTF8" | "UNICODE") =>
            {
                return refused("texts are UTF-8");
            }
            "session_authorization" if !["", "default"].contains(&value.to_ascii_lowercase().as_str()) => {
                return refused("log in as that user");
            }
            "standard_conforming_strings" if value.eq_ignore_ascii_case("off") => {
                return refused("a backslash in quotes is a backslash");
            }
            "statement_timeout" if timeout(value).is_none() => return refused("write milliseconds, or '5s', '2min'"),
            "search_path" if self.get(name) != Some(value) => {
                return refused("unqualified names are in one namespace, which USE name changes");
            }
            _ => {}
        }
        self.0.insert(name.to_owned(), value.to_owned());
        Ok(())
    }

    pub(super) fn reset(&mut self, name: Option<&str>) {
        match name {
            Some(name) => {
                self.0.remove(name);
            }
            None => self.0.clear(),
        }
    }

    /// How long a statement of this connection may run.
    pub(super) fn statement_timeout(&self) -> Option<Duration> {
        self.get("statement_timeout").and_then(timeout).filter(|time| !time.is_zero())
    }
}

/// PostgreSQL's times: a number is milliseconds.
fn timeout(text: &str) -> Option<Duration> {
    let text = text.trim();
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = text[..split].parse().ok()?;
    let milliseconds = match text[split..].trim() {
        "" | "ms" => 1,
        "s" => 1_000,
        "min" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    number.checked_mul(milliseconds).map(Duration::from_millis)
}

impl Own {
    /// The statement that these tokens are, if it is one of these.
    pub(super) fn recognize(tokens: &[&Token]) -> Option<Result<Self>> {
        let words: Vec<String> = tokens.iter().take(5).map(|token| word(token)).collect();
        // A savepoint's name is the last word, whatever stands before it.
        let named = || tokens.last().map(|token| value_of(token)).unwrap_or_default();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let own = match words.as_slice() {
            ["BEGIN", ..] | ["START", "TRANSACTION", ..] => Self::Begin,
            ["COMMIT" | "END", ..] => Self::Commit,
            ["ROLLBACK", "TO", ..] | ["ROLLBACK", "WORK" | "TRANSACTION", "TO", ..] => Self::RollbackTo(named()),
            ["ROLLBACK" | "ABORT", ..] => Self::Rollback,
            ["SAVEPOINT", ..] => Self::Savepoint(named()),
            ["RELEASE", ..] => Self::Taken("RELEASE"),
            ["DISCARD", ..] => Self::Discard("DISCARD ALL"),
            ["CLOSE", ..] => Self::Discard("CLOSE CURSOR"),
            ["UNLISTEN", ..] => Self::Discard("UNLISTEN"),
            ["DEALLOCATE", "ALL"] | ["DEALLOCATE", "PREPARE", "ALL"] => Self::Discard("DEALLOCATE ALL"),
            ["LISTEN", ..] => Self::Unsupported("LISTEN"),
            ["NOTIFY", ..] => Self::Unsupported("NOTIFY"),
            ["LOCK", ..] => Self::Unsupported("LOCK"),
            ["DECLARE", ..] => Self::Unsupported("DECLARE CURSOR"),
            ["SET", "SESSION", "CHARACTERISTICS", ..] | ["SET", "TRANSACTION", ..] => Self::Taken("SET"),
            ["SET", "SESSION" | "LOCAL", ..] => return set(&tokens[2..]),
            ["SET", ..] => return set(&tokens[1..]),
            ["SHOW", "TRANSACTION", "ISOLATION", ..] => Self::Show { name: "transaction_isolation".to_owned() },
            ["SHOW", name] => {
                let name = name.to_ascii_lowercase();
                Settings::known(&name)?;
                Self::Show { name }
            }
            ["RESET", "ALL"] => Self::Reset { name: None },
            ["RESET", name] => {
                let name = name.to_ascii_lowercase();
                Settings::known(&name)?;
                Self::Reset { name: Some(name) }
            }
            _ => return None,
        };
        Some(Ok(own))
    }
}

/// `SET name {TO | =} value`, if PostgreSQL has the setting.
fn set(tokens: &[&Token]) -> Option<Result<Own>> {
    let (name, rest) = tokens.split_first()?;
    let name = word(name).to_ascii_lowercase();
    if name == "names" {
        let value = rest.first().map(|token| value_of(token)).unwrap_or_default();
        return Some(Ok(Own::Set { name: "client_encoding".to_owned(), value }));
    }
    Settings::known(&name)?;
    let (sign, values) = rest.split_first()?;
    if !matches!(sign, Token::Eq) && word(sign) != "TO" {
        return Some(Err(Error::invalid(format!("syntax error: write SET {name} = value"))));
    }
    let values: Vec<String> =
        values.iter().filter(|token| !matches!(token, Token::Comma)).map(|t| value_of(t)).collect();
    Some(Ok(Own::Set { name, value: values.join(", ") }))
}

fn word(token: &Token) -> String {
    match token {
        Token::Word(word) if word.quote_style.is_none() => word.value.to_ascii_uppercase(),
        other => other.to_string(),
    }
}

fn value_of(token: &Token) -> String {
    match token {
        Token::Word(word) => word.value.clone(),
        Token::SingleQuotedString(text) | Token::EscapedStringLiteral(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use sqlparser::dialect::PostgreSqlDialect;
    use sqlparser::tokenizer::{Token, Tokenizer};

    use super::{Own, Settings, timeout};

    fn recognized(text: &str) -> Option<Own> {
        let tokens = Tokenizer::new(&PostgreSqlDialect {}, text).tokenize().unwrap();
        let tokens: Vec<&Token> = tokens.iter().filter(|token| !matches!(token, Token::Whitespace(_))).collect();
        Own::recognize(&tokens).map(Result::unwrap)
    }

    #[test]
    fn clients_statements_are_known_and_the_engines_are_left_to_it() {
        let set = |name: &str, value: &str| Some(Own::Set { name: name.to_owned(), value: value.to_owned() });
        assert_eq!(recognized("begin isolation level serializable"), Some(Own::Begin));
        assert_eq!(recognized("ROLLBACK TO SAVEPOINT a"), Some(Own::RollbackTo("a".to_owned())));
        assert_eq!(recognized("SET extra_float_digits = 3"), set("extra_float_digits", "3"));
        assert_eq!(recognized("SET DateStyle TO ISO, DMY"), set("datestyle", "ISO, DMY"));
        assert_eq!(recognized("set session statement_timeout to '5s'"), set("statement_timeout", "5s"));
        assert_eq!(recognized("SHOW server_version"), Some(Own::Show { name: "server_version".to_owned() }));
        for engine in ["SET threads = 2", "SHOW tables", "SHOW threads", "SELECT 1", "RESET threads", "USE main"] {
            assert_eq!(recognized(engine), None, "{engine}");
        }
    }

    #[test]
    fn a_setting_that_would_lie_is_refused() {
        let mut settings = Settings::default();
        settings.set("statement_timeout", "1500").unwrap();
        assert_eq!(settings.statement_timeout(), timeout("1500ms"));
        for (name, value) in
            [("client_encoding", "LATIN1"), ("statement_timeout", "soon"), ("standard_conforming_strings", "off")]
        {
            assert!(settings.set(name, value).is_err(), "{name}");
        }
        settings.reset(None);
        assert_eq!((settings.statement_timeout(), settings.get("statement_timeout")), (None, Some("0")));
    }
}
