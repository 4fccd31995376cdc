//! JSON: one value per line, or one array of values.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::json::ReaderBuilder;
use arrow::record_batch::RecordBatch;

use super::bad_rows::{BadRow, Reporter};
use super::options::JsonLayout;
use crate::error::{Error, Result};

/// A value longer than this is a missing bracket, not a value.
const VALUE_BYTES_MAX: usize = 256 * 1024 * 1024;

/// Cuts bytes into the text of single values.
#[derive(Debug)]
pub(super) struct Values {
    layout: JsonLayout,
    pending: Vec<u8>,
    line: u64,
    /// Within an array: where the scan of `pending` stands.
    scan: ArrayScan,
}

#[derive(Debug, Default)]
struct ArrayScan {
    position: usize,
    depth: u32,
    in_string: bool,
    escaped: bool,
    start: Option<(usize, u64)>,
}

impl Values {
    pub(super) fn new(layout: JsonLayout) -> Self {
        Self { layout, pending: Vec::new(), line: 1, scan: ArrayScan::default() }
    }

    /// Gives each complete value with its line to `take`; an empty slice ends the file. `take` says whether to go on.
    pub(super) fn feed(&mut self, bytes: &[u8], mut take: impl FnMut(&[u8], u64) -> Result<bool>) -> Result<bool> {
        let at_end = bytes.is_empty();
        self.pending.extend_from_slice(bytes);
        if self.layout == JsonLayout::Auto {
            let first = self.pending.iter().find(|byte| !byte.is_ascii_whitespace());
            self.layout = match first {
                None if at_end => return Ok(true),
                None => return Ok(true),
                Some(b'[') => JsonLayout::Array,
                Some(_) => JsonLayout::Lines,
            };
        }
        let go_on = match self.layout {
            JsonLayout::Array => self.cut_array(&mut take)?,
            _ => self.cut_lines(at_end, &mut take)?,
        };
        if self.pending.len() > VALUE_BYTES_MAX {
            return Err(Error::data(format!(
                "line {}: a value of more than {VALUE_BYTES_MAX} bytes; is a bracket or a quote missing?",
                self.line
            )));
        }
        if go_on && at_end && self.layout == JsonLayout::Array && (self.scan.start.is_some() || self.scan.depth > 0) {
            return Err(Error::data(format!("line {}: the file ends within a value; it is cut short", self.line)));
        }
        Ok(go_on)
    }

    fn cut_lines(&mut self, at_end: bool, take: &mut impl FnMut(&[u8], u64) -> Result<bool>) -> Result<bool> {
        let mut start = 0;
        let mut go_on = true;
        while go_on {
            let end = memchr::memchr(b'\n', &self.pending[start..]).map(|length| start + length);
            let Some(end) = end.or_else(|| (at_end && start < self.pending.len()).then_some(self.pending.len())) else {
                break;
            };
            let value = self.pending[start..end].trim_ascii();
            if !value.is_empty() {
                go_on = take(value, self.line)?;
            }
            self.line += 1;
            start = (end + 1).min(self.pending.len());
        }
        self.pending.drain(..start);
        Ok(go_on)
    }

    fn cut_array(&mut self, take: &mut impl FnMut(&[u8], u64) -> Result<bool>) -> Result<bool> {
        let mut done = 0;
        let mut go_on = true;
        let scan = &mut self.scan;
        while go_on && scan.position < self.pending.len() {
            let byte = self.pending[scan.position];
            scan.position += 1;
            if byte == b'\n' {
                self.line += 1;
            }
            if scan.in_string {
                (scan.in_string, scan.escaped) = match byte {
                    _ if scan.escaped => (true, false),
                    b'\\' => (true, true),
                    b'"' => (false, false),
                    _ => (true, false),
                };
                continue;
            }
            match byte {
                b'{' | b'[' => {
                    scan.depth += 1;
                    if scan.depth == 2 && scan.start.is_none() {
                        scan.start = Some((scan.position - 1, self.line));
                    }
                }
                b'}' | b']' => scan.depth = scan.depth.saturating_sub(1),
                b'"' => scan.in_string = true,
                _ => {}
            }
            // A value of the array is complete when the scan is back at the array's own depth.
            if let (1, b'}' | b']', Some((start, line))) = (scan.depth, byte, scan.start) {
                go_on = take(&self.pending[start..scan.position], line)?;
                scan.start = None;
                done = scan.position;
            }
        }
        if self.scan.start.is_none() {
            done = self.scan.position;
        }
        let cut = self.scan.start.map_or(done, |(start, _)| start);
        self.pending.drain(..cut);
        self.scan.position -= cut;
        if let Some((start, _)) = &mut self.scan.start {
            *start -= cut;
        }
        Ok(go_on)
    }
}

