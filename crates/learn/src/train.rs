//! Fits the model that a specification asks for.

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::datatypes::{Field, SchemaRef};
use rayon::prelude::*;

use crate::drift::Profile;
use crate::encode::{CategoryEncoding, Encoder, EncoderSettings, TreeColumn};
use crate::linear::{self, Loss};
use crate::metrics;
use crate::model::{HeldOutCurves, Kernel, Model, feature_info, training_info};
use crate::target::{self, Classes};
use crate::trees::{self, Growth, Objective, TrainingRows, TreeParams};
use crate::{Driver, Error, ModelType, Result, Split, TrainSpec, TrainingObserver};

/// Bins of the reliability curve that is kept with a model.
const CALIBRATION_BINS: usize = 20;

/// Fits a model; its held-out metrics are computed on `split.eval`.
///
/// # Errors
/// The data cannot be learned from, or the observer cancelled the training.
pub fn train(spec: &TrainSpec, split: &Split, driver: &Driver, observer: &dyn TrainingObserver) -> Result<Model> {
    let first = split.train.first().ok_or_else(|| Error::data("there are no rows to train on"))?;
    let schema = first.schema();
    let passthrough = spec.passthrough();
    let features: Vec<Field> = schema
        .fields()
        .iter()
        .filter(|field| !passthrough.contains(&field.name().as_str()))
        .map(|field| field.as_ref().clone())
        .collect();
    let label_field = schema.field_with_name(&spec.label)?.clone();
    let classes = if spec.model_type.is_classifier() {
        Some(target::find_classes(spec, &label_field, &split.train, driver)?)
    } else {
        target::check_number_label(spec, &split.train)?;
        None
    };
    let (encoder, stats) = Encoder::fit(&features, settings(spec), &split.train, driver)?;
    let feature_info = feature_info(&encoder, &stats, &split.train)?;
    let profile = Profile::of(&features, &split.train, driver)?;
    let rows = Rows { spec, classes: classes.as_ref(), class_weights: target::class_weights(spec, classes.as_ref())? };
    let fitting = Fitting { rows, encoder: &encoder, split, driver, observer };
    let (kernel, iterations) = if spec.model_type.is_tree() { fitting.trees()? } else { fitting.linear()? };
    let mut model = Model::new(spec.clone(), features, label_field, encoder, classes, kernel);
    model.training_info = training_info(&iterations)?;
    model.feature_info = feature_info;
    model.profile = Some(profile);
    measure(&mut model, &split.eval, driver)?;
    Ok(model)
}

fn settings(spec: &TrainSpec) -> EncoderSettings {
    let categories = match spec.options.text("category_encoding_method").as_deref() {
        Some("DUMMY_ENCODING") => CategoryEncoding::Dummy,
        Some("LABEL_ENCODING") => CategoryEncoding::Label,
        _ => CategoryEncoding::OneHot,
    };
    let tree = spec.model_type.is_tree();
    EncoderSettings {
        categories,
        // Without an intercept nothing would make up for the shift.
        center: !tree && spec.options.bool("fit_intercept"),
        standardize: !tree && spec.options.bool("standardize_features"),
        finite: !tree,
    }
}

/// What turns a batch into targets and weights.
struct Rows<'a> {
    spec: &'a TrainSpec,
    classes: Option<&'a Classes>,
    class_weights: Vec<f64>,
}

impl Rows<'_> {
    fn task(&self) -> Task {
        match self.classes {
            None => Task::Number,
            Some(classes) if classes.len() == 2 => Task::Binary,
            Some(classes) => Task::Classes(classes.len()),
        }
    }

    fn targets_and_weights(&self, batch: &RecordBatch) -> Result<(Vec<f64>, Vec<f64>)> {
        let targets = target::targets(self.spec, self.classes, batch)?;
        let weights = target::row_weights(self.spec, &self.class_weights, &targets, batch)?;
        Ok((targets, weights))
    }

    fn weighted(&self) -> bool {
        self.spec.weight_column.is_some() || self.class_weights.iter().any(|weight| *weight != 1.0)
    }

    /// Held-out rows whose label the training rows have.
    fn known(&self, eval: &[RecordBatch]) -> Result<Vec<RecordBatch>> {
        eval.iter().map(|batch| metrics::known_labels(self.spec, self.classes, batch)).collect()
    }
}

/// What the label asks for.
enum Task {
    Number,
    Binary,
    Classes(usize),
}

/// All that fitting a kernel reads.
struct Fitting<'a> {
    rows: Rows<'a>,
    encoder: &'a Encoder,
    split: &'a Split,
    driver: &'a Driver,
    observer: &'a dyn TrainingObserver,
}

/// What was learned, and how each iteration went.
type Fitted = (Kernel, Vec<crate::Iteration>);

