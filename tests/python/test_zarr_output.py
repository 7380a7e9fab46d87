"""Zarr stores that `extract` and `convert` write: conventions, shards, coordinates, and what is never replaced."""

import json

import fixtures
import numpy as np
import oracle
import rasterio
import xarray
import zarr
from conftest import TESTDATA
from oracle import Grid
from test_npy import Archive, decoded

WISCONSIN = TESTDATA / "alphaearth" / "wisconsin"
RNG = np.random.default_rng(11)

# What the convention's schema asks of a group, and the conventions by their published ids.
GEOEMB = ["geoemb:type", "geoemb:dimensions", "geoemb:model", "geoemb:source_data", "geoemb:data_type"]
CONVENTIONS = {
    "61c12cc5-0e28-4056-999a-480cf3fb7e4c": "embeddings-zarr-convention/refs/tags/v1/schema.json",
    "f17cb550-5864-4468-aeb7-f3180cfb622f": "zarr-conventions/proj/refs/tags/v0.1/schema.json",
    "689b58e2-cf7b-45e0-9fff-9cfc0883d6b4": "zarr-conventions/spatial/refs/tags/v0.1/schema.json",
}


def codes_of(path):
    with rasterio.open(next(path.rglob("*.tif*"))) as src:
        return src.read(), src.transform, src.crs


def check_conventions(group):
    attrs = dict(group.attrs)
    for uuid, schema in CONVENTIONS.items():
        one = [c for c in attrs["zarr_conventions"] if c["uuid"] == uuid]
        assert len(one) == 1 and one[0]["schema_url"].endswith(schema)
        assert set(one[0]) <= {"uuid", "schema_url", "spec_url", "name", "description"}
    assert all(key in attrs for key in GEOEMB)
    array = group["embeddings"]
    assert attrs["geoemb:dimensions"] == array.shape[1]
    assert attrs["geoemb:data_type"] == str(array.dtype)
    assert isinstance(attrs["geoemb:source_data"], list) and attrs["geoemb:source_data"]
    assert all(
        "://" in uri or uri.startswith("urn:")
        for uri in [attrs["geoemb:model"], *attrs["geoemb:source_data"]]
    )
    assert array.metadata.dimension_names == ("time", "band", "y", "x")
    a, _, c, _, e, f = attrs["spatial:transform"]
    height, width = attrs["spatial:shape"]
    assert (height, width) == array.shape[2:]
    np.testing.assert_allclose(attrs["spatial:bbox"], [c, f + e * height, c + a * width, f])
    np.testing.assert_allclose(group["x"][:], c + a * (np.arange(width) + 0.5))
    np.testing.assert_allclose(group["y"][:], f + e * (np.arange(height) + 0.5))
    assert group.metadata.consolidated_metadata is not None


def test_codes_are_the_files_codes(terravec, tmp_path):
    terravec("convert", WISCONSIN, tmp_path / "o.zarr", "--codes")
    want, transform, crs = codes_of(WISCONSIN)
    group = zarr.open_group(tmp_path / "o.zarr", mode="r")
    check_conventions(group)
    array = group["embeddings"]
    assert array.fill_value == -128
    np.testing.assert_array_equal(array[0], want)
    assert group.attrs["proj:code"] == f"EPSG:{crs.to_epsg()}"
    assert group.attrs["spatial:transform"] == list(transform)[:6]
    assert group.attrs["geoemb:gsd"] == 10
    assert group.attrs["geoemb:quantization"]["method"] == "signed_power"
    assert group.attrs["terravec:provenance"]["product"] == "alphaearth"
    # A point costs one chunk, which holds all bands.
    assert array.chunks[1] == 64 and np.prod(array.chunks) <= 512 * 1024
    assert group["time"][:].tolist() == [2024]
    assert group["band"][:3].tolist() == ["A00", "A01", "A02"]


def test_xarray_opens_vectors_with_their_coordinates(terravec, tmp_path):
    terravec("convert", WISCONSIN, tmp_path / "o.zarr")
    want = oracle.decode_alphaearth(codes_of(WISCONSIN)[0])
    with xarray.open_zarr(tmp_path / "o.zarr", consolidated=True) as data:
        np.testing.assert_array_equal(data["embeddings"].sel(time=2024), want.astype(np.float32))
        assert data["embeddings"].sel(band="A63").dims == ("time", "y", "x")
        assert data["x"].attrs["standard_name"] == "projection_x_coordinate"
    check_conventions(zarr.open_group(tmp_path / "o.zarr", mode="r"))


