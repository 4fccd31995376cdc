//! The examples of a documentation page: every fenced block, with its language and its place.
//!
//! A comment `<!-- sql`, closed by a line `-->`, is a block too: what an example needs and a reader need not see.

use std::path::{Path, PathBuf};

use crate::Result;

/// A fenced block of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// The word after the fence, such as `sql`, and what follows it, such as `sql error`.
    pub language: String,
    /// The line of the fence, counted from 1.
    pub line: usize,
    /// The text between the fences.
    pub text: String,
    /// Whether it is a comment that readers do not see.
    pub hidden: bool,
}

/// All pages of a folder, in order of their names.
pub fn pages(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut pages = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            pages.extend(self::pages(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "md") {
            pages.push(path);
        }
    }
    pages.sort();
    Ok(pages)
}

/// The blocks of a page, in order.
pub fn blocks(page: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for (index, line) in page.lines().enumerate() {
        let hidden = open.as_ref().is_some_and(|block| block.hidden);
        let begins = if open.is_none() { line.strip_prefix("<!-- ") } else { None };
        let ends = if hidden { line.strip_prefix("-->") } else { None };
        let fence = if hidden { None } else { line.trim_start().strip_prefix("```") };
        if begins.is_some_and(|rest| rest.contains("-->")) {
            continue;
        }
        let Some(fence) = begins.or(ends).or(fence) else {
            if let Some(block) = &mut open {
                block.text.push_str(line);
                block.text.push('\n');
            }
            continue;
        };
        match open.take() {
            Some(block) => blocks.push(block),
            None => {
                open = Some(Block {
                    language: fence.trim().to_owned(),
                    line: index + 1,
                    text: String::new(),
                    hidden: begins.is_some(),
                })
            }
        }
    }
    blocks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_each_block_with_its_line() {
        let found =
            blocks("# A\n<!-- sql\nSELECT 0;\n-->\n```sql\nSELECT 1;\n```\n<!-- a remark -->\n```text\n1\n```\n");
        let expected = [("sql", 2, "SELECT 0;\n", true), ("sql", 5, "SELECT 1;\n", false), ("text", 9, "1\n", false)];
        let expected = expected.map(|(language, line, text, hidden)| Block {
            language: language.to_owned(),
            line,
            text: text.to_owned(),
            hidden,
        });
        assert_eq!(found, expected);
    }
}
