//! A graph as bytes: five whole numbers of eight bytes, then its lists, all with the least byte first.
//!
//! Dimensions, measure (0: squared distance, 1: negative product), connectivity, vectors, length of the list of higher neighbours;
//! then numbers, starts, lowest and higher neighbours, and elements.

use super::walk::Visits;
use super::{Graph, GraphError, Measure, NONE, Space};

const HEAD: usize = 5;
const WORD: usize = size_of::<u32>();
const DAMAGED: GraphError = GraphError("the bytes of a graph are damaged");

impl Graph {
    /// Bytes that [`Graph::to_bytes`] appends.
    pub fn bytes_len(&self) -> usize {
        HEAD * size_of::<u64>() + self.memory_bytes()
    }

    /// Appends the graph as bytes.
    pub fn to_bytes(&self, bytes: &mut Vec<u8>) {
        bytes.reserve(self.bytes_len());
        let measure = match self.space.measure {
            Measure::SquaredDistance => 0,
            Measure::NegativeProduct => 1,
        };
        for number in [self.space.dimensions, measure, self.connectivity, self.len(), self.higher.len()] {
            bytes.extend_from_slice(&(number as u64).to_le_bytes());
        }
        for list in [&self.space.numbers, &self.starts, &self.lowest, &self.higher] {
            bytes.extend(list.iter().flat_map(|number| number.to_le_bytes()));
        }
        bytes.extend(self.space.elements.iter().flat_map(|element| element.to_le_bytes()));
    }

    /// The graph that [`Graph::to_bytes`] gave these bytes of.
    ///
    /// # Errors
    /// The bytes are no graph's.
    pub fn from_bytes(mut bytes: &[u8]) -> Result<Self, GraphError> {
        let mut head = [0; HEAD];
        for number in &mut head {
            let (first, rest) = bytes.split_first_chunk().ok_or(DAMAGED)?;
            *number = usize::try_from(u64::from_le_bytes(*first)).map_err(|_| DAMAGED)?;
            bytes = rest;
        }
        let [dimensions, measure, connectivity, vectors, higher] = head;
        let measure = match measure {
            0 => Measure::SquaredDistance,
            1 => Measure::NegativeProduct,
            _ => return Err(DAMAGED),
        };
        if dimensions == 0 || connectivity < 2 || vectors >= NONE as usize {
            return Err(DAMAGED);
        }
        let mut list = |length: Option<usize>| -> Result<&[u8], GraphError> {
            let length = length.and_then(|length| length.checked_mul(WORD)).ok_or(DAMAGED)?;
            let (list, rest) = bytes.split_at_checked(length).ok_or(DAMAGED)?;
            bytes = rest;
            Ok(list)
        };
        let numbers = words(list(Some(vectors))?);
        let starts = words(list(Some(vectors))?);
        let lowest = words(list(connectivity.checked_mul(2).and_then(|width| width.checked_mul(vectors)))?);
        let higher = words(list(Some(higher))?);
        let elements = list(dimensions.checked_mul(vectors))?;
        let elements = elements.as_chunks::<WORD>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        let is_node = |node: &u32| *node == NONE || (*node as usize) < vectors;
        if !bytes.is_empty() || !lowest.iter().chain(&higher).all(is_node) {
            return Err(DAMAGED);
        }
        let height = height(&starts, higher.len(), connectivity)?;
        let space = Space { dimensions, measure, numbers, elements };
        Ok(Self { space, connectivity, lowest, starts, higher, height, visits: Visits::default() })
    }
}

fn words(bytes: &[u8]) -> Vec<u32> {
    bytes.as_chunks::<WORD>().0.iter().map(|bytes| u32::from_le_bytes(*bytes)).collect()
}

/// The level of the first vector. Each vector's list ends where that of the next one begins.
fn height(starts: &[u32], higher: usize, connectivity: usize) -> Result<usize, GraphError> {
    let mut rising = starts.iter().filter(|start| **start != NONE).map(|start| *start as usize);
    match starts.first() {
        None => return Ok(0),
        Some(first) if *first == NONE => return if higher == 0 { Ok(0) } else { Err(DAMAGED) },
        Some(_) => {}
    }
    let (first, next) = (rising.next().unwrap_or_default(), rising.next().unwrap_or(higher));
    let places = next.checked_sub(first).ok_or(DAMAGED)?;
    match first == 0 && next <= higher && places % connectivity == 0 && higher.is_multiple_of(connectivity) {
        true => Ok(places / connectivity),
        false => Err(DAMAGED),
    }
}
