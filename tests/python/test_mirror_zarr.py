"""Mirrors of a part of a Zarr store or an Icechunk repository: what a region needs, and a clear word about what is not there."""

import json
import shutil

import numpy as np
import oracle
import pytest
import stores
import zarr
from fixtures import write_points_csv

pytestmark = pytest.mark.filterwarnings("ignore:Consolidated metadata")
BANDS = 128
# Shards of 160: four to a zone.
SIZE, SHARD = (320, 320), 160


@pytest.fixture(scope="module")
def tessera(tmp_path_factory):
    return stores.TesseraZarr(tmp_path_factory.mktemp("tessera_zarr"), size=SIZE, shard=SHARD)


@pytest.fixture(scope="module")
def served(serve, tessera):
    return serve(tessera.path.parent)


def centers(grid, pixels):
    cols, rows = np.array(pixels, float).T + 0.5
    return oracle.to_lonlat(grid.crs, *(grid.transform @ (cols, rows)))


def box_of(grid, first, last):
    (west, east), (south, north) = centers(grid, [first, last])
    return f"{min(west, east)},{min(south, north)},{max(west, east)},{max(south, north)}"


def vectors(table):
    return np.array(table["embedding"].combine_chunks().flatten()).reshape(-1, BANDS)


def files(folder):
    return {
        p.relative_to(folder).as_posix()
        for p in folder.rglob("*")
        if p.is_file() and ".terravec" not in p.parts
    }


def test_a_region_takes_its_shards_and_what_opening_needs(terravec, tmp_path, served, tessera):
    url, _stats = served
    mirror = tmp_path / "mirror"
    grid = tessera.zones[31][2]
    box = box_of(grid, (5, 150), (100, 5))
    spec = f"tessera-zarr={url}/{tessera.path.name}"
    said = terravec.json("download", spec, "-o", mirror, "--bbox", box, "--year", 2023)
    kept = files(mirror)
    assert {f for f in kept if "/c/" in f and ("embeddings" in f or "scales" in f)} == {
        "utm31/embeddings/c/0/0/0/0",
        "utm31/scales/c/0/0/0",
    }
    assert "zarr.json" in kept and len(kept) < 14
    for file in kept:
        assert (mirror / file).read_bytes() == (tessera.path / file).read_bytes()
    assert said["report"]["fetched"] == len(kept)
    # The copy answers as the store does, and knows what it is.
    lon, lat = centers(grid, [(20, 30), (7, 3), (90, 100)])
    points = write_points_csv(tmp_path / "p.csv", lon, lat)
    far = terravec.table(spec, "--points", points, "--year", 2023, out=tmp_path / "far.parquet")
    near = terravec.table(
        f"tessera-zarr={mirror}", "--points", points, "--year", 2023, out=tmp_path / "near.parquet"
    )
    assert near["status"].to_pylist() == far["status"].to_pylist() == ["valid", "water", "valid"]
    assert near["embedding"].equals(far["embedding"])
    of = [json.loads(t.schema.metadata[b"terravec"]) for t in (far, near)]
    assert of[0]["version"] == of[1]["version"] == "1.0-vultr"
    # zarr-python reads the same numbers.
    group = zarr.open_group(mirror, mode="r")
    np.testing.assert_array_equal(
        group["utm31/embeddings"][0, :, :SHARD, :SHARD], tessera.zones[31][0][0, :, :SHARD, :SHARD]
    )


