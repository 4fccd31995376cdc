//! Values for the placeholders `$1`, `$2` .. of a statement, put in as literals.
//!
//! The values enter the syntax tree, never the text: no value can be taken for anything but a value.
//!
//! **Architecture invariant:** a bound statement is an ordinary one; nothing after this knows of placeholders.

use std::ops::ControlFlow;

use arrow::array::Array;
use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use lakemill_lake::sql_type;
use sqlparser::ast::{
    Array as ArrayLiteral, ArrayElemTypeDef, CastKind, DataType as SqlType, Expr, Function, FunctionArg,
    FunctionArgExpr, FunctionArguments, LimitClause, Query, Value, ValueWithSpan, VisitorMut,
};
use sqlparser::parser::Parser;

use super::grammar::LakemillDialect;
use super::paths::visit_queries;
use super::script::{Ast, Parsed};
use crate::error::{Error, Result};

/// PostgreSQL's protocol counts parameters in 16 bits.
const PARAMETERS_MAX: usize = u16::MAX as usize;

impl Parsed {
    /// How many values the statement takes: the highest number among its placeholders.
    ///
    /// # Errors
    /// Invalid: a placeholder that is no number, as `$name`.
    pub fn parameter_count(&self) -> Result<usize> {
        let mut ast = self.ast.clone();
        let mut count = Count { highest: 0, wrong: None };
        visit(&mut ast, &mut count);
        match count.wrong {
            Some(wrong) => {
                Err(Error::invalid(format!("placeholder '{wrong}' is no number; write $1, $2 ..")).at(self.position()))
            }
            None => Ok(count.highest),
        }
    }

    /// The statement with `values` in the place of `$1`, `$2` ..
    ///
    /// # Errors
    /// Invalid: too few or too many values, or one of a type that SQL has no literal for.
    pub fn bind(&self, values: &[ScalarValue]) -> Result<Self> {
        let wanted = self.parameter_count()?;
        if wanted != values.len() {
            return Err(Error::invalid(format!("the statement takes {wanted} values, but {} are given", values.len())));
        }
        let literals = values.iter().map(literal).collect::<Result<Vec<_>>>()?;
        let mut bound = self.clone();
        visit(&mut bound.ast, &mut Substitute { literals: &literals });
        Ok(bound)
    }
}

impl Parsed {
    /// The statement with `$1`, `$2` .. cast to the types that are given, for a client that says what it will send.
    ///
    /// # Errors
    /// Invalid: a type that SQL has no name for.
    pub fn typed(&self, types: &[Option<DataType>]) -> Result<Self> {
        let types = types.iter().map(|known| known.as_ref().map(syntax_of).transpose()).collect::<Result<Vec<_>>>()?;
        let mut typed = self.clone();
        visit(&mut typed.ast, &mut Type { types: &types });
        Ok(typed)
    }

    /// The types that the text itself says, in `CAST($1 AS INT)` and `LIMIT $2`: DataFusion does not look there.
    pub(crate) fn written_types(&self) -> Vec<(usize, SqlType)> {
        let mut ast = self.ast.clone();
        let mut written = Written(Vec::new());
        visit(&mut ast, &mut written);
        written.0
    }
}

fn visit(ast: &mut Ast, visitor: &mut impl VisitorMut) {
    match ast {
        Ast::Sql(statement) => visit_queries(statement, visitor),
        Ast::Model(statement) => statement.visit_query(visitor),
        Ast::Own(_) => {}
    }
}

/// The number of a placeholder: 3 of `$3`.
fn number(placeholder: &str) -> Option<usize> {
    placeholder.strip_prefix('$')?.parse().ok().filter(|number| (1..=PARAMETERS_MAX).contains(number))
}

/// The number of an expression that is a placeholder.
pub(crate) fn parameter_number(expr: &Expr) -> Option<usize> {
    placeholder(expr).and_then(number)
}

fn placeholder(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Value(ValueWithSpan { value: Value::Placeholder(text), .. }) => Some(text),
        _ => None,
    }
}

struct Count {
    highest: usize,
    wrong: Option<String>,
}

impl VisitorMut for Count {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Some(text) = placeholder(expr) {
            match number(text) {
                Some(number) => self.highest = self.highest.max(number),
                None => self.wrong = Some(text.to_owned()),
            }
        }
        ControlFlow::Continue(())
    }
}

struct Substitute<'a> {
    literals: &'a [Expr],
}

impl VisitorMut for Substitute<'_> {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Some(literal) = placeholder(expr).and_then(number).and_then(|number| self.literals.get(number - 1)) {
            *expr = literal.clone();
        }
        ControlFlow::Continue(())
    }
}

struct Written(Vec<(usize, SqlType)>);

impl Written {
    fn note(&mut self, expr: &Expr, data_type: &SqlType) {
        if let Some(number) = placeholder(expr).and_then(number) {
            self.0.push((number, data_type.clone()));
        }
    }
}

