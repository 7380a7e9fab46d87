"""From labels to maps: what `classify` and `regress` write, read back with rasterio, shapely and scikit-learn; and what they refuse."""

import json

import numpy as np
import oracle
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import rasterio
import rasterio.features
import shapely
from conftest import TESTDATA
from pyproj import Geod, Transformer
from sklearn import linear_model, neighbors

AEF = TESTDATA / "alphaearth"
LABELLED, WISCONSIN = f"alphaearth={AEF / 'labelled'}", f"alphaearth={AEF / 'wisconsin'}"
POINTS = AEF / "labelled" / "labelled_points.parquet"
CODES = AEF / "wisconsin" / "2024" / "16N" / "wisconsin_field.tif"


def fit(terravec, out, *args, column="dw_class", verb="classify", labels=POINTS, dataset=LABELLED):
    return terravec.json(verb, "fit", dataset, "--labels", labels, "--column", column, *args, "-o", out)


@pytest.fixture(scope="module")
def model(terravec, tmp_path_factory):
    out = tmp_path_factory.mktemp("model") / "m.json"
    fit(terravec, out, "--group", "region")
    return out


@pytest.fixture(scope="module")
def training():
    t = pq.read_table(AEF / "labelled" / "labelled_vectors.parquet")
    return np.stack(t["embedding"].to_numpy()), np.array(t["dw_class"].to_pylist())


def decoded(path):
    with rasterio.open(path) as src:
        codes = src.read().astype(np.float64)
    v = np.sign(codes) * (codes / 127.5) ** 2
    v[:, (codes == -128).any(axis=0)] = np.nan
    return v


@pytest.fixture
def holed(tmp_path):
    """The Wisconsin tile with nodata in a third of it."""
    folder = tmp_path / "holed" / "2024" / "16N"
    folder.mkdir(parents=True)
    with rasterio.open(CODES) as src:
        data, profile = src.read(), src.profile
    data[:, :, 60:] = -128
    with rasterio.open(folder / "t.tif", "w", **profile) as dst:
        dst.write(data)
    return tmp_path / "holed", folder / "t.tif"


def test_a_map_is_what_scikit_learn_predicts_and_nodata_stays(terravec, model, training, holed, tmp_path):
    folder, tile = holed
    out, quality = tmp_path / "m.tif", tmp_path / "q.tif"
    said = terravec.json(
        "classify", "predict", f"alphaearth={folder}", "--model", model, "-o", out, "--quality", quality
    )["mapped"]
    assert oracle.cog_faults(out) == [] and oracle.cog_faults(quality) == []
    v = decoded(tile)
    there = np.isfinite(v[0])
    x, y = training
    theirs = linear_model.LogisticRegression(C=10, solver="newton-cholesky", tol=1e-8).fit(
        x.astype(np.float64), y
    )
    shares = theirs.predict_proba(v[:, there].T)
    with rasterio.open(out) as src, rasterio.open(tile) as tile:
        assert src.dtypes == ("uint8",) and src.nodata == 255
        assert src.crs == tile.crs and src.transform == tile.transform
        ours = src.read(1)
        legend = json.loads(src.tags()["TERRAVEC_CLASSES"])
        colours = src.colormap(1)
    names = {int(code): c["name"] for code, c in legend.items()}
    assert sorted(names) == list(range(1, 10)) and sorted(names.values()) == list(theirs.classes_)
    for code, c in legend.items():
        assert "#{:02x}{:02x}{:02x}".format(*colours[int(code)][:3]) == c["colour"]
    assert (ours[~there] == 255).all()
    expected = np.argmax(shares, axis=1) + 1
    close = np.sort(shares, axis=1)
    clear = close[:, -1] - close[:, -2] > 1e-4
    assert clear.mean() > 0.99 and (ours[there] == expected)[clear].all()
    with rasterio.open(quality) as src:
        assert src.descriptions == ("probability", "entropy", "dissimilarity")
        q = src.read()
    assert np.isnan(q[:, ~there]).all() and np.isfinite(q[:, there]).all()
    assert np.allclose(q[0][there], shares.max(axis=1), atol=1e-4)
    entropy = -(shares * np.log(shares)).sum(axis=1) / np.log(9)
    assert np.allclose(q[1][there], entropy, atol=1e-4)
    assert said["valid_pixels"] == there.sum() and said["pixels"] == there.size
    counts = {c["code"]: c["pixels"] for c in said["classes"]}
    assert all(counts[k] == (ours == k).sum() for k in range(1, 10))


