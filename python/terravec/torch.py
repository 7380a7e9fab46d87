"""Datasets for PyTorch, with TorchGeo's sample dicts.

>>> from terravec.chips import random_chips                                   # doctest: +SKIP
>>> from terravec.torch import ChipDataset                                    # doctest: +SKIP
>>> data = ChipDataset(ds, random_chips(ds, 256, 1000))                       # doctest: +SKIP
>>> loader = torch.utils.data.DataLoader(data, batch_size=8, num_workers=2)   # doctest: +SKIP
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from ._dataset import Dataset as Embeddings
from ._dataset import Years
from ._errors import OutsideError, QueryError
from ._extras import need
from ._raster import Grid
from ._table import Table
from .chips import Chip, Chips, place

torch = need("torch", "torch")

Sample = dict[str, Any]
Transform = Callable[[Sample], Sample]


def _tensors(sample: Sample) -> Sample:
    """Arrays and numbers as tensors that share their memory; anything else as it is."""

    def tensor(value: Any) -> Any:
        if isinstance(value, np.ndarray):
            return torch.from_numpy(value)
        return torch.tensor(value.item()) if isinstance(value, np.generic) else value

    return {key: tensor(value) for key, value in sample.items()}


class ChipDataset(torch.utils.data.Dataset):
    """Chips by number, for any sampler. Samples are those of `terravec.chips.Chips`, as tensors.

    Parameters
    ----------
    dataset : terravec.Dataset
        A raster.
    chips : sequence of Chip
        Made by `random_chips`, `grid_chips` or `chips_at` of `terravec.chips`.
    transforms : callable, optional
        From a sample to a sample.
    bands, codes, fill
        As in `terravec.chips.Chips`.
    """

    def __init__(
        self,
        dataset: Embeddings,
        chips: Sequence[Chip],
        *,
        transforms: Transform | None = None,
        **options: Any,
    ):
        self.chips, self.transforms = Chips(dataset, chips, **options), transforms

    def __len__(self) -> int:
        return len(self.chips)

    def __getitem__(self, index: int) -> Sample:
        sample = _tensors(self.chips[index])
        return sample if self.transforms is None else self.transforms(sample)


class ChipStream(torch.utils.data.IterableDataset):
    """The same as a stream: each of a loader's workers hands out its share, once.

    `shuffle` gives another order in every epoch, the same in all workers.
    """

    def __init__(
        self,
        dataset: Embeddings,
        chips: Sequence[Chip],
        *,
        shuffle: bool = False,
        seed: int = 0,
        transforms: Transform | None = None,
        **options: Any,
    ):
        self.data = ChipDataset(dataset, chips, transforms=transforms, **options)
        self.shuffle, self.seed, self.epoch = shuffle, seed, 0

    def __len__(self) -> int:
        return len(self.data)

    def __iter__(self) -> Iterator[Sample]:
        worker = torch.utils.data.get_worker_info()
        first, step = (worker.id, worker.num_workers) if worker is not None else (0, 1)
        order = np.arange(len(self.data))
        if self.shuffle:
            np.random.default_rng((self.seed, self.epoch)).shuffle(order)
        self.epoch += 1
        return (self.data[int(i)] for i in order[first::step])


class PatchDataset(torch.utils.data.Dataset):
    """Rows of a table as TorchGeo's patch datasets give them: `embedding`, `x`, `y` (degrees) and, where it is known, `t` (seconds
    since 1970).

    Parameters
    ----------
    table : terravec.Table
        From `sample`, `extract` or `reduce`; rows without a vector are left out.
    transforms : callable, optional
        From a sample to a sample.
    """

    def __init__(self, table: Table, *, transforms: Transform | None = None):
        keep = np.flatnonzero(table.valid)
        self.transforms = transforms
        self._embedding = torch.from_numpy(table.to_numpy()[keep])
        self._x, self._y = (torch.from_numpy(table.to_numpy(c)[keep]) for c in ("lon", "lat"))
        times = table.to_pyarrow()["time_start"].to_numpy()[keep].astype("datetime64[ms]")
        self._t = None if np.isnat(times).any() else torch.from_numpy(times.astype(np.int64) / 1000)

    def __len__(self) -> int:
        return len(self._embedding)

    def __getitem__(self, index: int) -> Sample:
        sample = {"embedding": self._embedding[index], "x": self._x[index], "y": self._y[index]}
        if self._t is not None:
            sample["t"] = self._t[index]
        return sample if self.transforms is None else self.transforms(sample)


def geo_dataset(
    dataset: Embeddings,
    *,
    year: Years = None,
    crs: str | None = None,
    resolution: float | None = None,
    resampling: str = "nearest",
    transforms: Transform | None = None,
    **options: Any,
) -> Any:
    """A raster as a `torchgeo.datasets.GeoDataset`: for its samplers, and to be combined with others by `&` and `|`.

    A query is answered on its own grid, decoded before it is resampled. Queries over several years take the first.
    """
    geo = need("torchgeo.datasets", "torchgeo")
    pandas, geopandas, shapely, pyproj = (
        need(m, "torchgeo") for m in ("pandas", "geopandas", "shapely", "pyproj")
    )
    tiles = [t for t in dataset.coverage(year=year)]
    if not tiles or any(t["year"] is None for t in tiles):
        raise QueryError("TorchGeo needs to know when vectors hold", "open a product whose files have years")
    own = pyproj.CRS(crs or tiles[0]["crs"])
    size = resolution if resolution is not None else dataset.info["resolution"]

    class TerravecDataset(geo.GeoDataset):
        def __init__(self) -> None:
            boxes = geopandas.GeoSeries([shapely.box(*t["bbox"]) for t in tiles], crs="OGC:CRS84")
            when = pandas.IntervalIndex.from_arrays(
                [pandas.Timestamp(t["year"], 1, 1) for t in tiles],
                [pandas.Timestamp(t["year"], 12, 31, 23, 59, 59) for t in tiles],
                closed="both",
                name="datetime",
            )
            paths = {"filepath": [t["path"] for t in tiles], "year": [t["year"] for t in tiles]}
            self.index = geopandas.GeoDataFrame(paths, index=when, geometry=boxes.to_crs(own).array)
            self._res = (size, size) if np.isscalar(size) else tuple(size)
            self.transforms = transforms

        def __getitem__(self, index: Any) -> Sample:
            x, y, t = self._disambiguate_slice(index)
            found = self.index.iloc[self.index.index.overlaps(pandas.Interval(t.start, t.stop))]
            found = found.cx[x.start : x.stop, y.start : y.stop]
            if found.empty:
                raise IndexError(f"index: {index} not found in dataset with bounds: {self.bounds}")
            of = int(found["year"].min())
            width, height = round((x.stop - x.start) / x.step), round((y.stop - y.start) / y.step)
            text = f"EPSG:{self.crs.to_epsg()}" if self.crs.to_epsg() else self.crs.to_wkt()
            grid = Grid(text, (x.step, 0.0, x.start, 0.0, -y.step, y.stop), max(width, 1), max(height, 1))
            try:
                raster = dataset.extract(like=grid, year=of, resampling=resampling, **options)
            except OutsideError as e:
                raise IndexError(str(e)) from None
            sample = _tensors({"image": raster.values, **place(grid, of)})
            sample["bounds"] = self._slice_to_tensor(index)
            return sample if self.transforms is None else self.transforms(sample)

    return TerravecDataset()
