//! The values of a report, from the catalog, the lake and the models.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::RecordBatch;
use datafusion::catalog::TableProvider;
use futures::TryStreamExt;
use lakemill_base::{ErrorKind, quoted_identifier};
use lakemill_lake::{At, Relation, RunRecord, TableName};
use lakemill_query::{NoObserver, ObjectKind, ObjectRef, Outcome, Session, StatementKind};

use super::data::{
    ChartData, Confusion, LineageData, LineageNode, LossPoint, ModelData, ReportData, RocPoint, ScoreBin, StatementRow,
    StepRow, TableRow,
};
use super::{html, model_metrics, models_of, short_name, values};
use crate::definition::{ChartSpec, Pipeline};
use crate::error::{Error, Result};
use crate::fingerprint;
use crate::graph::{Graph, Node};
use crate::plan::load_states;
use crate::state::{Preview, Quality, StepState};

/// Charts of more rows are cut: nobody could read them.
const CHART_ROWS_MAX: usize = 400;

/// Intervals of the calibration curve and of the scores.
const BINS: usize = 20;

/// Weights that are asked for; the picture shows fewer.
const WEIGHTS_MAX: usize = 40;

/// Collects everything.
pub(super) async fn collect(session: &Session, pipeline: &Pipeline) -> Result<ReportData> {
    let graph = Graph::of(pipeline, session)?;
    let states = load_states(pipeline, session).await?;
    let run = session.lake().runs(Some(&pipeline.name), 1).await?.into_iter().next();
    let mut data = ReportData {
        title: pipeline.title.clone(),
        description: pipeline.description.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        steps: steps(pipeline, &graph, &states),
        tables: tables(session, &graph).await?,
        lineage: lineage(&graph),
        queries: states
            .iter()
            .flat_map(|state| &state.statements)
            .filter_map(|record| record.preview.clone())
            .collect(),
        ..ReportData::default()
    };
    describe_run(&mut data, run.as_ref());
    let mut collector = Collector { session, pipeline, missing: Vec::new() };
    data.quality = collector.quality().await;
    for metrics in model_metrics(session, &models_of(pipeline, &graph)).await? {
        let model = ModelData {
            name: metrics.model.clone(),
            version: metrics.version,
            model_type: metrics.model_type,
            metrics: metrics.metrics,
            ..ModelData::default()
        };
        data.models.push(collector.model(model).await);
    }
    for spec in &pipeline.report.charts {
        data.charts.extend(collector.chart(spec).await);
    }
    data.missing = collector.missing;
    Ok(data)
}

fn describe_run(data: &mut ReportData, run: Option<&RunRecord>) {
    let Some(run) = run else {
        "no run yet".clone_into(&mut data.status);
        return;
    };
    data.status.clone_from(&run.status);
    data.error.clone_from(&run.detail.error);
    let started = jiff::Timestamp::from_millisecond(run.started_ms).unwrap_or_default();
    let when = started.to_zoned(jiff::tz::TimeZone::UTC).strftime("%-d %B %Y, %H:%M UTC");
    let took = run.detail.seconds.map(|s| format!(" · took {}", html::seconds(s))).unwrap_or_default();
    data.when = format!("{when}{took} · run {}", run.id);
}

fn steps(pipeline: &Pipeline, graph: &Graph, states: &[StepState]) -> Vec<StepRow> {
    let row = |(index, step): (usize, &crate::definition::Step)| {
        let mut row = StepRow { id: step.id.clone(), title: step.title.clone(), ..StepRow::default() };
        row.about.clone_from(&step.about);
        let nodes: Vec<&Node> = graph.of_step(index).map(|(_, node)| node).filter(|node| !node.is_session()).collect();
        for record in nodes.iter().filter_map(|node| states[index].record(&node.key)).filter(|record| record.done) {
            row.rows += record.rows.unwrap_or_default();
            row.seconds += record.seconds;
            row.statements.push(StatementRow {
                label: record.label.clone(),
                message: record.message.clone(),
                rows: record.rows,
                seconds: record.seconds,
            });
        }
        let status = match row.statements.len() {
            0 if !nodes.is_empty() => "never ran",
            done if done < nodes.len() => "not finished",
            _ => "done",
        };
        status.clone_into(&mut row.status);
        row
    };
    pipeline.steps.iter().enumerate().map(row).collect()
}