@pytest.mark.parametrize("learner", ["knn", "forest", "boosting", "mlp", "centroid", "ridge"])
def test_every_learner_maps_as_it_predicts_points(terravec, learner, tmp_path):
    model, out, table = tmp_path / "m.json", tmp_path / "m.tif", tmp_path / "p.parquet"
    few = ["--rounds", "10"] if learner == "boosting" else []
    fit(terravec, model, "--learner", learner, "--no-assess", "--per-class", "40", *few)
    terravec("classify", "predict", WISCONSIN, "--model", model, "-o", out)
    with rasterio.open(out) as src:
        to = Transformer.from_crs(src.crs, "OGC:CRS84", always_xy=True)
        cells = [(5, 7), (50, 50), (96, 96), (0, 96), (33, 80)]
        places = [to.transform(*src.xy(r, c)) for r, c in cells]
        mapped = [int(src.read(1)[r, c]) for r, c in cells]
    points = tmp_path / "p.csv"
    points.write_text("lon,lat\n" + "\n".join(f"{x:.9f},{y:.9f}" for x, y in places))
    terravec("classify", "predict", WISCONSIN, "--model", model, "--points", points, "-o", table)
    rows = pq.read_table(table)
    assert rows["code"].to_pylist() == mapped
    assert "embedding" not in rows.column_names and "geometry" in rows.column_names
    assert ((p := rows["probability"].to_numpy()) > 0.05).all() and (p <= 1).all()


def test_polygons_are_the_map(terravec, model, tmp_path):
    out, polygons = tmp_path / "m.tif", tmp_path / "p.parquet"
    terravec("classify", "predict", WISCONSIN, "--model", model, "-o", out, "--polygons", polygons)
    rows = pq.read_table(polygons).to_pylist()
    with rasterio.open(out) as src:
        raster = src.read(1)
        traced = list(rasterio.features.shapes(raster, transform=src.transform, connectivity=4))
        to = Transformer.from_crs("OGC:CRS84", src.crs, always_xy=True).transform
        transform = src.transform
    assert len(rows) == len(traced)
    shapes = [shapely.from_wkb(r["geometry"]) for r in rows]
    assert all(shapely.is_valid(s) for s in shapes)
    assert all(shapely.is_ccw(p.exterior) for s in shapes for p in shapely.get_parts(s))
    # Back on the map's grid they burn the same raster.
    flat = [shapely.transform(s, lambda c: np.column_stack(to(c[:, 0], c[:, 1]))) for s in shapes]
    burnt = rasterio.features.rasterize(
        [(s, r["code"]) for s, r in zip(flat, rows, strict=True)], raster.shape, transform=transform, fill=255
    )
    assert (burnt == raster).all()
    theirs = sorted(round(shapely.geometry.shape(s).area, 3) for s, _ in traced)
    assert np.allclose(sorted(s.area for s in flat), theirs, rtol=1e-6)
    assert all(r["area_m2"] == r["pixels"] * 100 for r in rows)
    assert sum(r["pixels"] for r in rows) == raster.size


def test_polygons_in_degrees_have_their_true_area(terravec, model, tmp_path):
    out, polygons = tmp_path / "m.tif", tmp_path / "p.parquet"
    terravec(
        "classify", "predict", WISCONSIN, "--model", model, "--crs", "EPSG:4326", "--resolution", "0.0001",
        "-o", out, "--polygons", polygons,
    )  # fmt: skip
    geod = Geod(ellps="WGS84")
    for row in pq.read_table(polygons).to_pylist():
        area, _ = geod.geometry_area_perimeter(shapely.from_wkb(row["geometry"]))
        assert np.isclose(row["area_m2"], area, rtol=6e-3)


