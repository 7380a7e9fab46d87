"""Change, clusters and principal components against NumPy and scikit-learn, and the published values on real vectors."""

import json

import numpy as np
import oracle
import products
import pyarrow.parquet as pq
import pytest
import rasterio
import terravec as tv
from conftest import TESTDATA
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

WISCONSIN = f"{products.ALPHAEARTH}={TESTDATA / 'alphaearth' / 'wisconsin'}"
LABELLED = TESTDATA / "alphaearth" / "labelled" / "labelled_vectors.parquet"
FIELD = TESTDATA / "regions" / "wisconsin_field.geojson"


@pytest.fixture(scope="module")
def labelled():
    table = pq.read_table(LABELLED)
    return table, np.array(table["embedding"].combine_chunks().values).reshape(len(table), 64)


@pytest.fixture(scope="module")
def years(tmp_path_factory):
    """The real field in 2024, and the same with a little noise in 2023, but for a box where another place stood."""
    root = tmp_path_factory.mktemp("years")
    source = next((TESTDATA / "alphaearth" / "wisconsin").rglob("*.tif"))
    random = np.random.default_rng(0)
    with rasterio.open(source) as file:
        after, profile, names = file.read(), file.profile, file.descriptions
    before = np.clip(after.astype(int) + random.integers(-3, 4, after.shape), -127, 127).astype(np.int8)
    before[:, 20:40, 30:60] = after[:, 60:80, 30:60]
    before[:, 90, 5] = -128
    for year, codes in ((2023, before), (2024, after)):
        folder = root / str(year) / "16N"
        folder.mkdir(parents=True)
        with rasterio.open(folder / source.name, "w", **profile) as file:
            file.write(codes)
            file.descriptions = names
    grid = oracle.read_north_up(source).grid
    return root, oracle.decode_alphaearth(before), oracle.decode_alphaearth(after), grid


def angle(a, b):
    a, b = a.astype(np.float32).astype(np.float64), b.astype(np.float32).astype(np.float64)
    cosine = (a * b).sum(0) / np.sqrt((a**2).sum(0) * (b**2).sum(0))
    return np.degrees(np.arccos(np.clip(cosine, -1, 1)))


# --- change -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("measure", ["angle", "l2"])
def test_change_is_that_of_numpy(terravec, years, tmp_path, measure):
    root, before, after, grid = years
    said = terravec.json(
        "change", f"{products.ALPHAEARTH}={root}", "--year", "2023,2024", "--measure", measure, "-k", 100,
        "--map", tmp_path / "c.tif", "-o", tmp_path / "most.parquet",
    )  # fmt: skip
    wanted = angle(before, after) if measure == "angle" else np.sqrt(((before - after) ** 2).sum(0))
    there = np.isfinite(wanted)
    statistics = said["statistics"]
    assert (statistics["pixels"], statistics["without_vector"]) == (there.sum(), 1)
    median = np.median(wanted[there])
    deviation = 1.4826 * np.median(np.abs(wanted[there] - median))
    np.testing.assert_allclose(statistics["median"], median, rtol=3e-4)
    np.testing.assert_allclose(statistics["deviation"], deviation, rtol=1e-2)
    threshold = statistics["threshold"]
    np.testing.assert_allclose(threshold, median + 3 * deviation, rtol=2e-3)
    box = np.zeros_like(there)
    box[20:40, 30:60] = True
    with rasterio.open(tmp_path / "c.tif") as file:
        distance, p, changed = file.read()
        assert json.loads(file.tags()["TERRAVEC_CHANGE"])["threshold"] == threshold
    np.testing.assert_allclose(distance, wanted, rtol=1e-5, atol=1e-5)
    assert np.isnan(p[~there]).all() and np.isnan(changed[~there]).all()
    np.testing.assert_array_equal(changed[there] == 1, box[there])
    assert statistics["changed_pixels"] == box.sum() == 600
    # The part of pixels that look at least as changed.
    rank = np.array([(wanted[there] >= v).sum() for v in wanted[there]])
    np.testing.assert_allclose(p[there], (1 + rank) / (1 + there.sum()), atol=2e-2)
    most = pq.read_table(tmp_path / "most.parquet")
    order = np.argsort(-np.where(there, wanted, -1).ravel().astype(np.float32), kind="stable")[:100]
    x, y = (c.ravel() for c in grid.centers())
    np.testing.assert_allclose(most[said["statistics"]["measure"].replace("l2", "distance")].to_numpy(),
                               wanted.ravel()[order], rtol=1e-5)  # fmt: skip
    np.testing.assert_array_equal(np.sort(most["x"].to_numpy()), np.sort(x[order]))
    np.testing.assert_array_equal(np.sort(most["y"].to_numpy()), np.sort(y[order]))


