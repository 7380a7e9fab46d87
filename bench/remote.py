"""Archives on the web: cold, warm and without the cache, and downloads beside a bare parallel fetch of ranges.

    python bench/remote.py --bin-dir target/release

The host is the project's test server, with a latency before each answer and, for one row, a bandwidth. Cold is a new cache, warm the same
question again in a new process. Requests and bytes are counted by the host; ideal are the blocks of the window alone. The bare fetch reads the
same file with eight connections, 4 MiB at a time: into memory, to do nothing with it; into a file; and into a file that is on the disk in the end,
as a download's is. Times of a download are of the whole command. Small files are fetched one by one by 16 threads, and synced each.
"""

import argparse
import http.client
import json
import os
import statistics
import subprocess
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

import make_data
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyproj import Transformer

RUNS = 3
LINES = [(0, None), (30, None), (100, None), (30, 50_000_000)]


class Host:
    def __init__(self, binary, root, latency, bandwidth):
        command = [binary, root, "--latency-ms", str(latency)]
        command += ["--bandwidth", str(bandwidth)] if bandwidth else []
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.url = self.process.stdout.readline().strip()

    def stats(self):
        with urllib.request.urlopen(f"{self.url}/__stats") as answer:
            return json.load(answer)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


def timed(command, env):
    begin = time.perf_counter()
    subprocess.run(list(map(str, command)), env=env, check=True, capture_output=True)
    return time.perf_counter() - begin


class Target:
    """Where a bare fetch puts what it reads: nowhere, into a file, or into one that is made safe."""

    def __init__(self, path=None, sync=False):
        self.file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC) if path else None
        self.sync = sync

    def write(self, view, at):
        if self.file is not None:
            os.pwrite(self.file, view, at)

    def close(self):
        if self.file is not None:
            if self.sync:
                os.fsync(self.file)
            os.close(self.file)


