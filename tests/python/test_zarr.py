"""Zarr stores in the layouts of products: points, windows and seams against the arrays that zarr-python wrote."""

import json
import shutil

import numpy as np
import oracle
import pytest
import rasterio
import stores
import zarr
from fixtures import write_points_csv

pytestmark = pytest.mark.filterwarnings("ignore:Consolidated metadata")


@pytest.fixture(scope="module")
def tessera(tmp_path_factory):
    return stores.TesseraZarr(tmp_path_factory.mktemp("tessera_zarr"))


@pytest.fixture(scope="module", params=[False, True], ids=["now", "march"])
def mosaic(tmp_path_factory, request):
    return stores.AlphaEarthMosaic(tmp_path_factory.mktemp("mosaic"), old=request.param)


def vectors(table, bands):
    column = table["embedding"].combine_chunks()
    out = np.full((len(table), bands), np.nan, np.float32)
    flat = column.drop_null().flatten().to_numpy(zero_copy_only=False)
    out[np.array(column.is_valid())] = flat.reshape(-1, bands)
    return out


def centers(grid, pixels):
    cols, rows = np.array(pixels, float).T + 0.5
    return oracle.to_lonlat(grid.crs, *(grid.transform @ (cols, rows)))


def test_info_says_what_the_store_is(terravec, tessera):
    info = terravec.json("info", tessera.path)
    assert info["product"] == "tessera-zarr"
    assert info["years"] == {"2023": 2, "2024": 2}
    assert info["crs"] == ["EPSG:32631", "EPSG:32632"]
    assert info["layout"] == "Zarr v3, (time, band, y, x), 32×32 chunks in shards of 64×64, blosc"
    assert info["notes"] == []


def test_points_have_the_value_of_their_pixel_and_say_why_not(terravec, tmp_path, tessera):
    pixels = [(0, 0), (7, 3), (10, 10), (12, 12), (13, 13), (14, 14), (223, 159), (100, 80)]
    codes, scales, grid = tessera.zones[31]
    # West of the seam, where only zone 31 has a store.
    lon, lat = centers(grid, pixels)
    points = write_points_csv(tmp_path / "p.csv", [*lon, 7.0], [*lat, 52.0])
    table = terravec.table(tessera.path, "--points", points, "--year", 2023, out=tmp_path / "o.parquet")
    assert table["status"].to_pylist()[:6] == ["valid", "water", *["nodata"] * 4]
    assert table["status"].to_pylist()[-1] == "outside"
    values = stores.decoded(codes[0], scales[0])
    want = np.array([values[:, r, c] for c, r in pixels])
    np.testing.assert_array_equal(vectors(table, 128)[:-1][:6], want[:6])
    np.testing.assert_array_equal(vectors(table, 128)[7], want[7])


def test_a_chunk_never_written_has_no_vectors(terravec, tmp_path, tessera):
    _, _, grid = tessera.zones[32]
    lon, lat = centers(grid, [(223, 159)])
    points = write_points_csv(tmp_path / "p.csv", lon, lat)
    table = terravec.table(tessera.path, "--points", points, out=tmp_path / "o.parquet")
    assert table["status"].to_pylist() == ["valid", "nodata"]


@pytest.mark.parametrize("zone", [31, 32])
def test_a_window_on_the_stores_own_grid_is_the_array(terravec, tmp_path, tessera, zone):
    codes, scales, grid = tessera.zones[zone]
    # The part that only this zone covers.
    cols = slice(3, 90) if zone == 31 else slice(130, 219)
    x0, y0 = grid.transform @ (cols.start + 0.2, 70.2)
    x1, y1 = grid.transform @ (cols.stop - 0.2, 20.2)
    corners = oracle.to_lonlat(grid.crs, [x0, x1, x0, x1], [y0, y0, y1, y1])
    box = ",".join(f"{v:.9f}" for v in (min(corners[0]), min(corners[1]), max(corners[0]), max(corners[1])))
    out = tmp_path / "o.tif"
    terravec("extract", tessera.path, "--bbox", box, "--year", 2024, "--crs", grid.crs, "-o", out)
    with rasterio.open(out) as src:
        got = src.read()
        at = ~grid.transform @ (src.transform.c, src.transform.f)
        assert src.crs.to_string() == grid.crs
    col, row = round(at[0]), round(at[1])
    want = stores.decoded(codes, scales)[1]
    want = want[:, row : row + got.shape[1], col : col + got.shape[2]]
    mine = slice(max(cols.start - col, 0), min(cols.stop - col, want.shape[2]))
    np.testing.assert_array_equal(got[:, : want.shape[1], mine], want[:, :, mine])


