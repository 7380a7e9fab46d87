"""Every fault of a host, met by every verb: what comes of it. `python tests/python/faults.py` prints the table of docs/remote.md."""

import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / "testdata" / "alphaearth" / "wisconsin"
TILE = next(DATA.rglob("*.tif"))
VERBS = ("info", "sample", "extract", "download")
#: Seconds that a host is waited for; users wait longer.
PATIENCE = 4.0
#: A command may take this many patiences: headers, bodies and doors are waited for one after another.
BOUND = 8

#: Name, what the server is told, and after how many good requests it strikes.
FAULTS = {
    "503": ("status:503", 0),
    "429, wait 1 s": ("retry-after:1", 0),
    "429, wait an hour": ("retry-after:3600", 0),
    "403": ("status:403", 0),
    "404": ("status:404", 0),
    "connection reset in the body": ("reset:100", 0),
    "body cut short": ("truncate:100", 0),
    "wrong length announced": ("length:7", 0),
    "another range than asked": ("range:1", 0),
    "no Content-Range": ("no-content-range", 0),
    "ranges ignored": ("ignore-range", 0),
    "silence before the answer": ("silence:60000", 0),
    "silence in the body": ("stall:60000", 0),
    "hang-up": ("hangup", 0),
    "redirect in a circle": ("redirect:/x", 0),
    "file replaced meanwhile": ("etag", 1),
    "other bytes in the body": ("corrupt", 1),
}

TABLE = ("<!-- faults: made by tests/python/faults.py -->", "<!-- end of faults -->")


def arguments(verb, url, out):
    dataset = f"alphaearth={url}/{TILE.relative_to(DATA)}"
    return {
        "info": ["info", dataset],
        "sample": ["sample", dataset, "--points", "-88.77,44.295", "-o", out / "o.csv"],
        "extract": ["extract", dataset, "--bbox=-88.773,44.291,-88.766,44.298", "-o", out / "o.npy"],
        "download": ["download", dataset, "-o", out / "mirror"],
    }[verb]


def answer(verb, said, out):
    """What the verb answered, to be compared byte by byte."""
    if verb == "info":
        return "".join(line for line in said.splitlines(True) if not line.startswith("root"))
    name = {"sample": "o.csv", "extract": "o.npy", "download": f"mirror/{TILE.name}"}[verb]
    return (out / name).read_bytes()


def run(binary, server, verb, *options):
    """Exit code, answer (or the error), seconds."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        host = subprocess.Popen([server, DATA, "--md5", *options], stdout=subprocess.PIPE, text=True)
        url = host.stdout.readline().strip()
        env = os.environ | {
            "TERRAVEC_PATIENCE": str(PATIENCE),
            "TERRAVEC_CACHE_DIR": str(out / "cache"),
            "NO_COLOR": "1",
        }
        try:
            command = [binary, *map(str, arguments(verb, url, out))]
            done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=BOUND * PATIENCE)
            if done.returncode == 0:
                said = answer(verb, done.stdout, out)
            else:
                said = done.stderr.replace(url, "HOST")
            env["TERRAVEC_OFFLINE"] = "1"
            kept = subprocess.run(
                [binary, "cache", "verify", "--json"], env=env, capture_output=True, text=True, check=True
            )
            assert '"removed": 0' in kept.stdout, (verb, options, kept.stdout)
        finally:
            host.kill()
            host.wait()
        return done.returncode, said


def outcomes(binary, server):
    """Per fault, passing after three requests or staying, and per verb: `same` or the error."""
    with ThreadPoolExecutor(8) as pool:
        right = dict(zip(VERBS, pool.map(lambda verb: run(binary, server, verb), VERBS), strict=True))
        assert all(code == 0 for code, _ in right.values()), right
        jobs = {}
        for name, (fault, skip) in FAULTS.items():
            for stays in (False, True):
                for verb in VERBS:
                    options = ["--fault", fault, "--skip", str(skip)]
                    options += [] if stays else ["--times", "2"]
                    jobs[name, stays, verb] = pool.submit(run, binary, server, verb, *options)
        found = {}
        for key, job in jobs.items():
            code, said = job.result()
            if code == 0:
                found[key] = "same" if said == right[key[2]][1] else "OTHER"
            else:
                assert code == 1 and said.startswith("error: ") and "panicked" not in said, (key, said)
                found[key] = "error"
        return found


def table(found):
    lines = ["| the host | how long | " + " | ".join(f"`{v}`" for v in VERBS) + " |"]
    lines.append("|---|---|" + "---|" * len(VERBS))
    for name in FAULTS:
        for stays in (False, True):
            cells = [found[name, stays, verb] for verb in VERBS]
            lines.append(f"| {name} | {'always' if stays else 'two requests'} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "debug"
    found = outcomes(target / "terravec", target / "terravec-testserver")
    if "--write" in sys.argv:
        page = ROOT / "docs" / "remote.md"
        before, rest = page.read_text().split(TABLE[0])
        page.write_text(before + TABLE[0] + "\n" + table(found) + "\n" + TABLE[1] + rest.split(TABLE[1])[1])
    print(table(found))
