//! `AI.IF`, `AI.CLASSIFY` and `AI.SCORE`: a language model's judgement as a value.
//!
//! ```text
//! AI.IF(MODEL m, prompt, ..)                       BOOL
//! AI.CLASSIFY(MODEL m, text, .., ['a', 'b', ..])   one of the categories
//! AI.SCORE(MODEL m, prompt, ..)                    a number from 0 to 10
//! ```
//!
//! Several texts are written one after the other. The answer is decoded under a constraint, so that it is always one of
//! those that are possible; a row whose prompt is NULL gets NULL.
//!
//! A call is first a placeholder ([`AiFunction`]), put into the syntax tree with its model and its categories. [`AiRule`]
//! then takes it out of the expressions of a plan and puts the operator below them, so that a function costs and tells what
//! the relation does: equal prompts are folded, and cheap conditions of the same WHERE run first.

use std::collections::BTreeSet;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DataFusionError, Result as DataFusionResult};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{
    ColumnarValue, Expr, Extension, LogicalPlan, LogicalPlanBuilder, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature, Volatility,
};
use datafusion::optimizer::AnalyzerRule;
use lakemill_base::unknown;
use lakemill_learn::OptionValue;
use sqlparser::ast::{
    self, FunctionArg, FunctionArgExpr, FunctionArgumentList, FunctionArguments, Ident, ObjectName, VisitMut,
    VisitorMut,
};

use super::{LanguageHandle, LanguageNode, Task};
use crate::dialect::normalized;
use crate::language::Kind;
use crate::model::parse::{ModelReference, option_value, place};
use crate::model::transform::position;
use crate::{Error, Result};

/// The functions.
const FUNCTIONS: [&str; 3] = ["AI.IF", "AI.CLASSIFY", "AI.SCORE"];

/// Rewrites the `AI.*` calls of a query into calls of placeholders, and gives these.
///
/// # Errors
/// There is no such function, or its arguments are wrong; with its place.
pub(crate) fn rewrite_calls<T: VisitMut>(
    syntax: &mut T,
    models: &[(ModelReference, Arc<LanguageHandle>)],
) -> Result<Vec<Arc<ScalarUDF>>> {
    let mut rewrite = Rewrite { models, functions: Vec::new() };
    match syntax.visit(&mut rewrite) {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(rewrite.functions),
    }
}

struct Rewrite<'a> {
    models: &'a [(ModelReference, Arc<LanguageHandle>)],
    functions: Vec<Arc<ScalarUDF>>,
}

impl VisitorMut for Rewrite<'_> {
    type Break = Error;

    fn post_visit_expr(&mut self, expr: &mut ast::Expr) -> ControlFlow<Error> {
        match self.rewrite(expr) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(error),
        }
    }
}

impl Rewrite<'_> {
    fn rewrite(&mut self, expr: &mut ast::Expr) -> Result<()> {
        let ast::Expr::Function(function) = expr else { return Ok(()) };
        let Some((name, at)) = ai_name(&function.name) else { return Ok(()) };
        let rewritten = self.call(&name, function).map_err(|error| error.at(position(at)))?;
        *function = rewritten;
        Ok(())
    }

    fn call(&mut self, name: &str, function: &ast::Function) -> Result<ast::Function> {
        let Some(name) = FUNCTIONS.into_iter().find(|known| *known == name) else {
            return Err(Error::not_found(unknown("function", name, FUNCTIONS)));
        };
        let wrong = |what: &str| Error::invalid(format!("{name} {what}; write {}", usage(name)));
        let FunctionArguments::List(list) = &function.args else { return Err(wrong("takes a model and a prompt")) };
        if function.over.is_some() || function.filter.is_some() || list.duplicate_treatment.is_some() {
            return Err(wrong("is a value of one row, with no OVER, FILTER or DISTINCT"));
        }
        let mut values = list.args.iter().map(|argument| match argument {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Ok(expr.clone()),
            other => Err(wrong(&format!("takes its arguments by position, not '{other}'"))),
        });
        let model = values.next().transpose()?;
        let model = model.and_then(|model| ModelReference::from_expr(&model, normalized));
        let reference = model.ok_or_else(|| wrong("takes a model first"))?;
        let mut texts = values.collect::<Result<Vec<_>>>()?;
        let task = match name {
            "AI.CLASSIFY" => {
                let last = texts.pop().ok_or_else(|| wrong("needs a text and its categories"))?;
                Task::Classify { column: String::new(), categories: categories(&last)? }
            }
            "AI.IF" => Task::If { column: String::new() },
            _ => Task::Score { column: String::new() },
        };
        if texts.is_empty() {
            return Err(wrong("needs a prompt"));
        }
        let handle = self.handle(&reference)?;
        handle.expect(Kind::Language, name)?;
        let placeholder = AiFunction::new(task, &reference, handle);
        let call = plain_call(&placeholder.name, vec![concatenated(texts)]);
        self.functions.push(Arc::new(ScalarUDF::new_from_impl(placeholder)));
        Ok(call)
    }

    fn handle(&self, reference: &ModelReference) -> Result<Arc<LanguageHandle>> {
        let same = |known: &&(ModelReference, Arc<LanguageHandle>)| {
            known.0.parts == reference.parts && known.0.version == reference.version
        };
        let name = reference.parts.join(".");
        let found = self.models.iter().find(same).map(|(_, handle)| Arc::clone(handle));
        found.ok_or_else(|| {
            Error::invalid(format!("model {name} is no LANGUAGE_MODEL; a predictive model is applied by ML.PREDICT"))
        })
    }
}

