"""`terravec extract`: windows, polygons, mosaics over tiles and zones, resampling, and every output."""

import json

import fixtures
import numpy as np
import oracle
import products
import pyarrow.parquet as pq
import pytest
import rasterio
from conftest import TESTDATA
from oracle import Grid, Raster
from pyproj import Transformer
from rasterio.transform import Affine

WISCONSIN_BBOX = (-88.773, 44.292, -88.764, 44.298)
FIELD = TESTDATA / "regions" / "wisconsin_field.geojson"


def bbox_text(bbox):
    return ",".join(map(str, bbox))


def wisconsin(copy="wisconsin"):
    root = TESTDATA / "alphaearth" / copy
    raster = oracle.read_north_up(next(root.rglob("*.tif*")))
    return (
        f"{products.ALPHAEARTH}={root}",
        raster,
        Raster(oracle.decode_alphaearth(raster.values), raster.grid),
    )


def sidecar(npy):
    """The NPY's JSON: grid, bands, provenance."""
    return json.loads(npy.with_name(npy.name.replace(".npy", ".json")).read_text())


def field_geometry():
    return json.loads(FIELD.read_text())["features"][0]["geometry"]


def same(got, want, atol=1e-6):
    """Equal where both hold values, and missing in the same pixels."""
    assert got.shape == want.shape
    assert np.array_equal(np.isnan(got), np.isnan(want)), "missing pixels differ"
    assert np.allclose(got, want, atol=atol, rtol=0, equal_nan=True), np.nanmax(np.abs(got - want))


# --- the native grid ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("copy", ["wisconsin", "gcs"])
def test_native_window_is_pixel_identical(terravec, tmp_path, copy):
    dataset, _, decoded = wisconsin(copy)
    out = tmp_path / "w.tif"
    terravec("extract", dataset, "--bbox", bbox_text(WISCONSIN_BBOX), "--year", 2024, "-o", out)
    got = oracle.read_output(out)
    assert got.grid.crs == rasterio.CRS.from_epsg(32616)
    assert got.values.dtype == np.float32
    assert np.array_equal(got.values, oracle.window(decoded, got.grid).astype(np.float32))
    assert oracle.covers(got.grid, WISCONSIN_BBOX)
    assert oracle.excess(got.grid, WISCONSIN_BBOX) <= 1 + 1e-6, "no more pixels than the box touches"


def test_codes_come_out_as_stored(terravec, tmp_path):
    dataset, codes, _ = wisconsin("gcs")
    out = tmp_path / "codes.tif"
    terravec("extract", dataset, "--bbox", bbox_text(WISCONSIN_BBOX), "--year", 2024, "--codes", "-o", out)
    got = oracle.read_output(out)
    assert got.values.dtype == np.int8
    assert np.array_equal(got.values, oracle.window(codes, got.grid).astype(np.int8))
    with rasterio.open(out) as src:
        assert src.nodata == -128


def test_codes_keep_missing_pixels(terravec, tmp_path, big):
    out = tmp_path / "codes.tif"
    bbox = (3.04, 52.04, 3.055, 52.056)
    terravec(
        "extract", f"{products.ALPHAEARTH}={big.root}", "--bbox", bbox_text(bbox), "--year", big.YEAR,
        "--codes", "-o", out,
    )  # fmt: skip
    got = oracle.read_output(out)
    want = oracle.window(Raster(big.codes, big.grid), got.grid)
    assert (want == -128).any() and (want != -128).any()
    assert np.array_equal(got.values, want)


def test_bands_by_name(terravec, tmp_path):
    dataset, _, decoded = wisconsin()
    out = tmp_path / "b.tif"
    terravec(
        "extract", dataset, "--bbox", bbox_text(WISCONSIN_BBOX), "--year", 2024, "--bands", "A16,A00,A63",
        "-o", out,
    )  # fmt: skip
    got = oracle.read_output(out)
    want = oracle.window(decoded, got.grid)[[16, 0, 63]].astype(np.float32)
    assert np.array_equal(got.values, want), "chosen bands keep their values and the order asked for"
    with rasterio.open(out) as src:
        assert src.descriptions == ("A16", "A00", "A63")


