"""Write testdata/alphaearth and testdata/regions anew from the originals.

    .venv/bin/python tools/make_testdata.py --source FOLDER

FOLDER holds `aef_wi_2024_int8_utm16n.tif` (real AlphaEarth 2024 codes over a field in Wisconsin) and four
`alphaearth_s1_dw_samples_{region}_2024.csv` (real decoded vectors with Dynamic World classes at points).
Only AlphaEarth values, their places and years, and the Dynamic World class are taken from them: see the
ORIGIN.md this script writes. Codes are got back from the published values by inverting the decode rule, and
the script stops if a single one does not come back exact.
"""

import argparse
import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import rasterio
import shapely
from pyproj import Transformer
from rasterio.transform import Affine

ROOT = Path(__file__).resolve().parent.parent
BANDS = [f"A{i:02d}" for i in range(64)]
REGIONS = ["amazon_forest", "california_coast", "iowa_ag", "sf_bay_urban"]
CLASSES = [
    "water",
    "trees",
    "grass",
    "flooded_vegetation",
    "crops",
    "shrub_and_scrub",
    "built",
    "bare",
    "snow_and_ice",
]
RES = 10.0
# AlphaEarth itself has 1024-pixel blocks. Here a block holds about one labelled pixel, and small blocks keep
# both the files and the time to decode them small.
BLOCK = 128


def decode(codes):
    """AlphaEarth's rule in float64: sign(v)·(v/127.5)²."""
    v = codes.astype(np.float64)
    return np.sign(v) * (v / 127.5) ** 2


def encode(values):
    """The inverse of `decode`, checked to be exact."""
    codes = np.sign(values) * np.rint(127.5 * np.sqrt(np.abs(values)))
    codes = codes.astype(np.int8)
    assert np.array_equal(decode(codes), values), "a published value is not a decoded code"
    assert (codes > -128).all()
    return codes


def write_tile(path, codes, crs, transform, **profile):
    path.parent.mkdir(parents=True, exist_ok=True)
    bands, height, width = codes.shape
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        width=width,
        height=height,
        count=bands,
        dtype="int8",
        crs=crs,
        transform=transform,
        nodata=-128,
        tiled=True,
        compress="zstd",
        zstd_level=22,
        **profile,
    ) as dst:
        dst.write(codes)
        dst.descriptions = BANDS


def write_wisconsin(source, out):
    """The Wisconsin tile twice: rows north first, and as Google publishes its tiles, rows south first."""
    with rasterio.open(source / "aef_wi_2024_int8_utm16n.tif") as src:
        codes, crs, transform = src.read(), src.crs, src.transform
    assert codes.shape == (64, 97, 97) and transform.e == -RES

    north_up = out / "wisconsin" / "2024" / "16N" / "wisconsin_field.tif"
    write_tile(north_up, codes, crs, transform, interleave="pixel", blockxsize=32, blockysize=32, predictor=2)

    height = codes.shape[1]
    south_up = transform @ Affine.translation(0, height) @ Affine.scale(1, -1)
    assert south_up.e == RES
    gcs = out / "gcs" / "2024" / "16N" / "xwisconsinfield16n-0000000000-0000000000.tiff"
    write_tile(
        gcs, codes[:, ::-1], crs, south_up, interleave="band", blockxsize=64, blockysize=64, predictor=2
    )
    for path, order in ((north_up, 1), (gcs, -1)):
        with rasterio.open(path) as check:
            assert np.array_equal(check.read()[:, ::order], codes)
    return north_up, gcs


def read_points(source):
    """Every labelled point, in the files' order."""
    rows = []
    for region in REGIONS:
        with open(source / f"alphaearth_s1_dw_samples_{region}_2024.csv", newline="") as f:
            for row in csv.DictReader(f):
                lon, lat = json.loads(row[".geo"])["coordinates"]
                rows.append(
                    {
                        "region": region,
                        "year": int(row["year"]),
                        "dw_label": int(row["dw_label"]),
                        "lon": lon,
                        "lat": lat,
                        "values": np.array([float(row[b]) for b in BANDS]),
                    }
                )
    return rows


