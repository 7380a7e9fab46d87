"""Mirrors, the cache and estimates, by the command: what a user of a slow or unreliable host meets."""

import json
import os
import shutil
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import shapely.geometry

SIZE = 40_000_000


@pytest.fixture
def big(tmp_path):
    """A table of vectors of some size, and a folder that holds it."""
    import pyarrow as pa

    root = tmp_path / "big"
    root.mkdir()
    rng = np.random.default_rng(3)
    for name in ("a", "b"):
        rows = SIZE // 2 // (4 * 256)
        values = pa.array(rng.standard_normal(rows * 256, dtype=np.float32))
        table = pa.table(
            {
                "lon": np.linspace(5 if name == "a" else 50, 6 if name == "a" else 51, rows),
                "lat": np.linspace(50, 51, rows),
                "embedding": pa.FixedSizeListArray.from_arrays(values, 256),
            }
        )
        pq.write_table(table, root / f"{name}.parquet", compression="none", row_group_size=2000)
    return root


def s3(terravec, url, **more):
    """The command, with S3 at `url`."""
    terravec = type(terravec)(terravec.binary, Path(terravec.env["HOME"]))
    terravec.env |= {"AWS_ENDPOINT_URL": url, "AWS_NO_SIGN_REQUEST": "1", "TERRAVEC_PATIENCE": "5"} | more
    return terravec


def same(one, other):
    return one.read_bytes() == other.read_bytes()


def test_a_killed_download_goes_on_where_it_was(terravec, tmp_path, big, serve):
    url, stats = serve(big.parent, "--bandwidth", "20000000", "--md5")
    terravec = s3(terravec, url)
    mirror = tmp_path / "mirror"
    kills = 0
    while kills < 3:
        running = terravec.start("download", "s3://big", "-o", mirror, "--quiet")
        parts = mirror / ".terravec" / "parts"
        before = sum(p.stat().st_size for p in parts.glob("*")) if parts.exists() else 0
        deadline = time.monotonic() + 20
        while running.poll() is None and time.monotonic() < deadline:
            now = sum(p.stat().st_size for p in parts.glob("*")) if parts.exists() else 0
            if now > before:
                break
            time.sleep(0.01)
        running.kill()
        running.wait()
        kills += 1
        assert not list(mirror.glob("*.parquet")) or all(
            same(p, big / p.name) for p in mirror.glob("*.parquet")
        ), "a file with its name is whole"
    said = terravec.json("download", "s3://big", "-o", mirror)
    assert all(same(mirror / p.name, p) for p in big.glob("*.parquet"))
    assert said["report"]["fetched"] + said["report"]["present"] == 2
    assert said["report"]["checked"] == said["report"]["fetched"]
    assert not list(parts.glob("*"))
    stats()
    again = terravec.json("download", "s3://big", "-o", mirror)
    assert again["report"]["bytes"] == 0 and again["report"]["present"] == 2
    assert stats()["bytes"] < 500_000, "the list and footers alone"
    assert terravec.json("info", mirror)["rows"] == terravec.json("info", big)["rows"]


