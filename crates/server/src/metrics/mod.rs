//! What the server counts, in Prometheus's text format; `language`: what the engines of language models do.

mod language;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use lakemill_base::Stopwatch;
use lakemill_llm::Statistics;
use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

use crate::error::{Error, Result};
use language::Engines;

/// What a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Http,
    Postgres,
    Flight,
}

impl Protocol {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Postgres => "postgres",
            Self::Flight => "flight",
        }
    }
}

type Labels<const N: usize> = [(&'static str, String); N];

/// From a tenth of a millisecond to some ten minutes, each bucket twice the one before.
#[derive(Clone, Copy, Debug)]
struct Seconds;

impl MetricConstructor<Histogram> for Seconds {
    fn new_metric(&self) -> Histogram {
        Histogram::new(exponential_buckets(0.0001, 2.0, 23))
    }
}

/// The server's counters.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    statements: Family<Labels<2>, Counter>,
    statement_seconds: Family<Labels<1>, Histogram, Seconds>,
    rows: Family<Labels<1>, Counter>,
    connections: Family<Labels<1>, Gauge>,
    refused: Family<Labels<1>, Counter>,
    running: Gauge,
    waiting: Gauge,
    memory: Gauge,
    predictions: Family<Labels<1>, Counter>,
    prediction_seconds: Family<Labels<1>, Histogram, Seconds>,
    predictions_logged: Family<Labels<1>, Counter>,
    predictions_unlogged: Family<Labels<1>, Counter>,
    requests: Family<Labels<2>, Counter>,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("lakemill");
        let statements = Family::default();
        registry.register("statements", "Statements by protocol and outcome", statements.clone());
        let statement_seconds = Family::new_with_constructor(Seconds);
        let help = "From a statement's arrival, its wait for a place included, to its last row";
        registry.register_with_unit("statement", help, Unit::Seconds, statement_seconds.clone());
        let rows = Family::default();
        registry.register("rows", "Rows sent to clients", rows.clone());
        let connections = Family::default();
        registry.register("connections", "Open connections", connections.clone());
        let refused = Family::default();
        registry.register("connections_refused", "Connections that were one too many", refused.clone());
        let running = Gauge::default();
        registry.register("statements_running", "Statements that run", running.clone());
        let waiting = Gauge::default();
        registry.register("statements_waiting", "Statements that wait for a place", waiting.clone());
        let memory = Gauge::default();
        registry.register_with_unit("memory", "Memory that statements hold", Unit::Bytes, memory.clone());
        let predictions = Family::default();
        registry.register("predictions", "Rows predicted by :predict", predictions.clone());
        let prediction_seconds = Family::new_with_constructor(Seconds);
        registry.register_with_unit("prediction", "One call of :predict", Unit::Seconds, prediction_seconds.clone());
        let predictions_logged = Family::default();
        let help = "Rows predicted by :predict that were written to their table";
        registry.register("predictions_logged", help, predictions_logged.clone());
        let predictions_unlogged = Family::default();
        let help = "Rows that should have been, and were left out: too many waited, or the lake refused them";
        registry.register("predictions_unlogged", help, predictions_unlogged.clone());
        let requests = Family::default();
        registry.register("http_requests", "HTTP requests by path and status", requests.clone());
        Self {
            registry,
            statements,
            statement_seconds,
            rows,
            connections,
            refused,
            running,
            waiting,
            memory,
            predictions,
            prediction_seconds,
            predictions_logged,
            predictions_unlogged,
            requests,
        }
    }
}

impl Metrics {
    /// Begins to time a statement.
    pub(crate) fn statement(&self, protocol: Protocol) -> Timing {
        let label = [("protocol", protocol.as_str().to_owned())];
        Timing(Arc::new(TimingState {
            protocol,
            started: Stopwatch::start(),
            ended: AtomicBool::new(false),
            statements: self.statements.clone(),
            seconds: self.statement_seconds.get_or_create(&label).clone(),
            rows: self.rows.get_or_create(&label).clone(),
        }))
    }

