"""Models in the Python package: from tables and arrays, as the command makes them and as scikit-learn does."""

import pickle

import numpy as np
import pyarrow.parquet as pq
import pytest
import rasterio
import terravec as tv
from conftest import TESTDATA
from sklearn.linear_model import LogisticRegression, Ridge

AEF = TESTDATA / "alphaearth"
POINTS = AEF / "labelled" / "labelled_points.parquet"


@pytest.fixture(scope="module")
def table():
    return tv.open(f"alphaearth={AEF / 'labelled'}").sample(POINTS)


@pytest.fixture(scope="module")
def model(table):
    return tv.classify(table, "dw_class", group="region")


def test_coefficients_are_scikit_learns(table, model):
    x = table.to_numpy().astype(np.float64)
    y = table.to_pyarrow()["dw_class"].to_numpy()
    theirs = LogisticRegression(C=10, solver="newton-cholesky", tol=1e-8).fit(x, y)
    weights, bias = model.coefficients
    assert model.classes == list(theirs.classes_)
    assert np.allclose(weights, theirs.coef_, atol=2e-3) and np.allclose(bias, theirs.intercept_, atol=2e-3)
    assert np.allclose(model.predict_shares(x), theirs.predict_proba(x), atol=1e-4)
    two = np.isin(y, ["water", "trees"])
    theirs = LogisticRegression(C=0.5, solver="newton-cholesky", tol=1e-8).fit(x[two], y[two])
    ours = tv.classify(x[two], y[two], c=0.5, assess=False)
    assert np.allclose(ours.coefficients[0][1], theirs.coef_[0], atol=1e-4)
    assert np.allclose(ours.coefficients[0][0], 0)


def test_standardised_and_balanced_coefficients(table):
    x = table.to_numpy().astype(np.float64)
    y = table.to_pyarrow()["dw_class"].to_numpy()
    keep = np.ones(len(y), bool)
    keep[np.flatnonzero(y == "water")[20:]] = False
    x, y = x[keep], y[keep]
    mean, sd = x.mean(0), x.std(0)
    theirs = LogisticRegression(C=1, solver="newton-cholesky", tol=1e-8, class_weight="balanced").fit(
        (x - mean) / sd, y
    )
    ours = tv.classify(x, y, c=1.0, standardise=True, balanced=True, assess=False)
    assert np.allclose(ours.coefficients[0] * sd, theirs.coef_, atol=1e-3)


def test_ridge_values(table):
    x = table.to_numpy().astype(np.float64)
    y = x[:, 3] ** 2 + x[:, 5]
    theirs = Ridge(0.7).fit(x, y)
    ours = tv.regress(x, y, alpha=0.7, assess=False)
    assert np.allclose(ours.coefficients[0][0], theirs.coef_, atol=1e-6)
    assert np.allclose(ours.predict(x), theirs.predict(x), atol=1e-5)


def test_the_same_from_the_command(terravec, model, tmp_path):
    path = tmp_path / "m.json"
    terravec(
        "classify", "fit", f"alphaearth={AEF / 'labelled'}", "--labels", POINTS, "--column", "dw_class",
        "--group", "region", "-o", path,
    )  # fmt: skip
    read = tv.Model.load(path)
    assert np.array_equal(read.coefficients[0], model.coefficients[0])
    figures = [[a["pooled"]["confusion"] for a in m.assessments] for m in (read, model)]
    assert figures[0] == figures[1] and len(figures[0]) == 2


def test_maps_tables_and_arrays_agree(model, tmp_path):
    fields = tv.open(f"alphaearth={AEF / 'wisconsin'}")
    said = model.map(fields, tmp_path / "m.tif", quality=tmp_path / "q.tif")
    raster = fields.extract()
    classes = model.predict(raster.values.reshape(64, -1).T)
    with rasterio.open(tmp_path / "m.tif") as src:
        assert [model.classes[c - 1] for c in src.read(1).ravel()] == list(classes)
    assert said["valid_pixels"] == 97 * 97
    with pytest.raises(tv.OutputError):
        model.map(fields, tmp_path / "m.tif")
    rows = model.predict(fields.sample([(-88.768, 44.295), (0, 0)]))
    found = rows.to_pyarrow()
    assert found["class"].to_pylist()[1] is None and found["status"].to_pylist() == ["valid", "outside"]


def test_what_is_not_finite_has_no_class(table, model):
    x = table.to_numpy()[:3].copy()
    x[1, 5] = np.nan
    assert model.predict(x)[1] is None and model.predict(x)[0] is not None
    assert np.isnan(model.predict_shares(x)[1]).all()


def test_models_are_pickled_and_saved(model, tmp_path):
    again = pickle.loads(pickle.dumps(model))
    assert again.facts["training"] == model.facts["training"] and np.array_equal(
        again.coefficients[0], model.coefficients[0]
    )
    model.save(tmp_path / "m.json")
    with pytest.raises(tv.OutputError):
        model.save(tmp_path / "m.json")


def test_arrays_with_places_and_groups():
    t = pq.read_table(AEF / "labelled" / "labelled_vectors.parquet")
    x, y = np.stack(t["embedding"].to_numpy()), t["dw_label"].to_numpy()
    region = t["region"].to_pylist()
    found = tv.classify(x, y, learner="knn", group=region)
    assert np.isclose(found.assessments[1]["mean"], 0.495, atol=0.005)
    places = np.column_stack([np.arange(len(x)) / 100, np.zeros(len(x))])
    by_place = tv.classify(x, y, learner="centroid", places=places)
    assert by_place.assessments[1]["folds"] == "5 regions left out, one at a time"
    assert len(tv.classify(x, y, learner="centroid").assessments) == 1


def test_faults_are_python_errors(table, model):
    x = table.to_numpy()
    with pytest.raises(tv.QueryError, match="no learner"):
        tv.classify(table, "dw_class", learner="svm")
    with pytest.raises(tv.QueryError, match="no parameter `k`"):
        tv.classify(table, "dw_class", k=3)
    with pytest.raises(tv.QueryError, match="no column"):
        tv.classify(table, "nothing")
    with pytest.raises(tv.QueryError, match="of one class"):
        tv.classify(x[:5], ["a"] * 5)
    with pytest.raises(tv.QueryError, match="takes 64 numbers"):
        model.predict(x[:, :3])
    with pytest.raises(tv.QueryError, match="learns classes only"):
        tv.regress(x, np.arange(len(x)), learner="logistic")
    with pytest.warns(tv.TerravecWarning, match="not finite"):
        bad = x[:100].copy()
        bad[3] = np.nan
        tv.classify(bad, [str(i % 2) for i in range(100)], learner="centroid", assess=False)
