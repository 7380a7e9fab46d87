"""The Python package: every verb against the oracles and against the command line, whatever points come as."""

import ast
import inspect
import json
import pickle
import subprocess
import sys
import warnings
from pathlib import Path

import fixtures
import geopandas
import location_reference as ref
import numpy as np
import odc.geo.xr  # noqa: F401
import oracle
import pandas
import products
import pyarrow as pa
import pyarrow.parquet as pq
import pyproj
import pytest
import rasterio
import rioxarray  # noqa: F401
import shapely
import terravec as tv
from conftest import TESTDATA
from terravec import _native

WISCONSIN = f"{products.ALPHAEARTH}={TESTDATA / 'alphaearth' / 'wisconsin'}"
GCS = f"{products.ALPHAEARTH}={TESTDATA / 'alphaearth' / 'gcs'}"
LABELLED = TESTDATA / "alphaearth" / "labelled"
FIELD = TESTDATA / "regions" / "wisconsin_field.geojson"
BBOX = (-88.773, 44.292, -88.764, 44.298)
PLACES = np.array([[-88.768, 44.295], [-88.7701, 44.2961], [-88.7665, 44.2933]])


@pytest.fixture(scope="module")
def wisconsin():
    return tv.open(WISCONSIN)


@pytest.fixture(scope="module")
def decoded():
    raster = oracle.read_north_up(next((TESTDATA / "alphaearth" / "wisconsin").rglob("*.tif")))
    return oracle.Raster(oracle.decode_alphaearth(raster.values), raster.grid)


def at_places(decoded, places=PLACES):
    """The oracle's vectors at places."""
    cols, rows = ~decoded.grid.transform @ oracle.from_lonlat(decoded.grid.crs, *places.T)
    values = oracle.take(decoded, np.floor(cols).astype(int), np.floor(rows).astype(int))
    return values.T.astype(np.float32)


def grid_of(raster):
    """The oracle's grid of a raster of terravec."""
    g = raster.grid
    crs = rasterio.CRS.from_user_input(g.crs)
    return oracle.Grid(crs, rasterio.Affine(*g.transform), g.width, g.height)


# --- against the oracles ------------------------------------------------------------------------------------


def test_a_sample_has_the_decoded_value_of_its_pixel(wisconsin, decoded):
    table = wisconsin.sample(PLACES, year=2024)
    assert np.array_equal(table.to_numpy(), at_places(decoded))
    assert table.status.tolist() == ["valid"] * 3 and table.valid.all()
    assert np.array_equal(table.to_numpy("lon"), PLACES[:, 0])


@pytest.mark.parametrize("spec", [WISCONSIN, GCS])
def test_an_extract_is_pixel_identical(spec, decoded):
    raster = tv.open(spec).extract(bbox=BBOX)
    assert raster.dims == ("band", "y", "x") and raster.values.dtype == np.float32
    assert np.array_equal(raster.values, oracle.window(decoded, grid_of(raster)).astype(np.float32))
    assert oracle.covers(grid_of(raster), BBOX) and raster.crs == "EPSG:32616" and raster.years == [2024]
    assert (raster.valid.all() and raster.bands[0] == "A00" and raster.nodata is None) or np.isnan(
        raster.nodata
    )
    west, south, east, north = raster.grid.bounds
    x, y = grid_of(raster).centers()
    assert np.array_equal(raster.grid.x, x[0]) and np.array_equal(raster.grid.y, y[:, 0])
    assert (west, north) == (x[0, 0] - 5, y[0, 0] + 5) and (east, south) == (x[-1, -1] + 5, y[-1, -1] - 5)


def test_missing_pixels_and_codes(big):
    ds = tv.open(f"{products.ALPHAEARTH}={big.root}")
    box = (3.04, 52.04, 3.055, 52.056)
    raster, codes = ds.extract(bbox=box), ds.extract(bbox=box, codes=True)
    want = oracle.window(big.decoded(), grid_of(raster)).astype(np.float32)
    assert np.isnan(want[0]).any() and np.array_equal(raster.values, want, equal_nan=True)
    assert np.array_equal(raster.valid, ~np.isnan(want[0]))
    assert set(np.unique(raster.status)) == {0, 2}, "a hole in a tile is nodata"
    assert codes.values.dtype == np.int8 and codes.nodata == -128
    assert np.array_equal(codes.values, oracle.window(oracle.Raster(big.codes, big.grid), grid_of(codes)))


