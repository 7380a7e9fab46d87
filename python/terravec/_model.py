"""Models: learnt from labelled vectors, applied to tables, arrays and regions."""

import json
import os
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

from . import _inputs, _native
from ._dataset import Box, Dataset, PathLike, Progress, _warn, progress_bar
from ._errors import QueryError
from ._html import shown
from ._raster import Grid, Raster
from ._table import Table


class Model:
    """A predictor that knows its classes, its bands and the product it was learnt on.

    Made by `classify` and `regress`, or read from a file with `Model.load`.
    """

    def __init__(self, native: _native.Model):
        self._native = native

    @classmethod
    def load(cls, path: PathLike) -> "Model":
        """Read a model file, which `save` or `terravec classify fit` has written. Nothing in it is run."""
        return cls(_native.Model.load(os.fspath(path)))

    def save(self, path: PathLike, *, force: bool = False) -> None:
        """Write the model, one JSON file, whole or not at all."""
        self._native.save(os.fspath(path), force)

    def __reduce__(self):
        return _unpickled, (bytes(self._native.to_bytes()),)

    @cached_property
    def facts(self) -> dict[str, Any]:
        """How it was learnt, from what, on which product, and how it was assessed."""
        return json.loads(self._native.facts)

    @property
    def classes(self) -> list[str]:
        """Names of the classes, in the order of `predict_shares`; none for values."""
        return [c["name"] for c in self.facts["task"].get("classes", [])]

    @property
    def assessments(self) -> list[dict[str, Any]]:
        """Figures of cross-validation: with random folds, and with folds that keep places together."""
        return self.facts["assessments"] or []

    @cached_property
    def coefficients(self) -> tuple[np.ndarray, np.ndarray] | None:
        """Weights (outputs, bands) and biases of a linear model, float64, for vectors as they are."""
        return self._native.coefficients()

    def predict(self, vectors: Table | np.ndarray, *, allow_mix: bool = False) -> Any:
        """Classes or values.

        Parameters
        ----------
        vectors : Table or array of shape (N, D)
            A table must be of the product and version the model was learnt on.
        allow_mix : bool
            Predict although the product or version differs.

        Returns
        -------
        Table or ndarray
            Of a table: its columns without the vectors, and `class`, `code`, `probability` (share of the winning class),
            `entropy` (0 sure, 1 not at all), or `value`; and `dissimilarity` and `inside` (the area of applicability). Of an
            array: the classes' names, None where a vector is not finite, or float32 values.
        """
        if isinstance(vectors, Table):
            return Table(self._native.rows(vectors._native, allow_mix))
        shares = self._shares(vectors)
        if not self.classes:
            return shares[:, 0]
        names = np.array([*self.classes, None], dtype=object)
        bad = np.isnan(shares[:, 0])
        return names[np.where(bad, len(names) - 1, np.argmax(np.nan_to_num(shares), axis=1))]

    def predict_shares(self, vectors: np.ndarray) -> np.ndarray:
        """The share of each class, float32 of shape (N, classes), rows summing to 1: probabilities, votes, or (of `ridge`) how
        far each target was reached."""
        if not self.classes:
            raise QueryError("a model of values has no classes", "use predict()")
        return self._shares(vectors)

    def _shares(self, vectors: np.ndarray) -> np.ndarray:
        return self._native.scores(np.ascontiguousarray(vectors, dtype=np.float32))

    def map(
        self,
        dataset: Dataset,
        path: PathLike | None = None,
        *,
        quality: PathLike | None = None,
        picture: PathLike | None = None,
        polygons: PathLike | None = None,
        bbox: Box = None,
        region: Any = None,
        country: str | None = None,
        like: Grid | Raster | None = None,
        year: Any = None,
        crs: str | int | None = None,
        resolution: float | None = None,
        resampling: str = "nearest",
        inside_only: bool = False,
        allow_mix: bool = False,
        force: bool = False,
        dry_run: bool = False,
        progress: Progress = False,
    ) -> dict[str, Any]:
        """Predict a region into files, piece by piece: memory does not grow with the area.

        Parameters
        ----------
        dataset : Dataset
            Of the product and version the model was learnt on.
        path : path, optional
            A COG of the classes with their colours, or of float32 values.
        quality : path, optional
            A COG of the winning class's share, of the entropy, and of how unlike the labels a pixel is.
        picture : path, optional
            A PNG of the classes with a legend.
        polygons : path, optional
            The classes as polygons with their areas, a table.
        bbox, region, country, like, year, crs, resolution, resampling
            As in `Dataset.extract`.
        inside_only : bool
            Leave out pixels outside the area of applicability.
        allow_mix : bool
            Predict although the product or version differs.
        force : bool
            Replace files that exist.
        dry_run : bool
            Only tell what it would cost, as `Dataset.estimate` does; nothing but headers is read, and nothing written.

        Returns
        -------
        dict
            Pixels, those with a vector, and how many of each class.
        """
        plan = dataset._plan(bbox, region, country, like, year, None, crs, resolution, resampling)
        if dry_run:
            return json.loads(plan.estimate(None))
        files = [None if f is None else os.fspath(f) for f in (path, quality, picture, polygons)]
        with progress_bar(progress, "predicting") as tell:
            return json.loads(self._native.map(plan, files, inside_only, allow_mix, force, tell))

    def _facts(self) -> dict[str, Any]:
        figures = {}
        for a in self.assessments:
            name, value = (
                ("accuracy", a["pooled"].get("accuracy")) if self.classes else ("R²", a["pooled"]["r2"])
            )
            figures[f"{name}, {a['folds']}"] = f"{value:.3f}"
        return {"model": self.facts["summary"], "classes": ", ".join(self.classes) or None, **figures}

    def __repr__(self) -> str:
        return shown(self, self._facts())

    def _repr_html_(self) -> str:
        return shown(self, self._facts(), html=True)


