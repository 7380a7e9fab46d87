"""Location encoders against the published weights (GeoCLIP), the published table (SatCLIP) and NumPy.

Encoding is done by the example `encode` of terravec-location. Two tests install the package they compare with from PyPI,
without its dependencies, into a temporary folder: set TERRAVEC_OFFLINE=1 to leave them out.
"""

import os
import pickle
import subprocess
import sys
import types
import zipfile
from pathlib import Path

import location_reference as ref
import numpy as np
import pyarrow.parquet as pq
import pytest

ROOT = Path(__file__).resolve().parents[2]
TESTDATA = ROOT / "testdata" / "location"


@pytest.fixture(scope="session")
def encode(tmp_path_factory):
    """Runs the encoder; returns (places, dim), or what it said where it is expected to fail."""
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "debug"
    binary = Path(os.environ.get("TERRAVEC_TARGET", target)) / "examples" / "encode"
    assert binary.exists(), f"{binary} is missing: run `cargo build -p terravec-location --examples`"
    folder = tmp_path_factory.mktemp("encode")

    def run(name, weights, lon, lat, *options, fails=False, **time):
        rows = zip(lon, lat, *time.values(), strict=True)
        text = "\n".join(",".join(repr(v.item() if hasattr(v, "item") else v) for v in row) for row in rows)
        (folder / "places.csv").write_text(",".join(["lon", "lat", *time]) + "\n" + text + "\n")
        command = [binary, name, weights, folder / "places.csv", folder / "out.bin", "--f64", *options]
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=300)
        assert "panicked" not in done.stderr, done.stderr
        assert done.returncode == (1 if fails else 0), done.stderr
        return done.stderr if fails else np.fromfile(folder / "out.bin", "<f8").reshape(len(lon), -1)

    return run


@pytest.fixture(scope="session")
def package(tmp_path_factory):
    """Installs a package without its dependencies and returns the folder it is in."""

    def install(requirement):
        if os.environ.get("TERRAVEC_OFFLINE"):
            pytest.skip(f"offline: {requirement} is not installed")
        folder = tmp_path_factory.mktemp("package")
        pip = [
            sys.executable,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-deps",
            "--target",
            folder,
            requirement,
        ]
        subprocess.run(pip, check=True, timeout=600)
        return folder

    return install


@pytest.fixture
def rng():
    return np.random.default_rng(20_260_101)


@pytest.fixture
def places(rng):
    """Places all over the Earth, the poles and the antimeridian among them."""
    lon = np.concatenate([rng.uniform(-180, 180, 600), [0, 0, 0, 180, -180, 2.3522, -122.4194]])
    lat = np.concatenate(
        [np.degrees(np.arcsin(rng.uniform(-1, 1, 600))), [0, 90, -90, 10, 10, 48.8566, 37.7749]]
    )
    return lon, lat


def close(got, expected, tolerance):
    assert got.shape == expected.shape
    worst = np.abs(got - expected).max()
    assert worst < tolerance, f"differs by {worst}"


# --- GeoCLIP ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def geoclip_weights(package):
    return package("geoclip==1.3.0") / "geoclip" / "model" / "weights" / "location_encoder_weights.pth"


@pytest.mark.parametrize("precision", ["single", "double"])
def test_geoclip_with_its_published_weights(encode, geoclip_weights, precision):
    lat, lon = np.load(TESTDATA / "geoclip_latlon.npy").T
    expected = np.load(TESTDATA / "geoclip_embeddings.npy")
    got = encode("geoclip", geoclip_weights, lon, lat, "--precision", precision)
    close(got, expected, {"single": 1e-6, "double": 2e-8}[precision])


def test_geoclip_equals_what_its_package_prints(encode, geoclip_weights):
    """Norms and first numbers, from the package in float32, whose rounding the high frequencies amplify."""
    known = [
        ((2.3522, 48.8566), 0.24007596, [-0.013069, 0.007399, -0.006526, 0.007471, 0.001372]),
        ((0, 0), 0.39522594, [0.004656, 0.000691, 0.007355, -0.001512, -0.022802]),
        ((-122.4194, 37.7749), 0.25126377, [0.001666, 0.017295, 0.007708, -0.009549, -0.000841]),
        ((151.2093, -33.8688), 0.27192689, [-0.017934, 0.013718, 0.008314, -0.014337, 0.006843]),
    ]
    lon, lat = zip(*(place for place, _, _ in known), strict=True)
    got = encode("geoclip", geoclip_weights, lon, lat)
    assert got.shape == (4, 512)
    for vector, (_, norm, first) in zip(got, known, strict=True):
        assert abs(np.linalg.norm(vector) - norm) < 1e-4
        assert np.abs(vector[:5] - first).max() < 1e-4