def test_a_raster_of_many_chunks_is_whole(big):
    """More numbers than one chunk holds, so that the array is put together."""
    raster = tv.open(f"{products.ALPHAEARTH}={big.root}").extract()
    assert raster.values.size > 16 << 20
    assert np.array_equal(raster.values, big.decoded().values.astype(np.float32), equal_nan=True)


def test_several_years_are_an_axis(seam):
    ds = tv.open(f"{products.ALPHAEARTH}={seam.root}")
    stack = ds.extract(bbox=seam.bbox)
    assert stack.dims == ("time", "band", "y", "x") and stack.years == [2023, 2024]
    for year in (2024, 2023):
        one = ds.extract(bbox=seam.bbox, year=year)
        assert one.years == [year] and one.values.ndim == 3
        assert np.array_equal(one.values, stack.values[stack.years.index(year)], equal_nan=True)
    assert ds.extract(bbox=seam.bbox, year=[2024, 2023]).years == [2024, 2023]
    assert ds.extract(bbox=seam.bbox, year=range(2023, 2025)).years == [2023, 2024]
    table = ds.sample([(5.9997, 52.0), (10, 10)], year="2023..2024")
    assert table.status.tolist() == ["valid", "valid", "outside", "outside"]


def test_a_polygon_masks_as_gdal_does(wisconsin, decoded):
    geometry = json.loads(FIELD.read_text())["features"][0]["geometry"]
    for touched in (False, True):
        raster = wisconsin.extract(region=FIELD, all_touched=touched)
        inside = oracle.inside(geometry, grid_of(raster), all_touched=touched)
        assert np.array_equal(raster.valid, inside)
    whole = wisconsin.extract(region=FIELD, mask=False)
    assert whole.valid.all() and (whole.status == 0).all()
    mean = oracle.window(decoded, grid_of(whole))[:, oracle.inside(geometry, grid_of(whole))].mean(axis=1)
    got = wisconsin.reduce(FIELD)
    assert np.allclose(got.to_numpy()[0], oracle.unit(mean), atol=1e-6)
    assert got.to_numpy("pixels")[0] == oracle.inside(geometry, grid_of(whole)).sum()
    assert got.to_pyarrow()["name"].to_pylist() == ["field"], "the polygon's own columns stay"


@pytest.mark.parametrize("how", ["mean", "median", "medoid"])
def test_regions_come_in_many_forms(wisconsin, how):
    frame = geopandas.read_file(FIELD)
    want = wisconsin.reduce(FIELD, how).to_numpy()
    shape = frame.geometry[0]
    for regions in (
        frame,
        frame.geometry,
        shape,
        [shape],
        frame.__geo_interface__,
        frame.to_crs(32616).to_arrow(),
    ):
        got = wisconsin.reduce(regions, how).to_numpy()
        assert np.allclose(got, want, atol=1e-6), type(regions)


# --- the two faces say the same -----------------------------------------------------------------------------


def test_products_are_those_of_the_command(terravec):
    assert tv.products() == terravec.json("products")
    assert tv.products(kind="location", host="zenodo") == terravec.json(
        "products", "--kind", "location", "--host", "zenodo"
    )
    assert tv.product("esd") == terravec.json("products", "esd") and tv.product("esd").id == "esd"


TREES = ["seam", "big", "tessera", "esd", "copernicus", "olmoearth", "majortom"]


def dataset_of(name, tree):
    ids = {"seam": "alphaearth", "big": "alphaearth", "majortom": products.MAJORTOM_ALPHAEARTH}
    return f"{ids.get(name) or getattr(products, name.upper())}={tree.root}"


