//! `ML.STANDARD_SCALER(x) OVER ()` and its kind, recognised in the syntax tree.

use lakemill_base::unknown;
use lakemill_learn::{OptionValue, transform::transform_names};
use sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList, FunctionArguments, Ident, ObjectName, Value,
    WindowType,
};
use sqlparser::tokenizer::Location;

use crate::model::parse::{option_value, place};
use crate::{Error, Position, Result};

/// The preprocessing functions whose result for a row depends on that row alone.
pub(super) const STATELESS: [&str; 5] =
    ["ML.BUCKETIZE", "ML.HASH_BUCKETIZE", "ML.FEATURE_CROSS", "ML.POLYNOMIAL_EXPAND", "ML.NORMALIZER"];

/// The relations of FROM.
pub const RELATIONS: [&str; 14] = [
    "ML.PREDICT",
    "ML.EVALUATE",
    "ML.CONFUSION_MATRIX",
    "ML.ROC_CURVE",
    "ML.CALIBRATION",
    "ML.TRAINING_INFO",
    "ML.FEATURE_INFO",
    "ML.WEIGHTS",
    "ML.FEATURE_IMPORTANCE",
    "ML.TRANSFORM",
    "ML.VALIDATE_DATA_SKEW",
    "ML.VALIDATE_DATA_DRIFT",
    "ML.GENERATE_TEXT",
    "ML.GENERATE_EMBEDDING",
];

/// A call of a preprocessing function.
#[derive(Clone, Debug)]
pub(crate) struct MlCall {
    /// `ML.STANDARD_SCALER`, ..
    pub(crate) function: &'static str,
    /// The first argument: a column, a STRUCT of columns or an array.
    pub(crate) input: Expr,
    /// The other arguments, which are constants.
    pub(crate) constants: Vec<OptionValue>,
    /// Whether `OVER ()` follows.
    pub(crate) over: bool,
    /// Where it stands.
    pub(crate) at: Location,
}

impl MlCall {
    /// Whether its result for a row depends on that row alone.
    pub(crate) fn is_stateless(&self) -> bool {
        STATELESS.contains(&self.function)
    }

    /// The call that `function` is, or `None` if its name does not begin with `ML.`.
    ///
    /// # Errors
    /// There is no such function, it is a relation, or its arguments are not a value followed by constants.
    pub(crate) fn from_syntax(function: &Function) -> Result<Option<Self>> {
        let [prefix, name] = function.name.0.as_slice() else { return Ok(None) };
        let (Some(prefix), Some(name)) = (prefix.as_ident(), name.as_ident()) else { return Ok(None) };
        if !prefix.value.eq_ignore_ascii_case("ml") || prefix.quote_style.is_some() {
            return Ok(None);
        }
        let at = prefix.span.start;
        let full = format!("ML.{}", name.value.to_uppercase());
        let Some(known) = transform_names().iter().find(|known| **known == full) else {
            return Err(no_such_function(&full).at(position(at)));
        };
        let (input, constants) = arguments(known, function).map_err(|error| error.at(position(at)))?;
        let over = has_empty_over(known, function).map_err(|error| error.at(position(at)))?;
        Ok(Some(Self { function: known, input, constants, over, at }))
    }

    /// The call as a plain function of its input (and of its constants as one text) by the name `name`.
    pub(crate) fn as_function(&self, name: &str, constants: Option<String>) -> Expr {
        let unnamed = |expr: Expr| FunctionArg::Unnamed(FunctionArgExpr::Expr(expr));
        let mut args = vec![unnamed(self.input.clone())];
        args.extend(constants.map(|text| unnamed(Expr::value(Value::SingleQuotedString(text)))));
        Expr::Function(Function {
            name: ObjectName::from(vec![Ident::with_quote('"', name)]),
            uses_odbc_syntax: false,
            parameters: FunctionArguments::None,
            args: FunctionArguments::List(FunctionArgumentList {
                duplicate_treatment: None,
                args,
                clauses: Vec::new(),
            }),
            filter: None,
            null_treatment: None,
            over: None,
            within_group: Vec::new(),
        })
    }
}

fn no_such_function(name: &str) -> Error {
    if RELATIONS.contains(&name) {
        return Error::invalid(format!(
            "{name} is a relation, not a value; write it in FROM: SELECT * FROM {name}(..)"
        ));
    }
    Error::not_found(unknown("function", name, transform_names().iter().copied().chain(RELATIONS)))
}

fn arguments(name: &str, function: &Function) -> Result<(Expr, Vec<OptionValue>)> {
    let FunctionArguments::List(list) = &function.args else {
        return Err(Error::invalid(format!("{name} takes a column, and constants after it")));
    };
    if list.duplicate_treatment.is_some() || !list.clauses.is_empty() || function.filter.is_some() {
        return Err(Error::invalid(format!("{name} takes no DISTINCT, ORDER BY or FILTER")));
    }
    let mut values = list.args.iter().map(|argument| match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Ok(expr),
        other => Err(Error::invalid(format!("{name} takes its arguments by position, not '{other}'"))),
    });
    let input = match values.next() {
        Some(input) => name_struct_fields(input?.clone()),
        None => return Err(Error::invalid(format!("{name} takes a column as its first argument"))),
    };
    let constants = values
        .map(|value| {
            let value = value?;
            option_value(value).map_err(|message| {
                Error::invalid(format!("the arguments of {name} after the first are constants: {message}"))
                    .at(position(place(value)))
            })
        })
        .collect::<Result<_>>()?;
    Ok((input, constants))
}

/// `STRUCT(a, b)` names its fields after the columns, as BigQuery does; DataFusion would call them c0 and c1.
fn name_struct_fields(expr: Expr) -> Expr {
    let Expr::Struct { values, fields } = expr else { return expr };
    let values = values
        .into_iter()
        .map(|value| {
            let name = match &value {
                Expr::Identifier(ident) => Some(ident.clone()),
                Expr::CompoundIdentifier(idents) => idents.last().cloned(),
                _ => None,
            };
            match name {
                Some(name) => Expr::Named { expr: Box::new(value), name },
                None => value,
            }
        })
        .collect();
    Expr::Struct { values, fields }
}

fn has_empty_over(name: &str, function: &Function) -> Result<bool> {
    match &function.over {
        None => Ok(false),
        Some(WindowType::WindowSpec(spec))
            if spec.window_name.is_none()
                && spec.partition_by.is_empty()
                && spec.order_by.is_empty()
                && spec.window_frame.is_none() =>
        {
            Ok(true)
        }
        Some(_) => Err(Error::invalid(format!("{name} takes its statistics over all rows: write {name}(..) OVER ()"))),
    }
}

/// A place in the text, as errors carry it.
pub(crate) fn position(at: Location) -> Position {
    Position { line: at.line, column: at.column }
}
