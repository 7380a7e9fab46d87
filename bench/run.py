"""terravec beside rasterio, TorchGeo and rasteret on an AlphaEarth-like tile; writes bench/results.md.

    python bench/run.py --bin-dir target/release [--quick]

Every run is a process of its own with an empty cache of its own; the files lie in the page cache. Peers are timed
inside the process, from opening the file to decoded vectors in memory, without their imports. terravec is timed
outside: the whole command, from start-up to the written file. Values are compared before anything is timed: every
tool must give exactly the vectors of rasterio's codes decoded by the published rule.
"""

import argparse
import json
import os
import platform
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import make_data
import numpy as np
import pyarrow.parquet as pq
import rasterio
from peers import decode
from pyproj import Transformer

HERE = Path(__file__).resolve().parent
PEERS = ("rasterio", "torchgeo", "rasteret")
LATENCY_MS = 30
TO_LONLAT = Transformer.from_crs(make_data.CRS, "OGC:CRS84", always_xy=True)
TO_UTM = Transformer.from_crs("OGC:CRS84", make_data.CRS, always_xy=True)


def make_question(size):
    """A lon/lat box whose native window is 256 × 256 pixels, and points all over the tile."""
    rng = np.random.default_rng(5)
    extent = size * 10
    x, y = make_data.EAST + 0.40 * extent, make_data.SOUTH + 0.35 * extent
    lon, lat = TO_LONLAT.transform(x, y)
    # The box's sides are tilted against the grid: its native window is a little larger than itself.
    for half in np.arange(1280.0, 1100.0, -0.5):
        dlat = half / 111_250
        dlon = dlat / np.cos(np.radians(lat))
        box = [lon - dlon, lat - dlat, lon + dlon, lat + dlat]
        bounds = TO_UTM.transform_bounds(*box, densify_pts=41)
        bounds = [
            np.floor(bounds[0] / 10) * 10,
            np.floor(bounds[1] / 10) * 10,
            np.ceil(bounds[2] / 10) * 10,
            np.ceil(bounds[3] / 10) * 10,
        ]
        width, height = (bounds[2] - bounds[0]) / 10, (bounds[3] - bounds[1]) / 10
        if max(width, height) <= 256:
            break
    lonlat = TO_LONLAT.transform_bounds(
        make_data.EAST, make_data.SOUTH, make_data.EAST + extent, make_data.SOUTH + extent
    )
    xy = np.array([make_data.EAST, make_data.SOUTH]) + rng.uniform(0, extent, (1000, 2))
    return {"bbox": box, "bounds": bounds, "xy": xy.tolist(), "epsg": 32631, "lonlat_bounds": lonlat}


def with_points(question, count):
    """The question with its first `count` points only, also as lon/lat."""
    xy = question["xy"][:count]
    lon, lat = TO_LONLAT.transform(*np.array(xy).T)
    return question | {"xy": xy, "lon": lon.tolist(), "lat": lat.tolist()}


