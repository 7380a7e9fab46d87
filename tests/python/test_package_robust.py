"""The Python package under strain: threads, signals, processes, many calls, closed datasets."""

import multiprocessing
import os
import pickle
import subprocess
import sys
import textwrap
import threading
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import products
import pytest
import terravec as tv
from conftest import ROOT, TESTDATA

WISCONSIN = f"{products.ALPHAEARTH}={TESTDATA / 'alphaearth' / 'wisconsin'}"
BBOX = (-88.773, 44.292, -88.764, 44.298)
PLACES = np.array([[-88.768, 44.295], [-88.7701, 44.2961], [-88.7665, 44.2933]])


@pytest.fixture
def slow_server(big):
    """Serves the big tile at 200 kB/s: reading all of it takes minutes."""
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "debug"
    binary = Path(os.environ.get("TERRAVEC_TARGET", target)) / "terravec-testserver"
    process = subprocess.Popen([binary, big.root, "--bandwidth", "200000"], stdout=subprocess.PIPE, text=True)
    yield process.stdout.readline().strip()
    process.kill()
    process.wait()


@pytest.fixture
def server(big):
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "debug"
    binary = Path(os.environ.get("TERRAVEC_TARGET", target)) / "terravec-testserver"
    process = subprocess.Popen([binary, big.root, "--latency-ms", "2"], stdout=subprocess.PIPE, text=True)
    yield process.stdout.readline().strip()
    process.kill()
    process.wait()


# --- threads ------------------------------------------------------------------------------------------------


def test_eight_threads_get_the_same_answers(seam):
    ds = tv.open(f"{products.ALPHAEARTH}={seam.root}")
    rng = np.random.default_rng(3)
    places = np.stack([rng.uniform(5.993, 6.004, 400), rng.uniform(51.997, 52.003, 400)], 1)
    wanted = ds.sample(places).to_numpy(), ds.extract(bbox=seam.bbox).values

    def work(i):
        if i % 2:
            return np.array_equal(ds.extract(bbox=seam.bbox).values, wanted[1], equal_nan=True)
        return np.array_equal(ds.sample(places).to_numpy(), wanted[0], equal_nan=True)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(64)))


def test_other_threads_go_on_while_the_engine_reads(big):
    ds = tv.open(f"{products.ALPHAEARTH}={big.root}")
    beats, stop = [], threading.Event()

    def beat():
        while not stop.wait(0.005):
            beats.append(time.monotonic())

    thread = threading.Thread(target=beat)
    thread.start()
    start = time.monotonic()
    ds.extract()
    took = time.monotonic() - start
    stop.set()
    thread.join()
    during = [b for b in beats if start < b < start + took]
    assert took > 0.1 and max(np.diff([start, *during, start + took])) < max(0.5 * took, 0.1)


