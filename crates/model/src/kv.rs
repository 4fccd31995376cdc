//! Keys and values of a model's layers, in blocks that sequences share out among them.

use lakemill_kernels::attention::KvCache;
pub use lakemill_kernels::attention::{BLOCK_TOKENS, KvFormat};

use crate::config::Architecture;

/// Room for the keys and values of a number of blocks, each of [`BLOCK_TOKENS`] tokens in all layers. Who owns which
/// block is decided elsewhere; here they are numbers from 0.
#[derive(Debug)]
pub struct KvStorage {
    pub(crate) cache: KvCache,
}

impl KvStorage {
    /// Room for `blocks` blocks of a model. The system gives the memory as it is touched.
    pub fn new(architecture: &Architecture, format: KvFormat, blocks: usize) -> Self {
        let Architecture { layers, kv_heads, head_width, .. } = *architecture;
        Self { cache: KvCache::new(format, layers, kv_heads, head_width, blocks) }
    }

    /// Blocks, used or not.
    pub fn blocks(&self) -> usize {
        self.cache.blocks()
    }

    /// Bytes of a block, in all layers.
    pub fn block_bytes(&self) -> usize {
        self.cache.block_bytes()
    }

    /// Copies the keys and values of a block.
    ///
    /// # Panics
    /// When there is no such block.
    pub fn copy_block(&mut self, from: u32, to: u32) {
        self.cache.copy_block(from, to);
    }
}
