"""Every codec, order and layout that zarr-python writes, read by `zarr_dump` as zarr-python reads it."""

import hashlib
import itertools
import json
import os
import subprocess
from pathlib import Path

import numcodecs
import numpy as np
import pytest
import zarr
from conftest import ROOT
from zarr.codecs import (
    BloscCodec,
    BytesCodec,
    Crc32cCodec,
    GzipCodec,
    ShardingCodec,
    TransposeCodec,
    ZstdCodec,
)
from zarr.codecs import numcodecs as v3codecs

pytestmark = [
    pytest.mark.filterwarnings("ignore:Numcodecs codecs"),
    pytest.mark.filterwarnings("ignore:Consolidated metadata"),
]
TARGET = Path(os.environ.get("TERRAVEC_TARGET", ROOT / "target" / "debug"))


def dump(*paths):
    done = subprocess.run(
        [TARGET / "examples" / "zarr_dump", *map(str, paths)], capture_output=True, text=True, check=True
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def numbers(dtype, shape):
    rng = np.random.default_rng(11)
    if np.dtype(dtype).kind == "f":
        values = rng.normal(size=shape).astype(dtype)
        values.flat[::7] = np.nan
        return values
    if np.dtype(dtype).kind == "b":
        return rng.integers(0, 2, shape).astype(bool)
    info = np.iinfo(dtype)
    return rng.integers(info.min, info.max, shape, np.dtype(dtype).newbyteorder("="), endpoint=True).astype(
        dtype
    )


def check(path, want):
    (got,) = dump(path)
    assert "error" not in got, got
    little = np.ascontiguousarray(want).astype(want.dtype.newbyteorder("<"))
    assert got["shape"] == list(want.shape)
    assert got["sha256"] == hashlib.sha256(little.tobytes()).hexdigest()


DTYPES = [
    "bool",
    "int8",
    "uint8",
    "int16",
    "uint16",
    "int32",
    "uint32",
    "int64",
    "uint64",
    "float16",
    "float32",
    "float64",
]


@pytest.mark.parametrize("dtype", DTYPES)
def test_types_and_their_fill(tmp_path, dtype):
    want = numbers(dtype, (7, 9))
    array = zarr.create_array(tmp_path / "a", shape=(7, 9), dtype=dtype, chunks=(3, 4), fill_value=1)
    array[:] = want
    array[3:6, 4:8] = 1
    check(tmp_path / "a", array[:])
    for i, fill in enumerate(
        [float("nan"), float("inf"), float("-inf"), 0.1] if dtype.startswith("float") else []
    ):
        array = zarr.create_array(tmp_path / f"f{i}", shape=(5,), dtype=dtype, chunks=(2,), fill_value=fill)
        array[0] = 3
        check(tmp_path / f"f{i}", array[:])


NAMES = ["lz4", "lz4hc", "blosclz", "zstd", "snappy", "zlib"]


@pytest.mark.parametrize("cname", NAMES)
@pytest.mark.parametrize("shuffle", ["noshuffle", "shuffle", "bitshuffle"])
def test_blosc(tmp_path, cname, shuffle):
    if cname == "snappy":
        pytest.skip("the wheel of numcodecs comes without snappy")
    for dtype, blocksize, shape in itertools.product(
        ["int8", "float32", "int64"], [0, 4096], [(64, 64), (37, 53)]
    ):
        want = numbers(dtype, shape)
        want[10:30] = want[0]  # something to compress
        path = tmp_path / f"{dtype}-{blocksize}-{shape[0]}"
        codec = BloscCodec(
            cname=cname, clevel=5, shuffle=shuffle, typesize=want.dtype.itemsize, blocksize=blocksize
        )
        array = zarr.create_array(path, shape=shape, dtype=dtype, chunks=shape, compressors=codec)
        array[:] = want
        check(path, want)


CHAINS = {
    "raw": ([], BytesCodec()),
    "big endian": ([], BytesCodec(endian="big")),
    "gzip": ([GzipCodec(level=6)], BytesCodec()),
    "zstd": ([ZstdCodec(level=3)], BytesCodec()),
    "zstd with checksum": ([ZstdCodec(level=3, checksum=True)], BytesCodec()),
    "crc32c": ([Crc32cCodec()], BytesCodec()),
    "zstd and crc32c": ([ZstdCodec(), Crc32cCodec()], BytesCodec()),
    "crc32c in zstd": ([Crc32cCodec(), ZstdCodec()], BytesCodec()),
    "zlib": ([v3codecs.Zlib(level=4)], BytesCodec()),
    "shuffle and zlib": ([v3codecs.Shuffle(elementsize=4), v3codecs.Zlib(level=4)], BytesCodec()),
    "lz4": ([v3codecs.LZ4()], BytesCodec()),
    "pcodec": ([], v3codecs.PCodec()),
}


@pytest.mark.parametrize("chain", CHAINS)
def test_chains(tmp_path, chain):
    compressors, serializer = CHAINS[chain]
    want = numbers("float32", (20, 30, 5))
    # numcodecs can't pack an array whose axes were exchanged.
    orders = [[]] if chain == "pcodec" else [[], [TransposeCodec(order=(2, 0, 1))]]
    for i, filters in enumerate(orders):
        for j, shards in enumerate([None, (16, 14, 5)]):
            path = tmp_path / f"{i}{j}"
            array = zarr.create_array(
                path, shape=want.shape, dtype="float32", chunks=(8, 7, 5), shards=shards, filters=filters,
                serializer=serializer, compressors=compressors, fill_value=np.nan,
            )  # fmt: skip
            array[:] = want
            array[8:16, 7:14] = np.nan
            check(path, array[:])


@pytest.mark.parametrize("location", ["start", "end"])
def test_shards_in_shards(tmp_path, location):
    want = numbers("int16", (24, 36))
    inner = ShardingCodec(chunk_shape=(3, 3), codecs=[BytesCodec(), ZstdCodec()], index_location=location)
    outer = ShardingCodec(chunk_shape=(6, 12), codecs=[inner], index_location=location)
    wrapped = ShardingCodec(chunk_shape=(6, 12), codecs=[BytesCodec(endian="big")], index_location=location)
    for i, (serializer, filters, compressors) in enumerate(
        [(outer, [], []), (wrapped, [], [GzipCodec()]), (wrapped, [TransposeCodec(order=(1, 0))], [])]
    ):
        shape = (24, 12) if not filters else (12, 24)
        path = tmp_path / f"{i}"
        array = zarr.create_array(
            path, shape=want.shape, dtype="int16", chunks=shape, serializer=serializer, filters=filters,
            compressors=compressors, fill_value=-5,
        )  # fmt: skip
        array[:20, :30] = want[:20, :30]
        check(path, array[:])


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("separator", [".", "/"])
@pytest.mark.parametrize("dtype", ["<f4", ">f4", ">i2", "|i1", "|b1"])
def test_version_2(tmp_path, order, separator, dtype):
    want = numbers(dtype, (9, 11, 3))
    compressors = [
        None,
        numcodecs.Blosc(cname="lz4", shuffle=numcodecs.Blosc.SHUFFLE),
        numcodecs.Zlib(),
        numcodecs.GZip(),
        numcodecs.Zstd(),
        numcodecs.LZ4(),
    ]
    for i, compressor in enumerate(compressors):
        path = tmp_path / str(i)
        array = zarr.create_array(
            path, shape=want.shape, dtype=dtype, chunks=(4, 5, 2), compressors=compressor, zarr_format=2,
            order=order, chunk_key_encoding={"name": "v2", "separator": separator}, fill_value=0,
        )  # fmt: skip
        array[:] = want
        check(path, want)


def test_groups_consolidated_or_not(tmp_path):
    for version in [2, 3]:
        path = tmp_path / str(version)
        group = zarr.create_group(path, attributes={"a": 1, "nan": float("nan")}, zarr_format=version)
        group.create_group("inner").create_array("x", shape=(3,), dtype="int8", chunks=(3,))
        group.create_array("y", shape=(3,), dtype="int8", chunks=(3,))
        (got,) = dump(path)
        assert got["group"] == ["inner", "y"]
        zarr.consolidate_metadata(path)
        (got,) = dump(path)
        assert got["group"] == ["inner", "y"] and got["attributes"]["a"] == 1


def test_short_names_of_codecs_and_key_encodings(tmp_path):
    array = zarr.create_array(tmp_path / "a", shape=(4,), dtype="int8", chunks=(4,), compressors=None)
    array[:] = [1, 2, 3, 4]
    meta = json.loads((tmp_path / "a/zarr.json").read_text())
    meta["codecs"] = ["bytes"]
    meta["chunk_key_encoding"] = "default"
    (tmp_path / "a/zarr.json").write_text(json.dumps(meta))
    assert dump(tmp_path / "a")[0]["bytes"] == "01020304"
