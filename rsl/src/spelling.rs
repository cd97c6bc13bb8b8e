//! "Did you mean": the known name nearest to a misspelt one.

/// Longest name looked at; the distance costs the product of both lengths.
const MAX_LENGTH: usize = 64;

/// The candidate that needs the fewest typing mistakes to become `name`, if that is few enough to be likely. Case and
/// underscores count as no mistake at all.
pub(crate) fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let name = folded(name);
    if name.len() > MAX_LENGTH {
        return None;
    }
    let allowed = (name.len() / 3).min(3);
    candidates
        .into_iter()
        .map(|candidate| (distance(&name, &folded(candidate)), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

fn folded(name: &str) -> Vec<char> {
    name.chars().filter(|&c| c != '_').flat_map(char::to_lowercase).take(MAX_LENGTH + 1).collect()
}

/// Insertions, deletions, replacements and swaps of neighbours (optimal string alignment).
fn distance(a: &[char], b: &[char]) -> usize {
    // Rows of the usual table: for the prefix of `a` two, one and zero characters shorter.
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    let mut previous_a = None;
    for (row, &in_a) in a.iter().enumerate() {
        let mut current = Vec::with_capacity(b.len() + 1);
        let mut left = row + 1;
        current.push(left);
        let mut previous_b = None;
        for (column, (&in_b, pair)) in b.iter().zip(above.windows(2)).enumerate() {
            let &[diagonal, up] = pair else { continue };
            let mut best = (diagonal + usize::from(in_a != in_b)).min(up + 1).min(left + 1);
            let swapped = previous_a == Some(in_b) && previous_b == Some(in_a);
            if let Some(two_back) =
                column.checked_sub(1).and_then(|column| before.get(column)).filter(|_| swapped)
            {
                best = best.min(two_back + 1);
            }
            current.push(best);
            left = best;
            previous_b = Some(in_b);
        }
        before = std::mem::replace(&mut above, current);
        previous_a = Some(in_a);
    }
    above.last().copied().unwrap_or(a.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn between(a: &str, b: &str) -> usize {
        distance(&folded(a), &folded(b))
    }

    #[test]
    fn counts_typing_mistakes() {
        assert_eq!(between("executable", "executable"), 0);
        assert_eq!(between("excutable", "executable"), 1);
        assert_eq!(between("exectuable", "executable"), 1);
        assert_eq!(between("executible", "executable"), 1);
        assert_eq!(between("", "abc"), 3);
        assert_eq!(between("abc", ""), 3);
        assert_eq!(between("Max_Time", "maxtime"), 0);
    }

    #[test]
    fn suggests_only_what_is_likely() {
        let known = ["executable", "count", "queue", "stdin"];
        assert_eq!(nearest("excutable", known), Some("executable"));
        assert_eq!(nearest("cuont", known), Some("count"));
        assert_eq!(nearest("foo", known), None);
        assert_eq!(nearest("", known), None);
        assert_eq!(nearest(&"x".repeat(1_000_000), known), None);
    }
}