async fn tables(session: &Session, graph: &Graph) -> Result<Vec<TableRow>> {
    let mut seen: BTreeSet<&ObjectRef> = BTreeSet::new();
    let mut rows = Vec::new();
    let written = graph.nodes.iter().flat_map(|node| &node.writes);
    for object in written.filter(|object| object.kind == ObjectKind::Table) {
        if !seen.insert(object) {
            continue;
        }
        let (namespace, table) = fingerprint::split(&object.name);
        let mut row = TableRow { name: short_name(&object.name).to_owned(), ..TableRow::default() };
        match session.lake().find(&TableName::new(namespace, table), At::Latest).await? {
            None => continue,
            Some(Relation::Table(table)) => {
                "table".clone_into(&mut row.kind);
                row.version = Some(table.version());
                row.rows = table.row_count();
                row.columns = Some(table.schema().fields().len());
                row.bytes = Some(table.size_bytes());
            }
            Some(Relation::View(_)) => "view".clone_into(&mut row.kind),
            Some(Relation::External(entry)) => {
                row.kind = format!("raw {}", entry.format.to_lowercase());
                row.columns = entry.schema.map(|schema| schema.fields().len() + entry.partition_columns.len());
                row.location = Some(entry.location);
            }
        }
        rows.push(row);
    }
    Ok(rows)
}

/// Sources, tables and models with what each was made from. Queries that give rows make nothing.
fn lineage(graph: &Graph) -> LineageData {
    let mut data = LineageData::default();
    let place = |nodes: &mut Vec<LineageNode>, object: &ObjectRef| {
        let kind = object.kind.as_str();
        let name = match object.kind {
            ObjectKind::File => object.name.clone(),
            _ => short_name(&object.name).to_owned(),
        };
        nodes.iter().position(|node| node.name == name && node.kind == kind).unwrap_or_else(|| {
            nodes.push(LineageNode { name, kind: kind.to_owned() });
            nodes.len() - 1
        })
    };
    for node in graph.nodes.iter().filter(|node| node.parsed.kind != StatementKind::Query) {
        for output in &node.writes {
            let to = place(&mut data.nodes, output);
            for input in &node.reads {
                let from = place(&mut data.nodes, input);
                if from != to && !data.edges.contains(&(from, to)) {
                    data.edges.push((from, to));
                }
            }
        }
    }
    data
}

/// Asks the session; what fails is noted, not fatal.
struct Collector<'a> {
    session: &'a Session,
    pipeline: &'a Pipeline,
    missing: Vec<String>,
}

