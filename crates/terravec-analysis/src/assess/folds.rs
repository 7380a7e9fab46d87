//! Which rows are held out together.

use std::collections::BTreeMap;

use terravec::Result;

use crate::refuse;

/// Metres of a degree of latitude on the sphere of the Earth's mean radius.
const METRES_PER_DEGREE: f64 = 111_195.08;
/// Rounds of k-means, which settles long before.
const ROUNDS: usize = 50;

/// The fold of every row: it is predicted by a model that has seen none of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folds {
    /// Per row.
    pub of: Vec<u32>,
    /// A name per fold, such as that of a region.
    pub names: Vec<String>,
    /// How they were made, for people.
    pub how: String,
}

impl Folds {
    /// Random folds, each with its share of every class.
    ///
    /// # Errors
    /// If there are fewer than two folds, or fewer rows than folds.
    #[allow(clippy::cast_possible_truncation)]
    pub fn stratified(classes: &[u32], folds: usize, seed: u64) -> Result<Self> {
        check(classes.len(), folds)?;
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut order: Vec<usize> = (0..classes.len()).collect();
        rng.shuffle(&mut order);
        order.sort_by_key(|i| classes[*i]);
        let mut of = vec![0; classes.len()];
        order.iter().enumerate().for_each(|(n, i)| of[*i] = (n % folds) as u32);
        Ok(Self { of, names: numbered(folds), how: format!("{folds} random folds, stratified") })
    }

    /// Random folds.
    ///
    /// # Errors
    /// As [`stratified`](Self::stratified).
    pub fn random(rows: usize, folds: usize, seed: u64) -> Result<Self> {
        Ok(Self { how: format!("{folds} random folds"), ..Self::stratified(&vec![0; rows], folds, seed)? })
    }

    /// Every group is a fold.
    ///
    /// # Errors
    /// If there are fewer than two groups.
    pub fn groups(of: &[u32], names: &[String]) -> Result<Self> {
        check(names.len(), 2)?;
        Ok(Self {
            of: of.to_vec(),
            names: names.to_vec(),
            how: format!("leave one of {} groups out", names.len()),
        })
    }

    /// Groups dealt out to `folds` folds of about the same size, none of them divided.
    ///
    /// # Errors
    /// If there are fewer groups than folds.
    #[allow(clippy::cast_possible_truncation)]
    pub fn grouped(of: &[u32], folds: usize, seed: u64) -> Result<Self> {
        let mut sizes: BTreeMap<u32, usize> = BTreeMap::new();
        of.iter().for_each(|g| *sizes.entry(*g).or_default() += 1);
        check(sizes.len(), folds)?;
        let mut groups: Vec<(u32, usize)> = sizes.into_iter().collect();
        fastrand::Rng::with_seed(seed).shuffle(&mut groups);
        groups.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
        let mut filled = vec![0usize; folds];
        let mut fold_of: BTreeMap<u32, u32> = BTreeMap::new();
        for (group, n) in &groups {
            let least = (0..folds).min_by_key(|f| filled[*f]).unwrap_or(0);
            filled[least] += n;
            fold_of.insert(*group, least as u32);
        }
        Ok(Self {
            of: of.iter().map(|g| fold_of[g]).collect(),
            names: numbered(folds),
            how: format!("{folds} folds of {} groups", groups.len()),
        })
    }

    /// Square blocks of `metres`, dealt out to `folds` folds: rows of one block are never divided.
    ///
    /// # Errors
    /// If a row has no place, the size is none, or all places lie in fewer blocks than folds.
    #[allow(clippy::cast_possible_truncation)]
    pub fn blocks(lon: &[f64], lat: &[f64], metres: f64, folds: usize, seed: u64) -> Result<Self> {
        check_places(lon, lat)?;
        if !(metres.is_finite() && metres > 0.0) {
            return Err(refuse(format!("blocks of {metres} metres"), "give a positive size"));
        }
        let mut numbers: BTreeMap<(i64, i64), u32> = BTreeMap::new();
        let of: Vec<u32> = lon
            .iter()
            .zip(lat)
            .map(|(lon, lat)| {
                let row = (lat * METRES_PER_DEGREE / metres).floor();
                // All of a row of blocks shares the length of its degrees of longitude.
                let middle = ((row + 0.5) * metres / METRES_PER_DEGREE).to_radians().cos().max(1e-6);
                let col = (lon * METRES_PER_DEGREE * middle / metres).floor();
                let next = numbers.len() as u32;
                *numbers.entry((row as i64, col as i64)).or_insert(next)
            })
            .collect();
        let n = numbers.len();
        let folds = Self::grouped(&of, folds, seed).map_err(|_| {
            refuse(
                format!("all places lie in {n} blocks of {metres} m"),
                "take smaller blocks or fewer folds",
            )
        })?;
        Ok(Self { how: format!("{} folds of {n} blocks of {metres} m", folds.names.len()), ..folds })
    }

