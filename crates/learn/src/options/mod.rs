//! Training options: one table says for each model type which exist, their types, ranges, defaults and meaning.

use crate::spec::ModelType;

/// One option of a model type, as documentation and `DESCRIBE` print it.
#[derive(Clone, Debug)]
pub struct OptionInfo {
    /// Its name, in lower case.
    pub name: &'static str,
    /// Its SQL type or its list of values.
    pub type_name: String,
    /// What holds when it is not given.
    pub default: String,
    /// What it does, in one line.
    pub doc: &'static str,
}

/// The options that `model_type` knows.
pub fn options_of(_model_type: ModelType) -> Vec<OptionInfo> {
    todo!()
}
