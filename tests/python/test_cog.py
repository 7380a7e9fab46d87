"""The COG writer against GDAL: pixels, georeference, metadata, overviews, and the byte layout of a COG.

Files are written by the example `cog_write` of terravec-io and read with rasterio; what the bytes must look
like is checked by `check_layout`, an independent reading of GDAL's rules (its validator is not in rasterio).
"""

import itertools
import json
import os
import resource
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio

ROOT = Path(__file__).resolve().parents[2]
UTM = {"crs": "EPSG:32616", "transform": [10, 0, 499_980, 0, -10, 4_800_000]}
INTERLEAVES = ["pixel", "band", "tile"]
DTYPES = ["uint8", "int8", "uint16", "int16", "uint32", "int32", "float16", "float32", "float64"]


def writer_binary():
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "debug"
    path = Path(os.environ.get("TERRAVEC_TARGET", target)) / "examples" / "cog_write"
    assert path.exists(), f"{path} is missing: run `cargo build -p terravec-io --examples`"
    return path


def write(folder, array, *, expect=0, out=None, preexec=None, **options):
    """Writes `array` (band, y, x) and returns the path, or what stderr said where failure is expected."""
    bands, height, width = array.shape
    spec = {"width": width, "height": height, "bands": bands, "dtype": array.dtype.name} | UTM | options
    job, data, out = folder / "job.json", folder / "data.raw", out or folder / "out.tif"
    job.write_text(json.dumps(spec))
    data.write_bytes(array.astype(array.dtype.newbyteorder("<")).tobytes())
    done = subprocess.run(
        [writer_binary(), job, data, out],
        capture_output=True,
        text=True,
        timeout=300,
        preexec_fn=preexec,
        restore_signals=preexec is None,
    )
    job.unlink()
    data.unlink()
    assert done.returncode == expect, done.stderr
    assert "panicked" not in done.stderr
    return done.stderr if expect else out


def sample(dtype, shape, seed=1):
    """Smooth numbers over the type's range with some noise, as images have."""
    rng = np.random.default_rng(seed)
    field = np.cumsum(np.cumsum(rng.normal(size=shape), axis=1), axis=2)
    field = 2 * (field - field.min()) / max(np.ptp(field), 1e-9) - 1
    dtype = np.dtype(dtype)
    if dtype.kind == "f":
        return field.astype(dtype)
    info = np.iinfo(dtype)
    return (
        np.round(info.min + (field + 1) / 2 * (float(info.max) - info.min))
        .clip(info.min, info.max)
        .astype(dtype)
    )


def halve(array, nodata=None, how="mean"):
    """The reduction of `cog_write`, in NumPy: four pixels to one, nodata left out."""
    bands, height, width = array.shape
    if how == "first":
        return array[:, ::2, ::2]
    padded = np.full((bands, height + height % 2, width + width % 2), np.nan)
    padded[:, :height, :width] = array
    if nodata is not None and not np.isnan(nodata):
        padded[padded == nodata] = np.nan
    four = [padded[:, y::2, x::2] for y, x in itertools.product((0, 1), (0, 1))]
    total, count = np.zeros_like(four[0]), np.zeros_like(four[0])
    for part in four:
        total += np.where(np.isnan(part), 0, part)
        count += ~np.isnan(part)
    mean = np.divide(
        total, count, out=np.full_like(total, np.nan if nodata is None else nodata), where=count > 0
    )
    return (mean if array.dtype.kind == "f" else np.round(mean)).astype(array.dtype)


def pyramid(array, smallest, **how):
    levels = [array]
    while max(levels[-1].shape[1:]) > smallest:
        levels.append(halve(levels[-1], **how))
    return levels


def read_levels(path):
    with rasterio.open(path) as full:
        levels, count = [full.read()], len(full.overviews(1))
    for level in range(count):
        with rasterio.open(path, OVERVIEW_LEVEL=level) as overview:
            levels.append(overview.read())
    return levels


def assert_same(levels, expected):
    assert [a.shape for a in levels] == [b.shape for b in expected]
    for got, want in zip(levels, expected, strict=True):
        # GDAL before 3.11 has no float16 and widens it.
        assert got.dtype == want.dtype or (got.dtype, want.dtype) == (np.float32, np.float16)
        np.testing.assert_array_equal(got, want)


# --- The layout of a COG -------------------------------------------------------------------------------------


