"""terravec beside zarr-python on a store as TESSERA's; prints a report.

    python bench/zarr_stores.py --bin-dir target/release [--runs 3]

The store: 2048² pixels × 128 int8 with float32 scales, Zarr v3, Blosc (zstd, bits shuffled), chunks of 32² in shards of 1024²
(written by zarr-python). Questions: 1 000 and 10 000 points spread over it, and a window of 1 000² pixels, local and over HTTP with
30 ms before each answer. zarr-python decodes with NumPy, as TESSERA's own package does. What each tool answers is compared with NumPy's
formula on the arrays that were written before anything is timed. Every run is a process of its own; imports are not counted for
zarr-python, and start-up is for terravec. Bytes over HTTP are given beside the ideal: the stored bytes of exactly the chunks needed.
"""

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
SIDE, BANDS, CHUNK, SHARD = 2048, 128, 32, 1024
X0, Y0, CRS = 500_000, 5_000_000, "EPSG:32631"


def make(root):
    import zarr
    from zarr.codecs import BloscCodec

    rng = np.random.default_rng(1)
    codes = np.empty((1, BANDS, SIDE, SIDE), np.int8)
    for band in codes[0]:
        band[:] = np.clip(36 * rng.standard_normal((SIDE, SIDE), np.float32), -127, 127)
    scales = rng.uniform(0.02, 0.12, (1, SIDE, SIDE)).astype(np.float32)
    store = zarr.create_group(
        root,
        attributes={
            "geoemb:type": "pixel",
            "geoemb:dimensions": BANDS,
            "geoemb:model": "https://github.com/ucam-eo/tessera",
            "geoemb:quantization": {
                "method": "per_pixel_scale",
                "original_dtype": "float32",
                "scale": {"type": "array", "array_name": "scales", "nodata": "+inf"},
            },
        },
        overwrite=True,
    )
    group = store.create_group(
        "utm31",
        attributes={
            "proj:code": CRS,
            "spatial:dimensions": ["y", "x"],
            "spatial:transform": [10, 0, X0, 0, -10, Y0],
        },
    )
    for name, data, names, typesize in [
        ("embeddings", codes, ["time", "band", "y", "x"], 1),
        ("scales", scales, ["time", "y", "x"], 4),
    ]:
        lead = data.shape[1:-2]
        group.create_array(
            name,
            shape=data.shape,
            dtype=data.dtype,
            chunks=(1, *lead, CHUNK, CHUNK),
            shards=(1, *lead, SHARD, SHARD),
            fill_value=0 if typesize == 1 else np.inf,
            compressors=BloscCodec(cname="zstd", clevel=3, shuffle="bitshuffle", typesize=typesize),
            dimension_names=names,
        )[:] = data
    group.create_array("time", data=np.array([2024], np.int32), dimension_names=["time"])
    zarr.consolidate_metadata(root)
    return codes[0], scales[0]


def questions():
    """Points in pixels and in degrees, and the window."""
    from pyproj import Transformer

    to = Transformer.from_crs(CRS, "EPSG:4326", always_xy=True)
    rng = np.random.default_rng(2)
    out = {}
    for n in (1000, 10_000):
        rows, cols = rng.integers(0, SIDE, n), rng.integers(0, SIDE, n)
        lon, lat = to.transform(X0 + 10 * (cols + 0.5), Y0 - 10 * (rows + 0.5))
        out[f"points{n}"] = {
            "rows": rows.tolist(),
            "cols": cols.tolist(),
            "lon": lon.tolist(),
            "lat": lat.tolist(),
        }
    row, col, size = 500, 500, 1000
    # Near the central meridian the window is upright, to within a pixel.
    corners = [(X0 + 10 * (col + a * size), Y0 - 10 * (row + b * size)) for a in (0, 1) for b in (0, 1)]
    lon, lat = to.transform(*zip(*corners, strict=True))
    out["window"] = {"row": row, "col": col, "size": size, "bbox": [min(lon), min(lat), max(lon), max(lat)]}
    return out


def peer(case, source, question, out):
    """zarr-python, with NumPy."""
    import zarr

    q = json.loads(Path(question).read_text())
    start = time.perf_counter()
    group = zarr.open_group(source, mode="r")["utm31"]
    codes, scales = group["embeddings"], group["scales"]
    if case == "window":
        part = np.s_[q["row"] : q["row"] + q["size"], q["col"] : q["col"] + q["size"]]
        c, s = codes[(0, slice(None), *part)], scales[(0, *part)]
        values = c.astype(np.float32) * s
    else:
        rows, cols = np.array(q["rows"]), np.array(q["cols"])
        band = np.arange(BANDS)[None]
        c = codes.vindex[np.zeros_like(rows)[:, None], band, rows[:, None], cols[:, None]]
        s = scales.vindex[np.zeros_like(rows), rows, cols]
        values = c.astype(np.float32) * s[:, None]
    print(json.dumps({"seconds": time.perf_counter() - start}))
    np.save(out, values)


def run(command, env=None):
    """Seconds inside if it says so, seconds outside, peak MB."""
    start = time.perf_counter()
    process = subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, text=True, env=env)
    said = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    outside = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, command
    inside = json.loads(said)["seconds"] if said.startswith("{") else None
    return inside or outside, usage.ru_maxrss / 1024


