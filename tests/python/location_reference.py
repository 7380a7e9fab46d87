"""What the location encoders' tests compare with: networks in plain NumPy, and writers of checkpoint files.

The networks are written from the papers and the published layouts, in float64, one place of a formula at a time and without
regard for speed. The writers give files the layout `torch.save` and safetensors give them; torch itself is not needed.
"""

import collections
import io
import json
import math
import pickle
import struct
import sys
import types
import zipfile

import numpy as np

# --- files -----------------------------------------------------------------------------------------------------


class Tensor:
    """Pickles as `torch.save` pickles a tensor."""

    def __init__(self, array, storages, strides=None):
        self.array, self.storages = np.ascontiguousarray(array), storages
        self.key = str(len(storages))
        self.strides = strides or tuple(s // self.array.itemsize for s in self.array.strides)
        storages.append(self.array.tobytes())

    def __reduce__(self):
        kind = {"float32": "FloatStorage", "float64": "DoubleStorage", "float16": "HalfStorage"}
        kind = kind.get(self.array.dtype.name, "LongStorage")
        storage = Storage(kind, self.key, self.array.size)
        rebuild = sys.modules["torch._utils"]._rebuild_tensor_v2
        hooks = collections.OrderedDict()
        return rebuild, (storage, 0, self.array.shape, self.strides, False, hooks)


class Storage:
    def __init__(self, kind, key, size):
        self.kind, self.key, self.size = kind, key, size


class Pickler(pickle.Pickler):
    def persistent_id(self, obj):
        if isinstance(obj, Storage):
            return "storage", getattr(sys.modules["torch"], obj.kind), obj.key, "cpu", obj.size
        return None


def stand_in_torch():
    """Modules with the names a checkpoint refers to, and nothing else."""
    torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")
    for kind in ["FloatStorage", "DoubleStorage", "HalfStorage", "LongStorage"]:
        setattr(torch, kind, type(kind, (), {"__module__": "torch"}))

    def _rebuild_tensor_v2(*_):
        raise NotImplementedError

    _rebuild_tensor_v2.__module__ = "torch._utils"
    _rebuild_tensor_v2.__qualname__ = "_rebuild_tensor_v2"
    utils._rebuild_tensor_v2 = _rebuild_tensor_v2
    return {"torch": torch, "torch._utils": utils}


def write_pth(path, arrays, *, wrap=lambda state: state, compress=False, prefix="archive"):
    """A `.pth`: `wrap` puts the state dict where the checkpoint in question has it."""
    stand_ins = stand_in_torch()
    saved = {name: sys.modules.get(name) for name in stand_ins}
    sys.modules.update(stand_ins)
    try:
        storages, out = [], io.BytesIO()
        state = collections.OrderedDict((k, Tensor(v, storages)) for k, v in arrays.items())
        state._metadata = collections.OrderedDict({"": {"version": 1}})
        Pickler(out, protocol=2).dump(wrap(state))
    finally:
        for name, module in saved.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module
    method = zipfile.ZIP_DEFLATED if compress else zipfile.ZIP_STORED
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr(f"{prefix}/data.pkl", out.getvalue())
        archive.writestr(f"{prefix}/byteorder", "little")
        for i, data in enumerate(storages):
            archive.writestr(f"{prefix}/data/{i}", data)
        archive.writestr(f"{prefix}/version", "3\n")
    return path


def write_safetensors(path, arrays, metadata=None):
    names = {"float16": "F16", "float32": "F32", "float64": "F64"}
    header, data = ({"__metadata__": metadata} if metadata else {}), b""
    for name, array in arrays.items():
        begin = len(data)
        data += array.tobytes()
        header[name] = {
            "dtype": names[array.dtype.name],
            "shape": array.shape,
            "data_offsets": [begin, len(data)],
        }
    header = json.dumps(header).encode()
    header += b" " * (-len(header) % 8)
    path.write_bytes(struct.pack("<Q", len(header)) + header + data)
    return path


# --- random weights in the published layouts ----------------------------------------------------------------------


def linear(rng, arrays, name, outputs, inputs, scale=None, dtype=np.float32):
    scale = scale or math.sqrt(3 / inputs)
    arrays[f"{name}.weight"] = rng.uniform(-scale, scale, (outputs, inputs)).astype(dtype)
    arrays[f"{name}.bias"] = rng.uniform(-0.1, 0.1, outputs).astype(dtype)
    return outputs


def apply(arrays, name, x):
    return x @ arrays[f"{name}.weight"].astype(float).T + arrays[f"{name}.bias"].astype(float)


def relu(x):
    return np.maximum(x, 0)


# --- features --------------------------------------------------------------------------------------------------


ROOT3 = math.sqrt(3)


def equal_earth(lon, lat, root3=ROOT3):
    a1, a2, a3, a4 = 1.340264, -0.081106, 0.000893, 0.003796
    t = np.arcsin(root3 / 2 * np.sin(np.radians(lat)))
    x = 2 * root3 * np.radians(lon) * np.cos(t)
    x = x / (3 * (9 * a4 * t**8 + 7 * a3 * t**6 + 3 * a2 * t**2 + a1))
    y = a4 * t**9 + a3 * t**7 + a2 * t**3 + a1 * t
    return np.stack([x, y], axis=1) * 66.50336 / 180


def legendre(degree, order, x):
    """Pₗᵐ with Condon–Shortley phase, unnormalised, by the recurrence in degree."""
    p = (-1) ** order * math.prod(range(1, 2 * order, 2)) * np.sqrt((1 - x) * (1 + x)) ** order
    before = np.zeros_like(x)
    for n in range(order + 1, degree + 1):
        p, before = ((2 * n - 1) * x * p - (n + order - 1) * before) / (n - order), p
    return p


def harmonics(lon, lat, degrees, kind):
    """`closed-form` and `geographic` as `Harmonics` defines them; `analytic` as it would be without rounding."""
    geographic = kind == "geographic"
    phi = np.radians(lon if geographic else lon + 180)
    x = np.sin(np.radians(lat)) if geographic else np.cos(np.radians(lat + 90))
    columns = []
    for n in range(degrees):
        for m in range(-n, n + 1):
            a = abs(m)
            factor = math.factorial(n - a) / math.factorial(n + a)
            y = math.sqrt((2 * n + 1) / (4 * math.pi) * factor) * legendre(n, a, x)
            if m:
                y = y * math.sqrt(2) * (np.sin(a * phi) if m < 0 else np.cos(a * phi))
            if kind != "closed-form":
                y = y * (-1) ** a
            if kind == "analytic" and m == 0:
                y = y * math.pi
            columns.append(y)
    return np.stack(columns, axis=1)


# --- networks ---------------------------------------------------------------------------------------------------


def satclip_weights(rng, inputs, prefix, hidden=48, layers=2, outputs=16, dtype=np.float64):
    arrays, width = {}, inputs
    for i in range(layers):
        scale = 1 / width if i == 0 else None
        width = linear(rng, arrays, f"{prefix}nnet.layers.{i}", hidden, width, scale, dtype)
    linear(rng, arrays, f"{prefix}nnet.last_layer", outputs, width, None, dtype)
    return arrays


def satclip(arrays, prefix, features):
    x, i = features, 0
    while f"{prefix}nnet.layers.{i}.weight" in arrays:
        x = np.sin((30 if i == 0 else 1) * apply(arrays, f"{prefix}nnet.layers.{i}", x))
        i += 1
    return apply(arrays, f"{prefix}nnet.last_layer", x)


def geoclip_weights(rng, prefix="", scales=(1, 16, 256), frequencies=32, hidden=40, outputs=24):
    arrays = {}
    for i, sigma in enumerate(scales):
        name = f"{prefix}LocEnc{i}"
        arrays[f"{name}.capsule.0.b"] = (rng.normal(size=(frequencies, 2)) * sigma).astype(np.float32)
        width = 2 * frequencies
        for layer in (1, 3, 5):
            width = linear(rng, arrays, f"{name}.capsule.{layer}", hidden, width)
        linear(rng, arrays, f"{name}.head.0", outputs, width)
    return arrays


def geoclip(arrays, lon, lat, prefix=""):
    place = equal_earth(lon, lat, float(np.float32(ROOT3)))
    total, i = 0, 0
    while f"{prefix}LocEnc{i}.capsule.0.b" in arrays:
        name = f"{prefix}LocEnc{i}"
        phase = 2 * np.pi * place @ arrays[f"{name}.capsule.0.b"].astype(float).T
        x = np.concatenate([np.cos(phase), np.sin(phase)], axis=1)
        for layer in (1, 3, 5):
            x = relu(apply(arrays, f"{name}.capsule.{layer}", x))
        total = total + apply(arrays, f"{name}.head.0", x)
        i += 1
    return total


def climplicit_weights(rng, hidden=32, layers=16, outputs=12):
    arrays, width = {}, 4
    for i in range(layers):
        scale = 1 / width if i == 0 else None
        width = linear(rng, arrays, f"location_encoder.layers.{i}", hidden, width, scale)
    linear(rng, arrays, "location_encoder.last_layer", outputs, width)
    linear(rng, arrays, "chelsa_regressor", 11, outputs)
    return arrays


def climplicit(arrays, lon, lat, month):
    angle = 2 * np.pi * month / 12
    x = np.stack([lon / 180, lat / 90, np.sin(angle), np.cos(angle)], axis=1)
    before, i = None, 0
    while f"location_encoder.layers.{i}.weight" in arrays:
        g = apply(arrays, f"location_encoder.layers.{i}", x)
        if before is not None:
            g = (g + before) / 2
        before = g
        x = np.sin(30 * np.sinh(2 * g)) if i == 0 else np.sin(g)
        i += 1
    return apply(arrays, "location_encoder.last_layer", x)


def mind_weights(rng, years, width=96, depth=3, outputs=20, dtype=np.float16):
    arrays = {"year_freqs": (2.0 ** np.arange(8)).astype(dtype)}
    inputs = 2 + (16 if years else 0)
    linear(rng, arrays, "first.linear", width, inputs, 1 / inputs, dtype)
    for i in range(depth):
        linear(rng, arrays, f"blocks.{i}.linear", width, width, None, dtype)
    linear(rng, arrays, "head", outputs, width, None, dtype)
    return arrays


def mind(arrays, lon, lat, year=None, head=False):
    x = equal_earth(lon, lat)
    if year is not None:
        angle = ((year - 2021) / 4)[:, None] * arrays["year_freqs"].astype(float)
        x = np.concatenate([x, np.sin(angle), np.cos(angle)], axis=1)
    h = np.sin(30 * apply(arrays, "first.linear", x))
    i = 0
    while f"blocks.{i}.linear.weight" in arrays:
        h = h + np.sin(apply(arrays, f"blocks.{i}.linear", h))
        i += 1
    return apply(arrays, "head", h) if head else h


def sinr_weights(rng, width=40, depth=4, species=7):
    arrays = {"class_emb.weight": rng.normal(size=(species, width)).astype(np.float32)}
    linear(rng, arrays, "feats.0", width, 4)
    for i in range(depth):
        for layer in ("w1", "w2"):
            linear(rng, arrays, f"feats.{i + 2}.{layer}", width, width)
    return arrays


def sinr(arrays, lon, lat):
    place = np.stack([lon / 180, lat / 90], axis=1) * np.pi
    x = relu(apply(arrays, "feats.0", np.concatenate([np.sin(place), np.cos(place)], axis=1)))
    i = 2
    while f"feats.{i}.w1.weight" in arrays:
        x = x + relu(apply(arrays, f"feats.{i}.w2", relu(apply(arrays, f"feats.{i}.w1", x))))
        i += 1
    return x


def csp_weights(rng, hidden, outputs=18, wavelengths=32, layers=1, norm=True):
    """Both under `loc_enc.` and again without, as the published state dict has them."""
    own, width = {}, 4 * wavelengths
    for i in range(layers):
        width = linear(rng, own, f"spa_enc.ffn.layers.{i}.linear", hidden, width)
        if norm:
            own[f"spa_enc.ffn.layers.{i}.layernorm.weight"] = rng.uniform(0.5, 2, hidden).astype(np.float32)
            own[f"spa_enc.ffn.layers.{i}.layernorm.bias"] = rng.uniform(-1, 1, hidden).astype(np.float32)
    linear(rng, own, f"spa_enc.ffn.layers.{layers}.linear", outputs, width)
    own["class_emb.weight"] = rng.normal(size=(5, outputs)).astype(np.float32)
    return {f"loc_enc.{k}": v for k, v in own.items()} | own


def csp(arrays, lon, lat, *, activation, skip, min_radius, max_radius):
    erf = np.vectorize(math.erf)
    act = {
        "gelu": lambda v: v * (1 + erf(v / math.sqrt(2))) / 2,
        "leakyrelu": lambda v: np.where(v < 0, 0.2 * v, v),
        "relu": relu,
        "tanh": np.tanh,
        "sigmoid": lambda v: 1 / (1 + np.exp(-v)),
    }[activation]
    name = "loc_enc.spa_enc.ffn.layers."
    n = arrays[f"{name}0.linear.weight"].shape[1] // 4
    wavelengths = min_radius * (max_radius / min_radius) ** (np.arange(n) / (n - 1))
    angle = np.stack([lon, lat], axis=1)[:, :, None] / wavelengths
    x = np.stack([np.sin(angle), np.cos(angle)], axis=-1).reshape(len(lon), -1)
    i = 0
    while f"{name}{i}.linear.weight" in arrays:
        y = act(apply(arrays, f"{name}{i}.linear", x))
        last = f"{name}{i + 1}.linear.weight" not in arrays
        if skip and not last and y.shape == x.shape:
            y = y + x
        if f"{name}{i}.layernorm.weight" in arrays:
            y = (y - y.mean(1, keepdims=True)) / np.sqrt(y.var(1, keepdims=True) + 1e-5)
            y = y * arrays[f"{name}{i}.layernorm.weight"] + arrays[f"{name}{i}.layernorm.bias"]
        x, i = y, i + 1
    return x


def softmax(x):
    x = np.exp(x - x.max(axis=1, keepdims=True))
    return x / x.sum(axis=1, keepdims=True)


def unit(x):
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def range_(satclip_vectors, lon, lat, database, beta=None):
    """RANGE, or RANGE+ with a `beta`."""

    def sphere(lon, lat):
        lon, lat = np.radians(lon), np.radians(lat)
        return np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=1)

    q, keys = unit(satclip_vectors), unit(database["satclip_embeddings"].astype(float))
    images = database["image_embeddings"].astype(float)
    retrieved = softmax(q @ keys.T * (15 if beta is None else 12)) @ images
    if beta is not None:
        near = softmax(sphere(lon, lat) @ sphere(*database["locs"].astype(float).T).T * 40) @ images
        retrieved = (1 - beta) * near + beta * retrieved
    return np.concatenate([retrieved, q], axis=1)
