"""Chips for training: random, on a grid and around labels; and what torch makes of them, where it is installed."""

import multiprocessing
import pickle
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import oracle
import products
import pytest
import rasterio
import terravec as tv
from conftest import TESTDATA
from terravec.chips import Chips, chips_at, grid_chips, random_chips

LABELLED = TESTDATA / "alphaearth" / "labelled"


@pytest.fixture(scope="module")
def ds(seam):
    return tv.open(f"{products.ALPHAEARTH}={seam.root}")


@pytest.fixture(scope="module")
def layers(seam):
    """The oracle's rasters by CRS and year."""
    return {
        (r.grid.crs.to_string(), year): seam.decoded(zone, year) for (zone, year), r in seam.rasters.items()
    }


def want(sample, chip, layers):
    transform = rasterio.Affine(*sample["transform"][:6])
    grid = oracle.Grid(rasterio.CRS.from_string(chip.grid.crs), transform, chip.grid.width, chip.grid.height)
    return oracle.window(layers[chip.grid.crs, chip.year], grid).astype(np.float32), grid


def test_random_chips_are_pixels_of_tiles(ds, layers):
    chips = Chips(ds, random_chips(ds, (24, 32), 40, seed=3))
    seen = set()
    for sample, chip in zip(chips, chips.chips, strict=True):
        image, grid = want(sample, chip, layers)
        assert sample["image"].shape == (64, 24, 32) and sample["image"].dtype == np.float32
        own = ~np.isnan(image[0])
        assert np.array_equal(sample["image"][:, own], image[:, own]), (
            "a pixel of the own zone is not resampled"
        )
        assert np.array_equal(sample["valid"], ~np.isnan(sample["image"][0])) and sample["year"] == chip.year
        west, south, east, north = rasterio.transform.array_bounds(24, 32, grid.transform)
        assert sample["bounds"][:6].tolist() == [west, east, 10, south, north, 10]
        start, end = sample["bounds"][6:8].astype("datetime64[s]")
        assert (str(start)[:10], str(end)[:10]) == (f"{chip.year}-01-01", f"{chip.year + 1}-01-01")
        seen.add((chip.grid.crs, chip.year))
    assert len(seen) == 4, "every zone and year is drawn"


def test_random_chips_are_even_and_repeatable(ds):
    chips = random_chips(ds, 16, 4000, seed=1, year=2024)
    again, other = (
        random_chips(ds, 16, 4000, seed=1, year=2024),
        random_chips(ds, 16, 4000, seed=2, year=2024),
    )
    assert [chips[i] for i in (7, 3)] == [again[i] for i in (7, 3)] and chips[0] != other[0]
    drawn = [c.grid for c in list(chips)[:1000]]
    west = {crs: min(g.transform[2] for g in drawn if g.crs == crs) for crs in {g.crs for g in drawn}}
    columns = np.array([(g.transform[2] - west[g.crs]) / 10 for g in drawn])
    assert columns.min() == 0 and columns.max() == 128 - 16, (
        "chips reach both edges of a tile, and no farther"
    )
    assert abs(columns.mean() - (128 - 16) / 2) < 5
    with pytest.raises(IndexError):
        chips[4000]
    with pytest.raises(tv.QueryError, match="smaller"):
        random_chips(ds, 5000, 1)


def test_grid_chips_cover_every_pixel_of_every_tile(ds):
    chips = grid_chips(ds, 50, year=2024)
    assert len(chips) == 4 * 3 * 2, "tiles of 128 × 96 pixels"
    overlapping = grid_chips(ds, 50, 25, year=2024)
    assert len(overlapping) > len(chips)
    covered = {}
    for chip in chips:
        west, _, _, north = chip.grid.bounds
        covered.setdefault(chip.grid.crs, set()).update(
            (west + 10 * c, north - 10 * r) for r in range(50) for c in range(50)
        )
    for tile in ds._engine.tiles(None, "2024"):
        crs, (_, _, x, _, _, y), width, height, _ = tile
        assert {(x + 10 * c, y - 10 * r) for r in range(height) for c in range(width)} <= covered[crs]


def test_chips_go_on_over_the_edge_of_a_tile(ds, layers):
    """Two tiles of a zone meet in the middle of the raster: a chip across has pixels of both."""
    crs, (a, _, x, _, e, y), _, height, _ = ds._engine.tiles(None, "2023")[0]
    grid = tv.Grid(crs, (a, 0.0, x, 0.0, e, y), 96, height).window(-20, 30, 40, 40)
    (sample,) = Chips(ds, [tv.chips.Chip(grid, 2023)])
    image, _ = want(sample, tv.chips.Chip(grid, 2023), layers)
    own = ~np.isnan(image[0])
    assert np.array_equal(sample["image"][:, own], image[:, own])


def test_chips_around_labels():
    ds = tv.open(f"{products.ALPHAEARTH}={LABELLED}")
    import pyarrow.parquet as pq

    points = pq.read_table(LABELLED / "labelled_points.parquet").slice(0, 50)
    vectors = ds.sample(points).to_numpy()
    labels = list(range(50))
    chips = Chips(ds, chips_at(ds, points, (9, 8), labels=labels), fill=0.0)
    for i, sample in enumerate(chips):
        assert sample["image"].shape == (64, 9, 8) and sample["label"] == i
        assert np.array_equal(sample["image"][:, 4, 4], vectors[i]), "the point's pixel is in the middle"
        assert np.isfinite(sample["image"]).all() and (sample["image"][:, ~sample["valid"]] == 0).all()
    with pytest.raises(tv.OutsideError, match="point 1"):
        chips_at(ds, [(0.0, 0.0)], 9)
    assert chips_at(ds, [(0.0, 0.0)], 9, skip_outside=True) == []
    with pytest.raises(tv.QueryError, match="labels"):
        chips_at(ds, points, 9, labels=[1])


