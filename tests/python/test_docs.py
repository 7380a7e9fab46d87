"""Every `console` block of the documentation is run: commands must do and print what the page shows."""

import re
import shlex

import pytest
from conftest import ROOT, TESTDATA

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks():
    for page in PAGES:
        for i, block in enumerate(re.findall(r"```console\n(.*?)```", page.read_text(), re.S)):
            yield pytest.param(block, id=f"{page.name}-{i}")


@pytest.mark.parametrize("block", blocks())
def test_the_page_shows_what_happens(terravec, tmp_path, block):
    (tmp_path / "testdata").symlink_to(TESTDATA)
    for part in block.strip().split("$ terravec ")[1:]:
        command, _, shown = part.partition("\n")
        done = terravec.raw(*shlex.split(command), cwd=tmp_path)
        said = done.stdout + done.stderr
        assert said.strip() == shown.strip()
        assert (done.returncode == 0) == ("error:" not in shown)


def test_there_are_examples():
    assert len(list(blocks())) >= 6


def test_links_lead_somewhere():
    for page in [*PAGES, ROOT / "ARCHITECTURE.md", ROOT / "CONTRIBUTING.md", ROOT / "catalog" / "README.md"]:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