def test_many_small_files_survive_kills(terravec, tmp_path, serve):
    """Names are given to many files at a time; whenever the command is killed, a name has all bytes and none stands in the way."""
    import pyarrow as pa

    rng = np.random.default_rng(4)
    root = tmp_path / "many"
    root.mkdir()
    for i in range(300):
        vectors = pa.array(rng.standard_normal((20, 64)).astype(np.float32).tolist())
        pq.write_table(
            pa.table({"lon": np.full(20, i / 10), "lat": np.full(20, 50.0), "embedding": vectors}),
            root / f"{i:03}.parquet",
        )
    url, stats = serve(tmp_path, "--latency-ms", "5", "--md5")
    terravec = s3(terravec, url)
    mirror = tmp_path / "mirror"
    held = 0
    for kill in range(20):
        running = terravec.start("download", "s3://many", "-o", mirror, "--quiet")
        before, deadline = held, time.monotonic() + 20
        while running.poll() is None and time.monotonic() < deadline and held <= before + kill:
            held = len(list(mirror.glob("*.parquet")))
        running.kill()
        running.wait()
        assert all(same(p, root / p.name) for p in mirror.glob("*.parquet")), "a file with its name is whole"
        if running.returncode == 0:
            break
    said = terravec.json("download", "s3://many", "-o", mirror)["report"]
    assert said["fetched"] + said["present"] == 300
    assert all(same(mirror / p.name, p) for p in root.glob("*.parquet"))
    assert "300 files are what was fetched" in terravec("download", mirror, "--verify").stdout
    # Of each file its footer, its size, and then all of it at once.
    stats()
    terravec("download", "s3://many", "-o", tmp_path / "other", "--quiet", "--no-cache")
    assert stats()["requests"] <= 3 * 300 + 10


def test_an_interrupted_download_notes_what_it_has(terravec, tmp_path, big, serve):
    """After a failure in the middle only the rest is fetched."""
    url, _ = serve(big.parent, "--fault", "status:503", "--skip", "8")
    mirror = tmp_path / "mirror"
    failing = s3(terravec, url, TERRAVEC_PATIENCE="1")
    failing.fails(1, "download", "s3://big/a.parquet", "-o", mirror)
    url2, _ = serve(big.parent)
    said = s3(terravec, url2).json("download", "s3://big/a.parquet", "-o", mirror)
    assert same(mirror / "a.parquet", big / "a.parquet")
    # The version is another server's, of the same file: what came before is of use.
    assert said["report"]["resumed_bytes"] + said["report"]["bytes"] == (big / "a.parquet").stat().st_size
    assert said["report"]["resumed_bytes"] > 0


def test_a_mirror_is_checked_and_mended(terravec, tmp_path, big, serve):
    url, _ = serve(big.parent)
    terravec = s3(terravec, url)
    mirror = tmp_path / "mirror"
    terravec("download", "s3://big", "-o", mirror)
    assert "2 files are what was fetched" in terravec("download", mirror, "--verify").stdout
    with open(mirror / "a.parquet", "r+b") as file:
        file.seek(1000)
        file.write(b"tampered")
    assert "damaged" in terravec.fails(1, "download", mirror, "--verify")
    assert not (mirror / "a.parquet").exists()
    assert terravec.json("download", "s3://big", "-o", mirror)["report"]["fetched"] == 1
    assert same(mirror / "a.parquet", big / "a.parquet")
    terravec.fails(1, "download", tmp_path, "--verify")
    # What no mirror put there is not replaced unasked.
    other = tmp_path / "other"
    other.mkdir()
    (other / "a.parquet").write_text("mine")
    assert "--force" in terravec.fails(1, "download", "s3://big", "-o", other)
    assert (other / "a.parquet").read_text() == "mine"
    terravec("download", "s3://big", "-o", other, "--force")
    assert same(other / "a.parquet", big / "a.parquet")


def test_other_bytes_than_published_are_not_kept(terravec, tmp_path, big, serve):
    url, _ = serve(big.parent, "--md5", "--fault", "corrupt", "--skip", "6")
    mirror = tmp_path / "mirror"
    said = s3(terravec, url).fails(1, "download", "s3://big/a.parquet", "-o", mirror)
    assert "MD5" in said and not (mirror / "a.parquet").exists()


def test_a_link_does_not_lead_out_of_the_mirror(terravec, tmp_path, big, serve):
    inner = big / "sub"
    inner.mkdir()
    shutil.copy(big / "a.parquet", inner / "c.parquet")
    url, _ = serve(big.parent)
    mirror, outside = tmp_path / "mirror", tmp_path / "outside"
    mirror.mkdir()
    outside.mkdir()
    (mirror / "sub").symlink_to(outside)
    assert "link" in s3(terravec, url).fails(1, "download", "s3://big", "-o", mirror)
    assert not list(outside.iterdir())