def test_labels_as_polygons(terravec, tmp_path):
    """Pixels inside two rectangles of a tile; those of one rectangle are held out together."""
    with rasterio.open(CODES) as src:
        to = Transformer.from_crs(src.crs, "OGC:CRS84", always_xy=True)
        corner = lambda c, r: to.transform(*rasterio.transform.xy(src.transform, r, c, offset="ul"))  # noqa: E731
    boxes = {
        "north": (0, 0, 10, 5),
        "south": (40, 60, 50, 70),
        "again": (60, 0, 64, 4),
        "last": (80, 80, 90, 90),
    }
    classes = {"north": "a", "again": "a", "south": "b", "last": "b"}
    features = []
    for name, (w, n, e, s) in boxes.items():
        ring = [corner(w, n), corner(w, s), corner(e, s), corner(e, n), corner(w, n)]
        features.append(
            {
                "type": "Feature",
                "properties": {"class": classes[name]},
                "geometry": {"type": "Polygon", "coordinates": [ring]},
            }
        )
    labels = tmp_path / "l.geojson"
    labels.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    said = fit(terravec, tmp_path / "m.json", column="class", labels=labels, dataset=WISCONSIN)
    assert said["training"]["per_class"] == [66, 200]
    assert said["assessments"][1]["folds"] == "leave one of 4 groups out"
    capped = fit(
        terravec, tmp_path / "c.json", "--per-polygon", "8", column="class", labels=labels, dataset=WISCONSIN
    )
    assert capped["training"]["per_class"] == [16, 16] and "234 pixels" in " ".join(capped["notes"])
    v = decoded(CODES)
    x = np.concatenate([v[:, n:s, w:e].reshape(64, -1).T for w, n, e, s in boxes.values()])
    y = np.repeat(["a", "b", "a", "b"], [50, 100, 16, 100])
    theirs = neighbors.KNeighborsClassifier(1).fit(x, y).predict(v.reshape(64, -1).T)
    fit(
        terravec, tmp_path / "k.json", "--learner", "knn", "-k", "1", "--no-assess",
        column="class", labels=labels, dataset=WISCONSIN,
    )  # fmt: skip
    terravec("classify", "predict", WISCONSIN, "--model", tmp_path / "k.json", "-o", tmp_path / "k.tif")
    with rasterio.open(tmp_path / "k.tif") as src:
        ours = np.array(["a", "b"])[src.read(1).ravel() - 1]
    assert (ours == theirs).mean() > 0.9995


def test_values_as_a_raster(terravec, training, tmp_path):
    x, _ = training
    y = x @ np.linspace(-1, 1, 64)
    table = pq.read_table(POINTS)
    labels = tmp_path / "v.parquet"
    pq.write_table(
        table.append_column("v", pa.array(y.astype(np.float64))).replace_schema_metadata(
            table.schema.metadata
        ),
        labels,
    )
    said = fit(
        terravec, tmp_path / "m.json", "--learner", "linear", column="v", verb="regress", labels=labels
    )
    assert said["assessments"][0]["pooled"]["r2"] > 0.999999
    out = tmp_path / "v.tif"
    terravec("regress", "predict", WISCONSIN, "--model", tmp_path / "m.json", "-o", out)
    with rasterio.open(out) as src:
        assert src.dtypes == ("float32",) and np.isnan(src.nodata)
        assert np.allclose(src.read(1), np.tensordot(np.linspace(-1, 1, 64), decoded(CODES), 1), atol=1e-5)
    assert "use `regress predict`" in terravec.fails(
        2, "classify", "predict", WISCONSIN, "--model", tmp_path / "m.json", "-o", tmp_path / "x.tif"
    )


