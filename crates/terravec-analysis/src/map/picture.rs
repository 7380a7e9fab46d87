//! A picture of a map: classes in their colours, and beside them a legend of those that occur.

use std::path::Path;

use terravec::Result;
use terravec::sink::save_picture;

use super::chunk::NO_CLASS;
use super::letters::{SIZE, letter};
use crate::learn::ClassLegend;

/// Maps smaller than this are drawn larger, pixel by pixel; larger ones show every n-th pixel.
const SIDE: (usize, usize) = (480, 2048);
/// Height of a line of the legend.
const LINE: usize = 24;
/// How large letters are drawn.
const ZOOM: usize = 2;
const INK: [u8; 3] = [40, 40, 40];

struct Canvas {
    rgba: Vec<u8>,
    width: usize,
}

impl Canvas {
    fn fill(&mut self, x: usize, y: usize, (w, h): (usize, usize), [r, g, b]: [u8; 3]) {
        for row in y..y + h {
            for pixel in self.rgba[4 * (row * self.width + x)..][..4 * w].chunks_exact_mut(4) {
                pixel.copy_from_slice(&[r, g, b, 255]);
            }
        }
    }

    fn write(&mut self, x: usize, y: usize, text: &str) {
        for (n, c) in text.chars().enumerate() {
            for (row, bits) in letter(c).into_iter().enumerate() {
                for col in (0..SIZE.0).filter(|col| bits & (0x10 >> col) != 0) {
                    let left = x + (n * (SIZE.0 + 1) + col) * ZOOM;
                    self.fill(left, y + row * ZOOM, (ZOOM, ZOOM), INK);
                }
            }
        }
    }
}

/// Draws `of` (indices of classes, row by row). What has no class is transparent.
pub(super) fn save(
    classes: &[ClassLegend],
    of: &[u16],
    width: usize,
    height: usize,
    path: &Path,
) -> Result<()> {
    let longer = width.max(height).max(1);
    let (zoom, step) = ((SIDE.0 / longer).max(1), longer.div_ceil(SIDE.1));
    let (w, h) = (width.div_ceil(step) * zoom, height.div_ceil(step) * zoom);
    let mut seen = vec![false; classes.len()];
    of.iter().filter(|c| **c != NO_CLASS).for_each(|c| seen[usize::from(*c)] = true);
    let shown: Vec<&ClassLegend> = classes.iter().zip(seen).filter(|(_, s)| *s).map(|(c, _)| c).collect();
    let letters = shown.iter().map(|c| c.name.chars().count()).max().unwrap_or(0);
    let legend = 2 * LINE + letters * (SIZE.0 + 1) * ZOOM;
    let all_width = w + legend;
    let all_height = h.max((shown.len() + 1) * LINE);
    let mut canvas = Canvas { rgba: vec![0; 4 * all_width * all_height], width: all_width };
    canvas.fill(w, 0, (legend, all_height), [255, 255, 255]);
    for y in 0..h {
        for x in 0..w {
            let class = of[(y / zoom * step) * width + x / zoom * step];
            if let Some(class) = classes.get(usize::from(class)) {
                canvas.fill(x, y, (1, 1), class.colour);
            }
        }
    }
    for (n, class) in shown.iter().enumerate() {
        let y = LINE / 2 + n * LINE;
        canvas.fill(w + LINE / 2, y, (LINE - 6, LINE - 6), class.colour);
        canvas.write(w + LINE / 2 + LINE, y + 2, &class.name);
    }
    save_picture(path, all_width, all_height, &canvas.rgba)
}