fn usage(name: &str) -> &'static str {
    match name {
        "AI.CLASSIFY" => "AI.CLASSIFY(MODEL m, text, ['category', ..])",
        "AI.IF" => "AI.IF(MODEL m, prompt, ..)",
        _ => "AI.SCORE(MODEL m, prompt, ..)",
    }
}

/// `AI.IF` of `ai.if`, and where it stands; `None` for names that do not begin with `AI`.
fn ai_name(name: &ObjectName) -> Option<(String, sqlparser::tokenizer::Location)> {
    let [prefix, function] = name.0.as_slice() else { return None };
    let (prefix, function) = (prefix.as_ident()?, function.as_ident()?);
    let ours = prefix.quote_style.is_none() && prefix.value.eq_ignore_ascii_case("ai");
    ours.then(|| (format!("AI.{}", function.value.to_uppercase()), prefix.span.start))
}

fn categories(expr: &ast::Expr) -> Result<Vec<String>> {
    let wrong = |why: &str| {
        Error::invalid(format!("the categories of AI.CLASSIFY are {why}, such as ['sports', 'politics']"))
            .at(position(place(expr)))
    };
    let OptionValue::Array(values) = option_value(expr).map_err(|_| wrong("an array of texts"))? else {
        return Err(wrong("an array of texts"));
    };
    let texts: Option<Vec<String>> = values.iter().map(|value| value.as_str().map(str::to_owned)).collect();
    let texts = texts.filter(|texts| texts.iter().all(|text| !text.is_empty()));
    let texts = texts.ok_or_else(|| wrong("an array of texts"))?;
    let distinct: BTreeSet<&String> = texts.iter().collect();
    if distinct.len() < 2 || distinct.len() < texts.len() {
        Err(wrong("two or more different texts"))
    } else {
        Ok(texts)
    }
}

/// The texts one after the other.
fn concatenated(mut texts: Vec<ast::Expr>) -> ast::Expr {
    match texts.len() {
        1 => texts.remove(0),
        _ => ast::Expr::Function(plain_call("concat", texts)),
    }
}

fn plain_call(name: &str, args: Vec<ast::Expr>) -> ast::Function {
    let args = args.into_iter().map(|expr| FunctionArg::Unnamed(FunctionArgExpr::Expr(expr))).collect();
    ast::Function {
        name: ObjectName::from(vec![Ident::with_quote('"', name)]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList { duplicate_treatment: None, args, clauses: Vec::new() }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    }
}

/// A call before [`AiRule`] has put the operator in its place.
#[derive(Debug)]
struct AiFunction {
    name: String,
    task: Task,
    handle: Arc<LanguageHandle>,
    signature: Signature,
}

impl AiFunction {
    fn new(task: Task, reference: &ModelReference, handle: Arc<LanguageHandle>) -> Self {
        let version = reference.version.map(|version| format!("@{version}")).unwrap_or_default();
        let mut name = format!("{}(MODEL {}{version}", task.function(), reference.parts.join("."));
        if let Task::Classify { categories, .. } = &task {
            let values = categories.iter().cloned().map(OptionValue::String).collect();
            name.push_str(&format!(", {}", OptionValue::Array(values)));
        }
        name.push(')');
        Self { name, task, handle, signature: Signature::string(1, Volatility::Stable) }
    }

    /// The call that an expression is.
    fn of(expr: &Expr) -> Option<(&Self, &Expr)> {
        let Expr::ScalarFunction(ScalarFunction { func, args }) = expr else { return None };
        let function = func.inner().downcast_ref::<Self>()?;
        Some((function, args.first()?))
    }

    /// The task, whose column has this name.
    fn task(&self, column: String) -> Task {
        match &self.task {
            Task::Classify { categories, .. } => Task::Classify { column, categories: categories.clone() },
            Task::If { .. } => Task::If { column },
            _ => Task::Score { column },
        }
    }
}

impl PartialEq for AiFunction {
    fn eq(&self, other: &Self) -> bool {
        (&self.name, &self.handle) == (&other.name, &other.handle)
    }
}

impl Eq for AiFunction {}

impl Hash for AiFunction {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        (&self.name, &self.handle).hash(hasher);
    }
}

