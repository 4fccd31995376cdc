//! Lake tables (Delta), the catalog, object stores and raw files.
//!
//! **Architecture invariant:** the Delta log is the truth for data; the catalog keeps pointers, never file lists.
