"""Location encoders as datasets: on grids, over polygons, described; baselines without weights."""

import json

import location_reference as ref
import numpy as np
import pyarrow.parquet as pq
import pyproj
import pytest
import rasterio
import rasterio.features

DIM = 40


def descriptor(folder, name, architecture, dimension, more=""):
    """A user's own encoder: a product that no code knows."""
    path = folder / f"{name}.toml"
    path.write_text(
        f'id = "{name}"\nname = "A test"\nsummary = "A test."\nkind = "location"\nformat = "weights"\n'
        f'dimension = {dimension}\ncodec = "identity"\nlicence = "MIT"\n{more}\n'
        f'[encoder]\narchitecture = "{architecture}"\ninput = "lat_lon"\nscaling = "as published"\n'
        f"dimensions = [{dimension}]\n"
    )
    return path


class Encoder:
    """Random weights, how the command opens them, and what they give."""

    def __init__(self, folder, name, architecture, dimension, arrays, encode):
        self.arrays, self.encode = arrays, encode
        weights = ref.write_safetensors(folder / f"{name}.safetensors", arrays)
        self.dataset = f"{name}={weights}"
        self.catalog = ("--catalog", descriptor(folder, name, architecture, dimension))


@pytest.fixture(scope="module")
def geo(tmp_path_factory):
    arrays = ref.geoclip_weights(np.random.default_rng(5), outputs=DIM)
    folder = tmp_path_factory.mktemp("geo")
    return Encoder(folder, "my-geoclip", "geoclip", DIM, arrays, lambda *p: ref.geoclip(arrays, *p, ""))


@pytest.fixture(scope="module")
def yearly(tmp_path_factory):
    arrays = ref.mind_weights(np.random.default_rng(6), True)
    folder = tmp_path_factory.mktemp("yearly")

    def encode(lon, lat, year):
        return ref.mind(arrays, lon, lat, year=np.full(len(lon), year))[:, :DIM]

    return Encoder(folder, "my-mind", "mind", DIM, arrays, encode)


@pytest.fixture(scope="module")
def monthly(tmp_path_factory):
    arrays = ref.climplicit_weights(np.random.default_rng(7), outputs=DIM)
    folder = tmp_path_factory.mktemp("monthly")

    def encode(lon, lat, month):
        return ref.climplicit(arrays, lon, lat, np.full(len(lon), month))

    return Encoder(folder, "my-climplicit", "climplicit", DIM, arrays, encode)


def centres(transform, height, width):
    rows, cols = np.mgrid[:height, :width]
    t = transform
    return t.c + t.a * (cols.ravel() + 0.5), t.f + t.e * (rows.ravel() + 0.5)


def image(values, height, width):
    """(places, bands) as (band, y, x)."""
    return values.T.reshape(-1, height, width)


def test_a_grid_has_the_vector_of_every_centre(terravec, tmp_path, geo):
    out = tmp_path / "o.tif"
    said = terravec.json(
        "extract", geo.dataset, *geo.catalog, "--bbox", "-20,-30,42,31", "--resolution", 2.5, "-o", out
    )
    with rasterio.open(out) as src:
        assert (src.crs.to_epsg(), src.width, src.height, src.count) == (4326, 25, 25, DIM)
        assert src.transform == rasterio.Affine(2.5, 0, -20, 0, -2.5, 32.5)
        assert src.dtypes[0] == "float32" and np.isnan(src.nodata)
        assert src.descriptions == tuple(f"e{i}" for i in range(DIM))
        got, where = src.read(), centres(src.transform, 25, 25)
        provenance = json.loads(src.tags()["TERRAVEC_PROVENANCE"])
    assert np.abs(got - image(geo.encode(*where), 25, 25)).max() < 2e-5
    assert said["pixels"] == said["valid_pixels"] == 625 and said["grid"]["crs"] == "EPSG:4326"
    assert provenance["product"] == "my-geoclip" and provenance["dimension"] == DIM
    assert provenance["sources"] == [geo.dataset.split("=")[1]]
    assert "geoclip" in provenance["decode"] and "sha256" in provenance["decode"]


