//! Prompts that are equal, asked once.

use std::collections::HashMap;

/// Prompts that are asked once, and for which rows.
pub(super) struct Distinct<'a> {
    pub(super) prompts: Vec<&'a str>,
    /// For each row, its place in `prompts`; `None` where there is no prompt.
    pub(super) places: Vec<Option<usize>>,
    /// Rows of each prompt.
    pub(super) rows: Vec<u64>,
}

impl<'a> Distinct<'a> {
    /// Equal prompts are one where `fold` says so.
    pub(super) fn new(rows: &[Option<&'a str>], fold: bool) -> Self {
        let mut prompts: Vec<&str> = Vec::new();
        let mut known: HashMap<&str, usize> = HashMap::new();
        let mut counts: Vec<u64> = Vec::new();
        let places = rows
            .iter()
            .map(|row| {
                let prompt = (*row)?;
                if let Some(place) = known.get(prompt).filter(|_| fold) {
                    counts[*place] += 1;
                    return Some(*place);
                }
                known.insert(prompt, prompts.len());
                prompts.push(prompt);
                counts.push(1);
                Some(prompts.len() - 1)
            })
            .collect();
        Self { prompts, places, rows: counts }
    }
}

#[cfg(test)]
mod tests {
    use super::Distinct;

    #[test]
    fn equal_prompts_are_asked_once_where_answers_are_the_same() {
        let rows = [Some("a"), None, Some("b"), Some("a")];
        let folded = Distinct::new(&rows, true);
        assert_eq!(folded.prompts, ["a", "b"]);
        assert_eq!(folded.places, [Some(0), None, Some(1), Some(0)]);
        let each = Distinct::new(&rows, false);
        assert_eq!(each.prompts, ["a", "b", "a"]);
        assert_eq!(each.places, [Some(0), None, Some(1), Some(2)]);
    }
}