def test_esd_window_decodes_to_72_bands_of_12_codes(terravec, tmp_path, esd):
    out = tmp_path / "esd.npy"
    lon, lat = oracle.to_lonlat(esd.grid.crs, *(esd.grid.transform @ (20, 16)))
    bbox = (lon - 0.005, lat - 0.002, lon + 0.005, lat + 0.002)
    terravec(
        "extract", f"{products.ESD}={esd.root}", "--bbox", bbox_text(bbox), "--year", esd.YEAR, "-o", out
    )
    grid = npy_grid(out)
    want = oracle.window(Raster(oracle.decode_esd(esd.raster.values), esd.grid), grid)
    assert np.array_equal(np.load(out), want.astype(np.float32), equal_nan=True)


def test_a_band_of_esd_codes_is_missing_only_where_all_are(terravec, tmp_path, esd):
    """The missing rule looks at all twelve codes, also when one is asked for."""
    missing = (esd.raster.values[:12] == 0).all(axis=0)
    assert not missing[10, 10] and esd.raster.values[0, 10, 10] == 0
    out = tmp_path / "b0.parquet"
    terravec("convert", f"{products.ESD}={esd.root}", out, "--bands", "b0", "--codes")
    got = pq.read_table(out)
    assert got.num_rows == (~missing).sum()
    assert np.array_equal(
        np.sort(got["codes"].combine_chunks().values.to_numpy()), np.sort(esd.raster.values[0][~missing])
    )


def test_esd_codes_survive_a_round_trip(terravec, tmp_path, esd):
    """A single code 0 is a number, not nodata, in the file written and when it is opened again."""
    first, again = tmp_path / esd.path.name, tmp_path / "again.npy"
    terravec("convert", f"{products.ESD}={esd.root}", first, "--codes")
    with rasterio.open(first) as src:
        assert src.nodata is None
        assert np.array_equal(src.read()[:12], esd.raster.values[:12])
    terravec("convert", f"{products.ESD}={first}", again)
    assert np.array_equal(
        np.load(again), oracle.decode_esd(esd.raster.values).astype(np.float32), equal_nan=True
    )
    stated = fixtures.write_geotiff(
        tmp_path / "stated" / esd.path.name, esd.raster.values, esd.grid, nodata=0
    )
    terravec("convert", f"{products.ESD}={stated}", again, "--force")
    assert np.isfinite(np.load(again)[:, 10, 10]).all(), "what the file states does not overrule the product"


def test_codes_without_a_word_for_missing_are_not_invented(terravec, tmp_path):
    """Plain integers have no code that says "nothing here": a window beyond them is refused, a table is not."""
    values = np.arange(2 * 8 * 8, dtype=np.uint8).reshape(2, 8, 8)
    grid = Grid(rasterio.CRS.from_epsg(32631), Affine(10, 0, 500_000, 0, -10, 5_000_000), 8, 8)
    path = fixtures.write_geotiff(tmp_path / "plain.tif", values, grid)
    for name in ("out.tif", "out.npy"):
        said = terravec.fails(
            1, "convert", path, tmp_path / name, "--codes", "--crs", "EPSG:3857", "--resolution", 5
        )
        assert "no code says so" in said and ".parquet" in said
        assert not (tmp_path / name).exists()
    terravec("convert", path, tmp_path / "out.npy", "--codes")
    assert np.array_equal(np.load(tmp_path / "out.npy"), values)
    assert sidecar(tmp_path / "out.npy")["nodata"] is None


def npy_grid(npy):
    """The sidecar's grid."""
    grid = sidecar(npy)["grid"]
    return Grid(
        rasterio.CRS.from_user_input(grid["crs"]),
        Affine(*grid["transform"][:6]),
        grid["width"],
        grid["height"],
    )


def test_npy_and_its_sidecar(terravec, tmp_path):
    dataset, _, decoded = wisconsin()
    out = tmp_path / "w.npy"
    terravec("extract", dataset, "--bbox", bbox_text(WISCONSIN_BBOX), "--year", 2024, "-o", out)
    array, side, grid = np.load(out), sidecar(out), npy_grid(out)
    assert array.dtype == np.float32 and array.shape == (64, *grid.shape)
    assert np.array_equal(array, oracle.window(decoded, grid).astype(np.float32))
    assert side["bands"] == fixtures.AEF_BANDS
    assert side["provenance"]["product"] == products.ALPHAEARTH


