"""Where search, change, clusters and bases look."""

from typing import Any

import numpy as np

from . import _inputs, _native
from ._dataset import Box, Years, _places

Where = tuple[str | None, str | None, str | None, float | None]


def where_of(
    bbox: Box = None,
    region: Any = None,
    country: str | None = None,
    year: Years = None,
    crs: str | int | None = None,
    resolution: float | None = None,
) -> tuple[Where, _native.Regions | None]:
    """(box, years, CRS, resolution), and polygons."""
    box, regions = _places(bbox, region, country)
    text = f"EPSG:{crs}" if isinstance(crs, int | np.integer) else crs
    return (box, _inputs.years(year), text, resolution), regions
