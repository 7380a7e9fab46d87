"""Search beside NumPy, FAISS, USearch and DuckDB, in one process with one set of vectors; prints a report.

    python bench/search.py [--rows 1000000] [--index-rows 1000000] [--memory 256]

Needs the package as it is shipped (a release build), and the peers: `pip install faiss-cpu usearch`. Results are compared before anything is timed. The limit is what
summing the same bytes takes on as many threads (NumPy's matrix product of float32), measured beside. The index is built from a GeoParquet file in less memory than its vectors take.
"""

import argparse
import importlib
import os
import platform
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import shapely
import terravec as tv

K = 10


def best(call, runs=7):
    """Seconds of the fastest of some runs, and the answer."""
    least, answer = float("inf"), None
    for _ in range(runs):
        start = time.perf_counter()
        answer = call()
        least = min(least, time.perf_counter() - start)
    return least, answer


def peer(name):
    try:
        return importlib.import_module(name)
    except ImportError:
        print(f"{name} is not installed, and left out", file=sys.stderr)
        return None


def by_numpy(x, q):
    scores = x @ q
    rows = np.argpartition(-scores, K)[:K]
    return rows[np.argsort(-scores[rows], kind="stable")]


def row(name, seconds, size, limit, note=""):
    speed = size / seconds / 1e9
    print(f"| {name} | {seconds * 1e3:.1f} | {speed:.1f} | {speed / limit:.0%} | {note} |")


def exact(rows, dim=64):
    random = np.random.default_rng(0)
    x = random.standard_normal((rows, dim), dtype=np.float32)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    q = x[7].copy()
    wanted = by_numpy(x, q)
    ones = np.ones(dim, np.float32)
    seconds, _ = best(lambda: x @ ones)
    limit = x.nbytes / seconds / 1e9
    print(f"\n### The {K} nearest of {rows} vectors of {dim} numbers, one query; limit {limit:.1f} GB/s\n")
    print("| tool | ms | GB/s | of the limit | |\n|---|---|---|---|---|")
    for metric in ("dot", "cosine", "l2"):
        _, found = tv.search(x, q, K, metric=metric)
        assert found.tolist() == wanted.tolist(), (metric, found, wanted)
        row(
            f"terravec float32, {metric}",
            best(lambda m=metric: tv.search(x, q, K, metric=m))[0],
            x.nbytes,
            limit,
        )
    row("NumPy float32, dot", best(lambda: by_numpy(x, q))[0], x.nbytes, limit)
    faiss = peer("faiss")
    if faiss:
        index = faiss.IndexFlatIP(dim)
        index.add(x)
        assert index.search(q[None], K)[1][0].tolist() == wanted.tolist()
        row("FAISS flat, dot", best(lambda: index.search(q[None], K))[0], x.nbytes, limit)
        del index
    codes = (np.sign(x) * np.rint(127.5 * np.sqrt(np.abs(x)))).clip(-127, 127).astype(np.int8)
    values = np.sign(codes).astype(np.float32) * (codes.astype(np.float32) / np.float32(127.5)) ** 2
    asked = values[7].copy()
    wanted = by_numpy(values, asked)
    for metric in ("dot", "cosine"):
        _, found = tv.search(codes, asked, K, metric=metric, decode="alphaearth")
        assert metric != "dot" or found.tolist() == wanted.tolist()
        seconds, _ = best(lambda m=metric: tv.search(codes, asked, K, metric=m, decode="alphaearth"))
        row(f"terravec AlphaEarth codes, {metric}", seconds, codes.nbytes, limit, "decoded")
    if faiss:
        kind = faiss.ScalarQuantizer.QT_8bit_direct_signed
        index = faiss.IndexScalarQuantizer(dim, kind, faiss.METRIC_INNER_PRODUCT)
        for at in range(0, rows, 1 << 18):
            index.add(codes[at : at + (1 << 18)].astype(np.float32))
        q8 = codes[7:8].astype(np.float32)
        row(
            "FAISS SQ8, dot",
            best(lambda: index.search(q8, K))[0],
            codes.nbytes,
            limit,
            "codes as numbers: another order",
        )
    duckdb = peer("duckdb")
    if duckdb and rows <= 1_000_000:
        table = pa.table({"v": pa.FixedSizeListArray.from_arrays(pa.array(x.ravel()), dim)})
        db = duckdb.connect()
        text = f"select rowid from (select row_number() over () - 1 as rowid, v from arrow_table) order by array_inner_product(v, ?::float[{dim}]) desc limit {K}"
        db.register("arrow_table", table)
        row("DuckDB, dot", best(lambda: db.execute(text, [q.tolist()]).fetchall(), 3)[0], x.nbytes, limit)