@pytest.mark.parametrize("prefix", ["", "location_encoder."])
def test_geoclip_on_random_weights(encode, rng, places, tmp_path, prefix):
    arrays = ref.geoclip_weights(rng, prefix)
    expected = ref.geoclip(arrays, *places, prefix)
    for path in [
        ref.write_pth(tmp_path / "w.pth", arrays, compress=bool(prefix)),
        ref.write_safetensors(tmp_path / "w.safetensors", arrays),
    ]:
        close(encode("geoclip", path, *places, "--precision", "double"), expected, 1e-9)
        close(encode("geoclip", path, *places), expected, 2e-5)


# --- SatCLIP ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def published_table(package):
    """SatCLIP's formulas out of PyPI `rshf`, computed by NumPy."""
    path = package("rshf==0.2.2") / "rshf" / "satclip" / "spherical_harmonics_ylm.py"
    torch = types.ModuleType("torch")
    torch.cos, torch.sin = np.cos, np.sin
    saved = sys.modules.get("torch")
    sys.modules["torch"] = torch
    try:
        table = {}
        exec(compile(path.read_text(), path, "exec"), table)
    finally:
        sys.modules.pop("torch")
        if saved is not None:
            sys.modules["torch"] = saved

    def features(lon, lat, degrees):
        phi, theta = (lon + 180) * (np.pi / 180), (lat + 90) * (np.pi / 180)
        columns = [table["SH"](m, n, phi, theta) for n in range(degrees) for m in range(-n, n + 1)]
        return np.stack([np.broadcast_to(c, lon.shape) for c in columns], axis=1)

    return features


def features_of(encode, folder, degrees, lon, lat):
    """The features themselves, through a network that is the identity: sin(30 εx)/(30 ε)."""
    n, e = degrees**2, 1e-9
    arrays = {
        "location.nnet.layers.0.weight": np.eye(n) * e,
        "location.nnet.layers.0.bias": np.zeros(n),
        "location.nnet.last_layer.weight": np.eye(n) / (30 * e),
        "location.nnet.last_layer.bias": np.zeros(n),
    }
    return encode("satclip", ref.write_safetensors(folder / "eye.safetensors", arrays), lon, lat)


@pytest.mark.parametrize("degrees", [10, 40])
def test_satclip_features_are_those_of_the_published_table(
    encode, published_table, places, tmp_path, degrees
):
    lon, lat = places
    got = features_of(encode, tmp_path, degrees, lon, lat)
    expected = published_table(lon, lat, degrees)
    exact = ref.harmonics(lon, lat, degrees, "analytic")
    if degrees == 10:
        close(got, expected, 1e-9)
        close(exact, expected, 1e-9)
        return
    # The table cancels towards the poles: what is left there depends on the last bit of every power.
    error, off = np.abs(got - expected).max(axis=1), np.abs(exact - expected).max(axis=1)
    for low, high, tolerance in [(0, 30, 1e-8), (30, 50, 1e-4), (50, 70, 2e-2), (70, 90, 5e-2)]:
        band = (np.abs(lat) >= low) & (np.abs(lat) <= high)
        assert error[band].max() < tolerance, (low, error[band].max())
    # It is the table that is reproduced, not the function it stands for.
    near = np.abs(lat) > 70
    assert off[near].max() > 0.1
    assert error[near].max() < off[near].max() / 10


SATCLIP = {"le_type": "sphericalharmonics", "pe_type": "siren", "legendre_polys": 10, "frequency_num": 16}


