"""Estimates of every verb that reads, beside what a server really serves to an empty cache."""

import itertools
import json
import shutil
from pathlib import Path

import numpy as np
import products
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely
from fixtures import with_geo, write_points_csv

ROWS, DIM = 12_000, 64
BOX = "3.01,52.03,3.06,52.05"
#: What opening one of these files reads.
HEADER = 3 * 65536
counter = itertools.count()


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """Rows of two files, in row groups that lie side by side."""
    root = tmp_path_factory.mktemp("rows")
    rng = np.random.default_rng(3)
    for name, west in (("a", 5), ("b", 50)):
        values = pa.array(rng.standard_normal(ROWS * DIM, dtype=np.float32))
        columns = {
            "id": [f"{name}{i}" for i in range(ROWS)],
            "lon": np.linspace(west, west + 1, ROWS),
            "lat": np.full(ROWS, 50.5),
            "embedding": pa.FixedSizeListArray.from_arrays(values, DIM),
        }
        pq.write_table(pa.table(columns), root / f"{name}.parquet", compression="none", row_group_size=2000)
    return root


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """Labelled points, labelled fields, and a file of fields."""
    root = tmp_path_factory.mktemp("places")
    lon, lat = np.linspace(3.012, 3.03, 24), np.linspace(52.03, 52.035, 24)
    labels = root / "labels.csv"
    rows = [f"{x},{y},{'ab'[i % 2]},{i}" for i, (x, y) in enumerate(zip(lon, lat, strict=True))]
    labels.write_text("lon,lat,class,number\n" + "\n".join(rows) + "\n")

    def square(x, y, **properties):
        ring = [[x, y], [x + 0.001, y], [x + 0.001, y + 0.001], [x, y + 0.001], [x, y]]
        geometry = {"type": "Polygon", "coordinates": [ring]}
        return {"type": "Feature", "properties": properties, "geometry": geometry}

    squares = [square(3.012 + 0.002 * i, 52.032, **{"class": "ab"[i % 2]}) for i in range(5)]
    fields = root / "fields.geojson"
    fields.write_text(json.dumps({"type": "FeatureCollection", "features": squares}))
    return {"labels": labels, "fields": fields}


class Served:
    """The command on a served folder: what an answer read of it beyond opening it, and what was estimated."""

    def __init__(self, terravec, serve, folder, tmp_path):
        url, self.stats = serve(folder)
        self.terravec = type(terravec)(terravec.binary, Path(terravec.env["HOME"]))
        self.root, self.tmp = url, tmp_path

    def read(self, *args, options=()):
        """Bytes served to a cold cache."""
        self.stats()
        cache = self.tmp / f"cache{next(counter)}"
        self.terravec(*args, "--cache-dir", cache, *options)
        return self.stats()["bytes"]

    def check(self, *args, output=(), factor=1.8, options=()):
        """The estimate, after it was held against what is read: not more, and not less than a part of it."""
        opening = self.read("info", self.spec, options=options)
        cold = ("--cache-dir", self.tmp / f"cache{next(counter)}", *options)
        estimate = self.terravec.json("estimate", *args, *output, *cold)["estimate"]
        headers = HEADER * estimate["files"]
        assert self.stats()["bytes"] <= opening + headers, "nothing but headers is read to say it"
        cold = ("--cache-dir", self.tmp / f"cache{next(counter)}", *options)
        said = self.terravec.fails(1, *args, *output, "--max-bytes", "1kB", *cold)
        assert "--max-bytes" in said and self.stats()["bytes"] <= opening + headers
        files = [p for p in output if isinstance(p, Path)]
        assert files and not any(p.exists() for p in files), "nothing is written"
        read = self.read(*args, *output, options=options) - opening
        assert all(p.exists() for p in files)
        assert read <= estimate["bytes"] <= factor * read, (args, read, opening, estimate)
        return estimate


@pytest.fixture(scope="module")
def years(big, tmp_path_factory):
    """A tile of some size for two years."""
    root = tmp_path_factory.mktemp("years")
    for year in ("2023", "2024"):
        path = root / year / "31N" / big.path.name.replace("2024", year)
        path.parent.mkdir(parents=True)
        shutil.copy(big.path, path)
    return root


@pytest.fixture
def raster(terravec, serve, years, tmp_path):
    served = Served(terravec, serve, years.parent, tmp_path)
    env = {"AWS_ENDPOINT_URL": served.root, "AWS_NO_SIGN_REQUEST": "1"}
    served.terravec.env |= env
    served.spec = f"{products.ALPHAEARTH}=s3://{years.name}"
    return served


def out(tmp_path, name):
    return ["-o", tmp_path / name]


def test_rasters_pass_by_pass(raster, places, tmp_path):
    spec, area = raster.spec, ("--bbox", BOX, "--year", 2024)
    one = raster.check("pca", spec, *area, output=["--save", tmp_path / "basis.json"])
    both = raster.check("pca", spec, *area, output=out(tmp_path, "pca.tif"))
    # With a cache the second pass costs nothing; without, as much as the first.
    assert both["bytes"] == one["bytes"] and "fetched once" in both["basis"]
    bare = raster.check(
        "cluster", spec, *area, "-k", 3, output=out(tmp_path, "k.tif"), options=["--no-cache"]
    )
    assert bare["bytes"] == 2 * one["bytes"] and "2 times" in bare["basis"]
    raster.check("cluster", spec, *area, "-k", 3, output=out(tmp_path, "k2.tif"))
    raster.check("change", spec, "--bbox", BOX, "--year", "2023,2024", output=out(tmp_path, "most.csv"))
    fields = ("--trajectories", places["fields"], "--year", "2023,2024")
    raster.check("change", spec, *fields, output=out(tmp_path, "years.csv"))
    raster.check(
        "extract",
        spec,
        "--region",
        places["fields"],
        "--reduce",
        "mean",
        "--year",
        2024,
        output=out(tmp_path, "r.csv"),
    )
    raster.check("search", spec, "--like", "3.02,52.04", *area, output=["--map", tmp_path / "m.tif"])
    raster.check("index", "build", spec, *area, output=out(tmp_path, "pixels.index"))


