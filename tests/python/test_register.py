"""Archives too large to be listed: their manifests say which tiles there are, and only those that a question needs are opened."""

import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import rasterio
from fixtures import write_geojson, write_points_csv
from test_npy import Archive, centers, decoded, rows

MILLIONS = 200_000


def manifest(archive, path, version=("1.0", "vultr"), more=0, seed=5):
    """The table that lists the archive's tiles, and `more` that are not there, far away."""
    rng = np.random.default_rng(seed)
    lines = []
    for lon, (file, _, _, _) in archive.tiles.items():
        scales = file.with_name(file.name.replace(".npy", "_scales.npy"))
        lines.append((archive.year, lon, 52.05, file.stat().st_size, scales.stat().st_size))
    lon = np.round(rng.integers(-1800, -100, more) / 10 + 0.05, 2)
    lat = np.round(rng.integers(-600, 0, more) / 10 + 0.05, 2)
    years = rng.integers(2017, 2025, more)
    frame = pd.DataFrame(lines, columns=["year", "lon", "lat", "grid_size", "scales_size"])
    far = pd.DataFrame({"year": years, "lon": lon, "lat": lat, "grid_size": 1, "scales_size": 1})
    frame = pd.concat([far, frame]).drop_duplicates(["year", "lon", "lat"])
    if version:
        frame["version"], frame["variant"] = version
    pq.write_table(pa.Table.from_pandas(frame, preserve_index=False), path, row_group_size=50_000)
    return frame


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    archive = Archive(tmp_path_factory.mktemp("registered"))
    archive.frame = manifest(archive, archive.tiles_root / "manifest.parquet", more=MILLIONS)
    return archive


@pytest.fixture(scope="module")
def served(serve, archive):
    return serve(archive.root)


def test_a_manifest_stands_for_a_list(terravec, archive, served):
    url, stats = served
    stats()
    info = terravec.json("info", f"tessera-npy={url}/npy/v1")
    counts = archive.frame.groupby("year").size()
    assert info["years"] == {str(y): n for y, n in counts.items()}
    assert info["tiles"] == len(archive.frame)
    assert info["bbox"][0] == pytest.approx(archive.frame["lon"].min() - 0.05)
    # The manifest, and one tile with its scales and its landmask; those that are tried first are not there.
    assert stats()["requests"] < 40


def test_points_find_their_tiles(terravec, tmp_path, archive, served):
    url, _stats = served
    _, codes, scales, grid = archive.tiles[5.95]
    _, codes2, scales2, grid2 = archive.tiles[6.05]
    pixels = [(0, 0), (7, 3), (59, 49)]
    lon, lat = centers(grid, pixels)
    lon2, lat2 = centers(grid2, [(5, 6)])
    points = write_points_csv(tmp_path / "p.csv", [*lon, *lon2, 7.0], [*lat, *lat2, 52.0])
    spec = f"tessera-npy={url}/npy/v1"
    table = terravec.table(spec, "--points", points, "--year", 2024, out=tmp_path / "o.parquet")
    assert table["status"].to_pylist() == ["valid", "water", "valid", "valid", "outside"]
    want = [decoded(codes, scales)[r, c] for c, r in pixels] + [decoded(codes2, scales2)[6, 5]]
    np.testing.assert_array_equal(rows(table)[:4], np.array(want))
    provenance = json.loads(table.schema.metadata[b"terravec"])
    assert provenance["version"] == "1.0-vultr"
    assert all("grid_" in s for s in provenance["sources"])
    # The same by the folder itself.
    local = terravec.table(
        f"tessera-npy={archive.tiles_root}", "--points", points, "--year", 2024, out=tmp_path / "l.parquet"
    )
    assert local.drop_columns("product").equals(table.drop_columns("product"))


