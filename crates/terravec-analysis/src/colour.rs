//! Numbers as colours: red, green, blue and alpha, transparent where there is none.

/// Five colours from dark blue to yellow, even in lightness (after matplotlib's viridis, CC0).
const RAMP: [[f32; 3]; 5] =
    [[68.0, 1.0, 84.0], [59.0, 82.0, 139.0], [33.0, 145.0, 140.0], [94.0, 201.0, 98.0], [253.0, 231.0, 37.0]];

/// The numbers at parts of their order (0 to 1), NaN left out.
#[must_use]
pub fn percentiles<const N: usize>(numbers: &[f32], parts: [f64; N]) -> [f32; N] {
    let mut sorted: Vec<f32> = numbers.iter().copied().filter(|v| !v.is_nan()).collect();
    sorted.sort_unstable_by(f32::total_cmp);
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
    parts.map(|q| {
        let at = (q * sorted.len().saturating_sub(1) as f64).round() as usize;
        sorted.get(at).copied().unwrap_or(f32::NAN)
    })
}

/// Where a number lies between two, 0 to 1.
#[must_use]
pub fn between(value: f32, low: f32, high: f32) -> f32 {
    if high > low { ((value - low) / (high - low)).clamp(0.0, 1.0) } else { 0.5 }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn byte(v: f32) -> u8 {
    v.round().clamp(0.0, 255.0) as u8
}

/// Dark blue at the 2nd percentile, yellow at the 98th.
#[must_use]
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
pub fn ramp(numbers: &[f32]) -> Vec<u8> {
    let [low, high] = percentiles(numbers, [0.02, 0.98]);
    let mut rgba = Vec::with_capacity(4 * numbers.len());
    for v in numbers {
        if v.is_nan() {
            rgba.extend_from_slice(&[0; 4]);
            continue;
        }
        let at = between(*v, low, high) * (RAMP.len() - 1) as f32;
        let step = (at as usize).min(RAMP.len() - 2);
        let part = at - step as f32;
        let mix = |c: usize| byte(RAMP[step][c] * (1.0 - part) + RAMP[step + 1][c] * part);
        rgba.extend_from_slice(&[mix(0), mix(1), mix(2), 255]);
    }
    rgba
}

/// Planes of red, green and blue, 0 where there is none.
#[must_use]
pub fn planes(planes: &[u8], pixels: usize) -> Vec<u8> {
    let at = |band: usize, i: usize| planes[band * pixels + i];
    (0..pixels).flat_map(|i| [at(0, i), at(1, i), at(2, i), if at(0, i) == 0 { 0 } else { 255 }]).collect()
}

/// A colour of its own for each class.
#[must_use]
pub fn classes(numbers: impl Iterator<Item = Option<usize>>) -> Vec<u8> {
    numbers
        .flat_map(|class| {
            class.map_or([0; 4], |c| {
                let [r, g, b] = of_class(c);
                [r, g, b, 255]
            })
        })
        .collect()
}

/// Hues a golden angle apart, so that neighbours in number differ; every third class is darker.
#[must_use]
#[allow(clippy::cast_precision_loss)]
pub fn of_class(class: usize) -> [u8; 3] {
    let hue = (class as f32 * 0.618_034).fract() * 6.0;
    let light = [0.95, 0.75, 0.55][class % 3];
    let part = |shift: f32| {
        let distance = ((hue + shift) % 6.0 - 3.0).abs() - 1.0;
        byte(255.0 * light * (1.0 - 0.7 * (1.0 - distance.clamp(0.0, 1.0))))
    };
    [part(0.0), part(4.0), part(2.0)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_tell_numbers_apart() {
        let rgba = ramp(&[0.0, 1.0, f32::NAN]);
        assert_eq!(rgba, [68, 1, 84, 255, 253, 231, 37, 255, 0, 0, 0, 0]);
        assert_eq!(planes(&[1, 0, 2, 0, 3, 0], 2), [1, 2, 3, 255, 0, 0, 0, 0]);
        let colours: std::collections::HashSet<[u8; 3]> = (0..24).map(of_class).collect();
        assert_eq!(colours.len(), 24);
        assert_eq!(percentiles(&[3.0, f32::NAN, 1.0, 2.0], [0.0, 0.5, 1.0]), [1.0, 2.0, 3.0]);
    }
}