    /// Regions found by k-means on the sphere, each a fold.
    ///
    /// # Errors
    /// If a row has no place, or there are fewer places than folds.
    #[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss)]
    pub fn regions(lon: &[f64], lat: &[f64], folds: usize, seed: u64) -> Result<Self> {
        check_places(lon, lat)?;
        check(lon.len(), folds)?;
        let points: Vec<[f64; 3]> = lon
            .iter()
            .zip(lat)
            .map(|(lon, lat)| {
                let ((a, b), (c, d)) = (lon.to_radians().sin_cos(), lat.to_radians().sin_cos());
                [d * b, d * a, c]
            })
            .collect();
        let apart = |a: &[f64; 3], b: &[f64; 3]| a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>();
        // The start is far apart: each centre is the place farthest from those before (deterministic but for the first).
        let first = fastrand::Rng::with_seed(seed).usize(0..points.len());
        let mut centres = vec![points[first]];
        while centres.len() < folds {
            let nearest = |p: &[f64; 3]| centres.iter().map(|c| apart(p, c)).fold(f64::INFINITY, f64::min);
            let far = points.iter().max_by(|a, b| nearest(a).total_cmp(&nearest(b)));
            let Some(far) = far.filter(|p| nearest(p) > 0.0) else {
                return Err(refuse(
                    format!("the labels lie at {} places, fewer than folds", centres.len()),
                    "take fewer folds",
                ));
            };
            centres.push(*far);
        }
        let mut of = vec![0u32; points.len()];
        for _ in 0..ROUNDS {
            let before = of.clone();
            for (p, own) in points.iter().zip(&mut of) {
                let best =
                    (0..folds).min_by(|a, b| apart(p, &centres[*a]).total_cmp(&apart(p, &centres[*b])));
                *own = best.unwrap_or(0) as u32;
            }
            if of == before {
                break;
            }
            for (k, centre) in centres.iter_mut().enumerate() {
                let own: Vec<&[f64; 3]> =
                    points.iter().zip(&of).filter(|(_, f)| **f as usize == k).map(|(p, _)| p).collect();
                if !own.is_empty() {
                    *centre = [0, 1, 2].map(|i| own.iter().map(|p| p[i]).sum::<f64>() / own.len() as f64);
                }
            }
        }
        Ok(Self { of, names: numbered(folds), how: format!("{folds} regions left out, one at a time") })
    }

    /// (training rows, held-out rows) of a fold.
    #[must_use]
    pub fn split(&self, fold: usize) -> (Vec<usize>, Vec<usize>) {
        (0..self.of.len()).partition(|i| self.of[*i] as usize != fold)
    }
}

fn numbered(folds: usize) -> Vec<String> {
    (1..=folds).map(|i| i.to_string()).collect()
}

fn check(items: usize, folds: usize) -> Result<()> {
    if folds < 2 {
        return Err(refuse(format!("{folds} folds"), "take at least two"));
    }
    if items < folds {
        return Err(refuse(format!("{items} groups or rows do not fill {folds} folds"), "take fewer folds"));
    }
    Ok(())
}

fn check_places(lon: &[f64], lat: &[f64]) -> Result<()> {
    match lon.iter().zip(lat).position(|(a, b)| !(a.is_finite() && b.is_finite())) {
        Some(i) => Err(refuse(
            format!("label {} has no place", i + 1),
            "spatial folds need places; or name a group column",
        )),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strata_are_shared_out() {
        let classes: Vec<u32> = (0..100).map(|i| u32::from(i >= 80)).collect();
        let folds = Folds::stratified(&classes, 5, 1).unwrap();
        for f in 0..5 {
            let (train, test) = folds.split(f);
            assert_eq!((train.len(), test.len()), (80, 20));
            assert_eq!(test.iter().filter(|i| classes[**i] == 1).count(), 4);
        }
        assert_eq!(folds, Folds::stratified(&classes, 5, 1).unwrap());
        assert_ne!(folds, Folds::stratified(&classes, 5, 2).unwrap());
    }

    #[test]
    fn blocks_are_not_divided() {
        let lon: Vec<f64> = (0..200).map(|i| 10.0 + f64::from(i) * 0.01).collect();
        let folds = Folds::blocks(&lon, &vec![45.0; 200], 10_000.0, 4, 0).unwrap();
        let changes = folds.of.windows(2).filter(|w| w[0] != w[1]).count();
        // 199 steps of 786 m are 16 blocks.
        assert!((10..=17).contains(&changes), "{changes}");
        assert!(Folds::blocks(&lon, &vec![45.0; 200], 1e6, 4, 0).is_err());
    }

    #[test]
    fn regions_follow_the_places_over_the_antimeridian() {
        let lon = [179.9, -179.9, 179.8, 0.0, 0.1, 0.2];
        let folds = Folds::regions(&lon, &[0.0; 6], 2, 3).unwrap();
        assert!(folds.of[0] == folds.of[1] && folds.of[1] == folds.of[2] && folds.of[0] != folds.of[3]);
    }
}