def test_several_years_are_a_stack(terravec, tmp_path, seam):
    out = tmp_path / "years.npy"
    bbox = (5.9925, 51.9985, 5.998, 52.001)
    terravec(
        "extract", f"{products.ALPHAEARTH}={seam.root}", "--bbox", bbox_text(bbox), "--year", "2023..2024",
        "-o", out,
    )  # fmt: skip
    array, grid = np.load(out), npy_grid(out)
    assert array.shape == (2, 64, *grid.shape)
    for i, year in enumerate((2023, 2024)):
        want = oracle.window(seam.decoded(31, year), grid)
        assert np.array_equal(array[i], want.astype(np.float32), equal_nan=True)


# --- regions ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("all_touched", [False, True])
def test_a_polygon_masks_as_gdal_does(terravec, tmp_path, all_touched):
    dataset, _, decoded = wisconsin()
    out = tmp_path / "field.tif"
    flags = ["--all-touched"] if all_touched else []
    terravec("extract", dataset, "--region", FIELD, "--year", 2024, *flags, "-o", out)
    got = oracle.read_output(out)
    mask = oracle.inside(field_geometry(), got.grid, all_touched)
    want = np.where(mask, oracle.window(decoded, got.grid), np.nan)
    assert 2000 < mask.sum() < mask.size, "a polygon with a hole leaves some out"
    same(got.values, want)
    whole = oracle.inside(field_geometry(), decoded.grid, all_touched)
    assert whole.sum() == mask.sum(), "the window holds the whole polygon"


def test_no_mask_keeps_the_window(terravec, tmp_path):
    dataset, _, decoded = wisconsin()
    out = tmp_path / "field.tif"
    terravec("extract", dataset, "--region", FIELD, "--year", 2024, "--no-mask", "-o", out)
    got = oracle.read_output(out)
    same(got.values, oracle.window(decoded, got.grid))


def medoid_costs(vectors):
    """Sum of distances from each vector to all others, under L2 and cosine."""
    lengths = (vectors**2).sum(axis=1)
    dots = vectors @ vectors.T
    l2 = np.sqrt(np.maximum(lengths[:, None] + lengths[None] - 2 * dots, 0)).sum(axis=1)
    unit = vectors / np.sqrt(lengths)[:, None]
    return l2, (1 - unit @ unit.T).sum(axis=1)


@pytest.mark.parametrize("how", ["mean", "median", "medoid"])
def test_zonal_reduction(terravec, tmp_path, how):
    dataset, _, decoded = wisconsin()
    out = tmp_path / "zonal.parquet"
    terravec("extract", dataset, "--region", FIELD, "--year", 2024, "--reduce", how, "-o", out)
    table = pq.read_table(out)
    assert table["name"].to_pylist() == ["field"] and table["id"].to_pylist() == [7]
    got = np.array(table["embedding"][0].as_py())
    pixels = decoded.values[:, oracle.inside(field_geometry(), decoded.grid)].T
    if how == "mean":
        mean = pixels.mean(axis=0)
        assert np.allclose(got, mean / np.linalg.norm(mean), atol=1e-6)
        assert np.linalg.norm(mean) < 0.995, "the field is not so uniform that renormalising is untested"
    elif how == "median":
        median = np.median(pixels, axis=0)
        assert np.allclose(got, median / np.linalg.norm(median), atol=1e-6)
    else:
        chosen = np.abs(pixels - got).max(axis=1) < 1e-6
        assert chosen.any(), "a medoid is one of the pixels"
        best = [cost[chosen].min() <= cost.min() * (1 + 1e-6) for cost in medoid_costs(pixels)]
        assert any(best)


# --- one mosaic over tiles and zones ------------------------------------------------------------------------


def test_tiles_of_a_zone_join_without_a_trace(terravec, tmp_path, seam):
    out = tmp_path / "w.tif"
    bbox = (5.9925, 51.9965, 5.998, 52.0035)
    terravec(
        "extract", f"{products.ALPHAEARTH}={seam.root}", "--bbox", bbox_text(bbox), "--year", 2024, "-o", out
    )
    got = oracle.read_output(out)
    assert got.grid.crs == rasterio.CRS.from_epsg(32631)
    zone31 = seam.decoded(31, 2024)
    row = ~zone31.grid.transform @ (got.grid.transform.c, got.grid.transform.f)
    assert row[1] < seam.HEIGHT < row[1] + got.grid.height, "the box crosses the tiles' common edge"
    same(got.values, oracle.window(zone31, got.grid))


