//! The arguments of a relation: a model, rows, settings.

use lakemill_base::unknown;
use lakemill_learn::OptionValue;
use lakemill_learn::drift::Metric;
use sqlparser::ast::{Expr, FunctionArg, FunctionArgExpr, Ident, Query, Spanned};

use crate::model::drift::Thresholds;
use crate::model::language::{self, EMBEDDING_SETTINGS, GENERATION_SETTINGS, Task};
use crate::model::parse::{ModelReference, option_value, query_of};
use crate::model::transform::position;
use crate::{Error, Result};

/// The arguments of `function`.
#[derive(Debug)]
pub(super) struct Arguments {
    /// `ML.PREDICT`, ..
    pub(super) function: &'static str,
    /// The model, where the relation takes one.
    pub(super) model: Option<ModelReference>,
    /// The queries that give the rows.
    pub(super) rows: Vec<Query>,
    settings: Vec<Setting>,
}

/// `value AS name` of a STRUCT of settings.
#[derive(Debug)]
struct Setting {
    name: String,
    value: OptionValue,
    at: crate::Position,
}

/// What a relation takes.
struct Shape {
    function: &'static str,
    rows: Rows,
    settings: &'static [&'static str],
}

#[derive(PartialEq)]
enum Rows {
    None,
    Optional,
    Required,
    /// Two relations, and no model.
    Two,
}

/// How deviations are judged.
const DEVIATIONS: [&str; 5] = [
    "numerical_default_threshold",
    "categorical_default_threshold",
    "numerical_metric_type",
    "categorical_metric_type",
    "thresholds",
];

/// Above which a deviation is an anomaly, unless told otherwise.
const DEVIATION_MAX: f64 = 0.3;

const SHAPES: [Shape; 14] = [
    Shape { function: "ML.PREDICT", rows: Rows::Required, settings: &["threshold"] },
    Shape { function: "ML.TRANSFORM", rows: Rows::Required, settings: &[] },
    Shape { function: "ML.EVALUATE", rows: Rows::Optional, settings: &["threshold"] },
    Shape { function: "ML.CONFUSION_MATRIX", rows: Rows::Optional, settings: &["threshold"] },
    Shape { function: "ML.ROC_CURVE", rows: Rows::Optional, settings: &["thresholds"] },
    Shape { function: "ML.CALIBRATION", rows: Rows::Optional, settings: &["bins"] },
    Shape { function: "ML.TRAINING_INFO", rows: Rows::None, settings: &[] },
    Shape { function: "ML.FEATURE_INFO", rows: Rows::None, settings: &[] },
    Shape { function: "ML.WEIGHTS", rows: Rows::None, settings: &["standardize"] },
    Shape { function: "ML.FEATURE_IMPORTANCE", rows: Rows::None, settings: &[] },
    Shape { function: "ML.VALIDATE_DATA_SKEW", rows: Rows::Required, settings: &DEVIATIONS },
    Shape { function: "ML.VALIDATE_DATA_DRIFT", rows: Rows::Two, settings: &DEVIATIONS },
    Shape { function: "ML.GENERATE_TEXT", rows: Rows::Required, settings: &GENERATION_SETTINGS },
    Shape { function: "ML.GENERATE_EMBEDDING", rows: Rows::Required, settings: &EMBEDDING_SETTINGS },
];

impl Shape {
    /// How the relation is written.
    fn usage(&self) -> String {
        let rows = match self.rows {
            Rows::None => "MODEL m",
            Rows::Optional => "MODEL m [, TABLE t | (query)]",
            Rows::Required => "MODEL m, TABLE t | (query)",
            Rows::Two => "TABLE t | (query), TABLE u | (query)",
        };
        let settings = match self.settings {
            [] => String::new(),
            [name, ..] => format!(" [, STRUCT(value AS {name})]"),
        };
        format!("{}({rows}{settings})", self.function)
    }

    /// How many relations it takes at most.
    fn rows_max(&self) -> usize {
        match self.rows {
            Rows::None => 0,
            Rows::Optional | Rows::Required => 1,
            Rows::Two => 2,
        }
    }
}

