"""`terravec sample`: the vector at a place, its status, and the caller's table beside it."""

import json
from datetime import UTC, datetime

import fixtures
import numpy as np
import oracle
import products
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
import shapely
from conftest import TESTDATA
from fixtures import write_geojson, write_points_csv

LABELLED = TESTDATA / "alphaearth" / "labelled"


def vectors(table, dimension):
    """The embedding column as (n, dimension) float32, NaN where the list is null."""
    column = table["embedding"].combine_chunks()
    assert column.type == pa.list_(pa.float32(), dimension)
    out = np.full((len(column), dimension), np.nan, np.float32)
    valid = np.array(column.is_valid())
    flat = column.drop_null().flatten()
    assert flat.null_count == 0
    out[valid] = flat.to_numpy(zero_copy_only=False).reshape(-1, dimension)
    return out


def centers(raster, pixels):
    """lon/lat of the centres of (col, row) pixels."""
    cols, rows = np.array(pixels, float).T + 0.5
    x, y = raster.grid.transform @ (cols, rows)
    return oracle.to_lonlat(raster.grid.crs, x, y)


def sample_pixels(terravec, tmp_path, dataset, raster, pixels, *args):
    """Sample the centres of pixels; returns the table."""
    points = write_points_csv(tmp_path / "points.csv", *centers(raster, pixels))
    return terravec.table(dataset, "--points", points, *args, out=tmp_path / "out.parquet")


def want_at(values, pixels):
    return np.array([values[:, row, col] for col, row in pixels], np.float32)


# --- every product ------------------------------------------------------------------------------------------

SPREAD = [(1, 2), (17, 3), (30, 20), (5, 25), (29, 23), (11, 12)]


def test_alphaearth_points_have_the_decoded_value_of_their_pixel(terravec, tmp_path, seam):
    for zone in (31, 32):
        raster = seam.rasters[zone, 2024]
        decoded = oracle.decode_alphaearth(raster.values)
        inside = [(c + (0 if zone == 31 else 80), r) for c, r in [*SPREAD, (40, 95), (40, 96), (3, 191)]]
        assert not np.isnan(want_at(decoded, inside)).any()
        table = sample_pixels(
            terravec,
            tmp_path,
            f"{products.ALPHAEARTH}={seam.root}",
            raster,
            inside,
            "--year",
            2024,
            "--force",
        )
        assert set(table["status"].to_pylist()) == {"valid"}
        assert np.array_equal(vectors(table, 64), want_at(decoded, inside))


def test_alphaearth_golden_codes(terravec, tmp_path):
    """The published values of single codes, through a file: one band each in one pixel."""
    golden = {-127: -0.99217224, -100: -0.615148, -64: -0.25196463, -1: -6.15148e-05, 0: 0.0}
    golden |= {1: 6.15148e-05, 2: 2.460592e-04, 64: 0.25196463, 100: 0.615148, 126: 0.976609, 127: 0.99217224}
    codes = np.zeros((64, 8, 8), np.int8)
    for band, code in enumerate(golden):
        codes[band] = code
    codes[:, 5, 5] = -128
    codes[0, 6, 6] = -128  # one band is enough
    grid = oracle.Grid("EPSG:32631", fixtures.Affine(10, 0, 500_000, 0, -10, 5_000_000), 8, 8)
    fixtures.write_alphaearth(tmp_path / "tree/2020/31N/xgoldencodes-0000000000-0000000000.tiff", codes, grid)
    raster = oracle.Raster(codes, grid)
    table = sample_pixels(
        terravec,
        tmp_path,
        f"{products.ALPHAEARTH}={tmp_path / 'tree'}",
        raster,
        [(2, 3), (5, 5), (6, 6)],
        "--year",
        2020,
    )
    assert table["status"].to_pylist() == ["valid", "nodata", "nodata"]
    got = vectors(table, 64)[0]
    assert np.allclose(got[: len(golden)], list(golden.values()), rtol=1e-6, atol=1e-10)
    assert (got[len(golden) :] == 0).all()
    assert table["embedding"].null_count == 2