def bare(url, jobs, connections=8):
    """Seconds to read ranges over several connections; a job is a path, a range, a target, and whether it is the target's last."""
    host = url.removeprefix("http://")
    jobs = list(reversed(jobs))
    lock = threading.Lock()

    def work():
        line = http.client.HTTPConnection(host)
        buffer = bytearray(4 << 20)
        while True:
            with lock:
                if not jobs:
                    return
                path, start, end, target, last = jobs.pop()
            line.request("GET", path, headers={"Range": f"bytes={start}-{end - 1}"})
            answer = line.getresponse()
            view, at = memoryview(buffer)[: end - start], start
            while n := answer.readinto(view):
                target.write(view[:n], at)
                view, at = view[n:], at + n
            answer.read()
            if last:
                target.close()

    begin = time.perf_counter()
    threads = [threading.Thread(target=work) for _ in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.perf_counter() - begin


def bare_file(url, path, size, target, piece=4 << 20):
    begin = time.perf_counter()
    bare(url, [(path, at, min(at + piece, size), target, False) for at in range(0, size, piece)])
    target.close()
    return time.perf_counter() - begin


def box(size):
    """A window of about 256 × 256 pixels in the middle of a block."""
    to_lonlat = Transformer.from_crs(make_data.CRS, "OGC:CRS84", always_xy=True)
    x, y = make_data.EAST + 0.4 * size * 10, make_data.SOUTH + 0.35 * size * 10
    (west, south), (east, north) = (
        to_lonlat.transform(x - 1200, y - 1200),
        to_lonlat.transform(x + 1200, y + 1200),
    )
    return f"{west},{south},{east},{north}"


def label(latency, bandwidth):
    return f"{latency} ms" + (f", {bandwidth // 1_000_000} MB/s" if bandwidth else "")


def windows(terravec, server, root, tile, bbox):
    print("| line | cold s | warm s | no cache s | requests cold / warm | MB cold | MB ideal |")
    print("|---|---|---|---|---|---|---|")
    for latency, bandwidth in LINES:
        with Host(server, root, latency, bandwidth) as host, tempfile.TemporaryDirectory() as out:
            dataset = f"alphaearth={host.url}/{tile}"
            env = os.environ | {"TERRAVEC_CACHE_DIR": f"{out}/cache"}
            args = [terravec, "extract", dataset, "--bbox", bbox, "--codes", "-o", f"{out}/w.npy", "--force"]
            estimate = [*args, "--dry-run", "--json", "--no-cache"]
            told = json.loads(subprocess.run(estimate, env=env, check=True, capture_output=True).stdout)
            ideal = told["estimate"]["bytes"] - 65536
            times = {"cold": [], "warm": [], "none": []}
            for _ in range(RUNS):
                subprocess.run([terravec, "cache", "clear"], env=env, check=True, capture_output=True)
                host.stats()
                times["cold"].append(timed(args, env))
                cold = host.stats()
                times["warm"].append(timed(args, env))
                warm = host.stats()
                times["none"].append(timed([*args, "--no-cache"], env))
            s = {k: statistics.median(v) for k, v in times.items()}
            print(
                f"| {label(latency, bandwidth)} | {s['cold']:.3f} | {s['warm']:.3f} | {s['none']:.3f} | "
                f"{cold['requests']} / {warm['requests']} | {cold['bytes'] / 1e6:.1f} | {ideal / 1e6:.1f} |"
            )


def downloads(terravec, server, root, name):
    size = (root / name).stat().st_size
    print("\n| line | download MB/s | bare, to memory | to a file | to the disk | ratios |")
    print("|---|---|---|---|---|---|")
    for latency, bandwidth in LINES:
        with Host(server, root, latency, bandwidth) as host, tempfile.TemporaryDirectory(dir=root) as out:
            env = os.environ | {"TERRAVEC_CACHE_DIR": f"{out}/cache"}
            times = [[], [], [], []]
            for i in range(RUNS):
                command = [terravec, "download", f"{host.url}/{name}", "-o", f"{out}/{i}", "--quiet"]
                times[0].append(timed(command, env))
                targets = [Target(), Target(f"{out}/f{i}"), Target(f"{out}/s{i}", True)]
                for seconds, target in zip(times[1:], targets, strict=True):
                    seconds.append(bare_file(host.url, f"/{name}", size, target))
                os.sync()
            speeds = [size / 1e6 / statistics.median(t) for t in times]
            ratios = " / ".join(f"{speeds[0] / s:.2f}" for s in speeds[1:])
            print(
                f"| {label(latency, bandwidth)} | {' | '.join(f'{s:.0f}' for s in speeds)} | {ratios} |",
                flush=True,
            )


def small_downloads(terravec, server, root, files=500):
    """Many small files of a store: the command, and 16 threads that know names and sizes."""
    folder = root / "small"
    folder.mkdir()
    rng = np.random.default_rng(2)
    for i in range(files):
        vectors = pa.FixedSizeListArray.from_arrays(pa.array(rng.standard_normal(20 * 128, np.float32)), 128)
        table = {"lon": np.full(20, i / 10), "lat": np.full(20, 50.0), "embedding": vectors}
        pq.write_table(pa.table(table), folder / f"{i:04}.parquet")
    sizes = {p.name: p.stat().st_size for p in folder.iterdir()}
    print(
        f"\n{files} files of {sum(sizes.values()) / 1e6:.1f} MB\n\n| line | download s | requests | bare s |\n|---|---|---|---|"
    )
    for latency in (0, 30):
        with Host(server, root, latency, None) as host, tempfile.TemporaryDirectory(dir=root) as out:
            more = {
                "TERRAVEC_CACHE_DIR": f"{out}/cache",
                "AWS_ENDPOINT_URL": host.url,
                "AWS_NO_SIGN_REQUEST": "1",
            }
            env = os.environ | more
            own, other = [], []
            for i in range(RUNS):
                host.stats()
                command = [terravec, "download", "s3://small", "-o", f"{out}/{i}", "--quiet", "--no-cache"]
                own.append(timed(command, env))
                requests = host.stats()["requests"]
                Path(f"{out}/b{i}").mkdir()
                jobs = [
                    (f"/small/{name}", 0, size, Target(f"{out}/b{i}/{name}", True), True)
                    for name, size in sizes.items()
                ]
                other.append(bare(host.url, jobs, 16))
            print(
                f"| {label(latency, None)} | {statistics.median(own):.2f} | {requests} | {statistics.median(other):.2f} |",
                flush=True,
            )


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin-dir", type=Path, required=True)
    parser.add_argument("--server", type=Path, help="terravec-testserver, if it is elsewhere")
    parser.add_argument("--size", type=int, default=2048, help="pixels of the tile's side")
    parser.add_argument("--only", nargs="*", default=["windows", "downloads"], help="windows, downloads")
    args = parser.parse_args()
    terravec = args.bin_dir / "terravec"
    server = args.server or args.bin_dir / "terravec-testserver"
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        tile = root / f"aef-{args.size}.tiff"
        make_data.write(tile, args.size)
        rows = 400_000
        vectors = pa.array(np.random.default_rng(1).standard_normal(rows * 128, dtype=np.float32))
        table = {
            "lon": np.linspace(2, 3, rows),
            "lat": np.linspace(49, 50, rows),
            "embedding": pa.FixedSizeListArray.from_arrays(vectors, 128),
        }
        pq.write_table(pa.table(table), root / "table.parquet", compression="none")
        if "windows" in args.only:
            windows(terravec, server, root, tile.name, box(args.size))
        if "downloads" in args.only:
            downloads(terravec, server, root, "table.parquet")
            small_downloads(terravec, server, root)


if __name__ == "__main__":
    main()
