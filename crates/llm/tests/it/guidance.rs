//! Answers of a given form.

use lakemill_base::{ErrorKind, SplitMix64};
use lakemill_llm::{EngineOptions, FinishReason, Guidance, Request, Sampling};

use crate::toy::{self, Toy};

fn request(guidance: Guidance, seed: u64) -> Request {
    let mut random = SplitMix64::new(seed);
    Request {
        guidance: Some(guidance),
        sampling: Sampling { seed: Some(seed), ..Sampling::default() },
        max_tokens: Some(200),
        ..Request::new((0..8).map(|_| 2 + random.below(22) as u32).collect())
    }
}

#[test]
fn every_answer_has_its_form() {
    let schema = r#"{"type": "object", "properties": {"a": {"type": "integer", "maximum": 2222}, "b": {"enum": ["yes", "no"]}},
        "required": ["a", "b"], "additionalProperties": false}"#;
    for seed in 0..40 {
        let text = |guidance| {
            let completion = toy::answer(request(guidance, seed));
            let choice = &completion.choices[0];
            assert_eq!(choice.reason, Some(FinishReason::Stop), "{choice:?}");
            choice.text.clone()
        };
        let value: serde_json::Value = serde_json::from_str(&text(Guidance::JsonSchema(schema.into()))).unwrap();
        assert!(value["a"].as_i64().unwrap() <= 2222 && ["yes", "no"].contains(&value["b"].as_str().unwrap()));
        let digits = text(Guidance::Regex("(ab|c){2,5}1+2".into()));
        assert!(
            digits.ends_with("12") && digits.trim_end_matches(['1', '2']).chars().all(|c| "abc".contains(c)),
            "{digits}"
        );
        let choices = ["yes", "no", "a \"b\"\nä {}", "1"].map(str::to_owned).to_vec();
        assert!(choices.contains(&text(Guidance::Choice(choices.clone()))));
        let lark = "start: pair+ \"}\"\npair: \"a\" /[12]/ \":\"";
        let pairs = text(Guidance::Lark(lark.into()));
        assert!(pairs.ends_with(":}") && pairs.starts_with('a'), "{pairs}");
    }
}

#[test]
fn forms_that_cannot_be_followed_are_refused() {
    let mut engine = toy::engine(Toy::new(64, 1024), EngineOptions::default());
    for (guidance, begins) in [
        (Guidance::JsonSchema("{".into()), "the json schema cannot be followed: EOF while parsing"),
        (
            Guidance::JsonSchema(r#"{"type": "integer", "minimum": 3, "maximum": 2}"#.into()),
            "the json schema cannot be followed: ",
        ),
        (Guidance::Regex("(".into()), "the regular expression cannot be followed: "),
        (Guidance::Regex("x+".into()), "the regular expression cannot be followed: no token can begin it"),
        (Guidance::Lark("start: nowhere".into()), "the grammar cannot be followed: "),
        (Guidance::Choice(vec![]), "the list of choices cannot be followed: it is empty; give at least one text"),
    ] {
        let error = engine.submit(request(guidance, 1)).unwrap_err();
        assert_eq!((error.kind(), error.parameter_name()), (ErrorKind::Invalid, Some("guidance")));
        assert!(error.to_string().starts_with(begins), "{error}");
    }
    // The vocabulary has an 'a' and no 'x' that this form needs in the end.
    engine.submit(request(Guidance::Regex("a+x".into()), 1)).unwrap();
    let (_, ended) = toy::run(&mut engine).remove(0);
    match ended {
        Ok(completion) => assert_eq!(completion.choices[0].reason, Some(FinishReason::Length)),
        Err(error) => assert!(error.to_string().starts_with("guidance came to a place"), "{error}"),
    }
}

#[test]
fn min_tokens_and_guidance_do_not_go_together() {
    let mut engine = toy::engine(Toy::new(64, 1024), EngineOptions::default());
    let error = engine.submit(Request { min_tokens: 1, ..request(Guidance::JsonObject, 1) }).unwrap_err();
    assert_eq!(error.parameter_name(), Some("min_tokens"));
}
