"""terravec-geo against PROJ (pyproj) and GDAL (rasterio), through the crate's examples."""

import contextlib
import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pyproj
import pytest
import rasterio.features
from affine import Affine
from pyproj.enums import WktVersion
from shapely.geometry import MultiPolygon, Polygon, mapping

ROOT = Path(__file__).resolve().parents[2]
CENTIMETRE = 0.01


def example(name):
    """Path of a built example: from $TERRAVEC_EXAMPLES, or built now."""
    folder = os.environ.get("TERRAVEC_EXAMPLES")
    if folder:
        return Path(folder) / name
    out = subprocess.run(
        ["cargo", "build", "-q", "-p", "terravec-geo", "--example", name, "--message-format=json"],
        cwd=ROOT,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    ).stdout
    for line in out.splitlines():
        message = json.loads(line)
        if (
            message.get("reason") == "compiler-artifact"
            and message["target"]["name"] == name
            and message["executable"]
        ):
            return Path(message["executable"])
    raise RuntimeError(f"cargo built no example {name}")


@pytest.fixture(scope="session")
def transform_points():
    exe = example("transform")

    def run(rows):
        """rows of (src, dst, x, y) → (n, 2) array."""
        text = "".join(f"{s},{d},{float(x)!r},{float(y)!r}\n" for s, d, x, y in rows)
        out = subprocess.run([exe], input=text, check=True, stdout=subprocess.PIPE, text=True).stdout
        return np.array([[float(v) for v in line.split(",")] for line in out.splitlines()]).reshape(-1, 2)

    return run


@pytest.fixture(scope="session")
def describe():
    exe = example("describe_crs")

    def run(texts):
        text = "".join(json.dumps(t) + "\n" for t in texts)
        out = subprocess.run([exe], input=text, check=True, stdout=subprocess.PIPE, text=True).stdout
        return [json.loads(line) for line in out.splitlines()]

    return run


@pytest.fixture(scope="session")
def codes():
    out = subprocess.run(
        [example("describe_crs"), "--list"], check=True, stdout=subprocess.PIPE, text=True
    ).stdout
    return [int(line) for line in out.split()]


def places(rng, code, n):
    """Random places a CRS is meant for, and beyond its edges by some degrees."""
    crs = pyproj.CRS(code)
    area = crs.area_of_use
    west, south, east, north = area.west, area.south, area.east, area.north
    if west > east:
        east += 360
    lon = rng.uniform(west - 3, east + 3, n)
    lat = np.clip(rng.uniform(south - 3, north + 3, n), -89.9, 89.9)
    if code == 3857:
        lat = np.clip(lat, -85.06, 85.06)
    return np.where(lon > 180, lon - 360, np.where(lon < -180, lon + 360, lon)), lat


def ballpark(code):
    """PROJ's transformation on the ellipsoid alone: from longitude and latitude on the CRS's own datum."""
    crs = pyproj.CRS(code)
    return pyproj.Transformer.from_crs(crs.geodetic_crs, crs, always_xy=True)


