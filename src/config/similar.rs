//! Which known name a misspelled one is closest to.

/// Longest name that is compared; longer ones are no misspellings.
const LONGEST: usize = 40;

/// The candidate whose name is closest, if one is close enough.
pub(super) fn nearest<'k, T>(
    name: &str,
    candidates: impl Iterator<Item = T>,
    name_of: impl Fn(&T) -> &'k str,
) -> Option<T> {
    let name = comparable(name);
    candidates
        .filter_map(|candidate| Some((distance_allowed(&name, name_of(&candidate))?, candidate)))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// The edit distance between two names, if it is small enough for their length to be a misspelling.
pub(super) fn distance_allowed(name: &str, known: &str) -> Option<usize> {
    let most = known.len().div_ceil(4).min(3);
    if name.len().abs_diff(known.len()) > most {
        return None;
    }
    Some(strsim::damerau_levenshtein(name, known)).filter(|distance| *distance <= most)
}

/// A name as it is compared: without regard to case, and to `-` or `_`.
pub(super) fn comparable(name: &str) -> String {
    name.chars().take(LONGEST).collect::<String>().to_lowercase().replace('-', "_")
}
