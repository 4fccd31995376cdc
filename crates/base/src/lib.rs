//! What every layer shares: error kinds, the clock, random numbers, limits, suggestions and the quotes of SQL.
//!
//! Not here: anything that knows of Arrow, SQL beyond its quotes, files or threads.
//!
//! **Architecture invariant:** this is the only crate that reads the wall clock or seeds randomness;
//! all others are handed a [`Clock`] or a seed, so that a run can be replayed.

mod clock;
mod error;
mod limits;
mod quoting;
mod random;
mod suggest;

pub use clock::{Clock, Stopwatch, SystemClock, TestClock};
pub use error::ErrorKind;
pub use limits::{IDENTIFIER_BYTES_MAX, check_identifier};
pub use quoting::{identifier, is_bare_identifier, quoted_identifier, text_literal};
pub use random::SplitMix64;
pub use suggest::{did_you_mean, unknown};