def test_stable_places_may_be_named_and_percentiles_taken(years):
    root, before, after, _ = years
    spec = f"{products.ALPHAEARTH}={root}"
    by_percentile = tv.change(spec, (2023, 2024), percentile=95).statistics
    wanted = angle(before, after)
    there = wanted[np.isfinite(wanted)]
    np.testing.assert_allclose(by_percentile["threshold"], np.percentile(there, 95), rtol=2e-2)
    known = tv.change(spec, (2023, 2024), stable=FIELD).statistics
    assert 0 < known["stable_pixels"] < known["pixels"] == by_percentile["pixels"]


def test_years_apart_in_two_datasets_and_other_products(years, tmp_path):
    root, *_ = years
    whole = tv.change(f"{products.ALPHAEARTH}={root}", (2023, 2024), k=5)
    for year in ("2023", "2024"):
        (tmp_path / f"only{year}").mkdir()
        (tmp_path / f"only{year}" / year).symlink_to(root / year)
    first, second = (f"{products.ALPHAEARTH}={tmp_path / name}" for name in ("only2023", "only2024"))
    split = tv.change(first, (2023, 2024), other=second, k=5)
    assert split.statistics == whole.statistics
    np.testing.assert_array_equal(split.most.to_numpy("lon"), whole.most.to_numpy("lon"))
    with pytest.raises(tv.QueryError, match="between two years, and 1 are asked for"):
        tv.change(WISCONSIN, 2024)
    with pytest.raises(tv.QueryError, match="has no year 2022"):
        tv.change(WISCONSIN, (2022, 2024))
    with pytest.raises(tv.TerravecError):
        tv.change(LABELLED, (2023, 2024))
    # The same files as a product of their own.
    text = (TESTDATA.parent / "catalog" / "alphaearth.toml").read_text()
    text = "\n".join(line for line in text.splitlines() if not line.startswith("aliases"))
    (tmp_path / "other.toml").write_text(text.replace('id = "alphaearth"', 'id = "other"', 1))
    other = tv.open(f"other={tmp_path / 'only2024'}", catalog=tmp_path / "other.toml")
    with pytest.raises(tv.QueryError, match="of alphaearth can't be compared with those of other"):
        tv.change(first, (2023, 2024), other=other)


def test_polygons_are_followed_through_years(years):
    root, *_ = years
    t = tv.trajectories(f"{products.ALPHAEARTH}={root}", FIELD).to_pyarrow()
    assert t["year"].to_pylist() == [2023, 2024] and t["angle_from_first"][0].as_py() == 0
    ds = tv.open(f"{products.ALPHAEARTH}={root}")
    first, second = (ds.reduce(FIELD, year=y).to_numpy()[0] for y in (2023, 2024))
    np.testing.assert_allclose(t["angle_from_previous"][1].as_py(), angle(first, second), rtol=1e-6)
    assert t["angle_from_previous"][0].as_py() is None


# --- clusters -----------------------------------------------------------------------------------------------


