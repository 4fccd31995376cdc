//! Lengths of files and functions (lines are for rustfmt), and the module doc that every source file starts with.

use super::{Findings, SourceFile};

const FILE_LINES_ASKED: usize = 400;
const FILE_LINES_MAX: usize = 800;
const FUNCTION_LINES_MAX: usize = 70;

pub(super) fn check(files: &[SourceFile], findings: &mut Findings) {
    for file in files.iter().filter(|file| file.path.ends_with(".rs")) {
        let lines: Vec<&str> = file.text.lines().collect();
        if lines.len() > FILE_LINES_MAX {
            findings.error(
                &file.path,
                format_args!("{} lines; look for its second idea, {FILE_LINES_MAX} is the limit", lines.len()),
            );
        } else if lines.len() > FILE_LINES_ASKED {
            findings.warn(&file.path, format_args!("{} lines; aim at {FILE_LINES_ASKED}", lines.len()));
        }
        if !lines.iter().find(|line| !line.is_empty()).is_some_and(|line| line.starts_with("//!")) {
            findings.error(&file.path, "no module doc; say what is here and what is not");
        }
        functions(file, &lines, findings);
    }
}

/// A function ends at the first line that closes a brace in the column where `fn` began.
fn functions(file: &SourceFile, lines: &[&str], findings: &mut Findings) {
    for (start, line) in lines.iter().enumerate().filter(|(_, line)| begins_function(line)) {
        let indent = line.len() - line.trim_start().len();
        let close = format!("{}}}", " ".repeat(indent));
        let Some(length) = lines[start..].iter().position(|line| *line == close) else { continue };
        // A declaration without a body ends before its neighbour's body does.
        let bodiless = lines[start..start + length]
            .iter()
            .any(|line| line.ends_with(';') && line.len() - line.trim_start().len() == indent);
        let code = length + 1 - text_lines(&lines[start..start + length]);
        if !bodiless && code > FUNCTION_LINES_MAX {
            findings.error(
                place(file, start),
                format_args!("a function of {code} lines; {FUNCTION_LINES_MAX} is the limit"),
            );
        }
    }
}

/// Lines inside raw strings: the text that a test expects is no code.
fn text_lines(lines: &[&str]) -> usize {
    let mut inside = false;
    let mut count = 0;
    for line in lines {
        let was_inside = inside;
        inside = match (line.rfind("r#\""), line.rfind("\"#")) {
            (Some(open), Some(close)) => open > close,
            (Some(_), None) => true,
            (None, Some(_)) => false,
            (None, None) => inside,
        };
        count += usize::from(was_inside && inside);
    }
    count
}

fn begins_function(line: &str) -> bool {
    let mut words = line.trim_start();
    for prefix in ["pub ", "pub(crate) ", "pub(super) ", "const ", "async ", "unsafe ", "extern \"C\" "] {
        words = words.strip_prefix(prefix).unwrap_or(words);
    }
    words.starts_with("fn ")
}

fn place(file: &SourceFile, index: usize) -> String {
    format!("{}:{}", file.path, index + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_function_is_found_and_a_short_one_is_not() {
        let body = "    step();\n".repeat(FUNCTION_LINES_MAX);
        let text = format!("//! Doc.\nfn short() {{\n    one();\n}}\npub(crate) async fn long() {{\n{body}}}\n");
        let mut findings = Findings::default();
        check(&[SourceFile { path: "a.rs".to_owned(), text }], &mut findings);
        assert_eq!(findings.errors, ["a.rs:5: a function of 72 lines; 70 is the limit"]);
    }

    #[test]
    fn expected_text_is_no_code() {
        let lines = ["fn help() {", "    expect![[r#\"", "        one", "        two", "    \"#]]", "}"];
        assert_eq!(text_lines(&lines), 2);
    }
}