@pytest.mark.parametrize("resampling", ["nearest", "bilinear"])
@pytest.mark.parametrize("crs", ["native", "EPSG:3035", "EPSG:4326"])
def test_a_box_over_two_zones_is_one_mosaic(terravec, tmp_path, seam, crs, resampling):
    """Inside the box every pixel holds the field's vector: no gap, no line, no zone favoured."""
    out = tmp_path / "m.tif"
    flags = {"native": [], "EPSG:3035": ["--crs", crs, "--resolution", 10]}.get(
        crs, ["--crs", crs, "--resolution", 0.0001]
    )
    terravec(
        "extract", f"{products.ALPHAEARTH}={seam.root}", "--bbox", bbox_text(seam.bbox), "--year", 2023,
        *flags, "--resampling", resampling, "-o", out,
    )  # fmt: skip
    got = oracle.read_output(out)
    if crs != "native":
        assert got.grid.crs == rasterio.CRS.from_user_input(crs)
    assert oracle.covers(got.grid, seam.bbox)
    lon, lat = got.grid.lonlat()
    west, south, east, north = seam.bbox
    inside = (lon > west) & (lon < east) & (lat > south) & (lat < north)
    assert (lon[inside] < 6).any() and (lon[inside] > 6).any()
    values = got.values[:, inside]
    assert not np.isnan(values).any(), "a gap along the seam or an edge"
    error = np.abs(values - fixtures.field(lon[inside], lat[inside], 2023)).max(axis=0)
    # A nearest pixel is up to 7 m off: 0.026 in one band at this field's slope, and the codes' own 0.004.
    assert error.max() < (0.032 if resampling == "nearest" else 0.045)
    if resampling == "bilinear" and crs != "native":
        # Where the seam leaves fewer than four neighbours the mean leans to one side; elsewhere only codes err.
        assert np.quantile(error, 0.97) < 0.006
    norms = np.linalg.norm(values.astype(float), axis=0)
    assert np.abs(norms - 1).max() < (0.015 if resampling == "nearest" or crs == "native" else 1e-5)


# --- resampling ---------------------------------------------------------------------------------------------


def reprojected(terravec, tmp_path, big, bbox, *flags):
    out = tmp_path / "r.tif"
    terravec(
        "extract", f"{products.ALPHAEARTH}={big.root}", "--bbox", bbox_text(bbox), "--year", big.YEAR,
        *flags, "-o", out,
    )  # fmt: skip
    got = oracle.read_output(out)
    assert oracle.covers(got.grid, bbox)
    assert oracle.excess(got.grid, bbox) <= 2
    return got


# A box across the rim of the tile's hole of nodata.
RIM = (3.035, 52.042, 3.05, 52.056)


@pytest.mark.parametrize(("crs", "resolution"), [("EPSG:3035", 13), ("EPSG:3857", 20), ("EPSG:32632", 10)])
def test_nearest(terravec, tmp_path, big, crs, resolution):
    got = reprojected(
        terravec, tmp_path, big, RIM, "--crs", crs, "--resolution", resolution, "--resampling", "nearest"
    )
    assert got.grid.transform.a == resolution == -got.grid.transform.e
    want = oracle.nearest(big.decoded(), got.grid)
    cols, rows = oracle.pixel_coordinates(big.decoded(), got.grid)
    # Where the centre falls within 2 cm of a pixel's edge, either neighbour is right.
    clear = np.minimum(np.abs(cols - np.round(cols)), np.abs(rows - np.round(rows))) > 0.002
    assert clear.mean() > 0.98
    same(got.values[:, clear], want[:, clear])