def test_regions_and_limits(terravec, tmp_path, big, serve):
    url, stats = serve(big.parent)
    terravec = s3(terravec, url)
    mirror = tmp_path / "mirror"
    plan = terravec.json("download", "s3://big", "-o", mirror, "--bbox", "5,50,6,51", "--dry-run")
    assert [f["path"] for f in plan["files"]] == ["a.parquet"] and not mirror.exists()
    assert plan["missing_bytes"] == (big / "a.parquet").stat().st_size
    assert "--max-bytes" in terravec.fails(1, "download", "s3://big", "-o", mirror, "--max-bytes", "1MB")
    terravec("download", "s3://big", "-o", mirror, "--bbox", "5,50,6,51", "--max-bytes", "1GB")
    assert [p.name for p in mirror.glob("*.parquet")] == ["a.parquet"]
    # The whole answer of a question is bounded the same way.
    stats()
    out = tmp_path / "o.parquet"
    args = ("extract", "s3://big", "--bbox", "50,50,51,51")
    terravec.fails(1, *args, "-o", out, "--max-bytes", "1MB")
    assert not out.exists() and stats()["bytes"] < 1_000_000
    estimate = terravec.json("estimate", *args)["estimate"]
    assert stats()["bytes"] < 1_000_000
    terravec("info", "s3://big", "--no-cache")
    opening = stats()["bytes"]
    terravec(*args, "-o", out, "--no-cache")
    read = stats()["bytes"] - opening
    assert read <= estimate["bytes"] <= 2 * read + 1_000_000, (read, estimate)


def test_estimates_of_rasters_are_what_is_read(terravec, tmp_path, seam, serve):
    url, stats = serve(seam.root.parent)
    terravec = s3(terravec, url, TERRAVEC_NO_CACHE="1")
    root = f"alphaearth=s3://{seam.root.name}"
    for args in (
        ("extract", root, "--bbox", "5.9925,51.9995,5.998,52.0035", "--year", 2024),
        ("sample", root, "--points", "5.999,52.001", "--year", 2024),
    ):
        estimate = terravec.json("estimate", *args)["estimate"]
        stats()
        # Opening the dataset reads the headers of all its tiles; the estimate is of the question alone.
        terravec("info", root)
        opening = stats()["bytes"]
        terravec(*args, "-o", tmp_path / "o.npy" if args[0] == "extract" else tmp_path / "o.csv")
        read = stats()["bytes"] - opening
        tile = next(seam.root.rglob("*2024-*.tiff")).relative_to(seam.root)
        terravec("coverage", f"{root}/{tile}")
        header = stats()["bytes"]
        # The headers as they are; blocks may come along with them, and overlapping tiles may not be needed.
        blocks = estimate["bytes"] - 65536 * estimate["files"]
        assert blocks / 2 <= read <= blocks + header * estimate["files"], (args, read, header, estimate)
        assert estimate["files_opened"] == estimate["files"] >= 1


