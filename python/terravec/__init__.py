"""Earth embeddings: sample, extract, convert and map any product, right by construction.

>>> import terravec as tv
>>> ds = tv.open("alphaearth=/data/aef")                       # doctest: +SKIP
>>> ds.sample([(-88.77, 44.29)], year=2024).to_pandas()        # doctest: +SKIP
>>> ds.extract(bbox=(-88.8, 44.2, -88.7, 44.3)).to_xarray()    # doctest: +SKIP

Coordinates are (longitude, latitude) in degrees, arrays (band, y, x), rows north first.
"""

from . import cache
from ._catalog import Product, Products, product, products
from ._dataset import Dataset, open
from ._errors import (
    CatalogError,
    InputError,
    MissingExtraError,
    OutputError,
    OutsideError,
    QueryError,
    SourceError,
    TerravecError,
    TerravecWarning,
)
from ._join import download, join, mirror, mirror_verify
from ._look import Basis, Changes, Clusters, change, cluster, pca, trajectories
from ._model import Model, classify, regress
from ._native import __version__
from ._raster import Grid, Raster
from ._search import Index, search, search_dataset
from ._table import Table

__all__ = [
    "Basis",
    "CatalogError",
    "Changes",
    "Clusters",
    "Dataset",
    "Grid",
    "Index",
    "InputError",
    "MissingExtraError",
    "Model",
    "OutputError",
    "OutsideError",
    "Product",
    "Products",
    "QueryError",
    "Raster",
    "SourceError",
    "Table",
    "TerravecError",
    "TerravecWarning",
    "__version__",
    "cache",
    "change",
    "classify",
    "cluster",
    "download",
    "join",
    "mirror",
    "mirror_verify",
    "open",
    "pca",
    "product",
    "products",
    "regress",
    "search",
    "trajectories",
]

# A verb of datasets that needs more than they do.
search_dataset.__name__, search_dataset.__qualname__ = "search", "Dataset.search"
Dataset.search = search_dataset
del search_dataset

# As users import them, in tracebacks too.
for _name in __all__:
    if isinstance(globals()[_name], type):
        globals()[_name].__module__ = __name__
del _name
