"""Search, exact and by index, against NumPy: the same rows in the same order, ties too; and the published values on real vectors."""

import json

import numpy as np
import oracle
import products
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import rasterio
import shapely
import terravec as tv
from conftest import TESTDATA
from fixtures import with_geo

WISCONSIN = f"{products.ALPHAEARTH}={TESTDATA / 'alphaearth' / 'wisconsin'}"
LABELLED = TESTDATA / "alphaearth" / "labelled" / "labelled_vectors.parquet"
CLAY = f"clay-v0={TESTDATA / 'patch' / 'clay_v0_03WVN_60.gpq'}"


def scores(vectors, query, metric):
    """The definition, in float64; larger is better."""
    x, q = vectors.astype(np.float64), query.astype(np.float64)
    if metric == "l2":
        return -np.sqrt(((x - q) ** 2).sum(1))
    dot = x @ q
    return dot if metric == "dot" else dot / np.sqrt((x**2).sum(1) * (q**2).sum())


def best(vectors, query, metric, k):
    """Rows, best first, equal ones in their order. Equal vectors have equal scores, whatever the order of a sum."""
    _, first, same = np.unique(vectors, axis=0, return_index=True, return_inverse=True)
    own = scores(vectors[first], query, metric)[same.ravel()]
    return np.argsort(-own, kind="stable")[:k], own


@pytest.fixture(scope="module")
def labelled():
    table = pq.read_table(LABELLED)
    vectors = np.array(table["embedding"].combine_chunks().values).reshape(len(table), 64)
    return table, vectors


@pytest.fixture(scope="module")
def points(tmp_path_factory):
    """20 000 vectors with many equal ones, in several row groups, at random places."""
    random = np.random.default_rng(0)
    n, dim = 20_000, 24
    vectors = random.normal(size=(n, dim)).astype(np.float32)
    vectors[5000:9000] = vectors[:4000]
    lon, lat = random.uniform(-20, 20, n), random.uniform(40, 60, n)
    table = pa.table(
        {
            "id": [f"p{i}" for i in range(n)],
            "cloud": random.integers(0, 100, n),
            "datetime": pa.array(
                np.datetime64("2023-01-01") + random.integers(0, 730, n), pa.timestamp("ms", "UTC")
            ),
            "embedding": pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), dim),
            "geometry": shapely.to_wkb(shapely.points(lon, lat)),
        }
    )
    path = tmp_path_factory.mktemp("points") / "points.parquet"
    pq.write_table(with_geo(table, "Point"), path, row_group_size=3000)
    return path, table, vectors, lon, lat


def found(terravec, *args, out):
    terravec("search", *args, "-o", out)
    return pq.read_table(out)


# --- exact --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("metric", ["cosine", "dot", "l2"])
@pytest.mark.parametrize("k", [1, 10, 3000])
def test_rows_of_a_table_are_those_of_numpy(terravec, points, tmp_path, metric, k):
    path, _, vectors, _, _ = points
    table = found(terravec, path, "--id", "p77", "--metric", metric, "-k", k, out=tmp_path / "s.parquet")
    rows, own = best(vectors, vectors[77], metric, k)
    assert table["id"].to_pylist() == [f"p{i}" for i in rows]
    column = {"cosine": "similarity", "dot": "score", "l2": "distance"}[metric]
    shown = -own[rows] if metric == "l2" else own[rows]
    np.testing.assert_allclose(table[column].to_numpy(), shown, rtol=0, atol=1e-12)
    assert table["rank"].to_pylist() == list(range(1, k + 1))
    assert "embedding" not in table.column_names and table["link"][0].as_py().startswith("https://")


def test_filters_go_into_the_search(terravec, points, tmp_path):
    path, table, vectors, lon, lat = points
    region = shapely.Polygon([(-5, 42), (12, 44), (3, 58)])
    (tmp_path / "region.geojson").write_text(shapely.to_geojson(region))
    day = table["datetime"].cast(pa.int64()).to_numpy()
    start = np.datetime64("2023-06-01", "ms").astype(np.int64)
    end = np.datetime64("2023-09-01", "ms").astype(np.int64)
    keep = (
        shapely.contains_xy(region, lon, lat)
        & (table["cloud"].to_numpy() < 30)
        & (day >= start)
        & (day < end)
    )
    assert 50 < keep.sum() < 500
    got = found(
        terravec, path, "--id", "p77", "-k", 40, "--region", tmp_path / "region.geojson",
        "--where", "cloud<30", "--time", "2023-06-01..2023-09-01", out=tmp_path / "s.parquet",
    )  # fmt: skip
    rows, _ = best(vectors[keep], vectors[77], "cosine", 40)
    assert got["id"].to_pylist() == [f"p{i}" for i in np.flatnonzero(keep)[rows]]


