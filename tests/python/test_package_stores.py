"""The Python package on Zarr stores and Icechunk repositories: what it writes and others write opens."""

import numpy as np
import pytest
import stores
import terravec as tv
from conftest import TESTDATA
from test_zarr import Icechunk, centers, matryoshka

WISCONSIN = f"alphaearth={TESTDATA / 'alphaearth' / 'wisconsin'}"


def test_what_is_written_opens_as_what_it_is(tmp_path):
    ds = tv.open(WISCONSIN)
    places = [(-88.768, 44.295), (-88.7701, 44.2931)]
    want = ds.sample(places).to_numpy()
    for name in ("codes.zarr", "vectors.zarr"):
        ds.convert(tmp_path / name, codes=name == "codes.zarr")
        again = tv.open(tmp_path / name)
        assert again.product.id == "alphaearth"
        np.testing.assert_array_equal(again.sample(places).to_numpy(), want)
        whole = again.extract(bbox=(-88.773, 44.292, -88.764, 44.298)).to_xarray()
        np.testing.assert_array_equal(whole, ds.extract(bbox=(-88.773, 44.292, -88.764, 44.298)).to_xarray())


def test_states_of_a_repository(tmp_path):
    repository = Icechunk(tmp_path)
    lon, lat = centers(repository.grid, [(0, 0)])
    want = repository.codes[1, 0, 0] * repository.scales[1, 0, 0]
    for at in (None, "tag=zone-33S-2024", f"snapshot={repository.snapshot}"):
        ds = tv.open(f"tessera-icechunk={repository.path}", at=at)
        np.testing.assert_array_equal(ds.sample(np.column_stack([lon, lat])).to_numpy()[0], want)
    with pytest.raises(tv.TerravecError, match="no tag"):
        tv.open(f"tessera-icechunk={repository.path}", at="tag=nope")
    with pytest.raises(tv.QueryError, match="branch=NAME"):
        tv.open(f"tessera-icechunk={repository.path}", at="yesterday")


def test_the_first_numbers_of_vectors(tmp_path):
    tessera = stores.TesseraZarr(tmp_path / "t")
    path = matryoshka(tmp_path, tessera)
    codes, scales, grid = tessera.zones[31]
    lon, lat = centers(grid, [(40, 50)])
    ds = tv.open(path, depth=16)
    got = ds.sample(np.column_stack([lon, lat]), year=2024).to_numpy()
    np.testing.assert_array_equal(got[0], stores.decoded(codes, scales)[1, :16, 50, 40])
    with pytest.raises(tv.TerravecError, match="in no order"):
        tv.open(tessera.path, depth=16)
