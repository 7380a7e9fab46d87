"""The oracle against published numbers, GDAL and itself: an oracle that is wrong proves nothing."""

import fixtures
import numpy as np
import oracle
import pytest
import rasterio
from oracle import Grid, Raster
from rasterio.shutil import copy
from rasterio.transform import Affine
from rasterio.warp import Resampling, reproject


def test_alphaearth_decode_gives_the_published_values():
    codes = np.array([-127, -100, -64, -1, 0, 1, 2, 64, 100, 126, 127], np.int8)
    want = [-0.99217224, -0.615148, -0.25196463, -6.15148e-05, 0, 6.15148e-05, 2.460592e-04]
    want += [0.25196463, 0.615148, 0.976609, 0.99217224]
    assert np.allclose(oracle.decode_alphaearth(codes[:, None])[:, 0], want, rtol=1e-6, atol=1e-10)


def test_one_masked_band_masks_the_pixel():
    codes = np.array([[3, 3], [-128, 4]], np.int8)
    assert np.isnan(oracle.decode_alphaearth(codes)).tolist() == [[True, False], [True, False]]


def test_every_alphaearth_code_survives_decode_and_encode():
    codes = np.arange(-127, 128).astype(np.int8)[:, None]
    assert np.array_equal(oracle.encode_alphaearth(oracle.decode_alphaearth(codes)), codes)


@pytest.mark.parametrize(
    ("code", "want"),
    [
        (1, [-0.75, -1, -1, -1, -1, -1]),
        (7, [0.75, -1, -1, -1, -1, -1]),
        (8, [-1, -0.75, -1, -1, -1, -1]),
        (512, [-1, -1, -1, -0.5, -1, -1]),
        (12345, [-0.75, 0.75, -1, 1, 1, -1]),
        (30000, [-1, 0.5, 0, 0.5, -0.5, 0]),
        (63999, [0.75, 0.75, 0.75, 1, 1, 1]),
    ],
)
def test_esd_decode_gives_the_published_values(code, want):
    out = oracle.decode_esd(np.full((13, 1), code, np.uint16))
    assert out.shape == (72, 1) and np.array_equal(out[:6, 0], want) and np.array_equal(out[66:, 0], want)


def smooth(grid):
    return Raster(fixtures.field(*grid.lonlat(), 2024), grid)


def test_bilinear_and_nearest_agree_with_gdal():
    source = smooth(Grid(rasterio.CRS.from_epsg(32631), Affine(10, 0, 600_000, 0, -10, 5_760_000), 80, 70))
    source.values[:, 20:30, 40:44] = np.nan
    laea = rasterio.CRS.from_epsg(3035)
    lon, lat = oracle.to_lonlat(source.grid.crs, 600_020, 5_759_960)
    x, y = oracle.from_lonlat(laea, lon, lat)
    target = Grid(laea, Affine(7, 0, x, 0, -7, y), 90, 80)
    for method, ours in (
        (Resampling.nearest, oracle.nearest(source, target)),
        (Resampling.bilinear, oracle.bilinear(source, target)[0]),
    ):
        theirs = np.full((64, *target.shape), np.nan)
        reproject(
            source.values,
            theirs,
            src_transform=source.grid.transform,
            src_crs=source.grid.crs,
            dst_transform=target.transform,
            dst_crs=target.crs,
            src_nodata=np.nan,
            dst_nodata=np.nan,
            resampling=method,
            tolerance=0,
        )
        both = ~np.isnan(ours[0]) & ~np.isnan(theirs[0])
        assert both.sum() > 1000
        agree = np.isclose(ours[:, both], theirs[:, both], atol=1e-4).all(axis=0).mean()
        assert agree > (0.999 if method is Resampling.nearest else 0.97)


def test_average_of_an_aligned_factor_is_the_block_mean():
    source = smooth(Grid(rasterio.CRS.from_epsg(32631), Affine(10, 0, 600_000, 0, -10, 5_760_000), 40, 40))
    source.values[:, 3, 5] = np.nan
    target = Grid(source.grid.crs, Affine(40, 0, 600_000, 0, -40, 5_760_000), 10, 10)
    got, share = oracle.average(source, target)
    blocks = source.values.reshape(64, 10, 4, 10, 4)
    assert np.allclose(got, np.nanmean(blocks, axis=(2, 4)), atol=1e-12)
    assert share[0, 1] == 15 / 16


def test_the_seam_leaves_no_gap(seam):
    """Every place of the test box lies in a valid pixel of its own zone."""
    west, south, east, north = seam.bbox
    lon, lat = np.meshgrid(np.linspace(west, east, 301), np.linspace(south, north, 201))
    for zone, here in ((31, lon < 6), (32, lon >= 6)):
        raster = seam.decoded(zone, 2023)
        cols, rows = ~raster.grid.transform @ oracle.from_lonlat(raster.grid.crs, lon, lat)
        values = oracle.take(raster, np.floor(cols).astype(int), np.floor(rows).astype(int))
        assert not np.isnan(values[0][here]).any()
        assert np.isnan(raster.values[0]).any(), "the tile has no wedge of nodata"
        error = np.abs(values[:, here] - fixtures.field(lon, lat, 2023)[:, here])
        assert error.max() < 0.03


def test_field_vectors_are_unit_after_quantising(seam):
    norms = np.linalg.norm(seam.decoded(31, 2024).values, axis=0)
    assert np.nanmin(norms) > 0.985 and np.nanmax(norms) < 1.015


def test_gdals_own_cog_passes_and_a_plain_file_does_not(tmp_path, big):
    cog = tmp_path / "cog.tif"
    data = big.codes[:3].astype(np.float32)
    plain = fixtures.write_geotiff(tmp_path / "flat.tif", data, big.grid)
    with rasterio.open(plain) as src:
        copy(src, cog, driver="COG", blocksize=256)
    assert oracle.cog_faults(cog) == []
    assert "no overviews" in oracle.cog_faults(plain)
