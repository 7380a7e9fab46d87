"""Change, clusters and principal components."""

import json
import os
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from . import _inputs, _native
from ._catalog import PathLike
from ._dataset import Box, Dataset, Progress, Years, open, progress_bar, told
from ._errors import OutputError, QueryError
from ._places import where_of
from ._table import Table

Measure = Literal["angle", "l2"]


class Changes(NamedTuple):
    """What changed."""

    #: The most changed pixels, with `rank`, `angle` or `distance`, `p_value` and place.
    most: Table
    #: `pixels`, `changed_pixels`, `threshold`, `median`, `deviation`, `stable_pixels`, ….
    statistics: dict[str, Any]


def change(
    data: Dataset | PathLike,
    years: Years,
    *,
    other: Dataset | PathLike | None = None,
    bbox: Box = None,
    region: Any = None,
    country: str | None = None,
    stable: Any = None,
    measure: Measure = "angle",
    deviations: float = 3.0,
    percentile: float | None = None,
    k: int = 10,
    crs: str | int | None = None,
    resolution: float | None = None,
    map: PathLike | None = None,
    force: bool = False,
    dry_run: bool = False,
    progress: Progress = False,
) -> Changes | dict[str, Any]:
    """How much the vectors of two years differ, and where more than stable ones do.

    Parameters
    ----------
    data : Dataset, or what `open` takes
        A raster.
    years : (int, int)
        The two years.
    other : Dataset, optional
        The later year lies in this dataset of the same product and version.
    bbox, region, country, crs, resolution : optional
        Where, see `Dataset.extract`.
    stable : optional
        Polygons where nothing changed, which tell what chance looks like; by default all pixels, most of which did not.
    measure : {"angle", "l2"}
        The angle between vectors in degrees, or their distance.
    deviations : float
        A pixel has changed beyond the median of stable ones and so many of their standard deviations (1.4826 x the median absolute
        deviation).
    percentile : float, optional
        Or beyond this percentile of stable ones.
    k : int
        How many of the most changed pixels.
    map : path, optional
        A `.tif` with angle or distance, p-value and 1 where changed, or a `.png`.
    dry_run : bool
        Only tell what it would cost, as `Dataset.estimate` does; nothing but headers is read, and nothing written.
    """
    place, regions = where_of(bbox, region, country, years, crs, resolution)
    own = _opened(data)
    with progress_bar(progress, "comparing") as tell:
        done = _native.change_dataset(
            own._engine,
            None if other is None else _opened(other)._engine,
            place,
            regions,
            None if stable is None else _inputs.regions(stable),
            measure,
            deviations,
            percentile,
            k,
            None if map is None else os.fspath(map),
            force,
            dry_run,
            tell,
        )
    if isinstance(done, str):
        return json.loads(done)
    table, statistics = done
    return Changes(told(table), json.loads(statistics))


def trajectories(
    data: Dataset | PathLike,
    regions: Any,
    *,
    year: Years = None,
    measure: Measure = "angle",
    resolution: float | None = None,
    dry_run: bool = False,
) -> Table | dict[str, Any]:
    """How the mean vector of each polygon moves from year to year. With `dry_run`, only what it would cost, as `Dataset.estimate` says.

    Returns
    -------
    Table
        One row per polygon and year: its columns, `year`, `pixels`, `angle_from_first` and `angle_from_previous` (or `distance_…`).
    """
    place, _ = where_of(None, None, None, year, None, resolution)
    if dry_run:
        polygons = _inputs.regions(regions)
        return json.loads(_native.estimate_regions(_opened(data)._engine, polygons, place, False))
    return told(_native.trajectories_of(_opened(data)._engine, _inputs.regions(regions), place, measure))


def _opened(data: Dataset | PathLike) -> Dataset:
    return data if isinstance(data, Dataset) else open(data)


def _array(data: Any) -> np.ndarray:
    rows = np.asarray(data)
    if rows.ndim != 2 or rows.dtype.kind != "f":
        raise QueryError(
            f"{rows.dtype} of shape {rows.shape} is no list of vectors", "give floats, shape (N, D)"
        )
    return np.ascontiguousarray(rows, np.float32)


