//! Tests of the engine over a toy model that reads its context through the blocks, so that a wrong table gives wrong
//! tokens.

mod batch;
mod blocks;
mod guidance;
mod naive;
mod random;
mod requests;
mod service;
mod toy;
