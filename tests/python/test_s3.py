"""An S3 store that others wrote (s3s, on a folder), which checks every signature: lists, ranges, odd names, right and wrong keys."""

import json
import shutil
import subprocess

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import TESTDATA, target

TILE = next((TESTDATA / "alphaearth" / "wisconsin").rglob("*.tif"))
ID, SECRET = "AKIDTEST", "s3cr3t/with+odd=signs"

#: Names that are written otherwise in an address, in a signature or in XML.
ODD = [
    "a b",
    "a+b",
    "a%20b",
    "a&b<c>'d'",
    "year=2024",
    "tilde~",
    "grüße 地球",
    "comma,semi;at@",
    "(paren)*!$",
    'quote"hash#',
    "question?x=1",
    "dots...",
]


@pytest.fixture(scope="module")
def bucket(tmp_path_factory):
    root = tmp_path_factory.mktemp("s3") / "bucket"
    for name in ODD:
        (root / "odd" / name).mkdir(parents=True)
        shutil.copy(TILE, root / "odd" / name / f"{name}.tif")
    return root


@pytest.fixture(scope="module")
def url(bucket):
    binary = target() / "terravec-s3server"
    if not binary.exists():
        pytest.fail(f"{binary} is not built: run `cargo build --manifest-path tests/s3server/Cargo.toml`")
    server = subprocess.Popen([binary, bucket.parent, ID, SECRET], stdout=subprocess.PIPE, text=True)
    yield server.stdout.readline().strip()
    server.kill()
    server.wait()


@pytest.fixture
def s3(terravec, url, tmp_path):
    """The command with these keys."""

    def keys(key=ID, secret=SECRET, **more):
        cli = type(terravec)(terravec.binary, tmp_path)
        cli.env |= {
            "AWS_ENDPOINT_URL": url,
            "AWS_ACCESS_KEY_ID": key,
            "AWS_SECRET_ACCESS_KEY": secret,
            "AWS_REGION": "eu-west-1",
            "TERRAVEC_PATIENCE": "5",
        } | more
        return cli

    return keys


@pytest.mark.parametrize("name", ODD)
def test_names_of_any_kind_are_signed_and_read(s3, tmp_path, name):
    path = f"s3://bucket/odd/{name}/{name}.tif"
    lines = []
    for cli, dataset in [(s3(), path), (s3(), TILE)]:
        cli(
            "sample",
            f"alphaearth={dataset}",
            "--points",
            "-88.77,44.295",
            "--force",
            "-o",
            tmp_path / "o.csv",
        )
        lines.append((tmp_path / "o.csv").read_text().split("\n")[1].split(","))
    # The vector; before it stands where it is from.
    assert lines[0][-64:] == lines[1][-64:] and float(lines[0][-1])


def test_a_mirror_has_all_that_is_listed(s3, bucket, tmp_path):
    """Lists name every object; whole files come by ranges, signed one by one."""
    mirror = tmp_path / "mirror"
    said = s3().json("download", "alphaearth=s3://bucket/odd", "-o", mirror)
    assert said["report"]["fetched"] == len(ODD)
    for name in ODD:
        path = f"{name}/{name}.tif"
        assert (mirror / path).read_bytes() == TILE.read_bytes() == (bucket / "odd" / path).read_bytes()


def test_lists_go_on(s3, bucket, tmp_path):
    # More than the store gives at a time, and a neighbour whose name begins alike.
    table = tmp_path / "t.parquet"
    pq.write_table(pa.table({"lon": [5.0], "lat": [52.0], "embedding": [[0.6, 0.8]]}), table)
    folder = bucket / "many" / "p=1 +"
    folder.mkdir(parents=True)
    (bucket / "many2").mkdir()
    for path in [*(folder / f"{i:04}.parquet" for i in range(1005)), bucket / "many2" / "x.parquet"]:
        shutil.copy(table, path)
    assert s3().json("info", "s3://bucket/many")["files"] == 1005


@pytest.mark.parametrize(
    ("keys", "why"),
    [
        ({"secret": "an0ther"}, "SignatureDoesNotMatch"),
        ({"key": "AKIDOTHER"}, "not signed up"),
        ({"AWS_NO_SIGN_REQUEST": "yes"}, "denied"),
    ],
)
def test_other_keys_are_refused_and_it_says_why(s3, keys, why):
    for path in ("s3://bucket/odd/a b/a b.tif", "s3://bucket/odd"):
        said = s3(**keys).fails(1, "info", f"alphaearth={path}")
        assert "access denied" in said and why.lower() in said.lower(), said
        assert "an0ther" not in said and SECRET not in said


def test_what_is_not_there_is_told(s3):
    assert "not found" in s3().fails(1, "info", "s3://bucket/odd/none.tif")
    assert "not found" in s3().fails(1, "info", "s3://bucket/nowhere")
    assert "not found" in s3().fails(1, "info", "s3://elsewhere/x.tif")


def test_the_state_of_an_object_is_known_by_its_tag(s3, bucket, tmp_path):
    path = bucket / "changing.tif"
    shutil.copy(TILE, path)
    states = []
    for cache in ("one", "two", "three"):
        s3(TERRAVEC_CACHE_DIR=str(tmp_path / cache))("info", "alphaearth=s3://bucket/changing.tif")
        (about,) = (tmp_path / cache).rglob("about.json")
        states.append(json.loads(about.read_text())["version"])
        if cache == "two":
            path.write_bytes(TILE.read_bytes() + b"more")
    assert states[0].startswith("etag:") and states[0] == states[1] != states[2]
