"""terravec beside pyarrow, DuckDB and geopandas on a table of a million vectors; prints a report.

    python bench/tables.py --bin-dir target/release [--rows 1000000] [--runs 3]

The table: a million patches of 320 m with 384 float32 numbers, GeoParquet 1.1 with boxes, ZSTD, row groups of 10 000 rows in
the order of a Hilbert curve (written by pyarrow). Every run is a process of its own; the file lies in the page cache. Peers are
timed inside the process, without their imports; terravec is timed outside, from start-up to the written file. CPU seconds are those
of the whole process, imports included.
What every tool finds is compared before anything is timed.
"""

import argparse
import hashlib
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import shapely

HERE = Path(__file__).resolve().parent
DIM = 384
SIDE = 0.003
BOX = (10.31, 50.22, 10.37, 50.26)


def make(path, rows):
    """Writes the table, row group by row group."""
    width = int(np.sqrt(rows))
    order = hilbert(width)
    geo = {
        "version": "1.1.0",
        "primary_column": "geometry",
        "columns": {
            "geometry": {
                "encoding": "WKB",
                "geometry_types": ["Polygon"],
                "covering": {"bbox": {c: ["bbox", c] for c in ("xmin", "ymin", "xmax", "ymax")}},
            }
        },
    }
    rng = np.random.default_rng(1)
    basis = rng.normal(size=(24, DIM)).astype(np.float32)
    part = path.with_suffix(".part")
    writer = None
    for at in range(0, len(order), 10_000):
        cells = order[at : at + 10_000]
        x, y = 10 + SIDE * cells[:, 0], 50 + SIDE * cells[:, 1]
        vectors = rng.normal(size=(len(cells), 24)).astype(np.float32) @ basis
        vectors += 0.1 * rng.normal(size=vectors.shape).astype(np.float32)
        corners = [pa.array(v) for v in (x, y, x + SIDE, y + SIDE)]
        table = pa.table(
            {
                "id": pa.array((cells[:, 1] * width + cells[:, 0]).astype(np.int64)),
                "embedding": pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), DIM),
                "bbox": pa.StructArray.from_arrays(corners, ["xmin", "ymin", "xmax", "ymax"]),
                "geometry": shapely.to_wkb(shapely.box(x, y, x + SIDE, y + SIDE)),
            }
        ).replace_schema_metadata({"geo": json.dumps(geo)})
        if writer is None:
            columns = [c for c in ("id", "bbox.xmin", "bbox.ymin", "bbox.xmax", "bbox.ymax")]
            writer = pq.ParquetWriter(
                part,
                table.schema,
                compression="zstd",
                use_dictionary=False,
                write_statistics=columns,
                write_page_index=True,
            )
        writer.write_table(table)
    writer.close()
    part.rename(path)


def hilbert(width):
    """The cells of a square, in the order of a Hilbert curve."""
    bits = int(np.ceil(np.log2(width)))
    x, y = (v.ravel() for v in np.meshgrid(np.arange(width), np.arange(width)))
    cells = np.column_stack([x, y])
    x, y, d = x.copy(), y.copy(), np.zeros(len(x), np.int64)
    for bit in reversed(range(bits)):
        rx, ry = (x >> bit) & 1, (y >> bit) & 1
        d = (d << 2) | ((3 * rx) ^ ry)
        flip = (ry == 0) & (rx == 1)
        x[flip], y[flip] = (1 << bits) - 1 - x[flip], (1 << bits) - 1 - y[flip]
        swap = ry == 0
        x[swap], y[swap] = y[swap], x[swap].copy()
    return cells[np.argsort(d)]


# --- peers: each reads and answers in a process of its own ---------------------------------------------------


def peer(name, case, path, out):
    """Runs one peer and prints its seconds; the answer goes to `out` as Arrow."""
    west, south, east, north = BOX
    point = ((west + east) / 2, (south + north) / 2)
    if name == "pyarrow":
        import pyarrow.compute as pc
        import pyarrow.dataset as ds

        start = time.perf_counter()
        data = ds.dataset(path)
        field = lambda n: pc.field("bbox", n)  # noqa: E731
        if case == "scan":
            with pa.OSFile(out, "wb") as sink, pa.ipc.new_file(sink, data.schema) as writer:
                for batch in data.to_batches():
                    writer.write_batch(batch)
        else:
            w, s, e, n = BOX if case == "bbox" else (*point, *point)
            inside = (field("xmax") >= w) & (field("xmin") <= e) & (field("ymax") >= s) & (field("ymin") <= n)
            table = data.to_table(filter=inside)
            write(table, out)
    elif name == "duckdb":
        import duckdb

        start = time.perf_counter()
        db = duckdb.connect()
        if case == "scan":
            reader = db.sql(f"select * from '{path}'").to_arrow_reader(100_000)
            with pa.OSFile(out, "wb") as sink, pa.ipc.new_file(sink, reader.schema) as writer:
                for batch in reader:
                    writer.write_batch(batch)
        else:
            w, s, e, n = BOX if case == "bbox" else (*point, *point)
            where = f"bbox.xmax >= {w} and bbox.xmin <= {e} and bbox.ymax >= {s} and bbox.ymin <= {n}"
            write(db.sql(f"select * from '{path}' where {where}").to_arrow_table(), out)
    else:
        import geopandas

        start = time.perf_counter()
        bbox = None if case == "scan" else (BOX if case == "bbox" else (*point, *point))
        frame = geopandas.read_parquet(path, bbox=bbox)
        if case != "scan":
            write(pa.table({"id": frame["id"].to_numpy(), "embedding": list(frame["embedding"])}), out)
    print(time.perf_counter() - start)


