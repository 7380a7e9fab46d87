"""The command as people meet it: help, exit status, errors, coverage, and what a broken run leaves behind."""

import contextlib
import json
import os
import signal
import struct
import time
from pathlib import Path

import numpy as np
import products
import pytest
import rasterio
from conftest import TESTDATA

WISCONSIN = f"{products.ALPHAEARTH}={TESTDATA / 'alphaearth' / 'wisconsin'}"
BBOX = "-88.773,44.292,-88.764,44.298"


def test_help_lists_the_verbs(terravec):
    said = terravec("--help").stdout
    for verb in ("products", "info", "coverage", "sample", "extract", "convert", "download"):
        assert f"  {verb}" in said
    assert terravec("--version").stdout.startswith("terravec ")


@pytest.mark.parametrize("verb", ["products", "info", "coverage", "sample", "extract", "convert", "download"])
def test_every_verb_has_help(terravec, verb):
    assert "Usage: terravec " + verb in terravec(verb, "--help").stdout


@pytest.mark.parametrize(
    "args",
    [
        ("smaple",),
        ("sample",),
        ("extract", WISCONSIN, "-o", "x.tif"),
        ("extract", WISCONSIN, "--bbox", BBOX, "--region", "r.geojson", "-o", "x.tif"),
        ("extract", WISCONSIN, "--bbox", "1,2,3", "-o", "x.tif"),
        ("extract", WISCONSIN, "--bbox", "a,b,c,d", "-o", "x.tif"),
        ("extract", WISCONSIN, "--bbox", BBOX, "--resampling", "cubist", "-o", "x.tif"),
        ("extract", WISCONSIN, "--bbox", BBOX, "--year", "20x4", "-o", "x.tif"),
        ("extract", WISCONSIN, "--bbox", BBOX, "--year", "2024..2020", "-o", "x.tif"),
        ("extract", WISCONSIN, "--bbox", BBOX, "--resolution", "-10", "-o", "x.tif"),
        ("extract", WISCONSIN, "--bbox", "-88.7,44.3,-88.8,95", "-o", "x.tif"),
        ("sample", WISCONSIN, "--points", "200,10", "-o", "x.parquet"),
    ],
)
def test_usage_errors_exit_2(terravec, args, tmp_path):
    args = [str(tmp_path / a) if a.startswith("x.") else a for a in args]
    terravec.fails(2, *args)
    assert not list(tmp_path.iterdir())


