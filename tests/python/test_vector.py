"""Points, regions and tables against pyarrow, shapely and pyproj.

The example `vector_dump` of terravec-io prints what terravec reads as JSON and rewrites tables; the same files are
read here with other tools. `TERRAVEC_LOCAL_DATA` may name a folder with larger published files (`patch/`,
`alphaearth/`, `suites/geoparquet/`) to check as well.
"""

import csv
import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq
import pyproj
import pytest
import shapely

ROOT = Path(__file__).resolve().parents[2]
SUITE = ROOT / "testdata" / "suites" / "geoparquet"
GOOD = SUITE / "geoparquet-testing" / "data"
BAD = SUITE / "geoparquet-testing" / "bad_data"
LOCAL = Path(os.environ["TERRAVEC_LOCAL_DATA"]) if "TERRAVEC_LOCAL_DATA" in os.environ else None
local = pytest.mark.skipif(LOCAL is None, reason="TERRAVEC_LOCAL_DATA is not set")


def binary():
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "debug"
    path = Path(os.environ.get("TERRAVEC_TARGET", target)) / "examples" / "vector_dump"
    assert path.exists(), f"{path} is missing: run `cargo build -p terravec-io --examples`"
    return path


def run(*args):
    return subprocess.run([binary(), *map(str, args)], capture_output=True, text=True, timeout=120)


def dump(kind, path):
    done = run(kind, path)
    assert done.returncode == 0, f"{path}: {done.stderr}"
    return json.loads(done.stdout)


def refused(kind, path):
    done = run(kind, path)
    assert done.returncode == 1, f"{path} was read: {done.stdout[:200]}"
    assert done.stderr.startswith("error: ") and "  help: " in done.stderr and "panicked" not in done.stderr
    assert path.name in done.stderr
    return done.stderr


def numbers(values):
    return np.array(values, dtype=float)


# --- oracles -------------------------------------------------------------------------------------------------


def geo_of(path):
    metadata = pq.ParquetFile(path).metadata.metadata or {}
    return json.loads(metadata[b"geo"]) if b"geo" in metadata else None


def shapes_in_file(path):
    """Geometries of the primary column as shapely reads them, flattened to two dimensions."""
    geo = geo_of(path)
    name = geo["primary_column"] if geo else "geometry"
    column = pq.read_table(path)[name].combine_chunks()
    if isinstance(column, pa.ExtensionArray):
        column = column.storage
    if pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type):
        shapes = shapely.from_wkb(column.to_pylist())
    else:
        shapes = native(column, geo["columns"][name]["encoding"])
    return shapely.force_2d(np.array(shapes, dtype=object))


def native(column, encoding):
    def place(value):
        return (value["x"], value["y"]) if isinstance(value, dict) else tuple(value[:2])

    def polygon(rings):
        rings = [[place(p) for p in ring] for ring in rings]
        return shapely.Polygon(rings[0], rings[1:]) if rings else shapely.Polygon()

    make = {
        "point": lambda v: shapely.Point(place(v)),
        "polygon": polygon,
        "multipolygon": lambda v: shapely.MultiPolygon([polygon(p) for p in v]),
    }[encoding]
    return [None if value is None else make(value) for value in column.to_pylist()]


def crs_of(path):
    geo = geo_of(path)
    if geo is None:
        return None
    crs = geo["columns"][geo["primary_column"]].get("crs")
    return pyproj.CRS.from_json_dict(crs) if crs else None


def in_degrees(path):
    shapes, crs = shapes_in_file(path), crs_of(path)
    if crs is None or crs.is_geographic:
        return shapes
    extent = shapely.total_bounds(shapes)
    if np.all(np.abs(extent) <= [180, 90, 180, 90]):
        return shapes  # the CRS is not believed
    to = pyproj.Transformer.from_crs(crs, "OGC:CRS84", always_xy=True)
    return shapely.transform(shapes, lambda c: np.column_stack(to.transform(c[:, 0], c[:, 1])))


