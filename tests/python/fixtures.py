"""Small product trees of realistic layout, written with rasterio.

The AlphaEarth seam and the large tile hold a *field*: a smooth unit-length function of longitude, latitude and
year, so that any sampling or resampling has an answer that needs no raster at all.
"""

import json
from pathlib import Path

import numpy as np
import oracle
import rasterio
from oracle import Grid, Raster
from rasterio.transform import Affine

AEF_BANDS = [f"A{i:02d}" for i in range(64)]

# The vector field turns once in 300 m or more: 30 pixels of 10 m.
_rng = np.random.default_rng(20240229)
_DIRECTION = _rng.uniform(0, 2 * np.pi, 64)
_TURNS = _rng.uniform(0.3, 1.0, 64)
_PHASE = _rng.uniform(0, 2 * np.pi, 64)
METRES_PER_DEGREE = 111_320.0


def field(lon, lat, year):
    """Unit vectors (64, …) that vary smoothly with place and turn a little each year."""
    lon, lat = np.asarray(lon, float), np.asarray(lat, float)
    east = lon * METRES_PER_DEGREE * np.cos(np.radians(52))
    north = lat * METRES_PER_DEGREE
    along = np.cos(_DIRECTION) * east[..., None] + np.sin(_DIRECTION) * north[..., None]
    wave = np.cos(2 * np.pi * _TURNS * along / 300 + _PHASE + 0.4 * (year - 2023))
    return np.moveaxis(wave / np.linalg.norm(wave, axis=-1, keepdims=True), -1, 0)


def write_geotiff(path, values, grid, *, south_up=False, names=None, tags=None, nodata=None, **profile):
    """Write (band, y, x) values given north first; `south_up` stores the rows from south to north."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    transform = grid.transform
    if south_up:
        values = values[:, ::-1]
        transform = transform @ Affine.translation(0, grid.height) @ Affine.scale(1, -1)
    profile = {"tiled": True, "blockxsize": 64, "blockysize": 64, "compress": "zstd"} | profile
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        width=grid.width,
        height=grid.height,
        count=len(values),
        dtype=values.dtype,
        crs=grid.crs,
        transform=transform,
        nodata=nodata,
        **profile,
    ) as dst:
        dst.write(values)
        if names:
            dst.descriptions = names
        if tags:
            dst.update_tags(**tags)
    return path


def write_alphaearth(path, codes, grid, *, interleave="band", south_up=True, **profile):
    """As Google publishes it: int8, band-separate, ZSTD, rows south first, nodata −128, bands A00…A63."""
    return write_geotiff(
        path,
        codes,
        grid,
        south_up=south_up,
        names=AEF_BANDS,
        nodata=-128,
        interleave=interleave,
        predictor=2,
        **profile,
    )


class AlphaEarthSeam:
    """Two tiles in zone 31N and two in 32N that meet at 6° east, for 2023 and 2024.

    Each tile is a rectangle of its own zone and reaches over the seam; there its pixels are nodata, but for those
    the seam runs through. Together the tiles cover the neighbourhood of 6° E, 52° N without a gap.
    """

    LON, LAT = 6.0, 52.0
    YEARS = (2023, 2024)
    WIDTH, HEIGHT = 128, 96

    def __init__(self, root):
        self.root = Path(root)
        self.rasters = {}
        for zone, west_of_seam in ((31, 90), (32, 38)):
            crs = rasterio.CRS.from_epsg(32600 + zone)
            x, y = oracle.from_lonlat(crs, self.LON, self.LAT)
            x0 = np.floor(x / 10) * 10 - west_of_seam * 10
            y0 = np.floor(y / 10) * 10 + self.HEIGHT * 10
            grid = Grid(crs, Affine(10, 0, x0, 0, -10, y0), self.WIDTH, 2 * self.HEIGHT)
            keep = self._touches_band(grid, zone)
            for year in self.YEARS:
                values = field(*grid.lonlat(), year)
                values[:, ~keep] = np.nan
                codes = oracle.encode_alphaearth(values)
                self.rasters[zone, year] = Raster(codes, grid)
                for part in range(2):
                    rows = slice(part * self.HEIGHT, (part + 1) * self.HEIGHT)
                    shift = grid.transform @ Affine.translation(0, rows.start)
                    part_grid = Grid(crs, shift, self.WIDTH, self.HEIGHT)
                    yoff = self.HEIGHT * (1 - part)
                    name = f"xseam{zone}n{year}-{yoff:010d}-{0:010d}.tiff"
                    write_alphaearth(self.root / str(year) / f"{zone}N" / name, codes[:, rows], part_grid)

    def _touches_band(self, grid, zone):
        """Pixels any corner of which lies in the zone's six degrees of longitude."""
        west = -180 + 6 * (zone - 1)
        keep = np.zeros(grid.shape, bool)
        for dx in (-0.5, 0.5):
            for dy in (-0.5, 0.5):
                moved = Grid(grid.crs, grid.transform @ Affine.translation(dx, dy), grid.width, grid.height)
                lon, _ = moved.lonlat()
                keep |= (lon >= west) & (lon < west + 6)
        return keep

    def decoded(self, zone, year):
        raster = self.rasters[zone, year]
        return Raster(oracle.decode_alphaearth(raster.values), raster.grid)

    # A box that crosses the seam and the line between the northern and the southern tiles, well inside the data.
    bbox = (5.9925, 51.9965, 6.0045, 52.0035)