def make(path, rows, dim):
    """Vectors with the structure of real ones: a few directions and a little noise."""
    random = np.random.default_rng(1)
    basis = random.normal(size=(24, dim)).astype(np.float32)
    writer = None
    for at in range(0, rows, 50_000):
        n = min(50_000, rows - at)
        v = random.normal(size=(n, 24)).astype(np.float32) @ basis
        v += 0.1 * random.normal(size=v.shape).astype(np.float32)
        part = pa.table(
            {
                "id": np.arange(at, at + n),
                "embedding": pa.FixedSizeListArray.from_arrays(pa.array(v.ravel()), dim),
                "geometry": shapely.to_wkb(
                    shapely.points(random.uniform(-180, 180, n), random.uniform(-60, 70, n))
                ),
            }
        )
        geo = '{"version":"1.1.0","primary_column":"geometry","columns":{"geometry":{"encoding":"WKB","geometry_types":["Point"]}}}'
        part = part.replace_schema_metadata({"geo": geo})
        writer = writer or pq.ParquetWriter(path, part.schema, compression="zstd")
        writer.write_table(part)
    writer.close()


BUILD = """
import resource, sys, terravec as tv
tv.Index.build(sys.argv[1], sys.argv[2], memory=int(sys.argv[3]) << 20)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


def approximate(rows, memory, dim=384):
    folder = Path(tempfile.mkdtemp(prefix="terravec-bench-"))
    try:
        table, path = folder / "vectors.parquet", folder / "index"
        make(table, rows, dim)
        start = time.perf_counter()
        told = subprocess.run(
            [sys.executable, "-c", BUILD, table, path, str(memory)],
            check=True,
            capture_output=True,
            text=True,
        )
        built = time.perf_counter() - start
        index = tv.Index(path)
        info = index.info
        print(f"\n### {rows} vectors of {dim} numbers ({rows * dim * 4 >> 20} MB) by an index\n")
        print(f"terravec: built in {built:.0f} s with {float(told.stdout):.0f} MB at most (memory={memory} MB), {info['lists']} lists, of which "
              f"{info['probes']} are looked at; recall@10 measured at build {info['recall']['measured'][-1][1]:.3f}\n")  # fmt: skip
        ds = tv.open(table)
        x = ds.extract().to_numpy()
        random = np.random.default_rng(2)
        queries = x[random.integers(0, rows, 50)] + 0.05 * random.normal(size=(50, dim)).astype(np.float32)
        flat, (scores, _) = best(lambda: tv.search(x, queries[:1], K), 5)
        scores, _ = tv.search(x, queries, K)
        print("| tool | ms a query | recall@10 | exact ÷ this |\n|---|---|---|---|")
        print(f"| terravec, all vectors in memory | {flat * 1e3:.1f} | 1 | 1 |")
        for probes in sorted({info["probes"], 2 * info["probes"], 4 * info["probes"]}):
            right, start = 0, time.perf_counter()
            for q, own in zip(queries, scores, strict=True):
                t = ds.search(vector=q, k=K, index=index, probes=probes)
                right += (t.to_numpy("similarity") >= own[-1] - 1e-12).sum()
            seconds = (time.perf_counter() - start) / len(queries)
            print(
                f"| terravec index, {probes} lists | {seconds * 1e3:.2f} | {right / K / len(queries):.3f} | {flat / seconds:.1f} |"
            )
        usearch = peer("usearch.index")
        if usearch:
            hnsw = usearch.Index(ndim=dim, metric="cos", dtype="i8")
            start = time.perf_counter()
            hnsw.add(np.arange(rows), x)
            built = time.perf_counter() - start
            seconds, _ = best(lambda: [hnsw.search(q, K) for q in queries], 3)
            right = 0
            unit = x / np.linalg.norm(x, axis=1, keepdims=True)
            for q, own in zip(queries, scores, strict=True):
                keys = hnsw.search(q, K).keys
                right += (unit[keys] @ (q / np.linalg.norm(q)) >= own[-1] - 1e-6).sum()
            per = seconds / len(queries)
            print(
                f"| USearch HNSW int8 in memory, built in {built:.0f} s | {per * 1e3:.2f} | {right / K / len(queries):.3f} | {flat / per:.1f} |"
            )
    finally:
        shutil.rmtree(folder)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, nargs="*", default=[1_000_000, 10_000_000])
    parser.add_argument("--index-rows", type=int, default=1_000_000)
    parser.add_argument("--memory", type=int, default=256, help="MB for building the index")
    args = parser.parse_args()
    print(
        f"## Search\n\n{platform.processor() or platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.0f}"
    )
    for rows in args.rows:
        exact(rows)
    if args.index_rows:
        approximate(args.index_rows, args.memory)
    print(f"\npeak memory of this process {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10} MB")


if __name__ == "__main__":
    main()
