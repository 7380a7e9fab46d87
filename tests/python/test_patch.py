"""Patch products: tables of vectors opened, filtered, found by place, joined and written, against pyarrow, shapely and pyproj."""

import json
import os

import numpy as np
import products
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely
from conftest import TESTDATA
from fixtures import with_geo, write_points_csv
from pyproj import Geod

PATCH = TESTDATA / "patch"
CLAY = PATCH / "clay_v0_03WVN_60.gpq"
EMPTY = PATCH / "earthindex_21MNT.parquet"
FAULTY = PATCH / "planet_like.parquet"
GEOD = Geod(ellps="WGS84")


def clay():
    """The bundled Clay rows as pyarrow and shapely see them."""
    table = pq.read_table(CLAY)
    vectors = np.array(table["embeddings"].to_pylist(), dtype=np.float32)
    return table, vectors, shapely.from_wkb(table["geometry"].to_numpy(zero_copy_only=False))


def read(path):
    table = pq.read_table(path)
    vectors = np.array(
        [
            v if v is not None else [np.nan] * table["embedding"].type.list_size
            for v in table["embedding"].to_pylist()
        ]
    )
    return table, vectors.astype(np.float32)


def millis(column):
    return column.cast(pa.timestamp("ms", tz="UTC")).cast(pa.int64()).to_pylist()


# --- opening ------------------------------------------------------------------------------------------------


def test_info_says_what_footers_say(terravec):
    info = terravec.json("info", f"clay-v0={CLAY}")
    table, vectors, shapes = clay()
    assert info["product"] == "clay-v0" and info["kind"] == "patch"
    assert (info["rows"], info["dimension"]) == (len(table), vectors.shape[1])
    assert [c[0] for c in info["columns"]] == table.column_names
    assert np.allclose(info["bbox"], shapely.total_bounds(shapes), atol=1e-5)
    assert info["vector"] == "embeddings" and info["places"] == "geometry"


def test_an_empty_file_is_described_and_has_no_rows(terravec, tmp_path):
    info = terravec.json("info", f"earth-index-2024={EMPTY}")
    assert info["rows"] == 0 and info["dimension"] == 384
    assert info["emb"]["embedding"]["dim"] == 384, "the emb footer is shown"
    said = terravec.fails(1, "convert", f"earth-index-2024={EMPTY}", tmp_path / "o.parquet")
    assert "no row" in said and not (tmp_path / "o.parquet").exists()


def test_a_false_crs_is_noticed_and_corrected(terravec, tmp_path):
    info = terravec.json("info", FAULTY)
    assert info["crs"] == "EPSG:3857"
    assert any("EPSG:3857" in n and "degrees" in n for n in info["notes"])
    said = terravec.fails(1, "convert", FAULTY, tmp_path / "o.parquet")
    assert "row" in said and "--skip-bad" in said


def test_bad_rows_are_counted_never_dropped_in_silence(terravec, tmp_path):
    table = pq.read_table(FAULTY)
    vectors = table["embedding"].to_pylist()
    length = max((len(v) for v in vectors if v), key=[len(v) for v in vectors if v].count)
    good = [
        v for v in vectors if v is not None and len(v) == length and np.isfinite(np.array(v, float)).all()
    ]
    null = sum(v is None for v in vectors)
    out = tmp_path / "o.parquet"
    done = terravec("convert", FAULTY, out, "--skip-bad", "--json")
    tally = json.loads(done.stdout)["tally"]
    assert tally["without_vector"] == null and tally["rows"] == len(good) + null
    assert sum(tally.get("skipped", {}).values()) == len(vectors) - len(good) - null
    got, found = read(out)
    assert got.num_rows == tally["rows"]
    assert (np.array(got["status"]) == "nodata").sum() == null
    valid = found[np.array(got["status"]) == "valid"]
    assert sorted(map(tuple, valid)) == sorted(map(tuple, np.array(good, np.float32)))


