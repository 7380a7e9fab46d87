"""`terravec convert`: the same values in another format."""

import fixtures
import numpy as np
import oracle
import pyarrow.parquet as pq
import pytest
import rasterio
from conftest import TESTDATA

GCS = next((TESTDATA / "alphaearth" / "gcs").rglob("*.tiff"))


def test_a_south_up_tile_becomes_a_cog_with_its_codes(terravec, tmp_path):
    out = tmp_path / "c.tif"
    terravec("convert", GCS, out, "--codes")
    got, want = oracle.read_output(out), oracle.read_north_up(GCS)
    assert got.values.dtype == np.int8 and np.array_equal(got.values, want.values)
    assert got.grid.transform == want.grid.transform and got.grid.crs == want.grid.crs
    with rasterio.open(out) as src:
        assert src.nodata == -128 and src.descriptions == tuple(fixtures.AEF_BANDS)
    assert oracle.cog_faults(out) == []


def test_a_tile_becomes_vectors(terravec, tmp_path):
    out = tmp_path / "v.tif"
    terravec("convert", GCS, out)
    got, codes = oracle.read_output(out), oracle.read_north_up(GCS)
    assert np.array_equal(got.values, oracle.decode_alphaearth(codes.values).astype(np.float32))
    with rasterio.open(out) as src:
        assert np.isnan(src.nodata) and "TERRAVEC_PROVENANCE" in src.tags()


def test_a_large_tile_converts_block_by_block(terravec, tmp_path, big):
    out = tmp_path / "v.tif"
    terravec("convert", big.path, out)
    assert oracle.cog_faults(out) == []
    got = oracle.read_output(out)
    assert np.array_equal(got.values, big.decoded().values.astype(np.float32), equal_nan=True)


def test_a_tile_becomes_a_table_of_its_valid_pixels(terravec, tmp_path, esd):
    out = tmp_path / "e.parquet"
    terravec("convert", esd.path, out)
    table = pq.read_table(out)
    decoded = oracle.decode_esd(esd.raster.values)
    assert len(table) == (~np.isnan(decoded[0])).sum()
    cols, rows = ~esd.grid.transform @ oracle.from_lonlat(
        esd.grid.crs, np.array(table["lon"]), np.array(table["lat"])
    )
    raster = oracle.Raster(decoded, esd.grid)
    want = oracle.take(raster, np.floor(cols).astype(int), np.floor(rows).astype(int)).T
    assert np.array_equal(np.array(table["embedding"].to_pylist()), want)


def test_convert_does_not_overwrite_unasked(terravec, tmp_path):
    out = tmp_path / "c.tif"
    out.write_text("precious")
    said = terravec.fails(1, "convert", GCS, out)
    assert "--force" in said and out.read_text() == "precious"
    terravec("convert", GCS, out, "--force")
    assert oracle.read_output(out).values.shape == (64, 97, 97)


@pytest.mark.parametrize("name", ["x.docx", "x"])
def test_an_output_of_unknown_format_is_refused(terravec, tmp_path, name):
    said = terravec.raw("convert", GCS, tmp_path / name)
    assert said.returncode in (1, 2) and ".tif" in said.stderr
    assert not list(tmp_path.iterdir())
