//! The examples of a documentation page: every fenced block, with its language and its place.

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
        let Some(fence) = line.trim_start().strip_prefix("```") else {
            if let Some(block) = &mut open {
                block.text.push_str(line);
                block.text.push('\n');
            }
            continue;
        };
        match open.take() {
            Some(block) => blocks.push(block),
            None => open = Some(Block { language: fence.trim().to_owned(), line: index + 1, text: String::new() }),
        }
    }
    blocks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_each_block_with_its_line() {
        let found = blocks("# A\n```sql\nSELECT 1;\n```\ntext\n```text\n1\n```\n");
        let expected = [("sql", 2, "SELECT 1;\n"), ("text", 6, "1\n")];
        let expected =
            expected.map(|(language, line, text)| Block { language: language.to_owned(), line, text: text.to_owned() });
        assert_eq!(found, expected);
    }
}
