"""NumPy tiles: codes, the scales beside them, and a landmask that says where they lie; and arrays of our own."""

import json
import shutil

import fixtures
import numpy as np
import oracle
import pyarrow.parquet as pq
import pytest
import rasterio
from fixtures import write_geojson, write_points_csv
from oracle import Grid

RNG = np.random.default_rng(7)
BANDS = 128


class Archive:
    """A corner of the TESSERA archive: tiles on both sides of the seam of two UTM zones at 6° E."""

    def __init__(self, root, version="v1", landmasks="v1", year=2024):
        self.root, self.version, self.year = root, version, year
        self.tiles = {}
        for lon, lat, zone in [(5.95, 52.05, 31), (6.05, 52.05, 32)]:
            self.add(lon, lat, zone, landmasks)

    def add(self, lon, lat, zone, landmasks):
        crs = f"EPSG:326{zone}"
        x, y = oracle.from_lonlat(crs, lon - 0.05, lat + 0.05)
        grid = Grid(crs, rasterio.Affine(10, 0, 10 * round(x / 10), 0, -10, 10 * round(y / 10)), 60, 50)
        codes = RNG.integers(-127, 128, (50, 60, BANDS), np.int8)
        scales = RNG.uniform(0.01, 0.12, (50, 60)).astype(np.float32)
        land = np.ones((1, 50, 60), np.uint8)
        scales[3:5, 7:9] = np.nan  # water by the landmask
        land[0, 3:5, 7:9] = 0
        scales[10, 10] = np.inf  # land without data
        scales[11, 11] = np.nan  # land, whatever the scale is
        scales[12, 12] = 161685.0  # corrupt
        scales[13, 13] = -0.05
        scales[14, 14] = 0.0
        name = f"grid_{lon:.2f}_{lat:.2f}"
        folder = self.root / "npy" / self.version / str(self.year) / name
        folder.mkdir(parents=True)
        np.save(folder / f"{name}.npy", codes)
        np.save(folder / f"{name}_scales.npy", scales)
        mask = self.root / "landmasks" / landmasks / f"{name}.tiff"
        fixtures.write_geotiff(mask, land, grid)
        self.tiles[lon] = (folder / f"{name}.npy", codes, scales, grid)

    @property
    def tiles_root(self):
        return self.root / "npy" / self.version


def decoded(codes, scales):
    """geotessera's formula, NaN where the scale is none."""
    good = np.isfinite(scales) & (scales > 0) & (scales < 1)
    with np.errstate(invalid="ignore"):
        values = codes.astype(np.float32) * scales[..., None]
    values[~good] = np.nan
    return values


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    return Archive(tmp_path_factory.mktemp("tessera_npy"))


def rows(table):
    out = np.full((len(table), BANDS), np.nan, np.float32)
    valid = np.array(table["embedding"].combine_chunks().is_valid())
    flat = table["embedding"].combine_chunks().drop_null().flatten()
    out[valid] = flat.to_numpy(zero_copy_only=False).reshape(-1, BANDS)
    return out


def centers(grid, pixels):
    cols, rows_ = np.array(pixels, float).T + 0.5
    return oracle.to_lonlat(grid.crs, *(grid.transform @ (cols, rows_)))


def test_points_have_the_value_of_their_pixel_and_say_why_not(terravec, tmp_path, archive):
    pixels = [(0, 0), (7, 3), (10, 10), (11, 11), (12, 12), (13, 13), (14, 14), (59, 49)]
    _, codes, scales, grid = archive.tiles[5.95]
    lon, lat = centers(grid, pixels)
    points = write_points_csv(tmp_path / "p.csv", [*lon, 7.0], [*lat, 52.0])
    table = terravec.table(
        f"tessera-npy={archive.tiles_root}", "--points", points, out=tmp_path / "o.parquet"
    )
    assert table["status"].to_pylist() == ["valid", "water", *["nodata"] * 5, "valid", "outside"]
    want = np.array([decoded(codes, scales)[r, c] for c, r in pixels])
    np.testing.assert_array_equal(rows(table)[:-1], want)
    provenance = json.loads(table.schema.metadata[b"terravec"])
    assert (provenance["product"], provenance["version"]) == ("tessera-npy", "1.0-vultr")
    assert provenance["years"] == [2024]


def test_codes_come_with_their_scale(terravec, tmp_path, archive):
    _, codes, scales, grid = archive.tiles[6.05]
    lon, lat = centers(grid, [(20, 30), (7, 3)])
    points = write_points_csv(tmp_path / "p.csv", lon, lat)
    table = terravec.table(archive.root / "npy", "--points", points, "--codes", out=tmp_path / "o.parquet")
    got = table["codes"].combine_chunks()
    np.testing.assert_array_equal(got[0].as_py(), codes[30, 20])
    assert table["scale"].to_pylist() == [pytest.approx(scales[30, 20]), None]


