"""Makes crates/terravec/data/countries.tsv.gz from two npm packages; see ORIGIN.md beside it.

    pip install shapely; npm pack world-atlas@2.0.2 i18n-iso-countries@7.14.0
    python tools/make_countries.py world-atlas-2.0.2.tgz i18n-iso-countries-7.14.0.tgz

A line per country: alpha-2, alpha-3, English names between bars, and a GeoJSON geometry. Codes are empty where ISO 3166 has none.
The atlas has stitched polygons together over the antimeridian; here they are cut there again, as GeoJSON asks for.
"""

import gzip
import itertools
import json
import sys
import tarfile
from pathlib import Path

import shapely
from shapely import affinity
from shapely.geometry import MultiPolygon, Polygon, box, mapping

OUT = Path(__file__).resolve().parents[1] / "crates/terravec/data/countries.tsv.gz"
#: Of what has no code: names that people write. Kosovo's codes are those in common use, which ISO leaves to users.
OTHERS = {
    "Kosovo": ("XK", "XKX", ["Kosovo"]),
    "N. Cyprus": ("", "", ["Northern Cyprus", "N. Cyprus"]),
    "Somaliland": ("", "", ["Somaliland"]),
    "Siachen Glacier": ("", "", ["Siachen Glacier"]),
    "Indian Ocean Ter.": ("", "", ["Indian Ocean Territories", "Indian Ocean Ter."]),
}
#: What ISO counts apart, and Natural Earth as part of another country.
PARTS = {"036": "Australia"}


def member(archive, name):
    with tarfile.open(archive) as tar:
        return json.load(tar.extractfile(f"package/{name}"))


def arcs_of(topology):
    (sx, sy), (tx, ty) = topology["transform"]["scale"], topology["transform"]["translate"]
    for arc in topology["arcs"]:
        x = y = 0
        out = []
        for dx, dy in arc:
            x, y = x + dx, y + dy
            # The quantised world ends a step short of 180.
            lon = min(max(x * sx + tx, -180.0), 180.0)
            out.append((round(lon, 3), round(max(y * sy + ty, -90.0), 3)))
        yield out


def ring(arcs, numbers):
    """A ring whose longitudes go on over 180 instead of jumping."""
    out = []
    for n in numbers:
        part = arcs[n] if n >= 0 else arcs[~n][::-1]
        out.extend(part[1:] if out else part)
    turn, unwound = 0, out[:1]
    for (before, _), (lon, lat) in itertools.pairwise(out):
        turn += 360 * ((before - lon > 180) - (lon - before > 180))
        unwound.append((lon + turn, lat))
    if turn:  # around the pole
        unwound += [(unwound[-1][0], -90.0), (unwound[0][0], -90.0)]
    return unwound


def cut(rings):
    """The polygon of some rings, in pieces between -180 and 180. Inside is what an odd number of rings goes around."""
    whole = Polygon()
    for one in rings:
        shell = shapely.make_valid(Polygon(one))
        turned = [affinity.translate(shell, turn) for turn in (-360, 0, 360)]
        whole = whole.symmetric_difference(shapely.union_all(turned).intersection(box(-180, -90, 180, 90)))
    return whole


def shape_of(arcs, geometry):
    parts = geometry["arcs"] if geometry["type"] == "MultiPolygon" else [geometry["arcs"]]
    return shapely.union_all([cut([ring(arcs, numbers) for numbers in part]) for part in parts])


def coordinates(shape):
    """Of its polygons, thousandths of a degree."""
    rounded = shapely.make_valid(shapely.set_precision(shape, 0.001))
    polygons = [p for p in getattr(rounded, "geoms", [rounded]) if p.geom_type == "Polygon"]
    multi = mapping(MultiPolygon([p for p in polygons if not p.is_empty]))["coordinates"]
    return [[[(round(x, 3), round(y, 3)) for x, y in r] for r in p] for p in multi]


def main(atlas, iso):
    topology = member(atlas, "countries-50m.json")
    arcs = list(arcs_of(topology))
    codes = {number: (a2, a3) for a2, a3, number, *_ in member(iso, "codes.json")}
    english = member(iso, "langs/en.json")["countries"]
    countries = {}
    for geometry in topology["objects"]["countries"]["geometries"]:
        own = geometry["properties"]["name"]
        if geometry.get("id") in codes:
            a2, a3 = codes[geometry["id"]]
            names = english[a2]
            names = [names] if isinstance(names, str) else list(names)
            names += [] if own in names or geometry["id"] in PARTS else [own]
        else:
            a2, a3, names = OTHERS[own]
        key = a3 or names[0]
        countries.setdefault(key, (a2, a3, names, []))[3].append(shape_of(arcs, geometry))
    lines = []
    for _, (a2, a3, names, parts) in sorted(countries.items()):
        shape = {"type": "MultiPolygon", "coordinates": coordinates(shapely.union_all(parts))}
        shape = json.dumps(shape, separators=(",", ":"))
        lines.append(f"{a2}\t{a3}\t{'|'.join(names)}\t{shape.replace('.0,', ',').replace('.0]', ']')}\n")
    OUT.parent.mkdir(exist_ok=True)
    with OUT.open("wb") as file, gzip.GzipFile("", "wb", 9, file, mtime=0) as packed:
        packed.write("".join(lines).encode())
    print(f"{OUT}: {len(lines)} countries, {OUT.stat().st_size} bytes")


main(*sys.argv[1:])
