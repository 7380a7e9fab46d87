"""The vector at a point of a large remote raster: all of a block once, then one small square of the cache."""

import fixtures
import numpy as np
import oracle
import pytest
import rasterio
from fixtures import write_points_csv
from oracle import Grid

RNG = np.random.default_rng(3)
NAME = "x086q72fv2f9q1x4a-0000000000-0000000000.tiff"


@pytest.fixture(scope="module")
def tile(tmp_path_factory):
    """A tile whose edges do not end with its blocks, stored from south to north, with a hole."""
    root = tmp_path_factory.mktemp("squares")
    grid = Grid("EPSG:32631", rasterio.Affine(10, 0, 500000, 0, -10, 5800000), 700, 600)
    codes = RNG.integers(-127, 128, (64, 600, 700), np.int8)
    codes[:, 200:260, 300:400] = -128
    path = fixtures.write_alphaearth(
        root / "2024" / "31N" / NAME, codes, grid, blockxsize=256, blockysize=256
    )
    return root, path, codes, grid


def test_the_next_visit_costs_a_square(terravec, tmp_path, tile, serve):
    root, _, codes, grid = tile
    url, stats = serve(root)
    address = f"{url}/2024/31N/{NAME}"
    cache = ["--cache-dir", tmp_path / "cache"]

    def sample(pixels, out):
        lon, lat = oracle.to_lonlat(grid.crs, *(grid.transform @ (np.array(pixels, float).T + 0.5)))
        points = write_points_csv(tmp_path / f"{out}.csv", lon, lat)
        stats()
        table = terravec.table(address, "--points", points, *cache, out=tmp_path / f"{out}.parquet")
        want = oracle.decode_alphaearth(codes)
        for (col, row), status, vector in zip(
            pixels, table["status"].to_pylist(), table["embedding"].to_pylist(), strict=True
        ):
            if np.isnan(want[0, row, col]):
                assert (status, vector) == ("nodata", None)
            else:
                assert status == "valid"
                np.testing.assert_array_equal(np.float32(vector), want[:, row, col].astype(np.float32))
        return stats()

    corner = [(0, 0), (699, 599), (350, 230), (255, 255), (256, 256), (699, 0)]
    assert sample(corner, "first")["requests"] > 0
    assert sample(corner, "again")["requests"] == 0
    # Other pixels of the same blocks, edges of squares among them.
    near = [(c, r) for c in (1, 63, 64, 127, 128, 250) for r in (300, 319, 320, 343, 344, 511)]
    sample(near, "near")
    assert sample([(c + 2, r) for c, r in near], "beside")["requests"] == 0
    # Squares that were tampered with are not taken.
    for file in (tmp_path / "cache").rglob("*-*"):
        if file.is_file() and file.stat().st_size > 1000:
            content = bytearray(file.read_bytes())
            content[100] ^= 1
            file.write_bytes(content)
    assert sample(corner, "tampered")["requests"] > 0