@pytest.mark.parametrize("calculation", ["analytic", "closed-form"])
def test_satclip_on_random_weights_in_a_lightning_checkpoint(encode, rng, places, tmp_path, calculation):
    arrays = ref.satclip_weights(rng, 100, "model.location.")
    decoys = {"model.visual.conv1.weight": np.ones((2, 3), np.float32), "model.logit_scale": np.array(2.0)}
    expected = ref.satclip(arrays, "model.location.", ref.harmonics(*places, 10, calculation))

    def wrap(state):
        return {
            "epoch": 499,
            "pytorch-lightning_version": "2.1.0",
            "state_dict": state,
            "loops": {"fit_loop": {"state_dict": {}, "epoch_progress": {"total": {"ready": 3}}}},
            "optimizer_states": [{"state": {0: {"step": 1.5}}, "param_groups": [{"betas": (0.9, 0.98)}]}],
            "hyper_parameters": SATCLIP | {"harmonics_calculation": calculation, "embed_dim": 16},
        }

    path = ref.write_pth(tmp_path / "satclip.ckpt", arrays | decoys, wrap=wrap)
    close(encode("satclip", path, *places), expected, 1e-9)
    close(encode("satclip", path, *places, "--precision", "single"), expected, 1e-3)


def test_satclip_l40_end_to_end(encode, published_table, rng, tmp_path):
    lon, lat = rng.uniform(-180, 180, 50), rng.uniform(-55, 55, 50)
    arrays = ref.satclip_weights(rng, 1600, "location.")
    path = ref.write_safetensors(tmp_path / "l40.safetensors", arrays)
    close(
        encode("satclip", path, lon, lat),
        ref.satclip(arrays, "location.", published_table(lon, lat, 40)),
        1e-4,
    )


def test_satclip_refuses_other_location_encoders(encode, rng, tmp_path):
    arrays = ref.satclip_weights(rng, 100, "model.location.")
    wrap = {"hyper_parameters": SATCLIP | {"le_type": "grid"}}
    path = ref.write_pth(tmp_path / "grid.ckpt", arrays, wrap=lambda s: wrap | {"state_dict": s})
    message = encode("satclip", path, [0], [0], fails=True)
    assert "`le_type`" in message
    assert "`grid`" in message
    arrays = ref.satclip_weights(rng, 99, "location.")
    message = encode("satclip", ref.write_pth(tmp_path / "99.pth", arrays), [0], [0], fails=True)
    assert "`location.nnet.layers.0.weight` has shape [48, 99]" in message


# --- the others -------------------------------------------------------------------------------------------------


def test_climplicit_on_random_weights(encode, rng, places, tmp_path):
    arrays = ref.climplicit_weights(rng)
    path = ref.write_safetensors(tmp_path / "climplicit.safetensors", arrays)
    month = rng.integers(1, 13, len(places[0]))
    expected = ref.climplicit(arrays, *places, month)
    close(encode("climplicit", path, *places, "--precision", "double", month=month), expected, 1e-9)
    close(encode("climplicit", path, *places, month=month), expected, 2e-3)
    seasons = [ref.climplicit(arrays, *places, np.full(len(month), m)) for m in (3, 6, 9, 12)]
    got = encode("climplicit-seasons", path, *places, "--precision", "double")
    close(got, np.concatenate(seasons, axis=1), 1e-9)


@pytest.mark.parametrize("years", [False, True])
def test_mind_on_random_half_precision_weights(encode, rng, places, tmp_path, years):
    arrays = ref.mind_weights(rng, years)
    path = ref.write_safetensors(tmp_path / "mind.safetensors", arrays)
    year = rng.integers(2017, 2026, len(places[0]))
    time = {"year": year} if years else {}
    expected = ref.mind(arrays, *places, **time)
    double = ["--precision", "double"]
    close(encode("mind", path, *places, *double, **time), expected[:, :64], 1e-9)
    close(encode("mind", path, *places, *double, "--dim", 96, **time), expected, 1e-9)
    close(encode("mind", path, *places, "--dim", 96, **time), expected, 1e-3)
    head = ref.mind(arrays, *places, head=True, **time)
    close(encode("mind-head", path, *places, *double, **time), head, 1e-9)
    # An older checkpoint, wrapped and with its arguments.
    wrap = {"meta": {"args": {"encoder": "resiren", "w0_first": 30.0}}}
    old = ref.write_pth(tmp_path / "mind.pt", arrays, wrap=lambda s: wrap | {"state_dict": s})
    close(encode("mind", old, *places, *double, **time), expected[:, :64], 1e-9)
    wrap["meta"]["args"]["encoder"] = "finer"
    other = ref.write_pth(tmp_path / "finer.pt", arrays, wrap=lambda s: wrap | {"state_dict": s})
    assert "`finer`" in encode("mind", other, *places, fails=True, **time)


