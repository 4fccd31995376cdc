//! What every layer shares: error kinds, the clock, random numbers, limits and suggestions.
//!
//! Not here: anything that knows of Arrow, SQL, files or threads.
//!
//! **Architecture invariant:** this is the only crate that reads the wall clock or seeds randomness;
//! all others are handed a [`Clock`] or a seed, so that a run can be replayed.

mod clock;
mod error;
mod limits;
mod random;
mod suggest;

pub use clock::{Clock, Stopwatch, SystemClock, TestClock};
pub use error::ErrorKind;
pub use limits::{IDENTIFIER_BYTES_MAX, check_identifier};
pub use random::SplitMix64;
pub use suggest::{did_you_mean, unknown};
