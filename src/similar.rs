//! Finds the name that a misspelled one was probably meant to be.

/// Returns the known name that is most similar, if one is similar enough to be a misspelling.
///
/// Case is ignored. Each letter that is added, left out or replaced counts as one difference, and so do two letters in the wrong order.
pub(crate) fn most_similar<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    // Long names have more letters to misspell, and short ones are similar by chance: LIST is not LINK.
    let limit = if name.len() < 8 { 1 } else { 2 };
    let distances = known.iter().map(|known| (distance(name.as_bytes(), known.as_bytes()), *known));
    distances
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, known)| known)
}

/// The optimal string alignment distance.
fn distance(one: &[u8], other: &[u8]) -> usize {
    let mut before_last = Vec::new();
    let mut last: Vec<usize> = (0..=other.len()).collect();
    for (row, byte) in one.iter().enumerate() {
        let mut next = vec![row + 1];
        for (column, found) in other.iter().enumerate() {
            let replaced = last[column] + usize::from(!byte.eq_ignore_ascii_case(found));
            let mut least = replaced.min(last[column + 1] + 1).min(next[column] + 1);
            let is_swapped = row > 0
                && column > 0
                && byte.eq_ignore_ascii_case(&other[column - 1])
                && one[row - 1].eq_ignore_ascii_case(found);
            if is_swapped {
                least = least.min(before_last[column - 1] + 1);
            }
            next.push(least);
        }
        before_last = last;
        last = next;
    }
    last.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn misspelled_names_have_a_similar_one_and_other_names_have_none() {
        let known = ["GET", "POST", "PUT", "LINK", "MERGE", "tools/list", "resources/templates/list"];
        for (name, expected) in [
            ("GETT", Some("GET")),
            ("get", Some("GET")),
            ("PSOT", Some("POST")),
            ("tools/lst", Some("tools/list")),
            ("Tool/List", Some("tools/list")),
            ("resource/template/list", Some("resources/templates/list")),
            ("LIST", None),
            ("PURGE", None),
            ("", None),
        ] {
            assert_eq!(most_similar(name, &known), expected, "{name}");
        }
    }
}