# --- signals ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["ds.extract()", "ds.sample(p)", "ds.write('out.tif')", "ds.reduce(r)"])
def test_ctrl_c_stops_a_running_read(tmp_path, slow_server, big, verb):
    name = big.path.relative_to(big.root)
    west, south, east, north = big.bbox
    code = f"""
        import os, signal, threading, time, numpy as np, terravec as tv
        ds = tv.open("{products.ALPHAEARTH}={slow_server}/{name}")
        x, y = np.meshgrid(np.linspace({west}, {east}, 40), np.linspace({south}, {north}, 40))
        p = np.stack([x.ravel(), y.ravel()], 1)
        r = {{"type": "Polygon", "coordinates": [[[{west}, {south}], [{east}, {south}], [{east}, {north}], [{west}, {south}]]]}}
        sent = []
        def interrupt():
            time.sleep(1)
            sent.append(time.monotonic())
            os.kill(os.getpid(), signal.SIGINT)
        threading.Thread(target=interrupt).start()
        try:
            {verb}
        except KeyboardInterrupt:
            print("stopped", time.monotonic() - sent[0])
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=tmp_path,
    )
    word, _, seconds = done.stdout.partition(" ")
    assert word == "stopped" and float(seconds) < 1, done.stdout + done.stderr
    assert not list(tmp_path.iterdir()), "an interrupted run leaves nothing"


def test_an_interrupted_dataset_answers_again(big):
    ds = tv.open(f"{products.ALPHAEARTH}={big.root}")

    def enough(done, all):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ds.extract(progress=enough)
    assert ds.extract(bbox=(3.04, 52.04, 3.05, 52.05)).values.shape[0] == 64


# --- processes ----------------------------------------------------------------------------------------------


def remote_sum(ds):
    return float(np.nansum(ds.extract(bbox=BBOX).values)), float(np.nansum(ds.sample(PLACES).to_numpy()))


@pytest.mark.parametrize("how", ["fork", "spawn", "forkserver"])
def test_datasets_travel_to_workers(how):
    ds = tv.open(WISCONSIN)
    want = remote_sum(ds)  # the parent's threads and open files exist before the fork
    context = multiprocessing.get_context(how)
    with ProcessPoolExecutor(2, mp_context=context) as pool:
        assert [f.result(60) for f in [pool.submit(remote_sum, ds) for _ in range(4)]] == [want] * 4


SHARED = {}


def child_of_fork(_):
    return SHARED["box"](), SHARED["sample"]()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_forked_child_uses_what_it_inherits(server, big):
    """As a data loader does: the dataset is not pickled but inherited, with a network and threads that are not there."""
    ds = tv.open(f"{products.ALPHAEARTH}={server}/{big.path.relative_to(big.root)}")
    box = (3.02, 52.03, 3.03, 52.035)
    SHARED["box"] = lambda: float(np.nansum(ds.extract(bbox=box).values))
    SHARED["sample"] = lambda: float(np.nansum(ds.sample((3.025, 52.032)).to_numpy()))
    want = child_of_fork(0)
    stop = threading.Event()

    def keep_reading():
        while not stop.is_set():
            ds.extract(bbox=box)

    readers = [threading.Thread(target=keep_reading) for _ in range(2)]
    for r in readers:
        r.start()
    try:
        for _ in range(3):
            with multiprocessing.get_context("fork").Pool(2) as pool:
                assert pool.map_async(child_of_fork, range(4)).get(60) == [want] * 4
    finally:
        stop.set()
        for r in readers:
            r.join()
    assert child_of_fork(0) == want, "the parent goes on"


def test_a_relative_root_means_the_same_elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(TESTDATA)
    text = pickle.dumps(tv.open("alphaearth=alphaearth/wisconsin"))
    file = pickle.dumps(tv.open(next(Path("alphaearth/wisconsin").rglob("*.tif"))))
    monkeypatch.chdir(tmp_path)
    want = tv.open(WISCONSIN).sample(PLACES).to_numpy()
    assert np.array_equal(pickle.loads(text).sample(PLACES).to_numpy(), want)
    assert np.array_equal(pickle.loads(file).sample(PLACES).to_numpy(), want)


# --- lifetime -----------------------------------------------------------------------------------------------


def test_a_closed_dataset_says_so():
    with tv.open(WISCONSIN) as ds:
        raster = ds.extract(bbox=BBOX)
    assert raster.values.shape == (64, 70, 75), "answers stay"
    assert "closed" in repr(ds)
    for ask in (
        lambda: ds.sample(PLACES),
        lambda: ds.extract(),
        lambda: ds.coverage(),
        lambda: pickle.dumps(ds),
    ):
        with pytest.raises(tv.TerravecError, match="closed") as e:
            ask()
        assert "open it again" in e.value.help


def resident():
    with open("/proc/self/statm") as f:
        return int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read from /proc")
def test_ten_thousand_calls_leak_nothing():
    ds = tv.open(WISCONSIN)
    one = PLACES[:1]
    bbox = (-88.7681, 44.2950, -88.7680, 44.2951)

    def calls(n):
        for i in range(n):
            ds.coverage()
            if i % 4 == 0:
                ds.sample(one).to_numpy()
            if i % 8 == 0:
                np.asarray(ds.extract(bbox=bbox))
            if i % 16 == 0:
                with pytest.raises(tv.QueryError):
                    ds.extract(year=1999)
            if i % 50 == 0:
                tv.open(WISCONSIN).close()

    calls(1000)
    before = resident()
    calls(7000)
    grown = resident() - before
    # A leak of one vector per sample would be 0.5 MB, of one block per call hundreds.
    assert grown < 8 << 20, f"{grown / 1e6:.1f} MB more after 7000 rounds of calls"