def test_a_window_over_the_seam_of_zones_takes_each_pixel_once(terravec, tmp_path, archive):
    _, codes, scales, grid = archive.tiles[5.95]
    out = tmp_path / "o.tif"
    west, south, east, north = 5.9, 52.0955, 5.9075, 52.1
    terravec(
        "extract", f"tessera-npy={archive.tiles_root}", "--bbox", f"{west},{south},{east},{north}", "-o", out
    )
    with rasterio.open(out) as src:
        got, at = src.read(), ~grid.transform @ (src.transform.c, src.transform.f)
    col, row = round(at[0]), round(at[1])
    # The window may begin before the tile.
    inside = np.s_[:, max(-row, 0) :, max(-col, 0) :]
    got = got[inside]
    want = decoded(codes, scales)[max(row, 0) :, max(col, 0) :][: got.shape[1], : got.shape[2]]
    np.testing.assert_array_equal(got, np.moveaxis(want, -1, 0))


def test_all_of_it_as_codes_and_back(terravec, tmp_path, archive):
    """NPY → NPY with scales → COG of vectors: the vectors are those of the archive."""
    source, codes, scales, grid = archive.tiles[5.95]
    terravec("convert", source, tmp_path / "codes.npy", "--codes")
    np.testing.assert_array_equal(np.load(tmp_path / "codes.npy")[:, 20:], np.moveaxis(codes, -1, 0)[:, 20:])
    info = terravec.json("info", tmp_path / "codes.npy")
    assert (info["product"], info["years"]) == ("tessera-npy", {"2024": 1})
    terravec("convert", tmp_path / "codes.npy", tmp_path / "o.tif")
    with rasterio.open(tmp_path / "o.tif") as src:
        assert src.crs == grid.crs and src.transform == grid.transform
        np.testing.assert_array_equal(src.read(), np.moveaxis(decoded(codes, scales), -1, 0))
    said = terravec.fails(1, "convert", tmp_path / "codes.npy", tmp_path / "c.tif", "--codes")
    assert "scale" in said and ".npy" in said
    water = np.load(tmp_path / "codes_scales.npy")
    assert np.isnan(water[3:5, 7:9]).all() and np.isinf(water[10, 10]) and np.isinf(water[12, 12])


def test_old_files_with_a_scale_per_number(terravec, tmp_path, archive):
    shutil.copytree(archive.root, tmp_path / "t")
    tile = next((tmp_path / "t").rglob("grid_5.95_52.05.npy"))
    _, codes, scales, _grid = archive.tiles[5.95]
    each = scales[..., None] * RNG.uniform(0.5, 1.0, (50, 60, BANDS)).astype(np.float32)
    np.save(tile.with_name("grid_5.95_52.05_scales.npy"), each)
    terravec("convert", tile, tmp_path / "o.tif")
    with rasterio.open(tmp_path / "o.tif") as src:
        got = src.read()
    good = (np.isfinite(each) & (each > 0) & (each < 1)).all(-1)
    with np.errstate(invalid="ignore"):
        want = np.where(good[..., None], codes.astype(np.float32) * each, np.nan)
    np.testing.assert_array_equal(got, np.moveaxis(want, -1, 0))


def test_variants_never_mix(terravec, tmp_path, archive):
    shutil.copytree(archive.root, tmp_path / "t")
    Archive(tmp_path / "t", version="v1.1-cam", landmasks="v1.1")
    both = tmp_path / "t" / "npy"
    said = terravec.fails(1, "info", both)
    assert "1.0-vultr, 1.1-cambridge" in said and "tessera-npy@1.0-vultr=" in said
    assert terravec.json("info", f"tessera-npy@1.1-cambridge={both}")["tiles"] == 2
    said = terravec.fails(1, "info", f"tessera-npy@1.1-cambridge={both / 'v1'}")
    assert "never mix" in said


def test_tiles_that_lack_something_are_left_out_and_said(terravec, tmp_path, archive):
    shutil.copytree(archive.root, tmp_path / "t")
    root = tmp_path / "t" / "npy" / "v1"
    next(root.rglob("grid_5.95_52.05_scales.npy")).unlink()
    info = terravec.json("info", f"tessera-npy={root}")
    assert info["tiles"] == 1
    assert "1 of 2 tiles" in info["notes"][0] and "scales" in info["notes"][0]
    said = terravec.fails(1, "info", next(root.rglob("grid_5.95_52.05.npy")))
    assert "scales" in said
    shutil.rmtree(tmp_path / "t" / "landmasks")
    said = terravec.fails(1, "info", next(root.rglob("grid_6.05_52.05.npy")))
    assert "nothing says where it lies" in said and "landmasks" in said


