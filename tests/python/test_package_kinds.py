"""The Python package on tables of vectors and on encoders, and joins of all kinds."""

import json

import fixtures
import geopandas
import location_reference as ref
import numpy as np
import products
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely
import terravec as tv
from conftest import TESTDATA

CLAY = f"clay-v0={TESTDATA / 'patch' / 'clay_v0_03WVN_60.gpq'}"
WISCONSIN = f"{products.ALPHAEARTH}={TESTDATA / 'alphaearth' / 'wisconsin'}"


@pytest.fixture(scope="module")
def clay():
    return tv.open(CLAY)


@pytest.fixture(scope="module")
def rows():
    """The file, by pyarrow: vectors and shapes."""
    table = pq.read_table(TESTDATA / "patch" / "clay_v0_03WVN_60.gpq")
    vectors = np.stack(table["embeddings"].to_numpy(zero_copy_only=False)).astype(np.float32)
    return vectors, shapely.from_wkb(table["geometry"].to_numpy(zero_copy_only=False))


@pytest.fixture
def encoder(tmp_path):
    arrays = ref.geoclip_weights(np.random.default_rng(8), outputs=512)
    return f"geoclip={ref.write_safetensors(tmp_path / 'w.safetensors', arrays)}", arrays


def centres(shapes):
    return np.array([[s.centroid.x, s.centroid.y] for s in shapes])


# --- tables -------------------------------------------------------------------------------------------------


def test_all_rows_of_a_table(terravec, tmp_path, clay, rows):
    vectors, shapes = rows
    table = clay.extract()
    assert isinstance(table, tv.Table) and len(table) == 60 and table.valid.all()
    assert np.array_equal(table.to_numpy(), vectors)
    places = table.to_geopandas()
    assert all(shapely.equals_exact(a, b, 1e-9) for a, b in zip(places.geometry, shapes, strict=True))
    assert "source_url" in table.columns and table.provenance["product"] == "clay-v0"
    assert clay.info == terravec.json("info", CLAY) and "60" in repr(clay) and "clay-v0" in clay._repr_html_()
    assert clay.coverage() == terravec.json("coverage", CLAY)["files"]
    terravec("convert", CLAY, tmp_path / "cli.parquet")
    assert clay.convert(tmp_path / "py.parquet") == [str(tmp_path / "py.parquet")]
    assert (tmp_path / "py.parquet").read_bytes() == (tmp_path / "cli.parquet").read_bytes()


def test_rows_of_an_area(clay, rows):
    vectors, shapes = rows
    west, south, east, north = shapely.total_bounds(shapes)
    box = (west, south, (west + east) / 2, (south + north) / 2)
    touched = shapely.intersects(shapely.box(*box), shapes)
    assert 0 < touched.sum() < 60
    assert np.array_equal(clay.extract(bbox=box).to_numpy(), vectors[touched])
    triangle = shapely.Polygon([(west, south), (east, south), (west, north)])
    inside = shapely.intersects(triangle, shapes)
    assert np.array_equal(clay.extract(region=triangle).to_numpy(), vectors[inside])
    few = clay.extract(where=["index<10"])
    assert len(few) < 60 and max(few.to_pyarrow()["index"].to_pylist()) < 10
    with pytest.raises(tv.OutsideError):
        clay.extract(bbox=(0, 0, 1, 1))


def test_points_take_the_patch_that_contains_them(terravec, tmp_path, clay, rows):
    vectors, shapes = rows
    places = centres(shapes)
    table = clay.sample(places)
    assert np.array_equal(table.to_numpy(), vectors)
    points = fixtures.write_points_csv(tmp_path / "p.csv", *places.T)
    want = terravec.table(CLAY, "--points", points, "--nearest", 2, out=tmp_path / "n.parquet")
    got = clay.sample(points, nearest=2).to_pyarrow()
    assert got.replace_schema_metadata().equals(want.replace_schema_metadata())
    with pytest.raises(tv.QueryError, match="within"):
        clay.sample(places, within=100.0)


@pytest.mark.parametrize(
    "options",
    [{"crs": 3857}, {"resolution": 10.0}, {"resampling": "average"}, {"bands": [0]}, {"month": 3}, {"time": "x"}, {"where": "index"}],
    ids=repr,
)  # fmt: skip
def test_what_tables_do_not_have_is_refused(clay, options):
    with pytest.raises(tv.QueryError) as e:
        clay.extract(**options)
    assert e.value.help and "--" not in e.value.help
    with pytest.raises(tv.QueryError):
        clay.reduce(shapely.box(0, 0, 1, 1))


@pytest.mark.parametrize(
    "options", [{"time": "2022"}, {"where": "a=1"}, {"skip_bad": True}, {"keep_duplicates": True}], ids=repr
)
def test_what_rasters_do_not_have_is_refused(options):
    with pytest.raises(tv.QueryError, match="table") as e:
        tv.open(WISCONSIN).extract(**options)
    assert e.value.help


