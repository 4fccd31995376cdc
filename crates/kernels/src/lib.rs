//! SIMD kernels: every line of unsafe code of Lakemill stands here. No async, no input or output.
//!
//! Each kernel has a readable scalar reference; a faster path is chosen once at start-up and tested against it.
//! Loops that the compiler vectorises by itself stay plain, safe Rust.
//!
//! **Architecture invariant:** a kernel's result never depends on the path that was chosen.

pub mod activation;
pub mod allocator;
pub mod attention;
pub mod distance;
pub mod encode;
pub mod gradient;
pub mod graph;
pub mod histogram;
pub mod map;
pub mod matmul;
pub mod norm;
pub mod partition;
pub mod pool;
pub mod quant;
pub mod rope;
pub mod score;
mod simd;
pub mod vector;