impl Fitting<'_> {
    fn linear(&self) -> Result<Fitted> {
        let (rows, layout) = (&self.rows, &self.encoder.layout);
        let loss = match rows.task() {
            Task::Number => Loss::Squared,
            Task::Binary => Loss::Logistic,
            Task::Classes(classes) => Loss::Softmax(classes),
        };
        let encode = |batches: &[RecordBatch]| -> Result<Vec<RecordBatch>> {
            let encoded = |batch: &RecordBatch| {
                let (targets, weights) = rows.targets_and_weights(batch)?;
                self.encoder.encode(batch)?.into_batch(layout, targets, weights)
            };
            self.driver.pool().install(|| batches.par_iter().map(encoded).collect())
        };
        let train = encode(&self.split.train)?;
        let eval = encode(&rows.known(&self.split.eval)?)?;
        let fitted = linear::fit(layout, loss, &train, &eval, &rows.spec.options, self.driver, self.observer)?;
        Ok((Kernel::Linear { loss, weights: fitted.weights }, fitted.iterations))
    }

    fn trees(&self) -> Result<Fitted> {
        let (rows, split) = (&self.rows, self.split);
        let objective = match rows.task() {
            Task::Number => Objective::SquaredError,
            Task::Binary => Objective::BinaryLogistic,
            Task::Classes(classes) => Objective::Softmax { classes: classes as u32 },
        };
        let schema = split.train[0].schema();
        let train = TreeRows::new(rows, self.encoder, &schema, &split.train)?;
        let eval = match split.eval.is_empty() {
            true => None,
            false => Some(TreeRows::new(rows, self.encoder, &schema, &rows.known(&split.eval)?)?),
        };
        let eval = eval.as_ref().filter(|eval| !eval.targets.is_empty()).map(|eval| eval.view(rows.weighted()));
        let params = tree_params(rows.spec);
        params.check()?;
        let train = train.view(rows.weighted());
        let fitted = trees::fit(&train, eval.as_ref(), &params, objective, self.driver, self.observer)?;
        Ok((Kernel::Trees(fitted.forest), fitted.iterations))
    }
}

struct TreeRows {
    columns: Vec<TreeColumn>,
    targets: Vec<f64>,
    weights: Vec<f64>,
}

impl TreeRows {
    fn new(rows: &Rows<'_>, encoder: &Encoder, schema: &SchemaRef, batches: &[RecordBatch]) -> Result<Self> {
        let batch = concat_batches(schema, batches)?;
        let (targets, weights) = rows.targets_and_weights(&batch)?;
        Ok(Self { columns: encoder.tree_columns(&batch)?, targets, weights })
    }

    fn view(&self, weighted: bool) -> TrainingRows<'_> {
        let weights = weighted.then_some(self.weights.as_slice());
        TrainingRows { columns: &self.columns, target: &self.targets, weights }
    }
}

fn tree_params(spec: &TrainSpec) -> TreeParams {
    let options = &spec.options;
    let count = |name: &str| u32::try_from(options.int(name)).unwrap_or(u32::MAX);
    TreeParams {
        iterations: count("max_iterations"),
        max_depth: count("max_tree_depth"),
        max_leaves: count("max_leaves"),
        growth: match options.text("grow_policy").as_deref() {
            Some("LOSSGUIDE") => Growth::LeafWise,
            _ => Growth::DepthWise,
        },
        learning_rate: options.float("learn_rate"),
        l1_reg: options.float("l1_reg"),
        l2_reg: options.float("l2_reg"),
        min_split_loss: options.float("min_split_loss"),
        min_child_weight: options.float("min_tree_child_weight"),
        subsample: options.float("subsample"),
        colsample_bytree: options.float("colsample_bytree"),
        colsample_bylevel: options.float("colsample_bylevel"),
        colsample_bynode: options.float("colsample_bynode"),
        parallel_trees: count("num_parallel_tree"),
        max_bins: count("max_bins"),
        early_stop: options.bool("early_stop"),
        min_rel_progress: options.float("min_rel_progress"),
        category_smoothing: options.float("category_smoothing"),
        category_l2_reg: options.float("category_l2_reg"),
        seed: spec.seed(),
    }
}

/// Metrics and curves of the held-out rows.
fn measure(model: &mut Model, eval: &[RecordBatch], driver: &Driver) -> Result<()> {
    let known: Vec<RecordBatch> = eval
        .iter()
        .map(|batch| metrics::known_labels(&model.spec, model.classes.as_ref(), batch))
        .collect::<Result<_>>()?;
    let this: &Model = model;
    let scored: Vec<RecordBatch> =
        driver.pool().install(|| known.par_iter().map(|batch| metrics::scored(this, batch)).collect::<Result<_>>())?;
    if scored.iter().all(|batch| batch.num_rows() == 0) {
        return Ok(());
    }
    let held_out = metrics::evaluate(model, &scored, None, driver)?;
    let mut curves = HeldOutCurves::default();
    if model.is_classifier() {
        curves.confusion = Some(metrics::confusion_matrix(model, &scored, None, driver)?);
        if matches!(&model.classes, Some(classes) if classes.len() == 2) {
            curves.roc = Some(metrics::roc_curve(model, &scored, None, driver)?);
            curves.calibration = Some(metrics::calibration(model, &scored, CALIBRATION_BINS, driver)?);
        }
    }
    debug_assert!(
        matches!(model.model_type(), ModelType::LinearReg | ModelType::BoostedTreeRegressor)
            || curves.confusion.is_some()
    );
    model.held_out_metrics = Some(held_out);
    model.held_out_curves = curves;
    Ok(())
}
