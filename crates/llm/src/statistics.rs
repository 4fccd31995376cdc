//! Counts and times of an engine, under which names vLLM exports them.

/// A histogram with fixed upper bounds.
#[derive(Clone, Debug, PartialEq)]
pub struct Histogram {
    /// The upper bounds of the buckets, ascending; one more bucket has none.
    pub bounds: &'static [f64],
    /// How many values fell into each bucket (not cumulative), `[bounds.len() + 1]`.
    pub counts: Vec<u64>,
    /// The sum of the values.
    pub sum: f64,
}

impl Histogram {
    /// An empty histogram.
    pub fn new(bounds: &'static [f64]) -> Self {
        Self { bounds, counts: vec![0; bounds.len() + 1], sum: 0.0 }
    }

    /// Counts a value.
    pub fn observe(&mut self, value: f64) {
        let bucket = self.bounds.partition_point(|bound| *bound < value);
        self.counts[bucket] += 1;
        self.sum += value;
    }

    /// How many values were counted.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }
}

/// vLLM's buckets of `vllm:time_to_first_token_seconds`.
const FIRST_TOKEN_SECONDS: &[f64] = &[
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0, 80.0,
    160.0, 640.0, 2560.0,
];
/// vLLM's buckets of `vllm:time_per_output_token_seconds` and `vllm:inter_token_latency_seconds`.
const OUTPUT_TOKEN_SECONDS: &[f64] =
    &[0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0, 80.0];
/// vLLM's buckets of `vllm:e2e_request_latency_seconds` and `vllm:request_queue_time_seconds`.
const REQUEST_SECONDS: &[f64] = &[
    0.3, 0.5, 0.8, 1.0, 1.5, 2.0, 2.5, 5.0, 10.0, 15.0, 20.0, 30.0, 40.0, 50.0, 60.0, 120.0, 240.0, 480.0, 960.0,
    1920.0, 7680.0,
];
/// Steps of 1, 2 and 5, as vLLM has for `vllm:request_prompt_tokens` and `vllm:request_generation_tokens`.
const TOKENS: &[f64] = &[
    1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0, 5000.0, 10000.0, 20000.0, 50000.0, 100000.0,
];

/// What an engine has done since it started, and what it holds now.
#[derive(Clone, Debug, PartialEq)]
pub struct Statistics {
    /// Sequences that run (`vllm:num_requests_running`).
    pub running: usize,
    /// Requests and preempted sequences that wait (`vllm:num_requests_waiting`).
    pub waiting: usize,
    /// Blocks of the key-value cache.
    pub blocks: usize,
    /// Blocks that running sequences hold, shared ones once.
    pub blocks_used: usize,
    /// Blocks that nobody holds, kept because a later request may begin alike.
    pub blocks_cached: usize,
    /// Bytes of one block.
    pub block_bytes: usize,
    /// Positions in used blocks that hold no token yet: allocated waste, shared blocks counted once.
    pub slots_wasted: usize,
    /// Steps made.
    pub steps: u64,
    /// Tokens of prompts that were computed.
    pub prefilled_tokens: u64,
    /// Tokens of prompts that were asked for, cached ones included (`vllm:prompt_tokens_total`).
    pub prompt_tokens: u64,
    /// Tokens generated (`vllm:generation_tokens_total`).
    pub generated_tokens: u64,
    /// Prompt tokens that were looked up in the prefix cache (`vllm:prefix_cache_queries`).
    pub prefix_queries: u64,
    /// Of these, tokens that were found (`vllm:prefix_cache_hits`).
    pub prefix_hits: u64,
    /// Sequences that lost their blocks to others (`vllm:num_preemptions_total`).
    pub preemptions: u64,
    /// Tokens drafted (`vllm:spec_decode_num_draft_tokens_total`).
    pub drafted_tokens: u64,
    /// Drafted tokens that the model confirmed (`vllm:spec_decode_num_accepted_tokens_total`).
    pub accepted_tokens: u64,
    /// Requests taken into the queue.
    pub submitted: u64,
    /// Requests refused because the queue was full.
    pub refused: u64,
    /// Choices that ended with [`crate::FinishReason::Stop`] (`vllm:request_success_total{finished_reason="stop"}`).
    pub finished_stop: u64,
    /// Choices that ended with [`crate::FinishReason::Length`].
    pub finished_length: u64,
    /// Choices that ended with [`crate::FinishReason::Cancelled`].
    pub finished_cancelled: u64,
    /// Requests that failed.
    pub failed: u64,
    /// `vllm:time_to_first_token_seconds`.
    pub time_to_first_token_s: Histogram,
    /// `vllm:inter_token_latency_seconds`: between the events of a choice, divided by their tokens.
    pub time_per_output_token_s: Histogram,
    /// `vllm:e2e_request_latency_seconds`.
    pub request_s: Histogram,
    /// `vllm:request_queue_time_seconds`.
    pub queue_s: Histogram,
    /// `vllm:request_prompt_tokens`.
    pub request_prompt_tokens: Histogram,
    /// `vllm:request_generation_tokens`, of each choice.
    pub request_generation_tokens: Histogram,
}

impl Statistics {
    /// All zero.
    pub fn new() -> Self {
        Self {
            running: 0,
            waiting: 0,
            blocks: 0,
            blocks_used: 0,
            blocks_cached: 0,
            block_bytes: 0,
            slots_wasted: 0,
            steps: 0,
            prefilled_tokens: 0,
            prompt_tokens: 0,
            generated_tokens: 0,
            prefix_queries: 0,
            prefix_hits: 0,
            preemptions: 0,
            drafted_tokens: 0,
            accepted_tokens: 0,
            submitted: 0,
            refused: 0,
            finished_stop: 0,
            finished_length: 0,
            finished_cancelled: 0,
            failed: 0,
            time_to_first_token_s: Histogram::new(FIRST_TOKEN_SECONDS),
            time_per_output_token_s: Histogram::new(OUTPUT_TOKEN_SECONDS),
            request_s: Histogram::new(REQUEST_SECONDS),
            queue_s: Histogram::new(REQUEST_SECONDS),
            request_prompt_tokens: Histogram::new(TOKENS),
            request_generation_tokens: Histogram::new(TOKENS),
        }
    }

    /// The part of blocks in use, in [0, 1] (`vllm:kv_cache_usage_perc`).
    pub fn kv_usage(&self) -> f64 {
        if self.blocks == 0 { 0.0 } else { self.blocks_used as f64 / self.blocks as f64 }
    }

    /// The part of used slots that hold nothing, in [0, 1].
    pub fn kv_waste(&self) -> f64 {
        if self.blocks_used == 0 {
            return 0.0;
        }
        self.slots_wasted as f64 / (self.blocks_used * lakemill_model::BLOCK_TOKENS) as f64
    }
}

impl Default for Statistics {
    fn default() -> Self {
        Self::new()
    }
}
