//! The SQL dialect: from a script to parsed statements.
//!
//! The grammar is PostgreSQL's as DataFusion understands it, with `* EXCEPT`, STRUCT literals and MODEL
//! arguments from BigQuery, lambdas (`x -> x + 1`), time travel (`VERSION AS OF`), and the lake's own statements
//! (OPTIMIZE, VACUUM, RESTORE ..). Statements about models are parsed in `model`.
//!
//! Not here: names are not resolved and nothing is planned.

mod bind;
mod columns;
mod grammar;
mod own;
mod paths;
mod places;
mod references;
mod script;
mod security;
mod types;
mod vector_index;

pub(crate) use bind::parameter_number;
pub(crate) use grammar::LakemillDialect;
pub(crate) use own::{OwnStatement, TimePoint};
pub(crate) use references::{
    Listing, Names, References, RelationUse, file_name, normalized, read_function_file, read_function_format,
};
pub(crate) use script::{Ast, Grammar, parse_error, parse_query_text, parse_script, uncapitalized};
pub use script::{Parsed, StatementKind};
pub(crate) use security::{Expires, GrantedOn, Privileges, Secret, SecurityStatement};
pub(crate) use vector_index::{CreateVectorIndex, VectorIndexStatement};
