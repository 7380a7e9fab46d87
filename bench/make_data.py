"""Write an AlphaEarth-like tile for the benchmarks: the layout of Google's files at a quarter of their area.

4096 × 4096 pixels of 10 m, 64 int8 bands stored band by band in 1024² blocks, ZSTD with predictor 2, BigTIFF,
rows from south to north, nodata −128. The vectors are of unit length and smooth with some noise, so that the
file compresses about as real tiles do (to a half or so).

    python bench/make_data.py [--size 8192]
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import rasterio
from rasterio.transform import Affine
from rasterio.windows import Window

BLOCK = 1024
STEP = 128  # distance of the random field's knots in pixels
NOISE = 0.06
EAST, SOUTH, CRS = 600_000, 5_700_000, "EPSG:32631"


def smooth_strip(knots, top, rows, size):
    """Bilinear interpolation of the knots over `rows` rows from `top`, as (64, rows, size) float32."""
    y = (top + np.arange(rows)) / STEP
    x = np.arange(size) / STEP
    y0, x0 = y.astype(int), x.astype(int)
    fy, fx = (y - y0).astype(np.float32)[:, None], (x - x0).astype(np.float32)
    along = knots[:, y0] * (1 - fy) + knots[:, y0 + 1] * fy
    return along[:, :, x0] * (1 - fx) + along[:, :, x0 + 1] * fx


def write(path, size):
    rng = np.random.default_rng(64)
    knots = rng.normal(size=(64, size // STEP + 2, size // STEP + 2)).astype(np.float32)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    with rasterio.open(
        part,
        "w",
        driver="GTiff",
        width=size,
        height=size,
        count=64,
        dtype="int8",
        crs=CRS,
        transform=Affine(10, 0, EAST, 0, 10, SOUTH),
        nodata=-128,
        tiled=True,
        blockxsize=BLOCK,
        blockysize=BLOCK,
        interleave="band",
        compress="zstd",
        predictor=2,
        bigtiff="yes",
        num_threads="all_cpus",
    ) as dst:
        dst.descriptions = [f"A{i:02d}" for i in range(64)]
        for block in range(0, size, BLOCK):
            codes = np.empty((64, BLOCK, size), np.int8)
            for strip in range(0, BLOCK, 64):
                vectors = smooth_strip(knots, block + strip, 64, size)
                vectors += rng.standard_normal(vectors.shape, np.float32) * np.float32(NOISE)
                vectors /= np.sqrt(np.einsum("byx,byx->yx", vectors, vectors))
                root = np.sqrt(np.abs(vectors))
                codes[:, strip : strip + 64] = np.rint(np.copysign(root, vectors) * np.float32(127.5))
            dst.write(codes, window=Window(0, block, size, BLOCK))
    part.rename(path)


def path_for(size):
    return Path(__file__).parent / "data" / "2024" / "31N" / f"xbench{size}-0000000000-0000000000.tiff"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=4096)
    size = parser.parse_args().size
    if size % BLOCK:
        sys.exit(f"error: --size {size} is not a multiple of {BLOCK}")
    path = path_for(size)
    write(path, size)
    print(f"{path}: {path.stat().st_size / 1e6:.0f} MB")


if __name__ == "__main__":
    main()
