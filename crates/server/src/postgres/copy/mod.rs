//! `COPY .. TO STDOUT` and `COPY .. FROM STDIN`, as text and as CSV.
//!
//! Rows that come in are one INSERT: they are written as they come, and committed together or not at all.

mod decode;
mod encode;
mod input;

use datafusion::common::DataFusionError;
use futures::{StreamExt, TryStreamExt, stream};
use pgwire::api::results::{CopyResponse, Response};
use pgwire::messages::copy::CopyData;
use sqlparser::tokenizer::Token;

use super::answer::pg_error;
use super::cancel::Run;
use crate::cancel::Cancel;
use crate::engine::{Answer, Client};
use crate::error::{Error, Result};
pub(super) use input::CopyIn;

/// Where the rows go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    Out,
    In,
}

/// How rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Form {
    /// CSV; otherwise PostgreSQL's text.
    csv: bool,
    header: bool,
    delimiter: u8,
}

/// A COPY to or from the client.
#[derive(Clone, Debug)]
pub(super) struct Copy {
    pub(super) direction: Direction,
    /// `t`, `t (a, b)` or `(SELECT ..)`, as SQL.
    source: String,
    form: Form,
}

impl Copy {
    /// The statement that these tokens are, if it is a COPY of the client's. `COPY .. TO 'file'` is the engine's.
    pub(super) fn recognize(tokens: &[&Token]) -> Option<Result<Self>> {
        let is = |token: &Token, wanted: &str| matches!(token, Token::Word(word) if word.quote_style.is_none() && word.value.eq_ignore_ascii_case(wanted));
        if !tokens.first().is_some_and(|token| is(token, "COPY")) {
            return None;
        }
        let stream = tokens.iter().position(|token| is(token, "STDIN") || is(token, "STDOUT"))?;
        let direction = if is(tokens[stream], "STDIN") { Direction::In } else { Direction::Out };
        let source: Vec<String> = tokens[1..stream - 1].iter().map(ToString::to_string).collect();
        if source.is_empty() {
            return Some(Err(Error::invalid("syntax error: COPY needs a table, as in COPY t TO STDOUT")));
        }
        let form = Form::parse(&tokens[stream + 1..]);
        Some(form.map(|form| Self { direction, source: source.join(" "), form }))
    }

    /// The query whose rows are copied.
    fn query(&self) -> String {
        match self.source.strip_prefix('(').and_then(|query| query.strip_suffix(')')) {
            Some(query) => query.to_owned(),
            None => match self.source.split_once('(') {
                Some((table, columns)) => format!("SELECT {} FROM {table}", columns.trim_end_matches(')')),
                None => format!("SELECT * FROM {}", self.source),
            },
        }
    }
}

impl Form {
    /// `WITH (FORMAT csv, HEADER true)` and the older `WITH CSV HEADER`.
    fn parse(tokens: &[&Token]) -> Result<Self> {
        let mut form = Self { csv: false, header: false, delimiter: b'\t' };
        let mut delimiter = None;
        let words: Vec<&Token> = tokens
            .iter()
            .copied()
            .filter(|token| !matches!(token, Token::LParen | Token::RParen | Token::Comma))
            .collect();
        let mut words = words.into_iter().peekable();
        while let Some(token) = words.next() {
            let text = |token: &Token| match token {
                Token::SingleQuotedString(text) | Token::EscapedStringLiteral(text) => text.clone(),
                other => other.to_string(),
            };
            match text(token).to_ascii_uppercase().as_str() {
                "WITH" | "FORMAT" | "TEXT" => {}
                "CSV" => form.csv = true,
                "HEADER" => {
                    let flag = words.next_if(|token| {
                        matches!(text(token).to_ascii_uppercase().as_str(), "TRUE" | "ON" | "1" | "FALSE" | "OFF" | "0")
                    });
                    form.header =
                        flag.is_none_or(|flag| matches!(text(flag).to_ascii_uppercase().as_str(), "TRUE" | "ON" | "1"));
                }
                "DELIMITER" => {
                    let _ = words.next_if(|token| text(token).eq_ignore_ascii_case("AS"));
                    let given = words.next().map(text).unwrap_or_default();
                    match given.as_bytes() {
                        [one] if one.is_ascii() && !matches!(one, b'\n' | b'\r' | b'"' | b'\\') => {
                            delimiter = Some(*one)
                        }
                        _ => return Err(Error::invalid(format!("DELIMITER is one character, not '{given}'"))),
                    }
                }
                "ENCODING" => {
                    let given = words.next().map(text).unwrap_or_default();
                    if !given.to_ascii_uppercase().replace('-', "").starts_with("UTF8") {
                        return Err(Error::unsupported(format!("COPY reads and writes UTF8, not '{given}'")));
                    }
                }
                "BINARY" => {
                    return Err(Error::unsupported("COPY in binary form is not supported; use FORMAT csv or text"));
                }
                other => {
                    return Err(Error::unsupported(format!(
                        "COPY does not know the option {other}; it knows FORMAT, HEADER, DELIMITER and ENCODING"
                    )));
                }
            }
        }
        form.delimiter = delimiter.unwrap_or(if form.csv { b',' } else { b'\t' });
        Ok(form)
    }
}