@pytest.mark.parametrize("name", TREES)
def test_both_faces_say_the_same(terravec, tmp_path, name, request):
    spec = dataset_of(name, request.getfixturevalue(name))
    ds = tv.open(spec)
    info = terravec.json("info", spec)
    assert ds.info == info
    west, south, east, north = info["bbox"]
    assert ds.coverage() == terravec.json("coverage", spec)["tiles"]
    box = (west, south, (west + east) / 2, (south + north) / 2)
    first = min(info["years"])
    options, flags = ({"year": int(first)}, ["--year", first]) if first else ({}, [])
    said = terravec.json("coverage", spec, "--bbox", ",".join(map(str, box)), *flags)
    assert ds.coverage(bbox=box, **options) == said["tiles"]

    rng = np.random.default_rng(5)
    places = np.stack([rng.uniform(west, east, 60), rng.uniform(south, north, 60)], 1)
    points = fixtures.write_points_csv(tmp_path / "p.csv", *places.T, label=list(range(60)))
    want = terravec.table(spec, "--points", points, out=tmp_path / "s.parquet")
    got = ds.sample(points).to_pyarrow()
    assert same_but_metadata(got, want)
    assert same_but_metadata(pa.table(ds.sample(points)), want)
    assert np.array_equal(ds.sample(places).to_numpy(), ds.sample(points).to_numpy(), equal_nan=True)
    assert json.loads(want.schema.metadata[b"terravec"]) == ds.sample(points).provenance

    west, south, east, north = ds.coverage()[0]["bbox"]
    w, h = east - west, north - south
    small = (west + 0.5 * w, south + 0.55 * h, west + 0.6 * w, south + 0.6 * h)
    for i, options in enumerate(
        [
            {},
            {"codes": True, "bands": [0, 2]},
            {"crs": "EPSG:3035", "resolution": 250.0, "resampling": "bilinear"},
        ]
    ):
        flags = []
        for key, value in options.items():
            flags += [f"--{key}"] + (
                [] if value is True else [",".join(map(str, value)) if isinstance(value, list) else value]
            )
        out = tmp_path / f"{i}.npy"
        terravec("extract", spec, "--bbox", ",".join(map(repr, small)), *flags, "-o", out)
        side = json.loads(out.with_suffix(".json").read_text())
        raster = ds.extract(bbox=small, **options)
        assert (
            np.array_equal(raster.values, np.load(out), equal_nan=True)
            and raster.values.dtype == np.load(out).dtype
        )
        assert list(raster.transform) == side["grid"]["transform"] and raster.crs == side["grid"]["crs"]
        assert raster.bands == side["bands"] and raster.years == side["years"]
        assert raster.provenance == side["provenance"]


def same_but_metadata(a, b):
    return a.replace_schema_metadata().equals(b.replace_schema_metadata()) or a.to_pylist() == b.to_pylist()


def test_reductions_and_files_are_those_of_the_command(terravec, tmp_path, wisconsin):
    terravec("extract", WISCONSIN, "--region", FIELD, "--reduce", "median", "-o", tmp_path / "cli.parquet")
    table = wisconsin.reduce(FIELD, "median")
    # Files of polygons have a column of their boxes besides.
    written = pq.read_table(tmp_path / "cli.parquet").drop_columns("bbox")
    assert same_but_metadata(table.to_pyarrow(), written)
    table.write(tmp_path / "py.parquet")
    assert (tmp_path / "py.parquet").read_bytes() == (tmp_path / "cli.parquet").read_bytes()
    for name in ("w.tif", "w.npy", "w.parquet", "w.png"):
        (tmp_path / "cli").mkdir(exist_ok=True)
        (tmp_path / "py").mkdir(exist_ok=True)
        terravec("extract", WISCONSIN, "--bbox", *map(str, BBOX), "-o", tmp_path / "cli" / name)
        files = wisconsin.write(tmp_path / "py" / name, bbox=BBOX)
        assert files[0] == str(tmp_path / "py" / name)
        assert (tmp_path / "py" / name).read_bytes() == (tmp_path / "cli" / name).read_bytes(), name
    terravec("convert", WISCONSIN, tmp_path / "all.npy", "--codes")
    wisconsin.convert(tmp_path / "mine.npy", codes=True)
    assert np.array_equal(np.load(tmp_path / "mine.npy"), np.load(tmp_path / "all.npy"))
    with pytest.raises(tv.OutputError, match="exists") as e:
        wisconsin.convert(tmp_path / "mine.npy", codes=True)
    assert "force=True" in e.value.help and "--" not in e.value.help
    wisconsin.convert(tmp_path / "mine.npy", codes=True, force=True)


