"""Search: in datasets, in arrays, and in indexes on disk."""

import json
import os
from collections.abc import Iterable, Sequence
from typing import Any, Literal

import numpy as np

from . import _inputs, _native
from ._catalog import PathLike, product
from ._dataset import Box, Dataset, Progress, Years, open, progress_bar, told
from ._errors import QueryError
from ._places import where_of
from ._table import Table

Metric = Literal["cosine", "dot", "l2"]
Combine = Literal["mean", "max", "probe"]


def search(
    data: Any,
    query: Any = None,
    k: int = 10,
    *,
    metric: Metric | Literal["hamming"] = "cosine",
    decode: str | float | None = None,
    **options: Any,
) -> Any:
    """What is most similar, exactly: in a dataset, or among the rows of an array.

    Parameters
    ----------
    data : Dataset, str, or array of shape (N, D)
        A dataset (or what `open` takes), which is asked by `Dataset.search` with the `options` given here. Or vectors in memory, which
        are read where they lie: float32 (other floats are converted); int8 codes with `decode`; uint8 packed bits with
        `metric="hamming"`.
    query : array of shape (D,) or (Q, D), or a place
        Of arrays: one or several vectors (for bits: packed bits). Of datasets: what is looked for, `like` of `Dataset.search`.
    k : int
        How many, up to 100 000.
    metric : {"cosine", "dot", "l2", "hamming"}
        What "similar" means.
    decode : str or float, optional
        How int8 codes are decoded: the id of a product with signed squares (`"alphaearth"`), or a scale.

    Returns
    -------
    Table, or (scores, rows)
        Of datasets a `Table`, see `Dataset.search`. Of arrays the scores (similarity, dot product, distance, or bits that differ) and
        the numbers of the rows, best first, equal ones in the order of rows; shape (k,), or (Q, k) for several queries. Rows without a
        score (NaN, or of length 0 where directions are compared) are passed over: where too few are left the number is -1.
    """
    if isinstance(data, Dataset | str | os.PathLike):
        own = data if isinstance(data, Dataset) else open(data)
        return own.search(query, k=k, metric=metric, **options)
    if options:
        raise QueryError(f"{', '.join(options)}: for datasets, and an array is given", "leave them out")
    rows = np.asarray(data)
    if rows.ndim != 2:
        raise QueryError(f"an array of shape {rows.shape} is no list of vectors", "give one of shape (N, D)")
    if metric == "hamming":
        if rows.dtype != np.uint8:
            raise QueryError("bits that differ are counted in packed bits", "give uint8, from numpy.packbits")
        bits = np.ascontiguousarray(query, np.uint8)
        return _native.search_bits(np.ascontiguousarray(rows), bits, k)
    asked = np.ascontiguousarray(query, np.float32)
    several = asked.ndim == 2
    asked = asked if several else asked[None]
    if asked.ndim != 2:
        raise QueryError(f"a query of shape {np.shape(query)}", "give one of shape (D,) or (Q, D)")
    if rows.dtype == np.int8:
        scale, divisor = _rule(decode)
        found = _native.search_codes(np.ascontiguousarray(rows), asked, k, metric, scale, divisor)
    elif decode is not None or rows.dtype.kind != "f":
        raise QueryError(
            f"{rows.dtype} with decode={decode!r}", "give float vectors, or int8 codes and decode="
        )
    else:
        found = _native.search_vectors(np.ascontiguousarray(rows, np.float32), asked, k, metric)
    scores, ids = found
    return (scores, ids) if several else (scores[0], ids[0])


def _rule(decode: str | float | None) -> tuple[float, float | None]:
    """(scale, divisor) of codes."""
    if decode is None:
        raise QueryError("codes are no vectors", 'say how they are decoded: decode="alphaearth", or a scale')
    if isinstance(decode, str):
        rule = product(decode)["codec"]
        rule = rule.get("signed_square", {}) if isinstance(rule, dict) else {}
        if rule.get("power") != 2 or rule.get("nodata") != -128:
            raise QueryError(f"codes of {decode} can't be searched", "decode them before, or give a scale")
        return 1.0, float(rule["scale"])
    return float(decode), None