def test_the_commonest_length_is_the_tables_whatever_row_is_asked_for(terravec, tmp_path):
    """A ragged row is the fault, not all others, also when it is the first or the only one that is read."""
    vectors = [[9.0, 9.0]] + [[float(i)] * 3 for i in range(1, 8)]
    lon = np.arange(8.0)
    table = pa.table(
        {
            "id": [f"r{i}" for i in range(8)],
            "embedding": pa.array(vectors, pa.list_(pa.float32())),
            "geometry": shapely.to_wkb(shapely.box(lon, 50, lon + 0.5, 50.5)),
        }
    )
    path = tmp_path / "ragged.parquet"
    pq.write_table(with_geo(table, "Polygon"), path)
    points = write_points_csv(tmp_path / "p.csv", lon[[0, 3]] + 0.25, np.array([50.25, 50.25]))
    got = terravec.table(path, "--points", points, "--skip-bad", out=tmp_path / "o.parquet")
    assert got["status"].to_pylist() == ["nodata", "valid"]
    assert got["embedding"].to_pylist() == [None, [3.0, 3.0, 3.0]]
    assert "row 1" in terravec.fails(1, "sample", path, "--points", "0.25,50.25")


def test_vectors_of_another_length_than_the_product_has_are_refused(terravec, tmp_path):
    said = terravec.fails(1, "convert", f"earth-index-2024={CLAY}", tmp_path / "o.parquet")
    assert "vectors" in said and "embedding" in said


def test_a_product_without_values_gives_its_codes(terravec, tmp_path):
    root = tmp_path / "tile_x=1" / "tile_y=2" / "year=2024"
    root.mkdir(parents=True)
    bits = np.random.default_rng(3).integers(0, 256, (5, 128), np.uint8)
    box = [{"xmin": i, "ymin": 50.0, "xmax": i + 0.1, "ymax": 50.1} for i in np.arange(5.0)]
    table = pa.table(
        {
            "chips_id": [f"c{i}" for i in range(5)],
            "bbox": box,
            "embedding": pa.FixedSizeListArray.from_arrays(pa.array(bits.ravel()), 128),
        }
    )
    pq.write_table(table, root / "part-0.parquet")
    rows = [
        {
            "path": "tile_x=1/tile_y=2/year=2024/part-0.parquet",
            "rows": 5,
            "xmin": 0.0,
            "ymin": 50.0,
            "xmax": 4.1,
            "ymax": 50.1,
            "year": 2024,
        }
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "manifest.parquet")
    dataset = f"terrabit={tmp_path}"
    said = terravec.fails(1, "sample", dataset, "--points", "1.05,50.05")
    assert "--codes" in said
    got = terravec.json("sample", dataset, "--points", "1.05,50.05", "--codes")["rows"][0]
    assert got["codes"] == bits[1].tolist() and got["patch_id"] == "c1"
    assert got["time_start"].startswith("2024-01-01") and got["time_end"].startswith("2025-01-01")
    files = terravec.json("coverage", dataset, "--bbox", "3,50,5,51")["files"]
    assert files[0]["rows"] == 5 and not terravec.json("coverage", dataset, "--bbox", "9,50,10,51")["files"]


# --- extract ------------------------------------------------------------------------------------------------


def test_every_row_comes_out_as_it_went_in(terravec, tmp_path):
    out = tmp_path / "all.parquet"
    terravec("convert", f"clay-v0={CLAY}", out)
    table, vectors, shapes = clay()
    got, found = read(out)
    order = np.argsort(np.array(got["index"]))
    want = np.argsort(np.array(table["index"]))
    assert np.array_equal(found[order], vectors[want])
    assert got["source_url"].take(order).to_pylist() == table["source_url"].take(want).to_pylist()
    assert got["date"].take(order).to_pylist() == table["date"].take(want).to_pylist()
    days = table["date"].take(want).cast(pa.timestamp("ms")).cast(pa.int64()).to_pylist()
    assert millis(got["time_start"].take(order)) == days
    assert millis(got["time_end"].take(order)) == [d + 86_400_000 for d in days]
    made = shapely.from_wkb(got["geometry"].take(order).to_numpy(zero_copy_only=False))
    assert shapely.equals_exact(made, shapes[want], 1e-9).all()
    centres = (shapely.bounds(shapes[want])[:, :2] + shapely.bounds(shapes[want])[:, 2:]) / 2
    assert np.allclose(np.column_stack([got["lon"].take(order), got["lat"].take(order)]), centres, atol=1e-9)