def test_what_was_not_copied_is_no_empty_place(terravec, tmp_path, serve):
    tessera = stores.TesseraZarr(tmp_path / "there", size=SIZE, shard=SHARD)
    url, _ = serve(tessera.path.parent)
    mirror = tmp_path / "mirror"
    codes, scales, grid = tessera.zones[31]
    spec = f"tessera-zarr={url}/{tessera.path.name}"
    # A shard that was never written.
    (tessera.path / "utm31/embeddings/c/1/0/1/1").unlink()
    (tessera.path / "utm31/scales/c/1/1/1").unlink()
    # The other zone covers the place, too.
    for array in ("embeddings", "scales"):
        shutil.rmtree(tessera.path / "utm32" / array / "c" / "1")
    box = box_of(grid, (165, 300), (300, 165))
    terravec("download", spec, "-o", mirror, "--bbox", box, "--year", 2024)
    lon, lat = centers(grid, [(200, 200), (20, 30)])
    empty = write_points_csv(tmp_path / "e.csv", lon[:1], lat[:1])
    near = terravec.table(
        f"tessera-zarr={mirror}", "--points", empty, "--year", 2024, out=tmp_path / "e.parquet"
    )
    assert near["status"].to_pylist() == ["nodata"]
    elsewhere = write_points_csv(tmp_path / "n.csv", lon[1:], lat[1:])
    error = terravec.fails(1, "sample", f"tessera-zarr={mirror}", "--points", elsewhere, "--year", 2024)
    assert "was not copied" in error and "download this place" in error
    error = terravec.fails(1, "sample", f"tessera-zarr={mirror}", "--points", empty, "--year", 2023)
    assert "was not copied" in error
    # Fetched too, it answers.
    box = box_of(grid, (5, 60), (60, 5))
    terravec("download", spec, "-o", mirror, "--bbox", box, "--year", 2024)
    both = terravec.table(
        f"tessera-zarr={mirror}", "--points", elsewhere, "--year", 2024, out=tmp_path / "n.parquet"
    )
    np.testing.assert_array_equal(vectors(both)[0], stores.decoded(codes, scales)[1, :, 30, 20])
    assert terravec.table(
        f"tessera-zarr={mirror}", "--points", empty, "--year", 2024, out=tmp_path / "e2.parquet"
    )["status"].to_pylist() == ["nodata"]


def test_metadata_that_changed_are_fetched_again(terravec, tmp_path, serve):
    store = stores.TesseraZarr(tmp_path / "there", size=(64, 64), chunk=32, shard=64)
    url, _stats = serve(store.path.parent)
    spec, mirror = f"tessera-zarr={url}/{store.path.name}", tmp_path / "mirror"
    terravec("download", spec, "-o", mirror, "--year", 2023)
    again = terravec.json("download", spec, "-o", mirror, "--year", 2023)
    assert again["report"]["fetched"] == 0
    document = store.path / "zarr.json"
    document.write_text(document.read_text().replace("sentinel-2", "sentinel-X"))
    again = terravec.json("download", spec, "-o", mirror, "--year", 2023)
    assert again["report"]["fetched"] == 1
    assert (mirror / "zarr.json").read_text() == document.read_text()


def test_a_part_of_an_icechunk_repository(terravec, tmp_path, serve):
    from test_zarr import Icechunk

    repository = Icechunk(tmp_path)
    url, _stats = serve(tmp_path)
    spec, mirror = f"tessera-icechunk={url}/{repository.path.name}", tmp_path / "mirror"
    info = terravec.json("info", spec)
    _west, _south, _east, _north = info["bbox"]
    grids = terravec.json("coverage", spec)["tiles"]
    one = grids[0]["bbox"]
    lon, lat = (one[0] + one[2]) / 2, (one[1] + one[3]) / 2
    year = grids[0]["year"]
    box = f"{lon - 1e-5},{lat - 1e-5},{lon + 1e-5},{lat + 1e-5}"
    terravec("download", spec, "-o", mirror, "--bbox", box, "--year", year)
    kept = files(mirror)
    everything = files(repository.path)
    assert kept < everything and any(f.startswith("chunks/") for f in kept)
    for file in kept:
        assert (mirror / file).read_bytes() == (repository.path / file).read_bytes()
    points = write_points_csv(tmp_path / "p.csv", [lon], [lat])
    far = terravec.table(spec, "--points", points, "--year", year, out=tmp_path / "far.parquet")
    near = terravec.table(
        f"tessera-icechunk={mirror}", "--points", points, "--year", year, out=tmp_path / "near.parquet"
    )
    assert far["status"].to_pylist() == near["status"].to_pylist()
    assert near["embedding"].equals(far["embedding"])