def failures(tmp_path):
    (tmp_path / "bad.csv").write_text("lon,lat\n1.0,2.0\noops,3\n")
    (tmp_path / "notes.tif").write_text("this is no picture")
    out = tmp_path / "o.npy"
    return {
        "an unknown product": (["info", "alphaerth=/tmp"], lambda: tv.open("alphaerth=/tmp"), tv.CatalogError),
        "nothing there": (["info", tmp_path / "gone"], lambda: tv.open(tmp_path / "gone"), tv.SourceError),
        "not a TIFF": (["info", tmp_path / "notes.tif"], lambda: tv.open(tmp_path / "notes.tif"), tv.SourceError),
        "a bad number": (
            ["sample", WISCONSIN, "--points", tmp_path / "bad.csv"],
            lambda: tv.open(WISCONSIN).sample(tmp_path / "bad.csv"),
            tv.InputError,
        ),
        "another place": (
            ["extract", WISCONSIN, "--bbox", "1,2,3,4", "-o", out],
            lambda: tv.open(WISCONSIN).extract(bbox=(1, 2, 3, 4)),
            tv.OutsideError,
        ),
        "another year": (
            ["extract", WISCONSIN, "--bbox", "1,2,3,4", "--year", "1999", "-o", out],
            lambda: tv.open(WISCONSIN).extract(bbox=(1, 2, 3, 4), year=1999),
            tv.QueryError,
        ),
        "an unknown band": (
            ["extract", WISCONSIN, "--bbox", ",".join(map(str, BBOX)), "--bands", "Z9", "-o", out],
            lambda: tv.open(WISCONSIN).extract(bbox=BBOX, bands="Z9"),
            tv.QueryError,
        ),
    }  # fmt: skip


@pytest.mark.parametrize(
    "case",
    [
        "an unknown product",
        "nothing there",
        "not a TIFF",
        "a bad number",
        "another place",
        "another year",
        "an unknown band",
    ],
)
def test_failures_have_the_texts_of_the_command(terravec, tmp_path, case):
    args, call, kind = failures(tmp_path)[case]
    said = terravec.fails(1, *args)
    with pytest.raises(kind) as e:
        call()
    assert f"error: {e.value}" in said and isinstance(e.value, tv.TerravecError)
    assert e.value.help and e.value.__notes__ == [f"help: {e.value.help}"]
    again = pickle.loads(pickle.dumps(e.value))
    assert (type(again), str(again), again.help) == (kind, str(e.value), e.value.help)


# --- points, whatever they come as --------------------------------------------------------------------------


def frame():
    return pandas.DataFrame({"name": ["a", "b", "c"], "lon": PLACES[:, 0], "lat": PLACES[:, 1]})


def geo(crs="OGC:CRS84", **kwargs):
    shapes = geopandas.points_from_xy(*PLACES.T, crs="OGC:CRS84")
    return geopandas.GeoDataFrame({"name": ["a", "b", "c"]}, geometry=shapes, **kwargs).to_crs(crs)


