"""Rows of tables that are easily lost: across the antimeridian, on edges, without vector, place or time, in files that differ."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely
from fixtures import with_geo


def squares(path, west, dim=8, side=0.5, south=10.0, **columns):
    """A table of squares: row k has the vector k·dim, k·dim + 1, …"""
    west = np.asarray(west, float)
    vectors = np.arange(len(west) * dim, dtype=np.float32).reshape(len(west), dim)
    table = {
        "id": [f"r{i}" for i in range(len(west))],
        "embedding": pa.array(list(vectors), pa.list_(pa.float32())),
        "geometry": shapely.to_wkb(shapely.box(west, south, west + side, south + side)),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(with_geo(pa.table(table | columns), "Polygon"), path)
    return path


@pytest.mark.parametrize("wrapped", [False, True])
def test_footprints_across_the_antimeridian_are_found_from_both_sides(terravec, tmp_path, wrapped):
    path = squares(tmp_path / "t.parquet", [179.75, 10.0])
    if wrapped:
        table = pq.read_table(path)
        ring = [(179.75, 10), (-179.75, 10), (-179.75, 10.5), (179.75, 10.5), (179.75, 10)]
        shapes = pa.array([shapely.Polygon(ring).wkb, table["geometry"][1].as_py()])
        pq.write_table(with_geo(table.set_column(2, "geometry", shapes), "Polygon"), path)
    for lon in (179.8, -179.8):
        [row] = terravec.json("sample", path, f"--points={lon},10.1")["rows"]
        assert row["patch_id"] == "r0", lon
        box = shapely.box(lon - 0.01, 10.1, lon + 0.01, 10.2)
        region = tmp_path / "r.geojson"
        region.write_text(
            json.dumps({"type": "Feature", "properties": {}, "geometry": json.loads(shapely.to_geojson(box))})
        )
        out = tmp_path / "o.parquet"
        for where in ([f"--bbox={lon - 0.01},10,{lon + 0.01},11"], ["--region", region]):
            terravec("extract", path, *where, "-o", out, "--force")
            assert pq.read_table(out)["id"].to_pylist() == ["r0"], where


def test_a_point_on_any_edge_is_in_the_footprint(terravec, tmp_path):
    path = squares(tmp_path / "t.parquet", [1.0])
    for point in ("1,10.2", "1.5,10.2", "1.2,10", "1.2,10.5", "1.5,10.5"):
        assert terravec.json("sample", path, "--points", point)["status"] == {"valid": 1}, point


def test_rows_that_have_no_readable_place_or_time_are_told_of(terravec, tmp_path):
    shapes = [b"\x01\x02", shapely.box(1, 10, 2, 11).wkb, shapely.box(2, 10, 3, 11).wkb]
    path = squares(tmp_path / "t.parquet", [0, 1, 2], geometry=shapes, date=["2020-01-01"] * 2 + ["never"])
    out = tmp_path / "o.parquet"
    verbs = [
        ["extract", path, "--bbox", "0,0,20,20", "-o", out, "--force"],
        ["extract", path, "--bbox", "0,0,20,20", "--year", 2020, "-o", out, "--force"],
        ["sample", path, "--points", "1.5,10.5", "-o", out, "--force"],
        ["sample", path, "--points", "1.5,10.5", "--nearest", 1, "--year", 2020, "-o", out, "--force"],
    ]
    for verb in verbs:
        assert "row 1:" in terravec.fails(1, *verb), verb
        done = terravec(*verb, "--skip-bad")
        assert "1 rows left out: a place" in done.stderr and "1 rows left out: a time" in done.stderr
        table = pq.read_table(out)
        assert table.num_rows == 1 and table["status"].to_pylist() == ["valid"]


def test_rows_without_a_vector_may_come_first(terravec, tmp_path):
    squares(tmp_path / "t" / "a.parquet", [0, 1], embedding=pa.array([None, None], pa.list_(pa.float32())))
    squares(tmp_path / "t" / "b.parquet", [2, 3])
    out = tmp_path / "o.parquet"
    for codes in ([], ["--codes"]):
        terravec("convert", tmp_path / "t", out, "--force", *codes)
        got = pq.read_table(out)
        assert sorted(got["status"].to_pylist()) == ["nodata", "nodata", "valid", "valid"]
        assert got["codes" if codes else "embedding"].type.list_size == 8
    terravec("sample", tmp_path / "t" / "b.parquet", "--patches", tmp_path / "t", "-o", out, "--force")
    assert pq.read_table(out)["table_status"].to_pylist() == ["nodata", "nodata", "valid", "valid"]
    empty = pa.array([[], [1.0, 2.0]], pa.list_(pa.float32()))
    path = squares(tmp_path / "e.parquet", [0, 1], embedding=empty)
    tally = json.loads(terravec("convert", path, out, "--force", "--skip-bad", "--json").stdout)["tally"]
    assert tally["rows"] == 1 and sum(tally["skipped"].values()) == 1


@pytest.mark.parametrize("other", [{"more": [1.0, 2.0]}, {"a": [0.5, 1.5]}, {"a": ["x", "1"]}])
def test_columns_that_differ_over_files_are_an_error(terravec, tmp_path, other):
    squares(tmp_path / "t" / "a.parquet", [0, 1], a=[1, 2])
    squares(tmp_path / "t" / "b.parquet", [2, 3], **({"a": [3, 4]} | other))
    for verb in (["convert", tmp_path / "t", tmp_path / "o.parquet"],
                 ["sample", tmp_path / "t", "--patches", tmp_path / "t"]):  # fmt: skip
        said = terravec.fails(1, *verb)
        assert f"`{next(iter(other))}`" in said and "apart" in said


def test_patches_of_files_with_columns_in_another_order(terravec, tmp_path):
    squares(tmp_path / "t" / "a.parquet", [0], p=["p"], q=["q"])
    path = squares(tmp_path / "t" / "b.parquet", [1], p=["p"], q=["q"])
    table = pq.read_table(path)
    pq.write_table(table.select(["q", "p", "id", "embedding", "geometry"]), path)
    rows = terravec.json("sample", path, "--patches", tmp_path / "t")["rows"]
    assert [(r["p"], r["q"], r["id"]) for r in rows] == [("p", "q", "r0")] * 2


def test_names_of_columns_and_files_may_be_those_of_others(terravec, tmp_path):
    """A caller's `rank`, a README.txt, an id of bytes, a geometry with a capital."""
    path = squares(tmp_path / "t" / "a.parquet", [0, 1], id=pa.array([b"\xff\x01", b"ab"], pa.binary(2)))
    table = pq.read_table(path).rename_columns(["id", "embedding", "Geometry"])
    pq.write_table(table.replace_schema_metadata(None), path)
    (tmp_path / "t" / "README.txt").write_text("Vectors, and more.\n")
    assert any("README.txt" in n for n in terravec.json("info", tmp_path / "t")["notes"])
    points = tmp_path / "p.csv"
    points.write_text("rank,patch_id,lon,lat\n7,mine,0.2,10.2\n")
    got = terravec.table(tmp_path / "t", "--points", points, "--nearest", 2, out=tmp_path / "o.parquet")
    assert got["rank_"].to_pylist() == [7, 7] and got["rank"].to_pylist() == [1, 2]
    assert got["patch_id_"].to_pylist() == ["mine"] * 2 and got["patch_id"].to_pylist() == ["ff01", "6162"]