def _unpickled(state: bytes) -> Model:
    return Model(_native.Model.of_bytes(state))


def classify(
    vectors: Table | np.ndarray,
    labels: str | Sequence[Any],
    *,
    learner: str = "logistic",
    group: str | Sequence[Any] | None = None,
    places: Any = None,
    standardise: bool = False,
    balanced: bool = False,
    folds: int = 5,
    block: float | None = None,
    assess: bool = True,
    seed: int = 0,
    **parameters: Any,
) -> Model:
    """Learn classes from labelled vectors, and say how good it is: with random folds, and elsewhere.

    Parameters
    ----------
    vectors : Table or array of shape (N, D)
        What to learn from, such as `ds.sample(points)`. Rows without a vector or a label are left out, with a warning.
    labels : str or sequence
        Of a table: the column of classes. Of an array: the class of each row.
    learner : {"logistic", "knn", "ridge", "linear", "centroid", "forest", "boosting", "mlp"}
        With its parameters: `c` (logistic), `k` and `cosine` (knn), `alpha` (ridge), `cosine` (centroid), `trees`, `depth` and
        `min_leaf` (forest), `rounds`, `rate` and `depth` (boosting), `hidden` and `epochs` (mlp).
    group : str or sequence, optional
        Rows of one group are held out together, such as those of a region or a field.
    places : (N, 2) array of longitude and latitude, optional
        Of an array: where the rows lie, for folds that keep places together. Tables know.
    standardise : bool
        Bring every band to mean 0 and deviation 1 first.
    balanced : bool
        Let every class weigh the same.
    folds : int
        Folds of cross-validation.
    block : float, optional
        Hold out blocks of this size, in metres; by default groups if there are any, else regions.
    assess : bool
        Whether to cross-validate at all; without, the model knows no area of applicability.
    seed : int
        Of all that is random.
    """
    return _learn(
        vectors,
        labels,
        False,
        learner,
        group,
        places,
        standardise,
        balanced,
        folds,
        block,
        assess,
        seed,
        parameters,
    )


def regress(
    vectors: Table | np.ndarray,
    labels: str | Sequence[float],
    *,
    learner: str = "ridge",
    group: str | Sequence[Any] | None = None,
    places: Any = None,
    standardise: bool = False,
    folds: int = 5,
    block: float | None = None,
    assess: bool = True,
    seed: int = 0,
    **parameters: Any,
) -> Model:
    """Learn numbers from labelled vectors; parameters are those of `classify`."""
    return _learn(
        vectors,
        labels,
        True,
        learner,
        group,
        places,
        standardise,
        False,
        folds,
        block,
        assess,
        seed,
        parameters,
    )


def _learn(
    vectors, labels, values, learner, group, places, standardise, balanced, folds, block, assess, seed, parameters
) -> Model:  # fmt: skip
    how = (learner, json.dumps(parameters), standardise, balanced, seed)
    cross = (assess, folds, block)
    if isinstance(vectors, Table):
        if not isinstance(labels, str) or not (group is None or isinstance(group, str)) or places is not None:
            raise QueryError(
                "labels and groups of a table are names of its columns", "pass the array: table.to_numpy()"
            )
        native = _native.learn_table(vectors._native, labels, group, values, how, cross)
    else:
        lonlat = None if places is None else _inputs._lonlat(places)
        native = _native.learn_arrays(
            np.ascontiguousarray(vectors, dtype=np.float32),
            _cells(labels),
            None if group is None else _cells(group),
            lonlat,
            values,
            how,
            cross,
        )
    _warn(native.notes)
    return Model(native)


def _cells(labels: Any) -> list[Any]:
    """Labels as Python's own numbers and texts; None for what is missing."""
    cells = labels.tolist() if hasattr(labels, "tolist") else list(labels)
    return [None if isinstance(c, float) and np.isnan(c) else c for c in cells]