def test_windows_and_polygons_find_their_tiles(terravec, tmp_path, archive, served):
    url, _ = served
    spec, local = f"tessera-npy={url}/npy/v1", f"tessera-npy={archive.tiles_root}"
    grid = archive.tiles[5.95][3]
    lon, lat = centers(grid, [(10, 40), (50, 8)])
    box = f"{lon[0]},{lat[0]},{lon[1]},{lat[1]}"
    for root, out in [(spec, "far.tif"), (local, "near.tif")]:
        terravec("extract", root, "--bbox", box, "--year", 2024, "-o", tmp_path / out)
    with rasterio.open(tmp_path / "far.tif") as far, rasterio.open(tmp_path / "near.tif") as near:
        assert far.transform == near.transform and far.crs == near.crs
        np.testing.assert_array_equal(far.read(), near.read())
    import shapely.geometry

    field = shapely.geometry.box(lon[0], lat[0], lon[1], lat[1])
    far_away = shapely.geometry.box(-5, 10, -4.9, 10.1)
    shapes = [shapely.geometry.mapping(g) for g in (field, far_away)]
    region = write_geojson(tmp_path / "r.geojson", shapes)
    tables = []
    for root, out in [(spec, "far.parquet"), (local, "near.parquet")]:
        terravec(
            "extract", root, "--region", region, "--reduce", "mean", "--year", 2024, "-o", tmp_path / out
        )
        tables.append(pq.read_table(tmp_path / out))
    assert tables[0]["status"].to_pylist() == ["valid", "outside"]
    assert tables[0]["embedding"].equals(tables[1]["embedding"])


def test_coverage_opens_nothing(terravec, archive, served):
    url, stats = served
    spec = f"tessera-npy={url}/npy/v1"
    stats()
    found = terravec.json("coverage", spec, "--bbox", "5.9,52,6.1,52.1")["tiles"]
    assert sorted(t["path"].split("/")[1] for t in found) == ["grid_5.95_52.05", "grid_6.05_52.05"]
    assert [round(v, 2) for v in found[0]["bbox"]] in ([5.9, 52.0, 6.0, 52.1], [6.0, 52.0, 6.1, 52.1])
    frame = archive.frame
    inside = frame[(frame.lon < -99.97) & (frame.lon > -110.03) & (frame.lat < 0) & (frame.lat > -10.03)]
    far = terravec.json("coverage", spec, "--bbox", "-109.99,-9.99,-100.01,-0.01", "--year", "2019,2020")
    years = inside[inside.year.isin([2019, 2020])]
    assert len(far["tiles"]) == len(years) > 100
    other = terravec.json("coverage", spec, "--bbox", "5.9,52,6.1,52.1", "--year", 2020)
    assert other["tiles"] == [] and any("2024" in r for r in other["reasons"])
    assert stats()["requests"] < 60


def test_a_question_that_needs_too_much_is_refused(terravec, archive, served, tmp_path):
    url, _ = served
    spec = f"tessera-npy={url}/npy/v1"
    said = terravec.fails(1, "extract", spec, "--bbox", "-180,-60,-10,0", "-o", tmp_path / "x.tif")
    assert "tiles that this question needs" in said


@pytest.mark.parametrize(
    "change, said",
    [
        (lambda f: f.drop(columns="lon"), "no column `lon`"),
        (lambda f: f.assign(lat=f.lat + 100), "no such year or place"),
        (lambda f: f.assign(year=None), "null"),
        (lambda f: f.iloc[:0], "lists no tile"),
        (lambda f: pd.concat([f, f.assign(variant="other")]), "1.0-other, 1.0-vultr"),
        (lambda f: f.assign(variant="other"), "none of tessera-npy@1.0-vultr"),
    ],
)
def test_a_manifest_that_is_none(terravec, tmp_path, serve, change, said):
    archive = Archive(tmp_path)
    frame = change(manifest(archive, tmp_path / "m.parquet"))
    frame = frame.astype({"year": "float64"}) if frame["year"].isna().any() else frame
    path = archive.tiles_root / "manifest.parquet"
    pq.write_table(pa.Table.from_pandas(frame, preserve_index=False), path)
    url, _ = serve(tmp_path)
    at = "tessera-npy@1.0-vultr" if "none of" in said else "tessera-npy"
    if "1.0-other" in said:
        # A folder that names no variant.
        archive.tiles_root.rename(archive.root / "npy" / "all")
        error = terravec.fails(1, "info", f"{at}={url}/npy/all")
    else:
        error = terravec.fails(1, "info", f"{at}={url}/npy/v1")
    assert said in error


def test_without_a_manifest_nobody_can_tell(terravec, tmp_path, serve):
    Archive(tmp_path)
    url, _ = serve(tmp_path)
    assert "manifest.parquet" in terravec.fails(1, "info", f"tessera-npy={url}/npy/v1")