FORMS = {
    "an array": lambda tmp: PLACES,
    "an array of float32 columns": lambda tmp: np.asfortranarray(PLACES),
    "a list of pairs": lambda tmp: PLACES.tolist(),
    "shapely points": lambda tmp: [shapely.Point(p) for p in PLACES],
    "a DataFrame": lambda tmp: frame(),
    "a DataFrame of other names": lambda tmp: frame().rename(columns={"lon": "longitude", "lat": "Latitude"}),
    "an Arrow table": lambda tmp: pa.table(frame()),
    "an Arrow batch": lambda tmp: pa.RecordBatch.from_pandas(frame()),
    "Arrow chunks": lambda tmp: pa.concat_tables([pa.table(frame()).slice(0, 1), pa.table(frame()).slice(1)]),
    "a GeoDataFrame": lambda tmp: geo(),
    "a projected GeoDataFrame": lambda tmp: geo("EPSG:32616"),
    "a GeoDataFrame with another geometry name": lambda tmp: geo().rename_geometry("where"),
    "a GeoSeries": lambda tmp: geo("EPSG:5070").geometry,
    "GeoArrow": lambda tmp: geo().to_arrow(geometry_encoding="geoarrow"),
    "a GeoJSON dict": lambda tmp: json.loads(geo().to_json()),
    "a file": lambda tmp: fixtures.write_points_csv(tmp / "p.csv", *PLACES.T),
    "a GeoParquet file": lambda tmp: geo("EPSG:5070").to_parquet(tmp / "p.parquet") or tmp / "p.parquet",
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_points_come_in_many_forms(tmp_path, wisconsin, decoded, form):
    given = FORMS[form](tmp_path)
    table = wisconsin.sample(given)
    assert np.array_equal(table.to_numpy(), at_places(decoded))
    assert np.allclose(np.stack([table.to_numpy("lon"), table.to_numpy("lat")], 1), PLACES, atol=1e-9)
    if hasattr(given, "columns") or form in ("GeoArrow", "a GeoJSON dict", "a GeoParquet file"):
        assert table.to_pyarrow()["name"].to_pylist() == ["a", "b", "c"]


def test_a_pair_and_a_text_are_one_point(wisconsin, decoded):
    for given in (tuple(PLACES[0]), PLACES[0], "-88.768,44.295"):
        assert np.array_equal(wisconsin.sample(given).to_numpy(), at_places(decoded)[:1])


def test_an_index_with_a_name_is_kept_and_one_without_is_not(wisconsin):
    named = frame().set_index("name")
    assert wisconsin.sample(named).to_pyarrow()["name"].to_pylist() == ["a", "b", "c"]
    assert wisconsin.sample(frame().iloc[[2, 0]]).columns[0] == "name"
    shuffled = geo().iloc[[2, 0]]
    assert not any("index" in c for c in wisconsin.sample(shuffled).columns)
    assert wisconsin.sample(geo().set_index("name")).to_pyarrow()["name"].to_pylist() == ["a", "b", "c"]


def test_places_that_are_missing_stay_in_their_rows(wisconsin):
    frame = geo()
    frame.loc[1, "geometry"] = None
    with pytest.warns(tv.TerravecWarning, match="1 row has no geometry"):
        table = wisconsin.sample(frame)
    assert table.status.tolist() == ["valid", "outside", "valid"]
    array = PLACES.copy()
    array[0] = np.nan
    with pytest.warns(tv.TerravecWarning):
        assert wisconsin.sample(array).valid.tolist() == [False, True, True]


@pytest.mark.parametrize(
    "given",
    [None, 3, "gone.csv", ["a", "b"], [[1, 2, 3]], [[1, 2], [3]], np.zeros((2, 3)), np.array([["1", "2"]]),
     np.array([[1 + 2j, 3]]), {"lon": [1.0]}, pandas.DataFrame({"a": [1]}), [(200.0, 10.0)], [(44.3, -98.8)], [],
     [(np.inf, 3.0)], geopandas.GeoSeries([shapely.box(0, 0, 1, 1)], crs=4326)],
    ids=lambda g: repr(g)[:20],
)  # fmt: skip
def test_what_holds_no_points_is_refused_with_advice(wisconsin, given):
    with pytest.raises(tv.InputError) as e:
        wisconsin.sample(given)
    assert e.value.help


@pytest.mark.parametrize(
    "options",
    [{"bbox": (1, 2, 3)}, {"bbox": "a,b,c,d"}, {"bbox": 7}, {"bbox": BBOX, "region": FIELD}, {"year": "20x4"}, {"year": True},
     {"year": 2024.5}, {"year": []}, {"crs": "EPSG:999999"}, {"resolution": -10.0}, {"resampling": "cubist"},
     {"codes": True, "resampling": "average"}, {"bands": ["A00", "A00"]}, {"region": 3}, {"region": [1]}],
    ids=repr,
)  # fmt: skip
def test_questions_that_make_no_sense_are_refused_with_advice(wisconsin, options):
    with pytest.raises((tv.QueryError, tv.InputError)) as e:
        wisconsin.extract(**options)
    assert e.value.help and "--" not in e.value.help


def test_no_point_with_a_vector_is_worth_a_warning(wisconsin):
    with pytest.warns(tv.TerravecWarning, match="swap longitude and latitude"):
        wisconsin.sample(PLACES[:, ::-1])


# --- what answers become ------------------------------------------------------------------------------------


def test_tables_become_frames(wisconsin):
    table = wisconsin.sample(geo(), year=2024)
    frame = table.to_pandas()
    assert np.array_equal(np.stack(frame["embedding"]), table.to_numpy())
    assert frame["time_start"][0] == pandas.Timestamp("2024-01-01", tz="UTC")
    places = table.to_geopandas()
    assert places.crs == pyproj.CRS("OGC:CRS84") and np.array_equal(places.geometry.x, PLACES[:, 0])
    assert places["name"].tolist() == ["a", "b", "c"]
    assert table.provenance["product"] == "alphaearth" and table.provenance["request"]["points"] == 3
    again = pickle.loads(pickle.dumps(table))
    assert again.to_pyarrow().equals(table.to_pyarrow()) and again.provenance == table.provenance
    assert again.bands == table.bands and len(again) == 3


def test_memory_is_shared_not_copied(wisconsin):
    table = wisconsin.sample(PLACES)
    arrow = pa.table(table)
    assert arrow["embedding"].chunk(0).values.buffers()[1].address == table.to_numpy().ctypes.data
    assert pa.table(table)["lon"].chunk(0).buffers()[1].address == arrow["lon"].chunk(0).buffers()[1].address
    assert not table.to_numpy().flags.writeable, "the table's memory is shared by all who look"
    raster = wisconsin.extract(bbox=BBOX)
    assert raster.values.flags.writeable and raster.values.flags.c_contiguous
    assert np.shares_memory(raster.to_xarray().values, raster.values)
    assert np.asarray(raster).ctypes.data == raster.values.ctypes.data
    numbers = table.to_numpy().copy()
    view = table.to_numpy()
    del table, arrow
    assert np.array_equal(view, numbers), "a view outlives its table"


def test_rasters_become_xarray_that_others_understand(seam, wisconsin, tmp_path):
    raster = wisconsin.extract(bbox=BBOX)
    array = raster.to_xarray()
    assert array.dims == ("band", "y", "x") and array.name == "embedding" and int(array.year) == 2024
    assert array.rio.crs == rasterio.CRS.from_epsg(32616)
    assert array.rio.transform() == rasterio.Affine(*raster.transform)
    assert np.isnan(array.rio.encoded_nodata) and array.odc.geobox.shape == raster.grid.shape
    assert array.odc.geobox.crs == "EPSG:32616" and array.odc.geobox.transform == rasterio.Affine(
        *raster.transform
    )
    array.rio.to_raster(tmp_path / "x.tif")
    with rasterio.open(tmp_path / "x.tif") as src:
        assert np.array_equal(src.read(), raster.values) and src.crs.to_epsg() == 32616
        assert src.transform == rasterio.Affine(*raster.transform)
    moved = array.isel(band=slice(3)).rio.reproject("EPSG:3857")
    assert moved.rio.crs.to_epsg() == 3857
    codes = wisconsin.extract(bbox=BBOX, codes=True).to_xarray()
    assert codes.name == "codes" and codes.rio.nodata == -128
    stack = tv.open(f"{products.ALPHAEARTH}={seam.root}").extract(bbox=seam.bbox).to_xarray()
    assert (
        stack.dims == ("year", "band", "y", "x") and stack.sel(year=2023, band="A05").shape == stack.shape[2:]
    )


def test_the_grid_of_another_raster(wisconsin, decoded):
    grid = wisconsin.extract(bbox=BBOX).grid
    again = wisconsin.extract(like=grid)
    assert again.grid == grid and np.array_equal(again.values, wisconsin.extract(bbox=BBOX).values)
    beyond = wisconsin.extract(like=grid.window(-40, -1000, 50, 8))
    assert beyond.shape == (64, 50, 8) and set(np.unique(beyond.status)) == {3}, (
        "an empty window is no failure"
    )
    window = wisconsin.extract(like=grid.window(-60, 5, 70, 30))
    want = oracle.window(decoded, grid_of(window)).astype(np.float32)
    assert np.isnan(want).any() and np.array_equal(window.values, want, equal_nan=True)
    albers = wisconsin.extract(bbox=BBOX, crs=5070, resolution=30, resampling="average")
    same = wisconsin.extract(like=albers, resampling="average")
    assert same.crs == "EPSG:5070" and np.array_equal(same.values, albers.values, equal_nan=True)


@pytest.mark.parametrize("kept", [0, 100_000, 1 << 30])
def test_blocks_that_are_kept_change_nothing(big, kept):
    """Kept from the second reading on; windows over several blocks, other bands and codes between."""
    ds = tv.open(f"{products.ALPHAEARTH}={big.root}", block_cache=kept)
    whole = ds.extract()
    decoded = big.decoded().values.astype(np.float32)
    rng = np.random.default_rng(0)
    for i in range(24):
        row, col = (int(v) for v in rng.integers(0, 500, 2))
        grid = whole.grid.window(row, col, 90, 130)
        if i % 3 == 0:
            few = ds.extract(like=grid, bands=["A07", "A02"]).values
            assert np.array_equal(few, decoded[[7, 2], row : row + 90, col : col + 130], equal_nan=True)
            codes = ds.extract(like=grid, codes=True).values
            assert np.array_equal(codes, big.codes[:, row : row + 90, col : col + 130])
        got = ds.extract(like=grid).values
        assert np.array_equal(got, decoded[:, row : row + 90, col : col + 130], equal_nan=True)


def test_things_show_themselves(wisconsin):
    for thing, words in [
        (wisconsin, ["alphaearth", "pixel", "64 numbers", "EPSG:32616", "2024", "-88.77"]),
        (wisconsin.sample(PLACES), ["3 valid", "alphaearth", "embedding", "-0.1085"]),
        (wisconsin.extract(bbox=BBOX), ["64 band", "75 x", "EPSG:32616", "A00 … A63", "5250 of 5250"]),
        (tv.products(), ["tessera", "geoclip"]),
        (tv.product("tessera"), ["tessera", "128"]),
    ]:
        for text in (repr(thing), thing._repr_html_()):
            assert all(word in text for word in words), text
    assert "<script" not in tv.Product(id="<script>", name="x", kind="pixel")._repr_html_()


# --- the package --------------------------------------------------------------------------------------------


def test_a_users_own_product(tmp_path, whole_earth):
    (tmp_path / "mine.toml").write_text(
        'id = "earth8"\nname = "Eight bands"\nsummary = "Mine."\nkind = "pixel"\nformat = "geotiff"\ndimension = 8\n'
        'dtype = "float32"\ncodec = "identity"\nunknown = ["licence"]\n'
    )
    ds = tv.open(f"earth8={whole_earth.path}", catalog=tmp_path / "mine.toml", cache_dir=tmp_path / "cache")
    assert ds.product.id == "earth8" and tv.product("earth8", catalog=[tmp_path / "mine.toml"]).id == "earth8"
    raster = ds.extract(bbox=(-1, -1, 1, 1))
    x, y = grid_of(raster).centers()
    assert np.array_equal(raster.values[0], x.astype(np.float32)) and np.array_equal(
        raster.values[1], y.astype(np.float32)
    )
    assert raster.years == [None] and "year" not in raster.to_xarray().coords


def test_location_encoders_answer_samples(tmp_path):
    rng = np.random.default_rng(8)
    arrays = ref.geoclip_weights(rng, outputs=512)
    ds = tv.open(f"geoclip={ref.write_safetensors(tmp_path / 'w.safetensors', arrays)}")
    table = ds.sample(frame())
    assert np.allclose(table.to_numpy(), ref.geoclip(arrays, *PLACES.T), atol=2e-5)
    assert table.to_pyarrow()["name"].to_pylist() == ["a", "b", "c"] and table.valid.all()
    assert ds.info["product"] == "geoclip" and "location" in repr(ds)
    for ask in (
        lambda: ds.sample(PLACES, codes=True),
        lambda: ds.sample(PLACES, year=2024),
        lambda: ds.extract(),
    ):
        with pytest.raises(tv.QueryError) as e:
            ask()
        assert e.value.help and "--" not in e.value.help
    with pytest.raises(tv.SourceError, match="weights"):
        tv.open("geoclip")


def python(code, **kwargs):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, **kwargs)