def test_tessera_geotiff(terravec, tmp_path, tessera):
    for raster in tessera.rasters.values():
        pixels = [*SPREAD[1:], (3, 3)]
        table = sample_pixels(
            terravec,
            tmp_path,
            f"{products.TESSERA}={tessera.root}",
            raster,
            pixels,
            "--year",
            tessera.YEAR,
            "--force",
        )
        assert table["status"].to_pylist() == ["valid"] * 5 + ["nodata"]
        assert np.array_equal(vectors(table, 128), want_at(raster.values, pixels), equal_nan=True)


def test_presto_opens_as_its_codes_and_says_so(terravec, tmp_path, presto):
    """No decode rule is published: nobody gets vectors by mistake, whoever asks for codes gets them exact."""
    pixels = [(1, 2), (47, 39), (48, 0), (95, 20), (22, 12)]
    points = write_points_csv(tmp_path / "p.csv", *centers(presto.raster, pixels))
    question = [
        "sample",
        f"{products.PRESTO}={presto.root}",
        "--points",
        points,
        "-o",
        tmp_path / "out.parquet",
    ]
    said = terravec.fails(1, *question)
    assert "--codes" in said and "decode rule" in said
    terravec(*question, "--codes")
    table = pq.read_table(tmp_path / "out.parquet")
    assert table["status"].to_pylist() == ["valid"] * 4 + ["nodata"]
    assert "embedding" not in table.column_names, "codes are not called vectors"
    assert table["codes"].type == pa.list_(pa.uint16(), 128)
    got = np.array(table["codes"].to_pylist()[:4])
    assert np.array_equal(got, want_at(presto.raster.values, pixels[:4]))
    # The season the vectors were made from, not the release date in the file's name.
    assert table["time_start"][0].as_py().replace(tzinfo=None) == datetime(2019, 3, 1)
    assert table["time_end"][0].as_py().replace(tzinfo=None) == datetime(2020, 3, 1)
    assert "code" in table.schema.metadata[b"terravec"].decode().lower()


def test_esd_golden_codes_and_missing_rule(terravec, tmp_path, esd):
    golden = {
        1: [-0.75, -1, -1, -1, -1, -1],
        7: [0.75, -1, -1, -1, -1, -1],
        8: [-1, -0.75, -1, -1, -1, -1],
        512: [-1, -1, -1, -0.5, -1, -1],
        12345: [-0.75, 0.75, -1, 1, 1, -1],
        30000: [-1, 0.5, 0, 0.5, -0.5, 0],
        63999: [0.75, 0.75, 0.75, 1, 1, 1],
    }
    pixels = [(i, 0) for i in range(len(esd.GOLDEN))] + [(5, 5), (10, 10), (33, 21)]
    table = sample_pixels(
        terravec, tmp_path, f"{products.ESD}={esd.root}", esd.raster, pixels, "--year", esd.YEAR
    )
    assert table["status"].to_pylist() == ["valid"] * 7 + ["nodata", "valid", "valid"]
    got = vectors(table, 72)
    for row, code in zip(got, esd.GOLDEN, strict=False):
        assert np.array_equal(row.reshape(12, 6), np.tile(golden[code], (12, 1)))
    decoded = oracle.decode_esd(esd.raster.values)
    assert np.array_equal(got, want_at(decoded, pixels), equal_nan=True)


def test_copernicus_embed_cells_are_centred_and_the_zero_vector_is_missing(terravec, tmp_path, copernicus):
    pixels = [(0, 0), (40, 10), (71, 35), (7, 22)]
    points = centers(copernicus.raster, pixels)
    # A point a tenth of a degree off still belongs to the cell whose centre is the nearest multiple of 0.25°.
    points = points[0] + 0.1, points[1] - 0.1
    table = terravec.table(
        f"{products.COPERNICUS}={copernicus.root}",
        "--points",
        write_points_csv(tmp_path / "p.csv", *points),
        out=tmp_path / "out.parquet",
    )
    assert table["status"].to_pylist()[:3] == ["valid"] * 3
    assert table["status"].to_pylist()[3] in ("nodata", "water")
    assert np.array_equal(vectors(table, 768)[:3], want_at(copernicus.raster.values, pixels[:3]))