class BigAlphaEarth:
    """One tile of 700 × 650 pixels, large enough for overviews, with a lake-like hole of nodata."""

    YEAR = 2024

    def __init__(self, root):
        self.root = Path(root)
        crs = rasterio.CRS.from_epsg(32631)
        self.grid = Grid(crs, Affine(10, 0, 500_000, 0, -10, 5_770_000), 700, 650)
        values = field(*self.grid.lonlat(), self.YEAR)
        cols, rows = np.meshgrid(np.arange(700), np.arange(650))
        self.hole = (cols - 351) ** 2 + (rows - 303) ** 2 < 101**2
        values[:, self.hole] = np.nan
        self.codes = oracle.encode_alphaearth(values)
        self.path = self.root / str(self.YEAR) / "31N" / "xbigtile-0000000000-0000000000.tiff"
        write_alphaearth(self.path, self.codes, self.grid, blockxsize=256, blockysize=256, num_threads=2)
        self.bbox = (3.002, 52.02, 3.095, 52.07)

    def decoded(self):
        return Raster(oracle.decode_alphaearth(self.codes), self.grid)


class Tessera:
    """GeoTIFF exports: float32, NaN, named after the centre of a 0.1° cell; data in the cell's middle only."""

    YEAR = 2024
    CELLS = ((0.15, 52.25), (0.25, 52.25))
    NAMES = tuple(f"Tessera_Band_{i}" for i in range(128))

    def __init__(self, root):
        self.root = Path(root)
        rng = np.random.default_rng(7)
        self.rasters = {}
        for lon, lat in self.CELLS:
            crs = rasterio.CRS.from_epsg(32631)
            x, y = oracle.from_lonlat(crs, lon, lat)
            grid = Grid(crs, Affine(10, 0, round(x, -1) - 240, 0, -10, round(y, -1) + 200), 48, 40)
            values = rng.normal(0, 2, (128, 40, 48)).astype(np.float32)
            values[:, :6, :9] = np.nan
            stem = f"grid_{lon:.2f}_{lat:.2f}"
            write_geotiff(
                self.root / str(self.YEAR) / stem / f"{stem}_{self.YEAR}.tiff",
                values,
                grid,
                names=self.NAMES,
                nodata=np.nan,
                tags={"TESSERA_YEAR": str(self.YEAR), "TESSERA_DATASET_VERSION": "v1"},
                compress="lzw",
            )
            self.rasters[lon, lat] = Raster(values, grid)


class Presto:
    """Togo: 128 bands of uint16 whose scale is unpublished, EPSG:25231, two shards side by side."""

    YEAR = 2019
    DIMENSION = 128

    def __init__(self, root):
        self.root = Path(root)
        rng = np.random.default_rng(11)
        crs = rasterio.CRS.from_epsg(25231)
        grid = Grid(crs, Affine(10, 0, 290_130, 0, -10, 690_190), 96, 40)
        codes = rng.integers(1, 60_000, (128, 40, 96)).astype(np.uint16)
        codes[:, 10:14, 20:26] = 0
        for shard in range(2):
            part = slice(48 * shard, 48 * (shard + 1))
            moved = Grid(crs, grid.transform @ Affine.translation(part.start, 0), 48, 40)
            write_geotiff(
                self.root / f"Togo_Presto_embeddings_v2025_06_19{0:010d}-{48 * shard:010d}.tif",
                codes[:, :, part],
                moved,
                interleave="pixel",
                compress="lzw",
                blockxsize=32,
                blockysize=32,
            )
        self.raster = Raster(codes, grid)


class Esd:
    """Embedded Seamless Data: 12 monthly codes and a QA band, uint16, 30 m, MGRS tile names."""

    YEAR = 2024
    # Codes with known answers, see test_sample.py.
    GOLDEN = (1, 7, 8, 512, 12345, 30000, 63999)

    def __init__(self, root):
        self.root = Path(root)
        rng = np.random.default_rng(13)
        crs = rasterio.CRS.from_epsg(32602)
        self.grid = Grid(crs, Affine(30, 0, 399_945, 0, -30, 6_800_055), 40, 32)
        codes = rng.integers(0, 64_000, (13, 32, 40)).astype(np.uint16)
        codes[12] = rng.integers(0, 30, (32, 40))
        codes[:12, 0, : len(self.GOLDEN)] = self.GOLDEN
        codes[:12, 4:8, 4:8] = 0  # missing whatever the QA band says
        codes[:11, 10, 10] = 0  # code 0 alone is legal
        codes[11, 10, 10] = 5
        self.path = write_geotiff(
            self.root / str(self.YEAR) / f"SDC30_EBD_V001_02VMN_{self.YEAR}.tif",
            codes,
            self.grid,
            compress="deflate",
        )
        self.raster = Raster(codes, self.grid)


