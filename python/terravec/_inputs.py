"""What users may give as places, polygons, years and boxes, made into what the engine takes."""

import json
import os
import warnings
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from . import _native
from ._errors import InputError, QueryError, TerravecWarning

POINTS = (
    "an (N, 2) array of longitude and latitude, a (lon, lat) pair, a GeoDataFrame or GeoSeries of points, a table with columns "
    "lon and lat or a geometry column, a GeoJSON dict, or a file"
)
REGIONS = "a GeoDataFrame, GeoSeries or Arrow table of polygons, a shapely polygon or several, a GeoJSON dict, or a file"


def years(year: Any) -> str | None:
    """Years in the command line's grammar."""
    if year is None or isinstance(year, str):
        return year
    if isinstance(year, int | np.integer) and not isinstance(year, bool):
        return str(int(year))
    try:
        listed = [int(y) for y in year if not isinstance(y, bool) and int(y) == y]
    except (TypeError, ValueError):
        listed = []
    if not listed or len(listed) != len(list(year)):
        raise QueryError(
            f"year={year!r} is no year", 'give 2024, "2018..2024", range(2018, 2025) or a list of years'
        )
    return ",".join(map(str, listed))


def bbox(box: Any) -> str | None:
    """A box in the command line's grammar."""
    if box is None or isinstance(box, str):
        return box
    try:
        numbers = [float(v) for v in box]
    except (TypeError, ValueError):
        raise QueryError(f"bbox={box!r} is no box", "give west, south, east, north in degrees") from None
    return ",".join(map(repr, numbers))


def names(bands: Any) -> list[str] | None:
    """Names or numbers of bands as texts."""
    if bands is None:
        return None
    if isinstance(bands, str):
        return [b.strip() for b in bands.split(",")]
    return [str(b) for b in ([bands] if isinstance(bands, int | np.integer) else bands)]


def texts(given: str | Iterable[str]) -> list[str]:
    """One text, or several."""
    return [given] if isinstance(given, str) else list(given)


def warned(places):
    """Say what was noticed while reading, then hand it on."""
    for text in places.warnings:
        warnings.warn(text, TerravecWarning, stacklevel=4)
    return places


def points(given: Any) -> _native.Points:
    """Places from whatever holds some."""
    if isinstance(given, _native.Points):
        return given
    if isinstance(given, str | os.PathLike):
        return warned(_native.read_points(os.fspath(given)))
    table = _table(given)
    if table is not None:
        return warned(_native.points_of_table(table))
    text = _geojson(given)
    if text is not None:
        return warned(_native.points_of_geojson(text))
    return warned(_native.points_of_arrays(*_lonlat(given)))


def regions(given: Any) -> _native.Regions:
    """Polygons from whatever holds some."""
    if isinstance(given, _native.Regions):
        return given
    if isinstance(given, str | os.PathLike):
        return warned(_native.read_regions(os.fspath(given)))
    table = _table(given)
    if table is not None:
        return warned(_native.regions_of_table(table))
    if hasattr(given, "wkb"):
        given = [given]
    text = _geojson(given)
    if text is not None:
        return warned(_native.regions_of_geojson(text))
    shapes = list(given) if isinstance(given, Iterable) else []
    if not shapes or not all(hasattr(s, "wkb") for s in shapes):
        raise InputError(f"{type(given).__name__} holds no polygons", f"give {REGIONS}")
    return warned(_native.regions_of_wkb([s.wkb for s in shapes]))


def _table(given: Any) -> Any:
    """`given` as something with an Arrow stream, if it is a table."""
    if hasattr(given, "to_arrow") and hasattr(given, "geometry"):  # GeoDataFrame, GeoSeries
        if not hasattr(given, "columns"):
            given = given.to_frame("geometry")
        return given.to_arrow(index=_named_index(given), geometry_encoding="WKB")
    if hasattr(given, "iloc") and hasattr(given, "columns"):  # pandas
        given = given.reset_index(drop=not _named_index(given))
    if hasattr(given, "__arrow_c_stream__") or hasattr(given, "__arrow_c_array__"):
        return given
    return None


def _named_index(frame: Any) -> bool:
    """An index with a name is a column of the caller's; one without only counts rows."""
    return any(name is not None for name in frame.index.names)


def _geojson(given: Any) -> str | None:
    if hasattr(given, "__geo_interface__"):
        given = given.__geo_interface__
    return json.dumps(given) if isinstance(given, Mapping) and "type" in given else None


def _lonlat(given: Any) -> tuple[np.ndarray, np.ndarray]:
    if isinstance(given, list | tuple) and given and all(hasattr(p, "x") and hasattr(p, "y") for p in given):
        given = [(p.x, p.y) for p in given]  # shapely points
    wrong = InputError(f"{type(given).__name__} holds no points", f"give {POINTS}")
    try:
        array = np.asarray(given)
    except ValueError:
        raise wrong from None
    if array.dtype.kind not in "iuf" or (array.size == 0 and array.ndim != 2):
        raise wrong
    if array.shape == (2,):
        array = array.reshape(1, 2)
    if array.ndim != 2 or array.shape[1] != 2:
        raise InputError(
            f"points of shape {array.shape} are not (N, 2)", "one row per point: longitude, latitude"
        )
    return tuple(np.ascontiguousarray(column, dtype=np.float64) for column in array.T)
