//! `lakemill chat` and the files of language models, with SmolLM2-135M-Instruct.

use rexpect::session::{PtySession, spawn_command};

use crate::support::{Finished, Place};

/// A model that is fetched where it is not there yet; the machine may be busy with other tests.
const WAIT_MS: u64 = 180_000;

fn piped(place: &Place, prompt: &str, arguments: &[&str]) -> Finished {
    let greedy: &[&str] = if arguments.contains(&"--temperature") { &[] } else { &["--temperature", "0"] };
    let arguments = [&["chat", "--max-tokens", "12"], greedy, arguments].concat();
    Finished::with_input(&mut place.lakemill(&arguments), prompt)
}

#[test]
fn a_pipe_gets_an_answer_and_nothing_else() {
    let place = Place::new();
    let answer = piped(&place, "What is the capital of France?\n", &[]).ok();
    assert!(answer.stdout.len() > 10 && answer.stdout.ends_with('\n'), "{answer:?}");
    assert_eq!(answer.stderr, "");
    assert!(!place.path("lake").exists(), "talking makes no lake");
    let again = piped(&place, "What is the capital of France?", &[]).ok();
    assert_eq!(again.stdout, answer.stdout);
    let seeded = |seed: &str| piped(&place, "Tell a joke.", &["--temperature", "1.5", "--seed", seed]).ok().stdout;
    assert_eq!(seeded("1"), seeded("1"));
}

#[test]
fn what_cannot_be_answered_is_said() {
    let place = Place::new();
    piped(&place, " \n", &[]).fails(2, "standard input is empty");
    piped(&place, "hi", &["nothing"]).fails(3, "pypi://package");
    piped(&place, "hi", &["./nothing.gguf"]).fails(3, "nothing.gguf");
    piped(&place, "hi", &["http://elsewhere/x.gguf"]).fails(2, "hf://organisation/name");
    let broken = place.write("broken.gguf", "GGUF and no more");
    piped(&place, "hi", &[&broken.display().to_string()]).fails(65, "GGUF");
    piped(&place, &"word ".repeat(20_000), &[]).fails(2, "write less");
    piped(&place, "hi", &["--temperature", "9"]).fails(2, "from 0 to 2");
}

fn start(place: &Place, arguments: &[&str]) -> PtySession {
    let mut command = place.lakemill(&[&["chat"], arguments].concat());
    command.env("TERM", "xterm").stdin(std::process::Stdio::inherit());
    let mut session = spawn_command(command, Some(WAIT_MS)).unwrap();
    session.exp_string("/help for help").unwrap();
    session.exp_string("> ").unwrap();
    session
}

/// Types a line at the next prompt: what comes before it, while the terminal changes its mode, is lost.
fn say(session: &mut PtySession, line: &str) {
    session.exp_string("> ").unwrap();
    session.send_line(line).unwrap();
}

#[test]
fn a_conversation_goes_on_until_it_is_left() {
    let place = Place::new();
    let mut session = start(&place, &["--temperature", "0", "--max-tokens", "16"]);
    session.send_line("What is the capital of France?").unwrap();
    session.exp_string(" tokens").unwrap();
    session.exp_string("a second").unwrap();
    say(&mut session, "And of Italy?");
    session.exp_string("read before").unwrap();
    let saved = place.path("said.md").display().to_string();
    say(&mut session, &format!("/save {saved}"));
    session.exp_string("saved to ").unwrap();
    say(&mut session, "/sytem Be brief.");
    session.exp_string("did you mean 'system'").unwrap();
    say(&mut session, "/exit");
    session.exp_eof().unwrap();
    let text = std::fs::read_to_string(saved).unwrap();
    assert!(text.starts_with("## user\n\nWhat is the capital of France?\n\n## assistant\n\n"), "{text}");
    assert!(text.contains("## user\n\nAnd of Italy?\n"), "{text}");
}

#[test]
fn control_c_stops_the_answer_and_keeps_the_conversation() {
    let place = Place::new();
    let mut session = start(&place, &["--temperature", "0"]);
    session.send_line("Write a long story about a ship and the sea, in many chapters.").unwrap();
    session.exp_string("the ").unwrap();
    session.send_control('c').unwrap();
    session.exp_string("[stopped, ").unwrap();
    session.exp_string("> ").unwrap();
    session.send_line("/help").unwrap();
    session.exp_string("/save FILE").unwrap();
    session.send_control('d').unwrap();
    session.exp_eof().unwrap();
}

#[test]
fn files_of_models_are_listed_shown_and_removed() {
    let place = Place::new();
    place.write("models/pypi/some-model-1.0/weights.gguf", "12345");
    let models = |arguments: &[&str]| {
        let mut command = place.lakemill(&[&["models"], arguments].concat());
        command.env("LAKEMILL_MODELS", place.path("models")).env("HF_HOME", place.path("hub"));
        Finished::of(&mut command)
    };
    let listed: serde_json::Value = serde_json::from_str(&models(&["list", "--format", "json"]).ok().stdout).unwrap();
    assert_eq!(
        (&listed["files"][0]["name"], &listed["files"][0]["bytes"]),
        (&"pypi://some-model==1.0".into(), &5.into())
    );
    assert!(models(&["list"]).ok().stdout.contains("pypi://some-model==1.0"));
    let path = models(&["pull", "pypi://some-model==1.0"]).ok().stdout;
    assert!(path.trim_end().ends_with("some-model-1.0/weights.gguf"), "{path}");
    models(&["show", "pypi://some-model"]).fails(65, "");
    models(&["rm", "pypi://some-model"]).ok();
    models(&["rm", "pypi://some-model"]).fails(3, "lakemill models list");
    models(&["show", "nothing"]).fails(3, "");
    models(&["pull", "ftp://x"]).fails(2, "hf://organisation/name");
    assert!(models(&["list"]).ok().stderr.contains("no models yet"));
}
