//! The tests of the whole: the lake in every mode, DataFusion's own files, the documentation's examples, other
//! implementations of Delta, crashes, writers at once, full and read-only disks, reference numbers.
//!
//! What takes long stands in modules named `full`, which nextest's default profile leaves out.

mod console;
mod crash;
mod disk;
mod documentation;
mod flight;
mod hostile;
mod interop;
mod lake;
mod numbers;
mod security;
mod serve;
mod server_catalog;
mod upstream;
mod workload;
mod writers;
