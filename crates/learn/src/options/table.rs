//! The table of training options.

use crate::spec::ModelType::{self, BoostedTreeClassifier, BoostedTreeRegressor, LinearReg, LogisticReg};
use crate::{Error, OptionValue, Result};

/// One option, as documentation and `DESCRIBE` print it.
#[derive(Clone, Debug)]
pub struct OptionInfo {
    /// Its name, in lower case.
    pub name: &'static str,
    /// The model types that know it.
    pub models: &'static [ModelType],
    /// Its type and range.
    pub kind: OptionKind,
    /// What holds when it is not given, written as in SQL; empty when nothing does.
    pub default: &'static str,
    /// What it does, in one line.
    pub doc: &'static str,
}

/// The type of an option and the values it may have.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum OptionKind {
    /// `TRUE` or `FALSE`.
    Bool,
    /// A whole number in the closed range.
    Int(i64, i64),
    /// A number from the first bound (itself allowed or not) to the second, which is allowed.
    Float {
        /// Lower bound.
        min: f64,
        /// Whether the lower bound itself is allowed.
        min_included: bool,
        /// Upper bound.
        max: f64,
    },
    /// One of these words, in any case.
    Choice(&'static [&'static str]),
    /// The name of a column.
    Column,
    /// The name of one column, alone or in an array.
    LabelColumn,
    /// `[STRUCT('a', 2.0), ..]`.
    ClassWeights,
}

const ALL: &[ModelType] = &ModelType::ALL;
const LINEAR: &[ModelType] = &[LinearReg, LogisticReg];
const TREES: &[ModelType] = &[BoostedTreeClassifier, BoostedTreeRegressor];
const CLASSIFIERS: &[ModelType] = &[LogisticReg, BoostedTreeClassifier];

const NOT_NEGATIVE: OptionKind = OptionKind::Float { min: 0.0, min_included: true, max: f64::MAX };
const POSITIVE: OptionKind = OptionKind::Float { min: 0.0, min_included: false, max: f64::MAX };
const FRACTION: OptionKind = OptionKind::Float { min: 0.0, min_included: false, max: 1.0 };

/// A bin's number is kept in one byte, and one number stands for missing values.
const BINS_MAX: i64 = 255;

macro_rules! option {
    ($name:literal, $models:expr, $kind:expr, $default:literal, $doc:literal) => {
        OptionInfo { name: $name, models: $models, kind: $kind, default: $default, doc: $doc }
    };
}

