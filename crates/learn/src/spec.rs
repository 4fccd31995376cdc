//! What to train: the model type, its options, and which columns are the label, the split and the weights.

use arrow::datatypes::{DataType, Schema};
use lakemill_base::did_you_mean;
use serde_json::{Value, json};

use crate::options::{Options, options_from_json, options_to_json};
use crate::{Error, OptionValue, Result};

/// The estimators that can be trained.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ModelType {
    /// `LINEAR_REG`
    LinearReg,
    /// `LOGISTIC_REG`
    LogisticReg,
    /// `BOOSTED_TREE_CLASSIFIER`
    BoostedTreeClassifier,
    /// `BOOSTED_TREE_REGRESSOR`
    BoostedTreeRegressor,
}

impl ModelType {
    /// Every model type.
    pub const ALL: [Self; 4] =
        [Self::LinearReg, Self::LogisticReg, Self::BoostedTreeClassifier, Self::BoostedTreeRegressor];

    /// Its name in SQL.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::LinearReg => "LINEAR_REG",
            Self::LogisticReg => "LOGISTIC_REG",
            Self::BoostedTreeClassifier => "BOOSTED_TREE_CLASSIFIER",
            Self::BoostedTreeRegressor => "BOOSTED_TREE_REGRESSOR",
        }
    }

    /// Whether it predicts a class.
    pub const fn is_classifier(self) -> bool {
        matches!(self, Self::LogisticReg | Self::BoostedTreeClassifier)
    }

    /// Whether it is made of trees.
    pub const fn is_tree(self) -> bool {
        matches!(self, Self::BoostedTreeClassifier | Self::BoostedTreeRegressor)
    }

    /// Reads a name, in any case.
    ///
    /// # Errors
    /// Names the model types that exist.
    pub fn parse(name: &str) -> Result<Self> {
        let upper = name.to_uppercase();
        if let Some(found) = Self::ALL.into_iter().find(|model| model.as_str() == upper) {
            return Ok(found);
        }
        let known: Vec<&str> = Self::ALL.iter().map(|model| model.as_str()).collect();
        let hint = did_you_mean(name, known.iter().copied()).map_or_else(
            || format!("supported: {}", known.join(", ")),
            |near| format!("did you mean '{near}'? supported: {}", known.join(", ")),
        );
        Err(Error::option("model_type", format!("model type '{name}' is not supported; {hint}")))
    }
}

/// A training as asked for, checked against the columns it will read.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainSpec {
    /// The estimator.
    pub model_type: ModelType,
    /// Its options.
    pub options: Options,
    /// The label column.
    pub label: String,
    /// The column that CUSTOM and SEQ split by.
    pub split_column: Option<String>,
    /// The column of row weights.
    pub weight_column: Option<String>,
}

impl TrainSpec {
    /// Reads the options of `CREATE MODEL` for rows of the schema `input` (after TRANSFORM).
    ///
    /// # Errors
    /// An option is unknown, of the wrong type or out of range ([`Error::option_name`] says which), or a column that
    /// it names does not exist or cannot be used.
    pub fn parse(options: &[(String, OptionValue)], input: &Schema) -> Result<Self> {
        let spec = Self::parse_options(options)?;
        spec.check_columns(input)?;
        Ok(spec)
    }

    /// The label column.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// The columns that TRANSFORM must pass through: label, split and weight columns.
    pub fn passthrough(&self) -> Vec<&str> {
        let optional = [self.split_column.as_deref(), self.weight_column.as_deref()];
        std::iter::once(self.label.as_str()).chain(optional.into_iter().flatten()).collect()
    }

    /// The seed of everything random.
    pub fn seed(&self) -> u64 {
        self.options.int("seed").unsigned_abs()
    }

    fn parse_options(options: &[(String, OptionValue)]) -> Result<Self> {
        let given = options.iter().find(|(name, _)| name.eq_ignore_ascii_case("model_type"));
        let Some((_, value)) = given else {
            let text = "option 'model_type' is missing; give one, as in OPTIONS (model_type = 'LOGISTIC_REG')";
            return Err(Error::option("model_type", text));
        };
        let Some(name) = value.as_str() else {
            let text = format!("option 'model_type' must be a STRING; given: {value} ({})", value.type_name());
            return Err(Error::option("model_type", text));
        };
        let model_type = ModelType::parse(name)?;
        let options = Options::parse(model_type, options)?;
        Ok(Self {
            model_type,
            label: options.label_column().unwrap_or("label").to_owned(),
            split_column: options.text("data_split_col"),
            weight_column: options.text("instance_weight_col"),
            options,
        })
    }