def test_learning_and_predicting(raster, places, tmp_path):
    model = tmp_path / "model.json"
    for labels in ("labels", "fields"):
        args = ("--labels", places[labels], "--column", "class", "--year", 2024)
        raster.check(
            "classify", "fit", raster.spec, *args, "--no-assess", output=out(tmp_path, f"{labels}.json")
        )
    numbers = ("--labels", places["labels"], "--column", "number", "--year", 2024, "--no-assess")
    raster.check("regress", "fit", raster.spec, *numbers, output=out(tmp_path, "numbers.json"))
    labels = ("--labels", places["labels"], "--column", "class", "--year", 2024)
    raster.terravec("classify", "fit", raster.spec, *labels, "-o", model)
    area = ("--bbox", BOX, "--year", 2024)
    raster.check("classify", "predict", raster.spec, "--model", model, *area, output=out(tmp_path, "map.tif"))
    points = ("--points", "3.02,52.04", "--year", 2024)
    raster.check("classify", "predict", raster.spec, "--model", model, *points, output=out(tmp_path, "p.csv"))
    numbers = tmp_path / "numbers.json"
    raster.check("regress", "predict", raster.spec, "--model", numbers, *area, output=out(tmp_path, "n.tif"))


def test_tables(terravec, serve, table, tmp_path):
    served = Served(terravec, serve, table, tmp_path)
    served.spec = f"{served.root}/a.parquet"
    spec = served.spec
    part = ("--bbox", "5.0,50,5.3,51")
    served.check("search", spec, "--id", "a17", *part, output=out(tmp_path, "s.csv"))
    served.check("search", spec, "--vector", ",".join(["1"] * DIM), *part, output=out(tmp_path, "v.csv"))
    served.check("search", spec, "--like", "5.1,50.5", *part, output=out(tmp_path, "l.csv"))
    served.check("cluster", spec, *part, "-k", 3, output=out(tmp_path, "k.parquet"))
    served.check("pca", spec, *part, output=["--save", tmp_path / "b.json"])
    index = tmp_path / "rows.index"
    served.check("index", "build", spec, *part, output=["-o", index])
    served.check("sample", spec, "--points", "5.1,50.5", "--nearest", 1, output=out(tmp_path, "n.csv"))
    # An index lies here: only the example is read.
    asked = ("search", spec, "--index", index, "--vector", ",".join(["1"] * DIM))
    assert terravec.json("estimate", *asked)["estimate"]["bytes"] == 0
    terravec("index", "add", index, spec, "--bbox", "5.5,50,5.6,51", "--dry-run")
    assert terravec.json("index", "info", index)["rows"] < ROWS / 2


def test_a_join_is_the_sum(terravec, serve, table, raster, tmp_path):
    tables = Served(terravec, serve, table, tmp_path)
    points = write_points_csv(tmp_path / "p.csv", np.array([3.012, 3.02]), np.array([52.031, 52.04]))
    args = ("--points", points, "--year", 2024, "--nearest", 1)
    a = f"{tables.root}/a.parquet"
    told = raster.terravec.json("estimate", "sample", raster.spec, a, *args)
    each = [d["estimate"] for d in told["datasets"]]
    assert [d["dataset"] for d in told["datasets"]] == [raster.spec, a]
    assert sum(e["bytes"] for e in each) == told["estimate"]["bytes"] and all(e["bytes"] for e in each)
    alone = raster.terravec.json("estimate", "sample", raster.spec, "--points", points, "--year", 2024)
    assert alone["estimate"]["bytes"] == each[0]["bytes"]
    text = raster.terravec("estimate", "sample", raster.spec, a, *args).stdout
    assert text.count("requests") == 3
    raster.terravec.fails(1, "sample", raster.spec, a, *args, "--max-bytes", "1kB")


def test_a_join_at_patches_is_bounded_by_what_lies_around(raster, tmp_path):
    squares = [shapely.box(x, 52.032, x + 0.004, 52.036) for x in (3.012, 3.02, 3.05)]
    columns = {
        "geometry": shapely.to_wkb(squares),
        "embedding": pa.array([[1.0, 2.0]] * 3, pa.list_(pa.float32(), 2)),
    }
    patches = tmp_path / "patches.parquet"
    pq.write_table(with_geo(pa.table(columns), "Polygon"), patches)
    # Footprints are not known before they are read, and may lie anywhere in the tile.
    args = ("sample", raster.spec, "--patches", patches, "--year", 2024)
    raster.check(*args, output=out(tmp_path, "joined.csv"), factor=2.5)
    told = raster.terravec.json("estimate", *args)
    assert [d["dataset"] for d in told["datasets"]] == [str(patches), raster.spec]
    assert "around the patches" in told["datasets"][1]["estimate"]["basis"]


def test_verbs_without_an_estimate_say_which_have_one(terravec):
    said = terravec.fails(2, "estimate", "products")
    assert "cluster" in said and "classify" in said
