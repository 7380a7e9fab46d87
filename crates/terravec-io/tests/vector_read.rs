//! Points and polygons from text: what is understood, what is refused, and in which words.

use std::fs;
use std::path::PathBuf;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use geo_types::Geometry;
use tempfile::TempDir;
use terravec_io::vector::{Points, Regions, read_points, read_regions, wkt};

struct Files(TempDir);

impl Files {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.path().join(name);
        fs::write(&path, content).unwrap();
        path
    }
}

fn points(name: &str, content: impl AsRef<[u8]>) -> Points {
    read_points(&Files::new().path(name, content)).unwrap()
}

fn regions(name: &str, content: impl AsRef<[u8]>) -> Regions {
    read_regions(&Files::new().path(name, content)).unwrap()
}

/// What an unreadable file's error and help say.
fn refused(name: &str, content: impl AsRef<[u8]>) -> String {
    let e = read_points(&Files::new().path(name, content)).unwrap_err();
    let help = e.help().unwrap();
    assert!(e.to_string().contains(name), "the file is named in `{e}`");
    format!("{e} | {help}")
}

fn region_refused(name: &str, content: impl AsRef<[u8]>) -> String {
    let e = read_regions(&Files::new().path(name, content)).unwrap_err();
    assert!(e.help().is_some());
    e.to_string()
}

fn types(columns: &RecordBatch) -> Vec<(String, DataType)> {
    columns.schema().fields().iter().map(|f| (f.name().clone(), f.data_type().clone())).collect()
}

fn wkt_of(r: &Regions) -> Vec<String> {
    r.polygons.iter().map(|p| wkt::write(&Geometry::from(p.clone()))).collect()
}

#[test]
fn csv_keeps_columns_order_and_types() {
    let p = points(
        "p.csv",
        "id,lat,name,lon,count,share,ok,code\n7,44.3,\"a, b\",-88.7,1,0.5,true,007\n8,44.4,,-88.8,,2,false,012\n",
    );
    assert_eq!((p.lon.as_slice(), p.lat.as_slice()), (&[-88.7, -88.8][..], &[44.3, 44.4][..]));
    let want = [
        ("id", DataType::Int64),
        ("name", DataType::Utf8),
        ("count", DataType::Int64),
        ("share", DataType::Float64),
        ("ok", DataType::Boolean),
        ("code", DataType::Utf8),
    ];
    assert_eq!(types(&p.columns), want.map(|(n, t)| (n.to_string(), t)));
    assert_eq!(p.columns.column(1).as_string::<i32>().iter().collect::<Vec<_>>(), [Some("a, b"), None]);
    assert_eq!(p.columns.column(2).as_primitive::<Int64Type>().iter().collect::<Vec<_>>(), [Some(1), None]);
    assert!(p.warnings.is_empty() && p.origin.ends_with("p.csv"));
}

#[test]
fn coordinates_go_by_many_names_and_separators() {
    for (name, text) in [
        ("a.csv", "LONGITUDE,Latitude\n5.5,52.1\n"),
        ("b.tsv", "lng\tlat\n5.5\t52.1\n"),
        ("c.txt", "x;y\n5.5;52.1\n"),
        ("d.csv", "\u{feff}lon|lat\r\n5.5|52.1\r\n"),
        ("e.csv", "x,y,lat,long\n500000,5773000,52.1,5.5\n"),
        ("f.csv", "name,geometry\na,POINT (5.5 52.1)\n"),
        ("g.csv", "wkt\nSRID=4326;POINT Z (5.5 52.1 9)\n"),
        ("h.csv", "system:index,.geo\n0,\"{\"\"type\"\":\"\"Point\"\",\"\"coordinates\"\":[5.5,52.1]}\"\n"),
        ("i.csv", "x,y,geometry\n3,4,POINT (5.5 52.1)\n"),
    ] {
        let p = points(name, text);
        assert_eq!((p.lon[0], p.lat[0], p.lon.len()), (5.5, 52.1, 1), "{name}");
    }
}

