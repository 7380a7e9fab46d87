"""Tables of vectors against pyarrow, numpy, shapely and pyproj.

The example `table_dump` of terravec-io writes what terravec reads as Arrow files and JSON; the same files are read here
with other tools. `TERRAVEC_LOCAL_DATA` may name a folder with larger published files (`patch/`, `suites/geoparquet/`)
to check as well.
"""

import itertools
import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq
import pyproj
import pytest
import shapely

ROOT = Path(__file__).resolve().parents[2]
SUITE = ROOT / "testdata" / "suites" / "geoparquet"
BAD = SUITE / "geoparquet-testing" / "bad_data"
LOCAL = Path(os.environ["TERRAVEC_LOCAL_DATA"]) if "TERRAVEC_LOCAL_DATA" in os.environ else None
local = pytest.mark.skipif(LOCAL is None, reason="TERRAVEC_LOCAL_DATA is not set")

NUMBERS = ["float16", "float32", "float64"] + [f"{u}int{n}" for u in ("", "u") for n in (8, 16, 32, 64)]


def binary():
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "debug"
    path = Path(os.environ.get("TERRAVEC_TARGET", target)) / "examples" / "table_dump"
    assert path.exists(), f"{path} is missing: run `cargo build -p terravec-io --examples`"
    return path


def run(*args):
    return subprocess.run([binary(), *map(str, args)], capture_output=True, text=True, timeout=120)


def said(*args):
    done = run(*args)
    assert done.returncode == 0, f"{args}: {done.stderr}"
    return json.loads(done.stdout)


def refused(*args):
    done = run(*args)
    assert done.returncode == 1 and done.stderr.startswith("error: ") and "  help: " in done.stderr, done
    return done.stderr


def read(path, tmp_path, *options):
    """The rows as terravec reads them."""
    out = tmp_path / "out.arrow"
    done = run("read", path, out, *options)
    assert done.returncode == 0, f"{path} {options}: {done.stderr}"
    with pa.ipc.open_file(out) as file:
        return file.read_all()


def same(ours, theirs):
    """Equal types and values, NaN being equal to NaN."""
    theirs = theirs.replace_schema_metadata(None)
    ours = ours.replace_schema_metadata(None)
    assert ours.schema.names == theirs.schema.names
    assert ours.num_rows == theirs.num_rows
    for name in theirs.schema.names:
        a, b = ours[name].combine_chunks(), theirs[name].combine_chunks()
        assert a.type == b.type, name
        assert repr(a.to_pylist()) == repr(b.to_pylist()), name


def random_numbers(kind, n, seed=1):
    rng = np.random.default_rng(seed)
    if kind.startswith("float"):
        return rng.standard_normal(n).astype(kind)
    info = np.iinfo(kind)
    return rng.integers(info.min, info.max, n, dtype=kind, endpoint=True)


