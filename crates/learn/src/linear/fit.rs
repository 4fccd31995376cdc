//! Chooses the solver and runs it.

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Float64Type;
use lakemill_base::Stopwatch;

use super::descent::Rate;
use super::objective::Problem;
use super::{Gauge, Loss, descent, lbfgs, newton, normal};
use crate::encode::design::Layout;
use crate::options::Options;
use crate::{Driver, Error, Iteration, Result, TrainingObserver};

/// The most columns for which the normal equations are solved: their matrix takes 800 MB.
const NORMAL_EQUATION_COLUMNS_MAX: usize = 10_000;

/// Weights and how they were found.
#[derive(Debug)]
pub(crate) struct Fitted {
    /// `[outputs, columns + 1]`, the intercept last.
    pub(crate) weights: Vec<f64>,
    pub(crate) iterations: Vec<Iteration>,
}

/// Tells the observer and keeps what it was told.
pub(super) struct Progress<'a> {
    /// At most so many iterations.
    pub(super) of: u32,
    iterations: Vec<Iteration>,
    watch: Stopwatch,
    observer: &'a dyn TrainingObserver,
}

impl Progress<'_> {
    /// An iteration begins.
    pub(super) fn start(&mut self) {
        self.watch = Stopwatch::start();
    }

    /// An iteration ended at these weights.
    pub(super) fn report(
        &mut self,
        problem: &Problem<'_>,
        loss: f64,
        weights: &[f64],
        learning_rate: Option<f64>,
    ) -> Result<()> {
        let iteration = Iteration {
            iteration: self.iterations.len() as u32,
            of: self.of,
            loss: problem.reported(loss),
            eval_loss: problem.eval_loss(weights)?.map(|loss| problem.reported(loss)),
            learning_rate,
            duration_ms: self.watch.millis(),
        };
        let flow = self.observer.iteration(&iteration);
        self.iterations.push(iteration);
        if flow.is_break() { Err(Error::cancelled()) } else { Ok(()) }
    }
}

/// Fits weights to encoded rows.
pub(crate) fn fit(
    layout: &Layout,
    loss: Loss,
    rows: &[RecordBatch],
    eval: &[RecordBatch],
    options: &Options,
    driver: &Driver,
    observer: &dyn TrainingObserver,
) -> Result<Fitted> {
    let (l1, fit_intercept) = (options.float("l1_reg"), options.bool("fit_intercept"));
    let problem = Problem {
        layout,
        loss,
        rows,
        eval,
        weight_sum: weight_sum(rows),
        eval_weight_sum: weight_sum(eval),
        l1,
        l2: options.float("l2_reg"),
        fit_intercept,
        gauge: Gauge::new(layout, loss, fit_intercept, l1),
        driver,
    };
    let solver = choose(&problem, options)?;
    let given = options.is_given("max_iterations") || solver == Solver::Descent;
    let of = match solver {
        Solver::Normal => 1,
        _ if given => u32::try_from(options.int("max_iterations")).unwrap_or(u32::MAX),
        Solver::Newton => newton::ITERATIONS_MAX,
        _ => lbfgs::ITERATIONS_MAX,
    };
    let mut progress = Progress { of, iterations: Vec::new(), watch: Stopwatch::start(), observer };
    let weights = match solver {
        Solver::Normal => {
            let weights = normal::solve(&problem)?;
            let loss = problem.evaluate(&weights)?.loss;
            progress.report(&problem, loss, &weights, None)?;
            weights
        }
        Solver::Newton => newton::minimise(&problem, &mut progress)?,
        Solver::Lbfgs => lbfgs::minimise(&problem, &mut progress)?,
        Solver::Descent => {
            let rate = match options.text("learn_rate_strategy").as_deref() {
                Some("CONSTANT") => Rate::Constant(options.float("learn_rate")),
                _ => Rate::LineSearch(options.float("ls_init_learn_rate")),
            };
            let least = options.bool("early_stop").then(|| options.float("min_rel_progress"));
            descent::minimise(&problem, rate, least, &mut progress)?
        }
    };
    if weights.iter().any(|weight| !weight.is_finite()) {
        let text =
            "training diverged: a weight is infinite; use learn_rate_strategy 'LINE_SEARCH' or a smaller learn_rate";
        return Err(Error::option("learn_rate", text));
    }
    Ok(Fitted { weights, iterations: progress.iterations })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Solver {
    Normal,
    Newton,
    Lbfgs,
    Descent,
}

fn choose(problem: &Problem<'_>, options: &Options) -> Result<Solver> {
    let columns = problem.layout.columns;
    match options.text("optimize_strategy").as_deref() {
        Some("BATCH_GRADIENT_DESCENT") => Ok(Solver::Descent),
        Some("NORMAL_EQUATION") if columns > NORMAL_EQUATION_COLUMNS_MAX => {
            let text = format!(
                "optimize_strategy 'NORMAL_EQUATION' is for at most {NORMAL_EQUATION_COLUMNS_MAX} columns after encoding; \
                 there are {columns}, use 'AUTO_STRATEGY'"
            );
            Err(Error::option("optimize_strategy", text))
        }
        Some("NORMAL_EQUATION") if problem.l1 > 0.0 => {
            let text = "optimize_strategy 'NORMAL_EQUATION' knows no l1_reg; use 'AUTO_STRATEGY'";
            Err(Error::option("optimize_strategy", text))
        }
        _ if problem.loss == Loss::Squared && columns <= NORMAL_EQUATION_COLUMNS_MAX => Ok(Solver::Normal),
        _ if problem.loss != Loss::Squared && problem.l1 == 0.0 && problem.parameters() <= newton::PARAMETERS_MAX => {
            Ok(Solver::Newton)
        }
        _ => Ok(Solver::Lbfgs),
    }
}

fn weight_sum(rows: &[RecordBatch]) -> f64 {
    let weights = rows.iter().filter_map(|batch| batch.column_by_name("weight"));
    weights.filter_map(|array| array.as_primitive_opt::<Float64Type>()).flat_map(|array| array.values().iter()).sum()
}