def truth(path, question):
    """Vectors by rasterio and the decode rule: the window, rows north first, and the points."""
    with rasterio.open(path) as src:
        codes = src.read()[:, ::-1]
        top = src.transform.f + src.height * 10
        left = src.transform.c
    x0, y0, x1, y1 = question["bounds"]
    rows = slice(int((top - y1) / 10), int((top - y0) / 10))
    cols = slice(int((x0 - left) / 10), int((x1 - left) / 10))
    xy = np.array(question["xy"])
    points = codes[:, ((top - xy[:, 1]) // 10).astype(int), ((xy[:, 0] - left) // 10).astype(int)].T
    return {"window": decode(codes[:, rows, cols]), "points": decode(points)}


class Server:
    """bench/serve.py on a free port."""

    def __init__(self, root, latency):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        command = [sys.executable, HERE / "serve.py", root, str(port), str(latency)]
        self.process = subprocess.Popen(command)
        for _ in range(100):
            try:
                self.stats()
                return
            except OSError:
                time.sleep(0.05)
        sys.exit("error: the benchmark's server did not start")

    def stats(self):
        with urllib.request.urlopen(f"{self.url}/__stats") as answer:
            return json.load(answer)


# A child's peak memory counts its parent's as it was at the fork. So a small process does the starting.
LAUNCH = """
import json, os, subprocess, sys, time
start = time.perf_counter()
process = subprocess.Popen(sys.argv[2:])
_, status, usage = os.wait4(process.pid, 0)
wall = time.perf_counter() - start
with open(sys.argv[1], "w") as f:
    json.dump([os.waitstatus_to_exitcode(status), wall, usage.ru_maxrss / 1024], f)
"""


def execute(command, home):
    """Run to the end: (stdout, wall seconds, peak RSS in MB)."""
    env = os.environ | {"HOME": str(home), "XDG_CACHE_HOME": str(home), "PYTHONWARNINGS": "ignore"}
    report = Path(home) / "report.json"
    command = [str(c) for c in command]
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", LAUNCH, report, *command], capture_output=True, text=True, env=env
    )
    code, wall, rss = json.loads(report.read_text())
    if code:
        sys.exit(f"error: {' '.join(command)}\n{done.stderr[-3000:]}")
    return done.stdout, wall, rss


class Bench:
    def __init__(self, bin_dir, repeats, budget):
        self.bin_dir, self.repeats, self.budget = bin_dir, repeats, budget
        self.tmp = Path(tempfile.mkdtemp(prefix="terravec-bench-"))

    def run_peer(self, peer, case, source, question, home):
        out = self.tmp / "out.npy"
        said, wall, rss = execute(
            [sys.executable, HERE / "peers.py", peer, case, source, question, out], home
        )
        return json.loads(said.splitlines()[-1])["seconds"], wall, rss, np.load(out)

    def run_in_process(self, case, source, question, home):
        """The engine called from a Rust program, timed like the peers."""
        out = self.tmp / "out.npy"
        said, wall, rss = execute(
            [self.bin_dir / "examples" / "bench_read", case, source, question, out], home
        )
        return json.loads(said.splitlines()[-1])["seconds"], wall, rss, np.load(out)

    def run_terravec(self, case, source, question, home):
        asked = json.loads(question.read_text())
        if case == "window":
            out = self.tmp / "out.npy"
            question_args = ["extract", source, "--bbox", ",".join(map(repr, asked["bbox"]))]
        else:
            out = self.tmp / "out.parquet"
            points = self.tmp / f"{case}.csv"
            rows = [f"{x!r},{y!r}\n" for x, y in zip(asked["lon"], asked["lat"], strict=True)]
            points.write_text("lon,lat\n" + "".join(rows))
            question_args = ["sample", source, "--points", points]
        _, wall, rss = execute(
            [self.bin_dir / "terravec", *question_args, "--year", 2024, "-o", out, "--force"], home
        )
        if case == "window":
            values = np.load(out)
        else:
            column = pq.read_table(out)["embedding"].combine_chunks()
            values = column.flatten().to_numpy().reshape(-1, 64)
        return wall, wall, rss, values

    def measure(self, tool, case, source, asked, want, server=None):
        question = self.tmp / "question.json"
        question.write_text(json.dumps(asked))
        times, walls, peak, traffic = [], [], 0, {}
        spent = time.perf_counter()
        while len(times) < self.repeats:
            with tempfile.TemporaryDirectory() as home:
                if server:
                    server.stats()
                if tool == "terravec":
                    seconds, wall, rss, values = self.run_terravec(case, source, question, home)
                elif tool == "terravec (in process)":
                    seconds, wall, rss, values = self.run_in_process(case, source, question, home)
                else:
                    seconds, wall, rss, values = self.run_peer(tool, case, source, question, home)
                traffic = server.stats() if server else {}
            if not times and not np.array_equal(values, want):
                sys.exit(f"error: {tool} gives other values for {case} {values.shape} {want.shape}")
            times.append(seconds)
            walls.append(wall)
            peak = max(peak, rss)
            if time.perf_counter() - spent > self.budget:
                break
        row = {
            "tool": tool,
            "median": statistics.median(times),
            "best": min(times),
            "process": statistics.median(walls),
            "n": len(times),
            "rss": peak,
            **traffic,
        }
        print(f"  {tool:22} {row['median']:8.3f} s  (n={row['n']}, {row['rss']:.0f} MB)", flush=True)
        return row


def versions():
    found = {}
    for peer in PEERS:
        code = f"import importlib.metadata as m; print(m.version('{peer}'))"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        if done.returncode == 0:
            found[peer] = done.stdout.strip()
    return found


def cpu():
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":")[1].strip()
    return platform.machine()


CASES = {"window": "256² × 64 window", "points50": "50 points", "points1000": "1 000 points"}


def table(title, rows):
    """One question's table. The ratio compares terravec's whole command with the best peer's call."""
    peers = [r["median"] for r in rows if not r["tool"].startswith("terravec")]
    lines = [f"### {title}", ""]
    http = any("requests" in r for r in rows)
    lines.append(
        "| tool | median s | best s | whole process s | runs | peak RSS MB |"
        + (" requests | MB read |" if http else "")
    )
    lines.append("|---|---|---|---|---|---|" + ("---|---|" if http else ""))
    for r in rows:
        line = f"| {r['tool']} | {r['median']:.3f} | {r['best']:.3f} | {r['process']:.3f} | {r['n']} | {r['rss']:.0f} |"
        if http:
            line += f" {r['requests']} | {r['bytes'] / 1e6:.1f} |"
        lines.append(line)
    mine = [r["median"] for r in rows if r["tool"] == "terravec"]
    if mine and peers:
        lines += ["", f"terravec is {min(peers) / mine[0]:.1f} × as fast as the best peer."]
    return [*lines, ""]