def xy(shapes):
    out = np.full((len(shapes), 2), np.nan)
    for i, shape in enumerate(shapes):
        if shape is not None and not shape.is_empty:
            out[i] = shapely.get_coordinates(shape)[0]
    return out


def assert_points(path, tolerance=0.0):
    got = dump("points", path)
    np.testing.assert_allclose(
        np.column_stack([numbers(got["lon"]), numbers(got["lat"])]),
        xy(in_degrees(path)),
        rtol=0,
        atol=tolerance,
    )
    return got


def assert_regions(path, tolerance=0.0):
    got = dump("regions", path)
    want = in_degrees(path)
    assert len(got["polygons"]) == len(want)
    for text, shape in zip(got["polygons"], want, strict=True):
        read = shapely.from_wkt(text)
        if shape is None or shape.is_empty:
            assert read.is_empty
        else:
            np.testing.assert_allclose(
                shapely.get_coordinates(read), shapely.get_coordinates(shape), rtol=0, atol=tolerance
            )
            assert shapely.get_num_geometries(read) == shapely.get_num_geometries(shape)
    return got


def plain(value):
    """A value as terravec's JSON has it."""
    if isinstance(value, float) and not np.isfinite(value):
        return None
    if isinstance(value, bytes):
        return None
    return value


def assert_columns(got, table):
    names = [n for n in table.column_names if not pa.types.is_binary(table[n].type)]
    kept = [n for n in got if got[n]["type"] not in ("Binary", "LargeBinary")]
    assert kept == names
    for name in names:
        assert got[name]["values"] == [plain(v) for v in table[name].to_pylist()], name


# --- the GeoParquet suite ------------------------------------------------------------------------------------

KINDS = {"Point": "points", "Polygon": "regions", "MultiPolygon": "regions"}


def kind_of(path):
    """What terravec should read the file as, or None where it holds lines, mixtures or nothing terravec takes."""
    shapes = [s for s in shapes_in_file(path) if s is not None]
    kinds = {s.geom_type for s in shapes}
    asked = {KINDS.get(k) for k in kinds}
    return asked.pop() if len(asked) == 1 else None


def suite(*parts):
    return sorted(p for part in parts for p in (SUITE / part).rglob("*.parquet"))


@pytest.mark.parametrize("path", suite("geoparquet-testing/data", "opengeospatial"), ids=lambda p: p.stem)
def test_good_files_read_equal(path):
    kind = kind_of(path)
    if kind is None:
        said = refused("points", path)
        assert "geometry is a" in said
        return
    tolerance = 1e-9 if crs_of(path) is not None else 0.0
    got = (assert_points if kind == "points" else assert_regions)(path, tolerance)
    primary = geo_of(path)["primary_column"]
    assert_columns(got["columns"], pq.read_table(path).drop_columns([primary]))
    missing = sum(s is None or s.is_empty for s in shapes_in_file(path))
    assert any("no geometry" in w for w in got["warnings"]) == (missing > 0)


def test_wkb_and_wkt_of_the_suite_agree():
    for stem in ("point", "polygon", "multipolygon"):
        kind = "points" if stem == "point" else "regions"
        wkb = dump(kind, SUITE / "opengeospatial" / "test_data" / f"data-{stem}-encoding_wkb.parquet")
        wkt = dump(kind, SUITE / "opengeospatial" / "test_data" / f"data-{stem}-wkt.csv")
        for key in ("lon", "lat", "polygons"):
            assert wkb.get(key) == wkt.get(key)
        assert wkb["columns"]["col"]["values"] == wkt["columns"]["col"]["values"]


