//! A file as bytes, mapped into memory: read on first touch, shared among processes, dropped under pressure.
//!
//! Stands here because a map is unsafe by nature. What reads the bytes is elsewhere and safe.

#![expect(unsafe_code, reason = "a map of a file is unsafe by nature")]

use std::fs::File;
use std::io;
use std::ops::Deref;
use std::path::Path;

/// The bytes of a file, or bytes that were given.
#[derive(Debug)]
pub struct Map(Bytes);

#[derive(Debug)]
enum Bytes {
    Mapped(memmap2::Mmap),
    Owned(Vec<u8>),
}

impl Map {
    /// Maps the file at `path`. Fails when there is none, when it is a folder or when the system has no room.
    ///
    /// The file must not be shortened while the map lives: the system would stop the process at the first touch of
    /// what is gone. Model files are put in place whole, by a rename, and replaced rather than rewritten.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a file"));
        }
        if metadata.len() == 0 {
            return Ok(Self(Bytes::Owned(Vec::new())));
        }
        // SAFETY: the map is read-only and private to this value, and the bytes are plain u8, for which every
        // content is valid. Another process that writes the file can change the values that are read, as it could
        // with any other read; nothing here relies on two reads being equal. Shortening is ruled out above.
        let map = unsafe { memmap2::Mmap::map(&file)? };
        Ok(Self(Bytes::Mapped(map)))
    }
}

impl Deref for Map {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.0 {
            Bytes::Mapped(map) => map,
            Bytes::Owned(bytes) => bytes,
        }
    }
}

impl From<Vec<u8>> for Map {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Bytes::Owned(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::Map;

    #[test]
    fn a_map_shows_the_bytes_of_its_file() {
        let path = std::env::current_exe().unwrap();
        assert!(*Map::open(&path).unwrap() == *std::fs::read(&path).unwrap());
    }

    #[test]
    fn a_folder_and_a_missing_file_are_refused() {
        let folder = std::env::temp_dir();
        assert!(Map::open(&folder).is_err());
        assert_eq!(Map::open(&folder.join("no such file")).unwrap_err().kind(), std::io::ErrorKind::NotFound);
    }
}
