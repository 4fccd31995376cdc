//! Values of the metadata. Texts and lists are places in the file, checked when the header was read.

use std::ops::Range;

/// The type of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    U8,
    I8,
    U16,
    I16,
    U32,
    I32,
    F32,
    Bool,
    Text,
    Array,
    U64,
    I64,
    F64,
}

impl Kind {
    /// The type of the number `id`.
    pub(super) fn of(id: u32) -> Option<Self> {
        const KINDS: [Kind; 13] = [
            Kind::U8,
            Kind::I8,
            Kind::U16,
            Kind::I16,
            Kind::U32,
            Kind::I32,
            Kind::F32,
            Kind::Bool,
            Kind::Text,
            Kind::Array,
            Kind::U64,
            Kind::I64,
            Kind::F64,
        ];
        KINDS.get(id as usize).copied()
    }

    /// The bytes of a value, or the least bytes of one whose length varies.
    pub(super) fn bytes(self) -> usize {
        match self {
            Self::U8 | Self::I8 | Self::Bool => 1,
            Self::U16 | Self::I16 => 2,
            Self::U32 | Self::I32 | Self::F32 => 4,
            Self::U64 | Self::I64 | Self::F64 | Self::Text => 8,
            Self::Array => 12,
        }
    }

    /// The value of the little-endian `bytes`, as many as `bytes()` says.
    fn read(self, bytes: &[u8]) -> Number {
        let mut raw = [0; 8];
        raw[..self.bytes()].copy_from_slice(bytes);
        let unsigned = u64::from_le_bytes(raw);
        match self {
            Self::I8 => Number::Integer(i128::from(unsigned as i8)),
            Self::I16 => Number::Integer(i128::from(unsigned as i16)),
            Self::I32 => Number::Integer(i128::from(unsigned as i32)),
            Self::I64 => Number::Integer(i128::from(unsigned as i64)),
            Self::F32 => Number::Float(f64::from(f32::from_bits(unsigned as u32))),
            Self::F64 => Number::Float(f64::from_bits(unsigned)),
            Self::Bool => Number::Bool(unsigned != 0),
            _ => Number::Integer(i128::from(unsigned)),
        }
    }
}

/// A value of the metadata.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Number(Number),
    Text(Range<usize>),
    List { kind: Kind, count: usize, bytes: Range<usize> },
}

/// A value of fixed length.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Number {
    Integer(i128),
    Float(f64),
    Bool(bool),
}

impl Value {
    pub(super) fn scalar(kind: Kind, bytes: &[u8]) -> Self {
        Self::Number(kind.read(bytes))
    }

    /// What the value is, for errors.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Number(Number::Integer(value)) if *value < 0 => "a negative number",
            Self::Number(Number::Integer(_)) => "a whole number",
            Self::Number(Number::Float(_)) => "a number",
            Self::Number(Number::Bool(_)) => "a truth value",
            Self::Text(_) => "a text",
            Self::List { .. } => "a list",
        }
    }

    pub(super) fn text<'a>(&self, file: &'a [u8]) -> Result<&'a str, &'static str> {
        match self {
            Self::Text(range) => std::str::from_utf8(&file[range.clone()]).map_err(|_| "a text in UTF-8"),
            _ => Err("a text"),
        }
    }

    pub(super) fn integer(&self) -> Result<u64, &'static str> {
        match self {
            Self::Number(Number::Integer(value)) => u64::try_from(*value).map_err(|_| "a whole number of at least 0"),
            _ => Err("a whole number"),
        }
    }

    pub(super) fn float(&self) -> Result<f64, &'static str> {
        match self {
            Self::Number(Number::Integer(value)) => Ok(*value as f64),
            Self::Number(Number::Float(value)) => Ok(*value),
            _ => Err("a number"),
        }
    }

    pub(super) fn boolean(&self) -> Result<bool, &'static str> {
        match self {
            Self::Number(Number::Bool(value)) => Ok(*value),
            _ => Err("a truth value"),
        }
    }

    pub(super) fn texts<'a>(&self, file: &'a [u8]) -> Result<Vec<&'a str>, &'static str> {
        const ASKED: &str = "a list of texts";
        let Self::List { kind: Kind::Text, count, bytes } = self else { return Err(ASKED) };
        let mut rest = &file[bytes.clone()];
        let mut texts = Vec::with_capacity(*count);
        for _ in 0..*count {
            let (length, after) = rest.split_first_chunk::<8>().ok_or(ASKED)?;
            let (text, after) = after.split_at_checked(u64::from_le_bytes(*length) as usize).ok_or(ASKED)?;
            texts.push(std::str::from_utf8(text).map_err(|_| "a list of texts in UTF-8")?);
            rest = after;
        }
        Ok(texts)
    }

    pub(super) fn integers(&self, file: &[u8]) -> Result<Vec<i64>, &'static str> {
        self.numbers(file, |number| match number {
            Number::Integer(value) => i64::try_from(value).ok(),
            _ => None,
        })
        .ok_or("a list of whole numbers")
    }

    pub(super) fn floats(&self, file: &[u8]) -> Result<Vec<f32>, &'static str> {
        self.numbers(file, |number| match number {
            Number::Float(value) => Some(value as f32),
            Number::Integer(value) => Some(value as f32),
            Number::Bool(_) => None,
        })
        .ok_or("a list of numbers")
    }

    fn numbers<T>(&self, file: &[u8], read: impl Fn(Number) -> Option<T>) -> Option<Vec<T>> {
        let Self::List { kind, bytes, .. } = self else { return None };
        if matches!(kind, Kind::Text | Kind::Array) {
            return None;
        }
        file[bytes.clone()].chunks_exact(kind.bytes()).map(|bytes| read(kind.read(bytes))).collect()
    }
}