def test_sinr_on_random_weights(encode, rng, places, tmp_path):
    arrays = ref.sinr_weights(rng)
    expected = ref.sinr(arrays, *places)
    params = {"params": {"input_dim": 4, "depth": 4}}
    path = ref.write_pth(tmp_path / "model.pt", arrays, wrap=lambda s: params | {"state_dict": s})
    close(encode("sinr", path, *places, "--precision", "double"), expected, 1e-9)
    close(encode("sinr", path, *places), expected, 1e-4)
    arrays["feats.0.weight"] = np.ones((40, 24), np.float32)
    path = ref.write_safetensors(tmp_path / "env.safetensors", arrays)
    assert "`feats.0.weight` has shape [40, 24]" in encode("sinr", path, *places, fails=True)


CSP = {
    "spa_enc_type": "gridcell",
    "freq_init": "geometric",
    "frequency_num": 32,
    "min_radius": 0.1,
    "max_radius": 360,
    "use_layn": True,
    "map_range": (-180, 180, -90, 90),
    "rbf_anchor_pt_ids": None,
}


@pytest.mark.parametrize(
    ("activation", "hidden", "layers", "norm"),
    [
        ("gelu", 48, 1, True),
        ("leakyrelu", 48, 1, True),
        ("relu", 128, 2, True),
        ("tanh", 30, 2, False),
        ("sigmoid", 30, 1, False),
    ],
)
@pytest.mark.parametrize("skip", [True, False])
def test_csp_on_random_weights(encode, rng, places, tmp_path, activation, hidden, layers, norm, skip):
    arrays = ref.csp_weights(rng, hidden, layers=layers, norm=norm)
    params = CSP | {"spa_f_act": activation, "skip_connection": skip}
    radii = {"min_radius": 0.1, "max_radius": 360}
    expected = ref.csp(arrays, *places, activation=activation, skip=skip, **radii)
    path = ref.write_pth(
        tmp_path / "model.pth.tar", arrays, wrap=lambda s: {"epoch": 3, "state_dict": s, "params": params}
    )
    close(encode("csp", path, *places, "--precision", "double"), expected, 1e-8)
    close(encode("csp", path, *places), expected, 1e-3)
    metadata = {k: str(v) if not isinstance(v, bool) else str(v).lower() for k, v in params.items()}
    path = ref.write_safetensors(tmp_path / "csp.safetensors", arrays, metadata)
    close(encode("csp", path, *places, "--precision", "double"), expected, 1e-8)


def test_csp_guesses_no_setting(encode, rng, tmp_path):
    arrays = ref.csp_weights(rng, 8)
    for name in ["spa_f_act", "skip_connection", "min_radius", "max_radius"]:
        params = CSP | {"spa_f_act": "gelu", "skip_connection": True}
        del params[name]
        wrap = {"params": params}
        path = ref.write_pth(tmp_path / "model.pth.tar", arrays, wrap=lambda s, w=wrap: w | {"state_dict": s})
        message = encode("csp", path, [0], [0], fails=True)
        assert f"setting `{name}` is missing" in message


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_range_on_a_random_database(encode, rng, places, tmp_path, save):
    arrays = ref.satclip_weights(rng, 100, "model.location.")
    weights = ref.write_pth(tmp_path / "satclip.ckpt", arrays, wrap=lambda s: {"state_dict": s})
    n = 700
    database = {
        "locs": np.stack([rng.uniform(-180, 180, n), rng.uniform(-80, 80, n)], axis=1),
        "satclip_embeddings": rng.normal(size=(n, 16)).astype(np.float32),
        "image_embeddings": rng.normal(size=(n, 40)).astype(np.float16),
    }
    save(tmp_path / "db.npz", **database)
    base = ref.satclip(arrays, "model.location.", ref.harmonics(*places, 10, "analytic"))
    common = [weights, *places, "--database", tmp_path / "db.npz"]
    close(encode("range", *common), ref.range_(base, *places, database), 1e-5)
    close(encode("range-plus", *common), ref.range_(base, *places, database, beta=0.5), 1e-5)
    got = encode("range-plus", *common, "--beta", 0.2)
    close(got, ref.range_(base, *places, database, beta=0.2), 1e-5)

    for key, value, said in [
        ("locs", database["locs"][:-1], "do not belong together"),
        ("satclip_embeddings", np.ones((n, 15), np.float32), "15 numbers"),
        ("image_embeddings", np.ones((n, 2), object), "`|O`"),
        ("image_embeddings", np.asfortranarray(database["image_embeddings"]), "Fortran"),
        ("image_embeddings", np.full((n, 2), np.nan), "row 0"),
        ("locs", np.ones(n), "two axes"),
    ]:
        save(tmp_path / "db.npz", **(database | {key: value}))
        message = encode("range", *common, fails=True)
        assert said in message
    save(tmp_path / "db.npz", locs=database["locs"])
    assert "`satclip_embeddings`" in encode("range", *common, fails=True)


