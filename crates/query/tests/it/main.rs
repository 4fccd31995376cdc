//! The integration tests of SQL over a lake.

mod models;
