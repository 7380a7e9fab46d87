"""The GeoTIFF reader against GDAL: every combination of layout, byte for byte."""

import json
import os
import struct
import subprocess
from pathlib import Path

import numpy as np
import pyproj
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


@pytest.mark.parametrize("dtype", ["int16", "float32"])
@pytest.mark.parametrize("bands", [1, 9, 700])
@pytest.mark.parametrize("interleave", ["pixel", "band"])
def test_windows_bands_and_points(tmp_path, interleave, bands, dtype):
    array = values(dtype, bands, 130, 170)
    path = write(
        tmp_path / "w.tif", array, compress="zstd", predictor=2, interleave=interleave,
        tiled=True, blockxsize=48, blockysize=32,
    )  # fmt: skip
    rng = np.random.default_rng(8)
    for _ in range(12):
        c, r = rng.integers(0, 169), rng.integers(0, 129)
        w, h = rng.integers(1, 171 - c), rng.integers(1, 131 - r)
        some = rng.permutation(bands)[: rng.integers(1, min(bands, 9) + 1)]
        _, got = dump(tmp_path, path, 0, c, r, w, h, ",".join(map(str, some)))
        assert np.array_equal(got, array[some, r : r + h, c : c + w])
    at = rng.integers(0, [170, 130], (40, 2))
    _, got = dump(tmp_path, path, "points", *(f"{c},{r}" for c, r in at))
    assert np.array_equal(got[:, 0], array[:, at[:, 1], at[:, 0]])


@pytest.mark.parametrize("predictor", [1, 2, 3])
@pytest.mark.parametrize("endianness", ["LITTLE", "BIG"])
def test_half_floats(tmp_path, predictor, endianness):
    array = values("float32", 3, 40, 50).astype(np.float16)
    path = write(
        tmp_path / "h.tif", array.astype(np.float32), compress="deflate", predictor=predictor, NBITS=16,
        ENDIANNESS=endianness, tiled=True, blockxsize=16, blockysize=16,
    )  # fmt: skip
    check(tmp_path, path, array)


def tile_interleaved(source, target):
    """Orders the tiles of a band-interleaved little-endian classic TIFF as `INTERLEAVE=TILE` does: all bands of a
    tile position side by side. The index keeps its order."""
    data = bytearray(Path(source).read_bytes())
    directory = struct.unpack_from("<I", data, 4)[0]
    entries = {}
    for i in range(struct.unpack_from("<H", data, directory)[0]):
        tag, kind, count, value = struct.unpack_from("<HHII", data, directory + 2 + 12 * i)
        entries[tag] = (kind, count, value)

    def read(tag):
        kind, count, at = entries[tag]
        return struct.unpack_from(f"<{count}{ {3: 'H', 4: 'I'}[kind] }", data, at)

    offsets, counts = read(324), read(325)
    with rasterio.open(source) as src:
        bands = src.count
    tiles = len(offsets) // bands
    out, moved = bytearray(data), [0] * len(offsets)
    for tile in range(tiles):
        for band in range(bands):
            i = band * tiles + tile
            moved[i] = len(out)
            out += data[offsets[i] : offsets[i] + counts[i]]
    struct.pack_into(f"<{len(moved)}I", out, entries[324][2], *moved)
    for i in range(len(offsets)):  # what was there before must not be what is read
        out[offsets[i] : offsets[i] + counts[i]] = b"\xff" * counts[i]
    Path(target).write_bytes(out)
    return target


@pytest.mark.parametrize("predictor", [1, 2])
def test_tile_interleave(tmp_path, predictor):
    array = values("int8", 17, 100, 120)
    band = tmp_path / "band.tif"
    with rasterio.open(
        band, "w", driver="GTiff", count=17, height=100, width=120, dtype="int8", crs="EPSG:32631",
        transform=NORTH_UP, compress="zstd", predictor=predictor, interleave="band", tiled=True,
        blockxsize=32, blockysize=16,
    ) as dst:  # fmt: skip
        dst.write(array)
        dst.update_tags(ns="IMAGE_STRUCTURE_TO_BE", INTERLEAVE="TILE")
    # GDAL before 3.11 does not write the item that says so.
    text = band.read_bytes().replace(b'IMAGE_STRUCTURE_TO_BE"', b'IMAGE_STRUCTURE"      ')
    band.write_bytes(text)
    path = tile_interleaved(band, tmp_path / "tile.tif")
    with rasterio.open(path) as src:
        assert np.array_equal(src.read(), array)
    facts = check(tmp_path, path, array)
    assert facts["interleave"] == "tile"
    _, window = dump(tmp_path, path, 0, 30, 20, 50, 40, "16,3")
    assert np.array_equal(window, array[[16, 3], 20:60, 30:80])
    _, points = dump(tmp_path, path, "points", "0,0", "119,99", "31,16")
    assert np.array_equal(points[:, 0], array[:, [0, 99, 16], [0, 119, 31]])


def test_south_up_overviews_and_masks_are_turned_too(tmp_path):
    array = values("uint8", 2, 300, 200)
    mask = (np.arange(200)[None] + np.arange(300)[:, None]) % 7 > 2
    path = tmp_path / "s.tif"
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(
        path, "w", driver="GTiff", count=2, height=300, width=200, dtype="uint8", crs="EPSG:32631",
        transform=Affine(10, 0, 500_000, 0, 10, 5_000_000), tiled=True, blockxsize=64, blockysize=64,
        compress="zstd",
    ) as dst:  # fmt: skip
        dst.write(array)
        dst.write_mask(mask)
        dst.build_overviews([2, 4])
    facts, got = dump(tmp_path, path)
    assert np.array_equal(got, array[:, ::-1])
    assert np.array_equal(np.array(facts["mask"]).reshape(300, 200), mask[::-1])
    with rasterio.open(path, overview_level=1) as src:
        want, want_mask = src.read(), src.dataset_mask() > 0
        h, w = src.shape
    facts, got = dump(tmp_path, path, 2, 0, 0, w, h, "0,1")
    assert np.array_equal(got, want[:, ::-1])
    assert np.array_equal(np.array(facts["mask"]).reshape(h, w), want_mask[::-1])
    at = np.random.default_rng(2).integers(0, [200, 300], (50, 2))
    facts, got = dump(tmp_path, path, "points", *(f"{c},{r}" for c, r in at))
    assert np.array_equal(got[:, 0], array[:, ::-1][:, at[:, 1], at[:, 0]])
    assert facts["mask"] == mask[::-1][at[:, 1], at[:, 0]].tolist()