@pytest.mark.parametrize(
    ("name", "said"),
    {
        "geo-invalid-json": "no JSON",
        "geo-invalid-utf8": "",
        "missing-columns": "no columns",
        "missing-primary-column": "no primary_column",
        "primary-column-not-in-columns": "not_present",
        "crs-invalid-projjson": "CRS",
        "wkb-truncated": "row 1",
        "wkb-wrong-type-byte": "LineString",
        "geometry-types-mismatch-declared-point-actual-linestring": "LineString",
    }.items(),
)
def test_bad_files_that_cannot_be_read_say_why(name, said):
    assert said in refused("points", BAD / f"{name}.parquet")


@pytest.mark.parametrize(
    ("name", "said"),
    {
        "crs-mismatch-schema-vs-geo-metadata": "EPSG:3857",
        "version-unknown": "99.0.0",
        "missing-version": "version",
        "zm-declared-xy-actual-xyz": "heights",
    }.items(),
)
def test_bad_files_that_can_be_read_come_with_a_warning(name, said):
    got = dump("points", BAD / f"{name}.parquet")
    np.testing.assert_array_equal(
        np.column_stack([got["lon"], got["lat"]]), xy(shapes_in_file(BAD / f"{name}.parquet"))
    )
    assert any(said in w for w in got["warnings"])


# --- files made here -----------------------------------------------------------------------------------------


def write(path, columns, geometry, *, crs=..., encoding="WKB", version="1.1.0", **options):
    """GeoParquet as geopandas writes it: `crs` absent, null or PROJJSON."""
    column = {"encoding": encoding, "geometry_types": []}
    if crs is not ...:
        column["crs"] = crs
    geo = {"version": version, "primary_column": "geometry", "columns": {"geometry": column}}
    table = pa.table(columns | {"geometry": geometry})
    pq.write_table(table.replace_schema_metadata({"geo": json.dumps(geo)}), path, **options)
    return path


def places(n, seed=0):
    rng = np.random.default_rng(seed)
    return rng.uniform(-180, 180, n), rng.uniform(-90, 90, n)


@pytest.mark.parametrize("flavor", ["iso", "extended"])
@pytest.mark.parametrize("byte_order", [0, 1])
@pytest.mark.parametrize("dimensions", [2, 3, 4])
def test_every_dialect_of_wkb(tmp_path, flavor, byte_order, dimensions):
    lon, lat = places(50)
    coords = np.column_stack([lon, lat, lon * 2, lat * 3])[:, :dimensions]
    points = (
        shapely.points(coords)
        if dimensions < 4
        else shapely.from_wkt([f"POINT ZM ({' '.join(map(repr, c.tolist()))})" for c in coords])
    )
    srid = flavor == "extended"
    if srid:
        points = shapely.set_srid(points, 4326)
    wkb = shapely.to_wkb(
        points, flavor=flavor, byte_order=byte_order, output_dimension=dimensions, include_srid=srid
    )
    got = dump("points", write(tmp_path / "p.parquet", {"n": range(50)}, wkb.tolist()))
    np.testing.assert_array_equal(numbers(got["lon"]), lon)
    np.testing.assert_array_equal(numbers(got["lat"]), lat)
    assert (got["warnings"] == []) == (dimensions == 2)


@pytest.mark.parametrize("epsg", [4326, 4269, 4258, 3857, 32631, 32733, 5070, 3035, 3031, 6933, 8857])
def test_files_in_other_crs_come_in_degrees(tmp_path, epsg):
    crs = pyproj.CRS.from_epsg(epsg)
    area = crs.area_of_use
    rng = np.random.default_rng(epsg)
    south, north = max(area.south, -85), min(area.north, 85)
    east = area.east if area.west < area.east else area.east + 360
    lon, lat = (rng.uniform(area.west, east, 200) + 180) % 360 - 180, rng.uniform(south, north, 200)
    x, y = pyproj.Transformer.from_crs("OGC:CRS84", crs, always_xy=True).transform(lon, lat)
    x, y = (lon, lat) if crs.is_geographic else (x, y)
    path = write(
        tmp_path / "p.parquet", {}, shapely.to_wkb(shapely.points(x, y)).tolist(), crs=crs.to_json_dict()
    )
    tolerance = 1e-7  # a centimetre
    got = assert_points(path, tolerance)
    np.testing.assert_allclose(numbers(got["lon"]), lon, rtol=0, atol=1e-7)
    squares = shapely.to_wkb(shapely.box(x, y, x + (1 if not crs.is_geographic else 1e-5), y)).tolist()
    assert_regions(write(tmp_path / "r.parquet", {}, squares, crs=crs.to_json_dict()), tolerance)


