//! CSV: bytes to batches, with the line of every row.
//!
//! `csv-core` splits records (RFC 4180: quoted fields may hold delimiters and line ends); fields are gathered into one
//! text column each and read as their type a batch at a time.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, NullBufferBuilder, StringArray, new_null_array};
use arrow::buffer::{Buffer, OffsetBuffer, ScalarBuffer};
use arrow::compute::filter_record_batch;
use arrow::datatypes::SchemaRef;
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use csv_core::{ReadRecordResult, Reader, ReaderBuilder};

use super::bad_rows::{BadRow, Reporter};
use super::options::TextOptions;
use super::values::read_column;
use crate::error::{Error, Result};
use crate::types::sql_type;

/// The first guess at a record's size; the buffers grow as needed.
const FIELD_BYTES: usize = 4 * 1024;
const FIELDS: usize = 64;

/// A record longer than this is a missing quote, not a record.
const RECORD_BYTES_MAX: usize = 64 * 1024 * 1024;

/// A UTF-8 byte order mark, which some programs put before the header.
pub(super) const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// Splits bytes into records.
#[derive(Debug)]
pub(super) struct Records {
    reader: Reader,
    fields: Vec<u8>,
    ends: Vec<usize>,
    used: usize,
    fields_used: usize,
    last_byte: u8,
    started: bool,
}

/// One record: its fields lie one after the other.
pub(super) struct Record<'a> {
    bytes: &'a [u8],
    ends: &'a [usize],
    /// The line on which it starts, from 1.
    pub(super) line: u64,
}

impl<'a> Record<'a> {
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(super) fn field(&self, index: usize) -> &'a [u8] {
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        &self.bytes[start..self.ends[index]]
    }

    pub(super) fn text(&self) -> String {
        let fields: Vec<_> = (0..self.len()).map(|index| String::from_utf8_lossy(self.field(index))).collect();
        fields.join(",")
    }
}

impl Records {
    pub(super) fn new(options: &TextOptions, path: &str) -> Self {
        let reader = ReaderBuilder::new()
            .delimiter(options.delimiter_of(path))
            .quote(options.quote)
            .escape(options.escape)
            .double_quote(options.escape.is_none())
            .comment(options.comment)
            .build();
        Self {
            reader,
            fields: vec![0; FIELD_BYTES],
            ends: vec![0; FIELDS],
            used: 0,
            fields_used: 0,
            last_byte: 0,
            started: false,
        }
    }

    /// Goes on in the middle of a file, between records, where the next byte is on `line`.
    pub(super) fn start_at(&mut self, line: u64) -> Result<()> {
        // An empty line is no record; what looks like a byte order mark behind it is none.
        self.started = true;
        self.feed(b"\n", |_| Ok(true))?;
        self.reader.set_line(line);
        Ok(())
    }