@pytest.mark.parametrize("point", [False, True])
@pytest.mark.parametrize("south", [False, True])
def test_corners_of_points_and_areas(tmp_path, point, south):
    path = tmp_path / "p.tif"
    transform = Affine(10, 0, 500_000, 0, 20 if south else -20, 5_000_000)
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        count=1,
        height=8,
        width=5,
        dtype="int16",
        crs="EPSG:32631",
        transform=transform,
    ) as dst:
        dst.update_tags(AREA_OR_POINT="Point" if point else "Area")
        dst.write(values("int16", 1, 8, 5))
    facts, _ = dump(tmp_path, path)
    with rasterio.open(path) as src:
        a, b, c, d, e, f = list(src.transform)[:6]
    assert e == transform.e
    assert facts["south_up"] == south
    assert facts["grid"]["transform"] == ([a, b, c, d, -e, f + 8 * e] if south else [a, b, c, d, e, f])


def test_a_negative_pixel_height_means_the_same_rows(tmp_path):
    # Some writers give ModelPixelScale a sign; GDAL takes its size.
    path = write(tmp_path / "n.tif", values("int16", 1, 8, 5))
    data = path.read_bytes()
    scale = struct.pack("<3d", 10, 10, 0)
    assert data.count(scale) == 1
    path.write_bytes(data.replace(scale, struct.pack("<3d", 10, -10, 0)))
    with rasterio.open(path) as src:
        want = list(src.transform)[:6]
    facts, got = dump(tmp_path, path)
    assert facts["grid"]["transform"] == want
    assert not facts["south_up"] and np.array_equal(got, values("int16", 1, 8, 5))


SPELLED_OUT = {
    "laea": "+proj=laea +lat_0=20 +lon_0=-100 +x_0=1000 +y_0=-2000 +datum=WGS84 +units=m",
    "aea": "+proj=aea +lat_1=30 +lat_2=45 +lat_0=35 +lon_0=-95 +x_0=5 +y_0=6 +datum=WGS84 +units=m",
    "lcc": "+proj=lcc +lat_1=40 +lat_2=50 +lat_0=45 +lon_0=8 +x_0=400000 +y_0=6 +datum=WGS84 +units=m",
    "lcc1": "+proj=lcc +lat_1=45 +lat_0=45 +k_0=0.999 +lon_0=8 +x_0=400000 +y_0=6 +datum=WGS84 +units=m",
    "tmerc": "+proj=tmerc +lat_0=10 +lon_0=7 +k=0.9995 +x_0=300000 +y_0=100 +ellps=GRS80 +datum=NAD83 +units=m",
    "tmerc feet": "+proj=tmerc +lat_0=10 +lon_0=7 +k=0.9995 +x_0=300000 +y_0=100 +datum=WGS84 +units=us-ft",
    "utm": "+proj=tmerc +lat_0=0 +lon_0=3 +k=0.9996 +x_0=500000 +y_0=0 +datum=WGS84 +units=m",
    "stere north": "+proj=stere +lat_0=90 +lat_ts=71 +lon_0=-30 +x_0=1 +y_0=2 +datum=WGS84 +units=m",
    "stere south": "+proj=stere +lat_0=-90 +lat_ts=-65 +lon_0=40 +datum=WGS84 +units=m",
    "stere k": "+proj=stere +lat_0=90 +k=0.98 +lon_0=-30 +datum=WGS84 +units=m",
    "merc": "+proj=merc +lon_0=10 +k=0.99 +x_0=7 +datum=WGS84 +units=m",
    "merc ts": "+proj=merc +lon_0=10 +lat_ts=40 +datum=WGS84 +units=m",
    "cea": "+proj=cea +lat_ts=30 +lon_0=10 +datum=WGS84 +units=m",
    "sinu": "+proj=sinu +lon_0=15 +x_0=9 +datum=WGS84 +units=m",
}


@pytest.mark.parametrize("name", SPELLED_OUT)
def test_systems_spelled_out_in_geokeys(tmp_path, name):
    path = write(tmp_path / "c.tif", values("uint8", 1, 4, 4), crs=SPELLED_OUT[name])
    facts, _ = dump(tmp_path, path)
    assert facts["grid"], facts["problem"]
    with rasterio.open(path) as src:
        theirs = pyproj.CRS.from_wkt(src.crs.to_wkt())
    ours = pyproj.CRS.from_json_dict(facts["grid"]["crs"])
    lon, lat = pyproj.Transformer.from_crs(theirs, theirs.geodetic_crs, always_xy=True).transform(
        [1e5, 2e5, -3e5], [1e6, -2e5, 5e5]
    )
    there, here = (
        np.array(pyproj.Transformer.from_crs(crs.geodetic_crs, crs, always_xy=True).transform(lon, lat))
        for crs in (theirs, ours)
    )
    assert np.allclose(there, here, rtol=0, atol=1e-4)
    assert facts["grid"]["epsg"] == (32631 if name == "utm" else None)
