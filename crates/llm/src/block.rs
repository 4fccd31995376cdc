//! The blocks of the key-value cache: who holds them, what they hold, and which may be taken.
//!
//! A full block is named by a hash chain: its tokens, and the name of the block before it, down to the cache scope. So
//! equal names mean equal prefixes, and a block found by name may be shared (Kwon et al., "Efficient Memory Management
//! for Large Language Model Serving with PagedAttention", SOSP 2023; the chain is vLLM's automatic prefix caching).
//! The hash is BLAKE3: nobody can write a prompt whose blocks are taken for another's.
//!
//! **Architecture invariant:** a block is in exactly one of three states: held (references > 0), cached (no reference,
//! but a name, so that it can come back), or free (neither).

use std::collections::BTreeMap;

use ahash::AHashMap;
use lakemill_model::BLOCK_TOKENS;

use crate::{Error, Result};

/// The name of a full block, which stands for all tokens up to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct BlockName([u8; 16]);

impl BlockName {
    /// What the first block of a sequence follows.
    pub(crate) fn root(scope: u64) -> Self {
        let mut name = [0; 16];
        name[..8].copy_from_slice(&scope.to_le_bytes());
        Self(name)
    }

    /// The name of the block with these `BLOCK_TOKENS` tokens after the block `self`.
    pub(crate) fn next(self, tokens: &[u32]) -> Self {
        debug_assert_eq!(tokens.len(), BLOCK_TOKENS);
        let mut bytes = [0; 16 + 4 * BLOCK_TOKENS];
        bytes[..16].copy_from_slice(&self.0);
        for (bytes, token) in bytes[16..].chunks_exact_mut(4).zip(tokens) {
            bytes.copy_from_slice(&token.to_le_bytes());
        }
        let mut name = [0; 16];
        name.copy_from_slice(&blake3::hash(&bytes).as_bytes()[..16]);
        Self(name)
    }

    /// Appends the names of the full blocks of `tokens` that `names` lacks.
    pub(crate) fn extend(names: &mut Vec<Self>, scope: u64, tokens: &[u32]) {
        let mut last = names.last().copied().unwrap_or(Self::root(scope));
        for block in tokens.chunks_exact(BLOCK_TOKENS).skip(names.len()) {
            last = last.next(block);
            names.push(last);
        }
    }
}

#[derive(Clone, Debug, Default)]
struct Block {
    references: u32,
    name: Option<BlockName>,
    /// When its last reference went, in calls of [`Blocks::release`]: the order of eviction.
    released: u64,
}

/// All blocks of a runner.
#[derive(Debug)]
pub(crate) struct Blocks {
    blocks: Vec<Block>,
    free: Vec<u32>,
    cached: BTreeMap<u64, u32>,
    named: AHashMap<BlockName, u32>,
    releases: u64,
    prefix_cache: bool,
}

impl Blocks {
    /// `count` free blocks.
    pub(crate) fn new(count: usize, prefix_cache: bool) -> Self {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        Self {
            blocks: vec![Block::default(); count as usize],
            free: (0..count).rev().collect(),
            cached: BTreeMap::new(),
            named: AHashMap::new(),
            releases: 0,
            prefix_cache,
        }
    }

    /// All blocks.
    pub(crate) fn len(&self) -> usize {
        self.blocks.len()
    }

    /// Blocks that can be allocated: free ones and cached ones.
    pub(crate) fn available(&self) -> usize {
        self.free.len() + self.cached.len()
    }

    /// Blocks without a reference that keep their content.
    pub(crate) fn cached(&self) -> usize {
        self.cached.len()
    }

    /// How many sequences hold `block`.
    pub(crate) fn references(&self, block: u32) -> u32 {
        self.blocks[block as usize].references
    }

    /// A block with one reference: a free one, or the cached one that was released longest ago.
    pub(crate) fn allocate(&mut self) -> Option<u32> {
        let block = match self.free.pop() {
            Some(block) => block,
            None => {
                let (_, block) = self.cached.pop_first()?;
                if let Some(name) = self.blocks[block as usize].name.take() {
                    self.named.remove(&name);
                }
                block
            }
        };
        let state = &mut self.blocks[block as usize];
        debug_assert!(state.references == 0 && state.name.is_none());
        state.references = 1;
        Some(block)
    }

    /// The block of this name.
    pub(crate) fn find(&self, name: BlockName) -> Option<u32> {
        self.named.get(&name).copied()
    }

    /// Adds a reference.
    pub(crate) fn retain(&mut self, block: u32) {
        let state = &mut self.blocks[block as usize];
        if state.references == 0 {
            self.cached.remove(&state.released);
        }
        state.references += 1;
    }

    /// Takes a reference away. The last one leaves the block cached where it has a name, else free.
    pub(crate) fn release(&mut self, block: u32) {
        let state = &mut self.blocks[block as usize];
        debug_assert!(state.references > 0, "block {block} was released once too often");
        state.references = state.references.saturating_sub(1);
        if state.references > 0 {
            return;
        }
        if state.name.is_some() {
            self.releases += 1;
            state.released = self.releases;
            self.cached.insert(self.releases, block);
        } else {
            self.free.push(block);
        }
    }

