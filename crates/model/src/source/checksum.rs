//! SHA-256 of files.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use ring::digest::{Context, SHA256};

use crate::error::{Error, Result};

const BUFFER_BYTES: usize = 1 << 20;

/// The SHA-256 of the file at `path`, in hexadecimal.
pub(super) fn of_file(path: &Path) -> Result<String> {
    let failed = |error| Error::io("cannot read", path, error);
    let mut file = File::open(path).map_err(failed)?;
    let mut sum = Sum::default();
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        match file.read(&mut buffer).map_err(failed)? {
            0 => return Ok(hexadecimal(&sum.finish())),
            count => sum.add(&buffer[..count]),
        }
    }
}

/// A SHA-256 under way.
pub(super) struct Sum(Context);

impl Default for Sum {
    fn default() -> Self {
        Self(Context::new(&SHA256))
    }
}

impl Sum {
    pub(super) fn add(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    pub(super) fn finish(self) -> Vec<u8> {
        self.0.finish().as_ref().to_vec()
    }
}

pub(super) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The bytes of base64 without padding, in the alphabet of URLs, which wheels write.
pub(super) fn from_base64(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() * 3 / 4);
    let (mut bits, mut count) = (0u32, 0);
    for letter in text.bytes() {
        let value = match letter {
            b'A'..=b'Z' => letter - b'A',
            b'a'..=b'z' => letter - b'a' + 26,
            b'0'..=b'9' => letter - b'0' + 52,
            b'-' => 62,
            b'_' => 63,
            _ => return None,
        };
        bits = (bits << 6 | u32::from(value)) & 0xFFFF;
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::{Sum, from_base64, hexadecimal};

    #[test]
    fn sums_are_those_of_the_standard() {
        // FIPS 180-4's example; the base64 is Python's `base64.urlsafe_b64encode` without padding.
        let mut sum = Sum::default();
        sum.add(b"abc");
        let sum = sum.finish();
        assert_eq!(hexadecimal(&sum), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(from_base64("ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0"), Some(sum));
        assert_eq!(from_base64("a+b"), None);
    }
}
