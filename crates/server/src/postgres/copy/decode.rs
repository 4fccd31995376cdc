//! Lines of PostgreSQL's text or of CSV as rows of texts, however the bytes are cut into messages.

use super::Form;
use crate::error::{Error, Result};

/// A row is not longer than this: what is, has lost a quote.
const ROW_BYTES_MAX: usize = 64 << 20;

/// Values of a row; `None` is NULL.
pub(super) type Row = Vec<Option<String>>;

/// Reads rows from bytes that come in pieces.
#[derive(Debug)]
pub(super) struct Decoder {
    form: Form,
    columns: usize,
    /// Values of the row that is being read.
    row: Row,
    value: Vec<u8>,
    state: State,
    quoted: bool,
    /// Something of the row has been read.
    started: bool,
    skip_header: bool,
    line: u64,
    row_bytes: usize,
    /// After the text form's `\.`, nothing counts.
    ended: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Plain,
    /// Within quotes, in CSV.
    Quoted,
    /// After a quote within quotes: the end, or half of a doubled one.
    QuoteSeen,
    /// After a backslash, in text.
    Escaped,
}

impl Decoder {
    pub(super) fn new(form: Form, columns: usize) -> Self {
        Self {
            form,
            columns,
            row: Vec::new(),
            value: Vec::new(),
            state: State::Plain,
            quoted: false,
            started: false,
            skip_header: form.header,
            line: 1,
            row_bytes: 0,
            ended: false,
        }
    }

    /// Reads bytes; hands each row that is complete to `sink`.
    ///
    /// # Errors
    /// Data: a row with too few or too many values, with its line.
    pub(super) fn read(&mut self, bytes: &[u8], mut sink: impl FnMut(Row)) -> Result<()> {
        for byte in bytes {
            self.byte(*byte, &mut sink)?;
        }
        Ok(())
    }

    /// Takes the last row, where no line end follows it.
    ///
    /// # Errors
    /// Data: the row is not complete.
    pub(super) fn end(&mut self, mut sink: impl FnMut(Row)) -> Result<()> {
        if self.state == State::Quoted {
            return Err(self.wrong("a quote is not closed".to_owned()));
        }
        if self.started { self.end_row(&mut sink) } else { Ok(()) }
    }

    fn byte(&mut self, byte: u8, sink: &mut impl FnMut(Row)) -> Result<()> {
        if self.ended {
            return Ok(());
        }
        self.row_bytes += 1;
        if self.row_bytes > ROW_BYTES_MAX {
            return Err(self.wrong(format!("a row is longer than {} MiB", ROW_BYTES_MAX >> 20)));
        }
        match self.state {
            State::Quoted if byte == b'"' => self.state = State::QuoteSeen,
            State::Quoted => self.value.push(byte),
            State::QuoteSeen if byte == b'"' => {
                self.value.push(b'"');
                self.state = State::Quoted;
            }
            State::Escaped => self.escaped(byte),
            State::Plain | State::QuoteSeen => {
                self.state = State::Plain;
                match byte {
                    b'\n' => {
                        if self.value.last() == Some(&b'\r') && !self.quoted {
                            self.value.pop();
                        }
                        return self.end_row(sink);
                    }
                    b'\r' if self.quoted => {}
                    b'"' if self.form.csv && self.value.is_empty() && !self.quoted => {
                        (self.quoted, self.started) = (true, true);
                        self.state = State::Quoted;
                    }
                    b'\\' if !self.form.csv => {
                        self.started = true;
                        self.state = State::Escaped;
                    }
                    byte if byte == self.form.delimiter => {
                        self.started = true;
                        self.end_value()?;
                    }
                    byte => {
                        self.started = true;
                        self.value.push(byte);
                    }
                }
            }
        }
        Ok(())
    }