def test_years_are_steps_of_time(terravec, tmp_path, seam):
    raster = seam.rasters[31, 2024]
    lon, lat = oracle.to_lonlat(
        raster.grid.crs, *(raster.grid.transform @ (np.array([4.5, 9.5]), np.array([4.5, 9.5])))
    )
    bbox = f"{lon.min()},{lat.min()},{lon.max()},{lat.max()}"
    terravec(
        "extract", f"alphaearth={seam.root}", "--bbox", bbox, "--year", "2023,2024", "-o", tmp_path / "o.zarr"
    )
    terravec(
        "extract", f"alphaearth={seam.root}", "--bbox", bbox, "--year", "2023,2024", "-o", tmp_path / "o.npy"
    )
    group = zarr.open_group(tmp_path / "o.zarr", mode="r")
    assert group["time"][:].tolist() == [2023, 2024]
    np.testing.assert_array_equal(group["embeddings"][:], np.load(tmp_path / "o.npy"))


def test_codes_keep_the_scales_of_their_pixels(terravec, tmp_path):
    archive = Archive(tmp_path / "t")
    tile, codes, scales, _ = archive.tiles[5.95]
    terravec("convert", tile, tmp_path / "o.zarr", "--codes")
    group = zarr.open_group(tmp_path / "o.zarr", mode="r")
    check_conventions(group)
    assert group.attrs["geoemb:quantization"]["scale"] == {
        "type": "array",
        "array_name": "scales",
        "nodata": "+inf",
    }
    stored = group["scales"][0]
    assert group["scales"].fill_value == np.inf
    with np.errstate(invalid="ignore"):
        values = group["embeddings"][0].astype(np.float32) * stored
    values[:, ~np.isfinite(stored)] = np.nan
    np.testing.assert_array_equal(values, np.moveaxis(decoded(codes, scales), -1, 0))
    assert np.isnan(stored[3:5, 7:9]).all(), "water"
    assert np.isinf(stored[10, 10]) and np.isinf(stored[12, 12]), "land without data"


def test_many_shards_and_those_without_a_vector(terravec, tmp_path):
    grid = Grid("EPSG:32633", rasterio.Affine(10, 0, 400000, 0, -10, 5000000), 1300, 900)
    codes = RNG.integers(-127, 128, (64, 900, 1300), np.int8)
    codes[:, 500:] = -128
    codes[:, :100, 600:700] = -128
    path = tmp_path / "a" / "2024" / "33N" / "x086q72fv2f9q1x4a-0000000000-0000000000.tiff"
    fixtures.write_alphaearth(path, codes, grid)
    terravec("convert", f"alphaearth={tmp_path / 'a'}", tmp_path / "o.zarr", "--codes")
    group = zarr.open_group(tmp_path / "o.zarr", mode="r")
    np.testing.assert_array_equal(group["embeddings"][0], codes)
    shards = sorted(
        p.relative_to(tmp_path / "o.zarr" / "embeddings" / "c")
        for p in (tmp_path / "o.zarr" / "embeddings" / "c").rglob("*")
        if p.is_file()
    )
    side = group["embeddings"].shards[2]
    assert len(shards) < np.ceil(900 / side) * np.ceil(1300 / side)


def test_a_crs_without_a_code_is_said_in_full(terravec, tmp_path):
    crs = "+proj=laea +lat_0=44 +lon_0=-88 +datum=WGS84 +units=m"
    wkt = rasterio.crs.CRS.from_string(crs).to_wkt()
    bbox = "-88.775,44.29,-88.762,44.3"
    terravec(
        "extract", WISCONSIN, "--bbox", bbox, "--crs", wkt, "--resolution", "20", "-o", tmp_path / "o.zarr"
    )
    attrs = dict(zarr.open_group(tmp_path / "o.zarr", mode="r").attrs)
    assert "proj:code" not in attrs
    assert rasterio.crs.CRS.from_user_input(json.dumps(attrs["proj:projjson"])).to_dict()["proj"] == "laea"


def test_nothing_but_a_store_is_replaced(terravec, tmp_path):
    out = tmp_path / "o.zarr"
    terravec("convert", WISCONSIN, out, "--codes")
    assert "exists" in terravec.fails(1, "convert", WISCONSIN, out)
    terravec("convert", WISCONSIN, out, "--force")
    assert zarr.open_group(out, mode="r")["embeddings"].dtype == np.float32
    (tmp_path / "photos.zarr").mkdir()
    (tmp_path / "photos.zarr" / "cat.jpg").write_text("a cat")
    assert "is not replaced" in terravec.fails(1, "convert", WISCONSIN, tmp_path / "photos.zarr", "--force")
    assert (tmp_path / "photos.zarr" / "cat.jpg").exists()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["o.zarr", "photos.zarr"], "nothing hidden is left"


def test_a_failure_leaves_nothing(terravec, tmp_path):
    tile = next(WISCONSIN.rglob("*.tif*"))
    bad = tmp_path / "in" / tile.name
    bad.parent.mkdir()
    whole = tile.read_bytes()
    bad.write_bytes(whole[: len(whole) // 2])
    terravec.fails(1, "convert", bad, tmp_path / "o.zarr")
    assert [p.name for p in tmp_path.iterdir()] == ["in"]
