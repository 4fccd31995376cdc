//! Where a large text file can be cut so that several threads read it.
//!
//! A line end cuts a CSV file only outside of quotes and comments, and whether it is outside depends on all bytes before
//! it. So the file is scanned once from its start for the few bytes that matter, far faster than it is parsed, and cut
//! behind line ends that are known to end a record.
//!
//! **Architecture invariant:** the pieces' records are those of the whole file, in the file's order; the scan follows
//! the states of `csv-core`, against which it is tested on every kind of input.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use memchr::{memchr, memchr_iter, memchr2};

use super::csv::{BYTE_ORDER_MARK, Records};
use super::options::TextOptions;
use crate::error::Result;

/// A piece smaller than this is not worth a thread.
pub(super) const PIECE_BYTES_MIN: u64 = 16 * 1024 * 1024;

/// Bytes that are scanned at once.
const BLOCK_BYTES: usize = 1024 * 1024;

/// A part of a file that begins and ends between records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) start: u64,
    pub(super) end: u64,
    /// The line of its first byte, from 1.
    pub(super) line: u64,
}

/// The bytes that decide where records end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Marks {
    /// None: every line end ends a record, as in JSON lines.
    csv: Option<CsvMarks>,
}

#[derive(Clone, Copy, Debug)]
struct CsvMarks {
    delimiter: u8,
    quote: u8,
    escape: Option<u8>,
    comment: Option<u8>,
}

impl Marks {
    /// Every line is a record.
    pub(super) const fn lines() -> Self {
        Self { csv: None }
    }

    /// A CSV file's. `None` if the options give one byte two meanings, so that the scan could not tell them apart.
    pub(super) fn csv(options: &TextOptions, path: &str) -> Option<Self> {
        let delimiter = options.delimiter_of(path);
        let marks = CsvMarks { delimiter, quote: options.quote, escape: options.escape, comment: options.comment };
        let mut bytes = vec![b'\n', b'\r', delimiter, options.quote];
        bytes.extend(options.escape);
        bytes.extend(options.comment);
        let mut distinct = bytes.clone();
        distinct.sort_unstable();
        distinct.dedup();
        (distinct.len() == bytes.len()).then_some(Self { csv: Some(marks) })
    }
}

/// Cuts a local file into at most `count` pieces of about the same size.
pub(super) fn pieces(path: &Path, size: u64, count: usize, marks: Marks) -> Result<Vec<Piece>> {
    let mut file = File::open(path)?;
    let mut scan = Scan::new(marks, size, count);
    let mut block = vec![0; BLOCK_BYTES];
    while !scan.is_done() {
        match file.read(&mut block)? {
            0 => break,
            read => scan.feed(&block[..read]),
        }
    }
    Ok(scan.finish(size))
}