    /// Counts a connection until it is dropped.
    pub(crate) fn connection(&self, protocol: Protocol) -> Connected {
        let gauge = self.connections.get_or_create(&[("protocol", protocol.as_str().to_owned())]).clone();
        gauge.inc();
        Connected(gauge)
    }

    /// Counts a connection that was one too many.
    pub(crate) fn refused(&self, protocol: Protocol) {
        self.refused.get_or_create(&[("protocol", protocol.as_str().to_owned())]).inc();
    }

    /// Counts a call of `:predict`.
    pub(crate) fn predicted(&self, model: &str, rows: u64, took: Stopwatch) {
        let label = [("model", model.to_owned())];
        self.predictions.get_or_create(&label).inc_by(rows);
        self.prediction_seconds.get_or_create(&label).observe(took.elapsed().as_secs_f64());
    }

    /// Counts predictions that were written to their table.
    pub(crate) fn logged(&self, model: &str, rows: u64) {
        self.predictions_logged.get_or_create(&[("model", model.to_owned())]).inc_by(rows);
    }

    /// Counts predictions that should have been.
    pub(crate) fn unlogged(&self, model: &str, rows: u64) {
        self.predictions_unlogged.get_or_create(&[("model", model.to_owned())]).inc_by(rows);
    }

    /// Counts an HTTP request by its route, never by its path: paths have no end.
    pub(crate) fn request(&self, route: &str, status: u16) {
        self.requests.get_or_create(&[("path", route.to_owned()), ("status", status.to_string())]).inc();
    }

    /// All of them as text, with what is so now; `engines` of language models by their names.
    ///
    /// # Errors
    /// Internal: the text could not be written.
    pub(crate) fn text(
        &self,
        running: usize,
        waiting: usize,
        memory_bytes: usize,
        engines: BTreeMap<String, Statistics>,
    ) -> Result<String> {
        self.running.set(i64::try_from(running).unwrap_or(i64::MAX));
        self.waiting.set(i64::try_from(waiting).unwrap_or(i64::MAX));
        self.memory.set(i64::try_from(memory_bytes).unwrap_or(i64::MAX));
        let mut text = String::new();
        // vLLM's names have vLLM's prefix.
        let mut language = Registry::default();
        language.register_collector(Box::new(Engines(engines)));
        let written = encode_registry(&mut text, &self.registry)
            .and_then(|()| encode_registry(&mut text, &language))
            .and_then(|()| encode_eof(&mut text));
        written.map_err(|error| Error::internal(error.to_string()))?;
        Ok(text)
    }
}

/// An open connection.
#[derive(Debug)]
pub(crate) struct Connected(Gauge);

impl Drop for Connected {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// One statement's way from its arrival to its end; ends once, as abandoned if nothing else is said.
#[derive(Clone, Debug)]
pub(crate) struct Timing(Arc<TimingState>);

#[derive(Debug)]
struct TimingState {
    protocol: Protocol,
    started: Stopwatch,
    ended: AtomicBool,
    statements: Family<Labels<2>, Counter>,
    seconds: Histogram,
    rows: Counter,
}

impl Timing {
    /// The statement has given all its rows.
    pub(crate) fn done(&self, rows: u64) {
        self.0.rows.inc_by(rows);
        self.0.end("done");
    }

    /// The statement has failed.
    pub(crate) fn failed(&self, error: &Error) {
        self.0.end(error.code());
    }
}

impl TimingState {
    fn end(&self, outcome: &str) {
        if self.ended.swap(true, Ordering::Relaxed) {
            return;
        }
        let labels = [("protocol", self.protocol.as_str().to_owned()), ("outcome", outcome.to_owned())];
        self.statements.get_or_create(&labels).inc();
        self.seconds.observe(self.started.elapsed().as_secs_f64());
    }
}

impl Drop for TimingState {
    fn drop(&mut self) {
        self.end("abandoned");
    }
}
