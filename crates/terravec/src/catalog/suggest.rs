//! "Did you mean": names close to one that is not there.

use super::Catalog;

/// Up to three ids whose id or alias contains the word, starts like it, or differs by few letters; nearest first.
pub(super) fn like(word: &str, catalog: &Catalog) -> Vec<String> {
    let mut near: Vec<(usize, String)> = catalog
        .iter()
        .filter_map(|d| {
            let names = std::iter::once(&d.id).chain(&d.aliases);
            let best = names.map(|name| score(word, name)).min()?;
            (best <= 1 + word.chars().count() / 4).then(|| (best, d.id.clone()))
        })
        .collect();
    near.sort();
    near.into_iter().take(3).map(|(_, id)| id).collect()
}

fn score(word: &str, name: &str) -> usize {
    if word.len() >= 3 && (name.contains(word) || word.contains(name)) { 1 } else { edits(word, name) }
}

/// Letters to insert, delete or replace (Levenshtein).
fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().take(128).enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, &cb) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(ca != cb);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
