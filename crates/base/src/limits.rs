//! Limits that more than one layer keeps.

/// The longest name of a namespace, table, view, model or pipeline: it must fit in a file name beside a
/// suffix, on every file system (255 bytes).
pub const IDENTIFIER_BYTES_MAX: usize = 128;

/// Checks a name that becomes part of a path below the lake folder.
///
/// Letters, digits, `_`, `-`, spaces and other printable Unicode are fine. Separators, control characters,
/// a leading dot and the names `.` and `..` are not: no name may escape the lake folder.
///
/// # Errors
/// Says which character is not allowed and where, or that the name is empty or too long.
pub fn check_identifier(what: &str, name: &str) -> Result<(), String> {
    if name.is_empty() {
        return Err(format!("a {what} name must not be empty"));
    }
    if name.len() > IDENTIFIER_BYTES_MAX {
        return Err(format!(
            "{what} name of {} bytes is too long; at most {IDENTIFIER_BYTES_MAX} are allowed",
            name.len()
        ));
    }
    if name.starts_with('.') {
        return Err(format!("{what} name '{}' must not start with a dot", name.escape_debug()));
    }
    let forbidden =
        |c: char| c.is_control() || matches!(c, '/' | '\\' | ':' | '*' | '?' | '"' | '<' | '>' | '|' | '%' | '#');
    if let Some((at, c)) = name.char_indices().find(|(_, c)| forbidden(*c)) {
        return Err(format!(
            "{what} name '{}' has the character '{}' at byte {at}, which names may not hold",
            name.escape_debug(),
            c.escape_debug()
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::check_identifier;

    #[test]
    fn refuses_names_that_could_leave_the_lake() {
        for bad in ["", ".", "..", "../x", "a/b", "a\\b", "a\0b", "c:d", ".hidden", "a\nb", "a%2fb"] {
            assert!(check_identifier("table", bad).is_err(), "{bad:?}");
        }
        assert!(check_identifier("table", &"x".repeat(129)).is_err());
    }

    #[test]
    fn allows_ordinary_and_unicode_names() {
        for good in ["flights", "Flight Delays", "flüge", "a-b_c", "x.y"] {
            assert_eq!(check_identifier("table", good), Ok(()), "{good:?}");
        }
    }
}