def test_the_output_is_geoparquet_for_tables_of_embeddings(terravec, tmp_path):
    out = tmp_path / "all.parquet"
    terravec("convert", f"clay-v0={CLAY}", out)
    file = pq.ParquetFile(out)
    meta = {k.decode(): v.decode() for k, v in file.schema_arrow.metadata.items()}
    geo, emb = json.loads(meta["geo"]), json.loads(meta["emb"])
    assert geo["version"] == "1.1.0" and "bbox" in geo["columns"]["geometry"]["covering"]
    assert emb["embedding"] == {"dim": 768, "quantization": "None"} and emb["license"]
    assert json.loads(meta["terravec"])["product"] == "clay-v0"
    assert file.schema_arrow.field("embedding").type.list_size == 768
    group = file.metadata.row_group(0)
    columns = {group.column(i).path_in_schema: group.column(i) for i in range(group.num_columns)}
    vector = next(c for p, c in columns.items() if p.startswith("embedding."))
    assert (
        vector.compression == "ZSTD"
        and vector.statistics is None
        and "RLE_DICTIONARY" not in vector.encodings
    )
    assert columns["bbox.xmin"].statistics is not None


@pytest.mark.parametrize("what", ["bbox", "region"])
def test_an_area_takes_the_rows_that_touch_it(terravec, tmp_path, what):
    table, _, shapes = clay()
    west, south, east, north = shapely.total_bounds(shapes)
    w, e = west + 0.3 * (east - west), west + 0.7 * (east - west)
    s, n = south + 0.2 * (north - south), south + 0.6 * (north - south)
    if what == "bbox":
        area = shapely.box(w, s, e, n)
        where = ["--bbox", f"{w},{s},{e},{n}"]
        # A box is compared with the bounds of footprints.
        inside = shapely.intersects(shapely.box(*shapely.bounds(shapes).T), area)
    else:
        area = shapely.Polygon(
            [(w, s), (e, s), (w, n)], [[(w + 0.01, s + 0.01), (w + 0.02, s + 0.01), (w + 0.01, s + 0.02)]]
        )
        region = tmp_path / "r.geojson"
        region.write_text(
            json.dumps(
                {"type": "Feature", "properties": {}, "geometry": json.loads(shapely.to_geojson(area))}
            )
        )
        where = ["--region", region]
        inside = shapely.intersects(shapes, area)
    assert 0 < inside.sum() < len(table)
    out = tmp_path / "o.parquet"
    terravec("extract", f"clay-v0={CLAY}", *where, "-o", out)
    assert sorted(pq.read_table(out)["index"].to_pylist()) == sorted(
        np.array(table["index"])[inside].tolist()
    )


def test_conditions_and_times_choose_rows(terravec, tmp_path):
    table, _, _ = clay()
    index = np.array(table["index"])
    middle = int(np.median(index))
    out = tmp_path / "o.parquet"

    def rows(*args):
        terravec("convert", f"clay-v0={CLAY}", out, "--force", *args)
        return sorted(pq.read_table(out)["index"].to_pylist())

    assert rows("--where", f"index>={middle}", "--where", f"index!={middle}") == sorted(
        index[index > middle].tolist()
    )
    one = table["source_url"][7].as_py()
    assert rows("--where", f"source_url={one}") == [index[7]]
    assert rows("--time", "2022-06-10") == sorted(index.tolist()) == rows("--year", 2022)
    assert "no row" in terravec.fails(
        1, "convert", f"clay-v0={CLAY}", out, "--force", "--time", "2022-06-11..2023-01-01"
    )
    said = terravec.fails(1, "convert", f"clay-v0={CLAY}", out, "--force", "--where", "cloud<3")
    assert "cloud" in said and "source_url" in said
    assert "--where" in terravec.fails(2, "convert", f"clay-v0={CLAY}", out, "--where", "nonsense")