/// The bytes of a CSV file up to the end of its first record.
pub(super) fn header(path: &Path, options: &TextOptions) -> Result<Vec<u8>> {
    let mut file = BufReader::new(File::open(path)?);
    let mut records = Records::new(options, &path.to_string_lossy());
    records.start_at(1)?;
    let mut header = Vec::new();
    loop {
        let block = file.fill_buf()?;
        if block.is_empty() {
            return Ok(header);
        }
        let begin = if header.is_empty() { marks_length(block) } else { 0 };
        header.extend_from_slice(&block[..begin]);
        // Byte by byte, to stop at the record's end.
        for byte in &block[begin..] {
            header.push(*byte);
            if !records.feed(std::slice::from_ref(byte), |_| Ok(false))? {
                return Ok(header);
            }
        }
        let used = block.len();
        file.consume(used);
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Between records, or in a field without quotes.
    Outside,
    Quoted,
    /// Behind an escape in a quoted field.
    Escaped,
    /// Behind a quote in a quoted field: it ends the field, or is the first of two.
    Closing,
    Comment,
}

#[derive(Debug)]
struct Scan {
    marks: Marks,
    state: State,
    /// The byte before the next one; none at the file's start.
    previous: Option<u8>,
    /// Where the next byte stands in the file.
    offset: u64,
    line: u64,
    /// Places behind which a cut is wanted, in order.
    wanted: Vec<u64>,
    cuts: Vec<(u64, u64)>,
}

impl Scan {
    fn new(marks: Marks, size: u64, count: usize) -> Self {
        let count = count.max(1) as u64;
        let wanted = (1..count).map(|part| size / count * part).filter(|at| *at > 0).rev().collect();
        Self { marks, state: State::Outside, previous: None, offset: 0, line: 1, wanted, cuts: Vec::new() }
    }

    fn is_done(&self) -> bool {
        self.wanted.is_empty()
    }

    fn feed(&mut self, bytes: &[u8]) {
        let mut counted = 0;
        let begin = if self.offset == 0 { marks_length(bytes) } else { 0 };
        let mut at = begin;
        while at < bytes.len() {
            let outside_from = at;
            at = match self.state {
                State::Outside => {
                    let mark = self.next_mark(&bytes[at..]).map_or(bytes.len(), |length| at + length);
                    self.cut_between(bytes, outside_from, mark, &mut counted);
                    if mark < bytes.len() {
                        let before = if mark > begin { Some(bytes[mark - 1]) } else { self.previous };
                        self.state = self.state_after(bytes[mark], before);
                    }
                    mark + 1
                }
                State::Quoted => self.end_of_quoted(bytes, at),
                State::Escaped => {
                    self.state = State::Quoted;
                    at + 1
                }
                State::Closing => {
                    let doubled = self.marks.csv.is_some_and(|csv| csv.escape.is_none() && bytes[at] == csv.quote);
                    self.state = if doubled { State::Quoted } else { State::Outside };
                    at + usize::from(doubled)
                }
                // The line end itself stands outside: a record may begin behind it.
                State::Comment => match memchr(b'\n', &bytes[at..]) {
                    Some(length) => {
                        self.state = State::Outside;
                        at + length
                    }
                    None => bytes.len(),
                },
            };
        }
        self.line += memchr_iter(b'\n', &bytes[counted..]).count() as u64;
        self.offset += bytes.len() as u64;
        self.previous = bytes.last().copied().or(self.previous);
    }

    /// The next byte that may leave the state Outside.
    fn next_mark(&self, bytes: &[u8]) -> Option<usize> {
        let csv = self.marks.csv?;
        match csv.comment {
            Some(comment) => memchr2(csv.quote, comment, bytes),
            None => memchr(csv.quote, bytes),
        }
    }

    /// A quote opens a field only at the field's start, a comment a line only at the line's.
    fn state_after(&self, mark: u8, before: Option<u8>) -> State {
        let Some(csv) = self.marks.csv else { return State::Outside };
        let starts_record = matches!(before, None | Some(b'\n' | b'\r'));
        if mark == csv.quote && (starts_record || before == Some(csv.delimiter)) {
            State::Quoted
        } else if Some(mark) == csv.comment && starts_record {
            State::Comment
        } else {
            State::Outside
        }
    }

    fn end_of_quoted(&mut self, bytes: &[u8], at: usize) -> usize {
        let Some(csv) = self.marks.csv else { return at };
        let found = match csv.escape {
            Some(escape) => memchr2(csv.quote, escape, &bytes[at..]),
            None => memchr(csv.quote, &bytes[at..]),
        };
        let Some(length) = found else { return bytes.len() };
        self.state = if bytes[at + length] == csv.quote { State::Closing } else { State::Escaped };
        at + length + 1
    }

    /// Cuts behind the first line end at each wanted place, as far as `from..to`, all outside, reaches.
    fn cut_between(&mut self, bytes: &[u8], from: usize, to: usize, counted: &mut usize) {
        let mut from = from;
        while let Some(wanted) = self.wanted.last().copied() {
            // The line end may be the byte right before the wanted place.
            let skip = usize::try_from((wanted - 1).saturating_sub(self.offset)).unwrap_or(usize::MAX);
            from = from.max(skip);
            if from >= to {
                return;
            }
            let Some(length) = memchr(b'\n', &bytes[from..to]) else { return };
            let behind = from + length + 1;
            self.line += memchr_iter(b'\n', &bytes[*counted..behind]).count() as u64;
            *counted = behind;
            let cut = self.offset + behind as u64;
            self.cuts.push((cut, self.line));
            while self.wanted.last().is_some_and(|wanted| *wanted <= cut) {
                self.wanted.pop();
            }
            from = behind;
        }
    }

    fn finish(self, size: u64) -> Vec<Piece> {
        let starts = std::iter::once((0, 1)).chain(self.cuts.iter().copied().filter(|(cut, _)| *cut < size));
        let ends = self.cuts.iter().map(|(cut, _)| *cut).filter(|cut| *cut < size).chain([size]);
        starts.zip(ends).map(|((start, line), end)| Piece { start, end, line }).collect()
    }
}

/// The length of the byte order mark at a file's start; the reader takes off a second one too.
fn marks_length(bytes: &[u8]) -> usize {
    let rest = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
    bytes.len() - rest.strip_prefix(BYTE_ORDER_MARK).unwrap_or(rest).len()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::csv::Records;
    use super::super::options::{Format, TextOptions};
    use super::{Marks, Piece, Scan};

    fn options(given: &[(&str, &str)]) -> TextOptions {
        let given: BTreeMap<String, String> =
            given.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        TextOptions::parse(Format::Csv, &given).unwrap()
    }

    fn cut(text: &[u8], count: usize, step: usize, marks: Marks) -> Vec<Piece> {
        let mut scan = Scan::new(marks, text.len() as u64, count);
        text.chunks(step).for_each(|chunk| scan.feed(chunk));
        scan.finish(text.len() as u64)
    }

    /// All records with their lines, read as the scan of one piece reads them.
    fn records(text: &[u8], line: u64, options: &TextOptions) -> Vec<(u64, String)> {
        let mut records = Records::new(options, "x.csv");
        records.start_at(line).unwrap();
        let mut found = Vec::new();
        let mut take = |record: &super::super::csv::Record<'_>| {
            let fields: Vec<_> =
                (0..record.len()).map(|at| String::from_utf8_lossy(record.field(at)).into_owned()).collect();
            found.push((record.line, fields.join("|")));
            Ok(true)
        };
        if !text.is_empty() {
            records.feed(text, &mut take).unwrap();
        }
        records.feed(&[], &mut take).unwrap();
        found
    }

    #[test]
    fn quoted_line_ends_do_not_cut() {
        let text = b"a,\"x\ny\nz\nx\ny\nz\"\nb,\"2\"\"\n\"\nc,5\" wide\nd,4\n";
        let pieces = cut(text, 4, 3, Marks::csv(&options(&[]), "x.csv").unwrap());
        let texts: Vec<_> = pieces
            .iter()
            .map(|piece| std::str::from_utf8(&text[piece.start as usize..piece.end as usize]).unwrap())
            .collect();
        assert_eq!(texts, ["a,\"x\ny\nz\nx\ny\nz\"\n", "b,\"2\"\"\n\"\n", "c,5\" wide\n", "d,4\n"]);
        assert_eq!(pieces.iter().map(|piece| piece.line).collect::<Vec<_>>(), [1, 7, 9, 10]);
    }

    /// Every text over the bytes that matter, cut into every number of pieces, against the whole.
    #[test]
    fn pieces_hold_the_records_of_the_whole() {
        let dialects: [&[(&str, &str)]; 4] =
            [&[], &[("escape", "\\")], &[("comment", "#")], &[("escape", "\\"), ("comment", "#")]];
        let alphabet = b"a,\"\n\r#\\";
        let mut random = lakemill_base::SplitMix64::new(7);
        for given in dialects {
            let options = options(given);
            let marks = Marks::csv(&options, "x.csv").unwrap();
            for _ in 0..20_000 {
                let length = (random.next_u64() % 40) as usize;
                let text: Vec<u8> =
                    (0..length).map(|_| alphabet[(random.next_u64() % alphabet.len() as u64) as usize]).collect();
                let whole = records(&text, 1, &options);
                for (count, step) in [(2, 1), (3, 5), (7, 64)] {
                    let pieces = cut(&text, count, step, marks);
                    let mut parts = Vec::new();
                    for piece in &pieces {
                        parts.extend(records(&text[piece.start as usize..piece.end as usize], piece.line, &options));
                    }
                    assert_eq!(parts, whole, "{:?} {pieces:?}", String::from_utf8_lossy(&text));
                }
            }
        }
    }

    #[test]
    fn one_byte_with_two_meanings_is_not_cut() {
        assert!(Marks::csv(&options(&[("delimiter", "#"), ("comment", "#")]), "x.csv").is_none());
        assert!(Marks::csv(&options(&[("quote", "'")]), "x.csv").is_some());
    }
}
