"""An opened dataset and its verbs."""

import json
import os
import warnings
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from typing import Any, Literal

import numpy as np

from . import _inputs, _native
from ._catalog import PathLike, Product, paths
from ._errors import QueryError, TerravecError, TerravecWarning
from ._extras import need
from ._html import shown
from ._raster import Grid, Raster
from ._table import Table

#: Bytes of decoded blocks kept by default: the size of GDAL's on a machine of 20 GB.
BLOCK_CACHE = 1 << 30

Years = int | str | Iterable[int] | None
Box = Sequence[float] | str | None
Progress = bool | Callable[[int, int], object]
Resampling = Literal["nearest", "bilinear", "average"]
Reduction = Literal["mean", "median", "medoid"]


def open(
    spec: PathLike,
    *,
    catalog: PathLike | Iterable[PathLike] | None = None,
    cache_dir: PathLike | None = None,
    block_cache: int = BLOCK_CACHE,
    depth: int | None = None,
    at: str | None = None,
) -> "Dataset":
    """Open a dataset.

    Parameters
    ----------
    spec : str or path
        `ID=ROOT` (a product, perhaps `ID@VARIANT`, and where a copy of it lies: a folder, a file or a URL; for a location
        encoder, its weights), or a file, folder or URL that is recognised by what it holds.
    catalog : path or paths, optional
        Descriptor files (or folders of them) to know besides the built-in products.
    cache_dir : path, optional
        Where the lists of large folders are kept.
    block_cache : int
        Bytes of decoded blocks to keep in memory, of those that are read a second time: for loops over windows that lie in the
        same blocks. Each process has its own.

    Raises
    ------
    CatalogError
        If the product is unknown.
    SourceError
        If there is nothing, or something else.
    """
    cache = None if cache_dir is None else os.fspath(cache_dir)
    return Dataset(os.fspath(spec), paths(catalog), cache, block_cache, depth, at)


