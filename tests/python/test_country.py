"""Countries as areas: against shapely, on the borders that the command carries."""

import gzip
import json

import numpy as np
import products
import pyarrow as pa
import pyarrow.parquet as pq
import pyproj
import pytest
import rasterio
import shapely
import shapely.geometry
from conftest import ROOT, TESTDATA

LABELLED = f"alphaearth={TESTDATA / 'alphaearth' / 'labelled'}"
SIDE = 40_960.0


@pytest.fixture(scope="module")
def borders():
    shapes = {}
    with gzip.open(ROOT / "crates/terravec/data/countries.tsv.gz", "rt", encoding="utf-8") as lines:
        for line in lines:
            alpha2, alpha3, names, shape = line.rstrip("\n").split("\t")
            shapes[alpha3 or names] = (alpha2, names.split("|"), shapely.geometry.shape(json.loads(shape)))
    return shapes


def test_borders_are_valid_and_lie_on_the_globe(borders):
    assert len(borders) == 240
    for name, (_, _, shape) in borders.items():
        west, south, east, north = shape.bounds
        assert shape.is_valid and not shape.is_empty, name
        assert west >= -180 and east <= 180 and south >= -90 and north <= 90, name
    # What lies where, as every map has it.
    for code, lon, lat in [
        ("KEN", 36.82, -1.29), ("FJI", 178.0, -17.8), ("FJI", -179.925, -16.82), ("RUS", -175.0, 66.5), ("RUS", 37.6, 55.75),
        ("USA", -150.0, 64.0), ("LSO", 28.2, -29.5), ("ATA", 0.0, -85.0), ("FRA", 2.35, 48.85), ("GUF", -53.0, 4.0),
    ]:  # fmt: skip
        here = [c for c, (_, _, s) in borders.items() if s.contains(shapely.Point(lon, lat))]
        # What ISO counts apart and Natural Earth as part of another.
        assert here == ["FRA" if code == "GUF" else code], (code, here)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """An index of tiles all over the world, more of them about the antimeridian and a few countries; the files behind it are empty."""
    rng = np.random.default_rng(11)
    places = [np.column_stack([rng.uniform(-180, 180, 900), rng.uniform(-75, 75, 900)])]
    for lon, lat, spread in [
        (180, -17, 4),
        (180, 66, 8),
        (37, 0, 6),
        (8, 47, 3),
        (28.5, -29.5, 2),
        (25, 60, 8),
        (175, -42, 4),
    ]:
        places.append(np.column_stack([rng.normal(lon, spread, 250), rng.normal(lat, spread, 250)]))
    root, rows = tmp_path_factory.mktemp("world"), []
    for i, (lon, lat) in enumerate(np.concatenate(places)):
        lat = np.clip(lat, -78, 80)
        lon = (lon + 180) % 360 - 180
        zone = int((lon + 180) // 6) + 1
        epsg, letter = (32600 + zone, "N") if lat >= 0 else (32700 + zone, "S")
        to = pyproj.Transformer.from_crs(4326, epsg, always_xy=True)
        x, y = (np.floor(v / 10) * 10 for v in to.transform(lon, lat))
        edges = [(x, y), (x + SIDE, y), (x, y + SIDE), (x + SIDE, y + SIDE)]
        lons, lats = to.transform(*np.array(edges).T, direction="INVERSE")
        if np.ptp(lons) > 180:  # across the antimeridian: west of it, east of it
            lons = np.array([lons[lons > 0].min(), lons[lons < 0].max()])
        else:
            lons = np.array([lons.min(), lons.max()])
        name = f"2024/{zone}{letter}/x{i}-0000000000-0000000000.tiff"
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
        rows.append(
            {
                "fid": i, "geometry": b"not read", "crs": f"EPSG:{epsg}", "year": 2024, "utm_zone": f"{zone}{letter}",
                "utm_west": x, "utm_south": y, "utm_east": x + SIDE, "utm_north": y + SIDE,
                "wgs84_west": lons[0], "wgs84_south": lats.min(), "wgs84_east": lons[1], "wgs84_north": lats.max(),
                "path": f"s3://us-west-2.opendata.source.coop/tge-labs/aef/v1/annual/{name}",
            }
        )  # fmt: skip
    pq.write_table(pa.Table.from_pylist(rows), root / "aef_index.parquet")
    return f"{products.ALPHAEARTH}={root}"


def boxes_of(west, south, east, north):
    if west <= east:
        return shapely.box(west, south, east, north)
    return shapely.union_all([shapely.box(west, south, 180, north), shapely.box(-180, south, east, north)])


def test_coverage_of_a_country_is_what_touches_it(terravec, world, borders, tmp_path):
    tiles = terravec.json("coverage", world)["tiles"]
    assert len(tiles) == 2650
    boxes = np.array([boxes_of(*t["bbox"]) for t in tiles])
    assert any(t["bbox"][0] > t["bbox"][2] for t in tiles), "some cross the antimeridian"
    for code in ["FJI", "RUS", "KEN", "CHE", "LSO", "ZAF", "FIN", "NZL", "USA", "KIR", "NOR"]:
        shape = borders[code][2]
        wanted = {t["path"] for t, hit in zip(tiles, shapely.intersects(boxes, shape), strict=True) if hit}
        got = {t["path"] for t in terravec.json("coverage", world, "--country", code)["tiles"]}
        assert got == wanted, (code, len(got), len(wanted), got ^ wanted)
        assert wanted or code == "KIR"
    # Fewer than those in the box: most of that of Lesotho's neighbour's neighbour is not it.
    west, south, east, north = borders["NOR"][2].bounds
    box = terravec.json("coverage", world, "--bbox", f"{west},{south},{east},{north}")["tiles"]
    assert 0 < len(terravec.json("coverage", world, "--country", "Norway")["tiles"]) < len(box)


def test_coverage_of_polygons_is_what_touches_them(terravec, world, tmp_path):
    tiles = terravec.json("coverage", world)["tiles"]
    strip = shapely.Polygon([(20, -10), (21, -10), (50, 12), (49, 12)])
    file = tmp_path / "strip.geojson"
    file.write_text(json.dumps(shapely.geometry.mapping(strip)))
    wanted = {t["path"] for t in tiles if boxes_of(*t["bbox"]).intersects(strip)}
    in_box = {t["path"] for t in tiles if boxes_of(*t["bbox"]).intersects(shapely.box(*strip.bounds))}
    got = {t["path"] for t in terravec.json("coverage", world, "--region", file)["tiles"]}
    assert got == wanted and 0 < len(wanted) < len(in_box) / 2
    # Footprints are files, and a map has the outline in red.
    out = tmp_path / "strip_tiles.geojson"
    terravec("coverage", world, "--region", file, "-o", out)
    assert {f["properties"]["path"] for f in json.loads(out.read_text())["features"]} == wanted
    terravec("coverage", world, "--region", file, "-o", tmp_path / "map.png")
    with rasterio.open(tmp_path / "map.png") as png:
        red = (png.read() == np.array([203, 24, 29])[:, None, None]).all(0)
    rows, cols = np.nonzero(red)
    # The strip runs from the lower left to the upper right, and a box around it would not.
    assert np.corrcoef(rows, cols)[0, 1] < -0.98


@pytest.mark.parametrize("names", [("KEN", "ke", "Kenya"), ("USA", "us", "united states"), ("XKX", "Kosovo")])
def test_codes_and_names_are_the_same(terravec, world, names):
    said = {terravec("coverage", world, "--country", name).stdout for name in names}
    assert len(said) == 1


def test_a_country_nobody_knows(terravec):
    said = terravec.fails(1, "coverage", LABELLED, "--country", "Kenia")
    assert "Kenia" in said and "Kenya (KEN)" in said
    assert terravec.fails(2, "coverage", LABELLED, "--country", "KE", "--bbox", "1,2,3,4")
    assert "--country" in terravec.fails(2, "extract", LABELLED, "-o", "x.tif")


def test_pixels_of_a_country_are_those_inside(terravec, whole_earth, borders, tmp_path):
    """Also of one on both sides of the antimeridian."""
    for code in ("RUS", "FJI", "KEN"):
        out = tmp_path / f"{code}.tif"
        terravec("extract", f"{whole_earth.root}", "--country", code, "-o", out)
        with rasterio.open(out) as tif:
            valid = ~np.isnan(tif.read(1))
            shape = borders[code][2]
            inside = ~rasterio.features.geometry_mask([shape], tif.shape, tif.transform)
        assert (valid == inside).all(), code
        assert valid.any() or code == "FJI"


def test_verbs_take_a_country(terravec, tmp_path):
    """A whole tile that lies in one country gives what all of it gives."""
    spec = f"alphaearth={TESTDATA / 'alphaearth' / 'wisconsin'}"
    for name, where in (("a", ["--country", "USA"]), ("b", ["--bbox", "-89,44,-88,45"])):
        terravec("extract", spec, *where, "-o", tmp_path / f"{name}.npy")
        terravec("cluster", spec, *where, "-k", 3, "-o", tmp_path / f"{name}.tif")
        terravec("search", spec, *where, "--like", "-88.768,44.295", "-o", tmp_path / f"{name}.csv")
    assert np.array_equal(np.load(tmp_path / "a.npy"), np.load(tmp_path / "b.npy"), equal_nan=True)
    assert (tmp_path / "a.csv").read_text() == (tmp_path / "b.csv").read_text()
    labels = [rasterio.open(tmp_path / f"{n}.tif").read() for n in "ab"]
    assert np.array_equal(*labels)
    terravec("extract", spec, "--country", "US", "--reduce", "mean", "-o", tmp_path / "mean.csv")
    header, row = (tmp_path / "mean.csv").read_text().splitlines()
    assert header.startswith("country,name") and row.startswith("USA,United States of America,")
    clay = f"clay-v0={TESTDATA / 'patch' / 'clay_v0_03WVN_60.gpq'}"
    terravec("extract", clay, "--country", "USA", "-o", tmp_path / "rows.parquet")
    assert pq.read_metadata(tmp_path / "rows.parquet").num_rows > 0
    plan = terravec.json("download", LABELLED, "--country", "Brazil", "-o", tmp_path / "brazil", "--dry-run")
    assert {f["path"] for f in plan["files"]} == {"2024/20S/amazon_forest.tif", "2024/21S/amazon_forest.tif"}