@pytest.mark.parametrize("damage", ["cut", "objects", "lying", "shape"])
def test_damaged_files_are_refused(terravec, tmp_path, archive, damage):
    shutil.copytree(archive.root, tmp_path / "t")
    tile = next((tmp_path / "t").rglob("grid_5.95_52.05.npy"))
    if damage == "cut":
        tile.write_bytes(tile.read_bytes()[:5000])
    elif damage == "objects":
        np.save(tile, np.array([{"a": 1}], object), allow_pickle=True)
    elif damage == "lying":
        tile.write_bytes(tile.read_bytes().replace(b"(50, 60, 128)", b"(50, 60, 999)"))
    else:
        np.save(tile, np.zeros((50, 61, BANDS), np.int8))
    said = terravec.fails(1, "info", tile)
    assert {"cut": "promises", "objects": "objects", "lying": "promises", "shape": "61"}[damage] in said


def test_a_tile_over_http_reads_what_it_needs(terravec, tmp_path, archive, serve):
    url, stats = serve(archive.root)
    tile, codes, scales, grid = archive.tiles[6.05]
    lon, lat = centers(grid, [(20, 30)])
    stats()
    points = write_points_csv(tmp_path / "p.csv", lon, lat)
    address = f"tessera-npy={url}/{tile.relative_to(archive.root)}"
    table = terravec.table(address, "--points", points, out=tmp_path / "o.parquet")
    np.testing.assert_array_equal(rows(table)[0], decoded(codes, scales)[30, 20])
    # Headers, a row of numbers and a landmask: not the 384 kB of codes.
    assert stats()["bytes"] < 200_000


def test_regions_and_means(terravec, tmp_path, archive):
    _, codes, scales, grid = archive.tiles[5.95]
    (west, north), (east, south) = (grid.transform @ (22.0, 22.0)), (grid.transform @ (30.0, 30.0))
    xs, ys = oracle.to_lonlat(
        grid.crs, np.array([west, east, east, west]), np.array([north, north, south, south])
    )
    ring = [[*p] for p in zip(xs, ys, strict=True)]
    write_geojson(tmp_path / "r.geojson", [{"type": "Polygon", "coordinates": [[*ring, ring[0]]]}])
    out = tmp_path / "o.parquet"
    terravec(
        "extract",
        f"tessera-npy={archive.tiles_root}",
        "--region",
        tmp_path / "r.geojson",
        "--reduce",
        "mean",
        "-o",
        out,
    )
    want = decoded(codes, scales)[22:30, 22:30].reshape(-1, BANDS).mean(0)
    np.testing.assert_allclose(rows(pq.read_table(out))[0], want, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("suffix", ["tif", "npy"])
def test_our_own_outputs_say_what_they_are(terravec, tmp_path, seam, suffix):
    """A file written by `extract` opens again as the product, version and year that it is of."""
    raster = seam.rasters[31, 2024]
    lon, lat = centers(raster.grid, [(5, 5), (25, 25)])
    box = f"{lon.min()},{lat.min()},{lon.max()},{lat.max()}"
    for flags in ([], ["--codes"]):
        out = tmp_path / f"x{len(flags)}.{suffix}"
        terravec("extract", f"alphaearth={seam.root}", "--bbox", box, "--year", "2024", *flags, "-o", out)
        info = terravec.json("info", out)
        assert (info["product"], list(info["years"])) == ("alphaearth", ["2024"])
        points = write_points_csv(tmp_path / "p.csv", lon, lat)
        got = terravec.table(out, "--points", points, out=tmp_path / f"g{len(flags)}.parquet")
        want = terravec.table(
            f"alphaearth={seam.root}",
            "--points",
            points,
            "--year",
            "2024",
            out=tmp_path / f"w{len(flags)}.parquet",
        )
        assert got["embedding"].to_pylist() == want["embedding"].to_pylist()


DTYPES = ["u1", "i1", "u2", "i2", "u4", "i4", "f2", "f4", "f8"]


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", [f"{end}{d}" for d in DTYPES for end in "<>"])
def test_every_array_that_numpy_writes(terravec, tmp_path, dtype, order, version):
    values = np.asarray(RNG.integers(0, 100, (3, 7, 9)), dtype=dtype, order=order)
    with open(tmp_path / "a.npy", "wb") as file:
        np.lib.format.write_array(file, values, version=version)
    grid = {"crs": "EPSG:32631", "transform": [10, 0, 500000, 0, -10, 5e6], "width": 9, "height": 7}
    (tmp_path / "a.json").write_text(json.dumps({"grid": grid}))
    codes = [] if np.dtype(dtype).kind == "f" else ["--codes"]
    terravec("convert", tmp_path / "a.npy", tmp_path / "o.tif", *codes)
    with rasterio.open(tmp_path / "o.tif") as src:
        np.testing.assert_array_equal(src.read(), values)


def test_an_array_without_a_place_is_refused(terravec, tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((4, 5, 6), np.float32))
    assert "JSON file" in terravec.fails(1, "info", tmp_path / "a.npy")