impl VisitorMut for Written {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        if let Some(LimitClause::LimitOffset { limit, offset, .. }) = &query.limit_clause {
            let counts = limit.iter().chain(offset.as_ref().map(|offset| &offset.value));
            counts.for_each(|count| self.note(count, &SqlType::BigInt(None)));
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::Cast { expr, data_type, .. } = expr {
            self.note(expr, data_type);
        }
        ControlFlow::Continue(())
    }
}

struct Type<'a> {
    types: &'a [Option<SqlType>],
}

impl VisitorMut for Type<'_> {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        let known = placeholder(expr).and_then(number).and_then(|number| self.types.get(number - 1)?.as_ref());
        if let Some(data_type) = known {
            *expr = cast_to(expr.clone(), data_type.clone());
        }
        // A list that its sender has no type for is one of texts.
        if let Some(list) = searched_list(expr).filter(|list| placeholder(list).is_some()) {
            let texts = SqlType::Array(ArrayElemTypeDef::SquareBracket(Box::new(SqlType::Varchar(None)), None));
            *list = cast_to(list.clone(), texts);
        }
        ControlFlow::Continue(())
    }
}

/// The list of `x = ANY(list)` and `array_contains(list, x)`.
fn searched_list(expr: &mut Expr) -> Option<&mut Expr> {
    match expr {
        Expr::AnyOp { right, .. } | Expr::AllOp { right, .. } => Some(right),
        Expr::Function(Function { name, args: FunctionArguments::List(list), .. }) => {
            let name = name.0.last()?.as_ident()?.value.to_ascii_lowercase();
            let first = list.args.first_mut().filter(|_| ["array_contains", "array_has"].contains(&name.as_str()))?;
            match first {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(list)) => Some(list),
                _ => None,
            }
        }
        _ => None,
    }
}

/// A value as SQL would write it, of the same type.
fn literal(value: &ScalarValue) -> Result<Expr> {
    if let ScalarValue::Dictionary(_, inner) = value {
        return literal(inner);
    }
    if value.is_null() {
        return match value.data_type() {
            // A cast would make a list out of the NULL.
            data_type if data_type.is_null() || data_type.is_nested() => Ok(Expr::value(Value::Null)),
            data_type => cast(Expr::value(Value::Null), &data_type),
        };
    }
    match value {
        ScalarValue::Boolean(Some(flag)) => Ok(Expr::value(Value::Boolean(*flag))),
        ScalarValue::Int64(Some(number)) if *number >= 0 => Ok(Expr::value(Value::Number(number.to_string(), false))),
        ScalarValue::Utf8(Some(text)) | ScalarValue::LargeUtf8(Some(text)) | ScalarValue::Utf8View(Some(text)) => {
            Ok(Expr::value(Value::SingleQuotedString(text.clone())))
        }
        ScalarValue::Binary(Some(bytes))
        | ScalarValue::LargeBinary(Some(bytes))
        | ScalarValue::BinaryView(Some(bytes))
        | ScalarValue::FixedSizeBinary(_, Some(bytes)) => {
            let digits = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            Ok(Expr::value(Value::HexStringLiteral(digits)))
        }
        ScalarValue::List(list) => elements(&list.value(0)),
        ScalarValue::LargeList(list) => elements(&list.value(0)),
        other if other.data_type().is_nested() => {
            Err(Error::invalid(format!("a value of type {} cannot be a parameter", sql_type(&other.data_type()))))
        }
        other => {
            let text = other.cast_to(&DataType::Utf8).map_err(Error::from)?;
            let ScalarValue::Utf8(Some(text)) = text else {
                return Err(Error::internal(format!("{other} has no text")));
            };
            cast(Expr::value(Value::SingleQuotedString(text)), &other.data_type())
        }
    }
}

fn elements(values: &dyn Array) -> Result<Expr> {
    let element = |index| literal(&ScalarValue::try_from_array(values, index).map_err(Error::from)?);
    let elem = (0..values.len()).map(element).collect::<Result<Vec<_>>>()?;
    match elem.is_empty() {
        // Without elements the literal would have no type.
        true => {
            cast(Expr::Array(ArrayLiteral { elem, named: true }), &DataType::new_list(values.data_type().clone(), true))
        }
        false => Ok(Expr::Array(ArrayLiteral { elem, named: true })),
    }
}

fn cast(expr: Expr, data_type: &DataType) -> Result<Expr> {
    Ok(cast_to(expr, syntax_of(data_type)?))
}

fn cast_to(expr: Expr, data_type: SqlType) -> Expr {
    Expr::Cast { kind: CastKind::Cast, expr: Box::new(expr), data_type, array: false, format: None }
}

fn syntax_of(data_type: &DataType) -> Result<SqlType> {
    let name = sql_type(data_type);
    let parsed = Parser::new(&LakemillDialect).try_with_sql(&name).and_then(|mut parser| parser.parse_data_type());
    parsed.map_err(|_| Error::invalid(format!("a value of type {name} cannot be a parameter")))
}
