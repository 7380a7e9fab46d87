"""The xarray engine: lazy, indexable, chunked, with coordinates that others understand."""

import pickle

import numpy as np
import odc.geo.xr  # noqa: F401
import products
import pytest
import rasterio
import rioxarray  # noqa: F401
import terravec as tv
import xarray as xr
from terravec import _xarray

INDICES = {
    "all of it": {},
    "one pixel": {"year": 0, "band": 3, "y": 5, "x": 7},
    "slices": {"band": slice(3, 40, 5), "y": slice(10, 30), "x": slice(None, 9)},
    "steps backwards": {"y": slice(None, None, -3), "x": slice(40, 2, -1)},
    "lists out of order": {"band": [5, 0, 63], "x": [30, 2, 2, 17]},
    "a list and a number": {"year": 1, "y": [3, 80], "band": -1},
    "the last": {"y": -1, "x": slice(-3, None)},
    "nothing": {"y": slice(5, 5)},
    "booleans": {"x": None},
}


@pytest.fixture(scope="module")
def spec(seam):
    return f"{products.ALPHAEARTH}={seam.root}"


@pytest.fixture(scope="module")
def eager(spec, seam):
    return tv.open(spec).extract(bbox=seam.bbox).to_xarray()


def opened(spec, seam, **options):
    return xr.open_dataset(spec, engine="terravec", bbox=seam.bbox, **options)


@pytest.mark.parametrize("how", INDICES)
@pytest.mark.parametrize("chunks", [None, {"x": 17, "y": 40}])
def test_any_index_gives_what_the_whole_array_has(spec, seam, eager, how, chunks):
    index = INDICES[how]
    if how == "booleans":
        index = {"x": np.arange(eager.sizes["x"]) % 7 == 0}
    lazy = opened(spec, seam, chunks=chunks).embedding
    xr.testing.assert_identical(lazy.isel(index).compute().drop_attrs(), eager.isel(index).drop_attrs())


def test_labels_and_computations(spec, seam, eager):
    lazy = opened(spec, seam, chunks={}).embedding
    assert lazy.chunks is not None and lazy.dims == ("year", "band", "y", "x")
    assert lazy.sel(year=2023, band="A05").equals(eager.sel(year=2023, band="A05"))
    change = (lazy.sel(year=2024) * lazy.sel(year=2023)).sum("band", skipna=False)
    want = (eager.sel(year=2024) * eager.sel(year=2023)).sum("band", skipna=False)
    np.testing.assert_allclose(change.values, want.values, rtol=1e-6)
    near = lazy.sel(x=float(eager.x[3]) + 2, y=float(eager.y[8]) - 3, method="nearest", year=2024)
    assert np.array_equal(near.values, eager.sel(year=2024).values[:, 8, 3], equal_nan=True)


def test_nothing_is_read_before_it_is_asked_for(spec, seam, monkeypatch):
    ds = opened(spec, seam)
    calls = []

    def no(*args):
        calls.append(args)
        raise AssertionError("read")

    monkeypatch.setattr(_xarray._Vectors, "_read", no)
    ds.embedding.isel(x=slice(3), year=0).transpose("x", "band", "y")
    assert repr(ds) and ds.nbytes and ds.embedding.shape and not calls
    with pytest.raises(AssertionError):
        ds.embedding.isel(x=0).load()


def test_coordinates_are_those_of_rioxarray_and_odc(spec, seam, eager):
    lazy = opened(spec, seam).embedding
    assert lazy.rio.crs == rasterio.CRS.from_epsg(32631) and lazy.rio.transform() == eager.rio.transform()
    assert lazy.odc.geobox == eager.odc.geobox and np.isnan(lazy.rio.encoded_nodata)
    assert lazy.attrs["product"] == "alphaearth" and "Google" in lazy.attrs["attribution"]


def test_options_are_those_of_extract(spec, seam):
    ds = tv.open(spec)
    for options in (
        {"crs": "EPSG:3035", "resolution": 25.0, "resampling": "bilinear", "year": 2024},
        {"codes": True, "year": [2024, 2023], "bands": ["A03", "A60"]},
    ):
        want = ds.extract(bbox=seam.bbox, **options)
        name = "codes" if "codes" in options else "embedding"
        got = opened(spec, seam, **options)[name]
        assert got.dtype == want.values.dtype
        assert np.array_equal(got.values.reshape(want.shape), want.values, equal_nan=True)
        assert np.array_equal(
            xr.open_dataset(ds, engine="terravec", bbox=seam.bbox, **options)[name], got, equal_nan=True
        )
    assert ds.coverage(), "a dataset that was handed in is not closed"
    grid = ds.extract(bbox=seam.bbox, year=2024).grid
    got = xr.open_dataset(spec, engine="terravec", like=grid, year=2024).embedding
    assert np.array_equal(got[0], ds.extract(like=grid, year=2024).values, equal_nan=True)


def test_files_without_a_year_have_no_such_dimension(whole_earth):
    lazy = xr.open_dataset(str(whole_earth.path), engine="terravec", bbox=(-2, -2, 2, 2)).embedding
    assert lazy.dims == ("band", "y", "x") and "year" not in lazy.coords
    assert np.array_equal(lazy.isel(band=0).values[0], lazy.x.values.astype(np.float32))
    assert lazy.x.attrs["standard_name"] == "longitude"


def test_it_travels(spec, seam, eager):
    lazy = opened(spec, seam)
    again = pickle.loads(pickle.dumps(lazy.embedding))
    assert again.isel(x=slice(4)).equals(eager.isel(x=slice(4)))
    lazy.close()


def test_failures_are_terravecs_own(spec):
    with pytest.raises(tv.OutsideError):
        xr.open_dataset(spec, engine="terravec", bbox=(100, 10, 101, 11))
    with pytest.raises(tv.SourceError):
        xr.open_dataset("nowhere", engine="terravec")
