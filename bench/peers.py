"""One peer, one question, in a process of its own: prints its time as JSON and saves its vectors.

    python bench/peers.py PEER CASE SOURCE QUESTION.json OUT.npy

Time runs from opening the file to decoded float32 vectors in memory; importing the peer is not counted.
"""

import json
import os
import sys
import time
from datetime import UTC, datetime

import numpy as np

BANDS = [f"A{i:02d}" for i in range(64)]


def decode(codes):
    """All peers give codes; the same table makes vectors of them."""
    steps = np.arange(-128, 128, dtype=np.float64)
    table = (np.sign(steps) * (steps / 127.5) ** 2).astype(np.float32)
    table[0] = np.nan
    return table[codes.astype(np.int16) + 128]


def rasterio_case(case, source, question):
    import rasterio

    options = {
        "GDAL_NUM_THREADS": "ALL_CPUS",
        "GDAL_CACHEMAX": 2_000_000_000,
        "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
        "GDAL_HTTP_MULTIPLEX": "YES",
        "GDAL_HTTP_MERGE_CONSECUTIVE_RANGES": "YES",
        "VSI_CACHE": True,
        "VSI_CACHE_SIZE": 100_000_000,
        "CPL_VSIL_CURL_ALLOWED_EXTENSIONS": ".tiff",
    }

    def run():
        with rasterio.Env(**options), rasterio.open(source) as src:
            if case == "window":
                from rasterio.windows import from_bounds

                x0, y0, x1, y1 = question["bounds"]
                # The file's rows run from south to north: `from_bounds` wants top and bottom that way round.
                window = from_bounds(x0, y1, x1, y0, src.transform).round_lengths().round_offsets()
                return decode(src.read(window=window)[:, ::-1])
            # Points sorted by block, so that each block is decoded once.
            xy = np.array(question["xy"])
            cols, rows = (~src.transform) @ (xy[:, 0], xy[:, 1])
            order = np.lexsort((cols // 1024, rows // 1024))
            values = np.empty((len(xy), 64), np.int8)
            values[order] = list(src.sample(xy[order]))
            return decode(values)

    return run


def torchgeo_case(case, source, question):
    import pandas as pd
    import torch
    from torchgeo.datasets import GoogleSatelliteEmbedding

    torch.set_num_threads(os.cpu_count())
    year = slice(pd.Timestamp(2024, 1, 1), pd.Timestamp(2024, 12, 31))

    def run():
        data = GoogleSatelliteEmbedding(paths=[source])
        if case == "window":
            x0, y0, x1, y1 = question["bounds"]
            return decode(data[x0:x1, y0:y1, year]["image"].numpy().astype(np.int16))
        values = np.empty((len(question["xy"]), 64), np.int16)
        for i, (x, y) in enumerate(question["xy"]):
            x, y = x // 10 * 10, y // 10 * 10
            values[i] = data[x : x + 10, y : y + 10, year]["image"].numpy()[:, 0, 0]
        return decode(values)

    return run


def rasteret_case(case, source, question):
    import pyarrow as pa
    import rasteret
    import shapely
    from obstore.store import HTTPStore
    from rasteret.fetch import cog

    # Rasteret refuses plain http; the benchmark's server is on this machine.
    cog._OBSTORE_CLIENT_OPTIONS = {**cog._OBSTORE_CLIENT_OPTIONS, "allow_http": True}
    assert HTTPStore

    def run():
        table = pa.table(
            {
                "id": ["tile"],
                "datetime": pa.array([datetime(2024, 1, 1, tzinfo=UTC)], pa.timestamp("us", "UTC")),
                "geometry": pa.array([shapely.box(*question["lonlat_bounds"]).wkb], pa.binary()),
                "proj:epsg": pa.array([question["epsg"]], pa.int32()),
                "href": [source],
            }
        )
        collection = rasteret.build_from_table(
            table,
            name="",
            href_column="href",
            band_index_map={b: i for i, b in enumerate(BANDS)},
            enrich_cog=True,
            band_codes=BANDS,
        )
        if case == "window":
            return decode(
                collection.read_window(
                    record_ids=["tile"],
                    bounds=tuple(question["bounds"]),
                    res=(10.0, 10.0),
                    bands=BANDS,
                    target_crs=question["epsg"],
                    max_concurrent=300,
                )
            )
        xy = np.array(question["xy"])
        points = pa.table({"x": xy[:, 0], "y": xy[:, 1]})
        long = collection.sample_points(
            points,
            BANDS,
            x_column="x",
            y_column="y",
            geometry_crs=question["epsg"],
            max_concurrent=300,
            progress=False,
        )
        out = np.full((len(xy), 64), -128, np.int16)
        rows = long["point_index"].to_numpy()
        bands = np.array([int(b[1:]) for b in long["band"].to_pylist()])
        out[rows, bands] = long["value"].to_numpy()
        return decode(out)

    return run


PEERS = {"rasterio": rasterio_case, "torchgeo": torchgeo_case, "rasteret": rasteret_case}


def main():
    peer, case, source, question, out = sys.argv[1:]
    with open(question) as f:
        question = json.load(f)
    run = PEERS[peer]("window" if case == "window" else "points", source, question)
    start = time.perf_counter()
    values = run()
    seconds = time.perf_counter() - start
    np.save(out, values)
    print(json.dumps({"seconds": seconds}))


if __name__ == "__main__":
    main()
