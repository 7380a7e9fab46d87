"""Archives on the web: cold, warm and without the cache, and downloads beside a bare parallel fetch of ranges.

    python bench/remote.py --bin-dir target/release

The host is the project's test server, with a latency before each answer and, for one row, a bandwidth. Cold is a new cache, warm the same
question again in a new process. Requests and bytes are counted by the host; ideal are the blocks of the window alone. The bare fetch reads the
same file with eight connections, 4 MiB at a time, into memory, and does nothing with it.
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


def bare(url, path, size, connections=8, piece=4 << 20):
    """Seconds to read a file by ranges over several connections."""
    host = url.removeprefix("http://")
    pieces = [(at, min(at + piece, size)) for at in range(0, size, piece)]
    lock = threading.Lock()

    def work():
        line = http.client.HTTPConnection(host)
        buffer = bytearray(piece)
        while True:
            with lock:
                if not pieces:
                    return
                start, end = pieces.pop()
            line.request("GET", path, headers={"Range": f"bytes={start}-{end - 1}"})
            answer = line.getresponse()
            view = memoryview(buffer)
            while n := answer.readinto(view):
                view = view[n:]

    begin = time.perf_counter()
    threads = [threading.Thread(target=work) for _ in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
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
    print("\n| line | download MB/s | bare fetch MB/s | ratio |")
    print("|---|---|---|---|")
    for latency, bandwidth in LINES:
        with Host(server, root, latency, bandwidth) as host, tempfile.TemporaryDirectory() as out:
            env = os.environ | {"TERRAVEC_CACHE_DIR": f"{out}/cache"}
            own, other = [], []
            for i in range(RUNS):
                command = [terravec, "download", f"{host.url}/{name}", "-o", f"{out}/{i}", "--quiet"]
                own.append(timed(command, env))
                other.append(bare(host.url, f"/{name}", size))
            a, b = size / 1e6 / statistics.median(own), size / 1e6 / statistics.median(other)
            print(f"| {label(latency, bandwidth)} | {a:.0f} | {b:.0f} | {a / b:.2f} |")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin-dir", type=Path, required=True)
    parser.add_argument("--server", type=Path, help="terravec-testserver, if it is elsewhere")
    parser.add_argument("--size", type=int, default=2048, help="pixels of the tile's side")
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
        windows(terravec, server, root, tile.name, box(args.size))
        downloads(terravec, server, root, "table.parquet")


if __name__ == "__main__":
    main()