def search_dataset(
    self: Dataset,
    like: Any = None,
    *,
    id: str | int | Sequence[str | int] = (),
    vector: Any = None,
    mean_of: Box = None,
    positive: Any = None,
    negative: Any = None,
    by: Combine = "mean",
    metric: Metric = "cosine",
    k: int = 10,
    exclude_self: bool = False,
    bbox: Box = None,
    region: Any = None,
    country: str | None = None,
    year: Years = None,
    like_year: Years = None,
    crs: str | int | None = None,
    resolution: float | None = None,
    time: str | None = None,
    where: str | Sequence[str] = (),
    skip_bad: bool = False,
    vectors: bool = False,
    map: PathLike | None = None,
    force: bool = False,
    index: "Index | PathLike | None" = None,
    probes: int | None = None,
    dry_run: bool = False,
    progress: Progress = False,
) -> Table | dict[str, Any]:
    """What is most similar to a place, a row, a vector or to examples.

    Parameters
    ----------
    like, positive : optional
        Places whose vectors are looked for: whatever `sample` takes as points.
    id : str or list of str
        Of tables: rows that are looked for.
    vector : array of shape (D,) or (N, D), optional
        Vectors that are looked for.
    mean_of : (west, south, east, north) in degrees, optional
        The mean vector of this box is looked for.
    negative : optional
        Places whose vectors are not looked for.
    by : {"mean", "max", "probe"}
        How several examples make one question: twice the mean of the positive ones minus the mean of the negative ones (just the mean
        where there are none), the greatest similarity to any of them, or a ridge regression of +1 and -1.
    metric : {"cosine", "dot", "l2"}
        What "similar" means.
    k : int
        How many results, up to 100 000.
    exclude_self : bool
        Leave out what lies at the places of the examples.
    bbox, region, country, year, time, where, skip_bad
        What is searched, see `extract`; filters go into the search, so there are `k` results if so many rows meet them.
    like_year : int, optional
        The year of the examples, where it is another than that of the search.
    crs, resolution : optional
        Of rasters: the grid whose pixels are compared; by default their own.
    vectors : bool
        Keep the vectors in the results.
    map : path, optional
        Of rasters: write the similarity of every pixel, too, to a `.tif` (COG) or `.png`.
    index : Index or path, optional
        Look in this index instead of the dataset itself.
    probes : int, optional
        With an index: how many of its lists to look at; all give the exact answer.
    dry_run : bool
        Only tell what it would cost, as `Dataset.estimate` does; nothing but headers is read, and nothing written.

    Returns
    -------
    Table
        `rank`, `similarity` (`score` by dot, `distance` by l2), place, time, the table's own columns, and a `link` to a map of the place.
    """

    def points(given: Any) -> list[_native.Points]:
        return [] if given is None else [_inputs.points(given)]

    given = None if vector is None else np.atleast_2d(np.ascontiguousarray(vector, np.float32))
    path = index.path if isinstance(index, Index) else index
    place, regions = where_of(bbox, region, country, year, crs, resolution)
    with progress_bar(progress, "searching") as tell:
        answer = _native.search_dataset(
            self._engine,
            points(like) + points(positive),
            [str(i) for i in ([id] if isinstance(id, str | int) else id)],
            given,
            _inputs.bbox(mean_of),
            points(negative),
            by,
            metric,
            k,
            exclude_self,
            vectors,
            place,
            regions,
            _inputs.years(like_year),
            (time, _inputs.texts(where), skip_bad),
            None if map is None else os.fspath(map),
            force,
            None if path is None else (os.fspath(path), probes),
            dry_run,
            tell,
        )
    return json.loads(answer) if isinstance(answer, str) else told(answer)


class Index:
    """An index on disk, for search in tables larger than memory.

    `Index(path)` opens one; `Index.build(dataset, path)` makes one.
    """

    def __init__(self, path: PathLike):
        self.path = os.fspath(path)
        self.info  # noqa: B018  fails here rather than later

    @classmethod
    def build(
        cls,
        dataset: Dataset | PathLike,
        path: PathLike,
        *,
        metric: Metric = "cosine",
        lists: int | None = None,
        memory: int = 512 << 20,
        seed: int = 0,
        bbox: Box = None,
        region: Any = None,
        country: str | None = None,
        year: Years = None,
        time: str | None = None,
        where: str | Sequence[str] = (),
        skip_bad: bool = False,
        force: bool = False,
        dry_run: bool = False,
        progress: Progress = False,
    ) -> "Index | dict[str, Any]":
        """Build an index of the rows of a table, or of the pixels of a raster.

        Parameters
        ----------
        path : path
            A folder, which appears when the index is whole.
        lists : int, optional
            Lists that rows are put into; by default the root of their number.
        memory : int
            Bytes of rows in memory, about.
        bbox, region, country, year, time, where, skip_bad
            Which rows, see `Dataset.extract`.
        dry_run : bool
            Only tell what it would cost, as `Dataset.estimate` does; nothing but headers is read, and nothing written.
        """
        own = dataset if isinstance(dataset, Dataset) else open(dataset)
        place, regions = where_of(bbox, region, country, year)
        rows = (time, _inputs.texts(where), skip_bad)
        if dry_run:  # a sample is drawn first, then rows are put into lists
            return json.loads(_native.estimate_part(own._engine, place, regions, rows, 2))
        with progress_bar(progress, "indexing") as tell:
            _native.index_build(
                own._engine, os.fspath(path), force, metric, lists, memory, seed, place, regions, rows, tell
            )
        return cls(path)

    @property
    def info(self) -> dict[str, Any]:
        """What it holds, and how well it answers: `rows`, `deleted`, `lists`, `probes`, `recall`, `provenance`, …."""
        return json.loads(_native.index_info(self.path))

    def __len__(self) -> int:
        return self.info["rows"] - self.info["deleted"]

    def add(
        self,
        dataset: Dataset | PathLike,
        *,
        bbox: Box = None,
        region: Any = None,
        country: str | None = None,
        year: Years = None,
        time: str | None = None,
        where: str | Sequence[str] = (),
        skip_bad: bool = False,
        memory: int = 512 << 20,
        dry_run: bool = False,
    ) -> int | dict[str, Any]:
        """Add rows; how many. With `dry_run`, only what it would cost."""
        own = dataset if isinstance(dataset, Dataset) else open(dataset)
        place, regions = where_of(bbox, region, country, year)
        rows = (time, _inputs.texts(where), skip_bad)
        if dry_run:
            return json.loads(_native.estimate_part(own._engine, place, regions, rows, 1))
        return _native.index_add(self.path, own._engine, memory, place, regions, rows)

    def delete(self, ids: str | int | Iterable[str | int]) -> int:
        """Delete the rows with these ids; how many."""
        several = [ids] if isinstance(ids, str | int) else ids
        return _native.index_delete(self.path, {str(i) for i in several})

    def compact(self) -> None:
        """Merge what was added, and take deleted rows out of the files."""
        _native.index_compact(self.path)

    def __repr__(self) -> str:
        i = self.info
        return f"<terravec.Index {self.path}: {len(self)} rows of {i['provenance']['product']}, by {i['metric']}>"