def test_formats_agree(terravec, tmp_path, geo):
    ask = ("extract", geo.dataset, *geo.catalog, "--bbox", "0,0,30,20", "--resolution", 1)
    for name in ("o.npy", "o.tif", "o.parquet", "o.png"):
        terravec(*ask, "-o", tmp_path / name)
    array = np.load(tmp_path / "o.npy")
    assert array.shape == (DIM, 20, 30) and array.dtype == np.float32
    with rasterio.open(tmp_path / "o.tif") as src:
        assert np.array_equal(src.read(), array)
        x, y = centres(src.transform, 20, 30)
    table = pq.read_table(tmp_path / "o.parquet")
    order = np.lexsort((table["lon"].to_numpy(), -table["lat"].to_numpy()))
    assert np.allclose(table["lon"].to_numpy()[order], x) and np.allclose(table["lat"].to_numpy()[order], y)
    vectors = np.array(table["embedding"].to_pylist(), dtype=np.float32)[order]
    assert np.array_equal(image(vectors, 20, 30), array)
    with rasterio.open(tmp_path / "o.png") as src:
        assert (src.count, src.height, src.width) == (4, 20, 30) and (src.read(4) == 255).all()


def test_chunks_and_bands_do_not_matter(terravec, tmp_path, geo):
    """More pixels than a chunk holds, and a few bands in an order of one's own."""
    ask = ("extract", geo.dataset, *geo.catalog, "--bbox", "0,0,13.5,5.5", "--resolution", 0.01)
    terravec(*ask, "--bands", "e7,0", "-o", tmp_path / "two.npy")
    got = np.load(tmp_path / "two.npy", mmap_mode="r")
    assert got.shape == (2, 550, 1350)
    rng = np.random.default_rng(1)
    rows, cols = rng.integers(0, 550, 300), rng.integers(0, 1350, 300)
    expected = geo.encode(0.005 + cols * 0.01, 5.495 - rows * 0.01)[:, [7, 0]]
    assert np.abs(got[:, rows, cols].T - expected).max() < 2e-5


@pytest.mark.parametrize("crs", ["EPSG:3035", "EPSG:32633", "EPSG:8857"])
def test_any_crs(terravec, tmp_path, geo, crs):
    out = tmp_path / "o.tif"
    box = "4,45,25,58"
    terravec(
        "extract", geo.dataset, *geo.catalog, "--bbox", box, "--crs", crs, "--resolution", 1e5, "-o", out
    )
    with rasterio.open(out) as src:
        assert src.crs.to_epsg() == int(crs[5:])
        got, (x, y) = src.read(), centres(src.transform, src.height, src.width)
    lon, lat = pyproj.Transformer.from_crs(crs, "OGC:CRS84", always_xy=True).transform(x, y)
    assert np.abs(got - image(geo.encode(lon, lat), *got.shape[1:])).max() < 2e-5


def test_pixels_that_are_no_place_have_no_vector(terravec, tmp_path):
    """The corners of a map of the world in Equal Earth, and what lies beyond a pole."""
    out = tmp_path / "o.tif"
    world = ("--bbox", "-180,-90,180,90")
    terravec("extract", "sincos", *world, "--crs", "EPSG:8857", "--resolution", 5e5, "-o", out)
    with rasterio.open(out) as src:
        got, (x, y) = src.read(1), centres(src.transform, src.height, src.width)
    to = pyproj.Transformer.from_crs("EPSG:8857", "OGC:CRS84", always_xy=True)
    lon, lat = to.transform(x, y)
    back = np.array(pyproj.Transformer.from_crs("OGC:CRS84", "EPSG:8857", always_xy=True).transform(lon, lat))
    there = np.isfinite(lon) & (np.hypot(back[0] - x, back[1] - y) < 1)
    assert 0.6 < there.mean() < 0.95
    assert np.array_equal(~np.isnan(got.ravel()), there)
    assert np.allclose(got.ravel()[there], np.sin(np.radians(lat[there])), atol=1e-6)
    terravec("extract", "sincos", *world, "--resolution", 7, "-o", tmp_path / "o.npy")
    rows = np.isnan(np.load(tmp_path / "o.npy")).any(axis=(0, 2))
    # 91° north is the upper edge; the lowest row has its centre at 87.5° south.
    assert len(rows) == 26 and not rows.any()