def test_a_wrong_or_missing_crs_is_noticed(tmp_path):
    lon, lat = places(20)
    wkb = shapely.to_wkb(shapely.points(lon, lat)).tolist()
    metric = pyproj.CRS.from_epsg(3857).to_json_dict()
    for crs, said in ((metric, "EPSG:3857"), (None, "does not say its CRS")):
        got = dump("points", write(tmp_path / "p.parquet", {}, wkb, crs=crs))
        assert got["lon"] == lon.tolist() and said in got["warnings"][0]
    far = shapely.to_wkb(shapely.points(lon * 1e4, lat * 1e4)).tolist()
    for crs in (None, ...):
        assert "row 1: " in refused("points", write(tmp_path / "q.parquet", {}, far, crs=crs))


def test_native_encodings(tmp_path):
    lon, lat = places(9)
    xy_type = pa.struct([("x", pa.float64()), ("y", pa.float64())])
    separated = pa.array([{"x": x, "y": y} for x, y in zip(lon, lat, strict=True)] + [None], xy_type)
    interleaved = pa.array([*np.column_stack([lon, lat, lat]).tolist(), None], pa.list_(pa.float64(), 3))
    for name, column in (("s", separated), ("i", interleaved)):
        got = dump("points", write(tmp_path / f"{name}.parquet", {}, column, encoding="point"))
        assert got["lon"] == [*lon.tolist(), None] and got["lat"] == [*lat.tolist(), None]
    ring = [{"x": 0, "y": 0}, {"x": 4, "y": 0}, {"x": 4, "y": 4}, {"x": 0, "y": 0}]
    hole = [{"x": 1, "y": 0.5}, {"x": 2, "y": 0.5}, {"x": 2, "y": 1}, {"x": 1, "y": 0.5}]
    polygons = pa.array([[ring, hole], [], None, [ring]], pa.list_(pa.list_(xy_type)))
    many = pa.array([[[ring, hole], [ring]], [], None, [[ring]]], pa.large_list(pa.list_(pa.list_(xy_type))))
    assert_regions(write(tmp_path / "p.parquet", {}, polygons, encoding="polygon"))
    assert_regions(write(tmp_path / "m.parquet", {}, many, encoding="multipolygon"))
    assert "linestring" in refused(
        "points", write(tmp_path / "l.parquet", {}, polygons, encoding="linestring")
    )


