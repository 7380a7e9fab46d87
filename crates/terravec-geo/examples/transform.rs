//! Transforms points: lines `src,dst,x,y` on standard input, `x,y` on standard output (`NaN,NaN` for no place). With
//! `--bbox`, boxes: lines `src,dst,min_x,min_y,max_x,max_y`, answered by four numbers (west, south, east, north in a
//! geographic CRS).
//!
//! `src` and `dst` are whatever `Crs::parse` reads; quote WKT. The Python tests hold this against PROJ.

use std::collections::HashMap;
use std::io::Write;
use terravec_geo::{BBox, Crs, Transform, lonlat_bbox_of, transform_bbox};

fn boxes() -> Result<(), Box<dyn std::error::Error>> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(std::io::stdin().lock());
    for row in reader.deserialize() {
        let (from, to, min_x, min_y, max_x, max_y): (String, String, f64, f64, f64, f64) = row?;
        let (from, to) = (Crs::parse(&from)?, Crs::parse(&to)?);
        let bbox = BBox::new(min_x, min_y, max_x, max_y);
        let out = if to.is_geographic() {
            lonlat_bbox_of(&from, &bbox)?.into()
        } else {
            transform_bbox(&Transform::new(&from, &to)?, &bbox, 21)?
        };
        println!("{out}");
    }
    Ok(())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    if std::env::args().any(|a| a == "--bbox") {
        return boxes();
    }
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(std::io::stdin().lock());
    let rows: Vec<(String, String, f64, f64)> = reader.deserialize().collect::<Result<_, _>>()?;
    let mut groups: HashMap<(&str, &str), Vec<usize>> = HashMap::new();
    for (i, (from, to, _, _)) in rows.iter().enumerate() {
        groups.entry((from, to)).or_default().push(i);
    }
    let mut out = vec![(0.0, 0.0); rows.len()];
    for ((from, to), indices) in groups {
        let transform = Transform::new(&Crs::parse(from)?, &Crs::parse(to)?)?;
        let (mut xs, mut ys): (Vec<f64>, Vec<f64>) = indices.iter().map(|i| (rows[*i].2, rows[*i].3)).unzip();
        transform.points(&mut xs, &mut ys);
        for (i, point) in indices.into_iter().zip(xs.into_iter().zip(ys)) {
            out[i] = point;
        }
    }
    let mut stdout = std::io::BufWriter::new(std::io::stdout().lock());
    for (x, y) in out {
        writeln!(stdout, "{x:?},{y:?}")?;
    }
    stdout.flush()?;
    Ok(())
}