def ideal(root, case, q):
    """Stored bytes of the chunks that a question needs, from the indexes of the shards."""
    if case == "window":
        r0, r1 = q["row"] // CHUNK, -(-(q["row"] + q["size"]) // CHUNK)
        c0, c1 = q["col"] // CHUNK, -(-(q["col"] + q["size"]) // CHUNK)
        cells = {(r, c) for r in range(r0, r1) for c in range(c0, c1)}
    else:
        cells = {(r // CHUNK, c // CHUNK) for r, c in zip(q["rows"], q["cols"], strict=True)}
    per = SHARD // CHUNK
    total = 0
    for name, lead in (("embeddings", "0/0"), ("scales", "0")):
        for y in range(SIDE // SHARD):
            for x in range(SIDE // SHARD):
                data = (root / "utm31" / name / "c" / lead / str(y) / str(x)).read_bytes()
                index = np.frombuffer(data[-(16 * per * per + 4) : -4], "<u8").reshape(per, per, 2)
                total += sum(
                    int(index[r % per, c % per, 1]) for r, c in cells if (r // per, c // per) == (y, x)
                )
    return total


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bin-dir", type=Path, required=True)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--latency", type=int, default=30)
    args = parser.parse_args()
    work = Path(tempfile.mkdtemp(prefix="terravec-bench-zarr-"))
    try:
        bench(args, work)
    finally:
        shutil.rmtree(work)


def bench(args, work):
    codes, scales = make(work / "t.zarr")
    asked = questions()
    for case, q in asked.items():
        (work / f"{case}.json").write_text(json.dumps(q))
    server = subprocess.Popen(
        [args.bin_dir / "terravec-testserver", work, "--latency-ms", str(args.latency)],
        stdout=subprocess.PIPE,
        text=True,
    )
    url = server.stdout.readline().strip()

    def stats():
        with urllib.request.urlopen(f"{url}/__stats") as answer:
            return json.load(answer)

    tools = {
        "zarr-python": lambda case, source, out: [
            sys.executable,
            __file__,
            "--peer",
            case,
            source,
            work / f"{case}.json",
            out,
        ],
        "terravec": lambda case, source, out: [
            args.bin_dir / "examples/bench_read",
            "window" if case == "window" else "points",
            source,
            work / f"{case}.json",
            out,
        ],
    }
    print(f"# Zarr\n\n{platform.machine()}, {os.cpu_count()} cores; medians of {args.runs} runs.\n")
    try:
        for place, source in (("local", work / "t.zarr"), (f"HTTP, {args.latency} ms", f"{url}/t.zarr")):
            for case, q in asked.items():
                print(
                    f"## {place}: {case}\n\n| tool | median s | int8 MB/s | requests | MB | MB ÷ ideal | peak RSS MB |\n|---|---|---|---|---|---|---|"
                )
                if case == "window":
                    cut = np.s_[q["row"] : q["row"] + q["size"], q["col"] : q["col"] + q["size"]]
                    want = codes[(slice(None), *cut)].astype(np.float32) * scales[cut]
                else:
                    at = (q["rows"], q["cols"])
                    want = codes[(slice(None), *at)].T.astype(np.float32) * scales[at][:, None]
                best = ideal(work / "t.zarr", case, q)
                for tool, command in tools.items():
                    out = work / "out.npy"
                    stats()
                    run(command(case, source, out))
                    seen = stats()
                    compare(np.load(out), want, case)
                    times = [run(command(case, source, out)) for _ in range(args.runs)]
                    seconds = statistics.median(t for t, _ in times)
                    speed = f"{want.size / 1e6 / seconds:.0f}" if case == "window" else ""
                    requests, mb = (seen["requests"], seen["bytes"] / 1e6) if place != "local" else ("", None)
                    over = f"{mb:.1f} | {mb * 1e6 / best:.3f}" if mb else " | "
                    print(
                        f"| {tool} | {seconds:.3f} | {speed} | {requests} | {over} | {max(m for _, m in times):.0f} |",
                        flush=True,
                    )
                if case == "window":
                    scan = [
                        args.bin_dir / "examples/bench_read",
                        "scan",
                        source,
                        work / f"{case}.json",
                        work / "out.npy",
                    ]
                    times = [run(scan) for _ in range(args.runs)]
                    seconds = statistics.median(t for t, _ in times)
                    sums = np.load(work / "out.npy")
                    assert sums.shape == (BANDS,)
                    print(
                        f"| terravec, piece by piece | {seconds:.3f} | {want.size / 1e6 / seconds:.0f} | | | | {max(m for _, m in times):.0f} |"
                    )
                print()
    finally:
        server.kill()


def compare(got, want, case):
    """Equal, bit by bit; a window may be a pixel larger, as its box in degrees is not upright."""
    if case == "window" and got.shape != want.shape:
        for dr in range(got.shape[1] - want.shape[1] + 1):
            for dc in range(got.shape[2] - want.shape[2] + 1):
                part = got[:, dr : dr + want.shape[1], dc : dc + want.shape[2]]
                if np.array_equal(part[0], want[0]):
                    return np.testing.assert_array_equal(part, want)
        raise AssertionError("the window is not in the answer")
    np.testing.assert_array_equal(got, want)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--peer"]:
        peer(*sys.argv[2:])
    else:
        main()