def test_tables_that_say_nothing_of_geometry(tmp_path):
    lon, lat = places(5)
    pq.write_table(
        pa.table({"LON": lon.astype("float32"), "n": range(5), "Lat": lat}), tmp_path / "a.parquet"
    )
    got = dump("points", tmp_path / "a.parquet")
    assert got["lon"] == lon.astype("float32").astype(float).tolist() and list(got["columns"]) == ["n"]
    wkb = pa.array(shapely.to_wkb(shapely.points(lon, lat)).tolist(), pa.large_binary())
    pq.write_table(pa.table({"geometry": wkb, "lon": [1.0] * 5}), tmp_path / "b.parquet")
    got = dump("points", tmp_path / "b.parquet")
    assert got["lat"] == lat.tolist() and list(got["columns"]) == ["lon"], "a lon of its own stays"
    field = pa.field(
        "where",
        pa.binary(),
        metadata={"ARROW:extension:name": "geoarrow.wkb", "ARROW:extension:metadata": '{"crs":"EPSG:3857"}'},
    )
    x, y = pyproj.Transformer.from_crs(4326, 3857, always_xy=True).transform(lon, np.clip(lat, -80, 80))
    pq.write_table(
        pa.table([shapely.to_wkb(shapely.points(x, y)).tolist()], schema=pa.schema([field])),
        tmp_path / "c.parquet",
    )
    np.testing.assert_allclose(dump("points", tmp_path / "c.parquet")["lon"], lon, atol=1e-7)
    text = shapely.to_wkt(shapely.points(lon, lat), rounding_precision=17).tolist()
    pq.write_table(pa.table({"geometry": text}), tmp_path / "d.parquet")
    assert dump("points", tmp_path / "d.parquet")["lat"] == lat.tolist()
    pq.write_table(pa.table({"a": [1], "b": [2]}), tmp_path / "e.parquet")
    assert "a, b" in refused("points", tmp_path / "e.parquet")


def test_the_callers_columns_keep_their_types(tmp_path):
    lon, lat = places(4)
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(np.arange(12, dtype="float32")), 3)
    columns = {
        "i8": pa.array([1, None, 3, -4], pa.int8()),
        "u64": pa.array([1, 2**63 + 7, 3, None], pa.uint64()),
        "flag": pa.array([True, False, None, True]),
        "text": pa.array(["a", None, "ü", ""], pa.large_string()),
        "kind": pa.array(["x", "y", "x", None]).dictionary_encode(),
        "time": pa.array([0, 1, None, 3], pa.timestamp("ms", "UTC")),
        "embedding": vectors,
        "list": pa.array([[1.5], [], None, [2.0, 3.0]], pa.list_(pa.float64())),
    }
    wkb = shapely.to_wkb(shapely.points(lon, lat)).tolist()
    path = write(tmp_path / "p.parquet", columns, wkb, row_group_size=3)
    got = dump("points", path)["columns"]
    table = pa.table(
        columns
        | {
            "time": pa.array(
                ["1970-01-01T00:00:00Z", "1970-01-01T00:00:00.001Z", None, "1970-01-01T00:00:00.003Z"]
            )
        }
    )
    assert_columns(got, table)
    types = [got[n]["type"].split("(")[0] for n in columns]
    assert types[:4] == ["Int8", "UInt64", "Boolean", "LargeUtf8"] and types[6] == "FixedSizeList"


def test_a_covering_column_goes_with_the_geometry(tmp_path):
    lon, lat = places(3)
    box = pa.StructArray.from_arrays([lon, lat, lon, lat], ["xmin", "ymin", "xmax", "ymax"])
    wkb = shapely.to_wkb(shapely.points(lon, lat)).tolist()
    path = write(tmp_path / "p.parquet", {"n": [1, 2, 3], "box": box}, wkb)
    table = pq.read_table(path)
    geo = json.loads(table.schema.metadata[b"geo"])
    geo["columns"]["geometry"]["covering"] = {
        "bbox": {c: ["box", c] for c in ("xmin", "ymin", "xmax", "ymax")}
    }
    pq.write_table(table.replace_schema_metadata({"geo": json.dumps(geo)}), path)
    assert list(dump("points", path)["columns"]) == ["n"]


def test_csv_reads_as_csv_module_does(tmp_path):
    rng = np.random.default_rng(3)
    lon, lat = places(300)
    words = ["plain", "with, comma", 'with "quotes"', "two\nlines", "", "ü"]
    rows = [
        (repr(x), f"w{i}", repr(y), words[i % 6], repr(v))
        for i, (x, y, v) in enumerate(
            zip(lon.tolist(), lat.tolist(), rng.normal(size=300).tolist(), strict=True)
        )
    ]
    for delimiter in ",;\t|":
        path = tmp_path / "p.csv"
        with path.open("w", newline="") as f:
            writer = csv.writer(f, delimiter=delimiter)
            writer.writerows([("Longitude", "id", "Latitude", "word", "value"), *rows])
        got = dump("points", path)
        assert got["lon"] == lon.tolist() and got["lat"] == lat.tolist()
        assert got["columns"]["word"]["values"] == [r[3] or None for r in rows]
        assert got["columns"]["value"]["values"] == [float(r[4]) for r in rows]
        assert list(got["columns"]) == ["Longitude", "id", "Latitude", "word", "value"]