def test_a_box_over_the_antimeridian_is_one_piece(terravec, tmp_path, geo):
    ask = ("extract", geo.dataset, *geo.catalog, "--bbox", "170,-20,-165,0", "--resolution", 5)
    terravec(*ask, "-o", tmp_path / "o.tif")
    terravec(*ask, "-o", tmp_path / "o.parquet")
    with rasterio.open(tmp_path / "o.tif") as src:
        assert (src.width, src.height, src.bounds.left, src.bounds.right) == (5, 4, 170, 195)
        got, (x, y) = src.read(), centres(src.transform, 4, 5)
    lon = np.where(x > 180, x - 360, x)
    assert np.abs(got - image(geo.encode(lon, y), 4, 5)).max() < 2e-5
    assert np.allclose(pq.read_table(tmp_path / "o.parquet")["lon"].to_numpy(), lon)


REGION = {
    "type": "FeatureCollection",
    "features": [
        {
            "type": "Feature",
            "properties": {"name": name},
            "geometry": {"type": "Polygon", "coordinates": [ring]},
        }
        for name, ring in [
            ("kite", [[10.1, 10.2], [20.3, 13.9], [28.9, 10.1], [20.2, 1.3], [10.1, 10.2]]),
            ("square", [[-9.9, -9.8], [-2.1, -9.8], [-2.1, -2.2], [-9.9, -2.2], [-9.9, -9.8]]),
        ]
    ],
}


@pytest.fixture
def region(tmp_path):
    path = tmp_path / "r.geojson"
    path.write_text(json.dumps(REGION))
    return path


@pytest.mark.parametrize("touched", [False, True])
def test_polygons_cut(terravec, tmp_path, geo, region, touched):
    out = tmp_path / "o.tif"
    ask = ("extract", geo.dataset, *geo.catalog, "--region", region, "--resolution", 0.5, "-o", out)
    terravec(*ask, *(["--all-touched"] if touched else []))
    with rasterio.open(out) as src:
        got, transform = src.read(), src.transform
    shapes = [f["geometry"] for f in REGION["features"]]
    inside = rasterio.features.geometry_mask(
        shapes, got.shape[1:], transform, all_touched=touched, invert=True
    )
    assert np.array_equal(~np.isnan(got), np.broadcast_to(inside, got.shape))
    expected = image(geo.encode(*centres(transform, *got.shape[1:])), *got.shape[1:])
    assert np.abs(got - expected)[:, inside].max() < 2e-5


def test_one_vector_per_polygon(terravec, tmp_path, geo, region):
    out = tmp_path / "o.parquet"
    ask = ("extract", geo.dataset, *geo.catalog, "--region", region, "--resolution", 0.5, "-o", out)
    terravec(*ask, "--reduce", "mean")
    table = pq.read_table(out)
    assert table["name"].to_pylist() == ["kite", "square"]
    transform = rasterio.Affine(0.5, 0, -10, 0, -0.5, 14)
    for row, feature in enumerate(REGION["features"]):
        inside = rasterio.features.geometry_mask([feature["geometry"]], (48, 78), transform, invert=True)
        x, y = centres(transform, 48, 78)
        vectors = geo.encode(x[inside.ravel()], y[inside.ravel()])
        assert table["pixels"][row].as_py() == len(vectors)
        assert np.abs(np.array(table["embedding"][row].as_py()) - vectors.mean(axis=0)).max() < 2e-5
    terravec(
        "extract",
        "sincos",
        "--region",
        region,
        "--resolution",
        0.5,
        "--reduce",
        "medoid",
        "-o",
        out,
        "--force",
    )
    assert pq.read_table(out)["embedding"].null_count == 0


