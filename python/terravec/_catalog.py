"""The products that are known."""

import json
import os
from collections.abc import Iterable
from html import escape

from . import _native

PathLike = str | os.PathLike[str]


class Product(dict):
    """The descriptor of a product: a dict, see `terravec products ID` for what its entries mean."""

    @property
    def id(self) -> str:
        """Its name in specs."""
        return self["id"]

    def __repr__(self) -> str:
        dimension = f", {self['dimension']} numbers" if self.get("dimension") else ""
        return f"<terravec.Product {self['id']}: {self['name']} ({self['kind']}{dimension})>"

    def _repr_html_(self) -> str:
        return Products([self])._repr_html_()


class Products(list[Product]):
    """A list of products that shows itself as a table."""

    _SHOWN = ("id", "name", "kind", "dimension", "licence")

    def __repr__(self) -> str:
        wide = max((len(p["id"]) for p in self), default=0)
        lines = (f"  {p['id']:<{wide}}  {p['kind']:<8}  {p['name']}" for p in self)
        return "\n".join([f"<terravec.Products: {len(self)}>", *lines])

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{name}</th>" for name in self._SHOWN)
        rows = (
            "<tr>" + "".join(f"<td>{escape(str(p.get(name) or ''))}</td>" for name in self._SHOWN) + "</tr>"
            for p in self
        )
        return f"<table><tr>{head}</tr>{''.join(rows)}</table>"


def paths(catalog: PathLike | Iterable[PathLike] | None) -> list[str]:
    """Descriptor files, as a list."""
    if catalog is None:
        return []
    if isinstance(catalog, str | os.PathLike):
        catalog = [catalog]
    return [os.fspath(p) for p in catalog]


def products(
    *,
    kind: str | None = None,
    year: int | None = None,
    licence: str | None = None,
    host: str | None = None,
    catalog: PathLike | Iterable[PathLike] | None = None,
) -> Products:
    """List the products that are known.

    Parameters
    ----------
    kind : {"pixel", "patch", "location", "region"}, optional
        Only products of this kind.
    year : int, optional
        Only products with vectors of this year.
    licence, host : str, optional
        Only products whose licence, or one of whose hosts, contains this text.
    catalog : path or paths, optional
        Descriptor files (or folders of them) to know besides the built-in ones.
    """
    found = json.loads(_native.products(paths(catalog), kind, year, licence, host))
    return Products(Product(p) for p in found)


def product(id: str, *, catalog: PathLike | Iterable[PathLike] | None = None) -> Product:
    """One product in full.

    Raises
    ------
    CatalogError
        If no product has this id; its help names those that look like it.
    """
    return Product(json.loads(_native.product(id, paths(catalog))))