def test_major_tom_alphaearth_cell(terravec, tmp_path, majortom):
    table = sample_pixels(
        terravec,
        tmp_path,
        f"{products.MAJORTOM_ALPHAEARTH}={majortom.root}",
        majortom.raster,
        SPREAD,
        "--year",
        majortom.YEAR,
    )
    assert set(table["status"].to_pylist()) == {"valid"}
    assert np.array_equal(vectors(table, 64), want_at(majortom.values, SPREAD))


def test_olmoearth_export(terravec, tmp_path, olmoearth):
    pixels = [p for p in SPREAD if p[0] < 30 and p[1] < 24]
    table = sample_pixels(
        terravec, tmp_path, f"{products.OLMOEARTH}={olmoearth.root}", olmoearth.raster, pixels
    )
    assert set(table["status"].to_pylist()) == {"valid"}
    assert np.array_equal(vectors(table, 128), want_at(olmoearth.raster.values, pixels))


def test_a_bare_path_is_recognised_by_what_it_holds(terravec, tmp_path, seam, esd):
    tile = next(seam.root.glob("2024/31N/*-0000000000-*.tiff"))
    raster = seam.rasters[31, 2024]
    pixels = [(20, 100), (60, 180)]
    table = sample_pixels(terravec, tmp_path, tile, raster, pixels)
    assert np.array_equal(vectors(table, 64), want_at(oracle.decode_alphaearth(raster.values), pixels))
    table = sample_pixels(terravec, tmp_path, esd.path, esd.raster, [(33, 21)], "--force")
    assert np.array_equal(vectors(table, 72), want_at(oracle.decode_esd(esd.raster.values), [(33, 21)]))


# --- real data ----------------------------------------------------------------------------------------------


def test_labelled_points_equal_the_published_vectors(terravec, tmp_path):
    """2,880 real points over four regions and five UTM zone tiles, bit for bit as float32."""
    points = LABELLED / "labelled_points.parquet"
    table = terravec.table(
        f"{products.ALPHAEARTH}={LABELLED}", "--points", points, "--year", 2024, out=tmp_path / "out.parquet"
    )
    want = pq.read_table(LABELLED / "labelled_vectors.parquet")
    assert len(table) == len(want) == 2880
    for column in ("id", "region", "year", "dw_label", "dw_class"):
        assert table[column].equals(want[column]), column
    assert set(table["status"].to_pylist()) == {"valid"}
    assert np.array_equal(vectors(table, 64), vectors(want, 64))
    norms = np.linalg.norm(vectors(table, 64).astype(float), axis=1)
    assert norms.min() > 0.994 and norms.max() < 1.0065


@pytest.mark.parametrize("copy", ["wisconsin", "gcs"])
def test_wisconsin_south_up_and_north_up_agree_with_gdal(terravec, tmp_path, copy):
    root = TESTDATA / "alphaearth" / copy
    raster = oracle.read_north_up(next(root.rglob("*.tif*")))
    pixels = [(0, 0), (96, 0), (0, 96), (96, 96), (48, 20), (13, 77)]
    table = sample_pixels(terravec, tmp_path, f"{products.ALPHAEARTH}={root}", raster, pixels, "--year", 2024)
    assert np.array_equal(vectors(table, 64), want_at(oracle.decode_alphaearth(raster.values), pixels))


# --- the table ----------------------------------------------------------------------------------------------