def test_a_tile_without_landmask_is_left_out(terravec, tmp_path, serve):
    archive = Archive(tmp_path)
    manifest(archive, archive.tiles_root / "manifest.parquet")
    (tmp_path / "landmasks" / "v1" / "grid_6.05_52.05.tiff").unlink()
    url, _ = serve(tmp_path)
    lon, lat = zip(
        *[[*map(float, np.ravel(centers(archive.tiles[t][3], [(5, 6)])))] for t in (5.95, 6.05)], strict=False
    )
    points = write_points_csv(tmp_path / "p.csv", lon, lat)
    spec = f"tessera-npy={url}/npy/v1"
    table = terravec.table(spec, "--points", points, out=tmp_path / "o.parquet")
    assert table["status"].to_pylist() == ["valid", "outside"]
    (tmp_path / "landmasks" / "v1" / "grid_5.95_52.05.tiff").unlink()
    url, _ = serve(tmp_path)
    error = terravec.fails(1, "sample", f"tessera-npy={url}/npy/v1", "--points", points)
    assert "nothing says where it lies" in error


def test_tiles_that_are_not_there_or_lack_scales_are_left_out(terravec, tmp_path, serve):
    archive = Archive(tmp_path)
    manifest(archive, archive.tiles_root / "manifest.parquet")
    archive.add(6.15, 52.05, 32, "v1")
    manifest(archive, archive.tiles_root / "manifest.parquet")
    archive.tiles[6.15][0].unlink()
    gone = archive.tiles[6.05][0]
    gone.with_name(gone.name.replace(".npy", "_scales.npy")).unlink()
    url, _ = serve(tmp_path)
    spec = f"tessera-npy={url}/npy/v1"
    assert terravec.json("info", spec)["tiles"] == 3
    at = [[*map(float, np.ravel(centers(archive.tiles[t][3], [(5, 6)])))] for t in (5.95, 6.05, 6.15)]
    points = write_points_csv(tmp_path / "p.csv", *zip(*at, strict=True))
    table = terravec.table(spec, "--points", points, out=tmp_path / "o.parquet")
    assert table["status"].to_pylist() == ["valid", "outside", "outside"]
    alone = write_points_csv(tmp_path / "q.csv", *zip(at[2], strict=True))
    error = terravec.fails(1, "sample", spec, "--points", alone)
    assert "grid_6.15_52.05.npy" in error or "scales that belong to it are missing" in error


def test_tiles_of_a_region_are_mirrored(terravec, tmp_path, archive, served):
    url, _stats = served
    spec, mirror = f"tessera-npy={url}/npy/v1", tmp_path / "mirror"
    grid = archive.tiles[5.95][3]
    lon, lat = centers(grid, [(10, 40), (40, 8)])
    box = f"{lon[0]},{lat[0]},{lon[1]},{lat[1]}"
    plan = terravec.json("download", spec, "-o", mirror, "--bbox", box, "--year", 2024, "--dry-run")
    name = "grid_5.95_52.05"
    assert sorted(f["path"] for f in plan["files"]) == [
        f"landmasks/v1/{name}.tiff",
        f"npy/v1/2024/{name}/{name}.npy",
        f"npy/v1/2024/{name}/{name}_scales.npy",
    ]
    for file in plan["files"]:
        assert file["bytes"] == (archive.root / file["path"]).stat().st_size
    terravec("download", spec, "-o", mirror, "--bbox", box, "--year", 2024)
    for file in plan["files"]:
        assert (mirror / file["path"]).read_bytes() == (archive.root / file["path"]).read_bytes()
    points = write_points_csv(tmp_path / "p.csv", lon, lat)
    far = terravec.table(spec, "--points", points, "--year", 2024, out=tmp_path / "far.parquet")
    near = terravec.table(f"tessera-npy={mirror}", "--points", points, out=tmp_path / "near.parquet")
    assert near["embedding"].equals(far["embedding"])
    assert json.loads(near.schema.metadata[b"terravec"])["version"] == "1.0-vultr"
    again = terravec.json("download", spec, "-o", mirror, "--bbox", box, "--year", 2024)
    assert again["report"]["bytes"] == 0 and again["report"]["present"] == 3


def test_a_mirror_does_without_what_the_list_alone_has(terravec, tmp_path, serve):
    archive = Archive(tmp_path / "there")
    manifest(archive, archive.tiles_root / "manifest.parquet")
    gone = archive.tiles[6.05][0]
    gone.unlink()
    gone.with_name(gone.name.replace(".npy", "_scales.npy")).unlink()
    url, _ = serve(archive.root)
    spec, mirror = f"tessera-npy={url}/npy/v1", tmp_path / "mirror"
    said = terravec.json("download", spec, "-o", mirror)["report"]
    assert (said["fetched"], said["left_out"]) == (4, 2)
    assert not list((mirror / ".terravec" / "parts").glob("*"))
    assert terravec.json("info", f"tessera-npy={mirror}")["tiles"] == 1
    again = terravec("download", spec, "-o", mirror).stdout
    assert "4 were there" in again and "2 that its list names are not at the host" in again


