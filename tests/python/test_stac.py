"""STAC catalogues: files of a catalogue, a list of items, pages of an API; they say where files are, and what is not theirs to say is refused."""

import http.server
import json
import threading
import urllib.parse

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely
from fixtures import with_geo, write_points_csv

COLLECTION = "ssl4eo_yearly_embeddings"
# West edges of four tiles along 10° N; each holds a row of patches.
TILES = {"18SUJ": -75.0, "19SUJ": -70.0, "20SUJ": -65.0, "31UDQ": 2.0}


def table(west, seed):
    rng = np.random.default_rng(seed)
    lon = west + np.linspace(0.1, 0.9, 20)
    values = rng.standard_normal((20, 16)).astype(np.float32)
    made = pa.table(
        {
            "id": [f"{west}/{i}" for i in range(20)],
            "embedding": pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), 16),
            "geometry": pa.array(list(shapely.to_wkb(shapely.points(lon, np.full(20, 10.5))))),
        }
    )
    return with_geo(made, "Point")


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """Files as Earth Index names them, for two years."""
    root = tmp_path_factory.mktemp("archive")
    for i, (name, west) in enumerate(TILES.items()):
        for year in (2025, 2026):
            pq.write_table(table(west, i + year), root / f"{name}_{year}-01-01_{year + 1}-01-01.parquet")
    return root


def items(base, years=(2025,)):
    out = []
    for name, west in TILES.items():
        for year in years:
            stem = f"{name}_{year}-01-01_{year + 1}-01-01"
            out.append(
                {
                    "type": "Feature",
                    "stac_version": "1.0.0",
                    "id": stem,
                    "collection": COLLECTION,
                    "bbox": [west, 10, west + 1, 11],
                    "geometry": None,
                    "properties": {
                        "datetime": None,
                        "start_datetime": f"{year}-01-01T00:00:00Z",
                        "end_datetime": f"{year + 1}-01-01T00:00:00Z",
                    },
                    "links": [],
                    "assets": {
                        "thumbnail": {"href": f"{base}{stem}.png", "type": "image/png"},
                        "embeddings": {
                            "href": f"{base}{stem}.parquet",
                            "type": "application/vnd.apache.parquet",
                        },
                    },
                }
            )
    return out


def catalog(root, files, **more):
    """A catalogue of files: a collection below it, and items below that."""
    made = items(files, **more)
    (root / COLLECTION).mkdir(parents=True)
    write = lambda path, value: path.write_text(json.dumps(value))  # noqa: E731
    links = [{"rel": "child", "href": f"./{COLLECTION}/collection.json"}, {"rel": "self", "href": "x"}]
    write(root / "catalog.json", {"type": "Catalog", "stac_version": "1.0.0", "id": "c", "links": links})
    links = [{"rel": "item", "href": f"./{i['id']}.json"} for i in made]
    links.append({"rel": "parent", "href": "../catalog.json"})
    collection = {"type": "Collection", "stac_version": "1.0.0", "id": COLLECTION, "links": links}
    write(root / COLLECTION / "collection.json", collection)
    for item in made:
        write(root / COLLECTION / f"{item['id']}.json", item)
    return made


class Api(http.server.BaseHTTPRequestHandler):
    """Two collections, items in pages of two; no byte ranges, no Content-Length of what it makes."""

    def do_GET(self):
        base = f"http://127.0.0.1:{self.server.server_port}"
        url = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(url.query))
        path = url.path.rstrip("/")
        self.server.asked.append(self.path)
        here = f"{base}/collections/{COLLECTION}"
        links = [{"rel": "items", "href": f"{here}/items"}]
        ours = {"type": "Collection", "stac_version": "1.0.0", "id": COLLECTION, "links": links}
        if path == "":
            links = [
                {"rel": "data", "href": f"{base}/collections"},
                {"rel": "search", "href": f"{base}/search"},
            ]
            said = {"type": "Catalog", "stac_version": "1.0.0", "id": "api", "links": links}
        elif path == "/collections":
            said = {"collections": [{**ours, "id": "other"}, ours], "links": []}
        elif path == f"/collections/{COLLECTION}":
            said = ours
        elif path == f"/collections/{COLLECTION}/items":
            at = int(query.get("token", 0))
            links = []
            if at + 2 < len(self.server.items):
                href = f"{here}/items?limit={query['limit']}&token={at + 2}"
                links = [{"rel": "next", "href": href, "method": "GET"}]
            said = {"type": "FeatureCollection", "features": self.server.items[at : at + 2], "links": links}
        else:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(said).encode())

    def log_message(self, *args):
        pass


@pytest.fixture
def api():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Api)
    server.items, server.asked = [], []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()


def expected(archive, lon, year=2025):
    for _i, (name, west) in enumerate(TILES.items()):
        if west <= lon <= west + 1:
            rows = pq.read_table(archive / f"{name}_{year}-01-01_{year + 1}-01-01.parquet")
            lons = shapely.get_x(shapely.from_wkb(rows["geometry"].to_numpy()))
            at = int(np.abs(lons - lon).argmin())
            return np.array(rows["embedding"][at].as_py(), np.float32)
    raise AssertionError(lon)