def test_a_year_must_be_named_where_there_are_several(ds, seam):
    with pytest.raises(tv.QueryError, match="several years") as e:
        chips_at(ds, [(6.0, 52.0)], 8)
    assert "year=" in e.value.help
    assert len(chips_at(ds, [(5.9995, 52.0)], 8, year=2024)) == 1


def test_tables_and_encoders_have_no_chips():
    clay = tv.open(f"clay-v0={TESTDATA / 'patch' / 'clay_v0_03WVN_60.gpq'}")
    for make in (
        lambda: random_chips(clay, 8, 1),
        lambda: grid_chips(clay, 8),
        lambda: chips_at(clay, [(1, 2)], 8),
    ):
        with pytest.raises(tv.QueryError, match="no tiles"):
            make()


def total(chips, i):
    return float(np.nansum(chips[i]["image"]))


@pytest.mark.parametrize("how", ["fork", "spawn"])
def test_chips_travel_to_workers(ds, how):
    chips = Chips(ds, random_chips(ds, 20, 12, seed=9))
    wanted = [total(chips, i) for i in range(12)]
    assert pickle.loads(pickle.dumps(chips)).chips[5] == chips.chips[5]
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context(how)) as pool:
        assert [f.result(60) for f in [pool.submit(total, chips, i) for i in range(12)]] == wanted


# --- torch --------------------------------------------------------------------------------------------------


@pytest.fixture
def torch():
    return pytest.importorskip("torch", reason="torch is an optional extra, and large")


def test_torch_datasets_are_those_of_numpy(torch, ds):
    from terravec.torch import ChipDataset

    chips = random_chips(ds, 16, 10, seed=4)
    data, arrays = ChipDataset(ds, chips, fill=0.0), Chips(ds, chips, fill=0.0)
    for sample, array in zip((data[i] for i in range(10)), arrays, strict=True):
        assert set(sample) == {"image", "valid", "bounds", "transform", "year"}
        assert all(np.array_equal(sample[k].numpy(), array[k]) for k in sample)
        assert sample["image"].dtype == torch.float32
    assert ChipDataset(ds, chips, transforms=lambda s: s["image"].shape)[0] == (64, 16, 16)


@pytest.mark.parametrize("how", ["fork", "spawn"])
@pytest.mark.parametrize("stream", [False, True])
def test_loaders_with_workers_hand_out_every_chip_once(torch, ds, how, stream):
    from terravec.torch import ChipDataset, ChipStream

    chips = random_chips(ds, 16, 12, seed=5)
    ds.extract(like=chips[0].grid, year=chips[0].year)  # the parent's threads are there before the fork
    data = ChipStream(ds, chips, shuffle=True, fill=0.0) if stream else ChipDataset(ds, chips, fill=0.0)
    loader = torch.utils.data.DataLoader(
        data, batch_size=2, num_workers=2, multiprocessing_context=how, timeout=60
    )
    got = torch.cat([batch["image"].sum(dim=(1, 2, 3)) for batch in loader])
    one = torch.stack([ChipDataset(ds, chips, fill=0.0)[i]["image"].sum() for i in range(12)])
    assert torch.allclose(got.sort().values, one.sort().values, atol=1e-3)
    assert stream or torch.allclose(got, one, atol=1e-3)


def test_rows_of_tables_are_torchgeos_samples(torch):
    from terravec.torch import PatchDataset

    table = tv.open(f"clay-v0={TESTDATA / 'patch' / 'clay_v0_03WVN_60.gpq'}").extract()
    data = PatchDataset(table)
    assert len(data) == 60 and set(data[3]) == {"embedding", "x", "y", "t"}
    assert np.array_equal(data[3]["embedding"].numpy(), table.to_numpy()[3])
    assert float(data[3]["x"]) == table.to_numpy("lon")[3]
    assert table.to_torch().shape == (60, 768)


def test_torchgeos_samplers_and_operators_take_it(torch, ds, tmp_path, seam):
    geo = pytest.importorskip("torchgeo.datasets", reason="TorchGeo is an optional extra")
    samplers = pytest.importorskip("torchgeo.samplers")
    from terravec.torch import geo_dataset

    data = geo_dataset(ds, year=2024, crs="EPSG:32631")
    with rasterio.open(
        tmp_path / "mask_2024.tif", "w", driver="GTiff", width=60, height=60, count=1, dtype="uint8",
        crs="EPSG:32631", transform=rasterio.Affine(10, 0, data.bounds[0].start + 200, 0, -10, data.bounds[1].stop - 200),
    ) as out:  # fmt: skip
        out.write(np.arange(3600, dtype=np.uint8).reshape(1, 60, 60))

    class Mask(geo.RasterDataset):
        filename_glob = "mask_*.tif"
        filename_regex = r"mask_(?P<date>\d{4})"
        date_format = "%Y"
        is_image = False

    both = data & Mask(tmp_path)
    for query in samplers.GridGeoSampler(both, 32):
        sample = both[query]
        assert sample["image"].shape == (64, 32, 32) and sample["mask"].shape == (32, 32)
        grid = tv.Grid("EPSG:32631", (10.0, 0.0, query[0].start, 0.0, -10.0, query[1].stop), 32, 32)
        want = ds.extract(like=grid, year=2024).values
        assert np.array_equal(sample["image"].numpy(), want, equal_nan=True)
    for query in samplers.RandomGeoSampler(data, 16, length=4):
        assert data[query]["image"].shape == (64, 16, 16)
    assert len(data | data) == 2 * len(data)
    with pytest.raises(IndexError):
        data[0:10, 0:10]