@pytest.mark.filterwarnings("ignore:no row contains the place")
def test_examples_combine_as_stated(points, tmp_path):
    path, _, vectors, lon, lat = points
    ds = tv.open(path)
    yes, no = [3, 50, 700], [11, 900]
    places = np.column_stack([lon, lat])
    x = vectors.astype(np.float64)
    formula = (2 * x[yes].mean(0) - x[no].mean(0)).astype(np.float32)
    t = ds.search(positive=places[yes], negative=places[no], k=50).to_pyarrow()
    assert t["id"].to_pylist() == [f"p{i}" for i in best(vectors, formula, "cosine", 50)[0]]
    t = ds.search(positive=places[yes], by="max", k=50).to_pyarrow()
    each = np.array([best(vectors, vectors[i], "cosine", 1)[1] for i in yes]).max(0)
    assert t["id"].to_pylist() == [f"p{i}" for i in np.argsort(-each.round(13), kind="stable")[:50]]
    # Ridge regression, each class weighing a half, centred between the classes.
    t = ds.search(positive=places[yes], negative=places[no], by="probe", k=20).to_pyarrow()
    own, y = x[yes + no], np.array([1.0] * 3 + [-1.0] * 2)
    w = np.array([1 / 6] * 3 + [1 / 4] * 2)
    centred = own - w @ own
    a = np.sqrt(w)[:, None] * centred
    penalty = 0.01 * (a**2).sum() / x.shape[1]
    weights = np.linalg.solve(a.T @ a + penalty * np.eye(x.shape[1]), a.T @ (np.sqrt(w) * y))
    shown = (x - w @ own) @ weights
    np.testing.assert_allclose(t["score"].to_numpy(), np.sort(shown)[::-1][:20], atol=1e-5)
    # The examples themselves lie on the right sides.
    assert shown[yes].min() > 0 > shown[no].max()


def test_what_lies_at_the_examples_can_be_left_out(points):
    path, _, vectors, lon, lat = points
    ds = tv.open(path)
    t = ds.search(id="p77", k=10, exclude_self=True).to_pyarrow()
    rows = [i for i in best(vectors, vectors[77], "cosine", 11)[0] if i != 77]
    assert t["id"].to_pylist() == [f"p{i}" for i in rows[:10]]
    box = (-1, 49, 1, 51)
    inside = (lon >= -1) & (lon <= 1) & (lat >= 49) & (lat <= 51)
    mean = vectors[inside].astype(np.float64).mean(0).astype(np.float32)
    with pytest.warns(tv.TerravecWarning, match=f"mean of {inside.sum()} vectors"):
        t = ds.search(mean_of=box, k=10, vectors=True)
    rows, _ = best(vectors, mean, "cosine", 10)
    np.testing.assert_array_equal(t.to_numpy(), vectors[rows])


def test_pixels_of_a_raster_are_those_of_numpy(terravec, tmp_path):
    raster = oracle.read_north_up(next((TESTDATA / "alphaearth" / "wisconsin").rglob("*.tif")))
    values = oracle.decode_alphaearth(raster.values)
    vectors = values.reshape(64, -1).T.astype(np.float32)
    x, y = (c.ravel() for c in raster.grid.centers())
    lon, lat = (c.ravel() for c in raster.grid.lonlat())
    at = 4321
    args = [WISCONSIN, f"--like={lon[at]:.9f},{lat[at]:.9f}", "--year", 2024, "-k", 50]
    table = found(terravec, *args, "--map", tmp_path / "map.tif", out=tmp_path / "s.parquet")
    rows, own = best(vectors, vectors[at], "cosine", 50)
    np.testing.assert_array_equal(table["x"].to_numpy(), x[rows])
    np.testing.assert_array_equal(table["y"].to_numpy(), y[rows])
    np.testing.assert_allclose(table["lon"].to_numpy(), lon[rows], atol=1e-9)
    with rasterio.open(tmp_path / "map.tif") as file:
        assert file.descriptions == ("similarity",) and np.isnan(file.nodata)
        np.testing.assert_allclose(file.read(1).ravel(), own, atol=1e-6)
    less = found(terravec, *args, "--exclude-self", out=tmp_path / "t.parquet")
    np.testing.assert_array_equal(less["x"].to_numpy()[:49], x[rows[1:]])
    terravec("search", *args, "--map", tmp_path / "map.png", "-q")
    with rasterio.open(tmp_path / "map.png") as file:
        assert file.count == 4 and (file.read(4) == 255).all()


