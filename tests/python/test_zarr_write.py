"""Zarr stores that we write, read by zarr-python and xarray, and back by ourselves."""

import json
import os

import numpy as np
import oracle
import pytest
import rasterio
import stores
import xarray
import zarr

pytestmark = pytest.mark.filterwarnings("ignore:Consolidated metadata")


@pytest.fixture(scope="module")
def tessera(tmp_path_factory):
    return stores.TesseraZarr(tmp_path_factory.mktemp("tessera_zarr"))


@pytest.fixture(scope="module")
def mosaic(tmp_path_factory):
    return stores.AlphaEarthMosaic(tmp_path_factory.mktemp("mosaic"))


def test_codes_with_scales_come_back_as_they_are(terravec, tmp_path, tessera):
    codes, scales, grid = tessera.zones[31]
    out = tmp_path / "o.zarr"
    terravec("convert", tessera.path / "utm31", out, "--codes")
    store = zarr.open_group(out, mode="r")
    array = store["embeddings"]
    assert array.metadata.dimension_names == ("time", "band", "y", "x")
    assert array.dtype == np.int8 and array.shards is not None
    want = stores.decoded(codes, scales)
    good = np.isfinite(want[:, 0])
    got = array[:]
    np.testing.assert_array_equal(np.moveaxis(got, 1, 0)[:, good], np.moveaxis(codes, 1, 0)[:, good])
    np.testing.assert_array_equal(store["scales"][:][good], scales[good])
    # Why there is no vector is told by the scale: water, or nothing.
    np.testing.assert_array_equal(np.isnan(store["scales"][:]), np.isnan(scales))
    assert np.isinf(store["scales"][:][~good & ~np.isnan(scales)]).all()
    attributes = dict(store.attrs)
    assert attributes["proj:code"] == "EPSG:32631"
    assert attributes["spatial:transform"] == list(grid.transform)[:6]
    assert attributes["geoemb:quantization"]["scale"]["array_name"] == "scales"
    names = {c["name"]: c for c in attributes["zarr_conventions"]}
    assert names.keys() == {"geoemb:", "proj", "spatial"}
    assert "v0.1" in names["proj"]["schema_url"]
    # And as the same product again.
    info = terravec.json("info", out)
    assert (info["product"], info["years"]) == ("tessera-zarr", {"2023": 1, "2024": 1})
    back = tmp_path / "back.npy"
    terravec("convert", out, back)
    np.testing.assert_array_equal(np.load(back), want)


def test_vectors_open_in_xarray(terravec, tmp_path, mosaic):
    out = tmp_path / "o.zarr"
    terravec("convert", mosaic.path, out, "--year", "2018..2019")
    data = xarray.open_zarr(out, consolidated=True)
    assert data["embeddings"].dims == ("time", "band", "y", "x")
    assert data["time"].values.tolist() == [2018, 2019]
    assert data["band"].values.tolist() == [f"A{i:02}" for i in range(64)]
    np.testing.assert_allclose(
        data["x"].values, mosaic.grid.transform.c + (np.arange(128) + 0.5) * mosaic.grid.transform.a
    )
    want = stores.signed_square(mosaic.codes[1:])
    np.testing.assert_allclose(data["embeddings"].values, want, rtol=1e-6)
    pixel = data["embeddings"].sel(time=2019, y=45.995, x=7.005, method="nearest")
    col, row = (int(v) for v in ~mosaic.grid.transform @ (7.005, 45.995))
    np.testing.assert_allclose(pixel.values, want[1, :, row, col], rtol=1e-6)


def test_from_numpy_over_zarr_to_geotiff_nothing_changes(terravec, tmp_path, mosaic):
    names = ["a.npy", "b.zarr", "c.tif", "d.zarr", "e.tif"]
    before = mosaic.path
    for name in names:
        year = ["--year", 2018] if before == mosaic.path else []
        terravec("convert", before, tmp_path / name, "--codes", *year)
        before = tmp_path / name
        assert terravec.json("info", before)["product"].startswith("alphaearth"), name
    for name in ["c.tif", "e.tif"]:
        with rasterio.open(tmp_path / name) as src:
            np.testing.assert_array_equal(src.read(), mosaic.codes[1])
    np.testing.assert_array_equal(zarr.open_array(tmp_path / "d.zarr/embeddings")[0], mosaic.codes[1])


def test_large_grids_are_written_shard_by_shard(terravec, tmp_path):
    store = stores.TesseraZarr(tmp_path, size=(400, 700), years=[2024], seed=8)
    codes, scales, _ = store.zones[32]
    out = tmp_path / "o.zarr"
    terravec("convert", store.path / "utm32", out)
    got = zarr.open_array(out / "embeddings", mode="r")
    assert got.shards[-2:] == (256, 256) and got.chunks[-2:] == (32, 32)
    np.testing.assert_array_equal(got[:], stores.decoded(codes, scales))
    # A part that was never written takes no room.
    assert np.isnan(got[0, 0, -1, -1])


def test_what_is_there_is_replaced_only_when_asked(terravec, tmp_path, mosaic):
    out = tmp_path / "o.zarr"
    box = ["--bbox", "7.001,45.995,7.003,45.997", "--year", 2018]
    terravec("extract", mosaic.path, *box, "-o", out)
    first = json.loads((out / "zarr.json").read_text())
    assert "exists" in terravec.fails(1, "extract", mosaic.path, *box, "-o", out)
    terravec("extract", mosaic.path, *box[:3], 2019, "--force", "-o", out)
    assert json.loads((out / "zarr.json").read_text()) != first
    # A folder that is no store is never taken away.
    other = tmp_path / "precious.zarr"
    other.mkdir()
    (other / "letter.txt").write_text("dear")
    assert "no Zarr store" in terravec.fails(1, "extract", mosaic.path, *box, "--force", "-o", other)
    assert (other / "letter.txt").read_text() == "dear"
    assert sorted(os.listdir(tmp_path)) == ["o.zarr", "precious.zarr"]


def test_a_projected_grid_of_ones_own(terravec, tmp_path, mosaic):
    out = tmp_path / "o.zarr"
    terravec(
        "extract", mosaic.path, "--bbox", "7.002,45.993,7.008,45.998", "--year", 2019, "--crs", "EPSG:32632",
        "--resolution", 20, "--bands", "A00,A05", "-o", out,
    )  # fmt: skip
    store = zarr.open_group(out, mode="r")
    assert store.attrs["proj:code"] == "EPSG:32632" and store.attrs["geoemb:gsd"] == 20
    array = store["embeddings"]
    assert array.shape[1] == 2
    a = store.attrs["spatial:transform"]
    lon, lat = oracle.to_lonlat("EPSG:32632", a[2] + 20 * 10.5, a[5] - 20 * 7.5)
    col, row = (int(v) for v in ~mosaic.grid.transform @ (lon, lat))
    want = stores.signed_square(mosaic.codes[2])[[0, 5], row, col]
    np.testing.assert_allclose(array[0, :, 7, 10], want, rtol=1e-6)
