"""The command under test, and the product trees built once for all tests."""

import json
import os
import signal
import subprocess
import urllib.request
from pathlib import Path

import fixtures
import pyarrow.parquet as pq
import pytest

ROOT = Path(__file__).resolve().parents[2]
TESTDATA = ROOT / "testdata"

# Who runs the tests in the background may have Ctrl-C ignored, which programs inherit; some tests send it.
signal.signal(signal.SIGINT, signal.default_int_handler)


def target():
    """Where cargo puts binaries."""
    default = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "debug"
    return Path(os.environ.get("TERRAVEC_TARGET", default))


def find_binary():
    named = os.environ.get("TERRAVEC_BIN")
    return Path(named) if named else target() / "terravec"


class Cli:
    """Runs `terravec` and keeps what it said."""

    def __init__(self, binary, home):
        self.binary = binary
        self.env = os.environ | {
            "HOME": str(home),
            "XDG_CACHE_HOME": str(home / "cache"),
            "NO_COLOR": "1",
            "COLUMNS": "100",
        }

    def start(self, *args, **kwargs):
        return subprocess.Popen([self.binary, *map(str, args)], env=self.env, text=True, **kwargs)

    def raw(self, *args, cwd=None):
        return subprocess.run(
            [self.binary, *map(str, args)],
            env=self.env,
            cwd=cwd,
            text=True,
            capture_output=True,
            timeout=120,
        )

    def __call__(self, *args, cwd=None):
        """Run and insist on success."""
        done = self.raw(*args, cwd=cwd)
        assert done.returncode == 0, f"terravec {' '.join(map(str, args))}\n{done.stderr}"
        return done

    def json(self, *args):
        return json.loads(self(*args, "--json").stdout)

    def fails(self, code, *args):
        """Run and insist on this exit status and an error a person can use; returns what stderr said."""
        done = self.raw(*args)
        assert done.returncode == code, f"exit {done.returncode}, wanted {code}\n{done.stdout}\n{done.stderr}"
        assert "panicked" not in done.stderr
        assert "error:" in done.stderr
        return done.stderr

    def table(self, *args, out):
        """`sample` into a GeoParquet file, read back."""
        self("sample", *args, "-o", out)
        return pq.read_table(out)


@pytest.fixture(scope="session")
def terravec(tmp_path_factory):
    binary = find_binary()
    if not binary.exists():
        pytest.fail(f"{binary} is not built: run `cargo build -p terravec-cli` or set TERRAVEC_BIN")
    return Cli(binary, tmp_path_factory.mktemp("home"))


def tree(kind, name):
    @pytest.fixture(scope="session", name=name)
    def build(tmp_path_factory):
        return kind(tmp_path_factory.mktemp(name))

    return build


@pytest.fixture(scope="session")
def serve():
    """Starts the test server on a folder: its address, and what it served since it was last asked."""
    binary = target() / "terravec-testserver"
    started = []

    def start(folder, *options):
        server = subprocess.Popen([binary, folder, *options], stdout=subprocess.PIPE, text=True)
        started.append(server)
        url = server.stdout.readline().strip()

        def stats():
            with urllib.request.urlopen(f"{url}/__stats") as answer:
                return json.load(answer)

        return url, stats

    yield start
    for server in started:
        server.kill()
        server.wait()


seam = tree(fixtures.AlphaEarthSeam, "seam")
big = tree(fixtures.BigAlphaEarth, "big")
tessera = tree(fixtures.Tessera, "tessera")
presto = tree(fixtures.Presto, "presto")
esd = tree(fixtures.Esd, "esd")
copernicus = tree(fixtures.CopernicusEmbed, "copernicus")
whole_earth = tree(fixtures.WholeEarth, "whole_earth")
majortom = tree(fixtures.MajorTomAlphaEarth, "majortom")
olmoearth = tree(fixtures.OlmoEarth, "olmoearth")