def test_pixels_without_a_vector_are_passed_over_and_counted(terravec):
    said = terravec.json(
        "search", f"{products.ALPHAEARTH}={TESTDATA / 'alphaearth' / 'labelled'}", "--year", 2024,
        "--like=-59.65177304243691,-3.131482164676446", "--bbox=-59.7,-3.2,-59.6,-3.1", "-k", 3,
    )  # fmt: skip
    assert said["searched"] > 3 and said["without_vector"] > 1000 * said["searched"]
    assert [r["rank"] for r in said["rows"]] == [1, 2, 3]


# --- arrays -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("metric", ["cosine", "dot", "l2"])
def test_arrays_codes_and_several_queries(metric):
    random = np.random.default_rng(1)
    codes = random.integers(-127, 128, (30_000, 64)).astype(np.int8)
    codes[7000:7100] = codes[:100]
    values = oracle.decode_alphaearth(codes.T[:, :, None])[:, :, 0].T.astype(np.float32)
    queries = values[[3, 500]]
    for data, decode in ((values, None), (codes, "alphaearth")):
        got, rows = tv.search(data, queries, k=200, metric=metric, decode=decode)
        assert got.shape == rows.shape == (2, 200)
        for i, query in enumerate(queries):
            wanted, own = best(values, query, metric, 200)
            np.testing.assert_array_equal(rows[i], wanted)
            np.testing.assert_allclose(
                got[i], np.abs(own[wanted]) if metric == "l2" else own[wanted], atol=1e-9
            )


def test_codes_of_nodata_are_no_numbers():
    codes = np.full((1000, 64), 5, np.int8)
    codes[3, 7] = -128
    _, rows = tv.search(codes, np.ones(64), k=1000, metric="dot", decode="alphaearth")
    assert 3 not in rows[:999] and rows[999] == -1
    with pytest.raises(tv.QueryError, match="codes are no vectors"):
        tv.search(codes, np.ones(64))


def test_bits_by_hamming_distance():
    random = np.random.default_rng(2)
    signs = random.random((5000, 100)) < 0.5
    bits = np.packbits(signs, axis=1)
    differ, rows = tv.search(bits, bits[17], k=60, metric="hamming")
    wanted = (signs != signs[17]).sum(1)
    np.testing.assert_array_equal(rows, np.argsort(wanted, kind="stable")[:60])
    np.testing.assert_array_equal(differ, np.sort(wanted)[:60])


# --- published values on real vectors -----------------------------------------------------------------------


def test_retrieval_of_classes_is_what_was_published(labelled):
    table, vectors = labelled
    classes = table["dw_label"].to_numpy()
    n = len(classes)
    _, rows = tv.search(vectors, vectors, k=n)
    right = np.empty((n, n - 1), bool)
    for i in range(n):
        right[i] = classes[rows[i][rows[i] != i]] == classes[i]
    ranks = np.arange(1, n)
    relevant = right.sum(1)
    precision = np.cumsum(right, 1) / ranks
    average = (precision * right).sum(1) / relevant
    at_r = [precision[i, relevant[i] - 1] for i in range(n)]
    for got, published in [
        (average.mean(), 0.2788), (precision[:, 0].mean(), 0.7031), (precision[:, 9].mean(), 0.6441),
        (precision[:, 99].mean(), 0.4700), (np.mean(at_r), 0.2719),
    ]:  # fmt: skip
        assert abs(got - published) < 0.002, (got, published)


