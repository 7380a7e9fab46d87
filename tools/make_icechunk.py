"""Writes testdata/suites/icechunk: one small repository as icechunk 1 (format 1) and icechunk 2 (format 2) keep it.

    python tools/make_icechunk.py testdata/suites/icechunk/v1     # with icechunk<2
    python tools/make_icechunk.py testdata/suites/icechunk/v2     # with icechunk>=2

Chunks are not compressed. `codes` are so small that their chunks lie in manifests; those of `scales` are objects. The first commit, tagged
`first`, has step 0 only; the second has both, with 1 added to every number; branch `other` stays at the first.
"""

import sys

import icechunk
import numpy as np
import zarr

CODES = np.arange(2 * 6 * 5 * 4).reshape(2, 6, 5, 4) % 127
SCALES = np.arange(2 * 32 * 32).reshape(2, 32, 32) / 4096

repo = icechunk.Repository.create(icechunk.local_filesystem_storage(sys.argv[1]))
session = repo.writable_session("main")
group = zarr.open_group(session.store, mode="w", attributes={"proj:code": "EPSG:32631"})
zone = group.create_group("31N")
codes = zone.create_array(
    "codes",
    shape=CODES.shape,
    chunks=(1, 4, 4, 4),
    dtype="i1",
    fill_value=0,
    compressors=None,
    dimension_names=["time", "northing", "easting", "band"],
)
scales = zone.create_array(
    "scales", shape=SCALES.shape, chunks=(1, 16, 32), dtype="f4", fill_value="NaN", compressors=None
)
codes[0], scales[0] = CODES[0], SCALES[0]
first = session.commit("step 0")
repo.create_tag("first", first)
repo.create_tag("gone", first)
repo.delete_tag("gone")
repo.create_branch("other", first)
session = repo.writable_session("main")
zone = zarr.open_group(session.store)["31N"]
zone["codes"][:], zone["scales"][:] = CODES + 1, SCALES + 1
session.commit("both steps")
