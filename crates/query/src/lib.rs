//! The session: SQL over the lake, models as operators of a query plan.
//!
//! A script is parsed into [`Parsed`] statements ([`Session::parse`]); each is executed on its own
//! ([`Session::execute`]) and gives rows or a [`Summary`], and the [`Lineage`] of what it read and wrote.
//!
//! Not here: where tables, models and lineage are stored (`lake`), how models are fitted (`learn`), how
//! results are printed (the binary).
//!
//! **Architecture invariant:** a statement sees one version of each table from its first line to its last,
//! views and subqueries included; its lineage names exactly those versions.

mod dialect;
mod error;
pub mod language;
mod lineage;
mod model;
mod observer;
mod optimizer;
mod outcome;
mod plain;
mod session;
mod statement;

pub use dialect::{Parsed, StatementKind};
pub use error::{Error, Position, Result};
pub use lineage::{Lineage, ObjectKind, ObjectRef, ObjectVersion};
pub use model::{ML_RELATIONS, ModelCodec, Scorer};
pub use observer::{NoObserver, Observer, Progress, TokenProgress};
pub use outcome::{Description, Executed, Outcome, Summary};
pub use plain::Plain;
pub use session::{Auditor, Confinement, Extension, Principal, Session, SessionOptions};