    /// What follows a backslash in text: <https://www.postgresql.org/docs/current/sql-copy.html>.
    fn escaped(&mut self, byte: u8) {
        self.state = State::Plain;
        match byte {
            b'N' if self.value.is_empty() => self.value.extend_from_slice(NULL),
            b'.' if self.value.is_empty() && self.row.is_empty() => self.ended = true,
            b'b' => self.value.push(8),
            b'f' => self.value.push(12),
            b'n' => self.value.push(b'\n'),
            b'r' => self.value.push(b'\r'),
            b't' => self.value.push(b'\t'),
            b'v' => self.value.push(11),
            other => self.value.push(other),
        }
    }

    fn end_value(&mut self) -> Result<()> {
        let bytes = std::mem::take(&mut self.value);
        let null = if self.form.csv { bytes.is_empty() && !self.quoted } else { bytes == NULL };
        self.quoted = false;
        let value = match null {
            true => None,
            false => Some(String::from_utf8(bytes).map_err(|_| self.wrong("a value is not UTF-8".to_owned()))?),
        };
        self.row.push(value);
        Ok(())
    }

    fn end_row(&mut self, sink: &mut impl FnMut(Row)) -> Result<()> {
        if self.ended {
            return Ok(());
        }
        self.end_value()?;
        let row = std::mem::take(&mut self.row);
        (self.started, self.row_bytes) = (false, 0);
        let is_header = std::mem::take(&mut self.skip_header);
        if !is_header {
            if row.len() != self.columns {
                return Err(self.wrong(format!("{} values, where {} are wanted", row.len(), self.columns)));
            }
            sink(row);
        }
        self.line += 1;
        Ok(())
    }

    fn wrong(&self, what: String) -> Error {
        Error::new(lakemill_base::ErrorKind::Data, format!("row {} of the copied data: {what}", self.line))
    }
}

/// Stands for `\N` until the value is complete: no UTF-8 text holds it.
const NULL: &[u8] = &[0xff, b'N'];

#[cfg(test)]
mod tests {
    use super::{Decoder, Form, Row};

    fn rows(form: Form, columns: usize, text: &[u8], cut: usize) -> Result<Vec<Row>, crate::Error> {
        let (mut rows, mut decoder) = (Vec::new(), Decoder::new(form, columns));
        for piece in text.chunks(cut) {
            decoder.read(piece, |row| rows.push(row))?;
        }
        decoder.end(|row| rows.push(row))?;
        Ok(rows)
    }

    fn some(values: &[&str]) -> Row {
        values.iter().map(|value| Some((*value).to_owned())).collect()
    }

    #[test]
    fn text_is_read_however_it_is_cut() {
        let form = Form { csv: false, header: false, delimiter: b'\t' };
        let text = b"1\ta\\tb\\\\c\r\n2\t\\N\n3\t\n\\.\n4\tignored\n";
        for cut in 1..text.len() {
            let read = rows(form, 2, text, cut).unwrap();
            assert_eq!(read[0], some(&["1", "a\tb\\c"]), "{cut}");
            assert_eq!(read[1][1], None);
            assert_eq!(read[2], some(&["3", ""]));
            assert_eq!(read.len(), 3);
        }
        let error = rows(form, 2, b"1\t2\n3\n", 99).unwrap_err().to_string();
        assert_eq!(error, "row 2 of the copied data: 1 values, where 2 are wanted");
    }

    #[test]
    fn csv_is_read_however_it_is_cut() {
        let form = Form { csv: true, header: true, delimiter: b',' };
        let text = b"a,b\n1,\"x \"\"y\"\",\n z\"\r\n,\"\"\n3,last";
        for cut in 1..text.len() {
            let read = rows(form, 2, text, cut).unwrap();
            assert_eq!(read[0], some(&["1", "x \"y\",\n z"]), "{cut}");
            assert_eq!(read[1], vec![None, Some(String::new())]);
            assert_eq!(read[2], some(&["3", "last"]));
        }
        assert!(rows(form, 2, b"a,b\n1,\"open", 3).unwrap_err().to_string().contains("not closed"));
        assert!(rows(form, 1, b"a\n\xff\n", 3).unwrap_err().to_string().contains("not UTF-8"));
    }
}