def test_nothing_but_numpy_is_imported(tmp_path):
    done = python(
        f"import sys, terravec as tv\nds = tv.open({WISCONSIN!r})\n"
        f"ds.sample([(-88.768, 44.295)]).to_numpy()\nds.extract(bbox={BBOX}).values\nrepr(ds)\n"
        "heavy = {'pandas', 'pyarrow', 'geopandas', 'xarray', 'torch', 'dask', 'shapely', 'pyproj', 'rasterio', 'tqdm'}\n"
        "print(sorted(heavy & set(sys.modules)))",
    )
    assert done.stdout.strip() == "[]", done.stderr


@pytest.mark.parametrize(
    ("module", "call", "extra"),
    [
        ("pyarrow", "ds.sample(p).to_pyarrow()", "arrow"),
        ("pandas", "ds.sample(p).to_pandas()", "pandas"),
        ("geopandas", "ds.sample(p).to_geopandas()", "geopandas"),
        ("xarray", "ds.extract(bbox=b).to_xarray()", "xarray"),
        ("torch", "ds.extract(bbox=b).to_torch()", "torch"),
        ("tqdm", "ds.extract(bbox=b, progress=True)", "progress"),
    ],
)
def test_a_missing_extra_is_named(module, call, extra):
    done = python(
        f"import sys\nsys.modules[{module!r}] = None\nimport terravec as tv\n"
        f"ds, p, b = tv.open({WISCONSIN!r}), [(-88.768, 44.295)], {BBOX}\n"
        f"try: {call}\nexcept ImportError as e: print(e, '|', e.help)"
    )
    assert module in done.stdout and f"terravec[{extra}]" in done.stdout, done.stderr