class Dataset:
    """A product opened somewhere. Made by `terravec.open`.

    Several threads may use one at a time. It can be pickled: the other process opens it again, as does a child of `fork`.
    """

    def __init__(
        self,
        spec: str,
        catalog: list[str],
        cache_dir: str | None,
        block_cache: int = BLOCK_CACHE,
        depth: int | None = None,
        at: str | None = None,
    ):
        self.spec, self._catalog, self._cache_dir, self._blocks = spec, catalog, cache_dir, block_cache
        self._depth, self._at = depth, at
        self._opened: _native.Dataset | None = None
        self._process = 0
        self._open()

    def _open(self) -> _native.Dataset:
        self._opened = _native.Dataset(
            self.spec, self._catalog, self._cache_dir, self._blocks, self._depth, self._at
        )
        self._process = os.getpid()
        return self._opened

    @property
    def _engine(self) -> _native.Dataset:
        if self._opened is None:
            raise TerravecError(f"{self.spec} was closed", "open it again")
        # Locks and connections of a parent are not to be used by its child.
        return self._opened if self._process == os.getpid() else self._open()

    def close(self) -> None:
        """Let go of its files and connections. Answers stay; further questions fail."""
        self._opened = None

    def __enter__(self) -> "Dataset":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __reduce__(self):
        if self._opened is None:
            raise TerravecError(f"{self.spec} was closed", "open it again")
        whole = [os.path.abspath(p) for p in self._catalog]
        cache = None if self._cache_dir is None else os.path.abspath(self._cache_dir)
        return type(self), (_whole(self.spec), whole, cache, self._blocks, self._depth, self._at)

    # --- what it is -----------------------------------------------------------------------------------------

    @cached_property
    def product(self) -> Product:
        """The product's descriptor."""
        return Product(json.loads(self._engine.product))

    @cached_property
    def info(self) -> dict[str, Any]:
        """What it really holds: as `terravec info --json`."""
        return json.loads(self._engine.info())

    def coverage(
        self, *, bbox: Box = None, region: Any = None, country: str | None = None, year: Years = None
    ) -> list[dict[str, Any]]:
        """Its files.

        Parameters
        ----------
        bbox : (west, south, east, north) in degrees, optional
            Only files that touch this box.
        region, country : optional
            Only files whose box touches one of these polygons, or this country: see `extract`.
        year : int, list, range or str, optional
            Only these years.

        Returns
        -------
        list of dict
            Of a raster: `path`, `year`, `crs`, `width`, `height` and `bbox` (west, south, east, north in degrees) of each
            tile. Of a table: `path`, `interval`, `rows` and `bbox` of each file.
        """
        box, regions = _places(bbox, region, country)
        return json.loads(self._engine.coverage(box, regions, _inputs.years(year)))

    # --- the verbs ------------------------------------------------------------------------------------------

    def sample(
        self,
        points: Any,
        *,
        year: Years = None,
        month: int | None = None,
        codes: bool = False,
        nearest: int | None = None,
        within: float | None = None,
        time: str | None = None,
        where: str | Sequence[str] = (),
        skip_bad: bool = False,
    ) -> Table:
        """Vectors at points: of the pixel or patch that contains each.

        Parameters
        ----------
        points
            An (N, 2) array of longitude and latitude in degrees, one (lon, lat) pair, a GeoDataFrame or GeoSeries of points
            (in any CRS), a DataFrame or Arrow table with columns `lon` and `lat` or a geometry column, a GeoJSON dict, or a
            file. Columns of a table are kept beside the vectors.
        year : int, list, range or str (`"2018..2024"`), optional
            Years; by default all.
        month : int, optional
            1 to 12, for location encoders of the seasons.
        codes : bool
            The stored codes instead of decoded vectors.
        nearest : int, optional
            Of tables: the patches with this many nearest centres, instead of the one that contains a point.
        within : float, optional
            With `nearest`: none farther than this, in metres.
        time, where, skip_bad
            Of tables: which rows, see `extract`.

        Returns
        -------
        Table
            One row per point and year: points in their order, years inside. Places without a vector say why in `status`.
        """
        rows = (time, _inputs.texts(where), skip_bad)
        given = _inputs.points(points)
        return told(self._engine.sample(given, _inputs.years(year), month, codes, nearest, within, rows))

    def estimate(
        self,
        *,
        points: Any = None,
        bbox: Box = None,
        region: Any = None,
        country: str | None = None,
        year: Years = None,
        nearest: int | None = None,
        bandwidth: str | None = None,
        **target: Any,
    ) -> dict[str, Any]:
        """What `sample` (with points) or `extract` would cost, before anything but headers is read. Other verbs say it with `dry_run`.

        Parameters
        ----------
        points, nearest, bbox, region, country, year
            As in `sample` and `extract`.
        bandwidth : str, optional
            The line to the host, `"100Mbit/s"`, for the time it takes.
        **target
            Of rasters: `crs`, `resolution`, `resampling`, `bands`, `codes`, as in `extract`.

        Returns
        -------
        dict
            `files`, `requests`, `bytes`, `answer_bytes`, `memory`, `basis`, `seconds`, `usd`.
        """
        years = _inputs.years(year)
        if points is not None:
            told = self._engine.estimate_sample(_inputs.points(points), years, nearest, bandwidth)
        elif self._engine.form == "table":
            box, regions = _places(bbox, region, country)
            told = self._engine.estimate_rows(box, regions, years, bandwidth)
        else:
            told = self._plan(bbox=bbox, region=region, country=country, year=year, **target).estimate(
                bandwidth
            )
        return json.loads(told)

    def _sample(self, points: Any, **options: Any) -> Table:
        """`sample` of a part of all points, of which it is not worth a warning that it has no vector."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", TerravecWarning)
            return self.sample(points, **options)

    def extract(
        self,
        *,
        bbox: Box = None,
        region: Any = None,
        country: str | None = None,
        like: Grid | Raster | None = None,
        year: Years = None,
        month: int | None = None,
        crs: str | int | None = None,
        resolution: float | None = None,
        resampling: Resampling = "nearest",
        bands: Sequence[str | int] | str | None = None,
        codes: bool = False,
        mask: bool = True,
        all_touched: bool = False,
        time: str | None = None,
        where: str | Sequence[str] = (),
        skip_bad: bool = False,
        keep_duplicates: bool = False,
        progress: Progress = False,
    ) -> Raster | Table:
        """Vectors of a window or of polygons: a raster on its own grid or any other, or the rows of a table.

        Parameters
        ----------
        bbox : (west, south, east, north) in degrees, optional
            A box. With neither a box, a region nor a grid: everything.
        region : optional
            Polygons: a GeoDataFrame or GeoSeries, an Arrow table, shapely polygons, a GeoJSON dict, or a file.
        country : str, optional
            A country instead of polygons: an ISO 3166 code (`"KE"`, `"KEN"`) or an English name. Borders are Natural Earth's at
            1:50m, generalised by a kilometre or two, and its view of who is in control.
        like : Grid or Raster, optional
            Exactly this grid.
        year : int, list, range or str, optional
            Years; by default all.
        month : int, optional
            1 to 12, for location encoders of the seasons.
        crs : str or int, optional
            Target CRS, such as `"EPSG:3035"`; by default the tiles' own.
        resolution : float, optional
            Pixel size in units of the target CRS; by default the product's own.
        resampling : {"nearest", "bilinear", "average"}
            How decoded vectors move to another grid. Means are scaled back to length 1 where the product has unit vectors.
        bands : list of str or int, optional
            Bands by name or by number from 0; by default all.
        codes : bool
            The stored codes instead of decoded vectors.
        mask : bool
            With a region: whether pixels outside the polygons lose their vectors.
        all_touched : bool
            With a region: count every pixel that a polygon touches, not only those whose centre is inside.
        time : str, optional
            Of tables: rows that hold at some time in this span: `"2022-06-01..2022-07-01"` (the end excluded), a day, a month
            or a year.
        where : str or list of str, optional
            Of tables: rows that meet all of these, such as `"cloud_percent<10"`.
        skip_bad : bool
            Of tables: leave out rows whose vector is of another length, not finite or unreadable, instead of failing.
        keep_duplicates : bool
            Of tables: keep rows that stand in two files of a product whose files overlap.
        progress : bool or callable
            Show a progress bar (with tqdm), or call this with (done, all) now and then.

        Returns
        -------
        Raster or Table
            Of rasters and encoders a `Raster`: `values` of shape (band, y, x), or (time, band, y, x) for several years. Of
            tables a `Table` of the rows whose footprint touches the area.

        Raises
        ------
        OutsideError
            If nothing of the dataset lies there.
        """
        rows = (time, _inputs.texts(where), skip_bad)
        if self._engine.form == "table":
            self._no_raster(like, month, crs, resolution, resampling, bands)
            box, regions = _places(bbox, region, country)
            with progress_bar(progress, "reading rows") as tell:
                return told(
                    self._engine.rows(box, regions, _inputs.years(year), codes, keep_duplicates, rows, tell)
                )
        self._no_table(rows, keep_duplicates)
        plan = self._plan(
            bbox,
            region,
            country,
            like,
            year,
            month,
            crs,
            resolution,
            resampling,
            bands,
            codes,
            mask,
            all_touched,
        )
        with progress_bar(progress, "extracting") as tell:
            values, status = plan.read(tell)
        if len(plan.years) == 1:
            values, status = values[0], status[0]
        return Raster(
            values, status, grid_of(plan), plan.bands, plan.years, plan.nodata, json.loads(plan.provenance)
        )

    def reduce(
        self,
        regions: Any,
        how: Reduction = "mean",
        *,
        year: Years = None,
        month: int | None = None,
        resolution: float | None = None,
        all_touched: bool = False,
        dry_run: bool = False,
    ) -> Table | dict[str, Any]:
        """One vector per polygon, of the decoded vectors inside.

        Parameters
        ----------
        regions
            Polygons, as `region` of `extract`; their columns are kept.
        how : {"mean", "median", "medoid"}
            Mean and median are scaled to length 1 where the product has unit vectors; the medoid is the pixel with the least
            sum of squared distances to the others.
        year : int, list, range or str, optional
            Years; by default all.
        month : int, optional
            1 to 12, for location encoders of the seasons.
        resolution : float, optional
            Of location encoders: degrees between the places that are computed.
        all_touched : bool
            Count every pixel that a polygon touches, not only those whose centre is inside.
        dry_run : bool
            Only tell what it would cost, as `estimate` does.

        Returns
        -------
        Table
            One row per polygon and year, with the number of `pixels` used.
        """
        polygons = _inputs.regions(regions)
        if dry_run:
            place = (None, _inputs.years(year), None, resolution)
            return json.loads(_native.estimate_regions(self._engine, polygons, place, all_touched))
        return told(self._engine.reduce(polygons, how, _inputs.years(year), month, resolution, all_touched))

    def write(
        self,
        path: PathLike,
        *,
        bbox: Box = None,
        region: Any = None,
        country: str | None = None,
        like: Grid | Raster | None = None,
        year: Years = None,
        month: int | None = None,
        crs: str | int | None = None,
        resolution: float | None = None,
        resampling: Resampling = "nearest",
        bands: Sequence[str | int] | str | None = None,
        codes: bool = False,
        mask: bool = True,
        all_touched: bool = False,
        time: str | None = None,
        where: str | Sequence[str] = (),
        skip_bad: bool = False,
        keep_duplicates: bool = False,
        force: bool = False,
        progress: Progress = False,
    ) -> list[str]:
        """Extract into a file, piece by piece: memory does not grow with the area.

        Parameters are those of `extract`, and

        Parameters
        ----------
        path : path
            `.tif` (Cloud-Optimised GeoTIFF), `.npy` (with a JSON sidecar), `.png`, or a table (`.parquet`, `.arrow`, `.csv`,
            `.geojson`) of one row per pixel that has a vector, or of the rows of a table.
        force : bool
            Replace outputs that exist.

        Returns
        -------
        list of str
            The files, whole or not at all: one per year for GeoTIFF and PNG.
        """
        path, rows = os.fspath(path), (time, _inputs.texts(where), skip_bad)
        if self._engine.form == "table":
            self._no_raster(like, month, crs, resolution, resampling, bands)
            box, regions = _places(bbox, region, country)
            with progress_bar(progress, "writing rows") as tell:
                notes = self._engine.write_rows(
                    path, force, box, regions, _inputs.years(year), codes, keep_duplicates, rows, tell
                )
            _warn(notes)
            return [path]
        self._no_table(rows, keep_duplicates)
        plan = self._plan(
            bbox,
            region,
            country,
            like,
            year,
            month,
            crs,
            resolution,
            resampling,
            bands,
            codes,
            mask,
            all_touched,
        )
        with progress_bar(progress, "writing") as tell:
            return json.loads(plan.write(path, force, tell))["files"]

    def convert(self, path: PathLike, **options: Any) -> list[str]:
        """Write all of the dataset in another format: `write` without an area, and with its other options."""
        for area in ("bbox", "region", "country", "like"):
            if options.get(area) is not None:
                raise QueryError(f"convert takes all of a dataset, and so no {area}=", "use write()")
        return self.write(path, **options)

    def _plan(
        self, bbox=None, region=None, country=None, like=None, year=None, month=None, crs=None, resolution=None,
        resampling="nearest", bands=None, codes=False, mask=True, all_touched=False,
    ) -> _native.Plan:  # fmt: skip
        if like is not None and (crs is not None or resolution is not None):
            raise QueryError("like= has its own CRS and resolution", "leave crs= and resolution= out")
        box, regions = _places(bbox, region, country, like)
        grid = like.grid if isinstance(like, Raster) else like
        return self._engine.plan(
            box,
            regions,
            None if grid is None else (_crs_text(grid), grid.transform, grid.width, grid.height),
            _inputs.years(year),
            month,
            f"EPSG:{crs}" if isinstance(crs, int | np.integer) else crs,
            resolution,
            resampling,
            _inputs.names(bands),
            codes,
            mask,
            all_touched,
        )

    def _no_raster(self, like, month, crs, resolution, resampling, bands) -> None:
        given = {"like": like, "month": month, "crs": crs, "resolution": resolution, "bands": bands}
        for name in [n for n, v in given.items() if v is not None] + ["resampling"] * (
            resampling != "nearest"
        ):
            raise QueryError(f"{name}= is for rasters, and {self.product.id} is a table", "leave it out")

    def _no_table(self, rows, keep_duplicates) -> None:
        given = dict(zip(("time", "where", "skip_bad"), rows, strict=True), keep_duplicates=keep_duplicates)
        for name in (n for n, v in given.items() if v):
            raise QueryError(f"{name}= is for tables, and {self.product.id} is none", "leave it out")

    # --- how it shows itself --------------------------------------------------------------------------------

    def _facts(self) -> dict[str, Any]:
        i = self.info
        years = [y for y in i.get("years", {}) if y]
        unit = ", unit length" if i.get("unit_length") else ""
        crs = [i["crs"]] if isinstance(i.get("crs"), str) else i.get("crs", [])
        everywhere = "the whole Earth" if self._engine.form == "encoder" else None
        return {
            "product": f"{i['product']} ({i['name']})",
            "kind": i["kind"],
            "root": i.get("root"),
            "tiles": i.get("tiles"),
            "files": i.get("files") if self._engine.form == "table" else None,
            "rows": i.get("rows"),
            "years": f"{years[0]} … {years[-1]}" if len(years) > 1 else "".join(years),
            "vectors": f"{i['dimension']} numbers{unit}"
            if i.get("dimension")
            else f"none: {i.get('decode')}",
            "crs": ", ".join(crs[:6]) + (", …" if len(crs) > 6 else ""),
            "coverage": ", ".join(f"{v:.5f}" for v in i["bbox"]) if i.get("bbox") else everywhere,
            "licence": i.get("licence"),
            "attribution": i.get("attribution"),
        }

    def __repr__(self) -> str:
        if self._opened is None:
            return f"<terravec.Dataset {self.spec} (closed)>"
        return shown(self, self._facts())

    def _repr_html_(self) -> str:
        return shown(self, self._facts(), html=True)


def told(table: _native.Table) -> Table:
    """A table, after its notes were said."""
    _warn(table.notes)
    return Table(table)


def _warn(notes: Iterable[str]) -> None:
    for note in notes:
        warnings.warn(note, TerravecWarning, stacklevel=4)


def _places(
    bbox: Box, region: Any, country: str | None = None, like: Any = None
) -> tuple[str | None, _native.Regions | None]:
    if sum(a is not None for a in (bbox, region, country, like)) > 1:
        raise QueryError("bbox=, region=, country= and like= exclude each other", "give one of them")
    if country is not None:
        return None, _native.country(country)
    return _inputs.bbox(bbox), None if region is None else _inputs.regions(region)


def grid_of(plan: _native.Plan) -> Grid:
    """The grid of a plan."""
    crs, projjson, transform, width, height = plan.grid
    return Grid(crs, tuple(transform), width, height, projjson)


def _crs_text(grid: Grid) -> str:
    return grid.crs if grid.crs.startswith("EPSG:") or not grid.projjson else grid.projjson


def _whole(spec: str) -> str:
    """A spec that means the same in another folder."""
    id, equals, root = spec.rpartition("=")
    if os.path.exists(spec):
        id, equals, root = "", "", spec
    return id + equals + (os.path.abspath(root) if os.path.exists(root) else root)


class progress_bar:
    """A progress bar if one is wanted and tqdm is there, or the caller's own function."""

    def __init__(self, progress: Progress, what: str):
        self._progress, self._what, self._bar = progress, what, None

    def __enter__(self) -> Callable[[int, int], object] | None:
        if self._progress is False or self._progress is None:
            return None
        if callable(self._progress):
            return self._progress
        self._bar = need("tqdm.auto", "progress").tqdm(desc=self._what, unit="chunk")
        return self._tell

    def _tell(self, done: int, all: int) -> None:
        self._bar.total = all
        self._bar.update(done - self._bar.n)

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()
