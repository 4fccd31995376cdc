//! Words that must not be in the repository: unfinished code, machine paths, hosts of package registries.

use super::{Findings, SourceFile};

/// The pieces are joined here, so that this file does not name what it forbids.
const FORBIDDEN: [(&[&str], &str, bool); 9] = [
    (&["todo", "!("], "unfinished code", true),
    (&["unimplemented", "!("], "unfinished code", true),
    (&["dbg", "!("], "a debugging aid", true),
    (&["/ro", "ot/"], "a path of one machine", false),
    (&["/ho", "me/"], "a path of one machine", false),
    (&["crates", ".io/api"], "a registry's host", false),
    (&["index.crates", ".io"], "a registry's host", false),
    (&["files.python", "hosted.org"], "a registry's host", false),
    (&["registry.npm", "js.org"], "a registry's host", false),
];

pub(super) fn check(files: &[SourceFile], findings: &mut Findings) {
    let words: Vec<(String, &str, bool)> =
        FORBIDDEN.iter().map(|(pieces, what, rust)| (pieces.concat(), *what, *rust)).collect();
    for file in files.iter().filter(|file| !file.path.ends_with("Cargo.lock")) {
        let rust = file.path.ends_with(".rs");
        for (index, line) in file.text.lines().enumerate() {
            for (word, what, _) in
                words.iter().filter(|(word, _, only)| (rust || !only) && line.contains(word.as_str()))
            {
                findings.error(format_args!("{}:{}", file.path, index + 1), format_args!("'{word}' is {what}"));
            }
            // rustfmt sees to code; in a test's expected text the white space is part of what is printed.
            if line.ends_with([' ', '\t']) && file.path.ends_with(".toml") {
                findings.error(format_args!("{}:{}", file.path, index + 1), "white space at the end of the line");
            }
        }
    }
}
