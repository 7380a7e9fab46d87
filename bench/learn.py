"""A land-cover map of an AlphaEarth-like tile: terravec beside scikit-learn with rasterio.

    python bench/learn.py --bin-dir target/release [--size 4096] [--repeats 3]

Both learn multinomial logistic regression from the 2 880 labelled AlphaEarth vectors of testdata, then read the tile, decode it, predict every
pixel and write a compressed GeoTIFF of classes. Before anything is timed, the two maps are compared: pixels may differ only where scikit-learn's
two best classes are within 1e-3 of one another. The peer is what one would write: strips of rows, decoded by a table in float32, `predict`,
GDAL on all threads; timed inside the process, without imports and learning. terravec is the whole command, from start-up to the written COG with
its overviews. Learning is timed apart, on the same vectors.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import make_data
import numpy as np
import pyarrow.parquet as pq
import rasterio
from peers import decode
from rasterio.windows import Window
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier

ROOT = Path(__file__).resolve().parents[1]
LABELLED = ROOT / "testdata" / "alphaearth" / "labelled"
STRIP = 256


def labelled():
    t = pq.read_table(LABELLED / "labelled_vectors.parquet")
    return np.stack(t["embedding"].to_numpy()), t["dw_label"].to_numpy()


def strips(path):
    with rasterio.open(path, num_threads="all_cpus") as src:
        for row in range(0, src.height, STRIP):
            yield row, src.read(window=Window(0, row, src.width, STRIP))


def peer(model, path, out):
    """scikit-learn and rasterio, from opening the tile to the written map: (wall seconds, CPU seconds)."""
    start, cpu = time.perf_counter(), time.process_time()
    with rasterio.open(path) as src:
        profile = src.profile | {
            "count": 1, "dtype": "uint8", "nodata": 255, "compress": "zstd", "predictor": 2, "num_threads": "all_cpus",
            "blockxsize": 256, "blockysize": 256,
        }  # fmt: skip
    with rasterio.open(out, "w", **profile) as dst:
        for row, codes in strips(path):
            rows = decode(codes).reshape(64, -1).T
            there = np.isfinite(rows[:, 0])
            classes = np.full(len(rows), 255, np.uint8)
            classes[there] = model.predict(rows[there])
            dst.write(
                classes.reshape(codes.shape[1:]), 1, window=Window(0, row, codes.shape[2], codes.shape[1])
            )
    return time.perf_counter() - start, time.process_time() - cpu


def ours(binary, path, model, out, *more):
    """The whole command: (wall seconds, CPU seconds, peak RSS in MB)."""
    out.unlink(missing_ok=True)
    command = [
        binary,
        "classify",
        "predict",
        f"alphaearth={path}",
        "--model",
        model,
        "-o",
        out,
        "--quiet",
        *more,
    ]
    start = time.perf_counter()
    process = subprocess.Popen([str(c) for c in command], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit("error: terravec failed")
    cpu = usage.ru_utime + usage.ru_stime
    return time.perf_counter() - start, cpu, usage.ru_maxrss / 1024


def compare(model, path, theirs, own):
    """Exits unless both maps agree wherever the classes are not tied."""
    differ = tied = 0
    with rasterio.open(theirs) as a, rasterio.open(own) as b:
        flipped = b.read(1)[::-1] if a.transform.e > 0 else b.read(1)
        for row, codes in strips(path):
            left = a.read(1, window=Window(0, row, codes.shape[2], codes.shape[1])).ravel()
            other = left != flipped[row : row + codes.shape[1]].ravel()
            if other.any():
                shares = np.sort(model.predict_proba(decode(codes).reshape(64, -1).T[other]), axis=1)
                close = shares[:, -1] - shares[:, -2] < 1e-3
                differ += other.sum()
                tied += close.sum()
    if differ != tied:
        sys.exit(f"error: {differ - tied} pixels differ without being tied")
    return int(differ)


def fit_time(binary, learner, tmp):
    start = time.perf_counter()
    command = [
        binary, "classify", "fit", f"alphaearth={LABELLED}", "--labels", LABELLED / "labelled_points.parquet", "--column",
        "dw_label", "--learner", learner, "--no-assess", "--force", "-o", tmp / f"{learner}.json",
    ]  # fmt: skip
    subprocess.run([str(c) for c in command], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bin-dir", required=True, type=Path)
    parser.add_argument("--size", type=int, default=4096)
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    binary = args.bin_dir / "terravec"
    path = make_data.path_for(args.size)
    if not path.exists():
        make_data.write(path, args.size)
    tmp = Path(tempfile.mkdtemp(prefix="terravec-bench-"))
    x, y = labelled()

    print("| learning from 2 880 vectors | scikit-learn s | terravec s (whole command) |")
    print("|---|---|---|")
    peers = {
        "logistic": LogisticRegression(C=10, max_iter=10_000, tol=1e-6),
        "forest": RandomForestClassifier(100, n_jobs=-1),
        "boosting": HistGradientBoostingClassifier(),
    }
    for name, model in peers.items():
        start = time.perf_counter()
        model.fit(x, y)
        print(
            f"| {name} | {time.perf_counter() - start:.2f} | {fit_time(binary, name, tmp):.2f} |", flush=True
        )

    model = peers["logistic"]
    theirs, own = tmp / "theirs.tif", tmp / "own.tif"
    peer(model, path, theirs)
    ours(binary, path, tmp / "logistic.json", own)
    differ = compare(model, path, theirs, own)
    print(
        f"\n{args.size}² × 64 pixels; {differ} pixels differ, all of them tied. Medians of {args.repeats} runs.\n"
    )
    slow, fast = [], []
    for _ in range(args.repeats):
        slow.append(peer(model, path, theirs))
        fast.append(ours(binary, path, tmp / "logistic.json", own))
    quality = ours(binary, path, tmp / "logistic.json", own, "--quality", tmp / "q.tif")
    wall, cpu = (statistics.median(s[i] for s in slow) for i in range(2))
    own_wall, own_cpu = (statistics.median(f[i] for f in fast) for i in range(2))
    print("| map of classes by logistic regression | wall s | CPU s | wall, times faster | peak RSS MB |")
    print("|---|---|---|---|---|")
    print(f"| scikit-learn + rasterio | {wall:.1f} | {cpu:.1f} | 1 | |")
    print(
        f"| terravec | {own_wall:.1f} | {own_cpu:.1f} | {wall / own_wall:.1f} | {max(f[2] for f in fast):.0f} |"
    )
    print(f"| terravec, with --quality | {quality[0]:.1f} | {quality[1]:.1f} | | {quality[2]:.0f} |")
    knn = KNeighborsClassifier(5).fit(x, y)
    sample = decode(next(strips(path))[1][:, :16]).reshape(64, -1).T
    start = time.perf_counter()
    knn.predict(sample)
    rate = len(sample) / (time.perf_counter() - start)
    print(f"\nscikit-learn's kNN predicts {rate:.0f} pixels a second.")
    print(json.dumps({"machine": os.uname().machine, "cores": os.cpu_count()}))


if __name__ == "__main__":
    main()