@pytest.fixture
def mixed(seam):
    """Points of every status: valid in both zones, nodata (beyond the seam but off zone 32's tiles), outside."""
    left, right = seam.rasters[31, 2023], seam.rasters[32, 2023]
    lon, lat = np.concatenate(
        [
            np.transpose(centers(left, [(10, 10), (60, 150)])),
            np.transpose(centers(right, [(100, 30)])),
            [[6.5, 52.0], [-120.0, 10.0]],
        ]
    ).T
    status = ["valid", "valid", "valid", "outside", "outside"]
    return lon, lat, status


def test_columns_order_and_types(terravec, tmp_path, seam, mixed):
    lon, lat, status = mixed
    points = write_points_csv(
        tmp_path / "p.csv", lon, lat, plot=[7, 8, 9, 10, 11], crop=["rye", "oat", "rye", "", "hop"]
    )
    table = terravec.table(
        f"{products.ALPHAEARTH}={seam.root}", "--points", points, "--year", 2023, out=tmp_path / "o.parquet"
    )
    assert table.column_names == [
        "plot",
        "crop",
        "lon",
        "lat",
        "status",
        "time_start",
        "time_end",
        "product",
        "embedding",
        "geometry",
    ]
    types = dict(zip(table.column_names, table.schema.types, strict=True))
    assert types["lon"] == types["lat"] == pa.float64()
    assert types["status"] == types["product"] == pa.string()
    assert types["time_start"] == types["time_end"] == pa.timestamp("ms", "UTC")
    assert types["embedding"] == pa.list_(pa.float32(), 64)
    assert types["geometry"] == pa.binary()
    assert table["plot"].to_pylist() == [7, 8, 9, 10, 11]
    assert table["crop"].to_pylist()[:3] == ["rye", "oat", "rye"]
    assert np.array_equal(table["lon"], lon) and np.array_equal(table["lat"], lat)
    assert table["status"].to_pylist() == status
    assert table["embedding"].null_count == 2
    assert set(table["product"].to_pylist()) == {products.ALPHAEARTH}
    assert set(table["time_start"].to_pylist()) == {datetime(2023, 1, 1, tzinfo=UTC)}
    assert set(table["time_end"].to_pylist()) == {datetime(2024, 1, 1, tzinfo=UTC)}
    got = shapely.from_wkb(table["geometry"].to_pylist())
    assert np.array_equal(shapely.get_coordinates(got), np.transpose([lon, lat]))


def test_footers_say_geometry_and_provenance(terravec, tmp_path, seam, mixed):
    lon, lat, _ = mixed
    table = terravec.table(
        f"{products.ALPHAEARTH}={seam.root}",
        "--points",
        write_points_csv(tmp_path / "p.csv", lon, lat),
        "--year",
        2023,
        out=tmp_path / "o.parquet",
    )
    geo = json.loads(table.schema.metadata[b"geo"])
    assert geo["version"] == "1.1.0" and geo["primary_column"] == "geometry"
    column = geo["columns"]["geometry"]
    assert column["encoding"] == "WKB" and column["geometry_types"] == ["Point"]
    # No `crs` key means OGC:CRS84; one that is there must mean longitude and latitude too.
    if column.get("crs"):
        assert column["crs"]["id"]["code"] in ("CRS84", 4326)
    if "bbox" in column:
        assert np.allclose(column["bbox"], [lon.min(), lat.min(), lon.max(), lat.max()])
    provenance = json.loads(table.schema.metadata[b"terravec"])
    said = json.dumps(provenance)
    assert provenance["product"] == products.ALPHAEARTH
    assert "Google and Google DeepMind" in said, "the attribution travels with the data"
    assert str(seam.root) in said and "2023" in said


def test_nodata_is_not_outside(terravec, tmp_path, big):
    """In the hole a tile is there but no value; half a degree away no tile is there."""
    raster = big.decoded()
    lon, lat = centers(raster, [(351, 303), (10, 10)])
    points = write_points_csv(tmp_path / "p.csv", [*lon, lon[0] + 0.5], [*lat, lat[0]])
    table = terravec.table(
        f"{products.ALPHAEARTH}={big.root}",
        "--points",
        points,
        "--year",
        big.YEAR,
        out=tmp_path / "o.parquet",
    )
    assert table["status"].to_pylist() == ["nodata", "valid", "outside"]