def _is_dataset(data: Any) -> bool:
    return isinstance(data, Dataset | str | os.PathLike)


class _Saved:
    """What is kept as JSON."""

    _native: Any

    @cached_property
    def info(self) -> dict[str, Any]:
        """What it says of itself, as it is saved."""
        return json.loads(self._native.json())

    def save(self, path: PathLike, *, force: bool = False) -> None:
        """Keep it as JSON."""
        path = Path(path)
        if path.exists() and not force:
            raise OutputError(f"{path}: the output exists already", "pass force=True to replace it")
        part = path.with_name(f".{path.name}.part")
        part.write_text(self._native.json() + "\n")
        part.replace(path)


class Clusters(_Saved):
    """Centres of clusters. Made by `terravec.cluster`, or read by `Clusters.load`."""

    def __init__(self, native: _native.Clusters):
        self._native = native

    @classmethod
    def load(cls, path: PathLike) -> "Clusters":
        """Read saved clusters."""
        return cls(_native.Clusters.of_json(Path(path).read_text()))

    @cached_property
    def centres(self) -> np.ndarray:
        """Centres, shape (K, D)."""
        return np.array(self.info["centres"], np.float32)

    @property
    def inertia(self) -> float:
        """Sum of squared distances of the sample to its centres."""
        return self.info["inertia"]

    def labels(self, vectors: Any) -> np.ndarray:
        """The cluster of each row, shape (N,)."""
        return self._native.labels(_array(vectors))

    def write(
        self,
        data: Dataset | PathLike,
        path: PathLike,
        *,
        bbox: Box = None,
        region: Any = None,
        country: str | None = None,
        year: Years = None,
        crs: str | int | None = None,
        resolution: float | None = None,
        time: str | None = None,
        where: str | Sequence[str] = (),
        skip_bad: bool = False,
        force: bool = False,
        dry_run: bool = False,
        progress: Progress = False,
    ) -> dict[str, Any]:
        """Write the cluster of every pixel (`.tif`, `.png`) or row (`.parquet`, …) of a dataset; how many are in each. With `dry_run`,
        only what it would cost, as `Dataset.estimate` says."""
        place, regions = where_of(bbox, region, country, year, crs, resolution)
        rows = (time, _inputs.texts(where), skip_bad)
        if dry_run:
            return json.loads(_native.estimate_part(_opened(data)._engine, place, regions, rows, 1))
        with progress_bar(progress, "labelling") as tell:
            done = self._native.write(
                _opened(data)._engine, os.fspath(path), force, place, regions, rows, tell
            )
        return json.loads(done)

    def __repr__(self) -> str:
        i = self.info
        how = "direction" if i["spherical"] else "distance"
        return f"<terravec.Clusters: {len(i['centres'])} by {how}, fitted on {i['sample_rows']} vectors>"


def cluster(
    data: Any,
    k: int,
    *,
    spherical: bool | None = None,
    starts: int = 10,
    seed: int = 0,
    sample: int = 100_000,
    bbox: Box = None,
    region: Any = None,
    country: str | None = None,
    year: Years = None,
    crs: str | int | None = None,
    resolution: float | None = None,
    time: str | None = None,
    where: str | Sequence[str] = (),
    skip_bad: bool = False,
    dry_run: bool = False,
    progress: Progress = False,
) -> Clusters | dict[str, Any]:
    """k-means: fitted on a sample of a dataset, or on all rows of an array.

    Parameters
    ----------
    data : Dataset, str, or array of shape (N, D)
        What is clustered.
    k : int
        Clusters.
    spherical : bool, optional
        Compare directions; by default for products whose vectors have length 1.
    starts : int
        Fits from different k-means++ seeds, of which the best counts.
    sample : int
        Vectors of a dataset, drawn at random, that clusters are fitted on.
    dry_run : bool
        Only tell what it would cost, as `Dataset.estimate` does; nothing but headers is read, and nothing written.
    """
    if not _is_dataset(data):
        return Clusters(_native.fit_clusters(_array(data), k, bool(spherical), starts, seed))
    place, regions = where_of(bbox, region, country, year, crs, resolution)
    rows = (time, _inputs.texts(where), skip_bad)
    if dry_run:
        return json.loads(_native.estimate_part(_opened(data)._engine, place, regions, rows, 1))
    with progress_bar(progress, "clustering") as tell:
        return Clusters(
            _native.cluster_dataset(
                _opened(data)._engine, k, spherical, starts, seed, sample, place, regions, rows, tell
            )
        )


