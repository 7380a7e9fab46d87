"""Mapping against scikit-learn, on the real vectors and labels of four regions, and against published figures."""

import json
import subprocess

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import TESTDATA
from sklearn import ensemble, linear_model, metrics, model_selection, neighbors, neural_network, preprocessing

LABELLED = TESTDATA / "alphaearth" / "labelled"
DATASET = f"alphaearth={LABELLED}"
POINTS = LABELLED / "labelled_points.parquet"


@pytest.fixture(scope="module")
def real():
    """Vectors, classes and regions."""
    t = pq.read_table(LABELLED / "labelled_vectors.parquet")
    x = np.stack(t["embedding"].to_numpy()).astype(np.float64)
    return x, t["dw_label"].to_numpy(), np.array(t["region"].to_pylist())


@pytest.fixture(scope="module")
def folds(real, tmp_path_factory):
    """The labels with scikit-learn's folds beside them: leaving one of these groups out is its cross-validation."""
    x, y, _ = real
    of = np.zeros(len(y), dtype=np.int32)
    cv = model_selection.StratifiedKFold(5, shuffle=True, random_state=0)
    for f, (_, test) in enumerate(cv.split(x, y)):
        of[test] = f
    path = tmp_path_factory.mktemp("folds") / "points.parquet"
    table = pq.read_table(POINTS)
    meta = table.schema.metadata
    table = table.append_column("fold", pa.array(of)).append_column(
        "vv", pa.array(x @ np.linspace(-1, 1, 64))
    )
    pq.write_table(table.replace_schema_metadata(meta), path)
    return path, of


def assess(terravec, labels, *args, verb="classify", column="dw_label"):
    return terravec.json(verb, "assess", DATASET, "--labels", labels, "--column", column, *args)[
        "assessments"
    ]


def scores(assessment):
    return [f["score"] for f in assessment["per_fold"]]


def by_fold(model, x, y, of):
    out = []
    for f in np.unique(of):
        out.append(model.fit(x[of != f], y[of != f]).score(x[of == f], y[of == f]))
    return out


def logistic(**more):
    return linear_model.LogisticRegression(C=10, max_iter=2000, tol=1e-6, **more)


@pytest.mark.parametrize(
    "args, model",
    [
        (["--learner", "logistic"], logistic()),
        (["--learner", "logistic", "--balanced"], logistic(class_weight="balanced")),
        (["--learner", "knn"], neighbors.KNeighborsClassifier(5)),
        (["--learner", "knn", "-k", "1"], neighbors.KNeighborsClassifier(1)),
        (["--learner", "ridge"], linear_model.RidgeClassifier(1.0)),
        (["--learner", "linear"], linear_model.RidgeClassifier(1e-12)),
        (["--learner", "centroid"], neighbors.NearestCentroid()),
    ],
    ids=lambda v: "-".join(v).strip("-").replace("--", "") if isinstance(v, list) else "",
)
def test_fold_by_fold_as_scikit_learn(terravec, real, folds, args, model):
    """Given the same folds: at most two rows of a fold fall otherwise, where two classes tie within rounding."""
    x, y, _ = real
    path, of = folds
    ours = assess(terravec, path, "--group", "fold", *args)[1]
    theirs = by_fold(model, x, y, of)
    assert np.allclose(scores(ours), theirs, atol=2.5 / 576)


def test_standardised_as_scikit_learn(terravec, real, folds):
    x, y, _ = real
    path, of = folds
    ours = assess(terravec, path, "--group", "fold", "--learner", "knn", "--standardise")[1]
    theirs = []
    for f in range(5):
        scaler = preprocessing.StandardScaler().fit(x[of != f])
        model = neighbors.KNeighborsClassifier(5).fit(scaler.transform(x[of != f]), y[of != f])
        theirs.append(model.score(scaler.transform(x[of == f]), y[of == f]))
    assert np.allclose(scores(ours), theirs, atol=2.5 / 576)