def utm_of(row):
    """AlphaEarth's zone: six degrees each, without the exceptions of Norway and Svalbard."""
    zone = int((row["lon"] + 180) // 6) + 1
    return (zone, row["lat"] < 0)


def write_sparse_tiles(rows, out):
    """One tile per region and UTM zone, nodata but for the labelled pixels. Returns the rows kept."""
    kept, dropped, paths = [], 0, []
    for region in REGIONS:
        here = [r for r in rows if r["region"] == region]
        pixels = {}
        for row in here:
            zone, south = utm_of(row)
            to_utm = Transformer.from_crs(4326, (32700 if south else 32600) + zone, always_xy=True)
            x, y = to_utm.transform(row["lon"], row["lat"])
            row["pixel"] = (zone, south, int(x // RES), int(y // RES))
            row["codes"] = encode(row["values"])
            pixels.setdefault(row["pixel"], []).append(row["codes"])
        for row in here:
            same = pixels[row["pixel"]]
            if all(np.array_equal(same[0], other) for other in same):
                kept.append(row)
            else:
                dropped += 1

        for zone, south in sorted({r["pixel"][:2] for r in here}):
            mine = [r for r in kept if r["region"] == region and r["pixel"][:2] == (zone, south)]
            cols = [r["pixel"][2] for r in mine]
            lines = [r["pixel"][3] for r in mine]
            x0, y1 = min(cols) * RES, (max(lines) + 1) * RES
            width, height = max(cols) - min(cols) + 1, max(lines) - min(lines) + 1
            name = f"{zone}{'S' if south else 'N'}"
            path = out / "labelled" / "2024" / name / f"{region}.tif"
            path.parent.mkdir(parents=True, exist_ok=True)
            blocks = {}
            for r, col, line in zip(mine, cols, lines, strict=True):
                col, line = col - min(cols), max(lines) - line
                block = blocks.setdefault((col // BLOCK, line // BLOCK), {})
                block[(col % BLOCK, line % BLOCK)] = r["codes"]
            with rasterio.open(
                path,
                "w",
                driver="GTiff",
                width=width,
                height=height,
                count=64,
                dtype="int8",
                crs=f"EPSG:{(32700 if south else 32600) + zone}",
                transform=Affine(RES, 0, x0, 0, -RES, y1),
                nodata=-128,
                tiled=True,
                blockxsize=BLOCK,
                blockysize=BLOCK,
                interleave="pixel",
                compress="zstd",
                zstd_level=22,
                sparse_ok=True,
            ) as dst:
                for (bx, by), points in sorted(blocks.items(), key=lambda item: item[0][::-1]):
                    left, top = bx * BLOCK, by * BLOCK
                    w, h = min(BLOCK, width - left), min(BLOCK, height - top)
                    data = np.full((64, h, w), -128, np.int8)
                    for (col, line), codes in points.items():
                        data[:, line, col] = codes
                    dst.write(data, window=rasterio.windows.Window(left, top, w, h))
                dst.descriptions = BANDS
            paths.append(path)
    return kept, dropped, paths


def geoparquet(path, rows, vectors):
    """GeoParquet 1.1 points (WKB, lon/lat); with `vectors`, also the published values as float32."""
    lon = np.array([r["lon"] for r in rows])
    lat = np.array([r["lat"] for r in rows])
    columns = {
        "id": pa.array(range(len(rows)), pa.int32()),
        "region": pa.array([r["region"] for r in rows]).dictionary_encode().cast(pa.string()),
        "year": pa.array([r["year"] for r in rows], pa.int16()),
        "dw_label": pa.array([r["dw_label"] for r in rows], pa.int8()),
        "dw_class": pa.array([CLASSES[r["dw_label"]] for r in rows]),
    }
    if vectors:
        values = np.stack([r["values"] for r in rows]).astype(np.float32)
        columns["embedding"] = pa.FixedSizeListArray.from_arrays(values.ravel(), 64)
    columns["geometry"] = pa.array(shapely.to_wkb(shapely.points(lon, lat), flavor="iso"), pa.binary())
    geo = {
        "version": "1.1.0",
        "primary_column": "geometry",
        "columns": {
            "geometry": {
                "encoding": "WKB",
                "geometry_types": ["Point"],
                "bbox": [float(v) for v in (lon.min(), lat.min(), lon.max(), lat.max())],
            }
        },
    }
    table = pa.table(columns).replace_schema_metadata({"geo": json.dumps(geo)})
    pq.write_table(table, path, compression="zstd", compression_level=19)


def check_labelled(rows, paths):
    """Read every labelled pixel back through GDAL and compare with the published value."""
    seen = 0
    for path in paths:
        region, zone = path.stem, path.parent.name
        with rasterio.open(path) as src:
            to_utm = Transformer.from_crs(4326, src.crs, always_xy=True)
            for row in rows:
                if row["region"] == region and f"{row['pixel'][0]}{'NS'[row['pixel'][1]]}" == zone:
                    line, col = src.index(*to_utm.transform(row["lon"], row["lat"]))
                    got = src.read(window=((line, line + 1), (col, col + 1)))[:, 0, 0]
                    assert np.array_equal(decode(got), row["values"])
                    seen += 1
    assert seen == len(rows)


def write_region(out):
    """A field-shaped polygon with a hole, inside the Wisconsin tile, as lon/lat GeoJSON."""
    outer = [(358515, 4906480), (359190, 4906555), (359310, 4906010), (358905, 4905715), (358560, 4905860)]
    hole = [(358800, 4906250), (358790, 4906080), (359000, 4906060), (359020, 4906270)]
    to_lonlat = Transformer.from_crs(32616, 4326, always_xy=True)

    def ring(points):
        ring = [[round(v, 7) for v in to_lonlat.transform(*p)] for p in points]
        return [*ring, ring[0]]

    # RFC 7946 winds the outer ring counter-clockwise and holes clockwise.
    polygon = shapely.geometry.polygon.orient(shapely.Polygon(ring(outer), [ring(hole)]))
    feature = {
        "type": "Feature",
        "properties": {"name": "field", "id": 7},
        "geometry": shapely.geometry.mapping(polygon),
    }
    out.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"type": "FeatureCollection", "features": [feature]}, indent=1)
    (out / "wisconsin_field.geojson").write_text(text + "\n")


ORIGIN = """\
# Where these files come from

Written by `tools/make_testdata.py`; do not edit by hand.

| files | what | origin |
|---|---|---|
| `wisconsin/2024/16N/wisconsin_field.tif` | real AlphaEarth 2024 codes, 97 × 97 pixels of 10 m, EPSG:32616, rows north first | values exported by github elliemadsen/satellite-embeddings |
| `gcs/2024/16N/*.tiff` | the same codes laid out as Google publishes its tiles: its file naming, band-separate, rows **south** first | the same |
| `labelled/2024/{{zone}}/{{region}}.tif` | sparse tiles: real AlphaEarth 2024 codes at the labelled pixels, nodata (−128) elsewhere | values sampled by github letocassius/alphaearth-to-sar-cross-model-prediction, codes got back exactly by inverting the decode rule |
| `labelled/labelled_points.parquet` | {kept} points in four regions: place, year, Dynamic World class | the same |
| `labelled/labelled_vectors.parquet` | the same points with the published AlphaEarth vectors (float32) | the same |

Points that share a 10 m pixel with another point of a different vector would be left out: one of the two values must
belong to a neighbouring pixel. Dropped so: {dropped} of {total}.

Nothing else of those repositories is here: no code, no prose, none of their other columns.

## Licences and attribution

* **AlphaEarth values**: CC-BY 4.0. *The AlphaEarth Foundations Satellite Embedding dataset is produced by Google and
  Google DeepMind.* Changed: cut to small areas and points, written into new files.
* **Dynamic World classes** (`dw_label`, `dw_class`): CC-BY 4.0, *This dataset is produced for the Dynamic World Project
  by Google in partnership with National Geographic Society and the World Resources Institute.* Changed: sampled at
  points.

https://creativecommons.org/licenses/by/4.0/
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--source", type=Path, required=True, help="folder with the original files")
    source = parser.parse_args().source

    out = ROOT / "testdata" / "alphaearth"
    shutil.rmtree(out, ignore_errors=True)
    write_wisconsin(source, out)
    rows = read_points(source)
    kept, dropped, paths = write_sparse_tiles(rows, out)
    check_labelled(kept, paths)
    geoparquet(out / "labelled" / "labelled_points.parquet", kept, vectors=False)
    geoparquet(out / "labelled" / "labelled_vectors.parquet", kept, vectors=True)
    (out / "ORIGIN.md").write_text(ORIGIN.format(kept=len(kept), total=len(rows), dropped=dropped))
    write_region(ROOT / "testdata" / "regions")
    files = [p for p in out.rglob("*") if p.is_file()]
    print(f"{len(kept)} points kept, {dropped} dropped; {sum(p.stat().st_size for p in files)} bytes")


if __name__ == "__main__":
    main()
