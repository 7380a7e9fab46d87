"""Small windows of a dataset, for training: chosen at random, on a grid or around labels, and read as arrays.

Nothing here needs torch; `terravec.torch` wraps it for data loaders. A chip lies on the pixels of a tile, so that it is read without
resampling; where it reaches over a tile's edge it goes on in the neighbours.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import _inputs
from ._dataset import Box, Dataset, Years
from ._errors import OutsideError, QueryError
from ._raster import Grid

Size = int | tuple[int, int]


@dataclass(frozen=True)
class Chip:
    """A window to read.

    Attributes
    ----------
    grid : Grid
        Its pixels.
    year : int or None
        Its year; None where tiles have none.
    label : object
        What was given for it.
    """

    grid: Grid
    year: int | None
    label: Any = None


class Chips(Sequence):
    """Chips of a dataset: `len`, and by number a dict of arrays. It can be pickled and shared by workers.

    A sample has `image` (float32, (band, y, x), NaN where there is no vector; codes in their own type), `valid` (bool, (y, x)),
    `bounds` (float64[9]: xmin, xmax, xres, ymin, ymax, yres in units of the CRS, tmin, tmax in seconds since 1970, 1),
    `transform` (float64[9], the affine matrix row by row), `year` and, where one was given, `label`. `bounds` and `transform` are
    those of TorchGeo's raster datasets.

    Parameters
    ----------
    dataset : Dataset
        A raster.
    chips : sequence of Chip
        Which windows; `random_chips`, `grid_chips` and `chips_at` make such.
    bands, codes
        As in `Dataset.extract`.
    fill : float, optional
        What stands for a missing number instead of NaN.
    """

    def __init__(
        self,
        dataset: Dataset,
        chips: Sequence[Chip],
        *,
        bands: Sequence[str | int] | None = None,
        codes: bool = False,
        fill: float | None = None,
    ):
        self.dataset, self.chips, self.bands, self.codes, self.fill = dataset, chips, bands, codes, fill

    def __len__(self) -> int:
        return len(self.chips)

    def __getitem__(self, index: int) -> dict[str, Any]:
        chip = self.chips[index]
        raster = self.dataset.extract(like=chip.grid, year=chip.year, bands=self.bands, codes=self.codes)
        image = raster.values
        if self.fill is not None and not raster.valid.all():
            image[:, ~raster.valid] = self.fill
        sample = {"image": image, "valid": raster.valid, **place(chip.grid, chip.year)}
        if chip.year is not None:
            sample["year"] = np.int64(chip.year)
        if chip.label is not None:
            sample["label"] = chip.label
        return sample

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return (self[i] for i in range(len(self)))


def place(grid: Grid, year: int | None) -> dict[str, np.ndarray]:
    """`bounds` and `transform` of a window, as TorchGeo writes them."""
    west, south, east, north = grid.bounds
    x, y = grid.resolution
    start, end = (_seconds(year), _seconds(year + 1)) if year is not None else (np.nan, np.nan)
    return {
        "bounds": np.array([west, east, x, south, north, y, start, end, 1.0]),
        "transform": np.array([*grid.transform, 0.0, 0.0, 1.0]),
    }


def _seconds(year: int) -> float:
    return float(np.datetime64(f"{year}-01-01", "s").astype(np.int64))


class RandomChips(Sequence):
    """`length` chips at random places of some tiles. The chip of a number is always the same for one seed, whoever asks."""

    def __init__(self, tiles: list[tuple[Grid, int | None]], size: tuple[int, int], length: int, seed: int):
        self._tiles, self._size, self._length, self._seed = tiles, size, length, seed
        places = np.array([(g.height - size[0] + 1) * (g.width - size[1] + 1) for g, _ in tiles], float)
        self._shares = np.cumsum(places / places.sum())

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: int) -> Chip:
        if not 0 <= index < self._length:
            raise IndexError(index)
        random = np.random.default_rng((self._seed, index))
        at = min(int(np.searchsorted(self._shares, random.random(), side="right")), len(self._tiles) - 1)
        grid, year = self._tiles[at]
        height, width = self._size
        row, col = random.integers(grid.height - height + 1), random.integers(grid.width - width + 1)
        return Chip(grid.window(int(row), int(col), height, width), year)


def random_chips(
    dataset: Dataset, size: Size, length: int, *, seed: int = 0, bbox: Box = None, year: Years = None
) -> Sequence[Chip]:
    """Chips at random places, each possible place of each tile and year being as likely as any other.

    Parameters
    ----------
    size : int or (height, width)
        Pixels.
    length : int
        How many.
    seed : int
        Another seed gives other chips; the same one the same.
    bbox, year
        Only tiles that touch this box, of these years.
    """
    height, width = _pair(size)
    tiles = [t for t in _tiles(dataset, bbox, year) if t[0].height >= height and t[0].width >= width]
    if not tiles:
        raise QueryError(f"no tile holds {height} × {width} pixels", "ask for smaller chips")
    return RandomChips(tiles, (height, width), length, seed)


def grid_chips(
    dataset: Dataset, size: Size, stride: Size | None = None, *, bbox: Box = None, year: Years = None
) -> list[Chip]:
    """Chips side by side over every tile and year; the last of a row or column reaches over the tile's edge.

    Parameters
    ----------
    size : int or (height, width)
        Pixels.
    stride : int or (rows, columns), optional
        From one chip to the next; by default the size.
    bbox, year
        Only tiles that touch this box, of these years.
    """
    height, width = _pair(size)
    down, across = _pair(size if stride is None else stride)

    def starts(extent: int, length: int, step: int) -> range:
        return range(0, max(extent - length + step, 1), step)

    return [
        Chip(grid.window(row, col, height, width), of)
        for grid, of in _tiles(dataset, bbox, year)
        for row in starts(grid.height, height, down)
        for col in starts(grid.width, width, across)
    ]


def chips_at(
    dataset: Dataset,
    points: Any,
    size: Size,
    *,
    labels: Sequence[Any] | None = None,
    year: int | None = None,
    skip_outside: bool = False,
) -> list[Chip]:
    """A chip around each point: the pixel that contains it is in the middle (of an even number, the first after).

    Parameters
    ----------
    points
        As in `Dataset.sample`.
    size : int or (height, width)
        Pixels.
    labels : sequence, optional
        One per point, handed out with its chip.
    year : int, optional
        The year, where the dataset has several.
    skip_outside : bool
        Leave out points that no tile covers, instead of failing.
    """
    height, width = _pair(size)
    given = _inputs.points(points)
    if labels is not None and len(labels) != len(given):
        raise QueryError(f"{len(labels)} labels for {len(given)} points", "give one label per point")
    tiles, cols, rows, found = dataset._engine.locate(given, _inputs.years(year))
    chips = []
    for i, (tile, col, row) in enumerate(zip(tiles.tolist(), cols.tolist(), rows.tolist(), strict=True)):
        if tile < 0:
            if skip_outside:
                continue
            raise OutsideError(f"point {i + 1}: no tile covers it", "leave it out, or pass skip_outside=True")
        crs, transform, tile_width, tile_height, of = found[tile]
        grid = Grid(crs, tuple(transform), tile_width, tile_height)
        window = grid.window(row - height // 2, col - width // 2, height, width)
        chips.append(Chip(window, of, None if labels is None else labels[i]))
    return chips


def _tiles(dataset: Dataset, bbox: Box, year: Years) -> list[tuple[Grid, int | None]]:
    found = dataset._engine.tiles(_inputs.bbox(bbox), _inputs.years(year))
    if not found:
        raise OutsideError("no tile lies there", "ask for another box or year")
    return [(Grid(crs, tuple(transform), width, height), of) for crs, transform, width, height, of in found]


def _pair(size: Size) -> tuple[int, int]:
    height, width = (size, size) if isinstance(size, int | np.integer) else size
    if height < 1 or width < 1:
        raise QueryError(f"{size} is no size", "give a positive number of pixels")
    return int(height), int(width)