def recall(vectors, compressed, metric="cosine", k=10):
    """The part of the k found whose true similarity reaches the exact k-th."""
    own = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    true = own @ own.T
    np.fill_diagonal(true, -np.inf)
    least = np.sort(true, axis=1)[:, -k]
    _, rows = tv.search(compressed, compressed, k=k + 1, metric=metric)
    total = 0
    for i, found in enumerate(rows):
        others = [r for r in found if r != i][:k]
        total += (true[i, others] >= least[i] - 1e-7).sum()
    return total / (k * len(rows))


def test_recall_of_compressed_vectors_is_what_was_published(labelled):
    _, vectors = labelled
    for n, published in [(32, 0.8961), (16, 0.7146), (8, 0.4966)]:
        small = tv.pca(vectors, n).transform(vectors).astype(np.float32)
        assert abs(recall(vectors, small, "l2") - published) < 0.001
    low, high = vectors.min(0), vectors.max(0)
    steps = np.rint((vectors - low) / (high - low) * 255)
    eight = (low + steps / 255 * (high - low)).astype(np.float32)
    assert abs(recall(vectors, eight) - 0.9905) < 0.005
    signs = np.where(vectors > 0, 1, -1).astype(np.float32)
    assert abs(recall(vectors, signs) - 0.4068) < 0.02


# --- indexes ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("metric", ["cosine", "l2"])
def test_all_lists_of_an_index_give_the_exact_answer(terravec, points, tmp_path, metric):
    path, _, vectors, lon, lat = points
    # A megabyte of memory for two of vectors: rows are spilled and merged.
    built = terravec.json(
        "index", "build", path, "-o", tmp_path / "i", "--metric", metric, "--memory", 1, "--lists", 60
    )
    assert (built["rows"], built["lists"]) == (20_000, 60)
    assert built["recall"]["measured"][-1][1] >= 0.95
    args = [path, "--id", "p77", "--index", tmp_path / "i", "--metric", metric]
    rows, _ = best(vectors, vectors[77], metric, 500)
    got = found(terravec, *args, "-k", 500, "--probes", 60, out=tmp_path / "s.parquet")
    assert got["id"].to_pylist() == [f"p{i}" for i in rows]
    inside = (lon >= 0) & (lon <= 1) & (lat >= 50) & (lat <= 51)
    assert 20 < inside.sum() < 500
    few = found(terravec, *args, "-k", 20, "--bbox", 0, 50, 1, 51, "--probes", 60, out=tmp_path / "t.parquet")
    rows, _ = best(vectors[inside], vectors[77], metric, 20)
    assert few["id"].to_pylist() == [f"p{i}" for i in np.flatnonzero(inside)[rows]]
    # However few lists are looked at, there are as many results as rows that meet the filter.
    few = found(terravec, *args, "-k", 20, "--bbox", 0, 50, 1, 51, "--probes", 1, out=tmp_path / "u.parquet")
    assert len(few) == 20


def test_an_index_grows_and_shrinks(points, tmp_path):
    path, _, vectors, _, _ = points
    ds = tv.open(path)
    index = tv.Index.build(ds, tmp_path / "i", where="cloud<50", lists=30)
    rows = len(index)
    assert index.add(ds, where="cloud>=50") == 20_000 - rows and len(index) == 20_000
    t = ds.search(id="p77", k=100, index=index, probes=30).to_pyarrow()
    wanted, own = best(vectors, vectors[77], "cosine", 100)
    # Rows are numbered as they came in, so equal ones may stand otherwise.
    np.testing.assert_allclose(t["similarity"].to_numpy(), own[wanted], atol=1e-12)
    gone = [f"p{i}" for i in wanted[:3]]
    assert index.delete(gone) == 3 and len(index) == 19_997
    for _ in range(2):
        t = ds.search(id="p77", k=97, index=index, probes=30).to_pyarrow()
        np.testing.assert_allclose(t["similarity"].to_numpy(), own[wanted][3:], atol=1e-12)
        index.compact()
    with pytest.raises(tv.QueryError, match="no row of the index"):
        index.delete(gone)
    with pytest.raises(tv.OutputError, match="exists already"):
        tv.Index.build(ds, tmp_path / "i")
    assert len(tv.Index.build(ds, tmp_path / "i", force=True, lists=10)) == 20_000
    assert [p.name for p in tmp_path.iterdir()] == ["i"]


