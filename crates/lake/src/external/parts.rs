//! How the files of a scan are shared out to its partitions: whole, or a large one in pieces.

use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;

use datafusion::datasource::file_format::file_compression_type::FileCompressionType;
use tokio::sync::OnceCell;
use url::Url;

use super::discover::{Found, RawFile};
use super::hive::KeyedFile;
use super::options::{Format, JsonLayout, TextOptions};
use super::split::{Marks, PIECE_BYTES_MIN, Piece, header, pieces};
use crate::error::{Error, Result};

/// A file, or a piece of one, that one partition reads.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub(super) file: KeyedFile,
    /// Which piece of the file; the whole file if there is none.
    pub(super) piece: Option<(usize, Arc<Pieces>)>,
}

/// The pieces of a file, found when the first of them is read.
#[derive(Debug)]
pub(super) struct Pieces {
    path: PathBuf,
    size: u64,
    count: usize,
    format: Format,
    options: TextOptions,
    cut: OnceCell<Cut>,
}

/// A file that has been cut.
#[derive(Debug)]
pub(super) struct Cut {
    /// What each piece but the first reads before itself to know the columns.
    pub(super) header: Vec<u8>,
    /// At most as many as wanted: a file of few records has fewer.
    pub(super) pieces: Vec<Piece>,
}

impl Pieces {
    /// The pieces; the first call scans the file.
    pub(super) async fn get(self: &Arc<Self>) -> Result<&Cut> {
        let cutting = || async {
            let own = Arc::clone(self);
            let cut = tokio::task::spawn_blocking(move || own.cut()).await;
            cut.map_err(|error| Error::internal(format!("the scan of a file failed: {error}")))?
        };
        self.cut.get_or_try_init(cutting).await
    }

    fn cut(&self) -> Result<Cut> {
        let whole = Cut { header: Vec::new(), pieces: vec![Piece { start: 0, end: self.size, line: 1 }] };
        let path = self.path.to_string_lossy();
        let marks = match self.format {
            Format::Csv => Marks::csv(&self.options, &path),
            _ => self.is_lines()?.then(Marks::lines),
        };
        let Some(marks) = marks else { return Ok(whole) };
        let pieces = pieces(&self.path, self.size, self.count, marks)?;
        let has_header = self.format == Format::Csv && self.options.has_header;
        let header = if has_header { header(&self.path, &self.options)? } else { Vec::new() };
        // A header that reaches into the second piece would be read twice.
        match pieces.get(1) {
            Some(second) if second.start < header.len() as u64 => Ok(whole),
            _ => Ok(Cut { header, pieces }),
        }
    }

    /// An array of JSON values has no line that ends a value for certain.
    fn is_lines(&self) -> Result<bool> {
        match self.options.layout {
            JsonLayout::Lines => return Ok(true),
            JsonLayout::Array => return Ok(false),
            JsonLayout::Auto => {}
        }
        for byte in std::io::BufReader::new(std::fs::File::open(&self.path)?).bytes() {
            let byte = byte?;
            if !byte.is_ascii_whitespace() {
                return Ok(byte != b'[');
            }
        }
        Ok(false)
    }
}

/// Gives each file, largest first, to the partition that has least. A file that is more than a partition's share is cut,
/// if it lies on this machine and is not compressed.
pub(super) fn spread(
    files: &[&KeyedFile],
    partitions: usize,
    found: &Found,
    format: Format,
    options: &TextOptions,
) -> Vec<Vec<Part>> {
    let total: u64 = files.iter().map(|file| file.file.meta.size).sum();
    let share = total / partitions.max(1) as u64;
    let mut parts: Vec<(u64, Part)> = Vec::with_capacity(files.len());
    for file in files {
        let size = file.file.meta.size;
        let count = usize::try_from(size / PIECE_BYTES_MIN).unwrap_or(usize::MAX).min(partitions);
        let path = if size > share && count > 1 { cuttable(&file.file, found, options) } else { None };
        let Some(path) = path else {
            parts.push((size, Part { file: (*file).clone(), piece: None }));
            continue;
        };
        let pieces = Arc::new(Pieces { path, size, count, format, options: options.clone(), cut: OnceCell::new() });
        let piece = |index| Part { file: (*file).clone(), piece: Some((index, Arc::clone(&pieces))) };
        parts.extend((0..count).map(|index| (size / count as u64, piece(index))));
    }
    share_out(parts, partitions)
}

/// As [`spread`], with no file cut.
pub(super) fn whole(files: &[&KeyedFile], partitions: usize) -> Vec<Vec<Part>> {
    let part = |file: &&KeyedFile| (file.file.meta.size, Part { file: (*file).clone(), piece: None });
    share_out(files.iter().map(part).collect(), partitions)
}

fn share_out(mut parts: Vec<(u64, Part)>, partitions: usize) -> Vec<Vec<Part>> {
    parts.sort_by_key(|(size, _)| std::cmp::Reverse(*size));
    let mut groups: Vec<(u64, Vec<Part>)> = vec![(0, Vec::new()); partitions.clamp(1, parts.len().max(1))];
    for (size, part) in parts {
        if let Some(least) = groups.iter_mut().min_by_key(|(bytes, _)| *bytes) {
            least.0 += size;
            least.1.push(part);
        }
    }
    groups.into_iter().map(|(_, parts)| parts).collect()
}

/// The path of a file whose bytes can be read from any place on.
fn cuttable(file: &RawFile, found: &Found, options: &TextOptions) -> Option<PathBuf> {
    if options.compression_of(file.meta.location.as_ref()) != FileCompressionType::UNCOMPRESSED {
        return None;
    }
    let url = Url::parse(&found.url_of(file).ok()?).ok()?;
    if url.scheme() == "file" { url.to_file_path().ok() } else { None }
}
