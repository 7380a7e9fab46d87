"""`make demo`'s script on the bundled data, with the debug build: the project's main job, end to end."""

import os
import shutil
import subprocess

import numpy as np
import oracle
import pyarrow.parquet as pq
import rasterio
from conftest import ROOT


def test_the_demo_runs_and_says_where_things_are(terravec, tmp_path):
    for part in ("demo", "testdata"):
        shutil.copytree(ROOT / part, tmp_path / part)
    done = subprocess.run(
        [tmp_path / "demo" / "run.sh"],
        env=terravec.env | {"TERRAVEC": os.path.abspath(terravec.binary)},
        text=True,
        capture_output=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    out = tmp_path / "demo-output"
    for name in (
        "labelled.parquet",
        "wisconsin.tif",
        "wisconsin.png",
        "field.parquet",
        "land.tif",
        "land.png",
        "land.parquet",
        "similar.geojson",
    ):
        assert (out / name).stat().st_size > 500
        assert str(out / name) in done.stdout
    assert "Google and Google DeepMind" in done.stdout

    labelled = pq.read_table(out / "labelled.parquet")
    assert len(labelled) == 2880 and set(labelled["status"].to_pylist()) == {"valid"}
    assert oracle.cog_faults(out / "wisconsin.tif") == []
    with rasterio.open(out / "wisconsin.png") as src:
        assert src.count == 4 and np.ptp(src.read(1)) > 100
    assert np.isclose(
        np.linalg.norm(pq.read_table(out / "field.parquet")["embedding"][0].as_py()), 1, atol=1e-5
    )
