//! Where rows go: standard output, or a file that appears only once it is whole.

use std::fs::{self, File};
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::Format;
use crate::failure::Problem;

/// Bytes gathered before they are handed to the system.
const BUFFER_BYTES: usize = 256 * 1024;

/// The place that results are printed to.
#[derive(Debug)]
pub(crate) enum Target {
    /// Standard output.
    Stdout,
    /// A file, from `--output` or `\o`.
    File(OutputFile),
}

impl Target {
    /// A writer for one more result in `format`.
    pub(crate) fn writer(&mut self, format: Format) -> Result<Box<dyn Write + Send + '_>> {
        match self {
            Self::Stdout => {
                let stdout = io::stdout();
                if format == Format::Parquet && stdout.is_terminal() {
                    return Err(Problem::invalid(
                        "parquet is not for a terminal; name a file with --output or \\o, or send it to a pipe",
                    )
                    .into());
                }
                Ok(Box::new(BufWriter::with_capacity(BUFFER_BYTES, stdout)))
            }
            Self::File(file) => {
                if format == Format::Parquet && file.results > 0 {
                    let path = file.path.display();
                    let text = format!("a parquet file holds one result; '{path}' has one already");
                    return Err(Problem::invalid(text).into());
                }
                file.results += 1;
                Ok(Box::new(&mut file.out))
            }
        }
    }

    /// Ends the target: a file gets its name now.
    pub(crate) fn finish(self) -> Result<()> {
        match self {
            Self::Stdout => Ok(io::stdout().flush()?),
            Self::File(file) => file.finish(),
        }
    }
}

/// A file being written. It is written beside its final name and renamed at the end, so that nobody reads
/// half a result; without [`OutputFile::finish`] it is removed again.
#[derive(Debug)]
pub(crate) struct OutputFile {
    path: PathBuf,
    /// The name it is written under; `None` for pipes and devices, which are written in place.
    partial: Option<PathBuf>,
    out: BufWriter<File>,
    results: u64,
}

impl OutputFile {
    /// Starts the file.
    pub(crate) fn create(path: &Path) -> Result<Self> {
        let in_place = fs::metadata(path).is_ok_and(|meta| !meta.is_file());
        let context = || format!("cannot write '{}'", path.display());
        if path.is_dir() {
            return Err(Problem::invalid(format!("cannot write '{}': it is a folder", path.display())).into());
        }
        let partial = if in_place { None } else { Some(partial_name(path)) };
        let written = partial.as_deref().unwrap_or(path);
        let file =
            File::options().write(true).create(!in_place).truncate(!in_place).open(written).with_context(context)?;
        Ok(Self { path: path.to_owned(), partial, out: BufWriter::with_capacity(BUFFER_BYTES, file), results: 0 })
    }

    /// Gives the file its name.
    fn finish(mut self) -> Result<()> {
        let context = format!("cannot write '{}'", self.path.display());
        self.out.flush().with_context(|| context.clone())?;
        if let Some(partial) = self.partial.take() {
            fs::rename(&partial, &self.path).with_context(|| context)?;
        }
        Ok(())
    }
}

impl Drop for OutputFile {
    fn drop(&mut self) {
        if let Some(partial) = self.partial.take() {
            // Nothing can be done about a file that will not go; its name says what it is.
            let _ = fs::remove_file(partial);
        }
    }
}

fn partial_name(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.partial", std::process::id()));
    path.with_file_name(name)
}