def test_a_folder_of_numpy_tiles_is_mirrored(terravec, tmp_path, archive):
    """A local archive has no manifest that is read, and is copied the same way."""
    mirror = tmp_path / "mirror"
    terravec("download", f"tessera-npy={archive.tiles_root}", "-o", mirror, "--bbox", "5.9,52,6.1,52.1")
    kept = sorted(p.name for p in mirror.rglob("*") if p.is_file() and ".terravec" not in str(p))
    assert len(kept) == 6 and "grid_6.05_52.05.tiff" in kept
    assert terravec.json("info", mirror)["tiles"] == 2


def test_an_array_of_our_own_is_mirrored(terravec, tmp_path, archive, serve):
    own = tmp_path / "own"
    own.mkdir()
    terravec(
        "extract",
        f"tessera-npy={archive.tiles_root}",
        "--bbox",
        "5.94,52.0,6.0,52.1",
        "--codes",
        "-o",
        own / "a.npy",
    )
    url, _ = serve(own)
    mirror = tmp_path / "mirror"
    terravec("download", f"{url}/a.npy", "-o", mirror)
    names = sorted(p.name for p in mirror.iterdir() if p.is_file())
    assert names == ["a.json", "a.npy", "a_scales.npy"]
    near, far = terravec.json("info", mirror / "a.npy"), terravec.json("info", own / "a.npy")
    assert near["grid"] == far["grid"] and near["product"] == far["product"]


def test_the_registry_beside_a_store_says_which_shards_hold_vectors(terravec, tmp_path, serve):
    """Latest word first: a shard that was refused later, one that was filled later, one of another zone, one far away."""
    from test_zarr import Icechunk

    repository = Icechunk(tmp_path)
    west, south, east, north = terravec.json("info", repository.path)["bbox"]
    middle = (west + east) / 2
    line = {"bbox_west": west, "bbox_south": south, "bbox_east": middle, "bbox_north": north}
    right = {**line, "bbox_west": middle, "bbox_east": east}
    parts = tmp_path / "dclimate.registry" / "parts"

    def write(zone, year, run, rows):
        folder = parts / f"zone={zone}" / f"year={year}"
        folder.mkdir(parents=True, exist_ok=True)
        frame = pd.DataFrame(rows)
        frame["assembled_at"] = pd.to_datetime(frame["assembled_at"], utc=True)
        frame.to_parquet(folder / f"{run}.parquet")

    early, late = "2026-01-01T00:00:00", "2026-05-01T00:00:00"
    first = [
        {"tile": "chunk_0_0", **line, "embedded": True, "assembled_at": early},
        {"tile": "chunk_0_1", **right, "embedded": False, "assembled_at": early},
        {"tile": "chunk_1_0", **line, "embedded": True, "assembled_at": early},
    ]
    second = [
        {"tile": "chunk_0_1", **right, "embedded": True, "assembled_at": late},
        {"tile": "chunk_1_0", **line, "embedded": False, "assembled_at": late},
    ]
    write("33S", 2024, "a", second)
    write("33S", 2024, "b", first)
    write("33S", 2023, "a", first)
    write("34S", 2024, "a", first)
    spec = f"tessera-icechunk={repository.path}"
    found = terravec.json("coverage", spec)["tiles"]
    assert [(t["path"], t["year"]) for t in found] == [("33S/chunk_0_0", 2024), ("33S/chunk_0_1", 2024)]
    assert found[0]["bbox"] == pytest.approx([west, south, middle, north])
    quarter = (middle + east) / 2
    box = f"{quarter},{south},{east},{north}"
    assert [t["path"] for t in terravec.json("coverage", spec, "--bbox", box)["tiles"]] == ["33S/chunk_0_1"]
    # Where hosts can't be asked for a list, zones have to do.
    url, _ = serve(tmp_path)
    far = terravec.json("coverage", f"tessera-icechunk={url}/{repository.path.name}")["tiles"]
    assert [t["path"] for t in far] == ["33S"]
