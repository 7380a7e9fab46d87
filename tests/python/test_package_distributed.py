"""The same answers from a cluster as from one process, also when a worker dies."""

import os
import signal
import threading
import time

import distributed
import numpy as np
import pandas
import products
import pytest
import terravec as tv
import terravec.distributed
from conftest import TESTDATA

LABELLED = TESTDATA / "alphaearth" / "labelled"


@pytest.fixture(scope="module")
def client():
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


def test_a_sample_is_that_of_one_process(client, monkeypatch):
    monkeypatch.setattr(terravec.distributed, "POINTS", 300)
    ds = tv.open(f"{products.ALPHAEARTH}={LABELLED}")
    points = LABELLED / "labelled_points.parquet"
    want, got = ds.sample(points), tv.distributed.sample(ds, points, client=client)
    assert got.to_pyarrow().replace_schema_metadata().equals(want.to_pyarrow().replace_schema_metadata())
    assert got.provenance == want.provenance and got.bands == want.bands


def test_rows_of_years_and_missing_places_stay_in_order(client, seam, monkeypatch):
    monkeypatch.setattr(terravec.distributed, "POINTS", 7)
    ds = tv.open(f"{products.ALPHAEARTH}={seam.root}")
    rng = np.random.default_rng(2)
    frame = pandas.DataFrame(
        {"n": range(40), "lon": rng.uniform(5.99, 6.01, 40), "lat": rng.uniform(51.99, 52.01, 40)}
    )
    frame.loc[[3, 20], ["lon", "lat"]] = np.nan
    with pytest.warns(tv.TerravecWarning):
        want = ds.sample(frame, year=[2024, 2023])
        got = tv.distributed.sample(ds, frame, client=client, year=[2024, 2023])
    # NaN is not equal to itself, but says the same.
    assert repr(got.to_pyarrow().to_pylist()) == repr(want.to_pyarrow().to_pylist())
    assert got.to_pyarrow().schema.equals(want.to_pyarrow().schema)
    assert {k: v for k, v in got.provenance.items() if k != "sources"} == {
        k: v for k, v in want.provenance.items() if k != "sources"
    }
    assert set(got.provenance["sources"]) == set(want.provenance["sources"])


@pytest.mark.parametrize(
    "options",
    [{}, {"crs": "EPSG:3035", "resolution": 12.0, "resampling": "average", "year": 2024}, {"codes": True}],
    ids=repr,
)
def test_an_extract_is_that_of_one_process(client, seam, options):
    ds = tv.open(f"{products.ALPHAEARTH}={seam.root}")
    want, got = (
        ds.extract(bbox=seam.bbox, **options),
        tv.distributed.extract(ds, client=client, bbox=seam.bbox, **options),
    )
    assert np.array_equal(got.values, want.values, equal_nan=True) and np.array_equal(got.status, want.status)
    assert (got.grid, got.bands, got.years, got.provenance) == (
        want.grid,
        want.bands,
        want.years,
        want.provenance,
    )


def test_failures_come_back_as_they_are(client, seam):
    ds = tv.open(f"{products.ALPHAEARTH}={seam.root}")
    with pytest.raises(tv.QueryError, match="1999"):
        tv.distributed.sample(ds, [(6.0, 52.0)], client=client, year=1999)


def test_a_worker_that_is_killed_is_made_up_for(big):
    """Its own cluster: one of two workers is killed while it reads; what it had is done again."""
    ds = tv.open(f"{products.ALPHAEARTH}={big.root}")
    request = {
        "crs": "EPSG:3035",
        "resolution": 6.0,
        "resampling": "bilinear",
        "bbox": (3.01, 52.03, 3.06, 52.06),
    }
    want = ds.extract(**request)
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        distributed.Client(cluster) as client,
    ):
        victims = {w: client.run(os.getpid)[w] for w in list(client.scheduler_info(-1)["workers"])}
        victim, pid = next(iter(victims.items()))
        killed = threading.Event()

        def kill():
            # As soon as it has something to do.
            for _ in range(2000):
                if client.processing().get(victim):
                    break
                time.sleep(0.005)
            os.kill(pid, signal.SIGKILL)
            killed.set()

        thread = threading.Thread(target=kill)
        thread.start()
        got = tv.distributed.extract(ds, client=client, **request)
        thread.join()
    assert killed.is_set() and np.array_equal(got.values, want.values, equal_nan=True)
