"""The GeoTIFF reader against GDAL: every combination of layout, byte for byte."""

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
import rasterio
from conftest import ROOT
from rasterio.enums import MaskFlags
from rasterio.transform import Affine

NORTH_UP = Affine(10, 0, 500_000, 0, -10, 5_000_000)
TYPES = ["uint8", "int8", "uint16", "int16", "uint32", "int32", "float32", "float64"]


def dump(tmp_path, path, *args):
    target = os.environ.get(
        "TERRAVEC_TARGET", Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "debug"
    )
    out = tmp_path / "dump.bin"
    done = subprocess.run(
        [Path(target) / "examples" / "tiff_dump", path, out, *map(str, args)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    values = np.fromfile(out, np.dtype(facts["dtype"]).newbyteorder("<")).reshape(facts["shape"])
    return facts, values


def values(dtype, bands, height, width, seed=1):
    """Smooth numbers with steps: what predictors are for, and every sign."""
    rng = np.random.default_rng(seed)
    y, x, b = np.mgrid[0:height, 0:width, 0:bands].transpose(0, 3, 1, 2)
    smooth = 50 * np.sin(x / 7 + b) + 40 * np.cos(y / 5) + rng.normal(0, 3, (bands, height, width))
    if dtype.startswith("float"):
        return smooth.astype(dtype)
    low = 0 if dtype.startswith("u") else -128
    return np.clip(smooth + (100 if low == 0 else 0), low, 127 if dtype == "int8" else 255).astype(dtype)


def write(path, array, transform=NORTH_UP, crs="EPSG:32631", **profile):
    with rasterio.open(
        path, "w", driver="GTiff", count=len(array), height=array.shape[1], width=array.shape[2],
        dtype=array.dtype, crs=crs, transform=transform, **profile,
    ) as dst:  # fmt: skip
        dst.write(array)
    return path


def check(tmp_path, path, array):
    facts, got = dump(tmp_path, path)
    assert got.dtype == array.dtype
    assert np.array_equal(got, array)
    assert facts["grid"]["epsg"] == 32631
    return facts


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("compress", ["none", "lzw", "deflate", "zstd", "packbits"])
@pytest.mark.parametrize("interleave", ["pixel", "band"])
@pytest.mark.parametrize("tiled", [True, False])
def test_every_layout(tmp_path, dtype, compress, interleave, tiled):
    array = values(dtype, 3, 75, 100)
    predictors = [1] if compress in ("none", "packbits") else [1, 2]
    if dtype.startswith("float") and len(predictors) > 1:
        predictors = [1, 2, 3] if dtype == "float32" else [1, 3]
    blocks = (
        {"tiled": True, "blockxsize": 32, "blockysize": 16} if tiled else {"tiled": False, "blockysize": 7}
    )
    for predictor in predictors:
        extra = {} if len(predictors) == 1 else {"predictor": predictor}
        path = write(
            tmp_path / f"{predictor}.tif", array, compress=compress, interleave=interleave, **blocks, **extra
        )
        facts = check(tmp_path, path, array)
        assert facts["interleave"] == interleave and facts["compression"] == compress


@pytest.mark.parametrize("bigtiff", ["YES", "NO"])
@pytest.mark.parametrize("endianness", ["LITTLE", "BIG"])
@pytest.mark.parametrize(
    ("dtype", "predictor"),
    # Predictor 2 on float64 and 3 on integers are none that GDAL writes.
    [("int8", 1), ("int8", 2), ("uint16", 1), ("uint16", 2), ("int32", 2), ("float32", 1), ("float32", 2),
     ("float32", 3), ("float64", 1), ("float64", 3)],
)  # fmt: skip
def test_byte_orders_and_bigtiff(tmp_path, bigtiff, endianness, dtype, predictor):
    array = values(dtype, 2, 40, 50)
    for interleave in ("pixel", "band"):
        path = write(
            tmp_path / f"{interleave}.tif", array, compress="deflate", predictor=predictor, interleave=interleave,
            BIGTIFF=bigtiff, ENDIANNESS=endianness, tiled=True, blockxsize=16, blockysize=16,
        )  # fmt: skip
        check(tmp_path, path, array)


@pytest.mark.parametrize("bands", [1, 3, 64, 768, 4096])
@pytest.mark.parametrize("interleave", ["pixel", "band"])
def test_many_bands(tmp_path, bands, interleave):
    array = values("int8", bands, 20, 24)
    path = write(
        tmp_path / "m.tif", array, compress="zstd", predictor=2, interleave=interleave,
        tiled=True, blockxsize=16, blockysize=16,
    )  # fmt: skip
    check(tmp_path, path, array)


@pytest.mark.parametrize("interleave", ["pixel", "band"])
def test_south_up_rows_are_turned(tmp_path, interleave):
    array = values("int8", 5, 70, 50)
    south = Affine(10, 0, 500_000, 0, 10, 5_000_000)
    path = write(
        tmp_path / "s.tif", array, transform=south, compress="zstd", interleave=interleave,
        tiled=True, blockxsize=32, blockysize=32,
    )  # fmt: skip
    facts, got = dump(tmp_path, path)
    assert facts["south_up"] and np.array_equal(got, array[:, ::-1])
    assert facts["grid"]["transform"] == [10, 0, 500_000, 0, -10, 5_000_000 + 700]
    _, window = dump(tmp_path, path, 0, 3, 11, 20, 40, "4,1")
    assert np.array_equal(window, array[:, ::-1][[4, 1], 11:51, 3:23])
    _, points = dump(tmp_path, path, "points", "0,0", "49,69", "7,40", "7,40")
    assert np.array_equal(points[:, 0], array[:, ::-1][:, [0, 69, 40, 40], [0, 49, 7, 7]])


def test_pixel_is_point_moves_the_corner(tmp_path):
    array = values("int16", 1, 10, 10)
    path = tmp_path / "p.tif"
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        count=1,
        height=10,
        width=10,
        dtype="int16",
        crs="EPSG:32631",
        transform=NORTH_UP,
    ) as dst:
        dst.update_tags(AREA_OR_POINT="Point")
        dst.write(array)
    facts, _ = dump(tmp_path, path)
    with rasterio.open(path) as src:
        assert src.tags()["AREA_OR_POINT"] == "Point"
        assert facts["grid"]["transform"] == list(src.transform)[:6]


def test_rotated_grids_are_said_to_be(tmp_path):
    path = write(tmp_path / "r.tif", values("uint8", 1, 10, 10), transform=Affine.rotation(20) @ NORTH_UP)
    facts, _ = dump(tmp_path, path)
    assert facts["grid"] is None and "axes" in facts["problem"]


@pytest.mark.parametrize("tiled", [True, False])
def test_sparse_blocks_read_as_nodata(tmp_path, tiled):
    array = np.full((2, 64, 64), -7, np.int16)
    array[:, :16, 16:32] = 5
    blocks = {"tiled": True, "blockxsize": 16, "blockysize": 16} if tiled else {"blockysize": 16}
    path = tmp_path / "sparse.tif"
    with rasterio.open(
        path, "w", driver="GTiff", count=2, height=64, width=64, dtype="int16", crs="EPSG:32631",
        transform=NORTH_UP, nodata=-7, SPARSE_OK=True, compress="lzw", **blocks,
    ) as dst:  # fmt: skip
        dst.write(array[:, :16, 16:32], window=((0, 16), (16, 32)))
    facts = check(tmp_path, path, array)
    assert facts["nodata"] == "-7"


@pytest.mark.parametrize("compress", ["zstd", "deflate"])
def test_overviews_masks_names_and_scales(tmp_path, compress):
    array = values("uint8", 3, 300, 200)
    mask = (np.arange(200)[None] + np.arange(300)[:, None]) % 7 > 2
    path = tmp_path / "o.tif"
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(
        path, "w", driver="GTiff", count=3, height=300, width=200, dtype="uint8", crs="EPSG:32631",
        transform=NORTH_UP, tiled=True, blockxsize=64, blockysize=64, compress=compress,
    ) as dst:  # fmt: skip
        dst.write(array)
        dst.write_mask(mask)
        dst.descriptions = ["red", "<&> green", "blau"]
        dst.scales, dst.offsets = (0.5, 2, 1), (1, -3, 0)
        dst.update_tags(WHO="me & you")
        dst.build_overviews([2, 4])
    facts = check(tmp_path, path, array)
    assert facts["levels"] == [[300, 200], [150, 100], [75, 50]]
    assert facts["names"] == ["red", "<&> green", "blau"]
    assert facts["scales"][:2] == [0.5, 2] and facts["offsets"][:2] == [1, -3]
    assert ["", "WHO", "me & you"] in facts["metadata"]
    assert np.array_equal(np.array(facts["mask"]).reshape(300, 200), mask)
    for level in (1, 2):
        with rasterio.open(path, overview_level=level - 1) as src:
            assert MaskFlags.per_dataset in src.mask_flag_enums[0]
            want, want_mask = src.read(), src.dataset_mask() > 0
            h, w = src.shape
        facts, got = dump(tmp_path, path, level, 0, 0, w, h, "0,1,2")
        assert np.array_equal(got, want)
        assert np.array_equal(np.array(facts["mask"]).reshape(h, w), want_mask)


@pytest.mark.parametrize("interleave", ["pixel", "band"])
def test_windows_bands_and_points(tmp_path, interleave):
    array = values("int16", 9, 130, 170)
    path = write(
        tmp_path / "w.tif", array, compress="zstd", predictor=2, interleave=interleave,
        tiled=True, blockxsize=48, blockysize=32,
    )  # fmt: skip
    rng = np.random.default_rng(8)
    for _ in range(12):
        c, r = rng.integers(0, 169), rng.integers(0, 129)
        w, h = rng.integers(1, 171 - c), rng.integers(1, 131 - r)
        bands = rng.permutation(9)[: rng.integers(1, 10)]
        _, got = dump(tmp_path, path, 0, c, r, w, h, ",".join(map(str, bands)))
        assert np.array_equal(got, array[bands, r : r + h, c : c + w])
    at = rng.integers(0, [170, 130], (40, 2))
    _, got = dump(tmp_path, path, "points", *(f"{c},{r}" for c, r in at))
    assert np.array_equal(got[:, 0], array[:, at[:, 1], at[:, 0]])