def test_points_along_the_seam_are_all_valid_and_right(terravec, tmp_path, seam):
    lat = np.linspace(51.9966, 52.0034, 60)
    lon = 6.0 + np.tile([-3e-4, -1e-5, 1e-5, 3e-4], 15)
    table = terravec.table(
        f"{products.ALPHAEARTH}={seam.root}",
        "--points",
        write_points_csv(tmp_path / "p.csv", lon, lat),
        "--year",
        2024,
        out=tmp_path / "o.parquet",
    )
    assert set(table["status"].to_pylist()) == {"valid"}
    assert np.abs(vectors(table, 64).T - fixtures.field(lon, lat, 2024)).max() < 0.04


def test_one_row_per_point_and_year_years_inner(terravec, tmp_path, seam):
    raster = seam.rasters[31, 2023]
    pixels = [(10, 10), (60, 150), (33, 44)]
    table = sample_pixels(
        terravec, tmp_path, f"{products.ALPHAEARTH}={seam.root}", raster, pixels, "--year", "2023..2024"
    )
    assert [t.year for t in table["time_start"].to_pylist()] == [2023, 2024] * 3
    got = vectors(table, 64)
    for i, year in enumerate((2023, 2024)):
        decoded = oracle.decode_alphaearth(seam.rasters[31, year].values)
        assert np.array_equal(got[i::2], want_at(decoded, pixels))
    assert not np.array_equal(got[0], got[1])
    listed = sample_pixels(
        terravec,
        tmp_path,
        f"{products.ALPHAEARTH}={seam.root}",
        raster,
        pixels,
        "--year",
        "2023,2024",
        "--force",
    )
    assert listed.equals(table)


def test_a_year_the_data_lacks_is_said_not_guessed(terravec, tmp_path, seam):
    """One year of a range that is not there gives rows without vectors, or an error that names the years."""
    done = terravec.raw(
        "sample", f"{products.ALPHAEARTH}={seam.root}", "--points", "5.998,52.0", "--year", 2019,
        "-o", tmp_path / "o.parquet",
    )  # fmt: skip
    if done.returncode == 0:
        table = pq.read_table(tmp_path / "o.parquet")
        assert table["status"].to_pylist() == ["outside"]
    else:
        assert done.returncode == 1 and "2019" in done.stderr and "2023" in done.stderr


# --- ways in and out ----------------------------------------------------------------------------------------


def test_points_from_csv_geojson_and_geoparquet_agree(terravec, tmp_path, seam, mixed):
    lon, lat, _ = mixed
    names = ["a", "b", "c", "d", "e"]
    csv = write_points_csv(tmp_path / "p.csv", lon, lat, name=names)
    geojson = write_geojson(
        tmp_path / "p.geojson",
        [{"type": "Point", "coordinates": [x, y]} for x, y in zip(lon, lat, strict=True)],
        [{"name": n} for n in names],
    )
    geo = {
        "version": "1.0.0",
        "primary_column": "where",
        "columns": {"where": {"encoding": "WKB", "geometry_types": ["Point"]}},
    }
    table = pa.table({"name": names, "where": shapely.to_wkb(shapely.points(lon, lat)).tolist()})
    pq.write_table(table.replace_schema_metadata({"geo": json.dumps(geo)}), tmp_path / "p.parquet")
    tables = [
        terravec.table(
            f"{products.ALPHAEARTH}={seam.root}", "--points", path, "--year", 2023,
            out=tmp_path / f"{path.suffix[1:]}-out.parquet",
        )
        for path in (csv, geojson, tmp_path / "p.parquet")
    ]  # fmt: skip
    for table in tables:
        assert table["name"].to_pylist() == names
        assert np.array_equal(vectors(table, 64), vectors(tables[0], 64), equal_nan=True)
        assert np.allclose(table["lon"], lon, atol=1e-12) and np.allclose(table["lat"], lat, atol=1e-12)