def test_100_000_points_within_a_centimetre(transform_points, codes):
    rng = np.random.default_rng(20250101)
    projected = [c for c in codes if pyproj.CRS(c).is_projected]
    per_code = -(-100_000 // len(projected))
    rows, expected = [], []
    for code in projected:
        lon, lat = places(rng, code, per_code)
        rows += [("EPSG:4326", f"EPSG:{code}", x, y) for x, y in zip(lon, lat, strict=False)]
        expected.append(np.column_stack(ballpark(code).transform(lon, lat)))
    expected = np.concatenate(expected)
    assert len(rows) >= 100_000
    got = transform_points(rows)
    assert np.isfinite(expected).all()
    error = np.hypot(*(got - expected).T)
    assert error.max() < CENTIMETRE, rows[int(np.nanargmax(error))]

    # And back: the error on the ground, in metres.
    back = transform_points([(d, s, x, y) for (s, d, _, _), (x, y) in zip(rows, expected, strict=False)])
    proj = np.concatenate(
        [
            np.column_stack(
                ballpark(code).transform(*expected[i * per_code : (i + 1) * per_code].T, direction="INVERSE")
            )
            for i, code in enumerate(projected)
        ]
    )
    dlon = (back[:, 0] - proj[:, 0] + 180) % 360 - 180
    metres = 111_320 * np.hypot(dlon * np.cos(np.radians(proj[:, 1])), back[:, 1] - proj[:, 1])
    assert metres.max() < CENTIMETRE, rows[int(np.nanargmax(metres))]


@pytest.mark.parametrize(
    "code", [32616, 32733, 25231, 3857, 3035, 3031, 3413, 3995, 32661, 32761, 8857, 5070, 6933, 26916, 25832]
)
def test_from_wgs84_as_pyproj_does_by_default(transform_points, code):
    """No grids, no network: what a user of pyproj gets."""
    lon, lat = places(np.random.default_rng(code), code, 1000)
    expected = np.column_stack(pyproj.Transformer.from_crs(4326, code, always_xy=True).transform(lon, lat))
    got = transform_points([("EPSG:4326", f"EPSG:{code}", x, y) for x, y in zip(lon, lat, strict=False)])
    assert np.abs(got - expected).max() < CENTIMETRE


def test_between_projected_crs(transform_points):
    pairs = [
        (32616, 5070),
        (32631, 3035),
        (32601, 32660),
        (3857, 8857),
        (3413, 32631),
        (6933, 32733),
        (25231, 32631),
    ]
    for a, b in pairs:
        lon, lat = places(np.random.default_rng(a), b if a in (3857, 8857, 6933) else a, 500)
        x, y = ballpark(a).transform(lon, lat)
        want = np.column_stack(ballpark(b).transform(lon, lat))
        got = transform_points([(f"EPSG:{a}", f"EPSG:{b}", *p) for p in zip(x, y, strict=False)])
        ok = np.isfinite(want).all(axis=1) & np.isfinite(x)
        assert ok.mean() > 0.9
        assert np.abs(got - want)[ok].max() < CENTIMETRE, (a, b)


def boxes(rows):
    text = "".join(",".join(map(str, r)) + "\n" for r in rows)
    out = subprocess.run(
        [example("transform"), "--bbox"], input=text, check=True, stdout=subprocess.PIPE, text=True
    ).stdout
    return np.array([[float(v) for v in line.split(",")] for line in out.splitlines()])


def test_boxes_to_longitude_and_latitude():
    """Against PROJ's own transform of bounds with very dense edges; poles and antimeridian included."""
    rng = np.random.default_rng(5)
    rows = []
    for code in rng.choice(
        [32616, 32733, 32601, 32760, 3035, 5070, 3031, 3413, 3995, 32661, 6933, 3857, 25231], 300
    ):
        lon, lat = places(rng, int(code), 1)
        x, y = ballpark(int(code)).transform(lon[0], lat[0])
        w, h = 10 ** rng.uniform(2, 5.3, 2)
        rows.append((int(code), 4326, x, y, x + w, y + h))
    rows += [
        (3031, 4326, -1e6, -2e6, 3e6, 1e6),
        (3413, 4326, -1e5, -1e5, 1e5, 2e5),
        (32701, 4326, 1e5, 8e6, 3e5, 8.1e6),
    ]
    wrong = []
    for row, got in zip(rows, boxes([(f"EPSG:{a}", f"EPSG:{b}", *r) for a, b, *r in rows]), strict=False):
        code = row[0]
        to = pyproj.Transformer.from_crs(code, pyproj.CRS(code).geodetic_crs, always_xy=True)
        want = np.array(to.transform_bounds(*row[2:], densify_pts=3000))
        if np.isnan(want).any():  # the box leaves the map: PROJ gives up, ours is what is left of it
            continue
        if want[2] - want[0] > 359:  # a pole: all longitudes, however it is written
            want[[0, 2]] = -180, 180
        # A centimetre inwards; a metre outwards, since PROJ's samples may straddle the extreme.
        outwards = (got - want) * [-1, -1, 1, 1]
        if outwards.min() < -1e-7 or outwards.max() > 1e-5:
            wrong.append((row, got.tolist(), want.tolist()))
    assert sum(r[2] > 0 for r in rows) > 50
    assert not wrong, (len(wrong), wrong[:4])


def test_boxes_between_projected_crs():
    rng = np.random.default_rng(6)
    rows, want = [], []
    for _ in range(200):
        a, b = [
            (32631, 3035),
            (32616, 5070),
            (3035, 32632),
            (3413, 3995),
            (3857, 8857),
            (4326, 32631),
            (4326, 3413),
            (4326, 8857),
            (32733, 6933),
        ][int(rng.integers(9))]
        lon, lat = places(rng, b if a in (3857, 4326) else a, 1)
        x, y = (lon[0], lat[0]) if a == 4326 else ballpark(a).transform(lon[0], lat[0])
        w, h = rng.uniform(0.1, 3, 2) if a == 4326 else 10 ** rng.uniform(2, 5.3, 2)
        box = (x, y, x + w, min(y + h, 89.9) if a == 4326 else y + h)
        if (a == 4326 and box[2] > 179.9) or box[3] <= box[1]:
            continue
        s = np.linspace(0, 1, 20001)
        ex = np.concatenate(
            [box[0] + s * (box[2] - box[0])] * 2 + [np.full_like(s, box[0]), np.full_like(s, box[2])]
        )
        ys = box[1] + s * (box[3] - box[1])
        ey = np.concatenate([np.full_like(s, box[1]), np.full_like(s, box[3]), ys, ys])
        lonlat = (ex, ey) if a == 4326 else ballpark(a).transform(ex, ey, direction="INVERSE")
        px, py = ballpark(b).transform(*lonlat)
        if a != 4326 and np.ptp(lonlat[0]) > 180:  # a world map is cut open inside the box
            continue
        rows.append((f"EPSG:{a}", f"EPSG:{b}", *box))
        want.append((px.min(), py.min(), px.max(), py.max()))
    got = boxes(rows)
    assert len(rows) > 150
    worst = np.abs(got - np.array(want)).max(axis=1)
    assert worst.max() < CENTIMETRE, (
        rows[int(worst.argmax())],
        got[worst.argmax()],
        want[int(worst.argmax())],
    )


def test_every_code_has_projs_name_and_projjson(describe, codes):
    for code, got in zip(codes, describe([str(c) for c in codes]), strict=False):
        crs = pyproj.CRS(code)
        assert got["epsg"] == code
        assert got["name"] == crs.name
        assert got["geographic"] == crs.is_geographic
        ours = pyproj.CRS.from_json(json.dumps(got["projjson"]))
        assert ours.to_epsg(min_confidence=100) == (4326 if code == 4979 else code)
        # Without its id, what is written must still mean that CRS.
        bare = {k: v for k, v in got["projjson"].items() if k != "id"}
        want = pyproj.CRS(4326) if code == 4979 else crs
        assert pyproj.CRS.from_json(json.dumps(bare)).equals(want), (code, bare)


def texts_of(code):
    crs = pyproj.CRS(code)
    yield from (
        crs.to_wkt(version)
        for version in (WktVersion.WKT2_2019, WktVersion.WKT2_2015, WktVersion.WKT2_2019_SIMPLIFIED)
    )
    for version in (WktVersion.WKT1_GDAL, WktVersion.WKT1_ESRI):
        with contextlib.suppress(pyproj.exceptions.CRSError):
            yield crs.to_wkt(version)
    yield crs.to_json()


def strip_ids(text):
    """The same text without any authority code."""
    if text.startswith("{"):

        def clean(v):
            if isinstance(v, dict):
                return {k: clean(w) for k, w in v.items() if k not in ("id", "ids")}
            return [clean(w) for w in v] if isinstance(v, list) else v

        return json.dumps(clean(json.loads(text)))
    import re

    return re.sub(r',(ID|AUTHORITY)\["EPSG",("?)\d+("?)\]', "", text)


@pytest.mark.parametrize("ids", [True, False])
def test_wkt_and_projjson_of_every_flavour(describe, codes, ids):
    same_by_meaning = {4979: {4326, 4979}, 3067: {3067, 25835}, 32661: {32661, 5041}, 32761: {32761, 5042}}
    asked = [
        (c, t if ids else strip_ids(t)) for c in codes for t in texts_of(c) if pyproj.CRS(c).coordinate_system
    ]
    asked = [(c, t) for c, t in asked if t]
    assert len(asked) > 1400
    wrong = []
    for (code, text), got in zip(asked, describe([t for _, t in asked]), strict=False):
        if got.get("epsg") not in same_by_meaning.get(code, {code}):
            wrong.append((code, got.get("epsg"), got.get("error"), text[:200]))
    assert not wrong, (len(wrong), wrong[:5])


def test_generic_projections_by_parameters(transform_points, describe, tmp_path):
    """CRSs without a code, written as WKT2 and PROJJSON by PROJ."""
    strings = [
        "+proj=tmerc +lat_0=10 +lon_0=20.5 +k=0.9999 +x_0=1000 +y_0=2000 +datum=WGS84",
        "+proj=laea +lat_0=-10 +lon_0=25 +x_0=1e6 +datum=WGS84",
        "+proj=aea +lat_0=40 +lon_0=-96 +lat_1=20 +lat_2=60 +datum=WGS84",
        "+proj=stere +lat_0=90 +lat_ts=60 +lon_0=-100 +datum=WGS84",
        "+proj=merc +lat_ts=40 +lon_0=10 +datum=WGS84",
        "+proj=lcc +lat_0=0 +lon_0=10 +lat_1=-10 +lat_2=25 +datum=WGS84",
        "+proj=eqearth +lon_0=50 +datum=WGS84",
        "+proj=cea +lat_ts=45 +lon_0=7 +datum=WGS84",
        "+proj=sinu +lon_0=0 +R=6371007.181",
        "+proj=tmerc +lat_0=0 +lon_0=-90 +k=0.9996 +x_0=500000 +datum=WGS84 +units=us-ft",
    ]
    rng = np.random.default_rng(7)
    for string in strings:
        crs = pyproj.CRS(string)
        lon = rng.uniform(-20, 20, 200) + (crs.to_dict().get("lon_0") or 0)
        lat = rng.uniform(1, 60, 200)
        want = np.column_stack(
            pyproj.Transformer.from_crs(crs.geodetic_crs, crs, always_xy=True).transform(lon, lat)
        )
        texts = [crs.to_wkt(), crs.to_json()]
        if "eqearth" not in string:  # GDAL's WKT1 has no word for it
            texts.append(crs.to_wkt(WktVersion.WKT1_GDAL))
        for text in texts:
            quoted = '"' + text.replace('"', '""').replace("\n", "") + '"'
            got = transform_points([("OGC:CRS84", quoted, x, y) for x, y in zip(lon, lat, strict=False)])
            assert np.abs(got - want).max() < CENTIMETRE, string
        # What we write of it, PROJ reads back as the same projection.
        ours = pyproj.CRS.from_json(json.dumps(describe([crs.to_json()])[0]["projjson"]))
        again = np.column_stack(
            pyproj.Transformer.from_crs(ours.geodetic_crs, ours, always_xy=True).transform(lon, lat)
        )
        assert np.abs(again - want).max() < CENTIMETRE, string


def test_refusals(describe):
    texts = [
        "EPSG:27700",
        pyproj.CRS(27700).to_wkt(),
        pyproj.CRS(28992).to_json(),
        "EPSG:99999999",
        "",
        "hello",
        "PROJCS[",
        pyproj.CRS(4978).to_wkt(),
        pyproj.CRS(5773).to_wkt(),
        "{}",
        "{",
        "EPSG:-1",
        "[" * 1000,
        "A[" * 100_000,
        pyproj.CRS("+proj=omerc +lat_0=4 +lonc=115 +alpha=53.3 +datum=WGS84").to_wkt(),
        pyproj.CRS(4807).to_wkt(),
    ]
    for text, got in zip(texts, describe(texts), strict=False):
        assert "error" in got, text[:100]
    assert "326zz" in describe(["EPSG:27700"])[0]["error"]
    assert "datum" in describe([pyproj.CRS(27700).to_wkt()])[0]["error"]


@pytest.fixture(scope="session")
def burn():
    exe = example("burn")

    def run(tasks):
        text = "".join(json.dumps(t) + "\n" for t in tasks)
        out = subprocess.run([exe], input=text, check=True, stdout=subprocess.PIPE, text=True).stdout
        return [
            np.frombuffer(line.encode(), "u1").reshape(t["height"], t["width"]) == ord("1")
            for t, line in zip(tasks, out.splitlines(), strict=False)
        ]

    return run


def star(rng, cx, cy, radius, n, spread=0.7):
    """A random simple polygon around a centre."""
    angle = np.sort(rng.uniform(0, 2 * np.pi, n))
    r = radius * (1 - spread * rng.random(n))
    return np.column_stack([cx + r * np.cos(angle), cy + r * np.sin(angle)])


def shapes(rng, count):
    """Random multipolygons with holes on random grids: (affine, width, height, multipolygon)."""
    for _ in range(count):
        width, height = (int(v) for v in rng.integers(1, 80, 2))
        res = float(rng.choice([1.0, 10.0, 0.25, 30.0]))
        x0, y0 = (float(v) for v in rng.uniform(-1e5, 1e5, 2).round(1))
        parts = []
        for _ in range(rng.integers(1, 4)):
            cx = x0 + res * rng.uniform(-10, width + 10)
            cy = y0 - res * rng.uniform(-10, height + 10)
            radius = res * rng.uniform(0.3, 50)
            outer = star(rng, cx, cy, radius, int(rng.integers(3, 60)), spread=0.5)
            holes = [star(rng, cx, cy, radius * 0.4, int(rng.integers(3, 20)))] if rng.random() < 0.6 else []
            parts.append(Polygon(outer, holes))
        yield Affine(res, 0, x0, 0, -res, y0), width, height, MultiPolygon(parts)


def task(affine, width, height, shape, all_touched):
    rings = [[list(p.exterior.coords), *(list(r.coords) for r in p.interiors)] for p in shape.geoms]
    return {
        "gdal": list(affine.to_gdal()),
        "width": width,
        "height": height,
        "all_touched": all_touched,
        "polygons": rings,
    }


def rasterio_mask(affine, width, height, shape, all_touched, pad=True):
    """GDAL's mask, burnt on a grid that holds the whole shape and cut out of it.

    On smaller grids GDAL 3.10 clips outlines wrongly and sets pixels at the other end of the next row.
    """
    left = right = top = bottom = 0
    if pad:
        west, south, east, north = shape.bounds
        res, x0, y0 = affine.a, affine.c, affine.f
        left, right = max(0, 2 - int((west - x0) // res)), max(0, int((east - x0) // res) + 3 - width)
        top, bottom = max(0, 2 - int((y0 - north) // res)), max(0, int((y0 - south) // res) + 3 - height)
    burnt = rasterio.features.rasterize(
        [(mapping(shape), 1)],
        out_shape=(top + height + bottom, left + width + right),
        transform=Affine(affine.a, 0, affine.c - left * affine.a, 0, affine.e, affine.f - top * affine.e),
        dtype="uint8",
        all_touched=all_touched,
    )
    return burnt[top : top + height, left : left + width].astype(bool)


def compare(burn, cases, pad=True):
    tasks = [task(*case) for case in cases]
    wrong = 0
    for case, got in zip(cases, burn(tasks), strict=False):
        want = rasterio_mask(*case, pad=pad)
        if not np.array_equal(got, want):
            wrong += 1
            print(case[:3], case[4], np.argwhere(got != want)[:5].tolist(), case[3].wkt[:300])
    assert wrong == 0, f"{wrong} of {len(cases)} masks differ"


@pytest.mark.parametrize("all_touched", [False, True])
def test_masks_equal_rasterio(burn, all_touched):
    rng = np.random.default_rng(11 + all_touched)
    cases = [(*s, all_touched) for s in shapes(rng, 1500)]
    assert sum(rasterio_mask(*c).any() for c in cases) > 1000
    compare(burn, cases)


@pytest.mark.parametrize("all_touched", [False, True])
def test_masks_equal_rasterio_where_vertices_lie_on_the_grid(burn, all_touched):
    """Ties: vertices on pixel corners, edges and centres; both ring directions; rings that cross themselves.

    Outlines stay on the raster: where they leave it, ties depend on rounding at the clipped end.
    """
    rng = np.random.default_rng(23)
    cases = []
    for _ in range(1500):
        n = int(rng.integers(3, 9))
        step = float(rng.choice([1.0, 0.5]))
        low, high = (
            ([0, 0], [int(15 / step) + 1, int(12 / step) + 1]) if all_touched else ([-3, -3], [24, 24])
        )
        points = rng.integers(low, high, (n, 2)) * step
        polygon = Polygon(points)
        box = rng.random() < 0.3
        if box:
            (x0, y0), (x1, y1) = points[:2]
            polygon = Polygon([(x0, y0), (x1, y0), (x1, y1), (x0, y1)])
        if polygon.area > 0:
            cases.append((Affine(1, 0, 0, 0, -1, 12), 15, 12, MultiPolygon([polygon]), all_touched))
    compare(burn, cases, pad=False)


def test_a_large_polygon_is_fast(burn):
    """10 000 vertices on 10 000 × 10 000 pixels, in time that no quadratic algorithm could keep."""
    import time

    rng = np.random.default_rng(3)
    shape = MultiPolygon([Polygon(star(rng, 5000, 5000, 4900, 10_000, spread=0.1))])
    case = (Affine(1, 0, 0, 0, -1, 10_000), 10_000, 10_000, shape, False)
    start = time.monotonic()
    (got,) = burn([task(*case)])
    seconds = time.monotonic() - start
    assert np.array_equal(got, rasterio_mask(*case))
    assert seconds < 20