@pytest.mark.parametrize(("crs", "resolution"), [("EPSG:3035", 13), ("EPSG:3857", 20), ("EPSG:32631", 7)])
def test_bilinear_weighs_vectors_not_codes_and_forgets_missing_ones(terravec, tmp_path, big, crs, resolution):
    got = reprojected(
        terravec, tmp_path, big, RIM, "--crs", crs, "--resolution", resolution, "--resampling", "bilinear"
    )
    want, neighbours = oracle.bilinear(big.decoded(), got.grid)
    want = oracle.unit(want)
    valid = ~np.isnan(got.values[0])
    assert valid[neighbours == 4].all()
    assert not valid[neighbours == 0].any()
    assert ((neighbours > 0) & (neighbours < 4)).sum() > 20, "the rim is in view"
    # Coordinates may differ by a centimetre of projection: a thousandth of a pixel.
    assert np.allclose(got.values[:, valid], want[:, valid], atol=2e-4)
    assert np.abs(np.linalg.norm(got.values[:, valid].astype(float), axis=0) - 1).max() < 1e-5
    # The pixel under the centre holds a value: then so does the result.
    under = ~np.isnan(oracle.nearest(big.decoded(), got.grid)[0])
    cols, rows = oracle.pixel_coordinates(big.decoded(), got.grid)
    clear = np.minimum(np.abs(cols - np.round(cols)), np.abs(rows - np.round(rows))) > 0.002
    assert valid[under & clear].all()


def test_average_on_an_aligned_grid_is_the_renormalised_block_mean(terravec, tmp_path, big):
    got = reprojected(
        terravec, tmp_path, big, RIM, "--crs", "EPSG:32631", "--resolution", 40, "--resampling", "average"
    )
    x, y = got.grid.transform.c / 40, got.grid.transform.f / 40
    assert x == round(x) and y == round(y), "a coarser grid snaps to multiples of its resolution"
    want, share = oracle.average(big.decoded(), got.grid, samples=4)
    want = oracle.unit(want)
    full, empty = share == 1, share == 0
    assert ((share > 0) & (share < 1)).sum() > 5
    assert not np.isnan(got.values[0][full]).any()
    assert np.isnan(got.values[0][empty]).all()
    valid = ~np.isnan(got.values[0])
    assert np.allclose(got.values[:, valid], want[:, valid], atol=1e-5)


def test_average_in_another_crs_is_the_mean_over_the_footprint(terravec, tmp_path, big):
    got = reprojected(
        terravec, tmp_path, big, RIM, "--crs", "EPSG:3035", "--resolution", 45, "--resampling", "average"
    )
    want, share = oracle.average(big.decoded(), got.grid, samples=14)
    want = oracle.unit(want)
    valid = ~np.isnan(got.values[0])
    # Slivers of a source pixel may fall between the samples: the tests of validity leave them a margin.
    one_band = Raster(big.decoded().values[:1], big.grid)
    _, around = oracle.average(one_band, got.grid, samples=26, spread=1.1)
    assert valid[share > 0].all() and not valid[around == 0].any()
    whole = valid & (share == 1)
    error = np.abs(got.values[:, whole] - want[:, whole])
    assert error.max() < 0.004, "the mean over the area, not over the pixels whose centre is inside"
    point = oracle.nearest(big.decoded(), got.grid)
    assert error.mean() < 0.15 * np.abs(point[:, whole] - want[:, whole]).mean()


def test_region_in_another_crs_is_masked_there(terravec, tmp_path):
    dataset, _, decoded = wisconsin("gcs")
    out = tmp_path / "r.tif"
    terravec(
        "extract", dataset, "--region", FIELD, "--year", 2024, "--crs", "EPSG:5070", "--resolution", 15,
        "--resampling", "bilinear", "-o", out,
    )  # fmt: skip
    got = oracle.read_output(out)
    mask = oracle.inside(field_geometry(), got.grid)
    assert np.array_equal(~np.isnan(got.values[0]), mask)
    want = oracle.unit(oracle.bilinear(decoded, got.grid)[0])
    assert np.allclose(got.values[:, mask], want[:, mask], atol=5e-4)


def test_values_not_of_unit_length_are_not_renormalised(terravec, tmp_path, tessera):
    raster = tessera.rasters[0.15, 52.25]
    lon, lat = oracle.to_lonlat(raster.grid.crs, *(raster.grid.transform @ (30, 25)))
    bbox = (lon - 0.0012, lat - 0.0008, lon + 0.0012, lat + 0.0008)
    out = tmp_path / "t.tif"
    terravec(
        "extract", f"{products.TESSERA}={tessera.root}", "--bbox", bbox_text(bbox), "--year", tessera.YEAR,
        "--crs", "EPSG:3035", "--resolution", 10, "--resampling", "bilinear", "-o", out,
    )  # fmt: skip
    got = oracle.read_output(out)
    want, neighbours = oracle.bilinear(Raster(raster.values.astype(float), raster.grid), got.grid)
    whole = neighbours == 4
    assert whole.sum() > 100
    assert np.allclose(got.values[:, whole], want[:, whole], atol=0.02)
    assert np.linalg.norm(want[:, whole], axis=0).min() > 5


