"""What terravec ought to say, worked out a second time with NumPy, pyproj and rasterio.

Nothing here knows how terravec does it: each rule comes from a product's own publication, from GDAL or from
arithmetic. Arrays are (band, y, x), rows north first, missing pixels NaN in every band.
"""

import functools
from dataclasses import dataclass

import numpy as np
import rasterio
import rasterio.features
from pyproj import Transformer
from rasterio.transform import Affine
from rasterio.warp import transform_geom


@dataclass
class Grid:
    crs: object
    transform: Affine
    width: int
    height: int

    @property
    def shape(self):
        return (self.height, self.width)

    def centers(self):
        """x and y of every pixel centre, each (height, width)."""
        cols, rows = np.meshgrid(np.arange(self.width) + 0.5, np.arange(self.height) + 0.5)
        t = self.transform
        return t.a * cols + t.b * rows + t.c, t.d * cols + t.e * rows + t.f

    def lonlat(self):
        return to_lonlat(self.crs, *self.centers())


@dataclass
class Raster:
    values: np.ndarray
    grid: Grid


@functools.cache
def transformer(source, target):
    return Transformer.from_crs(source, target, always_xy=True)


def move(source, target, x, y):
    """Coordinates from one CRS to another by PROJ, x (or longitude) first whatever the authority says."""
    return transformer(str(source), str(target)).transform(x, y)


def to_lonlat(crs, x, y):
    return move(crs, "OGC:CRS84", x, y)


def from_lonlat(crs, lon, lat):
    return move("OGC:CRS84", crs, lon, lat)


# --- decode rules -------------------------------------------------------------------------------------------


def decode_alphaearth(codes):
    """sign(v)·(v/127.5)²; a pixel with −128 in any band is missing."""
    v = codes.astype(np.float64)
    out = np.sign(v) * (v / 127.5) ** 2
    out[:, (codes == -128).any(axis=0)] = np.nan
    return out


def encode_alphaearth(values):
    """The nearest code of each value, missing pixels −128."""
    codes = np.sign(values) * np.rint(127.5 * np.sqrt(np.abs(values)))
    codes = np.clip(codes, -127, 127)
    return np.where(np.isnan(values), -128, codes).astype(np.int8)


