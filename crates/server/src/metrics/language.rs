//! What the engines of language models count, under the names that vLLM gives them, so that dashboards made for it fit.

use std::collections::BTreeMap;
use std::fmt;

use lakemill_llm::{Histogram, Statistics};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

/// A label of every series.
const MODEL_NAME: &str = "model_name";

/// The statistics of the models that are loaded, by name.
#[derive(Debug)]
pub(super) struct Engines(pub(super) BTreeMap<String, Statistics>);

/// How a number is read from statistics.
type Gauge = (&'static str, &'static str, fn(&Statistics) -> f64);
type Counter = (&'static str, &'static str, fn(&Statistics) -> u64);
type Distribution = (&'static str, &'static str, fn(&Statistics) -> &Histogram);

const GAUGES: [Gauge; 3] = [
    ("vllm:num_requests_running", "Sequences that run", |of| of.running as f64),
    ("vllm:num_requests_waiting", "Requests that wait to run", |of| of.waiting as f64),
    ("vllm:kv_cache_usage_perc", "The part of the key-value cache in use; 1 is all of it", Statistics::kv_usage),
];

const COUNTERS: [Counter; 7] = [
    ("vllm:prefix_cache_queries", "Tokens of prompts looked up in the cache of prefixes", |of| of.prefix_queries),
    ("vllm:prefix_cache_hits", "Tokens of prompts found in the cache of prefixes", |of| of.prefix_hits),
    ("vllm:prompt_tokens", "Tokens of prompts", |of| of.prompt_tokens),
    ("vllm:generation_tokens", "Tokens generated", |of| of.generated_tokens),
    ("vllm:num_preemptions", "Sequences that gave their blocks to others and were computed again", |of| of.preemptions),
    ("vllm:spec_decode_num_draft_tokens", "Tokens guessed ahead", |of| of.drafted_tokens),
    ("vllm:spec_decode_num_accepted_tokens", "Guessed tokens that were right", |of| of.accepted_tokens),
];

const DISTRIBUTIONS: [Distribution; 6] = [
    ("vllm:time_to_first_token_seconds", "From a request's arrival to its first token", |of| &of.time_to_first_token_s),
    ("vllm:inter_token_latency_seconds", "Between two tokens of an answer", |of| &of.time_per_output_token_s),
    ("vllm:e2e_request_latency_seconds", "From a request's arrival to its end", |of| &of.request_s),
    ("vllm:request_queue_time_seconds", "How long requests wait to run", |of| &of.queue_s),
    ("vllm:request_prompt_tokens", "Tokens of a request's prompt", |of| &of.request_prompt_tokens),
    ("vllm:request_generation_tokens", "Tokens of an answer", |of| &of.request_generation_tokens),
];

/// A reason for which answers end, and how many did.
type Ending = (&'static str, fn(&Statistics) -> u64);

/// Ends of answers by their reason, as vLLM words it.
const ENDS: [Ending; 3] =
    [("stop", |of| of.finished_stop), ("length", |of| of.finished_length), ("abort", |of| of.finished_cancelled)];

impl Collector for Engines {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return Ok(());
        }
        for (name, help, value) in GAUGES {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            self.each(&mut family, |of, encoder| ConstGauge::new(value(of)).encode(encoder))?;
        }
        for (name, help, value) in COUNTERS {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            self.each(&mut family, |of, encoder| ConstCounter::new(value(of)).encode(encoder))?;
        }
        let mut family = encoder.encode_descriptor(
            "vllm:request_success",
            "Answers that ended, by why",
            None,
            MetricType::Counter,
        )?;
        for (model, of) in &self.0 {
            for (reason, value) in ENDS {
                let labels = [(MODEL_NAME, model.as_str()), ("finished_reason", reason)];
                ConstCounter::new(value(of)).encode(family.encode_family(&labels)?)?;
            }
        }
        for (name, help, of) in DISTRIBUTIONS {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Histogram)?;
            self.each(&mut family, |statistics, mut encoder| {
                let histogram = of(statistics);
                let bounds = histogram.bounds.iter().copied().chain([f64::MAX]);
                let buckets: Vec<(f64, u64)> = bounds.zip(histogram.counts.iter().copied()).collect();
                encoder.encode_histogram::<NoLabelSet>(histogram.sum, histogram.count(), &buckets, None)
            })?;
        }
        Ok(())
    }
}

impl Engines {
    fn each(
        &self,
        family: &mut MetricEncoder<'_>,
        encode: impl Fn(&Statistics, MetricEncoder<'_>) -> fmt::Result,
    ) -> fmt::Result {
        self.0.iter().try_for_each(|(model, of)| {
            let labels = [(MODEL_NAME, model.as_str())];
            encode(of, family.encode_family(&labels)?)
        })
    }
}

#[cfg(test)]
mod tests {
    use lakemill_llm::Statistics;
    use prometheus_client::encoding::text::encode_registry;
    use prometheus_client::registry::Registry;

    use super::Engines;

    #[test]
    fn an_engine_is_told_as_vllm_tells_it() {
        let mut statistics = Statistics { prompt_tokens: 12, finished_stop: 2, ..Statistics::default() };
        statistics.time_to_first_token_s.observe(0.03);
        statistics.time_to_first_token_s.observe(9999.0);
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Engines([("m".to_owned(), statistics)].into())));
        let mut text = String::new();
        encode_registry(&mut text, &registry).unwrap();
        for line in [
            "# TYPE vllm:num_requests_running gauge",
            "vllm:prompt_tokens_total{model_name=\"m\"} 12",
            "vllm:request_success_total{model_name=\"m\",finished_reason=\"stop\"} 2",
            "vllm:time_to_first_token_seconds_bucket{le=\"0.02\",model_name=\"m\"} 0",
            "vllm:time_to_first_token_seconds_bucket{le=\"0.04\",model_name=\"m\"} 1",
            "vllm:time_to_first_token_seconds_bucket{le=\"+Inf\",model_name=\"m\"} 2",
            "vllm:time_to_first_token_seconds_count{model_name=\"m\"} 2",
        ] {
            assert!(text.lines().any(|known| known == line), "{line}\n{text}");
        }
    }
}
