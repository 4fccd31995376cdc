//! Names and texts as SQL takes them.

/// A name as short as SQL takes it: in quotes unless it is lower-case ASCII, digits and underscores. A keyword stays
/// bare: what is to be parsed again needs [`quoted_identifier`].
pub fn identifier(name: &str) -> String {
    if is_bare_identifier(name) { name.to_owned() } else { quoted_identifier(name) }
}

/// Whether SQL reads a name without quotes as it is.
pub fn is_bare_identifier(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    name.starts_with(|c: char| !c.is_ascii_digit()) && name.chars().all(plain)
}

/// A name in quotes, whatever is in it.
pub fn quoted_identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text in quotes, whatever is in it.
pub fn text_literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::{identifier, quoted_identifier, text_literal};

    #[test]
    fn quotes_within_are_doubled_and_plain_names_stay_bare() {
        assert_eq!(identifier("arr_delay2"), "arr_delay2");
        for (name, quoted) in
            [("", "\"\""), ("2x", "\"2x\""), ("Late", "\"Late\""), ("a b", "\"a b\""), ("a\"b", "\"a\"\"b\"")]
        {
            assert_eq!(identifier(name), quoted);
        }
        assert_eq!(quoted_identifier("select"), "\"select\"");
        assert_eq!(text_literal("it's"), "'it''s'");
    }
}
