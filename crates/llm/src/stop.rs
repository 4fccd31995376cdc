//! Text that comes in pieces of bytes: whole characters go out, and nothing that may become a stop text.

/// Holds back what is not settled.
#[derive(Clone, Debug)]
pub(crate) struct StopText {
    held: Vec<u8>,
}

/// What became of new bytes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Settled {
    /// Text that goes out.
    pub(crate) text: String,
    /// The index of the stop text that ends it here.
    pub(crate) stop: Option<usize>,
}

impl StopText {
    pub(crate) fn new() -> Self {
        Self { held: Vec::new() }
    }

    /// Takes the bytes of a token. The first stop text to be complete ends the text, the longest of those that end
    /// together: so the answer does not depend on how the bytes are cut into tokens.
    pub(crate) fn push(&mut self, bytes: &[u8], stops: &[String]) -> Settled {
        let before = self.held.len();
        self.held.extend_from_slice(bytes);
        for end in before + 1..=self.held.len() {
            let text = &self.held[..end];
            let ending = stops.iter().enumerate().filter(|(_, stop)| text.ends_with(stop.as_bytes()));
            if let Some((index, stop)) = ending.max_by_key(|(index, stop)| (stop.len(), usize::MAX - index)) {
                let text = String::from_utf8_lossy(&self.held[..end - stop.len()]).into_owned();
                self.held.clear();
                return Settled { text, stop: Some(index) };
            }
        }
        let out = whole(&self.held, self.held.len() - self.hopeful(stops));
        let text = String::from_utf8_lossy(&self.held[..out]).into_owned();
        self.held.drain(..out);
        Settled { text, stop: None }
    }

    /// What is held when nothing more comes.
    pub(crate) fn finish(&mut self) -> String {
        let text = String::from_utf8_lossy(&self.held).into_owned();
        self.held.clear();
        text
    }

    /// The length of the longest end of the held bytes that a stop text begins with.
    fn hopeful(&self, stops: &[String]) -> usize {
        let longest = |stop: &String| {
            let most = self.held.len().min(stop.len().saturating_sub(1));
            (1..=most).rev().find(|length| self.held.ends_with(&stop.as_bytes()[..*length])).unwrap_or(0)
        };
        stops.iter().map(longest).max().unwrap_or(0)
    }
}

/// The most bytes up to `end` that do not cut a character which may still be completed.
fn whole(bytes: &[u8], end: usize) -> usize {
    let from = end.saturating_sub(3);
    for at in (from..end).rev() {
        let length = match bytes[at] {
            0xC2..=0xDF => 2,
            0xE0..=0xEF => 3,
            0xF0..=0xF4 => 4,
            0x80..=0xBF => continue,
            _ => return end,
        };
        return if at + length > end { at } else { end };
    }
    end
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::StopText;

    fn run(pieces: &[&[u8]], stops: &[String]) -> (Vec<String>, Option<usize>) {
        let mut text = StopText::new();
        let mut out = Vec::new();
        for piece in pieces {
            let settled = text.push(piece, stops);
            out.push(settled.text);
            if settled.stop.is_some() {
                return (out, settled.stop);
            }
        }
        out.push(text.finish());
        (out, None)
    }

    #[test]
    fn holds_back_half_characters_and_half_stops() {
        let euro = "€".as_bytes();
        assert_eq!(run(&[b"a", &euro[..1], &euro[1..2], &euro[2..], b"b"], &[]).0, ["a", "", "", "€", "b", ""]);
        let stops = ["END".to_owned()];
        assert_eq!(
            run(&[b"xE", b"N", b"E", b"ND", b"y"], &stops),
            (vec!["x".into(), "".into(), "EN".into(), "".into()], Some(0))
        );
        assert_eq!(run(&[b"xEN"], &stops).0.concat(), "xEN");
        assert_eq!(run(&[b"\xff\xe2", b"a"], &[]).0.concat(), "\u{fffd}\u{fffd}a");
    }

    proptest! {
        #[test]
        fn the_answer_does_not_depend_on_the_cuts(
            text in "[abc€😀]{0,30}",
            stops in prop::collection::vec("[abc€]{1,4}", 0..3),
            cuts in prop::collection::vec(1usize..6, 1..30),
        ) {
            let bytes = text.as_bytes();
            let single: Vec<&[u8]> = bytes.chunks(1).collect();
            let mut pieces = Vec::new();
            let mut rest = bytes;
            for cut in cuts.iter().cycle() {
                if rest.is_empty() { break; }
                let (piece, after) = rest.split_at((*cut).min(rest.len()));
                pieces.push(piece);
                rest = after;
            }
            let (a, stop_a) = run(&single, &stops);
            let (b, stop_b) = run(&pieces, &stops);
            prop_assert_eq!(a.concat(), b.concat());
            prop_assert_eq!(stop_a, stop_b);
            // The naive answer: everything before the stop text that is complete first.
            let first = (1..=bytes.len()).find_map(|end| {
                let ending = stops.iter().filter(|stop| bytes[..end].ends_with(stop.as_bytes()));
                ending.map(String::len).max().map(|length| end - length)
            });
            prop_assert_eq!(a.concat(), String::from_utf8_lossy(&bytes[..first.unwrap_or(bytes.len())]).into_owned());
        }
    }
}