def test_outputs_carry_the_same_rows(terravec, tmp_path, seam, mixed):
    lon, lat, status = mixed
    points = write_points_csv(tmp_path / "p.csv", lon, lat, name=list("abcde"))
    out = {}
    for suffix in ("parquet", "arrow", "csv", "geojson"):
        out[suffix] = tmp_path / f"out.{suffix}"
        terravec(
            "sample", f"{products.ALPHAEARTH}={seam.root}", "--points", points, "--year", 2023,
            "-o", out[suffix],
        )  # fmt: skip
    table = pq.read_table(out["parquet"])
    want = vectors(table, 64)

    arrow = pa.ipc.open_file(out["arrow"]).read_all()
    assert arrow.column_names == table.column_names
    assert arrow["status"].to_pylist() == status
    assert np.array_equal(vectors(arrow, 64), want, equal_nan=True)
    assert b"terravec" in arrow.schema.metadata

    csv = pyarrow.csv.read_csv(out["csv"])
    assert csv["name"].to_pylist() == list("abcde") and csv["status"].to_pylist() == status
    assert np.allclose(csv["lon"], lon, atol=1e-12)
    got = np.array([[csv[b][i].as_py() for b in fixtures.AEF_BANDS] for i in range(3)], np.float32)
    assert np.array_equal(got, want[:3]), "float32 printed so that it reads back exact"

    features = json.loads(out["geojson"].read_text())["features"]
    assert [f["properties"]["status"] for f in features] == status
    assert [f["properties"]["name"] for f in features] == list("abcde")
    assert np.allclose([f["geometry"]["coordinates"] for f in features], np.transpose([lon, lat]))
    got = np.array([f["properties"]["embedding"] for f in features[:3]], np.float32)
    assert np.array_equal(got, want[:3])
    assert features[4]["properties"]["embedding"] is None


def test_one_point_from_the_command_line(terravec, seam):
    raster = seam.rasters[31, 2024]
    lon, lat = centers(raster, [(10, 10)])
    answer = terravec.json(
        "sample", f"{products.ALPHAEARTH}={seam.root}", "--points", f"{lon[0]},{lat[0]}", "--year", 2024
    )
    rows = answer if isinstance(answer, list) else answer["rows"]
    assert len(rows) == 1 and rows[0]["status"] == "valid" and rows[0]["product"] == products.ALPHAEARTH
    want = oracle.decode_alphaearth(raster.values)[:, 10, 10].astype(np.float32)
    assert np.array_equal(np.array(rows[0]["embedding"], np.float32), want)


def test_a_thousand_points_in_any_order(terravec, tmp_path, big):
    """Points visit blocks at random; each must still get its own pixel."""
    rng = np.random.default_rng(3)
    pixels = np.stack([rng.integers(0, 700, 1000), rng.integers(0, 650, 1000)], axis=1)
    raster = big.decoded()
    table = sample_pixels(
        terravec, tmp_path, f"{products.ALPHAEARTH}={big.root}", raster, pixels, "--year", big.YEAR
    )
    want = want_at(raster.values, pixels)
    assert np.array_equal(vectors(table, 64), want, equal_nan=True)
    status = np.where(np.isnan(want[:, 0]), "nodata", "valid")
    assert table["status"].to_pylist() == status.tolist()
    assert set(status) == {"valid", "nodata"}


def test_points_that_fit_only_swapped_are_noticed(terravec, seam):
    said = terravec(
        "sample", f"{products.ALPHAEARTH}={seam.root}", "--points", "52.0,5.998", "--year", 2024
    ).stderr
    assert "no point has a vector" in said and "swap" in said and "5.9" in said
    said = terravec(
        "sample", f"{products.ALPHAEARTH}={seam.root}", "--points", "20,20", "--year", 2024
    ).stderr
    assert "no point has a vector" in said and "swap" not in said
