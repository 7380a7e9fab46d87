"""`sample` and `extract` on a dask cluster, with the answers of one process.

The work is cut into tasks that are plain data (what dataset, which part), so that a lost worker's tasks run again elsewhere. Any
other executor takes them too: `run_task(task)` does one.
"""

import functools
import json
import pickle
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import _inputs
from ._dataset import Dataset, grid_of
from ._errors import QueryError
from ._extras import need
from ._native import Points
from ._raster import Raster
from ._table import Table

#: Points per task.
POINTS = 50_000
#: As many files as a provenance names.
SOURCES = 1000


@dataclass(frozen=True)
class WindowTask:
    """A window of an extraction in one period."""

    #: The pickled dataset and request, alike in all tasks of an extraction.
    plan: bytes
    period: int
    row: int
    col: int
    height: int
    width: int


@dataclass(frozen=True)
class PointsTask:
    """Some points of a sample."""

    #: The pickled dataset, alike in all tasks of a sample.
    dataset: bytes
    points: Points
    options: tuple[tuple[str, Any], ...]


def run_task(task: WindowTask | PointsTask) -> Any:
    """Do one task: of a window, values (band, y, x) and statuses (y, x); of points, their rows as a `Table`."""
    if isinstance(task, WindowTask):
        plan = _plan(task.plan)
        values, status = plan.window([task.period], task.row, task.col, task.height, task.width)
        return values[0], status[0]
    return _dataset(task.dataset)._sample(task.points, **dict(task.options))


@functools.lru_cache(maxsize=4)
def _plan(text: bytes) -> Any:
    dataset, request = pickle.loads(text)
    return dataset._plan(**request)


@functools.lru_cache(maxsize=4)
def _dataset(text: bytes) -> Dataset:
    return pickle.loads(text)


def _run(client: Any, tasks: list[Any]) -> Iterator[tuple[int, Any]]:
    """Results with their tasks' numbers, as they come. Tasks of a worker that dies are run again."""
    distributed = need("distributed", "distributed")
    client = client if client is not None else distributed.default_client()
    numbers = {f: i for i, f in enumerate(client.map(run_task, tasks, pure=False, retries=2))}
    try:
        for future, result in distributed.as_completed(numbers, with_results=True):
            yield numbers[future], result
            # The cluster need not keep what is here.
            future.release()
    finally:
        client.cancel(list(numbers), asynchronous=False)


def extract(dataset: Dataset, *, client: Any = None, **request: Any) -> Raster:
    """`dataset.extract(**request)` on a cluster.

    Parameters
    ----------
    dataset : Dataset
        A raster or an encoder whose files every worker can read.
    client : distributed.Client, optional
        By default the current one.
    **request
        As in `Dataset.extract`.

    Returns
    -------
    Raster
        The same as from one process. It has to fit in this one's memory; for more, `xarray.open_dataset(…, chunks={})`.
    """
    plan = dataset._plan(**request)
    grid, years, bands, side = grid_of(plan), plan.years, plan.bands, plan.chunk
    text = pickle.dumps((dataset, request))
    tasks = [
        WindowTask(text, period, row, col, min(side, grid.height - row), min(side, grid.width - col))
        for period in range(len(years))
        for row in range(0, grid.height, side)
        for col in range(0, grid.width, side)
    ]
    values = np.empty((len(years), len(bands), grid.height, grid.width), plan.dtype)
    status = np.empty((len(years), grid.height, grid.width), np.uint8)
    for number, (part, its_status) in _run(client, tasks):
        t = tasks[number]
        rows, cols = slice(t.row, t.row + t.height), slice(t.col, t.col + t.width)
        values[t.period, :, rows, cols], status[t.period, rows, cols] = part, its_status
    if len(years) == 1:
        values, status = values[0], status[0]
    return Raster(values, status, grid, bands, years, plan.nodata, json.loads(plan.provenance))


def sample(dataset: Dataset, points: Any, *, client: Any = None, **options: Any) -> Table:
    """`dataset.sample(points, **options)` on a cluster.

    Points that lie near one another go to one worker, so that no block is read by many.

    Parameters
    ----------
    dataset : Dataset
        Its files have to be where every worker can read them.
    points, **options
        As in `Dataset.sample`.
    client : distributed.Client, optional
        By default the current one.

    Returns
    -------
    Table
        The same as from one process.
    """
    pyarrow = need("pyarrow", "distributed")
    given = _inputs.points(points)
    if len(given) == 0:
        return dataset.sample(given, **options)
    order = _by_place(*given.lonlat())
    text, asked = pickle.dumps(dataset), tuple(options.items())
    starts = range(0, len(order), POINTS)
    tasks = [PointsTask(text, given.take(order[i : i + POINTS]), asked) for i in starts]
    parts: list[Table] = [None] * len(tasks)
    for number, part in _run(client, tasks):
        parts[number] = part
    provenance = _merged([p.provenance for p in parts], len(given), given.origin)
    rows = pyarrow.concat_tables(p.to_pyarrow().replace_schema_metadata() for p in parts)
    # Every point has as many rows as any other.
    each, left = divmod(rows.num_rows, len(order))
    if left:
        raise QueryError("points have different numbers of rows", "ask for fewer at a time")
    back = np.empty(len(order), np.int64)
    back[order] = np.arange(len(order))
    rows = rows.take((back[:, None] * each + np.arange(each)).ravel())
    rows = rows.replace_schema_metadata({"terravec": json.dumps(provenance, ensure_ascii=False)})
    return Table.of(rows, parts[0].bands)


def _by_place(lon: np.ndarray, lat: np.ndarray) -> np.ndarray:
    """The order of points in cells of half a degree, row by row; those without a place last."""
    return np.lexsort((lon, np.floor(2 * lon), np.floor(2 * lat)))


def _merged(provenances: list[dict[str, Any]], points: int, origin: str) -> dict[str, Any]:
    """One provenance for all parts."""
    sources = sorted({s for p in provenances for s in p["sources"]})
    if len(sources) > SOURCES:
        sources = [*sources[:SOURCES], f"and {len(sources) - SOURCES} more"]
    request = provenances[0]["request"] | {"points": points, "from": origin}
    return provenances[0] | {"sources": sources, "request": request}