def test_years(terravec, tmp_path, yearly):
    ask = ("extract", yearly.dataset, *yearly.catalog, "--bbox", "0,0,6,4", "--resolution", 2)
    said = terravec.fails(1, *ask, "-o", tmp_path / "o.npy")
    assert "year" in said and "--year" in said
    terravec(*ask, "--year", "2019..2021", "-o", tmp_path / "o.npy")
    got = np.load(tmp_path / "o.npy")
    assert got.shape == (3, DIM, 2, 3)
    x, y = centres(rasterio.Affine(2, 0, 0, 0, -2, 4), 2, 3)
    for i, year in enumerate((2019, 2020, 2021)):
        assert np.abs(got[i] - image(yearly.encode(x, y, year), 2, 3)).max() < 1e-3
    terravec(*ask, "--year", "2019,2021", "-o", tmp_path / "o.tif")
    with rasterio.open(tmp_path / "o_2021.tif") as src:
        assert np.array_equal(src.read(), got[2])
    assert "--month" in terravec.fails(1, *ask, "--year", 2020, "--month", 3, "-o", tmp_path / "x.tif")


def test_months(terravec, tmp_path, monthly):
    ask = ("extract", monthly.dataset, *monthly.catalog, "--bbox", "0,0,6,4", "--resolution", 2)
    assert "--month" in terravec.fails(1, *ask, "-o", tmp_path / "o.npy")
    assert "--year" in terravec.fails(1, *ask, "--month", 4, "--year", 2020, "-o", tmp_path / "o.npy")
    terravec.fails(2, *ask, "--month", 13, "-o", tmp_path / "o.npy")
    said = terravec.json(*ask, "--month", 4, "-o", tmp_path / "o.npy")
    assert said["provenance"]["request"]["month"] == 4
    x, y = centres(rasterio.Affine(2, 0, 0, 0, -2, 4), 2, 3)
    assert np.abs(np.load(tmp_path / "o.npy") - image(monthly.encode(x, y, 4), 2, 3)).max() < 2e-3


def test_a_join_gives_the_month_to_those_that_want_it(terravec, tmp_path, geo, monthly):
    out = tmp_path / "o.parquet"
    both = (geo.dataset, monthly.dataset, *geo.catalog, *monthly.catalog)
    terravec("sample", *both, "--points", "2.35,48.85", "--month", 4, "-o", out)
    table, place = pq.read_table(out), (np.array([2.35]), np.array([48.85]))
    for name, expected, tolerance in [
        ("my_geoclip", geo.encode(*place), 2e-5),
        ("my_climplicit", monthly.encode(*place, 4), 2e-3),
    ]:
        got = np.array(table[f"{name}_embedding"].to_pylist())
        assert np.abs(got - expected).max() < tolerance
    said = terravec.fails(2, "sample", geo.dataset, "sincos", *geo.catalog, "--points", "2,48", "--month", 4)
    assert "--month" in said


def test_what_makes_no_sense_is_said(terravec, tmp_path, geo, region):
    ask = ("extract", geo.dataset, *geo.catalog, "--bbox", "0,0,6,4")
    out = ("-o", tmp_path / "x.tif")
    assert "--resolution, in degrees" in terravec.fails(1, *ask, *out)
    assert "units of the CRS" in terravec.fails(1, *ask, "--crs", "EPSG:3035", *out)
    assert "coarser" in terravec.fails(1, *ask, "--resolution", 1e-7, *out)
    assert "-1 is no pixel size" in terravec.fails(1, *ask, "--resolution=-1", *out)
    assert "--codes" in terravec.fails(1, *ask, "--resolution", 1, "--codes", *out)
    assert "--resampling" in terravec.fails(1, *ask, "--resolution", 1, "--resampling", "average", *out)
    assert "e0 … e39" in terravec.fails(1, *ask, "--resolution", 1, "--bands", "A00", *out)
    said = terravec.fails(1, "convert", geo.dataset, tmp_path / "x.tif", *geo.catalog, "--resolution", 1)
    assert "no data of its own" in said and "terravec extract" in said
    assert not list(tmp_path.glob("x*"))


