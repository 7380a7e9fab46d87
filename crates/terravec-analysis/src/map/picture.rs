//! A picture of a map: classes in their colours, and beside them what the colours mean.

use std::path::Path;

use terravec::Result;
use terravec::sink::save_picture;

use super::chunk::NO_CLASS;
use crate::learn::ClassLegend;

pub(super) fn save(
    classes: &[ClassLegend],
    of: &[u16],
    width: usize,
    height: usize,
    path: &Path,
) -> Result<()> {
    let mut rgba = Vec::with_capacity(width * height * 4);
    for class in of {
        let [r, g, b] = classes.get(usize::from(*class)).map_or([0; 3], |c| c.colour);
        rgba.extend_from_slice(&[r, g, b, if *class == NO_CLASS { 0 } else { 255 }]);
    }
    save_picture(path, width, height, &rgba)
}