def test_an_empty_file_does_not_hide_where_the_others_lie(terravec, tmp_path):
    for name, rows in [("a", 0), ("b", 3)]:
        lon = np.arange(float(rows))
        vectors = pa.array(np.zeros(8 * rows, np.float32))
        table = {"lon": lon, "lat": lon, "embedding": pa.FixedSizeListArray.from_arrays(vectors, 8)}
        pq.write_table(pa.table(table), tmp_path / f"{name}.parquet")
    assert terravec.json("info", tmp_path)["bbox"] == [0, 0, 2, 2]
    assert "2.00000,2.00000" in terravec("sample", tmp_path, "--points", "50,50").stderr


def test_counts_of_seconds_are_no_times(terravec, tmp_path):
    path = squares(tmp_path / "t.parquet", [0, 1], timestamp=[1_600_000_000, 1_600_000_001])
    out = tmp_path / "o.parquet"
    terravec("convert", path, out)
    assert pq.read_table(out)["time_start"].null_count == 2
    assert "when" in terravec.fails(1, "convert", path, out, "--force", "--year", 2020)


def test_boxes_across_the_antimeridian_do_not_hide_rows(terravec, tmp_path):
    """Their west is east of their east, so that the statistics of a row group say another span."""
    path = squares(tmp_path / "t.parquet", [179.75, 10.0, -175.0])
    corners = {
        "xmin": [179.75, 10.0, -175.0],
        "ymin": [10.0] * 3,
        "xmax": [-179.75, 10.5, -174.5],
        "ymax": [10.5] * 3,
    }
    table = pq.read_table(path).append_column(
        "bbox", pa.StructArray.from_arrays([pa.array(v) for v in corners.values()], list(corners))
    )
    pq.write_table(with_geo(table, "Polygon", covering=True), path)
    for lon in (179.8, -179.8):
        assert terravec.json("sample", path, f"--points={lon},10.1")["rows"][0]["patch_id"] == "r0"