class Ifd:
    """One IFD, with its own parser so that GDAL's leniency hides nothing."""

    SIZES = {2: 1, 3: 2, 4: 4, 12: 8, 16: 8}
    CODES = {3: "H", 4: "I", 12: "d", 16: "Q"}

    def __init__(self, data, at, big):
        self.offset, self.tags, self.extent = at, {}, {}
        count = struct.unpack_from("<Q" if big else "<H", data, at)[0]
        at += 8 if big else 2
        for _ in range(count):
            tag, kind = struct.unpack_from("<HH", data, at)
            n = struct.unpack_from("<Q" if big else "<I", data, at + 4)[0]
            slot = at + (12 if big else 8)
            size = n * self.SIZES[kind]
            if size > (8 if big else 4):
                slot = struct.unpack_from("<Q" if big else "<I", data, slot)[0]
                assert slot % 2 == 0, f"value of tag {tag} not on a word boundary"
                self.extent[tag] = (slot, slot + size)
            raw = data[slot : slot + size]
            assert len(raw) == size, f"value of tag {tag} beyond the end"
            assert not self.tags or tag > max(self.tags), "tags out of order"
            self.tags[tag] = raw if kind == 2 else struct.unpack(f"<{n}{self.CODES[kind]}", raw)
            at += 20 if big else 12
        self.end = at
        self.next = struct.unpack_from("<Q" if big else "<I", data, at)[0]