@pytest.mark.parametrize("name", ["o.arrow", "o.csv", "o.geojson"])
def test_other_formats_hold_the_same_rows(terravec, tmp_path, name):
    _, vectors, _ = clay()
    out = tmp_path / name
    terravec("convert", f"clay-v0={CLAY}", out)
    if name.endswith("arrow"):
        got = pa.ipc.open_file(out).read_all()
        found = np.array(got["embedding"].to_pylist(), np.float32)
    elif name.endswith("csv"):
        import csv

        lines = list(csv.reader(out.open()))
        first = lines[0].index("e0")
        found = np.array([line[first : first + 768] for line in lines[1:]], np.float32)
    else:
        features = json.loads(out.read_text())["features"]
        found = np.array([f["properties"]["embedding"] for f in features], np.float32)
    assert np.array_equal(found, vectors), "and in the order of the file"


# --- a product of many files --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def monthly(tmp_path_factory):
    """A tree as LGND lays it out: geohash, year and month in folders, cells of 0.02 degrees, 256 numbers."""
    root = tmp_path_factory.mktemp("monthly")
    rng = np.random.default_rng(11)
    rows = []
    for gh, (lon0, lat0) in {"9x": (-112.0, 40.0), "9w": (-112.0, 38.0)}.items():
        for month in (6, 7):
            ids = [f"{gh}-{i}" for i in range(300)]
            lon = lon0 + 0.02 * (np.arange(300) % 20)
            lat = lat0 + 0.02 * (np.arange(300) // 20)
            vectors = rng.normal(size=(300, 256)).astype(np.float32)
            table = pa.table(
                {
                    "chips_id": ids,
                    "embedding": pa.array(list(vectors), pa.list_(pa.float32())),
                    "bbox": [
                        {"xmin": x, "ymin": y, "xmax": x + 0.02, "ymax": y + 0.02}
                        for x, y in zip(lon, lat, strict=True)
                    ],
                    "geometry": shapely.to_wkb(shapely.box(lon, lat, lon + 0.02, lat + 0.02)),
                    "datetime": pa.array(
                        [1_590_969_600_000 + 86_400_000 * 31 * (month - 6)] * 300, pa.timestamp("ms")
                    ),
                }
            )
            folder = root / f"geohash={gh}" / "year=2020" / f"month={month:02}"
            folder.mkdir(parents=True)
            geo = {
                "version": "1.1.0",
                "primary_column": "geometry",
                "columns": {
                    "geometry": {
                        "encoding": "WKB",
                        "geometry_types": ["Polygon"],
                        "covering": {"bbox": {c: ["bbox", c] for c in ("xmin", "ymin", "xmax", "ymax")}},
                    }
                },
            }
            pq.write_table(
                table.replace_schema_metadata({"geo": json.dumps(geo)}),
                folder / "data_0.parquet",
                row_group_size=50,
            )
            rows += [
                {"id": i, "month": month, "lon": x + 0.01, "lat": y + 0.01, "vector": v}
                for i, x, y, v in zip(ids, lon, lat, vectors, strict=True)
            ]
    return root, rows


def test_folders_are_partitions(terravec, monthly):
    root, rows = monthly
    dataset = f"lgnd-clay-monthly={root}"
    info = terravec.json("info", dataset)
    assert info["files"] == 4 and info["rows"] == len(rows)
    assert info["partitions"] == ["geohash", "year", "month"]
    files = terravec.json("coverage", dataset, "--bbox=-112,40,-111,41")["files"]
    assert [f["path"].split("/")[0] for f in files] == ["geohash=9x"] * 2
    assert files[0]["interval"] == "[2020-06-01, 2020-07-01)"


def test_a_month_of_a_place_reads_that_month(terravec, monthly, tmp_path):
    root, rows = monthly
    out = tmp_path / "o.parquet"
    terravec(
        "extract",
        f"lgnd-clay-monthly={root}",
        "--bbox=-111.895,40.045,-111.805,40.095",
        "--time",
        "2020-07",
        "-o",
        out,
    )
    want = [
        r
        for r in rows
        if r["month"] == 7 and -111.905 <= r["lon"] <= -111.795 and 40.035 <= r["lat"] <= 40.105
    ]
    got, found = read(out)
    assert sorted(got["chips_id"].to_pylist()) == sorted(r["id"] for r in want)
    by_id = {r["id"]: r["vector"] for r in want}
    assert all(np.array_equal(by_id[i.as_py()], v) for i, v in zip(got["chips_id"], found, strict=True))
    assert set(got["time_start"].cast(pa.date32()).to_pylist()) == {pa.scalar(18444, pa.date32()).as_py()}
    terravec(
        "convert", f"lgnd-clay-monthly={root}", out, "--where", "month=6", "--where", "geohash=9w", "--force"
    )
    assert pq.read_table(out).num_rows == 300


def test_only_the_row_groups_that_may_hold_rows_are_read(terravec, tmp_path, serve):
    rows = 4000
    lon, lat = -100 + 0.02 * (np.arange(rows) % 50), 40 + 0.02 * (np.arange(rows) // 50)
    corners = {"xmin": lon, "ymin": lat, "xmax": lon + 0.02, "ymax": lat + 0.02}
    vectors = np.random.default_rng(4).normal(size=(rows, 256)).astype(np.float32)
    table = pa.table(
        {
            "chips_id": pa.array(np.arange(rows).astype(str)),
            "embedding": pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), 256),
            "bbox": pa.StructArray.from_arrays([pa.array(v) for v in corners.values()], list(corners)),
            "geometry": shapely.to_wkb(shapely.box(lon, lat, lon + 0.02, lat + 0.02)),
        }
    )
    root = tmp_path / "served"
    root.mkdir()
    path = root / "cells.parquet"
    pq.write_table(with_geo(table, "Polygon", covering=True), path, row_group_size=200)
    url, stats = serve(root)
    out = tmp_path / "o.parquet"
    terravec("extract", f"{url}/cells.parquet", "--bbox=-99.995,41.005,-99.985,41.015", "-o", out)
    assert pq.read_table(out)["chips_id"].to_pylist() == ["2500"]
    # The end of the file with its footer, and one of twenty row groups.
    assert stats()["bytes"] < 128 * 1024 + path.stat().st_size / 8