def test_areas_from_a_reference_sample(terravec, model, tmp_path):
    """Against the estimator written out in NumPy: strata are the classes of the map."""
    out = tmp_path / "m.tif"
    terravec("classify", "predict", WISCONSIN, "--model", model, "-o", out)
    rng = np.random.default_rng(1)
    with rasterio.open(out) as src:
        raster = src.read(1)
        names = {int(k): c["name"] for k, c in json.loads(src.tags()["TERRAVEC_CLASSES"]).items()}
        to = Transformer.from_crs(src.crs, "OGC:CRS84", always_xy=True)
        rows, strata, truth = [], [], []
        for code in np.unique(raster):
            cells = np.argwhere(raster == code)
            for r, c in cells[rng.choice(len(cells), 12, replace=False)]:
                lon, lat = to.transform(*src.xy(r, c))
                true = names[code] if rng.random() < 0.8 else "wetland"
                rows.append(f"{lon:.8f},{lat:.8f},{true}")
                strata.append(code)
                truth.append(true)
    reference = tmp_path / "r.csv"
    reference.write_text("lon,lat,class\n" + "\n".join(rows) + "\n0,0,water\n")
    said = terravec.json("classify", "area", out, "--reference", reference, "--column", "class")
    assert said["left_out"] == 1 and said["points"] == len(rows)
    assert said["total_m2"] == raster.size * 100
    strata, truth = np.array(strata), np.array(truth)
    wet, variance = 0, 0
    for code in np.unique(strata):
        n_pixels = (raster == code).sum()
        own = truth[strata == code] == "wetland"
        wet += n_pixels * own.mean()
        variance += n_pixels**2 * own.var(ddof=1) / len(own)
    found = next(c for c in said["classes"] if c["class"] == "wetland")
    assert np.isclose(found["area_m2"], wet * 100)
    assert np.isclose(found["share"]["standard_error"], np.sqrt(variance) / raster.size)
    assert found["users_accuracy"] is None and found["producers_accuracy"]["share"] == 0
    assert "no map of classes" in terravec.fails(
        1, "classify", "area", CODES, "--reference", reference, "--column", "class"
    )


def test_numbers_of_classes_stay(terravec, tmp_path):
    model, out = tmp_path / "m.json", tmp_path / "m.tif"
    colours = tmp_path / "c.json"
    colours.write_text('{"0": "#419bdf", "8": "#b39fe1"}')
    fit(terravec, model, "--no-assess", "--colours", colours, column="dw_label")
    terravec("classify", "predict", WISCONSIN, "--model", model, "-o", out)
    with rasterio.open(out) as src:
        assert set(np.unique(src.read(1))) <= set(range(9))
        assert src.colormap(1)[0][:3] == (0x41, 0x9B, 0xDF)
    colours.write_text('{"9": "#419bdf"}')
    assert "no class `9`" in terravec.fails(
        1, "classify", "fit", LABELLED, "--labels", POINTS, "--column", "dw_label", "--colours", colours,
        "--no-assess", "-o", tmp_path / "n.json",
    )  # fmt: skip


def test_bad_labels_are_said_and_counted(terravec, tmp_path):
    rows = pq.read_table(POINTS).to_pylist()[:90:10] + pq.read_table(POINTS).to_pylist()[100:190:10]
    lines = ["lon,lat,class"]
    for r in rows:
        p = shapely.from_wkb(r["geometry"])
        lines.append(f"{p.x!r},{p.y!r},{r['dw_class']}")
    labels = tmp_path / "l.csv"
    # No label; outside; inside a tile, where it has no vector.
    lines += [lines[1].rsplit(",", 1)[0] + ",", "0,0,water", "-59.2885,-3.4220,water"]
    labels.write_text("\n".join(lines))
    said = fit(terravec, tmp_path / "m.json", "--no-assess", column="class", labels=labels)
    dropped = said["training"]["dropped"]
    assert dropped["without_label"] == 1 and dropped["outside"] + dropped["without_vector"] == 2
    assert said["training"]["rows"] == 18 and "labels left out" in said["notes"][0]

    def fails(text, *args, code=1):
        labels.write_text(text)
        return terravec.fails(
            code,
            "classify",
            "fit",
            LABELLED,
            "--labels",
            labels,
            "--column",
            "class",
            *args,
            "-o",
            tmp_path / "x.json",
        )

    one = [lines[0]] + [line.rsplit(",", 1)[0] + ",water" for line in lines[1:8]]
    assert "all labels are of one class, `water`" in fails("\n".join(one))
    assert "no label has a vector" in fails("lon,lat,class\n0,0,a\n1,1,b\n")
    assert "no column `class`" in fails("lon,lat,kind\n0,0,a\n")
    assert "fractions" in fails("lon,lat,class\n0,0,0.5\n1,1,1.5\n")
    good = "\n".join(lines[:19])
    assert "no parameter `k`" in fails(good, "-k", "3", code=2)
    assert "no learner `svm`" in fails(good, "--learner", "svm", code=2)
    assert "18 groups or rows" in fails(good, "--folds", "19") or "fold" in fails(good, "--folds", "19")
    assert not (tmp_path / "x.json").exists()
    assert "exists already" in terravec.fails(
        1, "classify", "fit", LABELLED, "--labels", labels, "--column", "class", "-o", tmp_path / "m.json"
    )