def test_clusters_are_as_good_as_those_published(labelled):
    table, vectors = labelled
    fitted = tv.cluster(vectors, 9)
    assert abs(fitted.inertia - 876.0) / 876.0 < 0.005
    labels = fitted.labels(vectors)
    classes = table["dw_label"].to_numpy()
    assert abs(normalized_mutual_info_score(classes, labels) - 0.28) < 0.03
    assert abs(adjusted_rand_score(classes, labels) - 0.13) < 0.03
    theirs = KMeans(9, n_init=10, random_state=0).fit(vectors)
    assert fitted.inertia <= theirs.inertia_ * 1.005
    distance = ((vectors[:, None] - fitted.centres[None]) ** 2).sum(2)
    np.testing.assert_array_equal(labels, distance.argmin(1))
    np.testing.assert_allclose(fitted.inertia, distance.min(1).sum(), rtol=1e-5)
    np.testing.assert_array_equal(tv.cluster(vectors, 9).centres, fitted.centres)


def test_clusters_do_not_depend_on_the_order_of_bands(labelled):
    _, vectors = labelled
    order = np.random.default_rng(3).permutation(64)
    one, other = tv.cluster(vectors, 5, seed=1), tv.cluster(vectors[:, order], 5, seed=1)
    assert adjusted_rand_score(one.labels(vectors), other.labels(vectors[:, order])) > 0.99


def test_clusters_of_a_raster_as_a_map(terravec, tmp_path):
    said = terravec.json(
        "cluster", WISCONSIN, "-k", 6, "-o", tmp_path / "c.tif", "--save", tmp_path / "c.json"
    )
    assert said["spherical"] and said["sample_rows"] == said["sampled_from"] == 97 * 97
    raster = oracle.read_north_up(next((TESTDATA / "alphaearth" / "wisconsin").rglob("*.tif")))
    values = oracle.decode_alphaearth(raster.values).reshape(64, -1).T
    centres = np.array(json.loads((tmp_path / "c.json").read_text())["centres"])
    np.testing.assert_allclose(np.linalg.norm(centres, axis=1), 1, atol=1e-6)
    similarity = values @ centres.T
    with rasterio.open(tmp_path / "c.tif") as file:
        assert file.nodata == 255
        labels = file.read(1).ravel()
    # Where two centres are as near as float32 can tell, either will do.
    clear = np.diff(np.sort(similarity, axis=1)[:, -2:], axis=1)[:, 0] > 1e-6
    np.testing.assert_array_equal(labels[clear], similarity.argmax(1)[clear])
    assert said["labelled"]["counts"] == np.bincount(labels, minlength=6).tolist()
    terravec("cluster", WISCONSIN, "--clusters", tmp_path / "c.json", "-o", tmp_path / "again.png")
    with rasterio.open(tmp_path / "again.png") as file:
        assert len(np.unique(file.read().reshape(4, -1), axis=1).T) == 6
    assert "of alphaearth" in terravec.fails(
        1, "cluster", LABELLED, "--clusters", tmp_path / "c.json", "-o", tmp_path / "d.parquet"
    )


def test_rows_of_a_table_get_a_column(terravec, labelled, tmp_path):
    _, vectors = labelled
    terravec("cluster", LABELLED, "-k", 9, "-o", tmp_path / "c.parquet")
    table = pq.read_table(tmp_path / "c.parquet")
    np.testing.assert_array_equal(table["cluster"].to_numpy(), tv.cluster(vectors, 9).labels(vectors))
    assert table.column_names[:3] == ["cluster", "id", "region"]


# --- principal components -----------------------------------------------------------------------------------


