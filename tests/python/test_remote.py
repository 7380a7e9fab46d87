"""Mirrors and servers: AlphaEarth's own index, a mirror that holds part of it, and everything over HTTP."""

import shutil

import numpy as np
import oracle
import products
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fixtures import write_points_csv


@pytest.fixture(scope="module")
def indexed(seam, tmp_path_factory):
    return make_indexed(seam, tmp_path_factory.mktemp("indexed"))


def make_indexed(seam, root):
    """The two-zone tree with `aef_index.parquet` beside it, as the publisher lays it out."""
    rows = []
    for path in sorted(seam.root.rglob("*.tiff")):
        relative = path.relative_to(seam.root)
        (root / relative).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, root / relative)
        grid = oracle.read_north_up(path).grid
        west, north = grid.transform.c, grid.transform.f
        east, south = west + 10 * grid.width, north - 10 * grid.height
        lon, lat = oracle.to_lonlat(
            grid.crs, np.array([west, east, west, east]), np.array([south, south, north, north])
        )
        rows.append(
            {
                "fid": len(rows),
                "geometry": b"not read",
                "crs": f"EPSG:{grid.crs.to_epsg()}",
                "year": int(relative.parts[0]),
                "utm_zone": relative.parts[1],
                "utm_west": west,
                "utm_south": south,
                "utm_east": east,
                "utm_north": north,
                "wgs84_west": lon.min(),
                "wgs84_south": lat.min(),
                "wgs84_east": lon.max(),
                "wgs84_north": lat.max(),
                "path": f"s3://us-west-2.opendata.source.coop/tge-labs/aef/v1/annual/{relative}",
            }
        )
    pq.write_table(pa.Table.from_pylist(rows), root / "aef_index.parquet")
    return root


@pytest.fixture(scope="module")
def server(indexed, serve):
    return serve(indexed, "--latency-ms", "5")[0]


@pytest.fixture
def points(tmp_path):
    lat = np.linspace(51.9966, 52.0034, 40)
    lon = 6.0 + np.tile([-3e-3, -1e-5, 1e-5, 3e-3], 10)
    return write_points_csv(tmp_path / "p.csv", lon, lat)


def vectors(table):
    return [v.as_py() for v in table["embedding"]]


def test_the_index_opens_as_the_folder_does(terravec, tmp_path, seam, indexed, points):
    said = terravec.json("info", f"{products.ALPHAEARTH}={indexed}")
    assert said["tiles"] == 8 and said["years"] == {"2023": 4, "2024": 4}
    assert any("aef_index.parquet" in note for note in said["notes"])
    tables = [
        terravec.table(f"{products.ALPHAEARTH}={root}", "--points", points, out=tmp_path / f"{i}.parquet")
        for i, root in enumerate((seam.root, indexed))
    ]
    assert set(tables[0]["status"].to_pylist()) == {"valid"}
    assert vectors(tables[1]) == vectors(tables[0])


def test_a_mirror_of_a_part_holds_that_part(terravec, tmp_path, indexed, points):
    part = tmp_path / "part"
    (part / "2024").mkdir(parents=True)
    shutil.copytree(indexed / "2024" / "31N", part / "2024" / "31N")
    shutil.copy(indexed / "aef_index.parquet", part)
    assert terravec.json("info", f"{products.ALPHAEARTH}={part}")["tiles"] == 2
    table = terravec.table(f"{products.ALPHAEARTH}={part}", "--points", points, out=tmp_path / "o.parquet")
    status = table["status"].to_pylist()
    assert status[0] == "valid" and "valid" not in (status[3], status[7])
    assert set(status) <= {"valid", "nodata", "outside"}


@pytest.mark.parametrize("what", ["folder", "file"])
def test_a_server_gives_what_the_files_give(terravec, tmp_path, indexed, server, points, what):
    tile = next(indexed.glob("2024/31N/*-0000000096-*.tiff")).relative_to(indexed)
    local, remote = {
        "folder": (f"{products.ALPHAEARTH}={indexed}", f"{products.ALPHAEARTH}={server}"),
        "file": (indexed / tile, f"{server}/{tile}"),
    }[what]
    bbox = "5.9925,51.9995,5.998,52.0035"
    got = []
    for dataset in (local, remote):
        out = tmp_path / "o.npy"
        terravec("extract", dataset, "--bbox", bbox, "--year", 2024, "-o", out, "--force")
        table = terravec.table(
            dataset, "--points", points, "--year", 2024, "--force", out=tmp_path / "o.parquet"
        )
        got.append((np.load(out), vectors(table), table["status"].to_pylist()))
    assert np.array_equal(got[0][0], got[1][0], equal_nan=True) and not np.isnan(got[0][0]).all()
    assert got[0][1:] == got[1][1:]


def test_a_missing_address_is_an_error_with_the_address(terravec, server):
    said = terravec.fails(1, "info", f"{server}/2024/31N/nothing-0000000000-0000000000.tiff")
    assert "nothing-0000000000-0000000000.tiff" in said and "help:" in said


def test_credentials_are_used_and_never_shown(terravec, tmp_path, server, indexed):
    """Passwords and signatures stay out of reports, errors, and the outputs that are handed on."""
    tile = sorted(indexed.rglob("*.tiff"))[0].relative_to(indexed)
    secret = server.replace("http://", "http://me:hunter2@") + f"/{tile}?sig=SECRET"
    out = tmp_path / "out.npy"
    said = [
        terravec("info", secret),
        terravec("info", f"{products.ALPHAEARTH}={secret}", "--json"),
        terravec("coverage", secret, "--json"),
        terravec.raw("coverage", secret, "--year", 1999),
        terravec("sample", secret, "--points", "100,10"),
        terravec("sample", secret, "--points", "100,10", "--json"),
        terravec("convert", secret, out, "--bands", "0", "--json"),
        terravec.raw("info", secret.replace(".tiff", ".none.tiff")),
    ]
    told = "".join(f"{s.stdout}{s.stderr}" for s in said) + out.with_suffix(".json").read_text()
    assert "hunter2" not in told and "SECRET" not in told
    assert str(tile) in told