def test_a_window_over_the_seam_takes_each_pixel_from_one_zone(terravec, tmp_path, tessera):
    out = tmp_path / "o.tif"
    terravec("extract", tessera.path, "--bbox", "5.995,52.047,6.005,52.053", "--year", 2023, "-o", out)
    with rasterio.open(out) as src:
        got, transform, crs = src.read(), src.transform, src.crs.to_string()
    codes, scales, grid = tessera.zones[int(crs[-2:])]
    at = ~grid.transform @ (transform.c, transform.f)
    col, row = round(at[0]), round(at[1])
    want = stores.decoded(codes, scales)[0][:, row : row + got.shape[1], col : col + got.shape[2]]
    both = np.isfinite(want)
    np.testing.assert_array_equal(got[:, :, : want.shape[2]][both], want[both])
    # What the first zone lacks comes from the second.
    assert np.isfinite(got[0]).sum() >= np.isfinite(want[0]).sum()


def test_points_on_both_sides_of_the_seam_take_their_own_zone(terravec, tmp_path, tessera):
    points = write_points_csv(tmp_path / "p.csv", [5.9995, 6.0005], [52.05, 52.05])
    table = terravec.table(tessera.path, "--points", points, "--year", 2023, out=tmp_path / "o.parquet")
    for zone, lon, got in zip([31, 32], [5.9995, 6.0005], vectors(table, 128), strict=True):
        codes, scales, grid = tessera.zones[zone]
        col, row = (int(v) for v in ~grid.transform @ oracle.from_lonlat(grid.crs, lon, 52.05))
        np.testing.assert_array_equal(got, stores.decoded(codes, scales)[0, :, row, col])


def test_southern_pixels_of_northern_zones(terravec, tmp_path):
    south = stores.TesseraZarr(tmp_path, lat=-12.3, years=[2024], seed=5)
    codes, scales, grid = south.zones[31]
    assert grid.transform.f < 0
    lon, lat = centers(grid, [(50, 60)])
    points = write_points_csv(tmp_path / "p.csv", lon, lat)
    table = terravec.table(south.path, "--points", points, out=tmp_path / "o.parquet")
    np.testing.assert_array_equal(vectors(table, 128)[0], stores.decoded(codes, scales)[0, :, 60, 50])


def test_versions_never_mix(terravec, tessera):
    said = terravec.fails(1, "info", f"tessera-zarr@1.1-cambridge={tessera.path}")
    assert "is 1.0-vultr" in said and "not comparable" in said
    assert terravec.json("info", f"tessera-zarr@1.0-vultr={tessera.path}")["tiles"] == 4


def test_the_mosaic_in_both_states(terravec, tmp_path, mosaic):
    info = terravec.json("info", mosaic.path)
    assert info["product"] == "alphaearth-mosaic"
    assert info["bands"] == [f"A{i:02}" for i in range(64)]
    assert [int(y) for y in info["years"]] == mosaic.years
    pixels = [(0, 0), (6, 5), (127, 95), (64, 33)]
    lon, lat = centers(mosaic.grid, pixels)
    points = write_points_csv(tmp_path / "p.csv", lon, lat)
    table = terravec.table(mosaic.path, "--points", points, "--year", 2019, out=tmp_path / "o.parquet")
    values = stores.signed_square(mosaic.codes[-1])
    want = np.array([values[:, r, c] for c, r in pixels])
    np.testing.assert_allclose(vectors(table, 64), want, rtol=1e-6)
    assert table["status"].to_pylist() == ["valid", "nodata", "valid", "valid"]