@pytest.mark.parametrize(
    "args, model",
    [
        (["--learner", "forest"], ensemble.RandomForestClassifier(100, random_state=0)),
        (["--learner", "mlp"], neural_network.MLPClassifier((64, 32), max_iter=200, random_state=0)),
    ],
    ids=["forest", "mlp"],
)
@pytest.mark.filterwarnings("ignore")
def test_random_learners_are_as_good_as_scikit_learns(terravec, real, folds, args, model):
    """Their random numbers differ; two standard errors of an accuracy over 2880 rows are 0.016."""
    x, y, _ = real
    path, of = folds
    ours = assess(terravec, path, "--group", "fold", *args)[1]
    assert np.mean(scores(ours)) > np.mean(by_fold(model, x, y, of)) - 0.016


def test_boosting_is_as_good_as_scikit_learns(terravec, real, folds):
    x, y, _ = real
    path, of = folds
    few = pq.read_table(path)
    keep = np.isin(few["dw_label"].to_numpy(), [0, 1, 2])
    small = path.with_name("three.parquet")
    pq.write_table(few.filter(pa.array(keep)), small)
    args = ["--learner", "boosting", "--rounds", "10"]
    ours = assess(terravec, small, "--group", "fold", *args)[1]
    model = ensemble.HistGradientBoostingClassifier(max_iter=10)
    assert np.mean(scores(ours)) > np.mean(by_fold(model, x[keep], y[keep], of[keep])) - 0.02


def test_published_figures(terravec):
    """Leave one region out, and the few-shot protocol of AlphaEarth Foundations, as computed with NumPy and scikit-learn."""
    found = assess(terravec, POINTS, "--group", "region")[1]
    assert np.allclose(scores(found), [0.283, 0.489, 0.286, 0.636], atol=0.005)
    assert np.isclose(found["mean"], 0.424, atol=0.005)
    knn = assess(terravec, POINTS, "--group", "region", "--learner", "knn")[1]
    assert np.allclose(scores(knn), [0.425, 0.485, 0.525, 0.546], atol=0.005)
    for learner, figures in {
        ("linear",): [(0.291, 0.003), (0.430, 0.002), (0.714, 0.001)],
        ("knn", "-k", "1"): [(0.271, 0.003), (0.550, 0.002), (0.695, 0.001)],
        ("knn", "-k", "3"): [(0.206, 0.003), (0.504, 0.002), (0.707, 0.001)],
    }.items():
        said = terravec.json(
            "classify", "assess", DATASET, "--labels", POINTS, "--column", "dw_label",
            "--learner", *learner, "--few", "1,10,200", "--trials", "40",
        )["few_shot"]  # fmt: skip
        for few, (mean, error) in zip(said, figures, strict=True):
            # Both are means over draws: three standard errors of their difference.
            off = 3 * np.hypot(few["standard_error"], error)
            assert abs(few["balanced_accuracy"] - mean) < off, (learner, few)


def test_figures_are_scikit_learns(terravec, real, folds):
    x, y, _ = real
    path, of = folds
    found = assess(terravec, path, "--group", "fold", "--learner", "ridge")[1]["pooled"]
    predicted = np.empty_like(y)
    for f in range(5):
        predicted[of == f] = linear_model.RidgeClassifier(1.0).fit(x[of != f], y[of != f]).predict(x[of == f])
    confusion = metrics.confusion_matrix(y, predicted)
    assert np.abs(np.array(found["confusion"]) - confusion).sum() <= 4
    assert np.isclose(found["accuracy"], metrics.accuracy_score(y, predicted), atol=1e-3)
    assert np.isclose(found["balanced_accuracy"], metrics.balanced_accuracy_score(y, predicted), atol=1e-3)
    assert np.isclose(found["macro_f1"], metrics.f1_score(y, predicted, average="macro"), atol=1e-3)
    p, r, f1, n = metrics.precision_recall_fscore_support(y, predicted)
    for i, c in enumerate(found["classes"]):
        assert np.allclose([c["precision"], c["recall"], c["f1"]], [p[i], r[i], f1[i]], atol=5e-3)
        assert c["rows"] == n[i] and c["name"] == str(i)


