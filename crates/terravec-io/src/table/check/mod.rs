//! Whether a file keeps the rules of GeoParquet.
//!
//! Reading is lenient: what can be understood is, and what was noticed is noted. This check is strict. Its rules have the
//! names that the GeoParquet project's own files of broken metadata give them.

mod metadata;
mod wkb;

use arrow::array::AsArray;
use arrow::compute::cast;
use arrow::datatypes::DataType;
use serde_json::{Map, Value};

use super::{ReadPlan, TableFile};

/// A rule that a file breaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Short name of the rule: `metadata_missing`, `metadata_invalid_json`, `schema_validation_error`,
    /// `version_unknown`, `version_feature_mismatch`, `epoch_unsupported`, `crs_mismatch`, `wkb_parse_error`,
    /// `geometry_type_mismatch`, `zm_mismatch`, `bbox_mismatch`, `edges_mismatch`, `orientation_mismatch` or
    /// `unreadable`.
    pub rule: &'static str,
    /// What is wrong, and where.
    pub what: String,
}

/// Checks the `geo` footer against GeoParquet 1.0, 1.1 and 2.0, and every geometry in well-known binary against the
/// footer. Of each rule and column, the first breach is told. Empty where the file is sound.
///
/// A footer that is not UTF-8 is found out by [`TableFile::open`] already, as no Parquet reader accepts it.
#[must_use]
pub fn check_geoparquet(file: &TableFile) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (name, column) in metadata::check(file, &mut problems) {
        let Ok(index) = file.schema().index_of(&name) else { continue };
        let mut check = Geometries::new(&name, &column);
        if let Err(what) = check.read(file, index) {
            check.breach("unreadable", what);
        }
        check.end();
        problems.extend(check.problems);
    }
    problems
}

/// Checks the geometries of one column.
struct Geometries<'a> {
    name: &'a str,
    types: Vec<&'a str>,
    declared: Option<[f64; 4]>,
    spherical: bool,
    counterclockwise: bool,
    projected: bool,
    bounds: Option<[f64; 4]>,
    problems: Vec<Problem>,
}

impl<'a> Geometries<'a> {
    fn new(name: &'a str, column: &'a Map<String, Value>) -> Self {
        let text = |key: &str| column.get(key).and_then(Value::as_str);
        let types = column.get("geometry_types").and_then(Value::as_array);
        let crs = column.get("crs").and_then(|c| c.get("type")).and_then(Value::as_str);
        Self {
            name,
            types: types.into_iter().flatten().filter_map(Value::as_str).collect(),
            declared: metadata::corners(column),
            spherical: text("edges") == Some("spherical"),
            counterclockwise: text("orientation") == Some("counterclockwise"),
            projected: crs == Some("ProjectedCRS"),
            bounds: None,
            problems: Vec::new(),
        }
    }

    fn breach(&mut self, rule: &'static str, what: impl Into<String>) {
        if self.problems.iter().all(|p| p.rule != rule) {
            self.problems.push(Problem { rule, what: format!("column {}: {}", self.name, what.into()) });
        }
    }

    fn read(&mut self, file: &TableFile, index: usize) -> Result<(), String> {
        let kind = file.schema().field(index).data_type();
        if !matches!(kind, DataType::Binary | DataType::LargeBinary | DataType::BinaryView) {
            return Ok(()); // native encodings have no bytes that could be wrong
        }
        let plan = ReadPlan {
            columns: vec![index],
            groups: (0..file.groups()).collect(),
            rows: None,
            batch_rows: 8192,
        };
        let mut row = 0;
        for batch in file.read(&plan).map_err(|e| e.to_string())? {
            let batch = batch.map_err(|e| e.to_string())?;
            let bytes = cast(batch.column(0), &DataType::LargeBinary).map_err(|e| e.to_string())?;
            for geometry in bytes.as_binary::<i64>() {
                row += 1;
                if let Some(bytes) = geometry {
                    self.geometry(bytes, row);
                }
            }
        }
        Ok(())
    }

    fn geometry(&mut self, bytes: &[u8], row: usize) {
        let facts = match wkb::facts(bytes) {
            Ok(facts) => facts,
            Err(what) => return self.breach("wkb_parse_error", format!("row {row}: {what}")),
        };
        let own = format!("{}{}", facts.kind, facts.dims);
        if !self.types.is_empty() && !self.types.contains(&own.as_str()) {
            let same_kind = self.types.iter().any(|t| t.split(' ').next() == Some(facts.kind));
            let rule = if same_kind { "zm_mismatch" } else { "geometry_type_mismatch" };
            self.breach(rule, format!("row {row} is a {own}; declared are {}", self.types.join(", ")));
        }
        if self.spherical && facts.long_edge {
            self.breach(
                "edges_mismatch",
                format!("row {row} has an edge that goes the long way round the globe"),
            );
        }
        if self.counterclockwise && facts.clockwise {
            self.breach("orientation_mismatch", format!("row {row} has a ring that is wound the other way"));
        }
        let Some([w, s, e, n]) = facts.bounds else { return };
        if let Some([dw, ds, de, dn]) = self.declared {
            // West of a box across the antimeridian is east of its east.
            let inside = if dw <= de { dw <= w && e <= de } else { w >= dw || e <= de };
            if !(inside && ds <= s && n <= dn) {
                self.breach("bbox_mismatch", format!("row {row} lies outside the declared bbox"));
            }
        }
        let [aw, as_, ae, an] = self.bounds.unwrap_or([w, s, e, n]);
        self.bounds = Some([aw.min(w), as_.min(s), ae.max(e), an.max(n)]);
    }

    /// Checks what only all geometries together tell.
    fn end(&mut self) {
        if let Some([w, s, e, n]) = self.bounds
            && self.projected
            && w >= -180.0
            && e <= 180.0
            && s >= -90.0
            && n <= 90.0
        {
            self.breach("crs_mismatch", "it claims a projected CRS but holds degrees");
        }
    }
}