# --- what the files promise ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cog(terravec, tmp_path_factory, big):
    out = tmp_path_factory.mktemp("cog") / "big.tif"
    terravec(
        "extract", f"{products.ALPHAEARTH}={big.root}", "--bbox", bbox_text(big.bbox), "--year", big.YEAR,
        "-o", out,
    )  # fmt: skip
    return out


def test_cog_follows_gdals_rules(cog):
    assert oracle.cog_faults(cog) == []
    with rasterio.open(cog) as src:
        assert src.profile["compress"] == "zstd"
        assert src.tags(ns="IMAGE_STRUCTURE").get("PREDICTOR") in ("2", "3")
        assert src.profile["tiled"] and src.block_shapes[0] in ((256, 256), (512, 512))
        assert np.isnan(src.nodata) and src.dtypes[0] == "float32"
        assert src.descriptions == tuple(fixtures.AEF_BANDS)
        provenance = json.loads(src.tags()["TERRAVEC_PROVENANCE"])
        assert provenance["product"] == products.ALPHAEARTH
        assert "Google DeepMind" in json.dumps(provenance)
        assert len(src.overviews(1)) >= 1


def test_cog_overviews_are_renormalised_means(cog):
    with rasterio.open(cog) as src:
        full, factor = src.read().astype(float), src.overviews(1)[0]
    with rasterio.open(cog, overview_level=0) as src:
        overview = src.read().astype(float)
    assert factor == 2
    height, width = full.shape[1] // 2, full.shape[2] // 2
    blocks = full[:, : 2 * height, : 2 * width].reshape(64, height, 2, width, 2)
    valid = ~np.isnan(blocks[0])
    count = valid.sum(axis=(1, 3))
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.nansum(blocks, axis=(2, 4)) / count
    want = oracle.unit(np.where(count > 0, mean, np.nan))
    got = overview[:, :height, :width]
    assert ((count > 0) & (count < 4)).any() and (count == 0).any()
    assert not np.isnan(got[0][count == 4]).any() and np.isnan(got[0][count == 0]).all()
    have = ~np.isnan(got[0])
    assert np.allclose(got[:, have], want[:, have], atol=1e-5)


def test_overviews_of_codes_are_codes_of_means(terravec, tmp_path, big):
    out = tmp_path / "codes.tif"
    terravec(
        "extract", f"{products.ALPHAEARTH}={big.root}", "--bbox", bbox_text(big.bbox), "--year", big.YEAR,
        "--codes", "-o", out,
    )  # fmt: skip
    assert oracle.cog_faults(out) == []
    with rasterio.open(out) as src:
        full = oracle.decode_alphaearth(src.read())
    with rasterio.open(out, overview_level=0) as src:
        overview = oracle.decode_alphaearth(src.read())
    height, width = full.shape[1] // 2, full.shape[2] // 2
    blocks = full[:, : 2 * height, : 2 * width].reshape(64, height, 2, width, 2)
    whole = ~np.isnan(blocks[0]).any(axis=(1, 3))
    want = oracle.unit(blocks.mean(axis=(2, 4)))[:, whole]
    got = overview[:, :height, :width][:, whole]
    # Half a code's step at the largest values is 0.004.
    assert not np.isnan(got).any() and np.abs(got - want).max() < 0.005


@pytest.mark.parametrize("bands", [[], ["--bands", "A01,A16,A09"]])
def test_png_is_transparent_where_nothing_is_known(terravec, tmp_path, big, bands):
    png, tif = tmp_path / "q.png", tmp_path / "q.tif"
    for out in (png, tif):
        terravec(
            "extract", f"{products.ALPHAEARTH}={big.root}", "--bbox", bbox_text(RIM), "--year", big.YEAR,
            *bands, "-o", out,
        )  # fmt: skip
    with rasterio.open(png) as src:
        picture = src.read()
    missing = np.isnan(oracle.read_output(tif).values[0])
    assert missing.any() and not missing.all()
    assert picture.shape == (4, *missing.shape) and picture.dtype == np.uint8
    assert (picture[3][missing] == 0).all() and (picture[3][~missing] == 255).all()
    for band in picture[:3]:
        assert np.ptp(band[~missing].astype(int)) > 100, "the stretch uses the picture's range"
    if bands:
        values = oracle.read_output(tif).values[:, ~missing]
        for band, value in zip(picture[:3], values, strict=True):
            assert np.corrcoef(band[~missing], value)[0, 1] > 0.9, "brighter means larger"


