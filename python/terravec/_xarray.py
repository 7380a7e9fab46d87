"""`xarray.open_dataset(spec, engine="terravec")`: a dataset as a lazy array of vectors.

Nothing is read until values are asked for; `chunks=` makes dask arrays whose workers open the dataset themselves.
"""

import json
import os
from collections.abc import Iterable
from typing import Any

import numpy as np
from xarray import Dataset as XarrayDataset
from xarray import Variable
from xarray.backends import BackendArray, BackendEntrypoint
from xarray.core import indexing

from . import _dataset
from ._dataset import Dataset, grid_of
from ._raster import Grid, attributes, coordinates


class _Vectors(BackendArray):
    """The values of a plan, (year, band, y, x) or (band, y, x), read window by window."""

    def __init__(self, dataset: Dataset, request: dict[str, Any]):
        self._dataset, self._request = dataset, request
        self._plan = dataset._plan(**request)
        self._process = os.getpid()
        grid = grid_of(self._plan)
        whole = (len(self._plan.years), len(self._plan.bands), grid.height, grid.width)
        self._timeless = self._plan.years == [None]
        self.shape = whole[1:] if self._timeless else whole
        self.dtype = np.dtype(self._plan.dtype)

    def __reduce__(self):
        return type(self), (self._dataset, self._request)

    @property
    def plan(self):
        if self._process != os.getpid():
            self._plan, self._process = self._dataset._plan(**self._request), os.getpid()
        return self._plan

    def __getitem__(self, key: indexing.ExplicitIndexer) -> np.ndarray:
        return indexing.explicit_indexing_adapter(key, self.shape, indexing.IndexingSupport.OUTER, self._read)

    def _read(self, key: tuple[Any, ...]) -> np.ndarray:
        if self._timeless:
            key = (0, *key)
        sizes = (len(self.plan.years), *self.shape[-3:])
        # The smallest window that holds all that is asked for, and what to take of it.
        wanted = [_positions(k, n) for k, n in zip(key, sizes, strict=True)]
        out = tuple(len(w) for w, k in zip(wanted, key, strict=True) if not isinstance(k, int | np.integer))
        if 0 in out:
            return np.empty(out, self.dtype)
        periods, (top, left) = wanted[0].tolist(), (int(wanted[2].min()), int(wanted[3].min()))
        height, width = int(wanted[2].max()) - top + 1, int(wanted[3].max()) - left + 1
        values, _ = self.plan.window(periods, top, left, height, width)
        for axis, (first, which) in enumerate(zip((0, top, left), wanted[1:], strict=True), 1):
            if len(which) != values.shape[axis] or (np.diff(which) != 1).any():
                values = np.take(values, which - first, axis)
        return values.reshape(out)


def _positions(key: Any, size: int) -> np.ndarray:
    """What an indexer picks of an axis."""
    return np.atleast_1d(np.arange(size)[key])


class TerravecBackend(BackendEntrypoint):
    """The engine `terravec` of xarray."""

    description = "Earth embeddings of any product, decoded, through terravec"
    url = "https://github.com/terravec/terravec"
    open_dataset_parameters = (
        "filename_or_obj", "drop_variables", "catalog", "cache_dir", "bbox", "region", "country", "like", "year",
        "month", "crs", "resolution", "resampling", "bands", "codes",
    )  # fmt: skip

    def guess_can_open(self, filename_or_obj: Any) -> bool:
        """Never: a raster may be wanted as it is. Name the engine."""
        return False

    def open_dataset(
        self,
        filename_or_obj: Any,
        *,
        drop_variables: str | Iterable[str] | None = None,
        catalog: Any = None,
        cache_dir: Any = None,
        bbox: Any = None,
        region: Any = None,
        country: str | None = None,
        like: Any = None,
        year: Any = None,
        month: int | None = None,
        crs: Any = None,
        resolution: float | None = None,
        resampling: str = "nearest",
        bands: Any = None,
        codes: bool = False,
    ) -> XarrayDataset:
        """A dataset with one variable, `embedding` (or `codes`), of dimensions (year, band, y, x).

        Products whose files carry no year have no dimension `year`. Parameters are those of `Dataset.extract`.
        """
        ours = not isinstance(filename_or_obj, Dataset)
        dataset = filename_or_obj
        if ours:
            dataset = _dataset.open(filename_or_obj, catalog=catalog, cache_dir=cache_dir)
        request = {
            "bbox": bbox, "region": region, "country": country, "like": like, "year": year, "month": month, "crs": crs,
            "resolution": resolution, "resampling": resampling, "bands": bands, "codes": codes,
        }  # fmt: skip
        array = _Vectors(dataset, request)
        plan, provenance = array.plan, json.loads(array.plan.provenance)
        grid: Grid = grid_of(plan)
        coords = coordinates(grid, plan.bands)
        dims = ("band", "y", "x")
        side = plan.chunk
        chunks = {"band": len(plan.bands), "y": min(side, grid.height), "x": min(side, grid.width)}
        if not array._timeless:
            dims, chunks = ("year", *dims), {"year": 1, **chunks}
            coords["year"] = ("year", [-1 if y is None else y for y in plan.years])
        encoding: dict[str, Any] = {"preferred_chunks": chunks, "grid_mapping": "spatial_ref"}
        attrs = attributes(provenance)
        if plan.nodata is not None:
            (attrs if codes else encoding)["_FillValue"] = array.dtype.type(plan.nodata)
        name = "codes" if codes else "embedding"
        variable = Variable(dims, indexing.LazilyIndexedArray(array), attrs, encoding)
        found = XarrayDataset({name: variable}, coords, attrs)
        if ours:
            found.set_close(dataset.close)
        return found.drop_vars(drop_variables) if drop_variables is not None else found
