//! SIMD kernels: every line of unsafe code of Lakemill stands here. No async, no input or output.
//!
//! Each kernel has a readable scalar reference; a faster path is chosen once at start-up and tested against it.
