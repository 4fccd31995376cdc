//! A segment: the graph over the vectors of one data file, whose numbers are the rows of the file.
//!
//! As bytes: a mark of eight bytes, the BLAKE3 digest of all that follows, the length of the header in four bytes (the least
//! first), the header as JSON, and the graph. A segment whose content does not fit its digest is not used.

use std::borrow::Cow;

use lakemill_kernels::graph::{Graph, Measure, Shape};
use serde::{Deserialize, Serialize};

use super::Definition;
use crate::model::search::Distance;

/// What a segment begins with; the last character is the version.
const MARK: &[u8; 8] = b"LMVECTR1";
const DIGEST_BYTES: usize = blake3::OUT_LEN;
const LENGTH_BYTES: usize = 4;
/// Where the header begins.
const HEADER_AT: usize = MARK.len() + DIGEST_BYTES + LENGTH_BYTES;

/// What is known of a segment beside its graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Header {
    /// Rows of the data file.
    pub(super) rows: usize,
    /// Rows that have a vector.
    pub(super) vectors: usize,
    /// Elements of each vector; 0 where there is none.
    pub(super) dimensions: usize,
    pub(super) distance: Distance,
    pub(super) connectivity: usize,
}

/// A segment that can be searched.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) header: Header,
    /// `None` where no row has a vector.
    graph: Option<Graph>,
}

/// The shape of the graph over vectors of an index.
pub(super) fn shape(definition: &Definition, dimensions: usize) -> Shape {
    Shape {
        dimensions,
        measure: measure(definition.distance),
        connectivity: definition.connectivity,
        breadth: definition.ef_construction,
    }
}

fn measure(distance: Distance) -> Measure {
    match distance {
        Distance::Euclidean => Measure::SquaredDistance,
        Distance::Cosine | Distance::DotProduct => Measure::NegativeProduct,
    }
}

/// A vector as the graph has it: for the cosine of length 1.
pub(super) fn prepared(distance: Distance, vector: &[f32], norm: f32) -> Cow<'_, [f32]> {
    match distance {
        Distance::Cosine if norm > 0.0 => vector.iter().map(|element| element / norm).collect(),
        _ => Cow::Borrowed(vector),
    }
}

/// A segment as bytes.
///
/// # Errors
/// The header cannot be written.
pub(super) fn encode(header: &Header, graph: Option<&Graph>) -> Result<Vec<u8>, String> {
    let text = serde_json::to_vec(header).map_err(|error| error.to_string())?;
    let length = u32::try_from(text.len()).map_err(|error| error.to_string())?;
    let mut bytes = Vec::with_capacity(HEADER_AT + text.len() + graph.map_or(0, Graph::bytes_len));
    bytes.extend_from_slice(MARK);
    bytes.extend_from_slice(&[0; DIGEST_BYTES]);
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(&text);
    if let Some(graph) = graph {
        graph.to_bytes(&mut bytes);
    }
    let digest = blake3::hash(&bytes[MARK.len() + DIGEST_BYTES..]);
    bytes[MARK.len()..MARK.len() + DIGEST_BYTES].copy_from_slice(digest.as_bytes());
    Ok(bytes)
}

/// The header and the graph's bytes, the digest checked.
///
/// # Errors
/// What is wrong with the bytes.
pub(super) fn verify(bytes: &[u8]) -> Result<(Header, &[u8]), String> {
    let Some((mark, rest)) = bytes.split_at_checked(MARK.len()) else { return Err("it is cut off".to_owned()) };
    if mark != MARK {
        return Err("it is no segment of an index that this lakemill knows".to_owned());
    }
    let (digest, content) = rest.split_at_checked(DIGEST_BYTES).ok_or("it is cut off")?;
    if blake3::hash(content).as_bytes() != digest {
        return Err("its content does not fit its checksum".to_owned());
    }
    let (length, content) = content.split_first_chunk::<LENGTH_BYTES>().ok_or("it is cut off")?;
    let length = usize::try_from(u32::from_le_bytes(*length)).map_err(|error| error.to_string())?;
    let (header, graph) = content.split_at_checked(length).ok_or("it is cut off")?;
    Ok((serde_json::from_slice(header).map_err(|error| error.to_string())?, graph))
}

impl Segment {
    /// The segment of these bytes.
    ///
    /// # Errors
    /// What is wrong with the bytes.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, String> {
        let (header, graph) = verify(bytes)?;
        if header.vectors == 0 {
            return Ok(Self { header, graph: None });
        }
        let graph = Graph::from_bytes(graph).map_err(|error| error.to_string())?;
        let described = (header.vectors, header.dimensions, measure(header.distance));
        match (graph.len(), graph.dimensions(), graph.measure()) == described {
            true => Ok(Self { header, graph: Some(graph) }),
            false => Err("its graph is another than its header says".to_owned()),
        }
    }

    /// About the nearest `breadth` rows, nearest first, with what the graph measures.
    pub(super) fn search(&self, vector: &[f32], norm: f32, breadth: usize) -> Vec<(u32, f32)> {
        let Some(graph) = &self.graph else { return Vec::new() };
        graph.search(&prepared(self.header.distance, vector, norm), breadth)
    }

    /// Bytes of memory that it takes.
    pub(super) fn memory_bytes(&self) -> usize {
        self.graph.as_ref().map_or(0, Graph::memory_bytes)
    }
}

#[cfg(test)]
mod tests {
    use lakemill_kernels::graph::Builder;

    use super::*;

    #[test]
    fn whatever_byte_is_changed_or_missing_is_found() {
        let definition = Definition { distance: Distance::Cosine, connectivity: 4, ef_construction: 8 };
        let elements = (0..9u8).flat_map(|row| [f32::from(row), 1.0]).collect();
        let builder = Builder::new(shape(&definition, 2), elements, (0..9).collect()).unwrap();
        (0..9).for_each(|row| builder.add(row));
        let graph = builder.finish();
        let header = Header { rows: 9, vectors: 9, dimensions: 2, distance: Distance::Cosine, connectivity: 4 };
        let bytes = encode(&header, Some(&graph)).unwrap();
        assert_eq!(Segment::decode(&bytes).unwrap().header, header);
        for place in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[place] ^= 0x10;
            assert!(Segment::decode(&damaged).is_err(), "{place}");
            assert!(Segment::decode(&bytes[..place]).is_err(), "{place}");
        }
    }

    #[test]
    fn a_file_without_vectors_has_an_empty_segment() {
        let header = Header { rows: 5, vectors: 0, dimensions: 0, distance: Distance::Euclidean, connectivity: 4 };
        let segment = Segment::decode(&encode(&header, None).unwrap()).unwrap();
        assert_eq!(segment.search(&[1.0], 1.0, 3), []);
    }
}