def decode_esd(codes):
    """Finite scalar quantisation, levels 8,8,8,5,5,5; 12 monthly codes (12, …) become (72, …), month by month."""
    levels = [8, 8, 8, 5, 5, 5]
    basis = [1, 8, 64, 512, 2560, 12800]
    codes = codes[:12].astype(np.int64)
    out = []
    for month in codes:
        for level, base in zip(levels, basis, strict=True):
            half = level // 2
            out.append(((month // base) % level - half) / half)
    out = np.stack(out).astype(np.float64)
    out[:, (codes == 0).all(axis=0)] = np.nan
    return out


def zero_is_missing(values):
    out = values.astype(np.float64)
    out[:, (values == 0).all(axis=0)] = np.nan
    return out


def unit(values):
    """To unit length along bands; missing stays missing."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return values / np.sqrt((values**2).sum(axis=0))


# --- reading through GDAL -----------------------------------------------------------------------------------


def read_north_up(path):
    """The stored codes and their grid, rows north first whatever the file's own order."""
    with rasterio.open(path) as src:
        codes, t = src.read(), src.transform
        if t.e > 0:
            codes, t = codes[:, ::-1], t @ Affine.translation(0, src.height) @ Affine.scale(1, -1)
        return Raster(codes, Grid(src.crs, t, src.width, src.height))


def read_output(path):
    """A GeoTIFF terravec wrote."""
    with rasterio.open(path) as src:
        assert src.transform.e < 0 and src.transform.b == 0 == src.transform.d
        return Raster(src.read(), Grid(src.crs, src.transform, src.width, src.height))


# --- questions ----------------------------------------------------------------------------------------------


def window(raster, grid):
    """The pixels of `raster` on `grid`, which must lie on its lattice; missing beyond the edges."""
    col, row = ~raster.grid.transform @ (grid.transform.c, grid.transform.f)
    assert abs(col - round(col)) < 1e-6 and abs(row - round(row)) < 1e-6, "not on the native lattice"
    assert (grid.transform.a, grid.transform.e) == (raster.grid.transform.a, raster.grid.transform.e)
    col, row = round(col), round(row)
    out = np.full((len(raster.values), *grid.shape), np.nan)
    for y in range(max(0, -row), min(grid.height, raster.grid.height - row)):
        x0, x1 = max(0, -col), min(grid.width, raster.grid.width - col)
        out[:, y, x0:x1] = raster.values[:, row + y, col + x0 : col + x1]
    return out


def pixel_coordinates(raster, grid):
    """Where `grid`'s centres fall in `raster`, in pixels from its corner."""
    x, y = grid.centers()
    x, y = move(grid.crs, raster.grid.crs, x, y)
    return ~raster.grid.transform @ (x, y)


def take(raster, cols, rows):
    """Vectors at integer pixels, missing outside."""
    inside = (cols >= 0) & (rows >= 0) & (cols < raster.grid.width) & (rows < raster.grid.height)
    picked = raster.values[:, np.where(inside, rows, 0), np.where(inside, cols, 0)]
    return np.where(inside, picked, np.nan)


def nearest(raster, grid):
    cols, rows = pixel_coordinates(raster, grid)
    return take(raster, np.floor(cols).astype(int), np.floor(rows).astype(int))


def bilinear(raster, grid):
    """Bilinear on vectors: missing neighbours have no weight. Returns (values, number of valid neighbours)."""
    cols, rows = pixel_coordinates(raster, grid)
    cols, rows = cols - 0.5, rows - 0.5
    c0, r0 = np.floor(cols).astype(int), np.floor(rows).astype(int)
    fc, fr = cols - c0, rows - r0
    total, weights, count = 0.0, 0.0, 0
    for dc, dr, weight in [
        (0, 0, (1 - fc) * (1 - fr)),
        (1, 0, fc * (1 - fr)),
        (0, 1, (1 - fc) * fr),
        (1, 1, fc * fr),
    ]:
        value = take(raster, c0 + dc, r0 + dr)
        valid = ~np.isnan(value[0])
        total = total + np.where(valid, value * weight, 0)
        weights = weights + np.where(valid, weight, 0)
        count = count + valid
    with np.errstate(invalid="ignore", divide="ignore"):
        return total / weights, count


def average(raster, grid, samples=16, spread=1.0):
    """Mean over each target pixel's footprint, or `spread` times it, by dense sampling.

    Returns (values, share of valid samples).
    """
    t = grid.transform
    total, valid_count = 0.0, 0.0
    for i in range(samples):
        for j in range(samples):
            across, down = ((k + 0.5) / samples - 0.5 for k in (i, j))
            shifted = t @ Affine.translation(across * spread, down * spread)
            value = nearest(raster, Grid(grid.crs, shifted, grid.width, grid.height))
            valid = ~np.isnan(value[0])
            total = total + np.where(valid, value, 0)
            valid_count = valid_count + valid
    with np.errstate(invalid="ignore", divide="ignore"):
        return total / valid_count, valid_count / samples**2


def inside(geometry, grid, all_touched=False):
    """Which pixels of `grid` belong to a lon/lat geometry, by GDAL's rasteriser."""
    projected = transform_geom("OGC:CRS84", grid.crs, geometry)
    return rasterio.features.geometry_mask(
        [projected], grid.shape, grid.transform, all_touched=all_touched, invert=True
    )


def covers(grid, bbox):
    """Does the grid's footprint hold the whole lon/lat box?"""
    west, south, east, north = bbox
    t = np.linspace(0, 1, 21)
    lon = np.concatenate([west + (east - west) * t, west + (east - west) * t, 0 * t + west, 0 * t + east])
    lat = np.concatenate(
        [0 * t + south, 0 * t + north, south + (north - south) * t, south + (north - south) * t]
    )
    cols, rows = ~grid.transform @ from_lonlat(grid.crs, lon, lat)
    eps = 1e-6
    return bool(
        (cols > -eps).all()
        and (rows > -eps).all()
        and (cols < grid.width + eps).all()
        and (rows < grid.height + eps).all()
    )


def excess(grid, bbox):
    """By how many pixels the grid is larger than the tightest box around the lon/lat box, at most."""
    west, south, east, north = bbox
    t = np.linspace(0, 1, 101)
    lon = np.concatenate([west + (east - west) * t, west + (east - west) * t, 0 * t + west, 0 * t + east])
    lat = np.concatenate(
        [0 * t + south, 0 * t + north, south + (north - south) * t, south + (north - south) * t]
    )
    cols, rows = ~grid.transform @ from_lonlat(grid.crs, lon, lat)
    return max(cols.min(), rows.min(), grid.width - cols.max(), grid.height - rows.max())


# --- cloud-optimised GeoTIFF --------------------------------------------------------------------------------


def cog_faults(path):
    """GDAL's rules for a cloud-optimised GeoTIFF (validate_cloud_optimized_geotiff), as a list of breaches."""
    faults = []
    with rasterio.open(path) as src:
        big = max(src.width, src.height) > 512
        levels = src.overviews(1)
        if big and src.block_shapes[0][1] == src.width:
            faults.append("not tiled")
        if big and not levels:
            faults.append("no overviews")
        if any(src.overviews(b) != levels for b in src.indexes):
            faults.append("bands differ in overviews")
        if levels != sorted(levels) or len(set(levels)) != len(levels):
            faults.append(f"overview factors {levels} do not increase")

        def item(name, ovr=None):
            value = src.get_tag_item(name, "TIFF", bidx=1, ovr=ovr)
            return None if value is None else int(value)

        directories = [item("IFD_OFFSET")] + [item("IFD_OFFSET", i) for i in range(len(levels))]
        if directories[0] not in (8, 16) and directories[0] > 4096:
            faults.append(f"first IFD at byte {directories[0]}")
        if directories != sorted(directories):
            faults.append(f"IFDs out of order {directories}")
        data = [item("BLOCK_OFFSET_0_0")] + [item("BLOCK_OFFSET_0_0", i) for i in range(len(levels))]
        present = [d for d in data if d]
        if present and min(present) < max(directories):
            faults.append("pixel data before the last IFD")
        if len(present) == len(data) and data != sorted(data, reverse=True):
            faults.append(f"overview data not smallest first {data}")
        if levels:
            last = levels[-1]
            if max(src.width, src.height) / last > 512:
                faults.append("smallest overview is larger than 512")
    return faults
