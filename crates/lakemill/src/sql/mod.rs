//! SQL scripts: where statements end, how they run, and the backslash commands between them.

pub(crate) mod command;
pub(crate) mod lex;
pub(crate) mod runner;
pub(crate) mod script;