class Basis(_Saved):
    """Principal components. Made by `terravec.pca`, or read by `Basis.load`."""

    def __init__(self, native: _native.Basis):
        self._native = native

    @classmethod
    def load(cls, path: PathLike) -> "Basis":
        """Read a saved basis."""
        return cls(_native.Basis.of_json(Path(path).read_text()))

    @cached_property
    def mean(self) -> np.ndarray:
        """Mean vector, shape (D,)."""
        return np.array(self.info["mean"])

    @cached_property
    def components(self) -> np.ndarray:
        """Components, shape (N, D), of length 1; the loading of largest size is positive."""
        return np.array(self.info["components"])

    @cached_property
    def explained(self) -> np.ndarray:
        """The part of the variance that each component and all before it explain, shape (N,)."""
        return np.cumsum(self.info["variance"]) / self.info["total_variance"]

    def transform(self, vectors: Any) -> np.ndarray:
        """Components of each row, float64, shape (rows, N)."""
        return self._native.scores(_array(vectors))

    def write(
        self,
        data: Dataset | PathLike,
        path: PathLike,
        *,
        scores: bool = False,
        bbox: Box = None,
        region: Any = None,
        country: str | None = None,
        year: Years = None,
        crs: str | int | None = None,
        resolution: float | None = None,
        force: bool = False,
        dry_run: bool = False,
        progress: Progress = False,
    ) -> dict[str, Any] | None:
        """Write the first three components of a raster as colours (`.tif`, `.png`), from the 2nd to the 98th percentile of the sample;
        or, with `scores`, the components themselves. With `dry_run`, only what it would cost, as `Dataset.estimate` says."""
        place, regions = where_of(bbox, region, country, year, crs, resolution)
        if dry_run:
            rows = (None, [], False)
            return json.loads(_native.estimate_part(_opened(data)._engine, place, regions, rows, 1))
        with progress_bar(progress, "writing") as tell:
            self._native.write(_opened(data)._engine, os.fspath(path), force, scores, place, regions, tell)

    def __repr__(self) -> str:
        i = self.info
        return (
            f"<terravec.Basis: {len(i['components'])} components, fitted on {i['sample_rows']} vectors, "
            f"explain {self.explained[-1]:.1%}>"
        )


def pca(
    data: Any,
    n: int = 3,
    *,
    seed: int = 0,
    sample: int = 100_000,
    bbox: Box = None,
    region: Any = None,
    country: str | None = None,
    year: Years = None,
    crs: str | int | None = None,
    resolution: float | None = None,
    time: str | None = None,
    where: str | Sequence[str] = (),
    skip_bad: bool = False,
    dry_run: bool = False,
    progress: Progress = False,
) -> Basis | dict[str, Any]:
    """Principal components: fitted once on a sample of a dataset, or on all rows of an array, and applied everywhere alike.

    Parameters
    ----------
    data : Dataset, str, or array of shape (N, D)
        What they are fitted on.
    n : int
        Components.
    sample : int
        Vectors of a dataset, drawn at random.
    dry_run : bool
        Only tell what it would cost, as `Dataset.estimate` does; nothing but headers is read, and nothing written.
    """
    if not _is_dataset(data):
        return Basis(_native.fit_basis(_array(data), n))
    place, regions = where_of(bbox, region, country, year, crs, resolution)
    rows = (time, _inputs.texts(where), skip_bad)
    if dry_run:
        return json.loads(_native.estimate_part(_opened(data)._engine, place, regions, rows, 1))
    with progress_bar(progress, "fitting") as tell:
        return Basis(_native.pca_dataset(_opened(data)._engine, n, seed, sample, place, regions, rows, tell))
