"""Every `console` and `python` block of the documentation is run: it must do and print what the page shows."""

import doctest
import re
import shlex

import pytest
from conftest import ROOT, TESTDATA

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks():
    for page in PAGES:
        for i, block in enumerate(re.findall(r"```console\n(.*?)```", page.read_text(), re.S)):
            yield pytest.param(block, id=f"{page.name}-{i}")


@pytest.mark.parametrize("block", list(blocks()))
def test_the_page_shows_what_happens(terravec, tmp_path, block):
    (tmp_path / "testdata").symlink_to(TESTDATA)
    for part in block.strip().split("$ terravec ")[1:]:
        command, _, shown = part.partition("\n")
        done = terravec.raw(*shlex.split(command), cwd=tmp_path)
        said = done.stdout + done.stderr
        assert said.strip() == shown.strip()
        assert (done.returncode == 0) == ("error:" not in shown)


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