impl Collector<'_> {
    /// The rows of one query. Statements that change something are refused: a report only reads.
    async fn rows(&self, sql: &str) -> Result<Vec<RecordBatch>> {
        let mut batches = Vec::new();
        for parsed in self.session.parse(sql)? {
            if parsed.kind != StatementKind::Query || !parsed.writes.is_empty() {
                return Err(Error::invalid("a report only reads; write a SELECT"));
            }
            let parsed = parsed.based_in(&self.pipeline.dir);
            if let Outcome::Rows(rows) = self.session.execute(&parsed, Arc::new(NoObserver)).await?.outcome {
                batches = rows.try_collect().await.map_err(lakemill_query::Error::from)?;
            }
        }
        Ok(batches)
    }

    /// Notes why a part is missing, unless the model is of a kind that has no such thing.
    fn kept<T>(&mut self, part: &str, result: Result<T>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(error) if error.kind() == ErrorKind::Invalid && part.starts_with("model ") => None,
            Err(error) => {
                tracing::warn!(%part, %error, "a part of the report is missing");
                self.missing.push(format!("{part}: {}", error.message()));
                None
            }
        }
    }

    async fn quality(&mut self) -> Vec<Quality> {
        let Some(table) = &self.pipeline.report.quality else { return Vec::new() };
        let result = self.rows(&format!("SELECT * FROM {table}")).await.and_then(|rows| Ok(findings(&rows)?));
        self.kept(&format!("data quality ({table})"), result).unwrap_or_default()
    }

    async fn model(&mut self, mut model: ModelData) -> ModelData {
        let name = quoted(&model.name);
        let part = |what: &str| format!("model {name}, {what}");
        let rows = self.rows(&format!("SELECT * FROM ML.TRAINING_INFO(MODEL {name}) ORDER BY iteration")).await;
        model.loss = self.kept(&part("loss"), rows.and_then(|rows| Ok(losses(&rows)?))).unwrap_or_default();
        if model.model_type == "BOOSTED_TREE_CLASSIFIER" || model.model_type == "BOOSTED_TREE_REGRESSOR" {
            let sql =
                format!("SELECT feature, importance_gain FROM ML.FEATURE_IMPORTANCE(MODEL {name}) ORDER BY 2 DESC");
            let rows = self.rows(&sql).await.and_then(|rows| Ok(pairs(&rows, "feature", "importance_gain")?));
            model.importance = self.kept(&part("feature importance"), rows).unwrap_or_default();
        } else {
            let rows = self.rows(&weights_query(&name)).await.and_then(|rows| Ok(pairs(&rows, "name", "weight")?));
            model.weights = self.kept(&part("weights"), rows).unwrap_or_default();
        }
        if model.metric("accuracy").is_some() {
            let rows = self.rows(&format!("SELECT * FROM ML.CONFUSION_MATRIX(MODEL {name})")).await;
            model.confusion = self.kept(&part("confusion matrix"), rows.and_then(|rows| Ok(confusion(&rows)?)));
        }
        // Curves over a threshold are of two classes only.
        if model.confusion.as_ref().is_some_and(|matrix| matrix.labels.len() == 2) {
            let rows = self.rows(&format!("SELECT * FROM ML.ROC_CURVE(MODEL {name}) ORDER BY threshold DESC")).await;
            model.roc = self.kept(&part("ROC curve"), rows.and_then(|rows| Ok(roc(&rows)?))).unwrap_or_default();
            let sql = match &self.pipeline.report.evaluation {
                Some(query) => format!(
                    "SELECT * FROM ML.CALIBRATION(MODEL {name}, ({query}), STRUCT({BINS} AS bins)) ORDER BY bin_start"
                ),
                None => format!("SELECT * FROM ML.CALIBRATION(MODEL {name}) ORDER BY bin_start"),
            };
            let rows = self.rows(&sql).await;
            model.bins = self.kept(&part("calibration"), rows.and_then(|rows| Ok(bins(&rows)?))).unwrap_or_default();
        }
        model
    }

    async fn chart(&mut self, spec: &ChartSpec) -> Option<ChartData> {
        let rows = self
            .rows(&spec.query)
            .await
            .and_then(|rows| Ok(values::table(&rows).and_then(|table| chart(spec, &rows, table))?));
        self.kept(&format!("chart '{}'", spec.title), rows)
    }
}

/// The largest weights on a common scale, those of categories named `feature = category`.
fn weights_query(name: &str) -> String {
    let all = format!("ML.WEIGHTS(MODEL {name}, STRUCT(TRUE AS standardize))");
    format!(
        "SELECT name, weight FROM (
           SELECT processed_input AS name, weight FROM {all} WHERE weight IS NOT NULL AND processed_input <> '__INTERCEPT__'
           UNION ALL
           SELECT processed_input || ' = ' || c['category'] AS name, c['weight'] AS weight
           FROM (SELECT processed_input, unnest(category_weights) AS c FROM {all})
         ) ORDER BY abs(weight) DESC LIMIT {WEIGHTS_MAX}"
    )
}

/// A name as SQL needs it, part by part.
fn quoted(name: &str) -> String {
    name.split('.').map(quoted_identifier).collect::<Vec<_>>().join(".")
}

type Batches = [RecordBatch];
type Values<T> = lakemill_query::Result<T>;

