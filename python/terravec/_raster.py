"""Answers as rasters, and the grid they lie on."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from ._extras import need
from ._html import shown


@dataclass(frozen=True)
class Grid:
    """A north-up grid of pixels.

    Attributes
    ----------
    crs : str
        The coordinate reference system, as `EPSG:n` where it has a code.
    transform : tuple of float
        (a, b, c, d, e, f) of x = a·col + b·row + c, y = d·col + e·row + f, from pixel corners to units of the CRS:
        `affine.Affine(*transform)`.
    width, height : int
        Columns and rows.
    """

    crs: str
    transform: tuple[float, float, float, float, float, float]
    width: int
    height: int
    projjson: str = field(default="", repr=False, compare=False)

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width)."""
        return self.height, self.width

    @property
    def resolution(self) -> tuple[float, float]:
        """Size of a pixel in x and y, in units of the CRS."""
        return abs(self.transform[0]), abs(self.transform[4])

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """Left, bottom, right, top edge in units of the CRS."""
        a, _, c, _, e, f = self.transform
        return c, f + e * self.height, c + a * self.width, f

    @property
    def x(self) -> np.ndarray:
        """x of the pixel centres, shape (width,), in units of the CRS."""
        return self.transform[2] + self.transform[0] * (np.arange(self.width) + 0.5)

    @property
    def y(self) -> np.ndarray:
        """y of the pixel centres, shape (height,), north first, in units of the CRS."""
        return self.transform[5] + self.transform[4] * (np.arange(self.height) + 0.5)

    def window(self, row: int, col: int, height: int, width: int) -> "Grid":
        """The grid of a window, which may reach beyond this one."""
        a, b, c, d, e, f = self.transform
        moved = (a, b, a * col + b * row + c, d, e, d * col + e * row + f)
        return Grid(self.crs, moved, width, height, self.projjson)

    def _spatial_ref(self) -> dict[str, Any]:
        """Attributes of CF's grid mapping variable, with GDAL's transform."""
        pyproj = need("pyproj", "xarray")
        # PROJJSON also says what no authority has a code for.
        crs = pyproj.CRS.from_user_input(
            self.crs if self.crs.startswith("EPSG:") else json.loads(self.projjson)
        )
        a, b, c, d, e, f = self.transform
        return crs.to_cf() | {
            "spatial_ref": crs.to_wkt(),
            "GeoTransform": f"{c!r} {a!r} {b!r} {f!r} {d!r} {e!r}",
        }


