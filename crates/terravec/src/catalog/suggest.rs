//! "Did you mean": names close to one that is not there.

use std::collections::BTreeMap;

use super::Catalog;

/// Up to three ids whose id or alias contains the word, starts like it, or differs by few letters; nearest first.
pub(super) fn like(word: &str, catalog: &Catalog) -> Vec<String> {
    let products: Vec<_> = catalog.iter().collect();
    let names = products
        .iter()
        .flat_map(|d| std::iter::once(&d.id).chain(&d.aliases).map(|name| (name.as_str(), d.id.as_str())));
    near(word, names)
}

/// The same among (name, what is said of it).
pub(crate) fn near<'a>(word: &str, names: impl Iterator<Item = (&'a str, &'a str)>) -> Vec<String> {
    let mut best: BTreeMap<&str, usize> = BTreeMap::new();
    for (name, said) in names {
        let score = score(word, name);
        if score <= 1 + word.chars().count() / 4 {
            best.entry(said).and_modify(|b| *b = score.min(*b)).or_insert(score);
        }
    }
    let mut near: Vec<(usize, &str)> = best.into_iter().map(|(said, score)| (score, said)).collect();
    near.sort_unstable();
    near.into_iter().take(3).map(|(_, said)| said.to_owned()).collect()
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