    /// Gives each complete record of more bytes to `take`; an empty slice ends the file. `take` says whether to go on.
    pub(super) fn feed(&mut self, mut bytes: &[u8], mut take: impl FnMut(&Record<'_>) -> Result<bool>) -> Result<bool> {
        let at_end = bytes.is_empty();
        if !self.started && !at_end {
            self.started = true;
            bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
        }
        loop {
            let (result, read, written, ended) =
                self.reader.read_record(bytes, &mut self.fields[self.used..], &mut self.ends[self.fields_used..]);
            if let Some(last) = read.checked_sub(1) {
                self.last_byte = bytes[last];
            }
            bytes = &bytes[read..];
            self.used += written;
            self.fields_used += ended;
            match result {
                ReadRecordResult::InputEmpty if at_end => {}
                ReadRecordResult::InputEmpty => return Ok(true),
                ReadRecordResult::OutputFull if self.fields.len() >= RECORD_BYTES_MAX => {
                    return Err(Error::data(format!(
                        "line {}: a row of more than {RECORD_BYTES_MAX} bytes; is a quote missing?",
                        self.reader.line()
                    )));
                }
                ReadRecordResult::OutputFull => self.fields.resize(self.fields.len() * 2, 0),
                ReadRecordResult::OutputEndsFull => self.ends.resize(self.ends.len() * 2, 0),
                ReadRecordResult::Record => {
                    let fields = &self.fields[..self.used];
                    let line_ends = bytecount(fields) + u64::from(self.last_byte == b'\n');
                    let line = self.reader.line().saturating_sub(line_ends).max(1);
                    let record = Record { bytes: fields, ends: &self.ends[..self.fields_used], line };
                    let go_on = take(&record)?;
                    (self.used, self.fields_used) = (0, 0);
                    if !go_on {
                        return Ok(false);
                    }
                }
                ReadRecordResult::End => return Ok(true),
            }
        }
    }
}

fn bytecount(bytes: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', bytes).count() as u64
}

/// A column of text that grows.
#[derive(Debug, Default)]
struct TextColumn {
    bytes: Vec<u8>,
    offsets: Vec<i32>,
}

/// Reads the records of one file into batches of a schema.
#[derive(Debug)]
pub(super) struct CsvParser {
    records: Records,
    rows: Rows,
}

#[derive(Debug)]
struct Rows {
    schema: SchemaRef,
    /// Columns that are given out; the others are read only to find bad rows.
    wanted: Vec<bool>,
    reporter: Reporter,
    null_value: Option<Vec<u8>>,
    has_header: bool,
    /// For each column of the schema, the file's field; known after the header.
    places: Vec<usize>,
    width: usize,
    columns: Vec<TextColumn>,
    nulls: Vec<NullBufferBuilder>,
    lines: Vec<u64>,
    batch_rows: usize,
    ready: Vec<RecordBatch>,
}

impl CsvParser {
    pub(super) fn new(
        options: &TextOptions,
        path: &str,
        schema: &SchemaRef,
        wanted: Vec<bool>,
        reporter: Reporter,
        batch_rows: usize,
    ) -> Self {
        let count = schema.fields().len();
        let rows = Rows {
            schema: Arc::clone(schema),
            wanted,
            reporter,
            null_value: options.null_value.as_ref().map(|text| text.as_bytes().to_vec()),
            has_header: options.has_header,
            places: (0..count).collect(),
            width: count,
            columns: (0..count).map(|_| TextColumn::default()).collect(),
            nulls: (0..count).map(|_| NullBufferBuilder::new(batch_rows)).collect(),
            lines: Vec::new(),
            batch_rows,
            ready: Vec::new(),
        };
        Self { records: Records::new(options, path), rows }
    }

    /// Goes on in the middle of the file, between records, after its header (empty where it has none).
    pub(super) fn start_at(&mut self, header: &[u8], line: u64) -> Result<()> {
        if !header.is_empty() {
            self.feed(header)?;
        }
        self.records.start_at(line)
    }

    /// Reads more bytes; an empty slice ends the file. Gives the batches that are complete.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Result<Vec<RecordBatch>> {
        let rows = &mut self.rows;
        self.records.feed(bytes, |record| rows.take(record).map(|()| true))?;
        if bytes.is_empty() {
            rows.finish_batch()?;
        }
        Ok(std::mem::take(&mut rows.ready))
    }
}

impl Rows {
    fn take(&mut self, record: &Record<'_>) -> Result<()> {
        if std::mem::take(&mut self.has_header) {
            return self.read_header(record);
        }
        if record.len() != self.width {
            let reason = format!("{} fields where the file has {} columns", record.len(), self.width);
            let text = record.text();
            return self.reporter.report(&BadRow { line: record.line, column: None, value: &text, reason });
        }
        for (column, place) in self.places.iter().enumerate() {
            let field = record.field(*place);
            let is_null = field.is_empty() || self.null_value.as_deref() == Some(field);
            let text = &mut self.columns[column];
            if is_null {
                self.nulls[column].append_null();
            } else {
                self.nulls[column].append_non_null();
                text.bytes.extend_from_slice(field);
            }
            let end = i32::try_from(text.bytes.len())
                .map_err(|_| Error::data("a batch of one text column has more than 2 GB"))?;
            text.offsets.push(end);
        }
        self.lines.push(record.line);
        if self.lines.len() >= self.batch_rows { self.finish_batch() } else { Ok(()) }
    }