    /// Gives a table's blocks back, the last ones first, so that a common beginning is evicted last.
    pub(crate) fn release_all(&mut self, table: &mut Vec<u32>) {
        while let Some(block) = table.pop() {
            self.release(block);
        }
    }

    /// Names a full block that its holder has computed. Where another block has the name already, its id is returned
    /// with a reference in exchange for the caller's: equal content is stored once.
    pub(crate) fn publish(&mut self, block: u32, name: BlockName) -> u32 {
        if !self.prefix_cache || self.blocks[block as usize].name.is_some() {
            return block;
        }
        match self.find(name) {
            Some(same) => {
                self.retain(same);
                self.release(block);
                same
            }
            None => {
                self.blocks[block as usize].name = Some(name);
                self.named.insert(name, block);
                block
            }
        }
    }

    /// Checks that each block is in one state and that `tables`, all that are held, explain every reference.
    ///
    /// # Errors
    /// Says which count does not add up.
    pub(crate) fn check<'a>(&self, tables: impl Iterator<Item = &'a [u32]>) -> Result<()> {
        let wrong = |what: String| Err(Error::internal(format!("blocks do not add up: {what}")));
        let mut references = vec![0; self.blocks.len()];
        for block in tables.flatten() {
            match references.get_mut(*block as usize) {
                Some(count) => *count += 1,
                None => return wrong(format!("block {block} of {} is in a table", self.blocks.len())),
            }
        }
        for (id, (block, counted)) in self.blocks.iter().zip(&references).enumerate() {
            if block.references != *counted {
                return wrong(format!("block {id} counts {} references, tables {counted}", block.references));
            }
            if let Some(name) = block.name
                && self.named.get(&name) != Some(&(id as u32))
            {
                return wrong(format!("block {id} has a name under which another is found"));
            }
        }
        let held = references.iter().filter(|count| **count > 0).count();
        if held + self.available() != self.blocks.len() {
            let (free, cached) = (self.free.len(), self.cached.len());
            return wrong(format!("{held} held, {cached} cached and {free} free of {}", self.blocks.len()));
        }
        let strayed = self.free.iter().any(|id| self.blocks[*id as usize].name.is_some());
        if strayed || self.cached.values().any(|id| self.blocks[*id as usize].name.is_none()) {
            return wrong("a free block has a name, or a cached one has none".to_owned());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{BLOCK_TOKENS, BlockName, Blocks};

    fn names(tokens: &[u32]) -> Vec<BlockName> {
        let mut names = Vec::new();
        BlockName::extend(&mut names, 0, tokens);
        names
    }

    #[test]
    fn names_stand_for_the_whole_prefix_and_the_scope() {
        let a: Vec<u32> = (0..48).collect();
        let mut b = a.clone();
        b[0] = 99;
        assert_eq!(names(&a).len(), 3);
        assert_eq!(names(&a)[..2], names(&a[..40])[..]);
        assert!(names(&a).iter().zip(names(&b)).all(|(a, b)| *a != b), "a later block must differ with an earlier one");
        let mut other = Vec::new();
        BlockName::extend(&mut other, 1, &a);
        assert_ne!(other[0], names(&a)[0]);
    }

    #[test]
    fn evicts_what_was_released_longest_ago_and_tails_before_heads() {
        let mut blocks = Blocks::new(3, true);
        let tokens: Vec<u32> = (0..2 * BLOCK_TOKENS as u32).collect();
        let mut table = vec![blocks.allocate().unwrap(), blocks.allocate().unwrap()];
        let (head, tail) = (table[0], table[1]);
        for (block, name) in table.iter_mut().zip(names(&tokens)) {
            *block = blocks.publish(*block, name);
        }
        blocks.release_all(&mut table);
        assert_eq!((blocks.cached(), blocks.available()), (2, 3));
        let free = blocks.allocate().unwrap();
        assert!(free != head && free != tail);
        assert_eq!(blocks.allocate(), Some(tail));
        assert_eq!(blocks.find(names(&tokens)[1]), None);
        assert_eq!(blocks.find(names(&tokens)[0]), Some(head));
        blocks.retain(head);
        assert_eq!(blocks.allocate(), None);
        blocks.check([[free, tail, head].as_slice()].into_iter()).unwrap();
        blocks.check([[free, tail].as_slice()].into_iter()).unwrap_err();
    }

    #[test]
    fn stores_equal_blocks_once() {
        let mut blocks = Blocks::new(4, true);
        let name = names(&[7; BLOCK_TOKENS])[0];
        let first = blocks.allocate().unwrap();
        let first = blocks.publish(first, name);
        let second = blocks.allocate().unwrap();
        assert_eq!(blocks.publish(second, name), first);
        assert_eq!((blocks.references(first), blocks.references(second)), (2, 0));
        assert_eq!(blocks.available(), 3);
    }
}