def test_window_as_a_table_of_pixels(terravec, tmp_path):
    dataset, _, decoded = wisconsin()
    out = tmp_path / "w.parquet"
    terravec("extract", dataset, "--region", FIELD, "--year", 2024, "-o", out)
    table = pq.read_table(out)
    mask = oracle.inside(field_geometry(), decoded.grid)
    assert len(table) == mask.sum()
    assert b"geo" in table.schema.metadata and b"terravec" in table.schema.metadata
    lon, lat = np.array(table["lon"]), np.array(table["lat"])
    cols, rows = ~decoded.grid.transform @ oracle.from_lonlat(decoded.grid.crs, lon, lat)
    assert np.abs(cols - np.floor(cols) - 0.5).max() < 0.01, "places are pixel centres"
    got = np.array(table["embedding"].to_pylist(), np.float32)
    want = oracle.take(decoded, np.floor(cols).astype(int), np.floor(rows).astype(int))
    assert np.array_equal(got, want.T.astype(np.float32))


# --- bad questions ------------------------------------------------------------------------------------------


def test_a_box_outside_says_what_is_covered(terravec, tmp_path):
    dataset, _, _ = wisconsin()
    out = tmp_path / "x.tif"
    said = terravec.fails(1, "extract", dataset, "--bbox", "10,50,10.1,50.1", "--year", 2024, "-o", out)
    assert "help:" in said
    assert "-88.7" in said and "44.2" in said, "the covered box is named"
    assert not out.exists()


def test_swapped_longitude_and_latitude_is_noticed(terravec, tmp_path):
    dataset, _, _ = wisconsin()
    out = tmp_path / "x.tif"
    # Legal numbers, but only swapped do they fall on the data.
    said = terravec.fails(1, "extract", dataset, "--bbox", "44.292,-88.773,44.298,-88.764", "-o", out)
    assert "swap" in said.lower()
    # A latitude beyond the pole can be nothing else.
    said = terravec.fails(2, "extract", dataset, "--bbox", "37.7,-122.5,37.8,-122.4", "-o", out)
    assert "swap" in said.lower()


def test_an_output_is_not_overwritten_unasked(terravec, tmp_path):
    dataset, _, _ = wisconsin()
    out = tmp_path / "w.tif"
    out.write_text("precious")
    args = ["extract", dataset, "--bbox", bbox_text(WISCONSIN_BBOX), "--year", 2024, "-o", out]
    said = terravec.fails(1, *args)
    assert str(out) in said and "--force" in said
    assert out.read_text() == "precious"
    terravec(*args, "--force")
    assert oracle.read_output(out).values.shape[0] == 64
    assert [p.name for p in tmp_path.iterdir()] == ["w.tif"]


def test_an_unknown_band_names_those_there_are(terravec, tmp_path):
    dataset, _, _ = wisconsin()
    said = terravec.fails(
        1,
        "extract",
        dataset,
        "--bbox",
        bbox_text(WISCONSIN_BBOX),
        "--bands",
        "A00,B99",
        "-o",
        tmp_path / "x.tif",
    )
    assert "B99" in said and "A63" in said


def test_a_box_partly_outside_is_padded_with_missing_or_clipped(terravec, tmp_path):
    """Either is honest; a shifted or stretched picture is not."""
    dataset, _, decoded = wisconsin()
    out = tmp_path / "w.tif"
    terravec("extract", dataset, "--bbox", "-88.780,44.292,-88.770,44.296", "--year", 2024, "-o", out)
    got = oracle.read_output(out)
    same(got.values, oracle.window(decoded, got.grid))
    to_utm = Transformer.from_crs("OGC:CRS84", got.grid.crs, always_xy=True)
    col, row = ~got.grid.transform @ to_utm.transform(-88.771, 44.294)
    assert 0 <= col < got.grid.width and 0 <= row < got.grid.height