    fn check_columns(&self, input: &Schema) -> Result<()> {
        check_label(self, input)?;
        if let Some(name) = &self.split_column {
            let field = column(input, name, "data_split_col")?;
            let custom = self.options.text("data_split_method").as_deref() == Some("CUSTOM");
            if custom && field != &DataType::Boolean {
                let text = format!(
                    "data_split_method 'CUSTOM' needs a BOOL column, TRUE for rows to hold out; '{name}' has type {field}"
                );
                return Err(Error::option("data_split_col", text));
            }
        }
        if let Some(name) = &self.weight_column {
            let field = column(input, name, "instance_weight_col")?;
            if !field.is_numeric() {
                let text = format!("the weight column '{name}' has type {field}; weights must be numbers");
                return Err(Error::option("instance_weight_col", text));
            }
        }
        let names = self.passthrough();
        let repeated = names.iter().enumerate().find(|(index, name)| names[..*index].contains(name));
        if let Some((_, name)) = repeated {
            let text = format!("column '{name}' is named for two of label, split and weight; each needs its own");
            return Err(Error::option("input_label_cols", text));
        }
        if input.fields().iter().all(|field| names.contains(&field.name().as_str())) {
            return Err(Error::invalid("the training query gives no column besides the label; add features to it"));
        }
        Ok(())
    }

    /// The specification in a model's manifest.
    pub(crate) fn to_json(&self) -> Value {
        json!({
            "model_type": self.model_type.as_str(),
            "label": self.label,
            "split_column": self.split_column,
            "weight_column": self.weight_column,
            "options": options_to_json(&self.options),
        })
    }

    /// Reads what [`TrainSpec::to_json`] wrote.
    pub(crate) fn from_json(value: &Value) -> Result<Self> {
        let text = |name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
        let missing = |name: &str| Error::data(format!("the model's manifest lacks '{name}'"));
        let model_type = ModelType::parse(&text("model_type").ok_or_else(|| missing("model_type"))?)
            .map_err(|error| Error::invalid(error.to_string()))?;
        Ok(Self {
            model_type,
            label: text("label").ok_or_else(|| missing("label"))?,
            split_column: text("split_column"),
            weight_column: text("weight_column"),
            options: options_from_json(model_type, value.get("options").ok_or_else(|| missing("options"))?)?,
        })
    }
}

/// The columns that options name (label, split, weight): what TRANSFORM passes through unaliased.
///
/// # Errors
/// As [`TrainSpec::parse`], but columns are looked for in `input`, the rows before TRANSFORM.
pub fn passthrough_columns(options: &[(String, OptionValue)], input: &Schema) -> Result<Vec<String>> {
    let spec = TrainSpec::parse_options(options)?;
    check_label(&spec, input)?;
    Ok(spec.passthrough().into_iter().map(str::to_owned).collect())
}

fn check_label(spec: &TrainSpec, input: &Schema) -> Result<()> {
    let found = column(input, &spec.label, "input_label_cols");
    let data_type = match found {
        Err(_) if !spec.options.is_given("input_label_cols") => {
            let text = format!(
                "the training query has no column 'label'; name the label by input_label_cols = ['..']; columns: {}",
                names(input)
            );
            return Err(Error::option("input_label_cols", text));
        }
        other => other?,
    };
    let label = &spec.label;
    if spec.model_type.is_classifier() {
        if !is_class_type(data_type) {
            let text = format!(
                "label '{label}' has type {data_type}; a classifier needs STRING, BOOL or a whole number (CAST it)"
            );
            return Err(Error::option("input_label_cols", text));
        }
    } else if !data_type.is_numeric() {
        let text = format!("label '{label}' has type {data_type}; a regression needs a number");
        return Err(Error::option("input_label_cols", text));
    }
    Ok(())
}

fn is_class_type(data_type: &DataType) -> bool {
    match data_type {
        DataType::Dictionary(_, values) => is_class_type(values),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Boolean => true,
        other => other.is_integer(),
    }
}

fn column<'a>(input: &'a Schema, name: &str, option: &str) -> Result<&'a DataType> {
    if let Ok(field) = input.field_with_name(name) {
        return Ok(field.data_type());
    }
    let near = did_you_mean(name, input.fields().iter().map(|field| field.name().as_str()));
    let hint = near.map_or_else(|| format!("columns: {}", names(input)), |near| format!("did you mean '{near}'?"));
    Err(Error::option(option, format!("option '{option}' names the unknown column '{name}'; {hint}")))
}

fn names(input: &Schema) -> String {
    let names: Vec<&str> = input.fields().iter().map(|field| field.name().as_str()).collect();
    names.join(", ")
}
