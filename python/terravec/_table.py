"""Answers as tables."""

import json
import os
import re
from functools import cached_property
from typing import Any

import numpy as np

from . import _native
from ._errors import QueryError
from ._extras import need
from ._html import shown

#: The names of a status, in the order of their numbers.
STATUSES = np.array(["valid", "water", "nodata", "outside"])


class Table:
    """Vectors at places: one row per place and period.

    Columns: the caller's own; `lon`, `lat` (degrees); `status` (`valid`, `water`, `nodata`, `outside`); `time_start`,
    `time_end` (UTC, the end excluded); `product`; `embedding` (float32[D], null unless valid) or `codes`; `geometry`
    (well-known binary, degrees). Tables of regions have `pixels`, the number of pixels used; samples of tables have
    `patch_id`, `patch_lon`, `patch_lat` and `distance_m`. In a join, columns of a product begin with its id:
    `alphaearth_embedding`, `alphaearth_status`, ….

    Any Arrow library takes it as it is, without a copy: `pyarrow.table(t)`, `polars.DataFrame(t)`, `duckdb`.
    """

    def __init__(self, native: _native.Table):
        self._native = native

    @classmethod
    def of(cls, table: Any, bands: list[str]) -> "Table":
        """A table from Arrow, as it was written by one."""
        return cls(_native.Table.of(table, bands))

    def __len__(self) -> int:
        return len(self._native)

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        return self._native.__arrow_c_stream__(requested_schema)

    def __reduce__(self):
        return Table, (self._native,)

    @property
    def columns(self) -> list[str]:
        """Names of the columns."""
        return [name for name, _ in self._native.columns]

    @property
    def bands(self) -> list[str]:
        """Names of the numbers of a vector."""
        return self._native.bands

    @cached_property
    def provenance(self) -> Any:
        """Where the vectors come from, a dict: product, model, decode rule, years, sources, licence, …; of a join, a list
        of one per product."""
        return json.loads(self._native.provenance or "{}")

    @cached_property
    def status(self) -> np.ndarray:
        """Why a row has a vector or has none, shape (N,): `valid`, `water`, `nodata` or `outside`.

        Of a join: that of the product that has least to say.
        """
        return STATUSES[self._worst_status]

    @property
    def valid(self) -> np.ndarray:
        """Which rows have a vector (of a join: of every product), bool, shape (N,)."""
        return self._worst_status == 0

    @cached_property
    def _worst_status(self) -> np.ndarray:
        own = self._native.status("status")
        # The caller may have a column `..._status` of other things, or none that are texts.
        ours = [name for name in self.columns if name.endswith("_status") and self._embedding_of(name[:-7])]
        if own is None and not ours:
            # Results of a search, and the like: rows without a vector are not among them.
            return np.zeros(len(self), np.uint8)
        return own if own is not None else np.maximum.reduce([self._native.status(name) for name in ours])

    def _embedding_of(self, product: str) -> str | None:
        """The column of a product's vectors in a join, whose names have `_` for what is neither a letter nor a digit."""
        plain = re.sub(r"[^0-9A-Za-z]", "_", product)
        return next((n for n in self.columns if n in (f"{plain}_embedding", f"{plain}_codes")), None)

    def to_numpy(self, column: str | None = None) -> np.ndarray:
        """The vectors, or a column of numbers, as an array that shares the table's memory.

        Parameters
        ----------
        column : str, optional
            A column of numbers or vectors, such as `lon`; by default the vectors. In a join, a product's id stands for its
            vectors.

        Returns
        -------
        ndarray
            float32, shape (N, D), NaN where there is no vector (codes: their own type, 0 there); or shape (N,).
            Read-only.
        """
        names = self.columns
        if column is None:
            column = next((n for n in ("embedding", "codes") if n in names), None)
            if column is None:
                ids = ", ".join(n.removesuffix("_embedding") for n in names if n.endswith("_embedding"))
                raise QueryError("a join has the vectors of several products", f"name one: {ids}")
        elif column not in names:
            column = self._embedding_of(column) or column
        vectors = self._native.vectors(column)
        if vectors is not None:
            buffer, dtype, rows, depth = vectors
            return np.frombuffer(buffer, dtype).reshape(rows, depth)
        found = self._native.numbers(column)
        if found is None:
            return self.to_pyarrow()[column].to_numpy()
        return np.frombuffer(*found)

    def to_pyarrow(self) -> Any:
        """As a `pyarrow.Table`, without a copy."""
        return need("pyarrow", "arrow").table(self)

    def to_pandas(self) -> Any:
        """As a `pandas.DataFrame`; each cell of `embedding` is an array or None."""
        need("pandas", "pandas")
        return self.to_pyarrow().to_pandas()

    def to_geopandas(self) -> Any:
        """As a `geopandas.GeoDataFrame` in longitude and latitude (OGC:CRS84)."""
        geopandas = need("geopandas", "geopandas")
        frame = self.to_pandas()
        geometry = geopandas.GeoSeries.from_wkb(frame["geometry"], crs="OGC:CRS84")
        return geopandas.GeoDataFrame(frame.drop(columns="geometry"), geometry=geometry)

    def to_torch(self) -> Any:
        """The vectors as a `torch.Tensor`, shape (N, D)."""
        return need("torch", "torch").from_numpy(self.to_numpy().copy())

    def write(self, path: str | os.PathLike[str], *, force: bool = False) -> None:
        """Write the table: `.parquet` (GeoParquet), `.arrow`, `.csv` or `.geojson`, whole or not at all.

        Raises
        ------
        OutputError
            If the file exists and `force` is not set, or can't be written.
        """
        self._native.write(os.fspath(path), force)

    def _facts(self) -> dict[str, Any]:
        several = self.provenance if isinstance(self.provenance, list) else [self.provenance]
        names, counts = np.unique(self.status, return_counts=True)
        return {
            "rows": f"{len(self)} ({', '.join(f'{n} {s}' for s, n in zip(names, counts, strict=True))})",
            "product": ", ".join(p.get("product", "") for p in several),
            "values": ", ".join(f"{p.get('dimension')} numbers each ({p.get('values')})" for p in several)
            if any("embedding" in n or "codes" in n for n in self.columns)
            else None,
            "columns": ", ".join(self.columns),
        }

    def __repr__(self) -> str:
        return shown(self, self._facts()) + "\n" + self._native.text(10).rstrip()

    def _repr_html_(self) -> str:
        return shown(self, self._facts(), html=True, text=self._native.text(10))