def test_rows_with_faults_are_counted():
    planet = tv.open(TESTDATA / "patch" / "planet_like.parquet")
    with pytest.raises(tv.TerravecError) as e:
        planet.extract()
    assert "skip_bad=True" in e.value.help
    with pytest.warns(tv.TerravecWarning, match="1 rows left out"):
        table = planet.extract(skip_bad=True)
    assert not table.valid.all() and np.isnan(table.to_numpy()[~table.valid]).all()


# --- encoders -----------------------------------------------------------------------------------------------


def test_an_encoder_fills_a_grid(terravec, tmp_path, encoder):
    spec, arrays = encoder
    ds = tv.open(spec)
    assert ds.info == terravec.json("info", spec)
    raster = ds.extract(bbox=(10, 20, 12, 21), resolution=0.25)
    assert raster.shape[1:] == (4, 8) and raster.valid.all() and raster.crs == "EPSG:4326"
    x, y = np.meshgrid(raster.grid.x, raster.grid.y)
    want = ref.geoclip(arrays, x.ravel(), y.ravel())
    assert np.allclose(raster.values.reshape(len(raster.values), -1).T, want, atol=2e-5)
    like = ds.extract(like=raster.grid)
    assert np.array_equal(like.values, raster.values)
    mean = ds.reduce(shapely.box(10, 20, 12, 21), resolution=0.25)
    assert mean.to_numpy("pixels")[0] == 32 and np.allclose(mean.to_numpy()[0], want.mean(axis=0), atol=1e-5)
    with pytest.raises(tv.QueryError, match="resolution"):
        ds.extract(bbox=(10, 20, 12, 21))
    with pytest.raises(tv.QueryError, match="files"):
        ds.coverage()


def test_weights_are_told_before_they_are_fetched(terravec, tmp_path):
    wanted = tv.download("geoclip", dry_run=True, cache_dir=tmp_path)
    assert wanted == terravec.json("download", "geoclip", "--dry-run", "--cache-dir", tmp_path)
    assert (
        not wanted[0]["present"]
        and wanted[0]["path"].startswith(str(tmp_path))
        and not list(tmp_path.iterdir())
    )
    with pytest.raises(tv.SourceError, match="no location encoder"):
        tv.download("esd")


# --- joins --------------------------------------------------------------------------------------------------


def test_a_join_has_each_product_in_columns_of_its_own(terravec, tmp_path, encoder):
    spec, arrays = encoder
    places = np.array([[-88.768, 44.295], [10.0, 10.0]])
    frame = geopandas.GeoDataFrame(
        {"name": ["a", "b"]}, geometry=geopandas.points_from_xy(*places.T, crs=4326)
    )
    table = tv.join([WISCONSIN, tv.open(spec)], frame)
    assert table.to_pyarrow()["name"].to_pylist() == ["a", "b"] and len(table.provenance) == 2
    alone = tv.open(WISCONSIN).sample(places).to_numpy()
    assert np.array_equal(table.to_numpy("alphaearth"), alone, equal_nan=True)
    assert np.allclose(table.to_numpy("geoclip"), ref.geoclip(arrays, *places.T), atol=2e-5)
    assert table.valid.tolist() == [True, False] and table.status.tolist() == ["valid", "outside"]
    assert "alphaearth" in repr(table) and "geoclip" in repr(table)
    with pytest.raises(tv.QueryError, match="several products") as e:
        table.to_numpy()
    assert "alphaearth, geoclip" in e.value.help
    points = fixtures.write_points_csv(tmp_path / "p.csv", *places.T)
    want = terravec.table(WISCONSIN, spec, "--points", points, out=tmp_path / "j.parquet")
    got = tv.join([WISCONSIN, spec], points)
    assert (
        got.to_pyarrow().replace_schema_metadata().to_pylist() == want.replace_schema_metadata().to_pylist()
    )
    assert got.provenance == json.loads(want.schema.metadata[b"terravec"])
    got.write(tmp_path / "py.parquet")
    assert (tmp_path / "py.parquet").read_bytes() == (tmp_path / "j.parquet").read_bytes()
    assert len(tv.join([WISCONSIN, spec], places, inner=True)) == 1


def test_a_join_at_patches(encoder, rows):
    spec, arrays = encoder
    vectors, shapes = rows
    table = tv.join([spec], patches=CLAY)
    assert np.array_equal(table.to_numpy("clay-v0"), vectors)
    assert np.allclose(table.to_numpy("geoclip"), ref.geoclip(arrays, *centres(shapes).T), atol=1e-3)
    with pytest.raises(tv.QueryError, match="exclude"):
        tv.join([spec], [(1, 2)], patches=CLAY)
    assert pa.table(table).num_rows == 60
