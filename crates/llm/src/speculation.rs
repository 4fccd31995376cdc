//! Guessing tokens ahead by looking up what followed the last few tokens before (prompt look-up decoding: Saxena, 2023;
//! verified as in Leviathan et al., "Fast Inference from Transformers via Speculative Decoding", ICML 2023).
//!
//! Here a guess is confirmed only where sampling, with the random number of that position, gives the same token. So
//! answers are the same with and without drafts, at every temperature.

/// The longest run of tokens that is looked up first; shorter ones after it.
const RUN_MAX: usize = 4;
/// The shortest: one token alone says too little.
const RUN_MIN: usize = 2;
/// How far back to look: longer searches cost more than they find.
const WINDOW: usize = 8192;
/// After this many drafts in a row without a hit, drafts are tried again only now and then.
const MISSES_MAX: u32 = 3;
/// The longest pause in tokens.
const PAUSE_MAX: u32 = 64;

/// How willing a sequence is to draft: as long as its drafts are confirmed.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Drafter {
    /// How many tokens to draft; 0 before the first draft.
    length: usize,
    misses: u32,
    pause: u32,
}

impl Drafter {
    /// At most `most` tokens that may follow `tokens`.
    pub(crate) fn draft(&mut self, tokens: &[u32], most: usize) -> Vec<u32> {
        if self.pause > 0 {
            self.pause -= 1;
            return Vec::new();
        }
        let most = if self.length == 0 { most } else { most.min(self.length) };
        look_up(tokens, most)
    }

    /// Learns how many of `drafted` tokens were confirmed. `most` is the longest draft allowed.
    pub(crate) fn learn(&mut self, drafted: usize, accepted: usize, most: usize) {
        if drafted == 0 {
            return;
        }
        if accepted == 0 {
            self.misses += 1;
            self.length = 1;
            if self.misses >= MISSES_MAX {
                self.pause = PAUSE_MAX.min(1 << (self.misses - MISSES_MAX).min(6));
            }
        } else {
            self.misses = 0;
            let grown = if accepted == drafted { accepted * 2 } else { accepted + 1 };
            self.length = grown.min(most);
        }
    }
}

/// The tokens that followed the latest earlier occurrence of the longest possible run of last tokens; where they reach
/// the end, they begin again, as the text seems to.
fn look_up(tokens: &[u32], most: usize) -> Vec<u32> {
    let tokens = &tokens[tokens.len().saturating_sub(WINDOW)..];
    for run in (RUN_MIN..=RUN_MAX).rev().filter(|run| tokens.len() > *run) {
        let last = &tokens[tokens.len() - run..];
        // The run's own place is no earlier occurrence, but one may overlap it.
        if let Some(at) = tokens[..tokens.len() - 1].windows(run).rposition(|window| window == last) {
            return tokens[at + run..].iter().copied().cycle().take(most).collect();
        }
    }
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::{Drafter, look_up};

    #[test]
    fn continues_the_latest_longest_occurrence() {
        assert_eq!(look_up(&[1, 2, 3, 4, 9, 2, 3, 5, 1, 2, 3], 8), [4, 9, 2, 3, 5, 1, 2, 3]);
        assert_eq!(look_up(&[7, 2, 3, 4, 9, 2, 3, 5, 8, 2, 3], 2), [5, 8]);
        assert_eq!(look_up(&[6, 6, 6, 6, 6], 3), [6, 6, 6]);
        assert_eq!(look_up(&[9, 6, 7, 6, 7], 3), [6, 7, 6]);
        assert_eq!(look_up(&[1, 2, 3, 4], 3), [0; 0]);
        assert_eq!(look_up(&[1], 3), [0; 0]);
    }

    #[test]
    fn gives_up_for_a_while_where_nothing_is_confirmed() {
        let mut drafter = Drafter::default();
        let tokens = [1, 2, 3, 1, 2];
        for _ in 0..3 {
            assert!(!drafter.draft(&tokens, 4).is_empty());
            drafter.learn(1, 0, 4);
        }
        assert!(drafter.draft(&tokens, 4).is_empty());
        assert!(!drafter.draft(&tokens, 4).is_empty());
    }
}