def failing(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.csv").write_text("name,a,b\nx,1,2\n")
    (tmp_path / "bad.csv").write_text("lon,lat\n1.0,2.0\noops,3\n")
    (tmp_path / "range.csv").write_text("lon,lat\n-88.768,44.295\n10,123.5\n")
    (tmp_path / "notes.tif").write_text("this is no picture")
    (tmp_path / "broken.geojson").write_text('{"type": "FeatureCollection", "features": [')
    (tmp_path / "line.geojson").write_text(
        json.dumps({"type": "LineString", "coordinates": [[-88.77, 44.29], [-88.76, 44.3]]})
    )
    out = tmp_path / "out.parquet"
    tif = tmp_path / "out.tif"
    return {
        "no such folder": (["sample", f"alphaearth={tmp_path}/gone", "--points", "1,2", "-o", out], ["gone"]),
        "an empty folder": (["sample", f"alphaearth={tmp_path}/empty", "--points", "1,2", "-o", out], ["empty"]),
        "no such points": (["sample", WISCONSIN, "--points", tmp_path / "no.csv", "-o", out], ["no.csv"]),
        "no coordinates": (["sample", WISCONSIN, "--points", tmp_path / "text.csv", "-o", out], ["text.csv", "lon"]),
        "a bad number": (["sample", WISCONSIN, "--points", tmp_path / "bad.csv", "-o", out], ["bad.csv", "3"]),
        "beyond the pole": (
            ["sample", WISCONSIN, "--points", tmp_path / "range.csv", "-o", out],
            ["range.csv", "123.5"],
        ),
        "not a TIFF": (["info", tmp_path / "notes.tif"], ["notes.tif"]),
        "broken GeoJSON": (
            ["extract", WISCONSIN, "--region", tmp_path / "broken.geojson", "-o", tif],
            ["broken.geojson"],
        ),
        "a line is no region": (
            ["extract", WISCONSIN, "--region", tmp_path / "line.geojson", "-o", tif],
            ["line.geojson", "olygon"],
        ),
        "an unknown CRS": (
            ["extract", WISCONSIN, "--bbox", BBOX, "--crs", "EPSG:999999", "-o", tif],
            ["999999"],
        ),
        "an unknown format": (
            ["extract", WISCONSIN, "--bbox", BBOX, "-o", tmp_path / "out.xyz"],
            ["xyz", ".tif"],
        ),
        "a folder that is not there": (
            ["extract", WISCONSIN, "--bbox", BBOX, "-o", tmp_path / "no" / "out.tif"],
            ["no"],
        ),
        "an unknown product": (["info", "alphaerth=/tmp"], ["alphaerth"]),
    }  # fmt: skip


CASES = [
    "no such folder",
    "an empty folder",
    "no such points",
    "no coordinates",
    "a bad number",
    "beyond the pole",
    "not a TIFF",
    "broken GeoJSON",
    "a line is no region",
    "an unknown CRS",
    "an unknown format",
    "a folder that is not there",
    "an unknown product",
]


@pytest.mark.parametrize("case", CASES)
def test_failures_name_the_thing_and_the_remedy(terravec, tmp_path, case):
    args, words = failing(tmp_path)[case]
    before = sorted(p.name for p in tmp_path.rglob("*"))
    done = terravec.raw(*args)
    assert done.returncode in (1, 2), done.stderr
    assert done.stderr.startswith("error: ") and "\n  help: " in done.stderr, done.stderr
    for word in words:
        assert word in done.stderr, done.stderr
    assert "panicked" not in done.stderr and not done.stdout.strip()
    assert sorted(p.name for p in tmp_path.rglob("*")) == before, "a failed run leaves nothing"


def test_a_truncated_tile_is_an_error_that_names_it(terravec, tmp_path):
    source = next((TESTDATA / "alphaearth" / "wisconsin").rglob("*.tif"))
    tree = tmp_path / "tree" / "2024" / "16N"
    tree.mkdir(parents=True)
    data = source.read_bytes()
    (tree / "cut.tif").write_bytes(data[: len(data) // 2])
    out = tmp_path / "o.tif"
    said = terravec.fails(1, "extract", f"alphaearth={tmp_path / 'tree'}", "--bbox", BBOX, "-o", out)
    assert "cut.tif" in said
    assert not out.exists()


def test_a_corrupt_block_is_an_error_not_a_value(terravec, tmp_path):
    source = next((TESTDATA / "alphaearth" / "wisconsin").rglob("*.tif"))
    with rasterio.open(source) as src:
        offset = int(src.get_tag_item("BLOCK_OFFSET_1_1", "TIFF", bidx=1))
        size = int(src.get_tag_item("BLOCK_SIZE_1_1", "TIFF", bidx=1))
    data = bytearray(source.read_bytes())
    data[offset : offset + size] = b"\xa5" * size
    tree = tmp_path / "tree" / "2024" / "16N"
    tree.mkdir(parents=True)
    (tree / "bad.tif").write_bytes(data)
    out = tmp_path / "o.tif"
    said = terravec.fails(1, "extract", f"alphaearth={tmp_path / 'tree'}", "--bbox", BBOX, "-o", out)
    assert "bad.tif" in said and not out.exists()


def test_a_bomb_of_a_header_is_refused_quickly(terravec, tmp_path):
    """A TIFF that claims a million bands of a million pixels must not be believed."""
    entries = [(256, 4, 1_000_000), (257, 4, 1_000_000), (258, 3, 8), (259, 3, 1), (277, 3, 65535)]
    entries += [(322, 4, 1_000_000), (323, 4, 1_000_000), (324, 4, 8), (325, 4, 4_000_000_000), (284, 3, 1)]
    entries.sort()
    body = struct.pack("<2sHI", b"II", 42, 8) + struct.pack("<H", len(entries))
    body += b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in entries)
    (tmp_path / "bomb.tif").write_bytes(body + struct.pack("<I", 0))
    start = time.monotonic()
    said = terravec.fails(1, "info", tmp_path / "bomb.tif")
    assert time.monotonic() - start < 5 and "bomb.tif" in said


# --- info and coverage --------------------------------------------------------------------------------------


@pytest.mark.parametrize("copy", ["wisconsin", "gcs"])
def test_info_of_a_file(terravec, copy):
    path = next((TESTDATA / "alphaearth" / copy).rglob("*.tif*"))
    said = terravec("info", path).stdout
    for fact in ("97", "64", "EPSG:32616", "int8", "-128", "zstd", "A00"):
        assert fact.lower() in said.lower(), fact
    assert ("south" in said.lower()) == (copy == "gcs"), "the stored row order is said where it is unusual"
    facts = json.dumps(terravec.json("info", path))
    assert products.ALPHAEARTH in facts and "32616" in facts


def test_info_of_a_tree(terravec, seam):
    facts = terravec.json("info", f"{products.ALPHAEARTH}={seam.root}")
    said = json.dumps(facts)
    assert facts["product"] == products.ALPHAEARTH
    assert "2023" in said and "2024" in said
    assert facts["tiles"] == 8


def test_coverage_counts_tiles_by_year_and_box(terravec, seam):
    dataset = f"{products.ALPHAEARTH}={seam.root}"

    def tiles(*args):
        answer = terravec.json("coverage", dataset, *args)
        return answer if isinstance(answer, list) else answer["tiles"]

    assert len(tiles()) == 8
    assert len(tiles("--year", 2023)) == 4
    # West of both of zone 32's tiles only zone 31 is met.
    assert len(tiles("--year", 2023, "--bbox", "5.9880,51.9965,5.9905,52.0035")) == 2
    assert tiles("--bbox", "10,10,11,11") == []
    assert "2023" in terravec("coverage", dataset).stdout


def test_the_tile_index_notices_new_files(terravec, tmp_path, seam):
    """The folder's index is kept between runs; a file added or taken away must be seen all the same."""
    tree = tmp_path / "tree"
    first, second = sorted(seam.root.glob("2024/31N/*.tiff"))
    for path in (first, second):
        target = tree / path.relative_to(seam.root)
        target.parent.mkdir(parents=True, exist_ok=True)
        if path == first:
            target.write_bytes(path.read_bytes())
    dataset = f"{products.ALPHAEARTH}={tree}"
    assert terravec.json("info", dataset)["tiles"] == 1
    (tree / second.relative_to(seam.root)).write_bytes(second.read_bytes())
    assert terravec.json("info", dataset)["tiles"] == 2
    (tree / first.relative_to(seam.root)).unlink()
    assert terravec.json("info", dataset)["tiles"] == 1


# --- interruption -------------------------------------------------------------------------------------------


def writes_into(process, folder):
    """Has the process a file of the folder open, be it one without a name yet?"""
    if any(folder.iterdir()):
        return True
    for link in Path(f"/proc/{process.pid}/fd").glob("*"):
        with contextlib.suppress(OSError):
            if os.readlink(link).startswith(str(folder)):
                return True
    return False


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_interrupted_run_leaves_no_partial_file(terravec, tmp_path, big, how):
    out = tmp_path / "big.tif"
    args = ["extract", f"{products.ALPHAEARTH}={big.root}", "--bbox", ",".join(map(str, big.bbox))]
    args += ["--crs", "EPSG:3035", "--resolution", 2, "--resampling", "bilinear", "-o", out]
    run = terravec.start(*args)
    for _ in range(1000):
        if run.poll() is not None or writes_into(run, tmp_path):
            break
        time.sleep(0.01)
    time.sleep(0.2)
    assert run.poll() is None, "the run ended before it could be interrupted"
    run.send_signal(how)
    assert run.wait(timeout=20) != 0
    assert not out.exists()
    if how != signal.SIGKILL:  # nobody can tidy up after that one
        assert list(tmp_path.iterdir()) == []


def test_quiet_stdout_when_writing_a_file(terravec, tmp_path):
    """What is printed beside a file is for people: nothing binary, and the file's name is in it."""
    out = tmp_path / "w.npy"
    done = terravec("extract", WISCONSIN, "--bbox", BBOX, "--year", 2024, "-o", out)
    assert str(out) in done.stdout + done.stderr
    assert np.load(out).shape[0] == 64
