"""Estimates and countries from Python: as the command says them, and nothing is read or written."""

import pytest
import terravec as tv
from conftest import TESTDATA

GCS = f"alphaearth={TESTDATA / 'alphaearth' / 'gcs'}"
LABELLED = f"alphaearth={TESTDATA / 'alphaearth' / 'labelled'}"
CLAY = f"clay-v0={TESTDATA / 'patch' / 'clay_v0_03WVN_60.gpq'}"
FIELD = TESTDATA / "regions" / "wisconsin_field.geojson"
LIKE = (-88.768, 44.295)


@pytest.fixture
def said(terravec, tmp_path):
    def ask(*args):
        return terravec.json("estimate", *args)["estimate"]

    return ask


def same(told, said):
    """All but the memory: a process of Python keeps more blocks than a command."""
    return all(told[k] == said[k] for k in said if k != "memory") and told["seconds"] > 0


def test_every_verb_says_what_the_command_says(said, tmp_path):
    ds, out = tv.open(GCS), tmp_path / "out"
    map, like = f"{out}.tif", f"{LIKE[0]},{LIKE[1]}"
    pairs = [
        (ds.search(LIKE, dry_run=True), ("search", GCS, "--like", like)),
        (ds.search(LIKE, map=map, dry_run=True), ("search", GCS, "--like", like, "--map", map)),
        (tv.cluster(ds, 3, dry_run=True), ("cluster", GCS, "-k", 3)),
        (tv.pca(ds, dry_run=True), ("pca", GCS)),
        (tv.Index.build(ds, out, dry_run=True), ("index", "build", GCS)),
        (ds.reduce(FIELD, dry_run=True), ("extract", GCS, "--region", FIELD, "--reduce", "mean")),
        (
            tv.join([ds, CLAY], [LIKE], year=2024, dry_run=True),
            ("sample", GCS, CLAY, "--points", like, "--year", 2024),
        ),
        (
            tv.join([ds], patches=CLAY, dry_run=True),
            ("sample", GCS, "--patches", CLAY),
        ),
        (tv.cluster(CLAY, 3, dry_run=True), ("cluster", CLAY, "-k", 3)),
        (tv.open(CLAY).estimate(points=[(-166, 65.7)], nearest=2), ("sample", CLAY, "--points=-166,65.7", "--nearest", 2)),
    ]  # fmt: skip
    for told, args in pairs:
        assert same(told, said(*args)), (args, told)
    assert not list(tmp_path.glob("out*"))


def test_what_is_fitted_says_what_writing_costs(tmp_path):
    ds = tv.open(GCS)
    one = ds.estimate()["bytes"]
    clusters, basis = tv.cluster(ds, 3), tv.pca(ds)
    assert clusters.write(ds, tmp_path / "k.tif", dry_run=True)["bytes"] == one
    assert basis.write(ds, tmp_path / "b.tif", dry_run=True)["bytes"] == one
    points = TESTDATA / "alphaearth" / "labelled" / "labelled_points.parquet"
    model = tv.classify(tv.open(LABELLED).sample(points), "dw_class", learner="knn", assess=False)
    assert model.map(ds, tmp_path / "m.tif", dry_run=True)["bytes"] == one
    assert not list(tmp_path.iterdir())


def test_two_years(seam, said):
    root = f"alphaearth={seam.root}"
    box = "5.9925,51.9965,6.0045,52.0035"
    told = tv.change(root, (2023, 2024), bbox=box, map="m.tif", dry_run=True)
    assert same(told, said("change", root, "--year", "2023,2024", "--bbox", box, "--map", "m.tif"))
    square = {
        "type": "Polygon",
        "coordinates": [[[6, 52], [6.001, 52], [6.001, 52.001], [6, 52.001], [6, 52]]],
    }
    assert tv.trajectories(root, square, dry_run=True)["bytes"] > 0


def test_countries(terravec):
    ds = tv.open(LABELLED)
    for name in ("BR", "bra", "Brazil"):
        tiles = ds.coverage(country=name)
        assert tiles == terravec.json("coverage", LABELLED, "--country", name)["tiles"] and len(tiles) == 2
    assert ds.coverage(country="KEN") == []
    wisconsin = tv.open(LABELLED.replace("labelled", "wisconsin"))
    whole = wisconsin.extract(bbox=(-89, 44, -88, 45))
    assert (wisconsin.extract(country="USA").values == whole.values).all()
    assert len(tv.open(CLAY).extract(country="United States")) == len(tv.open(CLAY).extract())
    assert len(wisconsin.search(LIKE, country="US", k=3)) == 3
    with pytest.raises(tv.QueryError, match="Kenia"):
        ds.coverage(country="Kenia")
    with pytest.raises(tv.QueryError, match="country="):
        ds.coverage(country="KEN", bbox=(1, 2, 3, 4))
    region = {"type": "Polygon", "coordinates": [[[-96, 41], [-94, 41], [-94, 43], [-96, 43], [-96, 41]]]}
    assert len(ds.coverage(region=region)) == 1