    /// Columns are found by name; a header of other names but the right number of columns is taken by position.
    fn read_header(&mut self, header: &Record<'_>) -> Result<()> {
        let names: Vec<String> =
            (0..header.len()).map(|index| String::from_utf8_lossy(header.field(index)).trim().to_owned()).collect();
        let place = |name: &str| {
            names
                .iter()
                .position(|other| other == name)
                .or_else(|| names.iter().position(|other| other.eq_ignore_ascii_case(name)))
        };
        let places: Vec<Option<usize>> = self.schema.fields().iter().map(|field| place(field.name())).collect();
        self.width = names.len();
        if let Some(places) = places.iter().copied().collect::<Option<Vec<usize>>>() {
            self.places = places;
            return Ok(());
        }
        if names.len() == self.schema.fields().len() {
            return Ok(());
        }
        let missing = self.schema.fields().iter().zip(&places).find(|(_, place)| place.is_none());
        let missing = missing.map(|(field, _)| field.name().as_str()).unwrap_or_default();
        Err(Error::data(format!(
            "'{}' has no column '{missing}'; its header is: {}",
            self.reporter.file,
            names.join(", ")
        )))
    }

    fn finish_batch(&mut self) -> Result<()> {
        let count = self.lines.len();
        if count == 0 {
            return Ok(());
        }
        let lines = std::mem::take(&mut self.lines);
        let mut good = vec![true; count];
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(self.columns.len());
        for (index, field) in self.schema.clone().fields().iter().enumerate() {
            let text = self.text_column(index, field.name(), &lines, &mut good)?;
            if !self.wanted[index] && !self.reporter.skips() {
                columns.push(new_null_array(field.data_type(), count));
                continue;
            }
            let (values, bad) = read_column(&text, field.data_type())?;
            for row in bad {
                if std::mem::replace(&mut good[row], false) {
                    let reason = format!("no {}", sql_type(field.data_type()));
                    let (line, value) = (lines[row], text.value(row));
                    self.reporter.report(&BadRow { line, column: Some(field.name()), value, reason })?;
                }
            }
            columns.push(values);
        }
        let schema = Arc::new(arrow::datatypes::Schema::new(
            self.schema.fields().iter().map(|field| field.as_ref().clone().with_nullable(true)).collect::<Vec<_>>(),
        ));
        let options = RecordBatchOptions::new().with_row_count(Some(count));
        let mut batch = RecordBatch::try_new_with_options(schema, columns, &options)?;
        if good.contains(&false) {
            batch = filter_record_batch(&batch, &BooleanArray::from(good))?;
        }
        self.ready.push(batch);
        Ok(())
    }

    /// Takes a column's text out; rows that are no UTF-8 are reported and emptied.
    fn text_column(&mut self, index: usize, name: &str, lines: &[u64], good: &mut [bool]) -> Result<StringArray> {
        let column = std::mem::take(&mut self.columns[index]);
        let nulls = self.nulls[index].finish();
        let offsets = |ends: Vec<i32>| {
            let mut all = Vec::with_capacity(ends.len() + 1);
            all.push(0);
            all.extend(ends);
            OffsetBuffer::new(ScalarBuffer::from(all))
        };
        if std::str::from_utf8(&column.bytes).is_ok() {
            return Ok(StringArray::try_new(offsets(column.offsets), Buffer::from_vec(column.bytes), nulls)?);
        }
        let mut start = 0_usize;
        let mut texts = Vec::with_capacity(column.offsets.len());
        for (row, end) in column.offsets.iter().enumerate() {
            let end = usize::try_from(*end).unwrap_or_default();
            let field = &column.bytes[start..end];
            start = end;
            let is_null = nulls.as_ref().is_some_and(|nulls| nulls.is_null(row));
            match std::str::from_utf8(field) {
                Ok(text) => texts.push((!is_null).then(|| text.to_owned())),
                Err(_) => {
                    if std::mem::replace(&mut good[row], false) {
                        let value = String::from_utf8_lossy(field);
                        let reason = "bytes that are no UTF-8".to_owned();
                        let bad = BadRow { line: lines[row], column: Some(name), value: &value, reason };
                        self.reporter.report(&bad)?;
                    }
                    texts.push(None);
                }
            }
        }
        Ok(StringArray::from(texts))
    }
}