# --- sample -------------------------------------------------------------------------------------------------


def test_the_patch_that_contains_a_point(terravec, tmp_path):
    table, vectors, shapes = clay()
    rng = np.random.default_rng(5)
    west, south, east, north = shapely.total_bounds(shapes)
    lon, lat = rng.uniform(west, east, 400), rng.uniform(south, north, 400)
    points = write_points_csv(tmp_path / "p.csv", lon, lat)
    got = terravec.table(f"clay-v0={CLAY}", "--points", points, out=tmp_path / "o.parquet")
    bounds = shapely.bounds(shapes)
    centres = (bounds[:, :2] + bounds[:, 2:]) / 2
    hits = 0
    for row, (x, y) in enumerate(zip(lon, lat, strict=True)):
        inside = np.flatnonzero(shapely.contains_xy(shapes, x, y))
        if not len(inside):
            assert got["status"][row].as_py() == "outside" and got["embedding"][row].as_py() is None
            continue
        hits += 1
        metres = GEOD.inv(np.full(len(inside), x), np.full(len(inside), y), *centres[inside].T)[2]
        best = inside[np.argmin(metres)]
        assert got["patch_id"][row].as_py() == str(table["index"][int(best)].as_py())
        assert abs(got["distance_m"][row].as_py() - metres.min()) < 1e-3
        assert np.array_equal(np.array(got["embedding"][row].as_py(), np.float32), vectors[best])
    assert 20 < hits < 400


