//! The lake against real files, SQLite and DataFusion.

mod catalog;
mod concurrency;
mod crash;
mod place;
mod raw_files;
mod support;
mod tables;