impl fmt::Display for AiFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl ScalarUDFImpl for AiFunction {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> DataFusionResult<DataType> {
        Ok(match &self.task {
            Task::If { .. } => DataType::Boolean,
            Task::Score { .. } => DataType::Float64,
            _ => DataType::Utf8,
        })
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> DataFusionResult<ColumnarValue> {
        Err(misplaced(self.task.function()))
    }
}

fn misplaced(function: &str) -> DataFusionError {
    DataFusionError::External(Box::new(Error::invalid(format!(
        "{function} stands in SELECT, WHERE, GROUP BY, HAVING and ORDER BY of a query; \
         here, compute it in a subquery first"
    ))))
}

/// Puts the operator below the expressions that call the functions.
#[derive(Debug, Default)]
pub(crate) struct AiRule;

impl AnalyzerRule for AiRule {
    fn name(&self) -> &str {
        "language_functions"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> DataFusionResult<LogicalPlan> {
        plan.transform_up_with_subqueries(extract).map(|transformed| transformed.data)
    }
}

fn extract(plan: LogicalPlan) -> DataFusionResult<Transformed<LogicalPlan>> {
    let exprs = plan.expressions();
    let mut function = None;
    for expr in &exprs {
        expr.apply(|node| {
            if let Some((call, _)) = AiFunction::of(node) {
                function.get_or_insert(call.task.function());
            }
            Ok(TreeNodeRecursion::Continue)
        })?;
    }
    let Some(function) = function else { return Ok(Transformed::no(plan)) };
    let keeps_columns = matches!(plan, LogicalPlan::Filter(_) | LogicalPlan::Sort(_));
    let supported = keeps_columns
        || matches!(plan, LogicalPlan::Projection(_) | LogicalPlan::Aggregate(_) | LogicalPlan::Window(_));
    let inputs = plan.inputs();
    let (true, [input]) = (supported, inputs.as_slice()) else { return Err(misplaced(function)) };
    let mut below = (*input).clone();
    let columns: Vec<Expr> = plan.schema().columns().into_iter().map(Expr::Column).collect();
    let names = NamePreserver::new(&plan);
    let exprs = exprs
        .into_iter()
        .map(|expr| {
            let name = names.save(&expr);
            let replaced = expr.transform_up(|node| replace(node, &mut below))?;
            Ok(name.restore(replaced.data))
        })
        .collect::<DataFusionResult<Vec<_>>>()?;
    let plan = plan.with_new_exprs(exprs, vec![below])?;
    if !keeps_columns {
        return Ok(Transformed::yes(plan));
    }
    Ok(Transformed::yes(LogicalPlanBuilder::from(plan).project(columns)?.build()?))
}

/// A call becomes the column that an operator below gives.
fn replace(expr: Expr, below: &mut LogicalPlan) -> DataFusionResult<Transformed<Expr>> {
    let Some((function, prompt)) = AiFunction::of(&expr) else { return Ok(Transformed::no(expr)) };
    let column = expr.schema_name().to_string();
    let known = below.schema().fields().iter().any(|field| *field.name() == column);
    if !known {
        let task = Arc::new(function.task(column.clone()));
        let node = LanguageNode::new(below.clone(), Arc::clone(&function.handle), task, prompt.clone())?;
        *below = LogicalPlan::Extension(Extension { node: Arc::new(node) });
    }
    Ok(Transformed::yes(Expr::Column(Column::new_unqualified(column))))
}