def test_the_stubs_say_what_is_there():
    """Names and arguments of the native half, as type checkers read them and as they are."""
    stub = ast.parse((Path(tv.__file__).parent / "_native.pyi").read_text())
    assert (Path(tv.__file__).parent / "py.typed").exists()

    def arguments(node):
        names = [a.arg for a in node.args.args if a.arg not in ("self", "cls")]
        return None if any(getattr(d, "id", "") == "property" for d in node.decorator_list) else names

    def members(nodes):
        return {n.name: n for n in nodes if isinstance(n, ast.FunctionDef | ast.ClassDef)}

    def there(thing):
        found = {n for n in vars(thing) if not n.startswith("_")}
        return found | ({"__arrow_c_stream__"} & set(vars(thing)))

    told = members(stub.body)
    assert set(told) == there(_native)
    for name, node in told.items():
        thing = getattr(_native, name)
        if isinstance(node, ast.FunctionDef):
            assert arguments(node) == list(inspect.signature(thing).parameters), name
            continue
        methods = members(node.body)
        assert {m for m in methods if m not in ("__init__", "__len__")} == there(thing), name
        for method, of in methods.items():
            if arguments(of) is not None and method not in ("__init__", "__len__"):
                real = [p for p in inspect.signature(getattr(thing, method)).parameters if p != "self"]
                assert arguments(of) == real, f"{name}.{method}"


def test_the_wheel_brings_the_command(terravec, tmp_path):
    command = [sys.executable, "-c", "import sys; from terravec._cli import main; sys.exit(main())"]

    def both(*args):
        mine = subprocess.run([*command, *args], capture_output=True, text=True, timeout=60, env=terravec.env)
        other = terravec.raw(*args)
        assert (mine.returncode, mine.stdout, mine.stderr) == (other.returncode, other.stdout, other.stderr)
        return mine

    assert both("--version").returncode == 0 and both("info", WISCONSIN).stdout
    assert both("smaple").returncode == 2 and both("info", "gone").returncode == 1
    assert both("sample", WISCONSIN, "--points", "-88.768,44.295", "--json").returncode == 0


def test_progress_is_told(big):
    ds = tv.open(f"{products.ALPHAEARTH}={big.root}")
    told = []
    ds.extract(progress=lambda done, all: told.append((done, all)))
    assert told[-1][0] == told[-1][1] > 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ds.extract(bbox=(3.04, 52.04, 3.05, 52.05), progress=True)

    def refuse(done, all):
        raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        ds.extract(progress=refuse)
