"""Location encoders beside NumPy, and PyTorch where it is installed, on one thread each.

    python bench/location.py --bin-dir target/release [--geoclip location_encoder_weights.pth]

Networks of the published sizes: GeoCLIP in float32, SatCLIP L10 in float64, as their authors run them; weights are
random, but for GeoCLIP the published ones if given. Values are compared before anything is timed. The limit is the
time of the networks' matrix products alone, by NumPy's BLAS, in the same batches and the same run: nothing that
multiplies the same matrices takes less. terravec's example `encode --bench` times itself in memory, best of three.
"""

import argparse
import importlib
import io
import json
import os
import pickle
import subprocess
import sys
import tempfile
import time
import types
import zipfile
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "python"))
ref = importlib.import_module("location_reference")

try:
    import torch
except ImportError:
    torch = None

BATCH = 512
THREADS = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS", "RAYON_NUM_THREADS")


def places(n):
    """Spread evenly over the Earth."""
    i = np.arange(n)
    lon = (i * (np.sqrt(5) - 1) / 2) % 1 * 360 - 180
    return lon, np.degrees(np.arcsin(2 * (i + 0.5) / n - 1))


def read_pth(path):
    """Tensors of a PyTorch file of float32 tensors that are not views, without PyTorch."""
    archive = zipfile.ZipFile(path)
    name = next(n for n in archive.namelist() if n.endswith("/data.pkl"))

    class Reader(pickle.Unpickler):
        def find_class(self, module, name):
            if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
                return lambda storage, _, shape, *__: storage.reshape(shape)
            if name == "OrderedDict":
                return dict
            return types.SimpleNamespace

        def persistent_load(self, pid):
            return np.frombuffer(archive.read(f"{name[:-8]}data/{pid[2]}"), "<f4")

    return Reader(io.BytesIO(archive.read(name))).load()


class Numpy:
    """Rows times matrices, in a given precision."""

    name = "NumPy"

    def __init__(self, dtype):
        self.dtype = dtype

    def array(self, x):
        return np.ascontiguousarray(x, self.dtype)

    def linear(self, x, w, b):
        return x @ w.T + b

    relu = staticmethod(lambda x: np.maximum(x, 0))
    sin = staticmethod(np.sin)
    numpy = staticmethod(np.asarray)


class Torch(Numpy):
    name = "PyTorch"

    def array(self, x):
        return torch.from_numpy(np.ascontiguousarray(x, self.dtype))

    def linear(self, x, w, b):
        return torch.nn.functional.linear(x, w, b)

    relu = staticmethod(lambda x: torch.relu(x))
    sin = staticmethod(lambda x: torch.sin(x))
    numpy = staticmethod(lambda x: x.numpy())


def geoclip(lib, arrays):
    """The network with its layers ready, as a function of places; and the shapes it multiplies."""
    capsules = []
    for i in range(3):
        names = [f"LocEnc{i}.capsule.{j}" for j in (1, 3, 5)] + [f"LocEnc{i}.head.0"]
        layers = [(lib.array(arrays[f"{n}.weight"]), lib.array(arrays[f"{n}.bias"])) for n in names]
        capsules.append((arrays[f"LocEnc{i}.capsule.0.b"].astype(float), layers))

    def encode(lon, lat):
        # The authors' √3 is the one rounded to float32.
        place, total = ref.equal_earth(lon, lat, float(np.float32(np.sqrt(3)))), 0
        for b, layers in capsules:
            phase = 2 * np.pi * (place @ b.T)
            x = lib.array(np.concatenate([np.cos(phase), np.sin(phase)], axis=1))
            for w, bias in layers[:-1]:
                x = lib.relu(lib.linear(x, w, bias))
            total = total + lib.linear(x, *layers[-1])
        return lib.numpy(total)

    return encode, [w.shape for _, layers in capsules for w, _ in layers]