pub(super) const OPTIONS: &[OptionInfo] = &[
    option!("input_label_cols", ALL, OptionKind::LabelColumn, "['label']", "the column to predict"),
    option!("instance_weight_col", ALL, OptionKind::Column, "", "a column of weights, one for each row, 0 and above"),
    option!(
        "data_split_method",
        ALL,
        OptionKind::Choice(&["AUTO_SPLIT", "RANDOM", "CUSTOM", "SEQ", "NO_SPLIT"]),
        "'AUTO_SPLIT'",
        "how rows are held out for evaluation"
    ),
    option!(
        "data_split_eval_fraction",
        ALL,
        OptionKind::Float { min: 0.0, min_included: true, max: 0.99 },
        "0.2",
        "the part of the rows that RANDOM and SEQ hold out"
    ),
    option!("data_split_col", ALL, OptionKind::Column, "", "the column that CUSTOM (BOOL) and SEQ split by"),
    option!("seed", ALL, OptionKind::Int(0, i64::MAX), "0", "seed of the random split and of row and column sampling"),
    option!(
        "max_iterations",
        ALL,
        OptionKind::Int(1, 100_000),
        "20",
        "the most iterations, or trees of a boosted model"
    ),
    option!(
        "early_stop",
        ALL,
        OptionKind::Bool,
        "TRUE",
        "stop when an iteration improves by less than min_rel_progress"
    ),
    option!(
        "min_rel_progress",
        ALL,
        NOT_NEGATIVE,
        "0.01",
        "the relative improvement of the loss that early_stop asks for"
    ),
    option!("l1_reg", ALL, NOT_NEGATIVE, "0.0", "weight of the absolute values of the weights in the objective"),
    option!("l2_reg", LINEAR, NOT_NEGATIVE, "0.0", "weight of half the squares of the weights in the objective"),
    option!("l2_reg", TREES, NOT_NEGATIVE, "1.0", "weight of half the squares of the leaf values in the objective"),
    option!(
        "optimize_strategy",
        &[LinearReg],
        OptionKind::Choice(&["AUTO_STRATEGY", "NORMAL_EQUATION", "BATCH_GRADIENT_DESCENT"]),
        "'AUTO_STRATEGY'",
        "how the weights are found"
    ),
    option!(
        "optimize_strategy",
        &[LogisticReg],
        OptionKind::Choice(&["AUTO_STRATEGY", "BATCH_GRADIENT_DESCENT"]),
        "'AUTO_STRATEGY'",
        "how the weights are found"
    ),
    option!(
        "learn_rate_strategy",
        LINEAR,
        OptionKind::Choice(&["LINE_SEARCH", "CONSTANT"]),
        "'LINE_SEARCH'",
        "how gradient descent chooses its step"
    ),
    option!("learn_rate", LINEAR, POSITIVE, "0.1", "the step of gradient descent for CONSTANT"),
    option!("learn_rate", TREES, FRACTION, "0.3", "how much of each tree's prediction is added"),
    option!("ls_init_learn_rate", LINEAR, POSITIVE, "0.1", "the first step that LINE_SEARCH tries"),
    option!(
        "category_encoding_method",
        LINEAR,
        OptionKind::Choice(&["ONE_HOT_ENCODING", "DUMMY_ENCODING"]),
        "'ONE_HOT_ENCODING'",
        "a weight for each category, or for each but the most frequent"
    ),
    option!(
        "category_encoding_method",
        TREES,
        OptionKind::Choice(&["LABEL_ENCODING", "ONE_HOT_ENCODING"]),
        "'LABEL_ENCODING'",
        "categories as codes in alphabetical order, or as one column each"
    ),
    option!("fit_intercept", LINEAR, OptionKind::Bool, "TRUE", "whether to fit a constant term"),
    option!("standardize_features", LINEAR, OptionKind::Bool, "TRUE", "whether numbers are scaled to unit deviation"),
    option!(
        "auto_class_weights",
        CLASSIFIERS,
        OptionKind::Bool,
        "FALSE",
        "weigh classes by rows / (rows of class * classes)"
    ),
    option!(
        "class_weights",
        CLASSIFIERS,
        OptionKind::ClassWeights,
        "",
        "a weight for each class; 1 for those not named"
    ),
    option!("booster_type", TREES, OptionKind::Choice(&["GBTREE"]), "'GBTREE'", "the kind of booster"),
    option!("tree_method", TREES, OptionKind::Choice(&["AUTO", "HIST"]), "'HIST'", "how splits are searched for"),
    option!("num_parallel_tree", TREES, OptionKind::Int(1, 1_000), "1", "trees grown in each iteration"),
    option!(
        "max_tree_depth",
        TREES,
        OptionKind::Int(0, 1_000),
        "6",
        "the most splits from the root to a leaf; 0 is no limit"
    ),
    option!("max_leaves", TREES, OptionKind::Int(0, 1_048_576), "0", "the most leaves of a tree; 0 is no limit"),
    option!(
        "grow_policy",
        TREES,
        OptionKind::Choice(&["DEPTHWISE", "LOSSGUIDE"]),
        "'DEPTHWISE'",
        "split all leaves of a level, or always the leaf that gains most"
    ),
    option!("max_bins", TREES, OptionKind::Int(2, BINS_MAX), "255", "the most bins of a number's histogram"),
    option!("min_tree_child_weight", TREES, NOT_NEGATIVE, "1.0", "the least sum of second derivatives in a leaf"),
    option!("min_split_loss", TREES, NOT_NEGATIVE, "0.0", "the least gain of a split"),
    option!(
        "category_smoothing",
        TREES,
        NOT_NEGATIVE,
        "10.0",
        "how strongly rare categories are pulled to zero before categories are ordered for a split"
    ),
    option!("category_l2_reg", TREES, NOT_NEGATIVE, "10.0", "added to l2_reg for splits by sets of categories"),
    option!("subsample", TREES, FRACTION, "1.0", "the part of the rows that each tree sees"),
    option!("colsample_bytree", TREES, FRACTION, "1.0", "the part of the columns that each tree sees"),
    option!("colsample_bylevel", TREES, FRACTION, "1.0", "the part of the columns that each level sees"),
    option!("colsample_bynode", TREES, FRACTION, "1.0", "the part of the columns that each split sees"),
];

/// Options that people know from BigQuery ML and that do not exist here, with the reason.
pub(super) const UNSUPPORTED: &[(&str, &str)] = &[
    ("warm_start", "every training starts anew, so that equal inputs give an equal model"),
    ("num_threads", "the number of threads belongs to the session, and no result depends on it"),
    ("num_trials", "hyperparameter tuning does not exist yet; train one model for each setting"),
    ("data_split_test_fraction", "only hyperparameter tuning, which does not exist yet, has a test part"),
    ("xgboost_version", "boosted trees are Lakemill's own"),
    ("model_registry", "models are registered in the lake's catalog"),
    ("enable_global_explain", "explanations are not computed during training"),
    ("calculate_p_values", "p-values are not computed"),
    ("dart_normalize_type", "the only booster is GBTREE"),
];