def scaling(bench, path, size):
    """Whole-tile extracts: time must grow with area, memory must not."""
    lines = [
        "### Extract of codes to a COG, by area",
        "",
        "| pixels | s | Mpixel/s | peak RSS MB |",
        "|---|---|---|---|",
    ]
    for side in (size // 4, size // 2, size):
        x0, y0 = make_data.EAST, make_data.SOUTH
        lon0, lat0, lon1, lat1 = TO_LONLAT.transform_bounds(x0, y0, x0 + side * 10, y0 + side * 10)
        out = bench.tmp / "scale.tif"
        with tempfile.TemporaryDirectory() as home:
            _, wall, rss = execute(
                [bench.bin_dir / "terravec", "extract", path, "--bbox", f"{lon0!r},{lat0!r},{lon1!r},{lat1!r}",
                 "--year", 2024, "--codes", "-o", out, "--force"],
                home,
            )  # fmt: skip
        with rasterio.open(out) as src, rasterio.open(path) as tile:
            pixels = src.width * src.height
            row = int((src.transform.f - y0) / 10)  # the tile's rows run north from y0
            col = int((src.transform.c - x0) / 10)
            for band in (1, 64):
                same = tile.read(band, window=((row - src.height, row), (col, col + src.width)))[::-1]
                if not np.array_equal(src.read(band), same):
                    sys.exit(f"error: the extract of {side}² holds other codes")
        out.unlink()
        print(f"  extract {side}²: {wall:.1f} s, {rss:.0f} MB", flush=True)
        lines.append(f"| {pixels / 1e6:.1f} M | {wall:.2f} | {pixels / 1e6 / wall:.2f} | {rss:.0f} |")
    return [*lines, ""]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bin-dir", type=Path, required=True, help="where cargo put the release binaries")
    parser.add_argument("--size", type=int, default=4096, help="side of the tile in pixels")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument(
        "--budget", type=float, default=90, help="stop repeating a case after so many seconds"
    )
    parser.add_argument("--only", help="tools to run, comma-separated")
    parser.add_argument("--no-write", action="store_true", help="print only")
    args = parser.parse_args()

    path = make_data.path_for(args.size)
    if not path.exists():
        print(f"writing {path}", flush=True)
        make_data.write(path, args.size)
    known = versions()
    tools = [p for p in PEERS if p in known]
    if (args.bin_dir / "terravec").exists():
        tools.append("terravec")
    if (args.bin_dir / "examples" / "bench_read").exists():
        tools.append("terravec (in process)")
    if args.only:
        tools = [t for t in tools if t in args.only.split(",")]

    question = make_question(args.size)
    want = truth(path, question)
    wants = {"window": want["window"], "points50": want["points"][:50], "points1000": want["points"]}
    bench = Bench(args.bin_dir, args.repeats, args.budget)
    _, height, width = want["window"].shape
    lines = [
        "# Benchmark results",
        "",
        "Written by `make bench` (`bench/run.py`, which says what is timed and how).",
        "",
        f"* Machine: {cpu()}, {os.cpu_count()} cores, {platform.system()} {platform.release()}.",
        f"* Data: {args.size}² × 64 int8, band-interleaved 1024² blocks, ZSTD, predictor 2, south-up,"
        f" {path.stat().st_size / 1e6:.0f} MB; the window is {width} × {height} pixels.",
        "* Peers: "
        + ", ".join(f"{k} {v}" for k, v in known.items())
        + f"; Python {platform.python_version()}.",
        "* Peers' seconds are their call alone, imports excluded; terravec's are the whole command.",
        "* Each tool's values were found equal to the reference before timing.",
    ]
    for peer in PEERS:
        if peer not in known:
            lines.append(f"* {peer} was not installed, so it has no row (see bench/requirements.txt).")
    lines.append("")

    for place in ("local", "http"):
        server = Server(make_data.path_for(args.size).parents[2], LATENCY_MS) if place == "http" else None
        title = f"HTTP, {LATENCY_MS} ms before each answer" if server else "Local file"
        lines += [f"## {title}", ""]
        if server:
            lines += ["TorchGeo takes local files only.", ""]
        for case, name in CASES.items():
            print(f"{title}: {name}", flush=True)
            asked = with_points(question, 50 if case == "points50" else 1000)
            rows = []
            for tool in tools:
                if server and tool == "torchgeo":
                    continue
                source = f"{server.url}/{path.relative_to(path.parents[2])}" if server else path
                rows.append(bench.measure(tool, case, source, asked, wants[case], server))
            lines += table(name, rows)
        if server:
            server.process.terminate()
    if "terravec" in tools:
        lines += ["## Whole tile", "", *scaling(bench, path, args.size)]
    text = "\n".join(lines).rstrip() + "\n"
    if args.no_write:
        print(text)
    else:
        (HERE / "results.md").write_text(text)
        print(f"wrote {HERE / 'results.md'}")


if __name__ == "__main__":
    main()