def test_baselines(encode, places):
    lon, lat = np.radians(places)
    expected = np.stack([np.sin(lat), np.cos(lat), np.sin(lon), np.cos(lon)], axis=1)
    close(encode("sincos", "-", *places), expected, 1e-14)
    for degrees in (1, 4, 25):
        got = encode("spherical-harmonics", "-", *places, "--degrees", degrees)
        close(got, ref.harmonics(*places, degrees, "geographic"), 1e-9)


# --- what is refused --------------------------------------------------------------------------------------------


class Evil:
    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.system, (f"touch {self.marker}",)


def test_a_checkpoint_that_would_run_code_is_refused(encode, tmp_path):
    marker = tmp_path / "was-here"
    for protocol in (2, 4):
        path = tmp_path / "evil.pth"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(
                "archive/data.pkl", pickle.dumps({"feats.0.weight": Evil(marker)}, protocol=protocol)
            )
        message = encode("sinr", path, [0], [0], fails=True)
        assert f"`{os.system.__module__}.system`" in message
        assert "nothing was run" in message
    assert not marker.exists()


def test_wrong_places_are_named(encode):
    assert "row 1" in encode("sincos", "-", [0, 48.8], [0, 102.0], fails=True)
    assert "swapped" in encode("sincos", "-", [0, 48.8], [0, 102.0], fails=True)


def test_a_wheel_is_not_weights(encode, tmp_path):
    path = tmp_path / "x.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x/__init__.py", "")
    assert "data.pkl" in encode("geoclip", path, [0], [0], fails=True)


def test_the_command_samples_an_encoder_like_any_dataset(terravec, tmp_path, geoclip_weights):
    points = tmp_path / "p.csv"
    points.write_text("lon,lat,city\n2.3522,48.8566,Paris\n151.2093,-33.8688,Sydney\n,,nowhere\n")
    out = tmp_path / "o.parquet"
    terravec("sample", f"geoclip={geoclip_weights}", "--points", points, "-o", out)
    table = pq.read_table(out)
    assert table["city"].to_pylist() == ["Paris", "Sydney", "nowhere"]
    assert table["status"].to_pylist() == ["valid", "valid", "outside"]
    assert table["time_start"].null_count == 3, "an encoder without time gives none"
    paris = np.array(table["embedding"][0].as_py())
    assert abs(np.linalg.norm(paris) - 0.24007596) < 1e-4
    assert np.allclose(paris[:5], [-0.013069, 0.007399, -0.006526, 0.007471, 0.001372], atol=1e-5)
    assert table["embedding"][2].as_py() is None
    said = terravec.fails(1, "sample", "geoclip", "--points", "2,48")
    assert "weights" in said and "geoclip=WEIGHTS" in said
    assert "--year" in terravec.fails(
        1, "sample", f"geoclip={geoclip_weights}", "--points", "2,48", "--year", 2024
    )
    terravec.fails(1, "sample", f"geoclip={geoclip_weights}", "--points", "2,48", "--codes")
