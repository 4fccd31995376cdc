//! The engine over SmolLM2-135M-Instruct: the schedule must not be seen in the answers.

use std::sync::{Arc, OnceLock};

use lakemill_base::SystemClock;
use lakemill_kernels::pool::Pool;
use lakemill_llm::{Completion, Engine, EngineOptions, Guidance, ModelRunner, Request, Sampling};
use lakemill_model::{Conversation, KvFormat, LanguageModel, Message};

use crate::{models, toy};

pub(crate) fn model() -> Arc<LanguageModel> {
    static MODEL: OnceLock<Arc<LanguageModel>> = OnceLock::new();
    let load = || Arc::new(LanguageModel::load(models::smollm2(), Arc::new(Pool::new(2))).unwrap());
    Arc::clone(MODEL.get_or_init(load))
}

fn engine(blocks: usize, options: EngineOptions) -> Engine {
    let runner = ModelRunner::new(model(), KvFormat::F16, blocks).unwrap();
    Engine::new(Box::new(runner), Arc::clone(model().tokenizer()) as _, options, Arc::new(SystemClock)).unwrap()
}

/// The tokens of a chat's beginning.
fn chat(question: &str) -> Vec<u32> {
    let messages = [Message::new("user", question)];
    let conversation = Conversation { messages: &messages, add_generation_prompt: true, ..Conversation::default() };
    model().chat_template().unwrap().prompt(model().tokenizer(), &conversation).unwrap()
}

fn greedy(question: &str, tokens: usize) -> Request {
    Request { sampling: Sampling::greedy(), max_tokens: Some(tokens), ..Request::new(chat(question)) }
}

/// The answer of an engine that runs nothing else, reuses nothing and guesses nothing.
fn alone(request: &Request) -> Completion {
    let options = EngineOptions { prefix_cache: false, draft_tokens: 0, ..EngineOptions::default() };
    let mut engine = engine(64, options);
    engine.submit(request.clone()).unwrap();
    toy::run(&mut engine).remove(0).1.unwrap()
}

#[test]
fn answers_sensibly() {
    let completion = alone(&greedy("What is the capital of France? Answer in one sentence.", 24));
    assert!(completion.choices[0].text.contains("Paris"), "{completion:?}");
}

#[test]
fn a_batch_gives_the_answers_of_one_by_one() {
    let topics = [
        "rain",
        "the number 7",
        "bread",
        "the sea",
        "a bicycle",
        "ants",
        "Mars",
        "tea",
        "snow",
        "copper",
        "a song",
        "sand",
    ];
    let requests: Vec<Request> = (0..)
        .zip(topics)
        .map(|(seed, topic)| {
            let mut request = greedy(&format!("You are a careful writer. Write one short sentence about {topic}."), 24);
            if seed % 3 == 1 {
                request.sampling = Sampling { temperature: 0.9, top_p: 0.95, seed: Some(seed), ..Sampling::default() };
            }
            if seed % 4 == 3 {
                request.n = 3;
                request.sampling =
                    Sampling { top_k: 40, repetition_penalty: 1.1, seed: Some(seed), ..Sampling::default() };
            }
            request
        })
        .collect();
    // So few blocks that some are preempted, and prompts are cut into chunks.
    let mut engine = engine(36, EngineOptions { step_tokens: 48, ..EngineOptions::default() });
    for request in &requests {
        engine.submit(request.clone()).unwrap();
    }
    let answers = toy::run(&mut engine);
    let statistics = engine.statistics();
    assert!(statistics.preemptions > 0 && statistics.prefix_hits > 0, "{statistics:?}");
    assert_eq!(statistics.blocks_used, 0);
    for (request, (_, answer)) in requests.iter().zip(answers) {
        assert_eq!(answer.unwrap().choices, alone(request).choices);
    }
}

#[test]
fn a_second_turn_reuses_the_first() {
    let mut engine = engine(64, EngineOptions::default());
    let request = greedy("Name three colours.", 16);
    engine.submit(request.clone()).unwrap();
    let first = toy::run(&mut engine).remove(0).1.unwrap();
    let tail = model().tokenizer().encode_with_special(
        "<|im_end|>\n<|im_start|>user\nNow name three animals.<|im_end|>\n<|im_start|>assistant\n",
        false,
    );
    let next =
        Request { prompt: [request.prompt, first.choices[0].tokens.clone(), tail.unwrap()].concat(), ..greedy("", 16) };
    engine.submit(next.clone()).unwrap();
    let second = toy::run(&mut engine).remove(0).1.unwrap();
    assert!(second.usage.cached_tokens >= 32, "{:?}", second.usage);
    assert_eq!(second.choices, alone(&next).choices);
}

#[test]
fn guided_answers_are_valid_and_drafts_do_not_change_them() {
    let schema = r#"{"type": "object", "properties": {
        "city": {"type": "string", "maxLength": 20}, "population": {"type": "integer"},
        "coastal": {"type": "boolean"}, "size": {"enum": ["small", "large"]}},
        "required": ["city", "population", "coastal", "size"], "additionalProperties": false}"#;
    for seed in 0..4 {
        let request = Request {
            guidance: Some(Guidance::JsonSchema(schema.into())),
            sampling: Sampling {
                temperature: if seed == 0 { 0.0 } else { 0.8 },
                seed: Some(seed),
                ..Sampling::default()
            },
            ..greedy("Describe a city as JSON.", 200)
        };
        let mut engine = engine(64, EngineOptions { draft_tokens: 8, ..EngineOptions::default() });
        engine.submit(request.clone()).unwrap();
        let drafted = toy::run(&mut engine).remove(0).1.unwrap();
        let value: serde_json::Value = serde_json::from_str(&drafted.choices[0].text).unwrap();
        assert!(value["city"].is_string() && value["population"].is_i64() && value["coastal"].is_boolean(), "{value}");
        // Names of properties are forced.
        assert!(drafted.usage.accepted_tokens >= 8, "{:?}", drafted.usage);
        assert_eq!(drafted.choices, alone(&request).choices);
    }
    let choices = vec!["positive".to_owned(), "negative".to_owned()];
    let request = Request {
        guidance: Some(Guidance::Choice(choices.clone())),
        ..greedy("Is 'I love it' positive or negative?", 20)
    };
    assert!(choices.contains(&alone(&request).choices[0].text));
}