/// `lon` and `lat` are told by the places; columns of other names are the caller's.
#[test]
fn other_coordinate_columns_stay_the_callers_own() {
    let names = |p: &Points| p.columns.schema().fields().iter().map(|f| f.name().clone()).collect::<Vec<_>>();
    assert_eq!(names(&points("a.csv", "longitude,latitude,n\n5,52,1\n")), ["longitude", "latitude", "n"]);
    assert_eq!(names(&points("b.csv", "Lon,LAT,n\n5,52,1\n,,2\n")), ["n"]);
    assert_eq!(names(&points("c.csv", "lon,lat,lng\n5,52,9\n")), ["lng"]);
    // A lon that is not the geometry's is something else.
    assert_eq!(names(&points("d.geojson", FEATURE.replace("PROPS", r#"{"lon":5,"lat":2}"#))), ["lon"]);
}

const FEATURE: &str =
    r#"{"type":"Feature","geometry":{"type":"Point","coordinates":[1,2]},"properties":PROPS}"#;

#[test]
fn rows_without_a_place_are_kept_and_counted() {
    let p = points("p.csv", "lon,lat,n\n1,2,a\n,,b\nnan,NaN,c\n3,4,d\n");
    assert!(p.lon[1].is_nan() && p.lat[1].is_nan() && p.lon[2].is_nan());
    assert_eq!((p.lon[3], p.columns.num_rows()), (3.0, 4));
    assert!(p.warnings[0].contains("2 rows have no geometry"), "{:?}", p.warnings);
    let r = regions("r.csv", "n,wkt\n1,\"POLYGON ((0 0, 1 0, 1 1, 0 0))\"\n2,\n3,POLYGON EMPTY\n");
    assert_eq!(wkt_of(&r)[1..], ["MULTIPOLYGON EMPTY", "MULTIPOLYGON EMPTY"]);
    assert!(r.warnings[0].contains("2 rows"));
}

#[test]
fn wrong_places_are_named() {
    for (text, said) in [
        ("lon,lat\n1,2\n44.3,-98.7\n", &["line 3", "swap"][..]),
        ("lon,lat\n1,2\n10,95.5\n", &["line 3", "95.5"]),
        ("lon,lat\n\"1\n\",2\n359,4\n", &["line 4", "360"]),
        ("lon,lat\n500000,4649776\n", &["line 2", "metres"]),
        ("lon,lat\noops,2\n", &["line 2", "`oops`", "lon"]),
        ("lon;lat\n\"5,5\";2\n", &["line 2", "decimal point"]),
        ("lon,lat\n5,\n", &["line 2", "lat", "empty"]),
        ("lon,lat\ninf,2\n", &["line 2", "finite"]),
        ("lon,lat\n5,NaN\n", &["line 2", "finite"]),
        ("lon,lat\n5,6,7\n", &["line 2", "3 cells", "2"]),
        ("name,a,b\nx,1,2\n", &["name, a, b", "lon"]),
        ("wkt\n\"LINESTRING (1 2, 3 4)\"\n", &["line 2", "LINESTRING"]),
        ("wkt\n\"MULTIPOINT (1 2, 3 4)\"\n", &["line 2", "MultiPoint of 2"]),
        ("wkt\n\"POLYGON ((0 0, 1 0, 1 1, 0 0))\"\n", &["line 2", "Polygon, not a point"]),
    ] {
        let e = refused("bad.csv", text);
        assert!(said.iter().all(|s| e.contains(s)), "{text:?}: {e}");
    }
    assert!(refused("latin.csv", b"lon,lat,n\n1,2,caf\xe9\n").contains("UTF-8"));
    assert!(refused("points.shp", "").contains(".shp"));
    assert!(region_refused("r.csv", "lon,lat\n1,2\n").contains("polygons"));
}

#[test]
fn geojson_properties_become_typed_columns() {
    let p = points(
        "p.geojson",
        r#"{"type":"FeatureCollection","features":[
            {"type":"Feature","id":"a","geometry":{"type":"Point","coordinates":[1,2,99]},
             "properties":{"n":1,"f":1,"b":true,"t":"x","m":1,"l":[1,2]}},
            {"type":"Feature","id":5,"geometry":null,"properties":null},
            {"type":"Feature","geometry":{"type":"MultiPoint","coordinates":[[3,4]]},
             "properties":{"late":2,"n":-3,"f":0.5,"b":null,"m":"y"}}]}"#,
    );
    assert_eq!((p.lon[0], p.lat[0], p.lon[2], p.lat[2]), (1.0, 2.0, 3.0, 4.0));
    assert!(p.lon[1].is_nan());
    let want = [
        ("id", DataType::Utf8),
        ("n", DataType::Int64),
        ("f", DataType::Float64),
        ("b", DataType::Boolean),
        ("t", DataType::Utf8),
        ("m", DataType::Utf8),
        ("l", DataType::Utf8),
        ("late", DataType::Int64),
    ];
    assert_eq!(types(&p.columns), want.map(|(n, t)| (n.to_string(), t)));
    let f = p.columns.column_by_name("f").unwrap().as_primitive::<Float64Type>();
    assert_eq!(f.iter().collect::<Vec<_>>(), [Some(1.0), None, Some(0.5)]);
    assert_eq!(p.columns.column_by_name("l").unwrap().as_string::<i32>().value(0), "[1,2]");
    assert_eq!(p.columns.column_by_name("late").unwrap().null_count(), 2);
    assert!(
        p.warnings.iter().any(|w| w.contains("heights")) && p.warnings.iter().any(|w| w.contains("1 row"))
    );
}

#[test]
fn geojson_comes_whole_by_line_and_bare() {
    let feature = |n: u32| FEATURE.replace("PROPS", &format!(r#"{{"n":{n}}}"#));
    for (name, text, rows) in [
        ("a.geojson", feature(1), 1),
        ("b.json", r#"{"type":"Point","coordinates":[1,2]}"#.into(), 1),
        ("c.ndjson", format!("{}\n\n{}\n", feature(1), feature(2)), 2),
        ("d.geojsonseq", format!("\u{1e}{}\n\u{1e}{}\n", feature(1), feature(2)), 2),
        ("e.geojson", "\u{feff}{\"type\":\"FeatureCollection\",\"features\":[]}".into(), 0),
    ] {
        let p = points(name, text);
        assert_eq!((p.lon.len(), p.columns.num_rows()), (rows, rows), "{name}");
    }
}

#[test]
fn an_old_geojson_crs_is_honoured() {
    let with = |crs: &str, at: &str| {
        format!(
            r#"{{"type":"FeatureCollection",{crs}"features":[{{"type":"Feature","properties":{{}},"geometry":{{"type":"Point","coordinates":{at}}}}}]}}"#
        )
    };
    let named = |name: &str| format!(r#""crs":{{"type":"name","properties":{{"name":"{name}"}}}},"#);
    let p = points("u.geojson", with(&named("urn:ogc:def:crs:EPSG::32631"), "[500000,5538630.7]"));
    assert!((p.lon[0] - 3.0).abs() < 1e-9 && (p.lat[0] - 50.0).abs() < 1e-5, "{:?}", p.lat);
    for crs in ["urn:ogc:def:crs:OGC:1.3:CRS84", "EPSG:4326", "urn:ogc:def:crs:EPSG::4326"] {
        assert_eq!(points("d.geojson", with(&named(crs), "[5,52]")).lat[0], 52.0, "{crs}");
    }
    let degrees = points("w.geojson", with(&named("EPSG:3857"), "[5,52]"));
    assert!(degrees.lat[0] == 52.0 && degrees.warnings[0].contains("EPSG:3857"), "{:?}", degrees.warnings);
    assert!(refused("x.geojson", with(&named("EPSG:1"), "[5,52]")).contains("EPSG:1"));
}

#[test]
fn broken_geojson_is_refused_where_it_breaks() {
    for (text, said) in [
        (r#"{"type":"FeatureCollection","features":["#, "line 1"),
        (r#"{"type":"FeatureCollection"}"#, "no features"),
        ("[1,2]", "no GeoJSON"),
        (r#"{"a":1}"#, "type"),
        (r#"{"type":"Point","coordinates":[1]}"#, "feature 1: the Point is wrong: a position has 1"),
        (r#"{"type":"Point","coordinates":[[1,2]]}"#, "feature 1"),
        (r#"{"type":"Point"}"#, "no coordinates"),
        (r#"{"type":"LineString","coordinates":[[1,2],[3,4]]}"#, "LineString"),
        (r#"{"type":"GeometryCollection","geometries":[]}"#, "GeometryCollection"),
        (r#"{"type":"Point","coordinates":[1,1e999]}"#, "out of range"),
    ] {
        let e = refused("bad.geojson", text);
        assert!(e.contains(said), "{text}: {e}");
    }
    assert!(
        refused("deep.geojson", format!(r#"{{"type":"Point","coordinates":{}}}"#, "[".repeat(100_000)))
            .contains("recursion")
    );
}

#[test]
fn polygons_with_holes_and_parts() {
    let ring = "[[0,0],[4,0],[4,4],[0,0]]";
    let hole = "[[1,1],[2,1],[2,2],[1,1]]";
    let text = format!(
        r#"{{"type":"FeatureCollection","features":[
            {{"type":"Feature","properties":{{"n":1}},"geometry":{{"type":"Polygon","coordinates":[{ring},{hole}]}}}},
            {{"type":"Feature","properties":{{"n":2}},"geometry":{{"type":"MultiPolygon","coordinates":[[{ring}],[{ring}]]}}}}]}}"#
    );
    let r = regions("r.geojson", text);
    assert_eq!(r.polygons[0].0[0].interiors().len(), 1);
    assert_eq!((r.polygons[1].0.len(), r.columns.num_rows()), (2, 2));
    for (text, said) in [
        (r#"{"type":"Polygon","coordinates":[[[0,0],[1,1]]]}"#, "ring"),
        (r#"{"type":"Polygon","coordinates":[[[0,0],[1,0],[1,91],[0,0]]]}"#, "91"),
        (r#"{"type":"Point","coordinates":[0,0]}"#, "Point, not a polygon"),
        (r#"{"type":"FeatureCollection","features":[]}"#, "no polygon"),
    ] {
        let e = region_refused("bad.geojson", text);
        assert!(e.contains(said), "{text}: {e}");
    }
    // A corner of the world, off by a rounding error.
    let world = r#"{"type":"Polygon","coordinates":[[[-180.0000001,-90],[180.0000001,-90],[180,90],[-180.0000001,-90]]]}"#;
    assert!(wkt_of(&regions("w.geojson", world))[0].contains("180 -90"));
}
