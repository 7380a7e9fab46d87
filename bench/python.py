"""The Python package: what a call costs, and how many 256² windows a training loop gets, beside rasterio and TorchGeo.

    python bench/python.py [--tile bench/data/…tiff] [--windows 64] [--seconds 10]

Run it in an environment that has the package (a release build), rasterio and, to compare with it, torchgeo. All read the same windows of one
AlphaEarth-like tile, at random places on the pixel grid; their values are found equal before anything is timed. A loader's workers are
processes; TorchGeo's and terravec's datasets are read by the same `DataLoader`.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import rasterio
import terravec as tv
from make_data import write as write_tile
from peers import decode
from rasterio.windows import Window
from terravec.chips import Chips, random_chips

HERE = Path(__file__).parent
SIZE = 256


def tile(path, size):
    if not path.exists():
        write_tile(path, size)
    return path


def cost(call, seconds=0.5):
    """Microseconds per call: the best of five rounds."""
    call()
    start = time.perf_counter()
    call()
    n = max(1, int(seconds / 5 / max(time.perf_counter() - start, 1e-7)))
    rounds = []
    for _ in range(5):
        start = time.perf_counter()
        for _ in range(n):
            call()
        rounds.append((time.perf_counter() - start) / n)
    return min(rounds) * 1e6


def calls(ds, path):
    one = np.array([[ds.info["bbox"][0] + 0.02, ds.info["bbox"][1] + 0.02]])
    plan = ds._plan(year=2024)
    from terravec import _inputs

    yield "list the tiles (`coverage`)", lambda: ds.coverage()
    yield "check a point (`_inputs.points`)", lambda: _inputs.points(one)
    yield "hand over to the engine and back (`info`, uncached)", lambda: ds._engine.info()
    yield "plan a window", lambda: ds._plan(like=chip_grid(ds), year=2024)
    yield "a point (decodes 64 blocks)", lambda: ds.sample(one, year=2024)
    yield "one pixel of a plan whose blocks are kept", lambda: plan.window([0], 5, 5, 1, 1)


def chip_grid(ds, _cache={}):  # noqa: B006
    if not _cache:
        _cache["grid"] = random_chips(ds, SIZE, 1, year=2024)[0].grid
    return _cache["grid"]


class WithRasterio:
    """The same chips, read by GDAL from a file kept open in each process."""

    def __init__(self, path, chips):
        self.path, self.chips, self.src = str(path), chips, None

    def __len__(self):
        return len(self.chips)

    def __getitem__(self, i):
        if self.src is None:
            self.src = rasterio.open(self.path)
        west, _, _, north = self.chips[i].grid.bounds
        t = self.src.transform
        col, row = round((west - t.c) / t.a), round((north - t.f) / t.e)
        top = row - SIZE if t.e > 0 else row
        codes = self.src.read(window=Window(col, top, SIZE, SIZE))
        return {"image": decode(codes[:, ::-1] if t.e > 0 else codes)}


class WithTorchGeo:
    """The same chips, by TorchGeo's dataset of raw codes."""

    def __init__(self, path, chips):
        import pandas as pd
        from torchgeo.datasets import GoogleSatelliteEmbedding

        self.data, self.chips = GoogleSatelliteEmbedding(paths=[str(path)]), chips
        self.year = slice(pd.Timestamp(2024, 1, 1), pd.Timestamp(2024, 12, 31))

    def __len__(self):
        return len(self.chips)

    def __getitem__(self, i):
        west, south, east, north = self.chips[i].grid.bounds
        sample = self.data[west:east, south:north, self.year]
        return {"image": decode(sample["image"].numpy().astype(np.int16))}


def rate(data, workers, seconds):
    """Windows per second, through a torch loader if workers are wanted."""
    if workers:
        from torch.utils.data import DataLoader

        loader = iter(DataLoader(data, batch_size=None, num_workers=workers, collate_fn=len_of))
    else:
        loader = (len_of(data[i]) for i in range(len(data)))
    next(loader)
    start, n = time.perf_counter(), 0
    for _ in loader:
        n += 1
        if time.perf_counter() - start > seconds:
            break
    return n / (time.perf_counter() - start)


def len_of(sample):
    return sample["image"].shape[0]


def installed(module):
    try:
        __import__(module)
    except ImportError:
        return False
    return True


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--tile", type=Path, default=HERE / "data" / "2024" / "31N" / "xbench-0000000000-0000000000.tiff"
    )
    parser.add_argument("--size", type=int, default=4096)
    parser.add_argument("--seconds", type=float, default=10)
    args = parser.parse_args()
    path = tile(args.tile, args.size)
    ds = tv.open(f"alphaearth={path}")

    print("| call | µs |\n|---|---|")
    for name, call in calls(ds, path):
        print(f"| {name} | {cost(call):.1f} |", flush=True)

    chips = random_chips(ds, SIZE, 10_000, seed=1, year=2024)
    # Made anew for each measurement: GDAL's open files do not survive the fork of a loader's workers.
    readers = {"rasterio": lambda: WithRasterio(path, chips)}
    if installed("torchgeo"):
        readers["TorchGeo"] = lambda: WithTorchGeo(path, chips)
    readers["terravec"] = lambda: Chips(tv.open(f"alphaearth={path}"), chips)
    readers["terravec, no blocks kept"] = lambda: Chips(tv.open(f"alphaearth={path}", block_cache=0), chips)
    want = [readers["rasterio"]()[i]["image"] for i in range(3)]
    for name, make in readers.items():
        reader = make()
        assert all(np.array_equal(reader[i]["image"], w, equal_nan=True) for i, w in enumerate(want)), name
    print("\nThe windows of all readers are equal.\n")
    workers = [0, 2] if installed("torch") else [0]
    print("| reader | " + " | ".join(f"windows/s, {w or 'no'} workers" for w in workers) + " |")
    print("|---|" + "---|" * len(workers))
    for name, make in readers.items():
        print(
            f"| {name} | " + " | ".join(f"{rate(make(), w, args.seconds):.1f}" for w in workers) + " |",
            flush=True,
        )


if __name__ == "__main__":
    main()