@pytest.mark.parametrize("within", [None, 9000])
def test_the_nearest_patches_with_their_distance(terravec, tmp_path, within):
    table, _, shapes = clay()
    bounds = shapely.bounds(shapes)
    centres = (bounds[:, :2] + bounds[:, 2:]) / 2
    lon, lat = np.array([-166.0, 170.0, -165.2]), np.array([65.3, -10.0, 65.0])
    points = write_points_csv(tmp_path / "p.csv", lon, lat)
    limit = [] if within is None else ["--within", within]
    got = terravec.table(
        f"clay-v0={CLAY}", "--points", points, "--nearest", 5, *limit, out=tmp_path / "o.parquet"
    )
    assert got.num_rows == 15 and got["rank"].to_pylist() == [1, 2, 3, 4, 5] * 3
    for p in range(3):
        metres = GEOD.inv(np.full(len(centres), lon[p]), np.full(len(centres), lat[p]), *centres.T)[2]
        order = np.argsort(metres, kind="stable")[:5]
        keep = [i for i in order if within is None or metres[i] <= within]
        rows = got.slice(p * 5, 5)
        assert np.allclose(rows["distance_m"].to_pylist()[: len(keep)], metres[keep], atol=1e-3)
        ids = [str(table["index"][int(i)].as_py()) for i in keep]
        assert rows["patch_id"].to_pylist() == ids + [None] * (5 - len(keep))
        assert rows["status"].to_pylist() == ["valid"] * len(keep) + ["outside"] * (5 - len(keep))


def test_years_and_files_of_a_sample(terravec, monthly, tmp_path):
    root, rows = monthly
    pick = [5, 120, 299]
    first = [r for r in rows if r["id"].startswith("9w") and r["month"] == 7]
    points = write_points_csv(
        tmp_path / "p.csv",
        np.array([first[i]["lon"] for i in pick]),
        np.array([first[i]["lat"] for i in pick]),
    )
    dataset = f"lgnd-clay-monthly={root}"
    got = terravec.table(dataset, "--points", points, out=tmp_path / "o.parquet")
    # Two months cover the places: the latest answers where nothing else decides.
    assert got["patch_id"].to_pylist() == [first[i]["id"] for i in pick]
    assert np.array_equal(
        np.array(got["embedding"].to_pylist(), np.float32), [first[i]["vector"] for i in pick]
    )
    june = terravec.table(dataset, "--points", points, "--time", "2020-06", out=tmp_path / "j.parquet")
    assert not np.array_equal(june["embedding"].to_pylist(), got["embedding"].to_pylist())
    none = terravec.table(dataset, "--points", points, "--year", "2020,2021", out=tmp_path / "y.parquet")
    assert none["status"].to_pylist() == ["valid", "outside"] * 3