def test_components_are_those_of_scikit_learn_and_as_published(labelled):
    _, vectors = labelled
    basis = tv.pca(vectors, 32)
    for n, published in [(2, 0.434), (4, 0.600), (8, 0.738), (16, 0.880), (32, 0.968)]:
        assert abs(basis.explained[n - 1] - published) < 0.001
    theirs = PCA(32, svd_solver="full").fit(vectors.astype(np.float64))
    np.testing.assert_allclose(np.abs(basis.components[:8]), np.abs(theirs.components_[:8]), atol=1e-5)
    scores = basis.transform(vectors)
    sign = np.sign((basis.components * theirs.components_).sum(1))
    np.testing.assert_allclose(scores, theirs.transform(vectors) * sign, atol=1e-4)
    largest = np.abs(basis.components).argmax(1)
    assert (basis.components[np.arange(32), largest] > 0).all()
    # Turning the space turns the components, and changes no picture.
    turn = np.linalg.qr(np.random.default_rng(4).normal(size=(64, 64)))[0]
    turned = tv.pca((vectors @ turn).astype(np.float32), 8)
    np.testing.assert_allclose(turned.explained, basis.explained[:8], atol=1e-5)


def test_one_basis_makes_one_picture(terravec, tmp_path):
    terravec("pca", WISCONSIN, "--save", tmp_path / "b.json", "-o", tmp_path / "p.tif")
    saved = json.loads((tmp_path / "b.json").read_text())
    raster = oracle.read_north_up(next((TESTDATA / "alphaearth" / "wisconsin").rglob("*.tif")))
    values = oracle.decode_alphaearth(raster.values).reshape(64, -1).T
    scores = (values - saved["mean"]) @ np.array(saved["components"]).T
    low, high = np.percentile(scores, [2, 98], axis=0)
    np.testing.assert_allclose(saved["stretch"], np.column_stack([low, high]), atol=2e-3)
    low, high = np.array(saved["stretch"]).T
    wanted = np.rint(1 + 254 * np.clip((scores - low) / (high - low), 0, 1))
    with rasterio.open(tmp_path / "p.tif") as file:
        assert file.nodata == 0 and file.count == 3
        colours = file.read().reshape(3, -1).T.astype(int)
    assert np.abs(colours - wanted).max() <= 1
    # A part of the view has the colours of the whole.
    terravec(
        "pca", WISCONSIN, "--basis", tmp_path / "b.json", "--bbox", "-88.773,44.292,-88.764,44.298",
        "-o", tmp_path / "part.tif",
    )  # fmt: skip
    with rasterio.open(tmp_path / "p.tif") as whole, rasterio.open(tmp_path / "part.tif") as part:
        window = rasterio.windows.from_bounds(*part.bounds, whole.transform)
        np.testing.assert_array_equal(part.read(), whole.read(window=window))
    terravec("pca", WISCONSIN, "-n", 5, "--scores", "-o", tmp_path / "s.tif")
    with rasterio.open(tmp_path / "s.tif") as file:
        np.testing.assert_allclose(file.read().reshape(5, -1).T[:, :3], scores, atol=1e-5)
    fails = terravec.fails(1, "pca", LABELLED, "-n", 65)
    assert "65 components" in fails


def test_what_has_no_shape_is_refused():
    with pytest.raises(tv.QueryError, match="all vectors of the sample are the same"):
        tv.pca(np.ones((50, 8), np.float32))
    with pytest.raises(tv.QueryError, match="fewer than 3 different"):
        tv.cluster(np.ones((50, 8), np.float32), 3)
    with pytest.raises(tv.QueryError, match="50 vectors"):
        tv.cluster(np.eye(50, 8, dtype=np.float32), 51)
    with pytest.raises(tv.QueryError, match="NaN"):
        tv.cluster(np.full((50, 8), np.nan, np.float32), 3)
    with pytest.raises(tv.QueryError, match="no basis"):
        tv.Basis.load(FIELD)
    # A constant band adds nothing, and hurts nothing.
    x = np.random.default_rng(5).normal(size=(500, 4)).astype(np.float32)
    x[:, 2] = 7
    basis = tv.pca(x, 4)
    assert basis.info["variance"][3] < 1e-9 and np.isfinite(basis.transform(x)).all()