def check_layout(path, interleave="pixel"):
    """Checks every rule that GDAL's validator has, and that tiles fill the file without gap or overlap."""
    data = Path(path).read_bytes()
    big = data[:4] == b"II\x2b\x00"
    assert big or data[:4] == b"II\x2a\x00"
    if big:
        assert data[4:8] == b"\x08\0\0\0"
    start = 16 if big else 8
    first = struct.unpack_from("<Q" if big else "<I", data, start // 2)[0]

    head = b"GDAL_STRUCTURAL_METADATA_SIZE="
    assert data[start : start + 30] == head and data[start + 36 : start + 43] == b" bytes\n"
    size = int(data[start + 30 : start + 36])
    ghost = data[start + 43 : start + 43 + size].decode()
    ghost_end = start + 43 + size
    assert first == ghost_end + ghost_end % 2
    lines = ghost.split("\n")
    assert lines[:4] == [
        "LAYOUT=IFDS_BEFORE_DATA",
        "BLOCK_ORDER=ROW_MAJOR",
        "BLOCK_LEADER=SIZE_AS_UINT4",
        "BLOCK_TRAILER=LAST_4_BYTES_REPEATED",
    ]
    assert lines[-2:] == ["KNOWN_INCOMPATIBLE_EDITION=NO", " "]

    ifds, at = [], first
    while at:
        ifds.append(Ifd(data, at, big))
        at = ifds[-1].next
    assert all(a.offset < b.offset for a, b in itertools.pairwise(ifds))
    sizes = [(i.tags[256][0], i.tags[257][0]) for i in ifds]
    assert sizes == [(-(-sizes[0][0] // 2**k), -(-sizes[0][1] // 2**k)) for k in range(len(ifds))]
    assert [i.tags[254][0] for i in ifds] == [0] + [1] * (len(ifds) - 1)
    block = ifds[0].tags[322][0]
    assert max(sizes[-1]) <= max(block, 512), "overviews stop too early"

    # IFDs and their values, then the tile indexes of all of them, then tiles.
    index = [extent for i in ifds for tag, extent in i.extent.items() if tag in (324, 325)]
    values_end = max(
        [i.end for i in ifds] + [e[1] for i in ifds for t, e in i.extent.items() if t not in (324, 325)]
    )
    assert all(begin >= values_end for begin, _ in index)
    header_end = max([values_end] + [end for _, end in index])

    bands = ifds[0].tags[277][0]
    planar = ifds[0].tags[284][0] == 2
    assert planar == (bands > 1 and interleave != "pixel")
    assert ("INTERLEAVE=BAND" in lines) == planar
    metadata = ifds[0].tags.get(42112, b"").decode()
    assert ('domain="IMAGE_STRUCTURE">TILE<' in metadata) == (planar and interleave == "tile")

    # Smallest level first; within a level in the order of the interleave; each tile in its frame.
    order = []
    for ifd, (width, height) in zip(reversed(ifds), reversed(sizes), strict=True):
        assert ifd.tags[322] == ifd.tags[323] == (block,)
        tiles = -(-width // block) * -(-height // block)
        offsets, counts = ifd.tags[324], ifd.tags[325]
        assert len(offsets) == len(counts) == tiles * (bands if planar else 1)
        positions = range(len(offsets))
        if planar and interleave == "tile":
            positions = [band * tiles + tile for tile in range(tiles) for band in range(bands)]
        order += [(offsets[p], counts[p]) for p in positions]
    assert all((offset == 0) == (count == 0) for offset, count in order)
    at = max(header_end + header_end % 2, 0)
    for offset, count in [(o, c) for o, c in order if c]:
        assert offset == at + 4, "tiles do not follow each other in order"
        assert struct.unpack_from("<I", data, at)[0] == count, "leader"
        assert data[offset + count - 4 : offset + count] == data[offset + count : offset + count + 4], (
            "trailer"
        )
        at = offset + count + 4
    assert at == len(data), "bytes after the last tile"
    return ifds


# --- Tests ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("predictor", [True, False], ids=["predictor", "plain"])
@pytest.mark.parametrize("compression", ["zstd", "deflate", "lzw", "none"])
@pytest.mark.parametrize("interleave", INTERLEAVES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_encoding_reads_back(tmp_path, dtype, interleave, compression, predictor):
    array = sample(dtype, (3, 83, 110))
    options = {"interleave": interleave, "compression": compression, "predictor": predictor, "block": 32}
    path = write(tmp_path, array, reduce="first", **options)
    ifds = check_layout(path, interleave)
    assert_same(read_levels(path), pyramid(array, 32, how="first"))
    wanted = 1 if not predictor or compression == "none" else 3 if array.dtype.kind == "f" else 2
    assert ifds[0].tags.get(317, (1,))[0] == wanted
    with rasterio.open(path) as ds:
        known = {"zstd": "ZSTD", "deflate": "DEFLATE", "lzw": "LZW", "none": None}[compression]
        assert (ds.compression.value if ds.compression else None) == known
        assert ds.block_shapes == [(32, 32)] * 3


@pytest.mark.parametrize("interleave", INTERLEAVES)
@pytest.mark.parametrize("bands", [1, 2, 5])
@pytest.mark.parametrize("size", [(1, 1), (97, 97), (1000, 300), (16, 16), (17, 33), (1, 700), (513, 2)])
def test_sizes(tmp_path, size, bands, interleave):
    array = sample("int16", (bands, *size))
    path = write(tmp_path, array, interleave=interleave, block=64)
    check_layout(path, interleave)
    assert_same(read_levels(path), pyramid(array, 64))


@pytest.mark.parametrize("block", [16, 48, 256, 1024])
def test_block_sizes(tmp_path, block):
    array = sample("int8", (2, 700, 600))
    path = write(tmp_path, array, block=block, nodata="-128", interleave="tile")
    check_layout(path, "tile")
    assert_same(read_levels(path), pyramid(array, min(block, 512), nodata=-128))


@pytest.mark.parametrize("interleave", INTERLEAVES)
def test_big_tiff(tmp_path, interleave):
    array = sample("int16", (5, 150, 97))
    options = {"interleave": interleave, "block": 32, "nodata": "-32768", "skip": [[1, 1]]}
    array[:, 32:64, 32:64] = -32768
    path = write(tmp_path, array, big_tiff=True, band_names=list("abcde"), **options)
    assert path.read_bytes()[2] == 43
    check_layout(path, interleave)
    assert_same(read_levels(path), pyramid(array, 32, nodata=-32768))
    with rasterio.open(path) as ds:
        assert ds.descriptions == tuple("abcde") and ds.crs.to_epsg() == 32616


@pytest.mark.parametrize("interleave", INTERLEAVES)
def test_missing_pixels_and_blocks(tmp_path, interleave):
    """Nodata stays out of overviews; blocks never written are nodata, take no space, and stay sparse above."""
    array = sample("int8", (4, 160, 200))
    array[:, 20:41, 33:80] = -128
    # A whole block of the first overview (64 px = 2 × 2 blocks) and one block besides.
    skip = [[0, 0], [1, 0], [0, 1], [1, 1], [4, 3]]
    for bx, by in skip:
        array[:, by * 32 : (by + 1) * 32, bx * 32 : (bx + 1) * 32] = -128
    path = write(tmp_path, array, interleave=interleave, block=32, nodata="-128", skip=skip)
    ifds = check_layout(path, interleave)
    assert_same(read_levels(path), pyramid(array, 32, nodata=-128))
    assert ifds[0].tags[324].count(0) == len(skip) * (1 if interleave == "pixel" else 4)
    assert ifds[1].tags[324].count(0) == (1 if interleave == "pixel" else 4)
    with rasterio.open(path) as ds:
        assert ds.nodata == -128
        np.testing.assert_array_equal(ds.read_masks(1) > 0, array[0] != -128)


def test_nothing_written_at_all(tmp_path):
    array = np.full((3, 100, 100), np.nan, np.float32)
    skip = [[x, y] for x in range(4) for y in range(4)]
    path = write(tmp_path, array, block=32, nodata="nan", skip=skip)
    check_layout(path)
    assert_same(read_levels(path), pyramid(array, 32, nodata=np.nan))


def test_nan_nodata(tmp_path):
    array = sample("float32", (10, 97, 97))
    array[:, 10:30, 5:60] = np.nan
    path = write(tmp_path, array, block=32, nodata="nan")
    check_layout(path, "tile")  # the default for more than 8 bands
    assert_same(read_levels(path), pyramid(array, 32, nodata=np.nan))
    with rasterio.open(path) as ds:
        assert np.isnan(ds.nodata)


@pytest.mark.parametrize(
    ("crs", "transform"),
    [
        ("EPSG:32616", [10, 0, 499_980, 0, -10, 4_800_000]),
        ("EPSG:32733", [0.1, 0, 300_000.05, 0, -0.1, 9_999_999.95]),
        ("EPSG:4326", [0.1, 0, -180, 0, -0.1, 90]),
        ("EPSG:3857", [38.21851414258813, 0, -20037508.342789244, 0, -38.21851414258813, 20037508.342789244]),
        ("EPSG:3035", [20, 0, 4_000_000, 0, -25, 3_000_000]),
        ("EPSG:3031", [1000, 0, -3_000_000, 0, -1000, 3_000_000]),
        ("EPSG:8857", [5000, 0, -17_000_000, 0, -5000, 8_000_000]),
        ("EPSG:25231", [10, 0, 400_000, 0, -10, 800_000]),
        ("EPSG:32616", [10, 0, 499_980, 0, 10, 4_700_000]),  # south-up
        ("EPSG:32616", [7, 3, 499_980, 4, -9, 4_800_000]),  # rotated
    ],
)
def test_georeference(tmp_path, crs, transform):
    path = write(tmp_path, sample("uint8", (2, 40, 50)), crs=crs, transform=transform)
    with rasterio.open(path) as ds:
        assert ds.crs.to_epsg() == int(crs.split(":")[1])
        assert list(ds.transform)[:6] == transform
        assert ds.tags()["AREA_OR_POINT"] == "Area"


def test_names_tags_and_scales(tmp_path):
    provenance = json.dumps({"product": 'x <&> "y"', "note": "zwei\nZeilen\tÄöü ✓", "list": [1, 2.5, None]})
    names = [f"A{i:02}" for i in range(63)] + ['<last> & "least"']
    array = sample("int8", (64, 40, 40))
    path = write(
        tmp_path,
        array,
        band_names=names,
        scale_offset=[[0.5 + i, -0.25 * i] for i in range(64)],
        tags=[["TERRAVEC_PROVENANCE", provenance], ["OTHER", "1"]],
        nodata="-128",
    )
    check_layout(path, "tile")
    with rasterio.open(path) as ds:
        assert list(ds.descriptions) == names
        assert list(ds.scales) == [0.5 + i for i in range(64)]
        assert list(ds.offsets) == [-0.25 * i for i in range(64)]
        assert ds.tags()["TERRAVEC_PROVENANCE"] == provenance
        assert ds.tags()["OTHER"] == "1"
        np.testing.assert_array_equal(ds.read(), array)
        assert ds.colorinterp[0].name == "gray"
        assert all(c.name == "undefined" for c in ds.colorinterp[1:])


@pytest.mark.parametrize("interleave", ["tile", "band"])
def test_very_many_bands(tmp_path, interleave):
    array = sample("int8", (4096, 40, 20))
    path = write(tmp_path, array, block=16, interleave=interleave, reduce="first", level=1)
    ifds = check_layout(path, interleave)
    assert_same(read_levels(path), pyramid(array, 16, how="first"))
    # Values that are the same for every level are stored once.
    assert len({ifd.extent[258] for ifd in ifds}) == 1 == len({ifd.extent[339] for ifd in ifds})


def test_windows_and_bands_read_alike(tmp_path):
    """GDAL's optimised paths (leader bytes, multi-range) must not be misled by the order of tiles."""
    array = sample("int8", (64, 300, 300))
    for interleave in INTERLEAVES:
        path = write(tmp_path, array, block=64, interleave=interleave)
        with rasterio.open(path) as ds:
            for band, y, x in [(1, 0, 0), (33, 130, 70), (64, 250, 250)]:
                window = rasterio.windows.Window(x, y, 50, 50)
                np.testing.assert_array_equal(
                    ds.read(band, window=window), array[band - 1, y : y + 50, x : x + 50]
                )


def test_the_same_input_gives_the_same_bytes(tmp_path):
    array = sample("float32", (9, 200, 200))
    assert write(tmp_path, array, block=32).read_bytes() == write(tmp_path, array, block=32).read_bytes()


# --- Failure --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"block": 100}, "multiple of 16"),
        ({"nodata": "-1"}, "uint8 cannot hold"),
        ({"nodata": "nan"}, "uint8 cannot hold"),
        ({"band_names": ["a"]}, "one per band"),
        ({"level": 40}, "1 to 22"),
        ({"tags": [["a", "b\0c"]]}, "control characters"),
        ({"tags": [["", "b"]]}, "without a name"),
    ],
)
def test_impossible_specifications(tmp_path, options, said):
    said_really = write(tmp_path, sample("uint8", (2, 20, 20)), expect=1, **options)
    assert said in said_really and "out.tif" in said_really
    assert list(tmp_path.iterdir()) == []


def test_missing_folder(tmp_path):
    said = write(tmp_path, sample("uint8", (1, 20, 20)), expect=1, out=tmp_path / "no" / "out.tif")
    assert "no/out.tif" in said and "No such file" in said
    assert list(tmp_path.iterdir()) == []


def test_target_that_is_no_file(tmp_path):
    target = tmp_path / "folder"
    target.mkdir()
    for out in [target, Path("/dev/full")]:
        said = write(tmp_path, sample("uint8", (1, 20, 20)), expect=1, out=out)
        assert "not an ordinary file" in said
    assert list(tmp_path.iterdir()) == [target] and list(target.iterdir()) == []
    assert Path("/dev/full").is_char_device()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_read_only_folder(tmp_path):
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o555)
    said = write(tmp_path, sample("uint8", (1, 20, 20)), expect=1, out=folder / "out.tif")
    assert "Permission denied" in said


@pytest.mark.parametrize("stage", ["blocks", "overviews", "file"])
def test_full_disk(tmp_path, stage):
    """A limit on file sizes stands in for a full disk: it strikes in the blocks, the overviews or the file."""
    array = sample("uint8", (3, 512, 512))
    old = write(tmp_path, array, block=32, compression="none")
    before = old.read_bytes()
    limit = {"blocks": 0.3 * array.nbytes, "overviews": 1.1 * array.nbytes, "file": len(before) - 1}[stage]
    said = write(
        tmp_path,
        array,
        expect=1,
        preexec=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), int(limit))),
        block=32,
        compression="none",
    )
    assert "cannot write" in said and "out.tif" in said and "File too large" in said
    assert list(tmp_path.iterdir()) == [old] and old.read_bytes() == before


@pytest.mark.skipif(sys.platform != "linux", reason="nameless files are Linux's")
def test_killed_midway(tmp_path):
    """Nothing has a name before it is complete."""
    array = sample("float64", (40, 512, 512))
    job, data = tmp_path / "job.json", tmp_path / "data.raw"
    job.write_text(
        json.dumps({"width": 512, "height": 512, "bands": 40, "dtype": "float64", "level": 19} | UTM)
    )
    data.write_bytes(array.tobytes())
    out = tmp_path / "out"
    out.mkdir()
    process = subprocess.Popen([writer_binary(), job, data, out / "x.tif"])
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(timeout=0.5)
    process.kill()
    process.wait()
    assert list(out.iterdir()) == []


def test_permissions_of_a_new_file(tmp_path):
    path = write(tmp_path, sample("uint8", (1, 20, 20)), preexec=lambda: os.umask(0o027) and None)
    assert path.stat().st_mode & 0o777 == 0o640