# --- tables out ----------------------------------------------------------------------------------------------


def sample_table(n=60, d=5, seed=1):
    rng = np.random.default_rng(seed)
    lon, lat = places(n, seed)
    vectors = pa.FixedSizeListArray.from_arrays(
        pa.array(rng.normal(size=n * d).astype("float32")),
        type=pa.list_(pa.field("element", pa.float32()), d),
        mask=pa.array(np.arange(n) % 7 == 3),
    )
    return pa.table(
        {
            "n": pa.array(range(n), pa.int32()),
            "name": [None if i == 5 else f'ü,"{i}"' for i in range(n)],
            "lon": lon,
            "lat": lat,
            "time_start": pa.array([1_704_067_200_000] * n, pa.timestamp("ms", "UTC")),
            "embedding": vectors,
            "geometry": pa.array(
                [
                    None if i == 9 else w
                    for i, w in enumerate(shapely.to_wkb(shapely.points(lon, lat)).tolist())
                ],
                pa.binary(),
            ),
        }
    )


def rewrite(table, out, *options):
    path = out.parent / "in.parquet"
    pq.write_table(table, path)
    done = run("rewrite", path, out, *options)
    assert done.returncode == 0, done.stderr
    return out


def check_geo(path, kinds):
    """The rules of GeoParquet 1.1 for what terravec writes."""
    geo, file = geo_of(path), pq.ParquetFile(path)
    assert set(geo) == {"version", "primary_column", "columns"} and geo["version"] == "1.1.0"
    assert list(geo["columns"]) == [geo["primary_column"]]
    column = geo["columns"][geo["primary_column"]]
    assert column["encoding"] == "WKB" and column["geometry_types"] == kinds and "crs" not in column
    field = file.schema_arrow.field(geo["primary_column"])
    assert field.type == pa.binary()
    bounds = shapely.total_bounds(shapes_in_file(path))
    np.testing.assert_array_equal(column["bbox"], bounds)
    if "covering" in column:
        box = column["covering"]["bbox"]
        name = box["xmin"][0]
        assert {k: [name, k] for k in ("xmin", "ymin", "xmax", "ymax")} == box
        struct = file.schema_arrow.field(name).type
        assert [f.name for f in struct] == ["xmin", "ymin", "xmax", "ymax"]
        assert {f.type for f in struct} == {pa.float64()}
        got = pq.read_table(path)[name].combine_chunks()
        shapes = shapes_in_file(path)
        assert [v.as_py() is None for v in got] == [s is None for s in shapes]
        for v, shape in zip(got.to_pylist(), shapes, strict=True):
            assert v is None or tuple(v.values()) == shape.bounds
    return column


@pytest.mark.parametrize("options", [(), ("--covering",)], ids=["plain", "covering"])
def test_geoparquet_reads_back_equal(tmp_path, options):
    table = sample_table()
    out = rewrite(table, tmp_path / "o.parquet", "--key", 'terravec={"product":"p"}', *options)
    read = pq.read_table(out)
    assert json.loads(read.schema.metadata[b"terravec"]) == {"product": "p"}, "pyarrow shows the key"
    assert json.loads(read.schema.metadata[b"geo"]) == geo_of(out)
    assert read.select(table.column_names).remove_column(0) == table.remove_column(0)
    assert read.schema.field("embedding").type == table.schema.field("embedding").type
    assert ("covering" in check_geo(out, ["Point"])) == bool(options)
    chunk = pq.ParquetFile(out).metadata.row_group(0)
    for i in range(chunk.num_columns):
        column = chunk.column(i)
        assert column.compression == "ZSTD" and column.has_offset_index
        if column.path_in_schema.startswith(("embedding", "geometry")):
            assert not column.is_stats_set and not column.has_dictionary_page
    assert not list(tmp_path.glob("*.part")) and not list(tmp_path.glob(".*"))