/// Reads the values of one file into batches of a schema.
#[derive(Debug)]
pub(super) struct JsonParser {
    values: Values,
    rows: Rows,
}

#[derive(Debug)]
struct Rows {
    schema: SchemaRef,
    reporter: Reporter,
    text: Vec<u8>,
    /// End in `text` and line of each value.
    ends: Vec<(usize, u64)>,
    batch_rows: usize,
    ready: Vec<RecordBatch>,
}

impl JsonParser {
    pub(super) fn new(layout: JsonLayout, schema: &SchemaRef, reporter: Reporter, batch_rows: usize) -> Self {
        let schema = Arc::new(arrow::datatypes::Schema::new(
            schema.fields().iter().map(|field| field.as_ref().clone().with_nullable(true)).collect::<Vec<_>>(),
        ));
        let rows = Rows { schema, reporter, text: Vec::new(), ends: Vec::new(), batch_rows, ready: Vec::new() };
        Self { values: Values::new(layout), rows }
    }

    /// Goes on in the middle of a file of lines.
    pub(super) fn start_at(&mut self, line: u64) {
        self.values.layout = JsonLayout::Lines;
        self.values.line = line;
    }

    /// Reads more bytes; an empty slice ends the file. Gives the batches that are complete.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Result<Vec<RecordBatch>> {
        let rows = &mut self.rows;
        self.values.feed(bytes, |value, line| {
            rows.text.extend_from_slice(value);
            rows.text.push(b'\n');
            rows.ends.push((rows.text.len(), line));
            if rows.ends.len() >= rows.batch_rows { rows.finish_batch().map(|()| true) } else { Ok(true) }
        })?;
        if bytes.is_empty() {
            rows.finish_batch()?;
        }
        Ok(std::mem::take(&mut rows.ready))
    }
}

impl Rows {
    /// All values at once; only if that fails, one by one, to find the bad ones.
    fn finish_batch(&mut self) -> Result<()> {
        if self.ends.is_empty() {
            return Ok(());
        }
        let text = std::mem::take(&mut self.text);
        let ends = std::mem::take(&mut self.ends);
        if let Ok(Some(batch)) = self.decode(&text, ends.len()) {
            self.ready.push(batch);
            return Ok(());
        }
        let mut good = Vec::with_capacity(text.len());
        let (mut start, mut count) = (0, 0);
        for (end, line) in ends {
            let value = &text[start..end];
            start = end;
            match self.decode(value, 1) {
                Ok(_) => {
                    good.extend_from_slice(value);
                    count += 1;
                }
                Err(error) => {
                    let value = String::from_utf8_lossy(value.trim_ascii());
                    let (column, reason) = explain(&error);
                    let column = column.as_deref();
                    self.reporter.report(&BadRow { line, column, value: &value, reason })?;
                }
            }
        }
        if count > 0 {
            self.ready.extend(self.decode(&good, count)?);
        }
        Ok(())
    }

    fn decode(&self, text: &[u8], rows: usize) -> Result<Option<RecordBatch>, ArrowError> {
        let mut decoder = ReaderBuilder::new(Arc::clone(&self.schema)).with_batch_size(rows).build_decoder()?;
        let mut read = 0;
        while read < text.len() {
            let more = decoder.decode(&text[read..])?;
            if more == 0 {
                break;
            }
            read += more;
        }
        if decoder.has_partial_record() {
            return Err(ArrowError::JsonError("the value is cut short".into()));
        }
        if decoder.len() != rows {
            return Err(ArrowError::JsonError(format!("{} values in one line", decoder.len())));
        }
        decoder.flush()
    }
}

/// The column and the reason in a decoder's text: `whilst decoding field 'a': expected ..`.
fn explain(error: &ArrowError) -> (Option<String>, String) {
    let text = match error {
        ArrowError::JsonError(text) | ArrowError::ParseError(text) | ArrowError::InvalidArgumentError(text) => {
            text.clone()
        }
        other => other.to_string(),
    };
    let mut column: Option<String> = None;
    let mut rest = text.as_str();
    while let Some(tail) = rest.strip_prefix("whilst decoding field '") {
        let Some((name, tail)) = tail.split_once("': ") else { break };
        column = Some(column.map_or_else(|| name.to_owned(), |outer| format!("{outer}.{name}")));
        rest = tail.trim_start_matches("Json error: ").trim_start_matches("Parser error: ");
    }
    (column, rest.to_owned())
}
