//! Training options: one table says which exist for each model type, their types, ranges, defaults and meaning.
//!
//! Parsing, error texts, documentation and `DESCRIBE` all read that table.

mod json;
mod table;

use std::collections::BTreeMap;

use lakemill_base::unknown;

use crate::spec::ModelType;
use crate::{Error, OptionValue, Result};

pub(crate) use json::{options_from_json, options_to_json};
use table::{OPTIONS, UNSUPPORTED};
pub use table::{OptionInfo, OptionKind};

/// The options that `model_type` knows, in the order in which documentation lists them.
pub fn options_of(model_type: ModelType) -> Vec<&'static OptionInfo> {
    OPTIONS.iter().filter(|option| option.models.contains(&model_type)).collect()
}

/// The options that were given, checked; what was not given has the table's default.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    model_type: ModelType,
    given: BTreeMap<String, OptionValue>,
}

impl Options {
    /// Checks names, types and ranges.
    ///
    /// # Errors
    /// Names the option, what is wrong with it and what would be right.
    pub fn parse(model_type: ModelType, options: &[(String, OptionValue)]) -> Result<Self> {
        let mut given = BTreeMap::new();
        for (name, value) in options {
            let lower = name.to_lowercase();
            if lower == "model_type" {
                continue;
            }
            let info = find(model_type, name)?;
            let value = info.kind.check(name, value)?;
            if given.insert(lower, value).is_some() {
                return Err(Error::option(name, format!("option '{name}' is given twice; give it once")));
            }
        }
        let options = Self { model_type, given };
        options.check_together()?;
        Ok(options)
    }

    /// Whether the option was given.
    pub fn is_given(&self, name: &str) -> bool {
        self.given.contains_key(name)
    }

    /// What was given, by name.
    pub fn given(&self) -> impl Iterator<Item = (&str, &OptionValue)> {
        self.given.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// A number option.
    pub fn float(&self, name: &str) -> f64 {
        self.get(name).and_then(|value| value.as_f64()).unwrap_or(f64::NAN)
    }

    /// A whole-number option; 0 when it has no default and was not given.
    pub fn int(&self, name: &str) -> i64 {
        match self.get(name) {
            Some(OptionValue::Int(value)) => value,
            _ => 0,
        }
    }

    /// A truth option.
    pub fn bool(&self, name: &str) -> bool {
        matches!(self.get(name), Some(OptionValue::Bool(true)))
    }

    /// A text or choice option, choices in upper case.
    pub fn text(&self, name: &str) -> Option<String> {
        match self.get(name) {
            Some(OptionValue::String(value)) => Some(value),
            _ => None,
        }
    }

    /// The weights given for classes, by the label's text.
    pub fn class_weights(&self) -> Vec<(String, f64)> {
        let Some(OptionValue::Array(pairs)) = self.given.get("class_weights") else {
            return Vec::new();
        };
        pairs.iter().filter_map(table::class_weight).collect()
    }

    /// The label column that was named.
    pub fn label_column(&self) -> Option<&str> {
        match self.given.get("input_label_cols") {
            Some(OptionValue::Array(names)) => names.first().and_then(OptionValue::as_str),
            _ => None,
        }
    }

    fn get(&self, name: &str) -> Option<OptionValue> {
        if let Some(value) = self.given.get(name) {
            return Some(value.clone());
        }
        let info = OPTIONS.iter().find(|option| option.name == name && option.models.contains(&self.model_type));
        debug_assert!(info.is_some(), "no option {name} for {:?}", self.model_type);
        info.and_then(|option| option.default_value(self.model_type))
    }

    fn check_together(&self) -> Result<()> {
        if self.model_type.is_classifier() && self.is_given("class_weights") && self.bool("auto_class_weights") {
            let text = "options 'class_weights' and 'auto_class_weights' exclude each other; give one of them";
            return Err(Error::option("class_weights", text));
        }
        let method = self.text("data_split_method").unwrap_or_default();
        let needs_column = matches!(method.as_str(), "CUSTOM" | "SEQ");
        if needs_column && !self.is_given("data_split_col") {
            let text =
                format!("data_split_method '{method}' needs the option 'data_split_col', the column to split by");
            return Err(Error::option("data_split_method", text));
        }
        if !needs_column && self.is_given("data_split_col") {
            let text =
                format!("option 'data_split_col' is for data_split_method 'CUSTOM' or 'SEQ'; the method is '{method}'");
            return Err(Error::option("data_split_col", text));
        }
        Ok(())
    }
}

fn find(model_type: ModelType, name: &str) -> Result<&'static OptionInfo> {
    let lower = name.to_lowercase();
    if let Some(info) = OPTIONS.iter().find(|option| option.name == lower && option.models.contains(&model_type)) {
        return Ok(info);
    }
    if let Some((_, why)) = UNSUPPORTED.iter().find(|(unsupported, _)| *unsupported == lower) {
        return Err(Error::option(name, format!("option '{name}' is not supported: {why}")));
    }
    let models: Vec<&str> = OPTIONS
        .iter()
        .filter(|option| option.name == lower)
        .flat_map(|option| option.models.iter().map(|model| model.as_str()))
        .collect();
    if !models.is_empty() {
        let text =
            format!("option '{name}' does not apply to {}; it is for {}", model_type.as_str(), models.join(", "));
        return Err(Error::option(name, text));
    }
    Err(Error::option(name, unknown("option", name, options_of(model_type).iter().map(|option| option.name))))
}