def test_a_model_is_for_its_product_alone(terravec, model, tmp_path):
    args = ["--model", model, "-o", tmp_path / "x.tif"]
    said = terravec.fails(
        1, "classify", "predict", "spherical-harmonics", *args, "--bbox", "0,0,1,1", "--resolution", "0.1"
    )
    assert "numbers" in said
    other = json.loads(model.read_text())
    other["vectors"]["version"] = "v9"
    changed = tmp_path / "v9.json"
    changed.write_text(json.dumps(other))
    args[1] = changed
    said = terravec.fails(1, "classify", "predict", WISCONSIN, *args)
    assert "learnt on alphaearth v9" in said and "--allow-mix" in said
    terravec("classify", "predict", WISCONSIN, *args, "--allow-mix")
    said = terravec.fails(
        1, "classify", "predict", WISCONSIN, *args, "--allow-mix", "--force", "--bands", "A00,A01"
    )
    assert "takes 64 numbers" in said


def test_damaged_models_are_refused(terravec, tmp_path):
    fit(terravec, tmp_path / "m.json", "--learner", "forest", "--trees", "3", "--per-class", "20")
    good = json.loads((tmp_path / "m.json").read_text())
    bad = tmp_path / "bad.json"

    def refused(change):
        copy = json.loads(json.dumps(good))
        change(copy)
        bad.write_text(json.dumps(copy))
        said = terravec.fails(1, "classify", "predict", WISCONSIN, "--model", bad, "-o", tmp_path / "x.tif")
        assert "bad.json" in said
        return said

    def tree(m):
        return m["learnt"]["how"]["trees"][0]

    import base64

    def loop(m):
        n = len(base64.b64decode(tree(m)["left"])) // 4
        tree(m)["left"] = base64.b64encode(
            np.zeros(n, "<u4").tobytes() if n < 2 else np.full(n, 1, "<u4").tobytes()
        ).decode()

    refused(loop)
    refused(lambda m: tree(m).update(band="////fw=="))
    refused(lambda m: tree(m).update(values="AA"))
    refused(lambda m: m["learnt"]["how"].update(width=2))
    refused(lambda m: m["task"]["classes"].pop())
    refused(lambda m: m["bands"].pop())
    refused(lambda m: m.update(format="other"))
    assert "format 9" in refused(lambda m: m.update(format_version=9))
    refused(lambda m: m["applicability"].update(mean_distance=0.0))
    for text in (b"", b"{}", b"\x80\x04pickle", b"[" * 100_000):
        bad.write_bytes(text)
        terravec.fails(1, "classify", "predict", WISCONSIN, "--model", bad, "-o", tmp_path / "x.tif")
    assert not (tmp_path / "x.tif").exists()


def test_a_picture_has_the_classes_colours(terravec, model, tmp_path):
    out, picture = tmp_path / "m.tif", tmp_path / "m.png"
    terravec("classify", "predict", WISCONSIN, "--model", model, "-o", out, "--picture", picture)
    with rasterio.open(out) as src, rasterio.open(picture) as png:
        colours, classes = src.colormap(1), src.read(1)
        rgba = png.read()
    k = (rgba.shape[1]) // 97
    drawn = rgba[:3, : 97 * k : k, : 97 * k : k]
    expected = np.array([colours[c][:3] for c in classes.ravel()]).T.reshape(3, 97, 97)
    assert (drawn == expected).all()


def test_models_meet_other_labels(terravec, model, tmp_path):
    rows = pq.read_table(POINTS)
    other = rows.set_column(
        rows.column_names.index("dw_class"),
        "dw_class",
        pa.array(["bog" if c == "water" else c for c in rows["dw_class"].to_pylist()]),
    )
    path = tmp_path / "other.parquet"
    pq.write_table(other, path)
    said = terravec.json(
        "classify", "assess", LABELLED, "--labels", path, "--column", "dw_class", "--model", model
    )
    assert said["notes"] == ["320 labels are of classes that the model does not know: bog"]
    assert said["assessments"][0]["pooled"]["rows"] == 2560 and said["assessments"][0]["mean"] > 0.7