@pytest.fixture
def earth_index(tmp_path):
    """Two MGRS files that share a column of points, as overlapping tiles do."""
    rng = np.random.default_rng(2)
    for k, name in enumerate(["18SUJ", "18SVJ"]):
        lon = np.round(-76.0 + 0.004 * (np.arange(20) % 5 + 4 * k), 7) + 1e-9 * k
        lat = 38.0 + 0.003 * (np.arange(20) // 5)
        table = pa.table(
            {
                "id": [f"{name}-{i}" for i in range(20)],
                "embedding": pa.FixedSizeListArray.from_arrays(
                    pa.array(rng.normal(size=20 * 384).astype(np.float32)), 384
                ),
                "geometry": shapely.to_wkb(shapely.points(lon, lat)),
            }
        )
        pq.write_table(
            with_geo(table, "Point"),
            tmp_path / f"{name}_2024-01-01_2025-01-01.parquet",
        )
    return tmp_path


def test_rows_that_stand_in_two_files_come_once(terravec, earth_index, tmp_path_factory):
    out = tmp_path_factory.mktemp("o") / "o.parquet"
    dataset = f"earth-index-2024={earth_index}"
    done = json.loads(terravec("convert", dataset, out, "--json").stdout)
    ids = pq.read_table(out)["id"].to_pylist()
    assert done["tally"]["duplicates"] == 4 and len(ids) == 36
    assert all(f"18SUJ-{i}" in ids for i in range(20)), "the first file's rows are kept"
    terravec("convert", dataset, out, "--keep-duplicates", "--force")
    assert pq.read_table(out).num_rows == 40
    near = terravec.json("sample", dataset, "--points=-75.984,38.0", "--nearest", 2)["rows"]
    assert [r["patch_id"] for r in near] == ["18SUJ-4", "18SUJ-3"] or near[1]["distance_m"] > 100


def test_a_point_product_has_footprints_of_its_published_size(terravec, earth_index):
    dataset = f"earth-index-2024={earth_index}"
    # 320 m patches: 150 m east of a centre is inside, 170 m is not.
    for metres, inside in [(150, True), (170, False)]:
        lon, lat, _ = GEOD.fwd(-76.0, 38.009, 270, metres)
        got = terravec.json("sample", dataset, f"--points={lon},{lat}")["rows"][0]
        assert (got["status"] == "valid") == inside
        assert not inside or abs(got["distance_m"] - metres) < 1e-3


def test_text_tables_of_features(terravec, tmp_path):
    """MOSAIKS: latitude first, then a column per number."""
    rng = np.random.default_rng(9)
    values = rng.normal(size=(6, 4000)).astype(np.float32)
    path = tmp_path / "mosaiks.csv"
    with path.open("w") as f:
        f.write("lat,lon," + ",".join(f"X_{i}" for i in range(4000)) + "\n")
        for i, row in enumerate(values):
            f.write(f"{10.005 + 0.01 * i},{20.005}," + ",".join(repr(float(v)) for v in row) + "\n")
    got = terravec.json("sample", f"mosaiks={path}", "--points", "20.006,10.024")["rows"][0]
    assert got["status"] == "valid" and np.array_equal(np.array(got["embedding"], np.float32), values[2])
    out = tmp_path / "o.parquet"
    terravec("extract", f"mosaiks={path}", "--bbox", "20,10.01,20.01,10.03", "-o", out)
    _, found = read(out)
    assert sorted(map(tuple, found)) == sorted(map(tuple, values[1:3]))


def test_vectors_of_a_raster_product_in_a_table_are_its_vectors(terravec, tmp_path):
    table = TESTDATA / "alphaearth" / "labelled" / "labelled_vectors.parquet"
    info = terravec.json("info", f"{products.ALPHAEARTH}={table}")
    assert info["product"] == "alphaearth" and info["unit_length"] and info["dimension"] == 64
    out = tmp_path / "o.parquet"
    terravec("convert", f"{products.ALPHAEARTH}={table}", out)
    got, found = read(out)
    want = np.array(pq.read_table(table)["embedding"].to_pylist(), np.float32)
    assert sorted(map(tuple, found)) == sorted(map(tuple, want))
    assert set(got["product"].to_pylist()) == {"alphaearth"}


# --- hostile ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cut", [0, 3, 100, -9, -1])
def test_damaged_files_are_errors(terravec, tmp_path, cut):
    data = CLAY.read_bytes()
    path = tmp_path / "x.parquet"
    path.write_bytes(data[:cut])
    for verb in (["info", path], ["sample", path, "--points=-166,65"], ["convert", path, tmp_path / "o.csv"]):
        said = terravec.fails(1, *verb)
        assert "x.parquet" in said
    assert os.listdir(tmp_path) == ["x.parquet"]


def test_options_of_another_kind_are_refused(terravec, tmp_path, seam):
    out = tmp_path / "o.parquet"
    assert "--crs" in terravec.fails(2, "convert", CLAY, out, "--crs", "EPSG:3857")
    assert "--where" in terravec.fails(
        2, "convert", f"{products.ALPHAEARTH}={seam.root}", out, "--where", "a=1"
    )
    assert "--nearest" in terravec.fails(
        1, "sample", f"{products.ALPHAEARTH}={seam.root}", "--points", "6,52", "--nearest", 2
    )
    assert ".parquet" in terravec.fails(1, "convert", CLAY, tmp_path / "o.tif")


def test_options_that_would_do_nothing_are_refused(terravec, tmp_path):
    out = tmp_path / "o.parquet"
    assert "--no-mask" in terravec.fails(2, "extract", CLAY, "--bbox", "0,0,1,1", "--no-mask", "-o", out)
    assert "--inner" in terravec.fails(2, "sample", CLAY, "--points", "0,0", "--inner")
    assert "--within" in terravec.fails(
        2, "sample", CLAY, "--points", "0,0", "--nearest", 1, "--within", "nan"
    )