impl OptionInfo {
    /// The default as a value.
    pub(super) fn default_value(&self, _model: ModelType) -> Option<OptionValue> {
        match self.kind {
            OptionKind::Bool => Some(OptionValue::Bool(self.default == "TRUE")),
            OptionKind::Int(..) => self.default.parse().ok().map(OptionValue::Int),
            OptionKind::Float { .. } => self.default.parse().ok().map(OptionValue::Float),
            OptionKind::Choice(_) => Some(OptionValue::String(self.default.trim_matches('\'').to_owned())),
            OptionKind::Column | OptionKind::LabelColumn | OptionKind::ClassWeights => None,
        }
    }

    /// The type and range in words.
    pub fn type_text(&self) -> String {
        self.kind.text()
    }
}

impl OptionKind {
    fn text(self) -> String {
        match self {
            Self::Bool => "BOOL".to_owned(),
            Self::Int(min, i64::MAX) => format!("INT64 of at least {min}"),
            Self::Int(min, max) => format!("INT64 from {min} to {max}"),
            Self::Float { min, min_included, max } => {
                let low = if min_included { format!("of at least {min}") } else { format!("above {min}") };
                if max == f64::MAX { format!("FLOAT64 {low}") } else { format!("FLOAT64 {low}, at most {max}") }
            }
            Self::Choice(words) => {
                let quoted: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
                format!("one of {}", quoted.join(", "))
            }
            Self::Column => "STRING, the name of a column".to_owned(),
            Self::LabelColumn => "ARRAY<STRING> with the name of one column".to_owned(),
            Self::ClassWeights => "ARRAY<STRUCT<STRING, FLOAT64>>, as [STRUCT('a', 2.0)]".to_owned(),
        }
    }

    /// The value in its normal form (choices in upper case, the label as an array).
    pub(super) fn check(self, name: &str, value: &OptionValue) -> Result<OptionValue> {
        let refused = || {
            let article = if matches!(self, Self::Choice(_) | Self::Column) { "" } else { "a value of type " };
            let wanted = self.text();
            Error::option(
                name,
                format!("option '{name}' must be {article}{wanted}; given: {value} ({})", value.type_name()),
            )
        };
        match (self, value) {
            (Self::Bool, OptionValue::Bool(_)) | (Self::Column, OptionValue::String(_)) => Ok(value.clone()),
            (Self::Int(min, max), OptionValue::Int(number)) if (min..=max).contains(number) => Ok(value.clone()),
            (Self::Float { min, min_included, max }, _) => {
                let number = value.as_f64().ok_or_else(refused)?;
                let above = if min_included { number >= min } else { number > min };
                if above && number <= max { Ok(OptionValue::Float(number)) } else { Err(refused()) }
            }
            (Self::Choice(words), OptionValue::String(word)) => {
                let upper = word.to_uppercase();
                if words.contains(&upper.as_str()) { Ok(OptionValue::String(upper)) } else { Err(refused()) }
            }
            (Self::LabelColumn, OptionValue::String(_)) => Ok(OptionValue::Array(vec![value.clone()])),
            (Self::LabelColumn, OptionValue::Array(names)) => match names.as_slice() {
                [OptionValue::String(_)] => Ok(value.clone()),
                _ => Err(refused()),
            },
            (Self::ClassWeights, OptionValue::Array(pairs)) if !pairs.is_empty() => {
                let good = pairs.iter().all(|pair| class_weight(pair).is_some_and(|(_, w)| w >= 0.0 && w.is_finite()));
                if good { Ok(value.clone()) } else { Err(refused()) }
            }
            _ => Err(refused()),
        }
    }
}

/// The class, as text, and the weight of a `STRUCT(class, weight)`.
pub(super) fn class_weight(pair: &OptionValue) -> Option<(String, f64)> {
    let OptionValue::Struct(fields) = pair else { return None };
    let [(_, class), (_, weight)] = fields.as_slice() else { return None };
    let class = match class {
        OptionValue::String(text) => text.clone(),
        OptionValue::Bool(value) => value.to_string(),
        OptionValue::Int(value) => value.to_string(),
        _ => return None,
    };
    Some((class, weight.as_f64()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_passes_its_own_check() {
        for option in OPTIONS {
            for model in option.models {
                if let Some(value) = option.default_value(*model) {
                    assert!(option.kind.check(option.name, &value).is_ok(), "{}", option.name);
                }
            }
        }
    }

    #[test]
    fn a_model_type_has_each_option_once() {
        for model in ModelType::ALL {
            let mut names: Vec<&str> =
                OPTIONS.iter().filter(|option| option.models.contains(&model)).map(|option| option.name).collect();
            names.sort_unstable();
            let count = names.len();
            names.dedup();
            assert_eq!(names.len(), count);
        }
    }
}
