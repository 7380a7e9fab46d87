"""Zarr stores over HTTP: how much is asked for, what is missing, what is broken."""

import json

import numpy as np
import oracle
import pytest
import stores
from fixtures import write_points_csv

pytestmark = pytest.mark.filterwarnings("ignore:Consolidated metadata")
BANDS = 128


@pytest.fixture(scope="module")
def tessera(tmp_path_factory):
    return stores.TesseraZarr(tmp_path_factory.mktemp("tessera_zarr"), size=(320, 320), shard=160)


@pytest.fixture(scope="module")
def served(serve, tessera):
    return serve(tessera.path.parent)


def vectors(table):
    return np.array(table["embedding"].combine_chunks().flatten()).reshape(-1, BANDS)


def centers(grid, pixels):
    cols, rows = np.array(pixels, float).T + 0.5
    return oracle.to_lonlat(grid.crs, *(grid.transform @ (cols, rows)))


def test_opening_takes_one_document_and_the_years(terravec, served, tessera):
    url, stats = served
    stats()
    info = terravec.json("info", f"{url}/{tessera.path.name}")
    assert info["years"] == {"2023": 2, "2024": 2}
    assert stats()["requests"] == 1 + len(tessera.zones)


def test_a_point_costs_its_chunk_and_the_indexes(terravec, tmp_path, served, tessera):
    url, stats = served
    codes, scales, grid = tessera.zones[31]
    lon, lat = centers(grid, [(40, 50)])
    stats()
    points = write_points_csv(tmp_path / "p.csv", lon, lat)
    table = terravec.table(
        f"{url}/{tessera.path.name}", "--points", points, "--year", 2023, out=tmp_path / "o.parquet"
    )
    np.testing.assert_array_equal(vectors(table)[0], stores.decoded(codes, scales)[0, :, 50, 40])
    used = stats()
    # Opening, then of codes and of scales the end of the shard, which is its index, and the chunk, which may come along.
    assert used["requests"] <= 4
    # Far less than a shard: the first look at an object fetches 64 KiB.
    assert used["bytes"] < 32 * 32 * BANDS + 4 * 65_536 + 20_000


def test_many_points_read_each_chunk_once(terravec, tmp_path, served, tessera):
    url, stats = served
    codes, scales, grid = tessera.zones[32]
    rng = np.random.default_rng(4)
    # East of the seam, in one corner: 2 × 2 shards, each in part.
    pixels = list(zip(rng.integers(170, 320, 500), rng.integers(0, 130, 500), strict=True))
    lon, lat = centers(grid, pixels)
    points = write_points_csv(tmp_path / "p.csv", lon, lat)
    stats()
    table = terravec.table(
        f"{url}/{tessera.path.name}", "--points", points, "--year", 2023, out=tmp_path / "o.parquet"
    )
    used = stats()
    values = stores.decoded(codes[0], scales[0])
    want = np.array([values[:, r, c] for c, r in pixels])
    good = np.isfinite(want[:, 0])
    np.testing.assert_array_equal(vectors(table)[good], want[good])
    chunks = {(r // 32, c // 32) for c, r in pixels}
    stored = len(chunks) * 32 * 32 * (BANDS + 4)
    assert used["bytes"] < 1.15 * stored + 8 * 65_536
    assert used["requests"] <= 5


def test_windows_over_http_are_those_of_the_files(terravec, tmp_path, served, tessera):
    url, _ = served
    box = ["--bbox", "5.995,52.047,6.005,52.053", "--year", 2024, "--codes"]
    terravec("extract", f"{url}/{tessera.path.name}", *box, "-o", tmp_path / "remote.npy")
    terravec("extract", tessera.path, *box, "-o", tmp_path / "local.npy")
    np.testing.assert_array_equal(np.load(tmp_path / "remote.npy"), np.load(tmp_path / "local.npy"))


def test_the_mosaic_without_consolidated_metadata(terravec, tmp_path, serve):
    mosaic = stores.AlphaEarthMosaic(tmp_path)
    url, stats = serve(tmp_path)
    lon, lat = centers(mosaic.grid, [(100, 90)])
    stats()
    points = write_points_csv(tmp_path / "p.csv", lon, lat)
    table = terravec.table(
        f"alphaearth-mosaic={url}/aef-mosaic", "--points", points, "--year", 2017, out=tmp_path / "o.parquet"
    )
    got = np.array(table["embedding"].combine_chunks().flatten())
    np.testing.assert_allclose(got, stores.signed_square(mosaic.codes[0])[:, 90, 100], rtol=1e-6)
    # zarr.json of the root, the array and two coordinates; those themselves; the index; the chunk.
    assert stats()["requests"] <= 8


def test_what_is_broken_is_named(terravec, tmp_path, serve):
    store = stores.TesseraZarr(tmp_path, size=(64, 64), shard=64, years=[2024])
    _, _, grid = store.zones[31]
    lon, lat = centers(grid, [(20, 20)])
    points = write_points_csv(tmp_path / "p.csv", lon, lat)
    shard = store.path / "utm31/embeddings/c/0/0/0/0"
    data = bytearray(shard.read_bytes())
    url, _ = serve(tmp_path)
    # The store changes while it is looked at, which a cache need not notice at once.
    sample = ["sample", f"{url}/v1/utm31", "--points", points, "--no-cache"]
    data[-9] ^= 1
    shard.write_bytes(data)
    said = terravec.fails(1, *sample)
    assert "utm31/embeddings/c/0/0/0/0" in said and "checksum" in said
    shard.write_bytes(data[:50])
    assert "its index alone needs" in terravec.fails(1, *sample)
    shard.unlink()
    # A shard that is not there was never written: codes are fill, and the scales still say that there are vectors.
    table = terravec.table(*sample[1:], out=tmp_path / "o.parquet")
    assert not np.array(table["embedding"].combine_chunks().flatten()).any()
    (store.path / "utm31/scales/zarr.json").unlink()
    (store.path / "utm31/zarr.json").write_text(
        json.dumps(json.loads((store.path / "utm31/zarr.json").read_text()) | {"consolidated_metadata": None})
    )
    assert "no array `scales`" in terravec.fails(1, *sample)
