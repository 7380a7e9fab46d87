"""Every `console` and `python` block of the documentation is run: it must do and print what the page shows."""

import doctest
import re
import shlex
import signal
import subprocess

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import ROOT, TESTDATA

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks():
    for page in PAGES:
        for i, block in enumerate(re.findall(r"```console\n(.*?)```", page.read_text(), re.S)):
            yield pytest.param(block, id=f"{page.name}-{i}")


def archive(folder, serve):
    """What stands for `s3://archive`: bundled vectors, many times over, behind a line of 8 MB/s."""
    table = pq.read_table(TESTDATA / "alphaearth" / "labelled" / "labelled_vectors.parquet")
    (folder / "archive").mkdir()
    table = pa.concat_tables([table] * 45)
    pq.write_table(table, folder / "archive" / "vectors.parquet", compression="none", use_dictionary=False)
    url, _ = serve(folder, "--bandwidth", "8000000")
    return {"AWS_ENDPOINT_URL": url, "AWS_NO_SIGN_REQUEST": "yes"}


def sizes_masked(text):
    """How much had come when it was killed differs from time to time."""
    return re.sub(r"[0-9.]+ [kM]?B\b", "SIZE", text)


@pytest.mark.parametrize("block", list(blocks()))
def test_the_page_shows_what_happens(terravec, tmp_path, serve, block):
    (tmp_path / "testdata").symlink_to(TESTDATA)
    killed = "timeout -s KILL" in block
    env = terravec.env | (archive(tmp_path, serve) if killed else {})
    parts = re.split(r"^\$ ", block.strip(), flags=re.M)[1:]
    assert parts
    for part in parts:
        command, _, shown = part.partition("\n")
        words = [str(terravec.binary) if word == "terravec" else word for word in shlex.split(command)]
        done = subprocess.run(words, cwd=tmp_path, env=env, text=True, capture_output=True, timeout=120)
        said = done.stdout + done.stderr
        if killed:
            said, shown = sizes_masked(said), sizes_masked(shown)
        assert said.strip() == shown.strip()
        if words[0] == "timeout":
            assert done.returncode in (137, -signal.SIGKILL)
        else:
            assert (done.returncode == 0) == ("error:" not in shown)
    if killed:
        copy, original = (next((tmp_path / f).glob("*.parquet")) for f in ("copy", "archive"))
        assert "were there from before" in block and copy.read_bytes() == original.read_bytes()


def python_pages():
    for page in PAGES:
        blocks = re.findall(r"```python\n(.*?)```", page.read_text(), re.S)
        if blocks:
            yield pytest.param("".join(blocks), id=page.name)


@pytest.mark.parametrize("blocks", list(python_pages()))
@pytest.mark.filterwarnings("ignore::terravec.TerravecWarning")
def test_python_does_what_the_page_shows(tmp_path, monkeypatch, blocks):
    (tmp_path / "testdata").symlink_to(TESTDATA)
    monkeypatch.chdir(tmp_path)
    test = doctest.DocTestParser().get_doctest(blocks, {}, "page", None, 0)
    said = []
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    assert test.examples and runner.run(test, out=said.append).failed == 0, "".join(said)


def test_there_are_examples():
    assert len(list(blocks())) >= 6


def test_links_lead_somewhere():
    for page in [*PAGES, ROOT / "ARCHITECTURE.md", ROOT / "CONTRIBUTING.md", ROOT / "catalog" / "README.md"]:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