class Raster:
    """Vectors of a window, a polygon or a whole dataset, on one grid.

    Attributes
    ----------
    values : ndarray
        float32, shape (band, y, x), or (time, band, y, x) where several years are held; NaN in every band of a pixel that has
        no vector. Codes have their own type.
    status : ndarray
        uint8, shape (y, x) or (time, y, x): 0 valid, 1 water, 2 nodata (a tile is there, but no vector), 3 outside.
    grid : Grid
        Where the pixels lie.
    bands : list of str
        Names of the bands.
    years : list of int or None
        The years along `time`, one for a raster of a single period; None where tiles have no year.
    nodata : float or None
        The number that stands for "no vector".
    provenance : dict
        Where the vectors come from.
    """

    def __init__(
        self,
        values: np.ndarray,
        status: np.ndarray,
        grid: Grid,
        bands: list[str],
        years: list[int | None],
        nodata: float | None,
        provenance: Mapping[str, Any],
    ):
        self.values, self.status, self.grid, self.bands = values, status, grid, bands
        self.years, self.nodata, self.provenance = years, nodata, provenance

    @property
    def crs(self) -> str:
        """The coordinate reference system, as `EPSG:n` where it has a code."""
        return self.grid.crs

    @property
    def transform(self) -> tuple[float, float, float, float, float, float]:
        """(a, b, c, d, e, f): see `Grid`."""
        return self.grid.transform

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of `values`."""
        return self.values.shape

    @property
    def dims(self) -> tuple[str, ...]:
        """The names of the axes of `values`."""
        return ("time", "band", "y", "x")[-self.values.ndim :]

    @cached_property
    def valid(self) -> np.ndarray:
        """Which pixels have a vector, bool, shape (y, x) or (time, y, x)."""
        return self.status == 0

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.values, dtype=dtype, copy=copy)

    def to_xarray(self) -> Any:
        """As an `xarray.DataArray` that shares the memory, with coordinates `band`, `y`, `x` (pixel centres), `year` and
        `spatial_ref`, as rioxarray and odc.geo read them.

        Dimensions are (band, y, x), or (year, band, y, x) where several years are held; one year is a scalar coordinate.
        """
        xarray = need("xarray", "xarray")
        several = self.values.ndim == 4
        coords: dict[str, Any] = coordinates(self.grid, self.bands)
        if several:
            coords["year"] = ("year", [y if y is not None else -1 for y in self.years])
        elif self.years and self.years[0] is not None:
            coords["year"] = self.years[0]
        codes = self.provenance.get("values") == "codes"
        array = xarray.DataArray(
            self.values,
            dims=("year", "band", "y", "x") if several else ("band", "y", "x"),
            coords=coords,
            name="codes" if codes else "embedding",
            attrs=attributes(self.provenance),
        )
        if self.nodata is not None:
            # Missing codes are numbers of their own; missing vectors are NaN already.
            (array.attrs if codes else array.encoding)["_FillValue"] = array.dtype.type(self.nodata)
        array.encoding["grid_mapping"] = "spatial_ref"
        return array

    def to_torch(self) -> Any:
        """The values as a `torch.Tensor` that shares the memory, of the shape of `values`."""
        return need("torch", "torch").from_numpy(self.values)

    def _facts(self) -> dict[str, Any]:
        resolution = " × ".join(f"{r:g}" for r in self.grid.resolution)
        return {
            "product": self.provenance.get("product"),
            "shape": ", ".join(f"{n} {name}" for name, n in zip(self.dims, self.shape, strict=True))
            + f" ({self.values.dtype})",
            "bands": f"{self.bands[0]} … {self.bands[-1]}" if len(self.bands) > 1 else ", ".join(self.bands),
            "years": ", ".join(str(y) for y in self.years if y is not None),
            "crs": f"{self.crs}, pixels of {resolution}",
            "bounds": ", ".join(f"{b:.10g}" for b in self.grid.bounds),
            "valid": f"{np.count_nonzero(self.valid)} of {self.status.size} pixels",
        }

    def __repr__(self) -> str:
        return shown(self, self._facts())

    def _repr_html_(self) -> str:
        return shown(self, self._facts(), html=True)


def coordinates(grid: Grid, bands: list[str]) -> dict[str, Any]:
    """xarray coordinates of a grid."""
    geographic = '"GeographicCRS"' in grid.projjson[:100] or grid.crs == "EPSG:4326"
    units = "degrees" if geographic else "metre"
    names = (
        ("longitude", "latitude") if geographic else ("projection_x_coordinate", "projection_y_coordinate")
    )

    def axis(letter: str, centres: np.ndarray, name: str) -> tuple[str, np.ndarray, dict[str, str]]:
        return letter, centres, {"axis": letter.upper(), "standard_name": name, "units": units}

    return {
        "band": ("band", np.array(bands)),
        "y": axis("y", grid.y, names[1]),
        "x": axis("x", grid.x, names[0]),
        "spatial_ref": ((), 0, grid._spatial_ref()),
    }


def attributes(provenance: Mapping[str, Any]) -> dict[str, Any]:
    """xarray attributes of vectors."""
    text = {k: provenance.get(k) for k in ("product", "version", "model", "decode", "licence", "attribution")}
    return {k: v for k, v in text.items() if v} | {"provenance": json.dumps(provenance)}
