//! Areas and accuracy of a map from a reference sample, with standard errors: the stratified estimators of Stehman (2014, Int. J. Remote Sens. 35) for any strata, of which
//! Olofsson et al. (2014, Remote Sens. Environ. 148) is the case that strata are the classes of the map.
//!
//! Counting the pixels of a map gives no area: its errors need not cancel. The reference sample corrects them and says how sure the result is.

use serde::Serialize;
use terravec::Result;

use crate::refuse;

/// Standard normal quantile of a two-sided 95 % interval.
const Z: f64 = 1.959_963_985;

/// A stratum of the sample.
#[derive(Debug, Clone, PartialEq)]
pub struct Stratum {
    /// Its number, as rows have it.
    pub id: u32,
    /// Its name, for people.
    pub name: String,
    /// Pixels in it, sampled or not.
    pub pixels: u64,
}

/// A share with its standard error.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Estimate {
    /// The estimate, 0 to 1.
    pub share: f64,
    /// Its standard error.
    pub standard_error: f64,
    /// Half a 95 % interval.
    pub half_width: f64,
}

impl Estimate {
    fn new(share: f64, variance: f64) -> Self {
        let standard_error = variance.max(0.0).sqrt();
        Self { share, standard_error, half_width: Z * standard_error }
    }
}

/// What a reference sample says of a map.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AreaEstimate {
    /// Share of the area that is right.
    pub accuracy: Estimate,
    /// Share of the whole area, per class.
    pub area: Vec<Estimate>,
    /// User's accuracy, per class; `None` where the map never says so.
    pub users: Vec<Option<Estimate>>,
    /// Producer's accuracy, per class; `None` where the reference never says so.
    pub producers: Vec<Option<Estimate>>,
}

/// Estimates from rows with a stratum, a class of reference and a class of the map, both numbered below `classes`.
///
/// # Errors
/// If a stratum has fewer than two rows, or a row is of none.
pub fn areas(
    strata: &[Stratum],
    stratum: &[u32],
    reference: &[u32],
    map: &[u32],
    classes: usize,
) -> Result<AreaEstimate> {
    if let Some(id) = stratum.iter().find(|s| strata.iter().all(|h| h.id != **s)) {
        return Err(refuse(format!("no stratum is called {id}"), "say how many pixels each stratum has"));
    }
    let rows: Vec<(f64, Vec<usize>)> = strata
        .iter()
        .map(|h| {
            let own: Vec<usize> = (0..stratum.len()).filter(|i| stratum[*i] == h.id).collect();
            #[allow(clippy::cast_precision_loss)]
            let pixels = h.pixels as f64;
            (pixels, own)
        })
        .filter(|(pixels, _)| *pixels > 0.0)
        .collect();
    if let Some(h) =
        strata.iter().find(|h| h.pixels > 0 && stratum.iter().filter(|s| **s == h.id).count() < 2)
    {
        return Err(refuse(
            format!("`{}` has fewer than two reference points, which tell no variance", h.name),
            "draw at least two where the map says so",
        ));
    }
    let share = |f: &dyn Fn(usize) -> bool| ratio(&rows, f, &|_| true);
    let one = |e: Option<Estimate>| e.unwrap_or(Estimate::new(0.0, 0.0));
    let class = 0..u32::try_from(classes).unwrap_or(u32::MAX);
    Ok(AreaEstimate {
        accuracy: one(share(&|i| reference[i] == map[i])),
        area: class.clone().map(|k| one(share(&|i| reference[i] == k))).collect(),
        users: class
            .clone()
            .map(|k| ratio(&rows, &|i| map[i] == k && reference[i] == k, &|i| map[i] == k))
            .collect(),
        producers: class
            .map(|k| ratio(&rows, &|i| map[i] == k && reference[i] == k, &|i| reference[i] == k))
            .collect(),
    })
}