def test_a_damaged_or_foreign_index_is_refused(terravec, points, tmp_path):
    path, *_ = points
    terravec("index", "build", path, "-o", tmp_path / "i", "--lists", 20)
    said = terravec.fails(1, "search", CLAY, "--id", 17, "--index", tmp_path / "i")
    assert "not of clay-v0" in said
    said = terravec.fails(1, "search", path, "--id", "p1", "--index", tmp_path / "i", "--metric", "l2")
    assert "an index" not in said or "cosine" in said
    said = terravec.fails(1, "search", path, "--id", "p1", "--index", tmp_path / "i", "--where", "cloud<3")
    assert "keeps places, times and ids" in said
    segment = max((tmp_path / "i").glob("segment-*"), key=lambda p: p.stat().st_size)
    data = bytearray(segment.read_bytes())
    data[100] ^= 1
    segment.write_bytes(data)
    said = terravec.fails(1, "search", path, "--id", "p1", "--index", tmp_path / "i", "--probes", 20)
    assert "damaged" in said
    segment.write_bytes(data[:-50])
    assert "segment" in terravec.fails(1, "index", "info", tmp_path / "i")
    assert "no index is there" in terravec.fails(1, "index", "info", tmp_path)


# --- bad input ----------------------------------------------------------------------------------------------


def test_questions_that_make_no_sense_are_said(terravec, tmp_path):
    for args, said in [
        ((CLAY, "--id", 17, "-k", 0), "0 results"),
        ((CLAY, "--id", 17, "-k", 100_001), "100001 results"),
        ((CLAY, "--id", 1777), "has the index 1777"),
        ((CLAY, "--vector", "1,2,3"), "a vector of 3 numbers"),
        ((WISCONSIN, "--like", "0,0"), "there is no vector at 0,0"),
        ((WISCONSIN, "--like=-88.768,44.295", "--where", "a=1"), "are for tables"),
        ((TESTDATA / "patch" / "earthindex_21MNT.parquet", "--vector", "1,2"), "nothing that is asked for"),
        ((WISCONSIN, "--like=-88.768,44.295", "--by", "probe"), "positive and negative"),
    ]:
        assert said in terravec.fails(1, "search", *args)
    terravec.fails(2, "search", CLAY)
    (tmp_path / "v.json").write_text(json.dumps([float("nan")] * 768))
    assert "no list of numbers" in terravec.fails(1, "search", CLAY, "--vector", tmp_path / "v.json")
    np.save(tmp_path / "v.npy", np.full(768, np.nan))
    assert "NaN" in terravec.fails(1, "search", CLAY, "--vector", tmp_path / "v.npy")
    np.save(tmp_path / "v.npy", np.zeros(768))
    assert "no direction" in terravec.fails(1, "search", CLAY, "--vector", tmp_path / "v.npy")
    more = terravec("search", CLAY, "--id", 17, "-k", 61)
    assert "only 60 of 61 results" in more.stderr
    out = tmp_path / "s.parquet"
    terravec("search", CLAY, "--id", 17, "-o", out)
    assert "exists already" in terravec.fails(1, "search", CLAY, "--id", 17, "-o", out)


def test_examples_without_a_vector_are_counted(terravec, tmp_path):
    (tmp_path / "p.csv").write_text("lon,lat\n-88.768,44.295\n0,0\n")
    done = terravec("search", WISCONSIN, "--positive", tmp_path / "p.csv", "-k", 3)
    assert "1 of 2 examples have no vector" in done.stderr


def test_an_array_without_sense_is_refused():
    x = np.eye(4, dtype=np.float32)
    for call in [
        lambda: tv.search(x, x[0], k=0),
        lambda: tv.search(x, x[0][:2]),
        lambda: tv.search(x[:0], x[0]),
        lambda: tv.search(x, np.full(4, np.nan)),
        lambda: tv.search(x.astype(int), x[0]),
        lambda: tv.search(x[0], x[0]),
        lambda: tv.search(x, x[0], metric="manhattan"),
    ]:
        with pytest.raises(tv.QueryError):
            call()