def test_what_was_read_is_kept_and_offline_suffices(terravec, tmp_path, seam, serve):
    url, stats = serve(seam.root.parent)
    terravec = s3(terravec, url, TERRAVEC_CACHE_DIR=str(tmp_path / "cache"))
    root = f"alphaearth=s3://{seam.root.name}"
    args = ("extract", root, "--bbox", "5.9925,51.9995,5.998,52.0035", "--year", 2024, "--force", "-o")
    terravec(*args, tmp_path / "cold.npy")
    cold = stats()
    terravec(*args, tmp_path / "warm.npy")
    warm = stats()
    assert warm["bytes"] < cold["bytes"] / 50, (cold, warm)
    terravec("--offline", *args, tmp_path / "offline.npy")
    assert stats()["requests"] == 0
    assert same(tmp_path / "cold.npy", tmp_path / "warm.npy")
    assert same(tmp_path / "cold.npy", tmp_path / "offline.npy")
    info = terravec.json("cache", "info")
    assert info["objects"] >= 2 and info["bytes"] > 10_000
    entry = max((p for p in (tmp_path / "cache").rglob("*-*") if p.is_file()), key=os.path.getsize)
    entry.write_bytes(b"\0" * entry.stat().st_size)
    assert terravec.json("cache", "verify")["removed"] == 1
    terravec(*args, tmp_path / "mended.npy")
    assert same(tmp_path / "cold.npy", tmp_path / "mended.npy")
    assert terravec.json("cache", "clear")["cleared"] > 10_000
    assert terravec.json("cache", "info")["entries"] == 0
    terravec.fails(1, "--offline", "--no-cache", "info", root)


def test_offline_says_what_is_missing(terravec, tmp_path, big, serve):
    url, stats = serve(big.parent)
    terravec = s3(terravec, url, TERRAVEC_CACHE_DIR=str(tmp_path / "cache"))
    args = ("extract", "s3://big", "-o", tmp_path / "o.parquet", "--force", "--bbox")
    terravec(*args, "5,50,5.3,51")
    stats()
    terravec("--offline", *args, "5,50,5.3,51")
    said = terravec.fails(1, "--offline", *args, "50,50,51,51")
    assert "b.parquet" in said and "--offline" in said and "bytes" in said
    assert "--offline" in terravec.fails(1, "--offline", "info", "s3://big/sub")
    assert stats()["requests"] == 0


def test_coverage_says_why_there_is_nothing(terravec, tmp_path, seam):
    root = f"alphaearth={seam.root}"
    said = terravec.json("coverage", root, "--bbox", "52,5.9,52.1,6.1")
    assert said["tiles"] == [] and any("swap" in r for r in said["reasons"])
    out = tmp_path / "c.geojson"
    terravec("coverage", root, "--year", 2024, "-o", out)
    footprints = json.loads(out.read_text())["features"]
    listed = terravec.json("coverage", root, "--year", 2024)["tiles"]
    assert len(footprints) == len(listed) == 4
    for feature, tile in zip(footprints, listed, strict=True):
        assert np.allclose(shapely.geometry.shape(feature["geometry"]).bounds, tile["bbox"])
        assert feature["properties"]["path"] == tile["path"]
    terravec("coverage", root, "--bbox", "5.9,51.9,6.1,52.1", "-o", tmp_path / "c.png")
    assert (tmp_path / "c.png").read_bytes().startswith(b"\x89PNG")
    terravec.fails(2, "coverage", root, "-o", tmp_path / "c.txt")
    terravec.fails(1, "coverage", root, "-o", out)


def test_a_mirror_of_an_indexed_archive_has_its_part_of_the_index(terravec, tmp_path, seam, serve):
    from test_remote import make_indexed

    indexed = make_indexed(seam, tmp_path / "indexed")
    url, _ = serve(indexed)
    mirror = tmp_path / "mirror"
    root = f"alphaearth={url}"
    terravec("download", root, "--bbox", "5.9,51.9,5.999,52.1", "--year", 2024, "-o", mirror)
    held = {p.relative_to(mirror).as_posix() for p in mirror.rglob("*.tiff")}
    rows = pq.read_table(mirror / "aef_index.parquet")["path"].to_pylist()
    assert held and {"/".join(r.split("/")[-3:]) for r in rows} == held
    assert terravec.json("info", f"alphaearth={mirror}")["tiles"] == len(held)
    terravec("download", root, "--year", 2024, "-o", mirror)
    assert terravec.json("info", f"alphaearth={mirror}")["tiles"] == 4
    assert json.loads((mirror / ".terravec" / "mirror.jsonl").read_text().strip().splitlines()[-1])["sha256"]
