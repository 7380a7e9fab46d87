"""What is asked of several datasets at once, and of none."""

import json
import os
from collections.abc import Iterable, Sequence
from typing import Any

from . import _inputs, _native
from ._catalog import PathLike, paths
from ._dataset import Box, Dataset, Progress, Reduction, Years, _places, open, progress_bar, told
from ._table import Table


def join(
    datasets: Iterable[Dataset | PathLike],
    points: Any = None,
    *,
    patches: Dataset | PathLike | None = None,
    bbox: Box = None,
    year: Years = None,
    month: int | None = None,
    codes: bool = False,
    nearest: int | None = None,
    within: float | None = None,
    reduce: Reduction | None = None,
    inner: bool = False,
    time: str | None = None,
    where: str | Sequence[str] = (),
    skip_bad: bool = False,
    dry_run: bool = False,
    catalog: PathLike | Iterable[PathLike] | None = None,
    cache_dir: PathLike | None = None,
) -> Table | dict[str, Any]:
    """Several datasets at the same points, or at the footprints of a table: each product in columns of its own.

    Parameters
    ----------
    datasets : list of Dataset or str
        Of any kinds.
    points : optional
        As in `Dataset.sample`.
    patches : Dataset or str, optional
        Instead of points, a table of vectors, whose own come first: pixels in a footprint become one vector, tables and
        encoders answer at its centre.
    bbox : (west, south, east, north) in degrees, optional
        With `patches`: only those that touch this box.
    reduce : {"mean", "median", "medoid"}, optional
        With `patches`: how the pixels in a footprint become one vector; by default their mean.
    inner : bool
        Only places where every product has a vector.
    year, month, codes, nearest, within, time, where, skip_bad
        As in `Dataset.sample`.
    dry_run : bool
        Only tell what it would cost, as `Dataset.estimate` does; nothing but headers is read, and nothing written.

    Returns
    -------
    Table
        Columns of a product begin with its id: `t.to_numpy("alphaearth")`.
    """

    def opened(dataset: Dataset | PathLike) -> _native.Dataset:
        own = dataset if isinstance(dataset, Dataset) else open(dataset, catalog=catalog, cache_dir=cache_dir)
        return own._engine

    table = _native.join(
        [opened(d) for d in datasets],
        None if points is None else _inputs.points(points),
        None if patches is None else opened(patches),
        _inputs.bbox(bbox),
        _inputs.years(year),
        month,
        codes,
        nearest,
        within,
        reduce,
        inner,
        (time, _inputs.texts(where), skip_bad),
        dry_run,
    )
    return json.loads(table) if isinstance(table, str) else told(table)


def download(
    spec: str,
    *,
    dry_run: bool = False,
    force: bool = False,
    catalog: PathLike | Iterable[PathLike] | None = None,
    cache_dir: PathLike | None = None,
    progress: Progress = False,
) -> list[dict[str, Any]]:
    """Fetch the weights of a location encoder into the cache, so that `open(ID)` finds them.

    Parameters
    ----------
    spec : str
        `ID` or `ID@VARIANT`.
    dry_run : bool
        Only tell what would be fetched.
    force : bool
        Fetch again what is there.

    Returns
    -------
    list of dict
        Of each file: `url`, `path`, `bytes`, `sha256`, `licence` and whether it was `present` before.
    """
    cache = None if cache_dir is None else os.fspath(cache_dir)
    with progress_bar(progress, "downloading") as tell:
        return json.loads(_native.download(spec, paths(catalog), cache, dry_run, force, tell))


def mirror(
    spec: PathLike,
    folder: PathLike,
    *,
    bbox: Box = None,
    region: Any = None,
    country: str | None = None,
    year: Years = None,
    dry_run: bool = False,
    force: bool = False,
    max_bytes: str | int | None = None,
    catalog: PathLike | Iterable[PathLike] | None = None,
    cache_dir: PathLike | None = None,
    progress: Progress = False,
) -> dict[str, Any]:
    """Copy the files of a region and years into a folder, which is then a root for `open`.

    Files are checked, and get their names only when they are whole. Interrupted or killed, it goes on where it was.

    Parameters
    ----------
    spec : str or path
        As in `open`.
    folder : path
        Where the copy goes.
    bbox, region, country, year : optional
        Files that touch this box, or one of these polygons, or this country, of these years; by default all.
    dry_run : bool
        Only tell what would be fetched.
    force : bool
        Replace files that no mirror put there.
    max_bytes : str or int, optional
        Fail, before anything is fetched, if it would be more.

    Returns
    -------
    dict
        `files` and what was done (`report`); of a dry run the plan, with `files`, `bytes` and `missing_bytes`.
    """
    cache = None if cache_dir is None else os.fspath(cache_dir)
    box, regions = _places(bbox, region, country)
    with progress_bar(progress, "downloading") as tell:
        return json.loads(
            _native.mirror(
                os.fspath(spec),
                paths(catalog),
                cache,
                os.fspath(folder),
                box,
                regions,
                _inputs.years(year),
                dry_run,
                force,
                None if max_bytes is None else str(max_bytes),
                tell,
            )
        )


def mirror_verify(folder: PathLike, *, progress: Progress = False) -> dict[str, Any]:
    """Compare every file of a mirror with its checksum: `good`, `damaged` (taken away) and `missing` ones."""
    with progress_bar(progress, "checking") as tell:
        return json.loads(_native.mirror_verify(os.fspath(folder), tell))