impl Arguments {
    /// Reads the arguments of `function`, which is one of the known relations.
    ///
    /// # Errors
    /// What is missing or too much, and how the relation is written.
    pub(super) fn new(function: &str, args: Vec<FunctionArg>, normalize: impl Fn(&Ident) -> String) -> Result<Self> {
        let Some(shape) = SHAPES.iter().find(|shape| shape.function == function) else {
            return Err(Error::internal(format!("{function} has no shape")));
        };
        let wrong = |what: String| Error::invalid(format!("{function} {what}; write {}", shape.usage()));
        let mut args = args.into_iter();
        let model = if shape.rows == Rows::Two {
            None
        } else {
            let model = match args.next() {
                Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(expr))) => ModelReference::from_expr(&expr, normalize),
                _ => None,
            };
            Some(model.ok_or_else(|| wrong("takes a model first".into()))?)
        };
        let (mut rows, mut settings, mut has_settings) = (Vec::new(), Vec::new(), false);
        for arg in args {
            let FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) = arg else {
                return Err(wrong(format!("does not take '{arg}'")));
            };
            let at = position(expr.span().start);
            match expr {
                Expr::Struct { values, .. } if !has_settings => {
                    has_settings = true;
                    settings = values.iter().map(|value| setting(shape, value)).collect::<Result<_>>()?;
                }
                expr if rows.len() < shape.rows_max() && !has_settings => match query_of(expr) {
                    Ok(query) => rows.push(*query),
                    Err(other) => return Err(wrong(format!("takes rows, not '{other}'")).at(at)),
                },
                other => return Err(wrong(format!("does not take '{other}'")).at(at)),
            }
        }
        match shape.rows {
            Rows::Required if rows.is_empty() => return Err(wrong("needs rows".into())),
            Rows::Two if rows.len() < 2 => return Err(wrong("compares two relations".into())),
            _ => {}
        }
        Ok(Self { function: shape.function, model, rows, settings })
    }

    /// A threshold between 0 and 1.
    pub(super) fn threshold(&self) -> Result<Option<f64>> {
        let Some(setting) = self.setting("threshold") else { return Ok(None) };
        let threshold = fraction(setting)?;
        Ok(Some(threshold))
    }

    /// Thresholds between 0 and 1.
    pub(super) fn thresholds(&self) -> Result<Option<Vec<f64>>> {
        let Some(setting) = self.setting("thresholds") else { return Ok(None) };
        let wrong = || Error::invalid("'thresholds' is an array of numbers between 0 and 1, such as [0.1, 0.5]");
        let OptionValue::Array(values) = &setting.value else { return Err(wrong().at(setting.at)) };
        let numbers: Option<Vec<f64>> =
            values.iter().map(|value| value.as_f64().filter(|value| (0.0..=1.0).contains(value))).collect();
        match numbers.filter(|numbers| !numbers.is_empty()) {
            Some(numbers) => Ok(Some(numbers)),
            None => Err(wrong().at(setting.at)),
        }
    }

    /// A number of bins.
    pub(super) fn bins(&self, default: u32) -> Result<u32> {
        const BINS_MAX: i64 = 1000;
        match self.setting("bins") {
            None => Ok(default),
            Some(Setting { value: OptionValue::Int(bins @ 1..=BINS_MAX), .. }) => {
                Ok(u32::try_from(*bins).unwrap_or(default))
            }
            Some(setting) => {
                Err(Error::invalid(format!("'bins' is a whole number from 1 to {BINS_MAX}, not {}", setting.value))
                    .at(setting.at))
            }
        }
    }

    /// How deviations are judged.
    pub(super) fn deviations(&self) -> Result<Thresholds> {
        self.metric("numerical_metric_type", &[Metric::JensenShannonDivergence])?;
        let categorical_metric =
            self.metric("categorical_metric_type", &[Metric::LInfinity, Metric::JensenShannonDivergence])?;
        let threshold = |name| self.setting(name).map_or(Ok(DEVIATION_MAX), fraction);
        Ok(Thresholds {
            numerical: threshold("numerical_default_threshold")?,
            categorical: threshold("categorical_default_threshold")?,
            categorical_metric,
            columns: self.column_thresholds()?,
        })
    }

    /// One of the metrics, by default the first.
    fn metric(&self, name: &str, known: &[Metric]) -> Result<Metric> {
        let Some(setting) = self.setting(name) else { return Ok(known[0]) };
        let asked = setting.value.as_str().unwrap_or_default();
        known.iter().copied().find(|metric| metric.as_str().eq_ignore_ascii_case(asked)).ok_or_else(|| {
            let names: Vec<String> = known.iter().map(|metric| format!("'{}'", metric.as_str())).collect();
            Error::invalid(format!("'{name}' is {}, not {}", names.join(" or "), setting.value)).at(setting.at)
        })
    }

    /// `[STRUCT('column', 0.1), ..]`
    fn column_thresholds(&self) -> Result<Vec<(String, f64)>> {
        let Some(setting) = self.setting("thresholds") else { return Ok(Vec::new()) };
        let one = |value: &OptionValue| match value {
            OptionValue::Struct(fields) => match fields.as_slice() {
                [(_, name), (_, threshold)] => {
                    let threshold = threshold.as_f64().filter(|threshold| (0.0..=1.0).contains(threshold));
                    Some((name.as_str()?.to_owned(), threshold?))
                }
                _ => None,
            },
            _ => None,
        };
        let all = match &setting.value {
            OptionValue::Array(values) => values.iter().map(one).collect::<Option<_>>(),
            _ => None,
        };
        all.ok_or_else(|| {
            let example = "[STRUCT('column', 0.1), ..]";
            Error::invalid(format!("'thresholds' is an array of columns and numbers between 0 and 1: {example}"))
                .at(setting.at)
        })
    }

    /// TRUE or FALSE.
    pub(super) fn flag(&self, name: &str) -> Result<bool> {
        match self.setting(name) {
            None => Ok(false),
            Some(Setting { value: OptionValue::Bool(value), .. }) => Ok(*value),
            Some(setting) => {
                Err(Error::invalid(format!("'{name}' is TRUE or FALSE, not {}", setting.value)).at(setting.at))
            }
        }
    }

    /// What is asked of a language model.
    pub(super) fn task(&self) -> Result<Task> {
        let settings = self.settings.iter().map(|setting| language::Setting {
            name: &setting.name,
            value: &setting.value,
            at: setting.at,
        });
        match self.function {
            "ML.GENERATE_EMBEDDING" => language::embedding(settings),
            _ => language::generation(settings),
        }
    }

    /// Whether a STRUCT of settings was given.
    pub(super) fn has_settings(&self) -> bool {
        !self.settings.is_empty()
    }

    fn setting(&self, name: &str) -> Option<&Setting> {
        self.settings.iter().find(|setting| setting.name == name)
    }
}

fn fraction(setting: &Setting) -> Result<f64> {
    match setting.value.as_f64().filter(|value| (0.0..=1.0).contains(value)) {
        Some(value) => Ok(value),
        None => Err(Error::invalid(format!("'{}' is a number between 0 and 1, not {}", setting.name, setting.value))
            .at(setting.at)),
    }
}

fn setting(shape: &Shape, value: &Expr) -> Result<Setting> {
    let at = position(value.span().start);
    let Expr::Named { expr, name } = value else {
        return Err(Error::invalid(format!("a setting needs a name: STRUCT({value} AS name)")).at(at));
    };
    // Literals have no place of their own.
    let at = if at.line == 0 { position(name.span.start) } else { at };
    let lower = name.value.to_lowercase();
    if !shape.settings.contains(&lower.as_str()) {
        let message = match shape.settings {
            [] => format!("{} takes no settings; write {}", shape.function, shape.usage()),
            known => unknown(&format!("setting of {}", shape.function), &name.value, known.iter().copied()),
        };
        return Err(Error::invalid(message).at(position(name.span.start)));
    }
    let value = option_value(expr).map_err(|message| Error::invalid(format!("setting '{lower}': {message}")).at(at))?;
    Ok(Setting { name: lower, value, at })
}
