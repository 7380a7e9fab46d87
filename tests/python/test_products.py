"""`terravec products`: the atlas, its filters, and products a user describes."""

import json

import oracle
import products
import pytest
from fixtures import write_points_csv

OPENED_HERE = [
    products.ALPHAEARTH,
    products.MAJORTOM_ALPHAEARTH,
    products.TESSERA,
    products.PRESTO,
    products.ESD,
    products.COPERNICUS,
    products.OLMOEARTH,
]


DESCRIPTOR = """\
id = "earth8"
name = "Eight numbers for the whole Earth"
summary = "Made up by the tests."
kind = "patch"
format = "geotiff"
dimension = 8
dtype = "float32"
codec = "identity"
missing = "zero_vector"
resolution = { degrees = 0.25 }
licence = "CC0-1.0"

[grid]
lattice = "global"
crs = "EPSG:4326"

[tiles]
pattern = 'earth8\\.tif'
examples = ["earth8.tif"]

[bands]
count = 8
name = "e{}"
"""


@pytest.fixture(scope="module")
def atlas(terravec):
    answer = terravec.json("products")
    return {p["id"]: p for p in (answer if isinstance(answer, list) else answer["products"])}


def test_thirty_products(atlas):
    assert len(atlas) >= 30
    assert set(OPENED_HERE) <= set(atlas)
    assert {p["kind"] for p in atlas.values()} >= {"pixel", "patch", "location"}
    for product in atlas.values():
        assert product["name"], product


def test_the_facts_users_act_on(atlas):
    alphaearth = atlas[products.ALPHAEARTH]
    assert alphaearth["kind"] == "pixel" and alphaearth["dimension"] == 64
    assert "Google and Google DeepMind" in json.dumps(alphaearth)
    assert "CC-BY-4.0" in json.dumps(alphaearth)
    assert atlas[products.TESSERA]["dimension"] == 128
    assert atlas[products.ESD]["dimension"] == 72
    assert atlas[products.COPERNICUS]["dimension"] == 768
    assert atlas[products.PRESTO]["dimension"] == 128


def ids(terravec, *args):
    answer = terravec.json("products", *args)
    return {p["id"] for p in (answer if isinstance(answer, list) else answer["products"])}


def test_filters_narrow(terravec, atlas):
    for kind in ("pixel", "patch", "location"):
        assert ids(terravec, "--kind", kind) == {i for i, p in atlas.items() if p["kind"] == kind}
    in_2001 = ids(terravec, "--year", 2001)
    assert products.ESD in in_2001 and products.ALPHAEARTH not in in_2001
    in_2024 = ids(terravec, "--year", 2024)
    assert products.ALPHAEARTH in in_2024 and products.PRESTO not in in_2024
    assert products.TESSERA in ids(terravec, "--licence", "cc0")
    assert products.ALPHAEARTH not in ids(terravec, "--licence", "cc0")
    assert products.ALPHAEARTH in ids(terravec, "--host", "source")
    both = ids(terravec, "--kind", "pixel", "--year", 2001)
    assert both == ids(terravec, "--kind", "pixel") & in_2001


def test_one_page_says_how_to_use_and_credit_it(terravec):
    page = terravec("products", products.ALPHAEARTH).stdout
    for fact in ("64", "10 m", "CC-BY-4.0", "Google and Google DeepMind", "2017", "2025", "127.5"):
        assert fact in page, fact


def test_the_list_is_one_line_per_product(terravec, atlas):
    lines = terravec("products").stdout.splitlines()
    for product in atlas:
        assert any(product in line.split() for line in lines), product


def test_every_page_prints(terravec, atlas):
    for product in sorted(atlas):
        assert product in terravec("products", product).stdout


def test_an_unknown_product_suggests(terravec):
    said = terravec.fails(1, "products", "alphaerth")
    assert "alphaerth" in said and products.ALPHAEARTH in said


def test_a_kind_that_is_none_is_a_usage_error(terravec):
    terravec.fails(2, "products", "--kind", "pixl")


def test_a_users_descriptor_opens_a_new_product(terravec, tmp_path, whole_earth):
    """A full-size 0.25° grid nobody has heard of, from a TOML file and no code."""
    descriptor = tmp_path / "earth8.toml"
    descriptor.write_text(DESCRIPTOR)
    assert "earth8" in ids(terravec, "--catalog", descriptor)
    raster = whole_earth.raster
    pixels = [(0, 0), (1439, 720), (720, 360), (710, 305)]
    x = [raster.grid.transform @ (c + 0.5, r + 0.5) for c, r in pixels]
    # The poles' rows reach beyond ±90°; ask for what exists of them.
    lon, lat = [max(-180, p[0]) for p in x], [min(90, max(-90, p[1])) for p in x]
    table = terravec.table(
        f"earth8={whole_earth.root}",
        "--catalog",
        descriptor,
        "--points",
        write_points_csv(tmp_path / "p.csv", lon, lat),
        out=tmp_path / "o.parquet",
    )
    assert table["status"].to_pylist() == ["valid", "valid", "valid", "nodata"]
    want = oracle.zero_is_missing(raster.values)
    for i, (col, row) in enumerate(pixels[:3]):
        assert table["embedding"][i].as_py() == want[:, row, col].tolist()


@pytest.mark.parametrize(
    ("edit", "key"),
    [(("dimension = 8", "dimension = -8"), "dimension"), (('kind = "patch"', 'kind = "pitch"'), "kind")],
)
def test_a_bad_descriptor_names_file_line_and_key(terravec, tmp_path, edit, key):
    assert edit[0] in DESCRIPTOR
    bad = tmp_path / "bad.toml"
    bad.write_text(DESCRIPTOR.replace(*edit))
    line = 1 + next(i for i, text in enumerate(bad.read_text().splitlines()) if edit[1] in text)
    said = terravec.fails(1, "products", "--catalog", bad)
    assert str(bad) in said and f":{line}" in said.replace("line ", ":") and key in said