def satclip(lib, arrays):
    names = ["location.nnet.layers.0", "location.nnet.layers.1", "location.nnet.last_layer"]
    layers = [(lib.array(arrays[f"{n}.weight"]), lib.array(arrays[f"{n}.bias"])) for n in names]

    def encode(lon, lat):
        x = lib.array(ref.harmonics(lon, lat, 10, "analytic"))
        for i, (w, bias) in enumerate(layers[:-1]):
            x = lib.sin((30 if i == 0 else 1) * lib.linear(x, w, bias))
        return lib.numpy(lib.linear(x, *layers[-1]))

    return encode, [w.shape for w, _ in layers]


def per_minute(n, call):
    """Places per minute, best of three."""
    best = float("inf")
    for _ in range(3):
        start = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - start)
    return n / best * 60


def batches(encode, lon, lat):
    return [encode(lon[i : i + BATCH], lat[i : i + BATCH]) for i in range(0, len(lon), BATCH)]


def products(shapes, dtype, n):
    """The network's matrix products alone."""
    rng = np.random.default_rng(0)
    pairs = [(rng.random((BATCH, k), dtype), rng.random((m, k), dtype).T) for m, k in shapes]
    outs = [np.empty((BATCH, w.shape[1]), dtype) for _, w in pairs]

    def call():
        for _ in range(n // BATCH):
            for (x, w), out in zip(pairs, outs, strict=True):
                np.matmul(x, w, out=out)

    return call


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bin-dir", type=Path, required=True, help="where cargo put the release binaries")
    parser.add_argument("--geoclip", type=Path, help="GeoCLIP's published weights")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    if any(os.environ.get(name) != "1" for name in THREADS):
        # Libraries read these when they are loaded.
        os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | dict.fromkeys(THREADS, "1"))
    tool = args.bin_dir / "examples" / "encode"
    rng = np.random.default_rng(1)
    published = args.geoclip and read_pth(args.geoclip)
    geo = published or ref.geoclip_weights(rng, frequencies=256, hidden=1024, outputs=512)
    sat = ref.satclip_weights(rng, 100, "location.", hidden=512, outputs=256)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        for name, build, arrays, dtype, tolerance, n in [
            ("geoclip", geoclip, geo, np.float32, 2e-6, 4096),
            ("satclip", satclip, sat, np.float64, 1e-6, 16384),
        ]:
            weights = ref.write_safetensors(folder / f"{name}.safetensors", arrays)
            lon, lat = places(n)
            lines = "".join(f"{x!r},{y!r}\n" for x, y in zip(lon.tolist(), lat.tolist(), strict=True))
            (folder / "p.csv").write_text("lon,lat\n" + lines)
            subprocess.run([tool, name, weights, folder / "p.csv", folder / "o.bin"], check=True)
            got = np.fromfile(folder / "o.bin", "<f4").reshape(n, -1)
            row = {"encoder": name, "precision": np.dtype(dtype).name}
            for lib in [Numpy(dtype), *([Torch(dtype)] if torch else [])]:
                encode, shapes = build(lib, arrays)
                values = np.concatenate(batches(encode, lon, lat))
                off = float(np.abs(got - values).max() / np.abs(values).max())
                assert off < tolerance, f"{name}: {lib.name} differs by {off}"
                row[lib.name] = per_minute(n, lambda e=encode, x=lon, y=lat: batches(e, x, y))
            row["limit"] = per_minute(n, products(shapes, dtype, n))
            said = subprocess.run(
                [tool, name, weights, "--bench", str(n)], check=True, capture_output=True, text=True
            )
            row["terravec"] = float(said.stdout.split(":")[1].split()[0])
            rows.append(row)
    if args.json:
        print(json.dumps(rows, indent=2))
        return
    libs = ["NumPy", *(["PyTorch"] if torch else [])]
    head = ["encoder", *libs, "limit: products alone", "terravec", "terravec ÷ limit"]
    print(f"| {' | '.join(head)} |\n|{'---|' * len(head)}")
    for row in rows:
        million = [f"{row[k] / 1e6:.2f} M" for k in [*libs, "limit", "terravec"]]
        cells = [f"{row['encoder']}, {row['precision']}", *million, f"{row['terravec'] / row['limit']:.2f}"]
        print(f"| {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
