"""Weights: found at a path, in a folder, in the cache; fetched only when asked for, checked and kept."""

import hashlib
import subprocess
import time
import urllib.request

import location_reference as ref
import numpy as np
import pytest
from conftest import Cli

DIM = 40
FILE = "sinr.safetensors"


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """The publisher's folder. The file is larger than what is asked for with its size."""
    root = tmp_path_factory.mktemp("published")
    ref.write_safetensors(root / FILE, ref.sinr_weights(np.random.default_rng(1), species=2000))
    assert (root / FILE).stat().st_size > 300_000
    (root / "page.html").write_text("<!DOCTYPE html><html>" + "x" * 300_000)
    return root


@pytest.fixture(scope="module")
def server(published, serve):
    return serve(published)[0]


def requests(server):
    """Requests since this was last asked."""
    import json

    with urllib.request.urlopen(f"{server}/__stats") as answer:
        return json.load(answer)["requests"]


@pytest.fixture
def cli(terravec, tmp_path):
    """The command with a cache of its own."""
    return Cli(terravec.binary, tmp_path / "home")


class Product:
    def __init__(self, cli, folder, published, server):
        self.cli, self.folder, self.server = cli, folder, server
        self.file = published / FILE
        self.sha256 = hashlib.sha256(self.file.read_bytes()).hexdigest()
        self.cache = folder / "home" / "cache" / "terravec" / "weights"
        self.path = self.cache / "mine" / FILE

    def describe(self, query="", licence="MIT", file=FILE, **facts):
        """The descriptor, with a fault in its address and facts that may be wrong."""
        licence = f'licence = "{licence}"' if licence else 'unknown = ["licence"]'
        facts = "".join(f"{k} = {v!r}\n".replace("'", '"') for k, v in facts.items())
        (self.folder / "mine.toml").write_text(
            f'id = "mine"\nname = "Mine"\nsummary = "A test."\nkind = "location"\nformat = "weights"\n'
            f'dimension = {DIM}\ncodec = "identity"\n{licence}\n'
            '[encoder]\narchitecture = "sinr"\ninput = "lon_lat"\nscaling = "x"\n'
            f"dimensions = [{DIM}]\n"
            f'[[weights]]\nfile = "{FILE}"\nurl = "{self.server}/{file}{query}"\n{facts}'
        )

    def ask(self, verb, *args):
        return (verb, *args, "--catalog", self.folder / "mine.toml")

    def sample(self, dataset="mine"):
        return self.ask("sample", dataset, "--points", "2.35,48.85")

    def left(self):
        return sorted(p for p in self.cache.rglob("*") if p.is_file()) if self.cache.exists() else []


@pytest.fixture
def mine(cli, tmp_path, published, server):
    requests(server)
    return Product(cli, tmp_path, published, server)


def test_nothing_is_fetched_unasked(mine, tmp_path):
    mine.describe()
    for ask in [
        mine.sample(),
        mine.ask("info", "mine"),
        mine.ask("coverage", "mine"),
        mine.ask("extract", "mine", "--bbox", "0,0,1,1", "--resolution", 1, "-o", tmp_path / "o.tif"),
    ]:
        said = mine.cli.fails(1, *ask)
        assert "terravec download mine" in said and "MIT" in said and "mine=WEIGHTS" in said
    assert "terravec download" in mine.cli.fails(1, *mine.sample(f"mine={mine.server}/{FILE}"))
    shown = mine.cli(*mine.ask("download", "mine", "--dry-run")).stdout
    assert f"{mine.server}/{FILE}" in shown and str(mine.path) in shown and "MIT" in shown
    assert requests(mine.server) == 0 and mine.left() == []


def test_a_download_says_what_it_takes_and_keeps_the_checksum(mine):
    size = mine.file.stat().st_size
    mine.describe(bytes=size, sha256=mine.sha256)
    shown = mine.cli(*mine.ask("download", "mine")).stdout
    # Size, licence and checksum come before the file.
    assert [line.split()[0] for line in shown.splitlines()][:5] == ["from", "to", "size", "licence", "sha256"]
    assert f"{size} bytes" in shown and "MIT" in shown and shown.count(mine.sha256) == 2
    assert mine.path.read_bytes() == mine.file.read_bytes()
    kept = mine.path.with_name(FILE + ".sha256")
    assert kept.read_text() == f"{mine.sha256}  {FILE}\n"
    assert (
        subprocess.run(["sha256sum", "-c", kept.name], cwd=kept.parent, capture_output=True).returncode == 0
    )
    assert mine.left() == [mine.path, kept]
    # From here on the product opens by its id, and answers as the file does.
    requests(mine.server)
    from_cache, from_file = (
        mine.cli.json(*mine.sample(d))["rows"][0]["embedding"] for d in ("mine", f"mine={mine.file}")
    )
    assert from_cache == from_file and len(from_cache) == DIM
    [weights] = mine.cli.json(*mine.ask("info", "mine"))["weights"]
    assert weights == {
        "role": "network",
        "path": str(mine.path),
        "bytes": size,
        "sha256": mine.sha256,
        "published": True,
    }
    again = mine.cli(*mine.ask("download", "mine")).stdout
    assert "there already" in again and requests(mine.server) == 0
    mine.cli(*mine.ask("download", "mine", "--force"))
    assert requests(mine.server) > 0


