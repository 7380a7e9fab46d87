//! Prints what a GeoTIFF holds as JSON and writes its numbers, for comparison with another reader.
//!
//! `tiff_dump FILE OUT [LEVEL COL ROW WIDTH HEIGHT BANDS]`; BANDS is a comma-separated list of band numbers from 0.
//! `tiff_dump FILE OUT points COL,ROW …` writes single pixels. Numbers are little-endian, (band, y, x).

use terravec_geo::Window;
use terravec_io::tiff::GeoTiff;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [file, out, rest @ ..] = args.as_slice() else { return Err("tiff_dump FILE OUT …".into()) };
    let tiff = GeoTiff::open_path(file)?;
    let all: Vec<usize> = (0..tiff.bands()).collect();
    let number = |i: usize| -> Result<usize, std::num::ParseIntError> { rest[i].parse() };
    let mask;
    let codes = match rest.first().map(String::as_str) {
        None => {
            let window = Window { col: 0, row: 0, width: tiff.width(), height: tiff.height() };
            mask = tiff.read_mask(0, window)?;
            tiff.read(0, &all, window)?
        }
        Some("points") => {
            let at: Vec<(usize, usize)> = rest[1..]
                .iter()
                .map(|p| {
                    let (c, r) = p.split_once(',').ok_or("COL,ROW")?;
                    Ok((c.parse()?, r.parse()?))
                })
                .collect::<Result<_, Box<dyn std::error::Error>>>()?;
            mask = tiff.read_mask_points(&at)?;
            tiff.read_points(&all, &at)?
        }
        Some(_) => {
            let bands = rest[5].split(',').map(str::parse).collect::<Result<Vec<usize>, _>>()?;
            let window = Window { col: number(1)?, row: number(2)?, width: number(3)?, height: number(4)? };
            mask = tiff.read_mask(number(0)?, window)?;
            tiff.read(number(0)?, &bands, window)?
        }
    };
    std::fs::write(out, codes.samples.to_le_bytes())?;
    let grid = tiff.grid().map(|g| {
        let a = g.affine;
        serde_json::json!({ "epsg": g.crs.epsg(), "crs": g.crs.to_projjson(), "transform": [a.a, a.b, a.c, a.d, a.e, a.f] })
    });
    println!(
        "{}",
        serde_json::json!({
            "shape": [codes.bands, codes.height, codes.width],
            "dtype": codes.dtype().name(),
            "grid": grid,
            "problem": tiff.georeference_problem(),
            "south_up": tiff.was_south_up(),
            "nodata": tiff.nodata().map(|v| v.to_string()),
            "names": tiff.band_names(),
            "scales": tiff.scales(),
            "offsets": tiff.offsets(),
            "interleave": tiff.interleave().name(),
            "compression": tiff.compression_name(),
            "block": tiff.block_size(),
            "levels": tiff.levels().iter().map(|l| [l.height, l.width]).collect::<Vec<_>>(),
            "mask": mask,
            "metadata": tiff.metadata(),
        })
    );
    Ok(())
}