def test_polygons_read_back_equal(tmp_path):
    lon, lat = places(30)
    boxes = shapely.box(lon * 0.9, lat * 0.9, lon * 0.9 + 1, lat * 0.9 + 1)
    shapes = np.where(
        np.arange(30) % 2 == 0,
        boxes,
        shapely.multipolygons([[b, shapely.affinity.translate(b, 2, 0)] for b in boxes]),
    )
    table = pa.table({"n": range(30), "shape": pa.array(shapely.to_wkb(shapes).tolist(), pa.binary())})
    out = rewrite(table, tmp_path / "o.parquet", "--geometry", "shape")
    assert pq.read_table(out)["shape"] == table["shape"]
    assert "covering" in check_geo(out, ["MultiPolygon", "Polygon"]), "without being asked for"
    assert_regions(out)
    text = rewrite(table, tmp_path / "o.csv", "--geometry", "shape")
    assert text.read_text().splitlines()[0] == "n,shape"
    with text.open(newline="") as f:
        for row, shape in zip(csv.DictReader(f), shapes, strict=True):
            assert shapely.from_wkt(row["shape"]) == shape
    features = json.loads(rewrite(table, tmp_path / "o.geojson", "--geometry", "shape").read_text())[
        "features"
    ]
    assert [
        shapely.from_geojson(json.dumps(f["geometry"])) == s for f, s in zip(features, shapes, strict=True)
    ] == [True] * 30


def test_many_rows_make_row_groups(tmp_path):
    table = pa.concat_tables([sample_table(1000)] * 120)
    out = rewrite(table, tmp_path / "o.parquet")
    metadata = pq.ParquetFile(out).metadata
    assert [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)] == [
        50_000,
        50_000,
        20_000,
    ]
    assert pq.read_table(out)["embedding"].combine_chunks() == table["embedding"].combine_chunks()


def test_hilbert_order_makes_row_groups_small_in_space(tmp_path):
    table = sample_table(120_000, 1)
    table = table.set_column(
        6,
        "geometry",
        pa.array(shapely.to_wkb(shapely.points(table["lon"], table["lat"])).tolist(), pa.binary()),
    )
    out = rewrite(table, tmp_path / "o.parquet", "--hilbert", "--covering")
    read = pq.read_table(out)
    assert sorted(read["n"].to_pylist()) == list(range(120_000))
    metadata = pq.ParquetFile(out).metadata
    names = [metadata.schema.column(i).path for i in range(len(metadata.schema))]
    total = 0
    for g in range(metadata.num_row_groups):
        low, high = (
            [metadata.row_group(g).column(names.index(f"bbox.{c}")).statistics for c in pair]
            for pair in (("xmin", "ymin"), ("xmax", "ymax"))
        )
        total += np.prod([h.max - lo.min for lo, h in zip(low, high, strict=True)])
    assert total < 360 * 180 * 1.7, "in any order each of the three groups covers the globe"