def test_a_folder_holds_the_published_files(mine, published, tmp_path):
    mine.describe()
    rows = mine.cli.json(*mine.sample(f"mine={published}"))["rows"]
    assert rows == mine.cli.json(*mine.sample(f"mine={mine.file}"))["rows"]
    (tmp_path / "empty").mkdir()
    assert FILE in mine.cli.fails(1, *mine.sample(f"mine={tmp_path / 'empty'}"))


@pytest.mark.parametrize(
    "fault",
    ["status:503", "retry-after:0", "reset:1000", "truncate:70000", "range:1", "no-content-range", "hangup"],
)
def test_a_host_that_stumbles_is_asked_again(mine, fault):
    mine.describe(f"?fault={fault}&times=2", sha256=mine.sha256)
    mine.cli(*mine.ask("download", "mine"))
    assert mine.path.read_bytes() == mine.file.read_bytes()


@pytest.mark.parametrize(
    ("query", "facts", "words"),
    [
        ("?fault=status:404", {}, ["/sinr.safetensors"]),
        ("?fault=status:403", {}, ["/sinr.safetensors"]),
        ("?fault=etag&skip=1", {}, ["changed"]),
        ("", {"sha256": "0" * 64}, ["sha256", "0" * 64, "nothing was kept"]),
        ("", {"bytes": 12345}, ["12345", "nothing was kept"]),
        ("", {"file": "page.html"}, ["web page"]),
        ("", {"file": "gone.pth"}, ["gone.pth"]),
    ],
)
def test_what_is_not_the_file_is_not_kept(mine, query, facts, words):
    mine.describe(query, **facts)
    said = mine.cli.fails(1, *mine.ask("download", "mine"))
    assert all(word in said for word in words), said
    assert mine.left() == []
    mine.cli.fails(1, *mine.sample())


def test_a_download_that_is_killed_leaves_nothing(mine):
    mine.describe("?fault=stall:60000&skip=1")
    process = mine.cli.start(*mine.ask("download", "mine"), stdout=subprocess.DEVNULL)
    for _ in range(100):
        if requests(mine.server) >= 2:
            break
        time.sleep(0.05)
    time.sleep(0.2)
    process.kill()
    process.wait()
    assert mine.left() == []


def test_a_file_that_changed_in_the_cache_is_refused(mine):
    mine.describe()
    mine.cli(*mine.ask("download", "mine"))
    good = mine.path.read_bytes()
    mine.path.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    said = mine.cli.fails(1, *mine.sample())
    assert str(mine.path) in said and "terravec download mine --force" in said
    mine.cli(*mine.ask("download", "mine"))
    assert mine.path.read_bytes() == good
    mine.path.with_name(FILE + ".sha256").unlink()
    assert "--force" in mine.cli.fails(1, *mine.sample())


def test_without_a_published_checksum_the_first_one_is_kept(mine):
    mine.describe(licence=None)
    shown = mine.cli(*mine.ask("download", "mine")).stdout
    assert "not published" in shown and mine.sha256 in shown and "licence  unknown" in shown
    assert "published" not in mine.cli.json(*mine.ask("info", "mine"))["weights"][0]


def test_what_cannot_be_fetched_is_said(cli):
    assert "no location encoder" in cli.fails(1, "download", "alphaearth")
    assert "needs no weights" in cli.fails(1, "download", "sincos")
    assert "unknown" in cli.fails(1, "download", "csp")
    assert "satclip" in cli.fails(1, "download", "satclop")


def test_every_variant_has_a_place_of_its_own(cli):
    paths = set()
    for spec in [
        "satclip",
        "satclip@vit16-l10",
        "satclip@resnet50-l10",
        "geoclip",
        "climplicit@seasons",
        "mind",
    ]:
        [file] = cli.json("download", spec, "--dry-run")
        assert file["url"].startswith("https://") and not file["present"]
        paths.add(file["path"])
    assert len(paths) == 6
    network, database = cli.json("download", "range", "--dry-run")
    assert (network["role"], database["role"]) == ("network", "database")


def test_range_takes_a_folder_with_its_database(cli, tmp_path):
    """SatCLIP's weights and the database under their published names."""
    rng = np.random.default_rng(2)
    arrays = ref.satclip_weights(rng, 1600, "model.location.", outputs=256)
    ref.write_pth(tmp_path / "satclip-vit16-l40.ckpt", arrays, wrap=lambda s: {"state_dict": s})
    database = {
        "locs": np.stack([rng.uniform(-180, 180, 50), rng.uniform(-60, 60, 50)], axis=1),
        "satclip_embeddings": rng.normal(size=(50, 256)).astype(np.float32),
        "image_embeddings": rng.normal(size=(50, 1024)).astype(np.float32),
    }
    said = cli.fails(1, "sample", f"range={tmp_path}", "--points", "10,20")
    assert "range_db_large.npz" in said
    np.savez(tmp_path / "range_db_large.npz", **database)
    lon, lat = np.array([10.0]), np.array([20.0])
    q = ref.satclip(arrays, "model.location.", ref.harmonics(lon, lat, 40, "analytic"))
    for spec, beta in [("range", 0.5), ("range@range-plus", 0.5), ("range@range", None)]:
        [row] = cli.json("sample", f"{spec}={tmp_path}", "--points", "10,20")["rows"]
        expected = ref.range_(q, lon, lat, database, beta)[0]
        assert np.abs(np.array(row["embedding"]) - expected).max() < 1e-4
    file = tmp_path / "satclip-vit16-l40.ckpt"
    assert "range=FOLDER" in cli.fails(1, "sample", f"range={file}", "--points", "10,20")