class Icechunk:
    """As dClimate's: groups by zone and hemisphere, band last, `years_complete`, scales without water."""

    def __init__(self, root):
        import icechunk

        self.path = root / "dclimate.icechunk"
        repo = icechunk.Repository.create(icechunk.local_filesystem_storage(str(self.path)))
        session = repo.writable_session("main")
        rng = np.random.default_rng(9)
        store = zarr.create_group(session.store, attributes=stores.geoemb(**{"geoemb:model": "tessera"}))
        self.codes = rng.integers(-127, 128, (2, 40, 48, 128), np.int8)
        self.scales = rng.uniform(0.01, 0.1, (2, 40, 48)).astype(np.float32)
        self.scales[:, 4, 5] = np.nan
        self.grid = oracle.Grid("EPSG:32733", rasterio.Affine(10, 0, 500_000, 0, -10, 8_000_000), 48, 40)
        group = store.create_group("33S", attributes={"crs": "EPSG:32733", "years_complete": [2024]})
        dims = ["time", "northing", "easting", "band"]
        group.create_array(
            "embeddings", shape=self.codes.shape, dtype="int8", chunks=(1, 16, 16, 128),
            shards=(1, 32, 32, 128), dimension_names=dims, compressors=stores.blosc(), fill_value=0,
        )[:] = self.codes  # fmt: skip
        group.create_array(
            "scales", shape=self.scales.shape, dtype="float32", chunks=(1, 16, 16), fill_value=np.nan,
            dimension_names=dims[:3], serializer=zarr.codecs.numcodecs.PCodec(), compressors=None,
        )[:] = self.scales  # fmt: skip
        group.create_array("s2_obs_count", data=np.ones((2, 40, 48), np.uint16), dimension_names=dims[:3])
        times = np.array(["2023-01-01", "2024-01-01"], "datetime64[s]").astype("int64")
        group.create_array(
            "time", data=times, dimension_names=["time"], attributes={"units": "seconds since 1970-01-01"}
        )
        group.create_array("easting", data=500_005.0 + 10 * np.arange(48), dimension_names=["easting"])
        group.create_array("northing", data=7_999_995.0 - 10 * np.arange(40), dimension_names=["northing"])
        self.snapshot = session.commit("first")
        repo.create_tag("zone-33S-2024", self.snapshot)


def test_an_icechunk_repository(terravec, tmp_path):
    repository = Icechunk(tmp_path)
    info = terravec.json("info", repository.path)
    assert info["product"].startswith("tessera-")
    assert info["years"] == {"2024": 1}
    assert "not complete, left out: 2023" in " ".join(info["notes"])
    spec = f"tessera-icechunk={repository.path}"
    pixels = [(0, 0), (5, 4), (47, 39), (20, 17)]
    lon, lat = centers(repository.grid, pixels)
    points = write_points_csv(tmp_path / "p.csv", lon, lat)
    want = np.array([repository.codes[1, r, c] * repository.scales[1, r, c] for c, r in pixels])
    for i, at in enumerate([[], ["--at", "tag=zone-33S-2024"], ["--at", f"snapshot={repository.snapshot}"]]):
        table = terravec.table(spec, "--points", points, *at, out=tmp_path / f"{i}.parquet")
        assert table["status"].to_pylist() == ["valid", "nodata", "valid", "valid"]
        np.testing.assert_array_equal(vectors(table, 128), want)
    provenance = json.loads(table.schema.metadata[b"terravec"])
    assert (provenance["product"], provenance["version"]) == ("tessera-icechunk", "1.1-dclimate")
    assert "no tag nope" in terravec.fails(1, "info", spec, "--at", "tag=nope").replace("`", "")


def matryoshka(root, tessera):
    path = root / "v2-2B-L~beta1"
    shutil.copytree(tessera.path, path)
    store = zarr.open_group(path, use_consolidated=False)
    store.attrs["geoemb:depths"] = [{"dimensions": 16, "array": "embeddings_d16"}]
    for zone, (codes, _, _) in tessera.zones.items():
        group = store[f"utm{zone}"]
        short = codes[:, :16]
        array = group.create_array(
            "embeddings_d16", shape=short.shape, dtype="int8", chunks=(1, 16, 64, 64),
            dimension_names=["time", "band_d16", "y", "x"], fill_value=0,
        )  # fmt: skip
        array[:] = short
    zarr.consolidate_metadata(path)
    return path


def test_vectors_are_cut_short_only_where_that_is_meant(terravec, tmp_path, tessera):
    assert "in no order" in terravec.fails(1, "info", tessera.path, "--depth", "16")
    path = matryoshka(tmp_path, tessera)
    codes, scales, grid = tessera.zones[31]
    lon, lat = centers(grid, [(40, 50)])
    points = write_points_csv(tmp_path / "p.csv", lon, lat)
    want = stores.decoded(codes, scales)[1, :, 50, 40]
    for depth in [16, 8, 128]:
        table = terravec.table(
            path, "--points", points, "--year", 2024, "--depth", depth, out=tmp_path / f"{depth}.parquet"
        )
        np.testing.assert_array_equal(vectors(table, depth)[0], want[:depth])
    assert "16×16" not in terravec.json("info", path, "--depth", 16)["layout"]
    assert terravec.json("info", path, "--depth", 16)["dimension"] == 16
