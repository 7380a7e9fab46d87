//! In which CRS coordinates really are.

use arrow::array::Array;
use terravec_geo::Transform;

use super::Placer;
use super::block::Shapes;
use super::coords::Coords;
use crate::geoparquet::footer::Reference;
use crate::table::{ReadPlan, TableError, TableFile};

/// Rows that are looked at, of each row group until one has a geometry.
const ROWS: u64 = 4096;

/// What coordinates of a file are.
#[derive(Debug, Clone)]
pub(super) enum Frame {
    Degrees,
    /// In another CRS, from which this leads to degrees.
    Moved(Transform),
}

/// Sets the frame of a placer, and notes where it is another than the file claims.
pub(super) fn settle(
    placer: &mut Placer,
    file: &TableFile,
    column: usize,
    claimed: &Reference,
) -> Result<(), TableError> {
    let fail =
        |what: String, help: &str| TableError::Column { url: file.url().into(), what, help: help.into() };
    let way = match claimed {
        Reference::Known(crs) => super::way(crs).map_err(|e| fail(e.to_string(), "write it in degrees"))?,
        Reference::Unknown => None,
    };
    let geographic = matches!(claimed, Reference::Known(crs) if crs.is_geographic());
    placer.frame = way.map_or(Frame::Degrees, Frame::Moved);
    if geographic {
        return Ok(());
    }
    let found = first_coordinates(placer, file, column)?;
    let stray = found.stray_from_degrees();
    match (claimed, stray) {
        (Reference::Known(crs), None) if !found.is_empty() => {
            placer.frame = Frame::Degrees;
            placer.notes.push(format!("it claims {crs} but holds degrees; read as longitude and latitude"));
        }
        (Reference::Unknown, None) => {
            placer.notes.push("it does not say its CRS; read as longitude and latitude".into());
        }
        (Reference::Unknown, Some((x, y))) => {
            return Err(fail(
                format!("it does not say its CRS, and ({x}, {y}) is no longitude and latitude"),
                "write it with its CRS, or in degrees",
            ));
        }
        (Reference::Known(_), _) => {}
    }
    Ok(())
}

/// Coordinates of the first rows that have any, as they stand in the file.
fn first_coordinates(placer: &Placer, file: &TableFile, column: usize) -> Result<Coords, TableError> {
    for group in 0..file.groups() {
        let rows = file.group_rows(group);
        let plan = ReadPlan {
            columns: vec![column],
            groups: vec![group],
            rows: Some(vec![rows.start..rows.end.min(rows.start + ROWS)]),
            batch_rows: 4096,
        };
        for batch in file.read(&plan)? {
            let batch = batch?;
            if batch.column(0).null_count() == batch.num_rows() {
                continue;
            }
            let shapes = Shapes::of_geometry(batch.column(0), placer.encoding.as_deref());
            let shapes = shapes.map_err(|what| TableError::Column {
                url: file.url().into(),
                what: format!("column {}: {what}", placer.names[0]),
                help: "name a column of geometries".into(),
            })?;
            let coords = shapes.coords();
            if !coords.is_empty() {
                return Ok(coords);
            }
        }
    }
    Ok(Coords::default())
}