def lists(values, dim, kind):
    """Vectors of equal length as one kind of list."""
    values = pa.array(values)
    offsets = np.arange(len(values) // dim + 1, dtype=np.int32) * dim
    if kind == "fixed":
        return pa.FixedSizeListArray.from_arrays(values, dim)
    if kind == "large":
        return pa.LargeListArray.from_arrays(pa.array(offsets.astype(np.int64)), values)
    return pa.ListArray.from_arrays(pa.array(offsets), values)


# --- batches -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["fixed", "list", "large"])
@pytest.mark.parametrize("number", NUMBERS)
def test_vectors_of_every_type_come_back(tmp_path, number, kind):
    rows, dim = 700, 11
    table = pa.table(
        {
            "id": [f"row{i}" for i in range(rows)],
            "v": lists(random_numbers(number, rows * dim), dim, kind),
            "n": pa.array(np.arange(rows)),
        }
    )
    path = tmp_path / "t.parquet"
    encodings = [{"use_dictionary": True}, {"use_dictionary": False}]
    if number not in ("int8", "uint8", "int16", "uint16"):
        encodings.append({"use_dictionary": False, "use_byte_stream_split": ["v.list.element"]})
    codecs = ["none", "zstd", "snappy", "gzip", "lz4"]
    for i, (encoding, codec) in enumerate(itertools.product(encodings, codecs)):
        pq.write_table(
            table,
            path,
            compression=codec,
            row_group_size=(300, 1000)[i % 2],
            data_page_size=(500, 5000, 1 << 20)[i % 3],
            data_page_version=("1.0", "2.0")[i // 2 % 2],
            write_page_index=i % 4 == 3,
            **encoding,
        )
        same(read(path, tmp_path, "--batch", (64, 8192)[i % 2]), pq.read_table(path))


def irregular(values, rows, dim):
    """Columns of vectors with one thing wrong, each at several places."""
    plain = [list(map(float, values[i * dim : (i + 1) * dim])) for i in range(rows)]
    bad = {"null": None, "short": [1.0], "long": [1.0] * (dim + 1), "empty": [], "hole": [None] + [2.0] * (dim - 1)}
    for (name, vector), at in itertools.product(bad.items(), (0, 1, rows // 2, rows - 1)):
        yield f"{name}{at}", plain[:at] + [vector] + plain[at + 1 :]
    # As many numbers as if nothing were wrong.
    yield "swapped", plain[:5] + [plain[5] + [9.0], plain[6][:-1]] + plain[7:]
    yield "all null", [None] * rows
    yield "all empty", [[]] * rows


def test_lists_of_every_shape_come_back(tmp_path):
    rows, dim = 500, 8
    path = tmp_path / "t.parquet"
    for name, column in irregular(random_numbers("float32", rows * dim), rows, dim):
        for version, fixed in (("1.0", False), ("2.0", False), ("1.0", True)):
            kind = pa.list_(pa.float32(), dim) if fixed else pa.list_(pa.float32())
            if fixed and any(v is not None and len(v) != dim for v in column):
                continue
            table = pa.table({"v": pa.array(column, kind), "n": list(range(rows))})
            pq.write_table(table, path, data_page_size=256, data_page_version=version, use_dictionary=False)
            ours = read(path, tmp_path, "--batch", 64)
            assert repr(ours["v"].to_pylist()) == repr(column), (name, version, fixed)
            assert ours["n"].to_pylist() == list(range(rows))


def test_nothing_but_what_is_asked_comes(tmp_path):
    rows, dim = 3000, 24
    rng = np.random.default_rng(5)
    table = pa.table(
        {
            "id": [f"row{i}" for i in range(rows)],
            "v": lists(random_numbers("float32", rows * dim), dim, "fixed"),
            "ragged": [list(range(i % 5)) if i % 7 else None for i in range(rows)],
            "s": [{"a": i, "b": None if i % 3 else str(i)} for i in range(rows)],
        }
    )
    path = tmp_path / "t.parquet"
    for index, pages, version in itertools.product((False, True), (700, 1 << 20), ("1.0", "2.0")):
        pq.write_table(
            table,
            path,
            row_group_size=1000,
            data_page_size=pages,
            write_page_index=index,
            data_page_version=version,
        )
        whole = pq.read_table(path)
        for _ in range(6):
            cuts = np.sort(rng.choice(rows + 1, size=2 * rng.integers(1, 12), replace=False)).tolist()
            ranges = list(zip(cuts[::2], cuts[1::2], strict=True))
            picked = whole.take(np.concatenate([np.arange(a, b) for a, b in ranges]))
            rows_text = ",".join(f"{a}..{b}" for a, b in ranges)
            same(read(path, tmp_path, "--rows", rows_text, "--batch", int(rng.integers(1, 400))), picked)
        same(read(path, tmp_path, "--rows", "999..1001,2500..2501", "--columns", "v"), whole.select(["v"]).take([999, 1000, 2500]))
        same(read(path, tmp_path, "--rows", "0..3000", "--groups", "1"), whole.slice(1000, 1000))
        same(read(path, tmp_path, "--groups", "2,0", "--columns", "s,id"), pa.concat_tables([whole.slice(2000), whole.slice(0, 1000)]).select(["s", "id"]))
        assert read(path, tmp_path, "--rows", "5..5").num_rows == 0


def test_a_file_without_rows(tmp_path):
    path = tmp_path / "t.parquet"
    table = pa.table({"v": pa.array([], pa.list_(pa.float32(), 4)), "n": pa.array([], pa.int64())})
    pq.write_table(table, path)
    same(read(path, tmp_path), table)
    assert said("info", path)["rows"] == 0
