//! "did you mean": the nearest known name.

/// The candidate nearest to `given`, if it is near enough to be a likely slip of the hand.
pub fn did_you_mean<'a>(given: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = given.to_lowercase();
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&lower, &candidate.to_lowercase()), candidate))
        .filter(|(distance, candidate)| *distance <= (candidate.chars().count().max(3)) / 3)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// `unknown <what> '<given>'`, with a suggestion or, failing that, the known names.
pub fn unknown<'a>(what: &str, given: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    let known: Vec<&str> = candidates.into_iter().collect();
    if let Some(near) = did_you_mean(given, known.iter().copied()) {
        return format!("unknown {what} '{given}'; did you mean '{near}'?");
    }
    match known.len() {
        0 => format!("unknown {what} '{given}'"),
        n if n <= KNOWN_NAMES_MAX => format!("unknown {what} '{given}'; known: {}", known.join(", ")),
        _ => format!("unknown {what} '{given}'; known: {}, ..", known[..KNOWN_NAMES_MAX].join(", ")),
    }
}

/// More names than this are no help in an error.
const KNOWN_NAMES_MAX: usize = 24;

#[cfg(test)]
mod tests {
    use super::{did_you_mean, unknown};

    #[test]
    fn finds_a_slip() {
        assert_eq!(did_you_mean("max_iteration", ["l1_reg", "max_iterations"]), Some("max_iterations"));
        assert_eq!(did_you_mean("elephant", ["l1_reg", "max_iterations"]), None);
    }

    #[test]
    fn lists_what_is_known_when_nothing_is_near() {
        assert_eq!(unknown("column", "zzz", ["a", "b"]), "unknown column 'zzz'; known: a, b");
    }
}