def test_points_not_on_earth_are_refused_by_line(terravec, tmp_path):
    points = tmp_path / "p.csv"
    for text, words in [
        ("lon,lat\n2.3,48.8\n48.8,123.0\n", ("p.csv", "3", "123")),
        ("lon,lat\n2.3,48.8\n5,5\n512000,4649776\n", ("p.csv", "4", "4649776")),
        ("lon,lat\n2.3,48.8\n300,10\n", ("p.csv", "3", "300")),
    ]:
        points.write_text(text)
        said = terravec.fails(1, "sample", "sincos", "--points", points)
        assert all(word in said for word in words), said


def test_baselines_need_no_weights(terravec, tmp_path):
    rng = np.random.default_rng(3)
    lon, lat = rng.uniform(-180, 180, 200), np.degrees(np.arcsin(rng.uniform(-1, 1, 200)))
    points = tmp_path / "p.csv"
    points.write_text(
        "lon,lat\n" + "".join(f"{x!r},{y!r}\n" for x, y in zip(lon.tolist(), lat.tolist(), strict=True))
    )
    x, y = np.radians(lon), np.radians(lat)
    harmonics = ref.harmonics(lon, lat, 20, "geographic")
    for name, expected in [
        ("sincos", np.stack([np.sin(y), np.cos(y), np.sin(x), np.cos(x)], axis=1)),
        ("spherical-harmonics", harmonics[:, :100]),
        ("spherical-harmonics@l20", harmonics),
    ]:
        table = terravec.table(name, "--points", points, out=tmp_path / "o.parquet")
        (tmp_path / "o.parquet").unlink()
        assert np.abs(np.array(table["embedding"].to_pylist()) - expected).max() < 2e-6
    assert "no weights" in terravec.fails(1, "sample", f"sincos={points}", "--points", "1,2")
    said = terravec.fails(1, "sample", "spherical-harmonics@l30", "--points", "1,2")
    assert "l30" in said and "l20" in said


def test_info_and_coverage_say_what_it_is(terravec, geo, yearly, monthly):
    said = terravec.json("info", geo.dataset, *geo.catalog)
    assert said["kind"] == "location" and said["architecture"] == "geoclip"
    assert (said["dimension"], said["inputs"], said["time"]) == (DIM, ["lon", "lat"], "none")
    assert said["parameters"] == sum(a.size for a in geo.arrays.values())
    assert said["precision"] == "float32" and said["licence"] == "MIT"
    [weights] = said["weights"]
    assert weights["path"] == geo.dataset.split("=")[1] and len(weights["sha256"]) == 64
    assert terravec.json("info", yearly.dataset, *yearly.catalog)["time"] == "year"
    assert terravec.json("info", monthly.dataset, *monthly.catalog)["inputs"] == ["lon", "lat", "month"]
    text = terravec("info", geo.dataset, *geo.catalog).stdout
    assert all(
        w in text for w in (weights["sha256"], f"{DIM} numbers", f"{said['parameters']} parameters", "MIT")
    )
    covered = terravec.json("coverage", monthly.dataset, *monthly.catalog)
    assert covered["bbox"] == [-180, -90, 180, 90] and covered["time"] == "month" and covered["tiles"] == []
    assert "every place" in terravec("coverage", "sincos").stdout


def test_weights_of_another_length_are_refused(terravec, geo):
    weights = geo.dataset.split("=")[1]
    said = terravec.fails(1, "info", f"geoclip={weights}")
    assert f"{DIM} numbers" in said and "512" in said and "my-geoclip.safetensors" in said
    assert "feats.0" in terravec.fails(1, "info", f"sinr={weights}")