def write(table, out):
    with pa.OSFile(out, "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)


def digest(out):
    """Prints how many rows an answer has, and a checksum of ids and vectors in the order of ids."""
    table = pa.ipc.open_file(pa.memory_map(out)).read_all()
    ids = np.array(table["id"] if "id" in table.column_names else table["patch_id"]).astype(np.int64)
    order = np.argsort(ids)
    vectors = table["embedding"].combine_chunks().flatten().to_numpy().reshape(len(ids), -1)
    checksum = hashlib.sha256(ids[order].tobytes())
    for at in range(0, len(order), 10_000):
        checksum.update(vectors[order[at : at + 10_000]].astype(np.float32).tobytes())
    print(len(ids), checksum.hexdigest())


def command(binary, case, path, out):
    west, south, east, north = BOX
    if case == "scan":
        return [binary, "convert", path, out, "--force"]
    if case == "bbox":
        return [binary, "extract", path, f"--bbox={west},{south},{east},{north}", "-o", out, "--force"]
    return [
        binary,
        "sample",
        path,
        f"--points={(west + east) / 2},{(south + north) / 2}",
        "-o",
        out,
        "--force",
    ]


def timed(argv, inside):
    """Seconds, peak memory in MB and CPU seconds of a process; its own seconds where `inside`."""
    start = time.perf_counter()
    process = subprocess.Popen(list(map(str, argv)), stdout=subprocess.PIPE, text=True)
    said = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    if status:
        sys.exit(f"failed: {' '.join(map(str, argv))}")
    return (
        float(said.split()[-1]) if inside else seconds,
        usage.ru_maxrss / 1024,
        usage.ru_utime + usage.ru_stime,
    )


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin-dir", type=Path, default=Path("target/release"))
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--peer", nargs=4)
    parser.add_argument("--digest")
    args = parser.parse_args()
    if args.digest:
        return digest(args.digest)
    if args.peer:
        return peer(*args.peer)
    path = HERE / "data" / f"patches-{args.rows}.parquet"
    path.parent.mkdir(exist_ok=True)
    if not path.exists():
        print("writing", path, file=sys.stderr)
        make(path, args.rows)
    binary = args.bin_dir / "terravec"
    # Answers go to memory where there is a file system for it: the disk would hide what reading costs.
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else path.parent) as tmp:
        tools = {"terravec": None, "pyarrow": None, "duckdb": None, "geopandas": None}
        for tool in tools:
            tools[tool] = f"{tmp}/{tool}.arrow"
        call = lambda tool, case: (  # noqa: E731
            timed(command(binary, case, path, tools[tool]), inside=False)
            if tool == "terravec"
            else timed([sys.executable, __file__, "--peer", tool, case, path, tools[tool]], inside=True)
        )
        print(
            f"* Machine: {platform.processor() or platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}."
        )
        print(f"* Data: {args.rows} rows, {path.stat().st_size / 1e6:.0f} MB.\n")
        for case, title in {
            "point": "Open, and the patch at a point",
            "bbox": "Rows of a box",
            "scan": "All rows to an Arrow file",
        }.items():
            want = None
            for tool in tools:
                call(tool, case)
                if case == "scan" and tool == "geopandas":
                    continue
                # In a process of its own: what this one holds would count as the memory of those it starts.
                got = subprocess.check_output(
                    [sys.executable, __file__, "--digest", tools[tool]], text=True
                ).split()
                if want not in (None, got):
                    sys.exit(f"{tool} answers `{case}` otherwise than the others")
                want = got
            rows = {tool: [call(tool, case) for _ in range(args.runs)] for tool in tools}
            seconds = {tool: statistics.median(s for s, *_ in r) for tool, r in rows.items()}
            best = min(s for tool, s in seconds.items() if tool != "terravec")
            print(
                f"## {title}: {want[0]} rows\n\n| tool | median s | best peer ÷ this | CPU s | peak RSS MB |\n|---|---|---|---|---|"
            )
            for tool, r in rows.items():
                most, cpu = max(m for _, m, _ in r), statistics.median(c for *_, c in r)
                print(
                    f"| {tool} | {seconds[tool]:.3f} | {best / seconds[tool]:.1f} | {cpu:.2f} | {most:.0f} |"
                )
            print(flush=True)


if __name__ == "__main__":
    main()