def test_arrow_csv_and_geojson_read_back_equal(tmp_path):
    table = sample_table()
    key = ("--key", 'terravec={"product":"p"}')
    read = pa.ipc.open_file(rewrite(table, tmp_path / "o.arrow", *key)).read_all()
    assert read.equals(table) and read.schema.metadata[b"terravec"] == b'{"product":"p"}'

    names = [f"A0{i}" for i in range(5)]
    with rewrite(table, tmp_path / "o.csv", "--names", ",".join(names)).open(newline="") as f:
        rows = list(csv.DictReader(f))
    assert list(rows[0]) == ["n", "name", "lon", "lat", "time_start", *names]
    for row, want in zip(rows, table.to_pylist(), strict=True):
        assert (float(row["lon"]), float(row["lat"]), int(row["n"])) == (want["lon"], want["lat"], want["n"])
        assert row["name"] == (want["name"] or "") and row["time_start"] == "2024-01-01T00:00:00Z"
        vector = [row[n] for n in names]
        assert (
            vector == [""] * 5
            if want["embedding"] is None
            else np.float32(vector).tolist() == want["embedding"]
        )

    root = json.loads(rewrite(table, tmp_path / "o.geojson", *key).read_text())
    assert root["type"] == "FeatureCollection" and root["terravec"] == {"product": "p"}
    for feature, want in zip(root["features"], table.to_pylist(), strict=True):
        shape = feature["geometry"] and shapely.from_geojson(json.dumps(feature["geometry"]))
        assert shape == (shapely.from_wkb(want["geometry"]) if want["geometry"] else None)
        vector = feature["properties"]["embedding"]
        assert (vector and np.float32(vector).tolist()) == want["embedding"]
        assert feature["properties"]["name"] == want["name"] and "geometry" not in feature["properties"]
    again = dump("points", tmp_path / "o.geojson")
    assert [x is None for x in again["lon"]] == [i == 9 for i in range(60)]


def test_an_output_that_fails_leaves_nothing(tmp_path):
    table = pa.table({"geometry": pa.array([b"\x01\x02"], pa.binary())})
    pq.write_table(table, tmp_path / "in.parquet")
    for name in ("o.parquet", "o.csv", "o.geojson", "o.xlsx"):
        done = run("rewrite", tmp_path / "in.parquet", tmp_path / name)
        assert done.returncode == 1 and "help" in done.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["in.parquet"]


# --- published files -----------------------------------------------------------------------------------------


@local
def test_published_tables():
    got = assert_regions(LOCAL / "patch" / "03WVN_20220610_20220610_v001.gpq")
    table = pq.read_table(LOCAL / "patch" / "03WVN_20220610_20220610_v001.gpq")
    assert got["columns"]["index"]["values"] == table["index"].to_pylist()
    want = np.array(table["embeddings"].to_pylist(), dtype="float32")
    assert np.array_equal(np.array(got["columns"]["embeddings"]["values"], dtype="float32"), want)
    planet = assert_regions(LOCAL / "patch" / "sample_embeddings.parquet")
    assert any("claims EPSG:3857 but holds degrees" in w for w in planet["warnings"])
    assert dump("points", LOCAL / "patch" / "21MNT.parquet")["lon"] == []
    points = assert_points(LOCAL / "alphaearth" / "aef_points.parquet")
    assert "lon" not in points["columns"] and "label" in points["columns"]


@local
def test_the_whole_suite():
    """Every file of the larger suites reads equal, or is refused because it holds other geometries or another CRS."""
    read = 0
    for path in sorted((LOCAL / "suites" / "geoparquet").rglob("*.parquet")):
        if "bad_data" in path.parts:
            continue
        geo = geo_of(path)
        encoding = geo["columns"][geo["primary_column"]]["encoding"] if geo else "WKB"
        if encoding not in ("WKB", "point", "polygon", "multipolygon"):
            said = refused("points", path)
            assert " points, not a point" in said if "multipoint" in path.name else "not supported" in said
            continue
        kind = kind_of(path)
        if kind is None:
            refused("points", path)
            refused("regions", path)
        elif "custom" in path.name or "buildings-3d" in path.name:
            assert "not supported" in refused(kind, path)
        else:
            (assert_points if kind == "points" else assert_regions)(path, 1e-8)
            read += 1
    assert read > 60