fn findings(rows: &Batches) -> Values<Vec<Quality>> {
    let relation = values::texts(rows, "relation")?;
    let finding = values::texts(rows, "finding")?;
    let count = values::counts(rows, "rows")?;
    let of_rows = values::counts(rows, "of_rows")?;
    let treatment = values::texts(rows, "treatment")?;
    let numbers = count.into_iter().zip(of_rows);
    let texts = relation.into_iter().zip(finding).zip(treatment);
    Ok(texts
        .zip(numbers)
        .map(|(((relation, finding), treatment), (rows, of_rows))| Quality {
            relation,
            finding,
            rows,
            of_rows,
            treatment,
        })
        .collect())
}

fn losses(rows: &Batches) -> Values<Vec<LossPoint>> {
    let iteration = values::numbers(rows, "iteration")?;
    let loss = values::numbers(rows, "loss")?;
    let eval = values::numbers(rows, "eval_loss")?;
    let points = iteration.into_iter().zip(loss).zip(eval);
    Ok(points
        .map(|((iteration, loss), eval)| LossPoint { iteration, loss, eval_loss: eval.is_finite().then_some(eval) })
        .collect())
}

fn pairs(rows: &Batches, name: &str, value: &str) -> Values<Vec<(String, f64)>> {
    Ok(values::texts(rows, name)?.into_iter().zip(values::numbers(rows, value)?).collect())
}

fn roc(rows: &Batches) -> Values<Vec<RocPoint>> {
    let threshold = values::numbers(rows, "threshold")?;
    let recall = values::numbers(rows, "recall")?;
    let alarms = values::numbers(rows, "false_positive_rate")?;
    let point = |threshold, false_positive_rate, recall| RocPoint { threshold, false_positive_rate, recall };
    let mut points = vec![point(1.0, 0.0, 0.0)];
    points.extend(
        threshold
            .into_iter()
            .zip(recall)
            .zip(alarms)
            .map(|((threshold, recall), alarms)| point(threshold, alarms, recall)),
    );
    points.push(point(0.0, 1.0, 1.0));
    Ok(points)
}

fn bins(rows: &Batches) -> Values<Vec<ScoreBin>> {
    let from = values::numbers(rows, "bin_start")?;
    let to = values::numbers(rows, "bin_end")?;
    let count = values::counts(rows, "rows")?;
    let mean = values::numbers(rows, "mean_predicted")?;
    let share = values::numbers(rows, "fraction_positive")?;
    Ok((0..from.len())
        .map(|at| ScoreBin {
            from: from[at],
            to: to[at],
            mean_score: mean[at],
            rows: count[at],
            positives: ((share[at] * count[at] as f64).round().max(0.0) as u64).min(count[at]),
        })
        .collect())
}

fn confusion(rows: &Batches) -> Values<Confusion> {
    let labels = values::texts(rows, "expected_label")?;
    let Some(first) = rows.first() else { return Ok(Confusion::default()) };
    let schema = first.schema();
    let columns = schema.fields().iter().skip(1).map(|field| values::counts(rows, field.name()));
    let columns = columns.collect::<Values<Vec<_>>>()?;
    let counts = (0..labels.len()).map(|truth| columns.iter().map(|column| column[truth]).collect()).collect();
    Ok(Confusion { labels, counts })
}

fn chart(spec: &ChartSpec, rows: &Batches, mut table: Preview) -> Values<ChartData> {
    table.more = table.rows.len() > CHART_ROWS_MAX;
    table.rows.truncate(CHART_ROWS_MAX);
    let mut series = Vec::new();
    if spec.kind != crate::definition::ChartKind::Table {
        for name in table.columns.iter().skip(1) {
            let mut numbers = values::numbers(rows, name)?;
            numbers.truncate(CHART_ROWS_MAX);
            series.push((name.clone(), numbers));
        }
    }
    let categories = table.rows.iter().map(|row| row.first().cloned().flatten().unwrap_or_else(|| "NULL".to_owned()));
    Ok(ChartData {
        title: spec.title.clone(),
        note: spec.note.clone(),
        kind: spec.kind,
        x: spec.x.clone(),
        y: spec.y.clone(),
        percent: spec.percent,
        categories: categories.collect(),
        series,
        rows: table,
    })
}