/// Rows to the client.
pub(super) async fn out(client: &Client, copy: &Copy, cancel: &Cancel, run: Run) -> Result<Response> {
    let parsed = client.parse(&copy.query())?;
    let [parsed] = parsed.as_slice() else { return Err(Error::invalid("COPY takes one query")) };
    let Answer::Rows(rows) = client.run(parsed, cancel).await? else {
        return Err(Error::invalid("COPY takes a query that gives rows"));
    };
    let (schema, form) = (std::sync::Arc::clone(rows.schema()), copy.form);
    let mut header = form.header.then(|| encode::header(&schema, form));
    let data = rows.map(move |batch| {
        let _running = &run;
        let lines =
            batch.and_then(|batch| encode::lines(&batch, form).map_err(|error| DataFusionError::from(error).into()));
        match lines {
            Ok(mut lines) => {
                // The header goes with the first row, so that the rows are counted right.
                if let Some(first) = lines.first_mut()
                    && let Some(header) = header.take()
                {
                    *first = [header, std::mem::take(first)].concat().into();
                }
                stream::iter(lines.into_iter().map(Ok).collect::<Vec<_>>())
            }
            Err(error) => stream::iter(vec![Err(pg_error(&error, None))]),
        }
    });
    let data = data.flatten().map_ok(|line: bytes::Bytes| CopyData::new(line));
    Ok(Response::CopyOut(CopyResponse::new(0, schema.fields().len(), data)))
}

#[cfg(test)]
mod tests {
    use sqlparser::dialect::PostgreSqlDialect;
    use sqlparser::tokenizer::{Token, Tokenizer};

    use super::{Copy, Direction, Form};

    fn copy(text: &str) -> Option<Result<Copy, crate::Error>> {
        let tokens = Tokenizer::new(&PostgreSqlDialect {}, text).tokenize().unwrap();
        let tokens: Vec<&Token> = tokens.iter().filter(|token| !matches!(token, Token::Whitespace(_))).collect();
        Copy::recognize(&tokens)
    }

    #[test]
    fn the_forms_of_copy_are_known() {
        let given =
            copy("COPY main.t (a, \"B c\") FROM STDIN WITH (FORMAT csv, HEADER true, DELIMITER ';')").unwrap().unwrap();
        assert_eq!(given.direction, Direction::In);
        assert_eq!(given.form, Form { csv: true, header: true, delimiter: b';' });
        assert_eq!(copy("copy t to stdout csv header").unwrap().unwrap().query(), "SELECT * FROM t");
        let query = copy("COPY (SELECT a FROM t WHERE b = 'x') TO STDOUT").unwrap().unwrap().query();
        assert_eq!(query.trim(), "SELECT a FROM t WHERE b = 'x'");
        assert!(copy("COPY t TO 'file.csv'").is_none());
        for (wrong, part) in [("COPY t TO STDOUT (FORMAT binary)", "binary"), ("COPY t TO STDOUT (QUOTE '|')", "QUOTE")]
        {
            let error = copy(wrong).unwrap().unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}