/// The ratio of the total of `y` to that of `x` (Stehman's eqs 27 and 28; with `x` always true, eqs 3 and 25).
///
/// Without the correction for a finite population: samples are a tiny part of a map, and where they are not, errors are stated too large rather than too small.
#[allow(clippy::cast_precision_loss)]
fn ratio(
    strata: &[(f64, Vec<usize>)],
    y: &dyn Fn(usize) -> bool,
    x: &dyn Fn(usize) -> bool,
) -> Option<Estimate> {
    let number = |b: bool| f64::from(u8::from(b));
    let mean = |rows: &[usize], f: &dyn Fn(usize) -> bool| {
        rows.iter().map(|i| number(f(*i))).sum::<f64>() / rows.len() as f64
    };
    let total = |f: &dyn Fn(usize) -> bool| strata.iter().map(|(n, rows)| n * mean(rows, f)).sum::<f64>();
    let below = total(x);
    if below <= 0.0 {
        return None;
    }
    let share = total(y) / below;
    let variance: f64 = strata
        .iter()
        .map(|(pixels, rows)| {
            let n = rows.len() as f64;
            let (my, mx) = (mean(rows, y), mean(rows, x));
            // Variance of y − R x, the residual: s²y + R² s²x − 2 R s_xy.
            let residual = |i: &usize| number(y(*i)) - my - share * (number(x(*i)) - mx);
            let spread = rows.iter().map(|i| residual(i).powi(2)).sum::<f64>() / (n - 1.0);
            pixels * pixels * spread / n
        })
        .sum();
    Some(Estimate::new(share, variance / (below * below)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of Stehman 2014, table 2, as the R package mapaccuracy documents it.
    #[test]
    fn stehmans_example() {
        let rows = [
            ("AAAAACBABC", "AAAAAAABBB"),
            ("ABBBBBAABB", "ABBBBBBBBB"),
            ("CCCCCDDBBA", "BBCCCCCCBB"),
            ("DDDDDDDCCB", "DDDDDDDDDD"),
        ];
        let number = |c: char| u32::from(c) - u32::from('A');
        let (mut stratum, mut reference, mut map) = (Vec::new(), Vec::new(), Vec::new());
        for (h, (r, m)) in (1..).zip(rows) {
            stratum.extend([h; 10]);
            reference.extend(r.chars().map(number));
            map.extend(m.chars().map(number));
        }
        let strata = [40_000, 30_000, 20_000, 10_000];
        let strata: Vec<Stratum> =
            (1..).zip(strata).map(|(id, pixels)| Stratum { id, name: id.to_string(), pixels }).collect();
        let found = areas(&strata, &stratum, &reference, &map, 4).unwrap();
        let near = |e: &Estimate, share: f64, error: f64, digits: f64| {
            assert!((e.share - share).abs() < digits && (e.standard_error - error).abs() < digits, "{e:?}");
        };
        near(&found.accuracy, 0.63, 0.084_656_2, 1e-6);
        for (e, (share, error)) in
            found.area.iter().zip([(0.35, 0.0823), (0.34, 0.0759), (0.20, 0.0643), (0.11, 0.0307)])
        {
            near(e, share, error, 1e-4);
        }
        let users =
            [(0.741_935_5, 0.164_562_7), (0.574_468_1, 0.124_802_3), (0.5, 0.215_165_7), (0.7, 0.152_752_5)];
        let producers = [
            (0.657_142_9, 0.147_731_8),
            (0.794_117_6, 0.116_567_1),
            (0.3, 0.150_443_8),
            (0.636_363_6, 0.162_324_2),
        ];
        for (e, (share, error)) in found.users.iter().zip(users).chain(found.producers.iter().zip(producers))
        {
            near(e.as_ref().unwrap(), share, error, 1e-6);
        }
    }

    #[test]
    fn a_stratum_with_one_point_tells_nothing() {
        let strata = [Stratum { id: 0, name: "only".into(), pixels: 10 }];
        assert!(areas(&strata, &[0], &[0], &[0], 1).is_err());
        assert!(areas(&strata, &[1, 1], &[0, 0], &[0, 0], 1).is_err());
    }
}