@pytest.mark.filterwarnings("ignore")
def test_regression_as_scikit_learn(terravec, real, folds):
    x, _, _ = real
    path, of = folds
    y = pq.read_table(path)["vv"].to_numpy() + np.sin(40 * x[:, 3])
    table = pq.read_table(path)
    noisy = table.set_column(table.column_names.index("vv"), "vv", pa.array(y))
    path = path.with_name("noisy.parquet")
    pq.write_table(noisy, path)
    for args, model in [
        (["--learner", "linear"], linear_model.LinearRegression()),
        (["--learner", "ridge", "--alpha", "3"], linear_model.Ridge(3.0)),
        (["--learner", "knn"], neighbors.KNeighborsRegressor(5)),
    ]:
        found = assess(terravec, path, "--group", "fold", *args, verb="regress", column="vv")[1]
        theirs = by_fold(model, x, y, of)
        assert np.allclose(scores(found), theirs, atol=1e-4), args
        predicted = np.empty_like(y)
        for f in range(5):
            predicted[of == f] = model.fit(x[of != f], y[of != f]).predict(x[of == f])
        pooled = found["pooled"]
        assert np.isclose(pooled["rmse"], metrics.root_mean_squared_error(y, predicted), rtol=1e-4)
        assert np.isclose(pooled["mae"], metrics.mean_absolute_error(y, predicted), rtol=1e-4)
        assert np.isclose(pooled["bias"], np.mean(predicted - y), atol=1e-5)
    for args, model in [
        (["--learner", "forest"], ensemble.RandomForestRegressor(30, max_features=1 / 3, random_state=0)),
        (["--learner", "boosting"], ensemble.HistGradientBoostingRegressor()),
        (["--learner", "mlp"], neural_network.MLPRegressor(hidden_layer_sizes=(64, 32), random_state=0)),
    ]:
        found = assess(terravec, path, "--group", "fold", *args, verb="regress", column="vv")[1]
        assert np.mean(scores(found)) > np.mean(by_fold(model, x, y, of)) - 0.03, args


def test_the_area_of_applicability(terravec, real, tmp_path):
    """The dissimilarity index and threshold as the paper defines them, in NumPy."""
    x, _, region = real
    model = tmp_path / "m.json"
    said = terravec.json(
        "classify",
        "fit",
        DATASET,
        "--labels",
        POINTS,
        "--column",
        "dw_label",
        "--group",
        "region",
        "-o",
        model,
    )
    z = (x - x.mean(0)) / x.std(0)
    d = np.sqrt(np.maximum(((z**2).sum(1)[:, None] + (z**2).sum(1) - 2 * z @ z.T), 0))
    mean = d.sum() / (len(d) * (len(d) - 1))
    di = np.array([d[i, region != region[i]].min() for i in range(len(d))]) / mean
    low, high = np.quantile(di, [0.25, 0.75])
    threshold = min(high + 1.5 * (high - low), di.max())
    assert np.isclose(said["applicability_threshold"], threshold, rtol=1e-4)
    out = tmp_path / "p.parquet"
    wisconsin = f"alphaearth={TESTDATA / 'alphaearth' / 'wisconsin'}"
    terravec(
        "classify",
        "predict",
        wisconsin,
        "--model",
        model,
        "--points",
        "-88.768,44.295",
        "-o",
        out,
        "--year",
        "2024",
    )
    row = pq.read_table(out).to_pylist()[0]
    v = terravec.table(wisconsin, "--points", "-88.768,44.295", "--year", "2024", out=tmp_path / "v.parquet")
    q = (np.array(v["embedding"][0].as_py()) - x.mean(0)) / x.std(0)
    expected = np.sqrt(((z - q) ** 2).sum(1)).min() / mean
    assert np.isclose(row["dissimilarity"], expected, rtol=1e-4)
    assert row["inside"] == (expected <= threshold)


def test_the_same_whatever_the_threads(terravec, tmp_path):
    for learner in ("forest", "logistic", "mlp"):
        files = []
        for threads in ("1", "3"):
            out = tmp_path / f"{learner}{threads}.json"
            command = [
                "classify",
                "fit",
                DATASET,
                "--labels",
                POINTS,
                "--column",
                "dw_label",
                "--learner",
                learner,
            ]
            done = subprocess.run(
                [terravec.binary, *command, "--no-assess", "-o", out, "--seed", "7"],
                env=terravec.env | {"RAYON_NUM_THREADS": threads},
                capture_output=True,
            )
            assert done.returncode == 0
            files.append(out.read_bytes())
        assert files[0] == files[1]
    assert json.loads(files[0])["fit"]["seed"] == 7
