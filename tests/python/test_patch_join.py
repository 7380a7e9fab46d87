"""Joins: several products at the same points, and pixels in the footprints of patches."""

import json
import shutil

import numpy as np
import products
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import shapely
from conftest import TESTDATA
from fixtures import with_geo


def test_a_join_of_pixels_and_a_table_at_labelled_points(terravec, tmp_path):
    labelled = TESTDATA / "alphaearth" / "labelled"
    out = tmp_path / "j.parquet"
    points = labelled / "labelled_points.parquet"
    terravec(
        "sample", f"{products.ALPHAEARTH}={labelled}", labelled / "labelled_vectors.parquet",
        "--points", points, "--nearest", 1, "--within", 1, "-o", out,
    )  # fmt: skip
    got = pq.read_table(out)
    n = pq.read_table(points).num_rows
    assert got.num_rows == n
    assert pc.all(pc.equal(got["alphaearth_status"], "valid")).as_py()
    assert pc.all(pc.equal(got["table_status"], "valid")).as_py()
    a, b = np.array(got["alphaearth_embedding"].to_pylist()), np.array(got["table_embedding"].to_pylist())
    assert np.array_equal(a.astype(np.float32), b.astype(np.float32)), (
        "the table holds the vectors of these pixels"
    )
    provenance = json.loads(pq.ParquetFile(out).schema_arrow.metadata[b"terravec"])
    assert [p["product"] for p in provenance] == ["alphaearth", "table"]


def footprints(tmp_path, seam):
    """Squares over the two-zone AlphaEarth tree, with vectors of their own."""
    lon = 6.0 + np.array([-0.004, -0.0005, 0.003, 2.0])
    lat = np.array([52.0, 52.001, 51.999, 52.0])
    shapes = shapely.box(lon - 0.0008, lat - 0.0005, lon + 0.0008, lat + 0.0005)
    vectors = np.eye(4, 8, dtype=np.float32)
    table = pa.table(
        {
            "id": ["a", "b", "c", "far"],
            "embedding": pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), 8),
            "geometry": shapely.to_wkb(shapes),
        }
    )
    path = tmp_path / "squares.parquet"
    pq.write_table(with_geo(table, "Polygon"), path)
    return path, shapes, vectors


@pytest.mark.parametrize("how", ["mean", "median", "medoid"])
def test_pixels_in_footprints_become_one_vector(terravec, tmp_path, seam, how):
    path, shapes, vectors = footprints(tmp_path, seam)
    region = tmp_path / "r.geojson"
    features = [
        {"type": "Feature", "properties": {"id": i}, "geometry": json.loads(shapely.to_geojson(s))}
        for i, s in zip("abcd", shapes, strict=True)
    ]
    region.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    reduced, joined = tmp_path / "r.parquet", tmp_path / "j.parquet"
    dataset = f"{products.ALPHAEARTH}={seam.root}"
    terravec("extract", dataset, "--region", region, "--reduce", how, "--year", 2024, "-o", reduced)
    terravec("sample", dataset, "--patches", path, "--reduce", how, "--year", 2024, "-o", joined)
    got, want = pq.read_table(joined), pq.read_table(reduced)
    assert got["id"].to_pylist() == ["a", "b", "c", "far"]
    assert np.array_equal(np.array(got["table_embedding"].to_pylist()), vectors)
    assert got["alphaearth_embedding"].to_pylist() == want["embedding"].to_pylist()
    assert got["alphaearth_status"].to_pylist()[3] == "outside" and got["alphaearth_pixels"][0].as_py() > 50
    terravec("sample", dataset, "--patches", path, "--year", 2024, "--inner", "-o", joined, "--force")
    assert pq.read_table(joined)["id"].to_pylist() == ["a", "b", "c"]


def test_pixels_of_a_footprint_across_the_antimeridian_are_not_made_up(terravec, tmp_path, seam):
    lon = np.array([6.0, 179.99])
    table = pa.table(
        {
            "id": ["a", "across"],
            "embedding": pa.FixedSizeListArray.from_arrays(pa.array(np.ones(16, np.float32)), 8),
            "geometry": shapely.to_wkb(shapely.box(lon - 0.001, 51.999, lon + 0.02, 52.001)),
        }
    )
    path = tmp_path / "across.parquet"
    pq.write_table(with_geo(table, "Polygon"), path)
    out = tmp_path / "o.parquet"
    join = ("sample", f"{products.ALPHAEARTH}={seam.root}", "--patches", path, "--year", 2024, "-o", out)
    said = terravec.fails(1, *join)
    assert "patch 2" in said and "--bbox" in said and not out.exists()
    terravec(*join, "--bbox", "5,51,7,53")
    assert pq.read_table(out)["id"].to_pylist() == ["a"]


def test_a_join_asks_for_the_year_it_needs(terravec, tmp_path, seam):
    root = tmp_path / "two"
    for year in (2023, 2024):
        shutil.copytree(seam.root / "2024", root / str(year))
    dataset = f"{products.ALPHAEARTH}={root}"
    path, *_ = footprints(tmp_path, seam)
    said = terravec.fails(1, "sample", dataset, path, "--points", "5.996,52")
    assert "--year" in said and "2023, 2024" in said
    got = terravec.json("sample", dataset, path, "--points", "5.996,52", "--year", "2022,2024")["rows"]
    assert [r["year"] for r in got] == [2022, 2024]
    assert [r["alphaearth_status"] for r in got] == ["outside", "valid"]