class CopernicusEmbed:
    """768 float32 bands on 0.25° cells centred on multiples of 0.25°; the zero vector is the sea."""

    YEAR = 2021

    def __init__(self, root):
        self.root = Path(root)
        rng = np.random.default_rng(17)
        # Cut from the global grid (origin −180.125, 90.125): 9 × 18 degrees from 5° W, 50° N.
        self.grid = Grid(rasterio.CRS.from_epsg(4326), Affine(0.25, 0, -5.125, 0, -0.25, 50.125), 72, 36)
        values = rng.normal(0, 1, (768, 36, 72)).astype(np.float32)
        values[:, 20:30, 5:15] = 0
        self.path = write_geotiff(
            self.root / "embed_map_310k.tif",
            values,
            self.grid,
            compress="deflate",
            interleave="pixel",
            blockxsize=32,
            blockysize=32,
        )
        self.raster = Raster(values, self.grid)


class WholeEarth:
    """A full-size 721 × 1440 cell-centred grid with 8 bands, for a product described by the user."""

    def __init__(self, root):
        self.root = Path(root)
        self.grid = Grid(rasterio.CRS.from_epsg(4326), Affine(0.25, 0, -180.125, 0, -0.25, 90.125), 1440, 721)
        x, y = self.grid.centers()
        values = np.stack([x, y, x + y, x - y, x * y, np.cos(x), np.sin(y), 0 * x + 1]).astype(np.float32)
        values[:, 300:310, 700:730] = 0
        self.path = write_geotiff(
            self.root / "earth8.tif",
            values,
            self.grid,
            compress="deflate",
            interleave="pixel",
            blockxsize=256,
            blockysize=256,
        )
        self.raster = Raster(values, self.grid)


class MajorTomAlphaEarth:
    """One Major TOM cell of decoded AlphaEarth: float64, no nodata tag, UTM with an origin off the 10 m lattice."""

    YEAR = 2024

    def __init__(self, root):
        self.root = Path(root)
        crs = rasterio.CRS.from_epsg(32619)
        x, y = oracle.from_lonlat(crs, -71.295547, 42.305389)
        self.grid = Grid(crs, Affine(10, 0, x, 0, -10, y + 10 * 48), 56, 48)
        codes = oracle.encode_alphaearth(field(*self.grid.lonlat(), self.YEAR))
        self.values = oracle.decode_alphaearth(codes)
        self.path = write_geotiff(
            self.root / str(self.YEAR) / "U" / "1" / "L" / "7" / "471U_587L.tif",
            self.values,
            self.grid,
            compress="deflate",
            interleave="pixel",
        )
        self.raster = Raster(self.values, self.grid)


class OlmoEarth:
    """A float32 GeoTIFF as rslearn exports it: 128 bands (NANO), one vector per 40 m."""

    YEAR = 2024

    def __init__(self, root):
        self.root = Path(root)
        rng = np.random.default_rng(19)
        self.grid = Grid(rasterio.CRS.from_epsg(32633), Affine(40, 0, 400_000, 0, -40, 5_800_000), 30, 24)
        values = rng.normal(0, 1, (128, 24, 30)).astype(np.float32)
        self.path = write_geotiff(self.root / "geotiff.tif", values, self.grid)
        self.raster = Raster(values, self.grid)


def write_points_csv(path, lon, lat, **columns):
    lines = [",".join([*columns, "lon", "lat"])]
    for i, (x, y) in enumerate(zip(lon, lat, strict=True)):
        lines.append(",".join([*(str(c[i]) for c in columns.values()), repr(float(x)), repr(float(y))]))
    Path(path).write_text("\n".join(lines) + "\n")
    return path


def write_geojson(path, geometries, properties=None):
    features = [
        {"type": "Feature", "properties": (properties or [{}] * len(geometries))[i], "geometry": g}
        for i, g in enumerate(geometries)
    ]
    Path(path).write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return path


def with_geo(table, kind, covering=False):
    """The table with a `geo` footer, and nothing else in it."""
    column = {"encoding": "WKB", "geometry_types": [kind]}
    if covering:
        column["covering"] = {"bbox": {c: ["bbox", c] for c in ("xmin", "ymin", "xmax", "ymax")}}
    geo = {"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": column}}
    return table.replace_schema_metadata({"geo": json.dumps(geo)})