def check(terravec, tmp_path, spec, archive):
    tmp_path = tmp_path / str(len(list(tmp_path.iterdir())))
    tmp_path.mkdir()
    lon = [-74.5, 2.3, 30.0]
    points = write_points_csv(tmp_path / "p.csv", lon, [10.5] * 3)
    got = terravec.table(
        spec, "--points", points, "--nearest", 1, "--within", 50_000, out=tmp_path / "o.parquet"
    )
    assert got["status"].to_pylist() == ["valid", "valid", "outside"]
    for i in range(2):
        np.testing.assert_array_equal(got["embedding"][i].as_py(), expected(archive, lon[i]))
    found = terravec.json("coverage", spec, "--bbox", "-71,10,-64,11")
    names = sorted(f["path"].rsplit("/", 1)[1] for f in found["files"])
    assert names == [f"{n}_2025-01-01_2026-01-01.parquet" for n in ("19SUJ", "20SUJ")]
    assert terravec.json("info", spec)["years"] == {"2025": 4}


def test_a_catalogue_of_files(terravec, tmp_path, archive, serve):
    root = tmp_path / "stac"
    catalog(root, "../../archive/")
    (tmp_path / "archive").symlink_to(archive)
    check(terravec, tmp_path, f"earth-index-2025={root / 'catalog.json'}", archive)
    url, _ = serve(tmp_path)
    check(terravec, tmp_path, f"earth-index-2025={url}/stac/catalog.json", archive)


def test_a_list_of_items(terravec, tmp_path, archive, serve):
    files, _ = serve(archive)
    path = tmp_path / "items.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": items(f"{files}/")}))
    check(terravec, tmp_path, f"earth-index-2025={path}", archive)


def test_pages_of_an_api(terravec, tmp_path, archive, serve, api):
    files, _stats = serve(archive)
    api.items = items(f"{files}/")
    url = f"http://127.0.0.1:{api.server_port}"
    check(terravec, tmp_path, f"earth-index-2025={url}", archive)
    asked = len(api.asked)
    # Root, collections and two pages, once: what follows believes the cache.
    assert asked == 4
    check(terravec, tmp_path, f"earth-index-2025={url}/collections/{COLLECTION}", archive)
    # A mirror of what a region needs, and it answers.
    mirror = tmp_path / "mirror"
    terravec("download", f"earth-index-2025={url}", "-o", mirror, "--bbox", "-75,10,-74,11")
    name = "18SUJ_2025-01-01_2026-01-01.parquet"
    assert [p.name for p in mirror.iterdir() if p.is_file()] == [name]
    assert (mirror / name).read_bytes() == (archive / name).read_bytes()
    assert terravec.json("info", f"earth-index-2025={mirror}")["rows"] == 20


def test_a_year_is_not_the_one_it_ends_at(terravec, tmp_path, archive, serve):
    files, _ = serve(archive)
    path = tmp_path / "items.json"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": items(f"{files}/", (2025, 2026))}))
    found = terravec.json("coverage", path, "--bbox", "-75,10,-74,11", "--year", 2026)
    assert [f["path"].rsplit("/", 1)[1] for f in found["files"]] == ["18SUJ_2026-01-01_2027-01-01.parquet"]


def test_rasters_of_a_catalogue_are_opened_when_needed(terravec, tmp_path, seam, serve):
    """The same answers as from the folder; a file far away is never asked for."""
    local = f"alphaearth={seam.root}"
    covered = terravec.json("coverage", local)["tiles"]
    url, _stats = serve(seam.root)
    features = [
        {
            "type": "Feature",
            "id": str(i),
            "bbox": tile["bbox"],
            "properties": {"datetime": f"{tile['year']}-07-01T00:00:00Z"},
            "links": [],
            "assets": {"image": {"href": f"{url}/{tile['path']}"}},
        }
        for i, tile in enumerate(covered)
    ]
    far = {**features[0], "id": "far", "bbox": [100, 0, 101, 1]}
    far["assets"] = {"image": {"href": f"{url}/nowhere.tif"}}
    path = tmp_path / "items.json"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": [*features, far]}))
    spec = f"alphaearth={path}"
    west, south, east, north = covered[0]["bbox"]
    points = write_points_csv(tmp_path / "p.csv", [(west + east) / 2], [(south + north) / 2])
    year = covered[0]["year"]
    near = terravec.table(local, "--points", points, "--year", year, out=tmp_path / "near.parquet")
    seen = terravec.table(spec, "--points", points, "--year", year, out=tmp_path / "far.parquet")
    assert seen["status"].equals(near["status"]) and seen["embedding"].equals(near["embedding"])
    assert len(terravec.json("coverage", spec)["tiles"]) == len(covered) + 1


@pytest.mark.parametrize(
    "change, said",
    [
        (lambda f: f["assets"].pop("embeddings"), "none of its 4 items has a file of vectors"),
        (lambda f: f.pop("bbox"), "has no bbox"),
        (lambda f: f.update(assets=3), "no STAC object"),
    ],
)
def test_items_of_no_use(terravec, tmp_path, change, said):
    features = items("./")
    for feature in features:
        change(feature)
    path = tmp_path / "items.json"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    assert said in terravec.fails(1, "info", f"earth-index-2025={path}")


def test_what_a_catalogue_must_not_say(terravec, tmp_path, archive, serve, api):
    url, _ = serve(tmp_path)
    path = tmp_path / "items.json"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": items("file:///etc/")}))
    assert "leads from the web" in terravec.fails(1, "info", f"earth-index-2025={url}/items.json")
    path.write_text('{"some": "json"}')
    assert "no STAC" in terravec.fails(1, "info", f"earth-index-2025={path}")
    # Several candidates, and nobody says which.
    features = items("./")
    for feature in features:
        feature["assets"]["more"] = {"href": "./more.parquet"}
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    assert "embeddings, more" in terravec.fails(1, "info", path)
    # Pages in a circle end.
    link = {"rel": "next", "href": f"{url}/circle.json"}
    path = tmp_path / "circle.json"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": items("./"), "links": [link]}))
    assert "circle" in terravec.fails(1, "info", f"earth-index-2025={url}/circle.json")
