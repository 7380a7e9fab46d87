"""Zarr stores with the layouts that products are published in, written by zarr-python, with what they hold as arrays."""

import numpy as np
import oracle
import rasterio
import zarr
from oracle import Grid
from zarr.codecs import BloscCodec, BloscShuffle

BANDS = 128


def blosc(item=1, cname="zstd"):
    shuffle = BloscShuffle.bitshuffle if item == 1 else BloscShuffle.shuffle
    return BloscCodec(cname=cname, clevel=3, shuffle=shuffle, typesize=item)


def geoemb(method="per_pixel_scale", **more):
    scale = {"type": "array", "array_name": "scales", "nodata": "+inf"}
    quantization = {"method": method, "original_dtype": "float32", "quantized_dtype": "int8"}
    if method == "per_pixel_scale":
        quantization["scale"] = scale
    return {
        "zarr_conventions": [{"uuid": "61c12cc5-0e28-4056-999a-480cf3fb7e4c", "name": "geoemb:"}],
        "geoemb:type": "pixel",
        "geoemb:dimensions": BANDS,
        "geoemb:data_type": "int8",
        "geoemb:spatial_layout": "utm_zones",
        "geoemb:quantization": quantization,
    } | more


class TesseraZarr:
    """A corner of the TESSERA archive: zones 31 and 32 on both sides of 6° E, with what scales may say."""

    def __init__(
        self, root, name="v1", lat=52.05, years=(2023, 2024), size=(160, 224), chunk=32, shard=64, seed=1
    ):
        rng = np.random.default_rng(seed)
        self.path = root / name
        self.years = list(years)
        self.zones = {}
        attributes = geoemb(
            **{
                "geoemb:model": "https://github.com/ucam-eo/tessera",
                "geoemb:source_data": ["https://registry.opendata.aws/sentinel-2"],
                "geoemb:gsd": 10,
            }
        )
        store = zarr.create_group(self.path, attributes=attributes)
        height, width = size
        for zone, lon in [(31, 5.99), (32, 6.01)]:
            # Always the northern zone: south of the equator northings are negative.
            crs = f"EPSG:326{zone}"
            x, y = oracle.from_lonlat(crs, lon, lat)
            x0, y0 = 10 * round(x / 10) - 10 * (width // 2), 10 * round(y / 10) + 10 * (height // 2)
            grid = Grid(crs, rasterio.Affine(10, 0, x0, 0, -10, y0), width, height)
            codes = rng.integers(-127, 128, (len(years), BANDS, height, width), np.int8)
            scales = rng.uniform(0.01, 0.12, (len(years), height, width)).astype(np.float32)
            scales[:, 3:5, 7:9] = np.nan  # water
            scales[:, 10, 10] = np.inf  # land without data
            scales[:, 12, 12] = 161685.0  # corrupt
            scales[:, 13, 13] = -0.05
            scales[:, 14, 14] = 0.0
            # One shard that was never written.
            codes[-1, :, -shard // 2 :, -shard // 2 :] = 0
            scales[-1, -shard // 2 :, -shard // 2 :] = np.inf
            group = store.create_group(
                f"utm{zone:02}",
                attributes={
                    "proj:code": crs,
                    "spatial:dimensions": ["y", "x"],
                    "spatial:transform": list(grid.transform)[:6],
                    "spatial:shape": [height, width],
                },
            )
            group.create_array(
                "embeddings",
                shape=codes.shape,
                dtype="int8",
                chunks=(1, BANDS, chunk, chunk),
                shards=(1, BANDS, shard, shard),
                fill_value=0,
                compressors=blosc(),
                dimension_names=["time", "band", "y", "x"],
            )[:] = codes
            group.create_array(
                "scales",
                shape=scales.shape,
                dtype="float32",
                chunks=(1, chunk, chunk),
                shards=(1, shard, shard),
                fill_value=np.inf,
                compressors=blosc(4),
                dimension_names=["time", "y", "x"],
            )[:] = scales
            for name_, values in [
                ("time", np.array(years, np.int32)),
                ("band", np.arange(BANDS, dtype=np.int32)),
                ("x", x0 + 10 * (np.arange(width) + 0.5)),
                ("y", y0 - 10 * (np.arange(height) + 0.5)),
            ]:
                group.create_array(name_, data=values, dimension_names=[name_])
            self.zones[zone] = (codes, scales, grid)
        zarr.consolidate_metadata(self.path)


def decoded(codes, scales):
    """geotessera's formula on (…, band, y, x) and (…, y, x), NaN where the scale is none."""
    good = np.isfinite(scales) & (scales > 0) & (scales < 1)
    with np.errstate(invalid="ignore"):
        values = codes.astype(np.float32) * scales[..., None, :, :]
    return np.where(good[..., None, :, :], values, np.float32(np.nan))


class AlphaEarthMosaic:
    """A corner of the AlphaEarth mosaic, as it was in March 2026 (`old`) or since."""

    BANDS = 64

    def __init__(self, root, old=False, seed=3):
        rng = np.random.default_rng(seed)
        self.path = root / "aef-mosaic"
        pixel = 8.983111749910169e-05
        self.years = [2018, 2019] if old else [2017, 2018, 2019]
        height, width = 96, 128
        self.grid = Grid("EPSG:4326", rasterio.Affine(pixel, 0, 7.0, 0, -pixel, 46.0), width, height)
        self.codes = rng.integers(-127, 128, (len(self.years), self.BANDS, height, width), np.int8)
        self.codes[:, :, 5, 6] = -128
        place = {
            "proj:code": "EPSG:4326",
            "spatial:dimensions": ["y", "x"],
            "spatial:transform": list(self.grid.transform)[:6],
        }
        stated = {
            "geoemb:quantization": {
                "method": "signed_square",
                "formula": "(x / 127.5) ** 2 * sign(x)",
                "valid_range": [-127, 127],
                "nodata": -128,
                "original_dtype": "float32",
            }
        }
        band = "embedding" if old else "band"
        group = zarr.create_group(self.path, attributes={} if old else place | stated)
        group.create_array(
            "embeddings",
            shape=self.codes.shape,
            dtype="int8",
            chunks=(1, self.BANDS, 32, 32),
            shards=(1, self.BANDS, 64, 64),
            fill_value=-128,
            compressors=blosc(),
            dimension_names=["time", band, "y", "x"],
            attributes=place if old else {},
        )[:] = self.codes
        group.create_array("time", data=np.array(self.years, np.int32), dimension_names=["time"])
        names = [f"A{i:02}" for i in range(self.BANDS)]
        group.create_array(band, data=np.array(names, dtype=np.dtypes.StringDType()), dimension_names=[band])


def signed_square(codes):
    """AlphaEarth's published rule, in float64."""
    x = codes.astype(np.float64) / 127.5
    values = (x * np.abs(x)).astype(np.float32)
    return np.where((codes == -128).any(axis=-3, keepdims=True), np.float32(np.nan), values)
