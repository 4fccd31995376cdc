//! What of a statement's text counts: its tokens, not its comments, line breaks or the case of its words.

use sqlparser::dialect::GenericDialect;
use sqlparser::tokenizer::{Token, Tokenizer};

/// Labels longer than this are cut: they stand in one line of a terminal.
const LABEL_CHARS_MAX: usize = 48;

/// A digest of a statement that only a change of meaning changes.
pub(crate) fn text_digest(text: &str) -> String {
    let mut hasher = blake3::Hasher::new();
    match Tokenizer::new(&GenericDialect, text).tokenize() {
        Ok(tokens) => {
            for token in tokens {
                match token {
                    Token::Whitespace(_) => continue,
                    Token::Word(word) if word.quote_style.is_none() => {
                        hasher.update(word.value.to_lowercase().as_bytes());
                    }
                    token => {
                        hasher.update(token.to_string().as_bytes());
                    }
                }
                // Tokens do not run into each other: `a b` is not `ab`.
                hasher.update(&[0]);
            }
        }
        // The engine's own grammar may know more than this tokenizer; then every character counts.
        Err(_) => {
            hasher.update(text.as_bytes());
        }
    }
    hasher.finalize().to_hex().to_string()
}

/// A statement in a few words, for terminals and reports: `CREATE TABLE flights`, `INSERT INTO flights`.
pub(crate) fn label(text: &str, written: Option<&str>) -> String {
    let short = written.map(|name| name.rsplit('.').next().unwrap_or(name));
    let mut words: Vec<String> = Vec::new();
    let tokens = Tokenizer::new(&GenericDialect, text).tokenize().unwrap_or_default();
    for token in tokens.iter().filter(|token| !matches!(token, Token::Whitespace(_))) {
        let Token::Word(word) = token else { break };
        let upper = word.value.to_uppercase();
        if short.is_some_and(|name| name.eq_ignore_ascii_case(&word.value)) {
            break;
        }
        match upper.as_str() {
            "OR" | "REPLACE" | "IF" | "NOT" | "EXISTS" if short.is_some() => {}
            _ if words.len() >= 3 || (!words.is_empty() && short.is_none()) => break,
            _ => words.push(upper),
        }
    }
    let mut label = words.join(" ");
    if let Some(name) = short {
        label.push(' ');
        label.push_str(name);
    }
    if label.chars().count() > LABEL_CHARS_MAX {
        label = label.chars().take(LABEL_CHARS_MAX - 1).chain(['…']).collect();
    }
    label
}

#[cfg(test)]
mod tests {
    use super::{label, text_digest};

    #[test]
    fn comments_space_and_case_do_not_count() {
        let digest = text_digest("SELECT a, 'X' FROM t");
        assert_eq!(digest, text_digest("select  a,\n  'X' -- why\nfrom /* here */ T"));
        assert_ne!(digest, text_digest("SELECT a, 'x' FROM t"));
        assert_ne!(digest, text_digest("SELECT a, 'X' FROM \"T\""));
        assert_ne!(text_digest("SELECT a b"), text_digest("SELECT ab"));
    }

    #[test]
    fn labels_are_short() {
        assert_eq!(label("CREATE OR REPLACE TABLE flights AS SELECT 1", Some("main.flights")), "CREATE TABLE flights");
        assert_eq!(label("insert into x.flights SELECT 1", Some("x.flights")), "INSERT INTO X flights");
        assert_eq!(label("SELECT * FROM t", None), "SELECT");
    }
}
