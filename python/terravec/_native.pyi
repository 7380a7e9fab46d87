"""The native half. Not for users: call `terravec.open` and the classes it hands out."""

from collections.abc import Buffer, Callable, Sequence
from typing import Any

import numpy as np

__version__: str

_Grid = tuple[str, tuple[float, float, float, float, float, float], int, int]
_Progress = Callable[[int, int], object] | None
_Rows = tuple[str | None, Sequence[str], bool]

def cli(arguments: Sequence[str]) -> int: ...
def products(
    paths: Sequence[str], kind: str | None, year: int | None, licence: str | None, host: str | None
) -> str: ...
def product(id: str, paths: Sequence[str]) -> str: ...
def cache(what: str, folder: str | None) -> str: ...
def cache_use(folder: str | None, size: str | None, none: bool, offline: bool) -> None: ...
def mirror(
    spec: str,
    paths: Sequence[str],
    cache_dir: str | None,
    folder: str,
    bbox: str | None,
    regions: Regions | None,
    year: str | None,
    dry_run: bool,
    force: bool,
    max_bytes: str | None,
    progress: _Progress = None,
) -> str: ...
def mirror_verify(folder: str, progress: _Progress = None) -> str: ...
def read_points(source: str) -> Points: ...
def points_of_table(input: Any) -> Points: ...
def points_of_arrays(lon: np.ndarray, lat: np.ndarray) -> Points: ...
def points_of_bytes(bytes: bytes) -> Points: ...
def points_of_geojson(text: str) -> Points: ...
def read_regions(path: str) -> Regions: ...
def country(name: str) -> Regions: ...
def regions_of_table(input: Any) -> Regions: ...
def regions_of_wkb(geometries: Sequence[bytes]) -> Regions: ...
def regions_of_geojson(text: str) -> Regions: ...
def join(
    datasets: Sequence[Dataset],
    points: Points | None,
    patches: Dataset | None,
    bbox: str | None,
    year: str | None,
    month: int | None,
    codes: bool,
    nearest: int | None,
    within: float | None,
    reduce: str | None,
    inner: bool,
    rows: _Rows,
    dry_run: bool,
) -> Table | str: ...

_Where = tuple[str | None, str | None, str | None, float | None]

def search_vectors(vectors: np.ndarray, queries: np.ndarray, k: int, metric: str) -> tuple[Any, Any]: ...
def search_codes(
    codes: np.ndarray, queries: np.ndarray, k: int, metric: str, scale: float, divisor: float | None
) -> tuple[Any, Any]: ...
def search_bits(rows: np.ndarray, query: np.ndarray, k: int) -> tuple[Any, Any]: ...
def fit_clusters(array: np.ndarray, k: int, spherical: bool, starts: int, seed: int) -> Clusters: ...
def fit_basis(array: np.ndarray, n: int) -> Basis: ...
def search_dataset(
    dataset: Dataset,
    like: Sequence[Points],
    ids: Sequence[str],
    vectors: np.ndarray | None,
    mean_of: str | None,
    negative: Sequence[Points],
    by: str,
    metric_name: str,
    k: int,
    exclude: bool,
    keep_vectors: bool,
    place: _Where,
    regions: Regions | None,
    like_year: str | None,
    rows: _Rows,
    map: str | None,
    force: bool,
    index: tuple[str, int | None] | None,
    dry_run: bool,
    progress: _Progress = None,
) -> Table | str: ...
def change_dataset(
    dataset: Dataset,
    other: Dataset | None,
    place: _Where,
    regions: Regions | None,
    stable: Regions | None,
    measure_name: str,
    deviations: float,
    percentile: float | None,
    k: int,
    map: str | None,
    force: bool,
    dry_run: bool,
    progress: _Progress = None,
) -> tuple[Table, str] | str: ...
def estimate_part(
    dataset: Dataset, place: _Where, regions: Regions | None, rows: _Rows, passes: int
) -> str: ...
def estimate_regions(dataset: Dataset, regions: Regions, place: _Where, all_touched: bool) -> str: ...
def trajectories_of(dataset: Dataset, regions: Regions, place: _Where, measure_name: str) -> Table: ...
def cluster_dataset(
    dataset: Dataset,
    k: int,
    spherical: bool | None,
    starts: int,
    seed: int,
    sample: int,
    place: _Where,
    regions: Regions | None,
    rows: _Rows,
    progress: _Progress = None,
) -> Clusters: ...
def pca_dataset(
    dataset: Dataset,
    n: int,
    seed: int,
    sample: int,
    place: _Where,
    regions: Regions | None,
    rows: _Rows,
    progress: _Progress = None,
) -> Basis: ...
def index_build(
    dataset: Dataset,
    path: str,
    force: bool,
    metric_name: str,
    lists: int | None,
    memory: int,
    seed: int,
    place: _Where,
    regions: Regions | None,
    rows: _Rows,
    progress: _Progress = None,
) -> None: ...
def index_add(
    path: str, dataset: Dataset, memory: int, place: _Where, regions: Regions | None, rows: _Rows
) -> int: ...
def index_delete(path: str, ids: set[str]) -> int: ...
def index_compact(path: str) -> None: ...
def index_info(path: str) -> str: ...
def download(
    spec: str,
    paths: Sequence[str],
    cache_dir: str | None,
    dry_run: bool,
    force: bool,
    progress: _Progress = None,
) -> str: ...

class Points:
    def __len__(self) -> int: ...
    def take(self, numbers: Any) -> Points: ...
    def lonlat(self) -> tuple[np.ndarray, np.ndarray]: ...
    @property
    def origin(self) -> str: ...
    @property
    def warnings(self) -> list[str]: ...

class Regions:
    def __len__(self) -> int: ...
    @property
    def warnings(self) -> list[str]: ...

class Table:
    @staticmethod
    def of(input: Any, names: Sequence[str]) -> Table: ...
    @staticmethod
    def of_bytes(bytes: bytes, names: Sequence[str]) -> Table: ...
    def __len__(self) -> int: ...
    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object: ...
    @property
    def columns(self) -> list[tuple[str, str]]: ...
    @property
    def bands(self) -> list[str]: ...
    @property
    def notes(self) -> list[str]: ...
    @property
    def provenance(self) -> str: ...
    def text(self, rows: int) -> str: ...
    def vectors(self, name: str) -> tuple[Buffer, str, int, int] | None: ...
    def numbers(self, name: str) -> tuple[Buffer, str] | None: ...
    def status(self, name: str) -> np.ndarray | None: ...
    def write(self, path: str, force: bool) -> None: ...

class Plan:
    def estimate(self, bandwidth: str | None) -> str: ...
    @property
    def grid(self) -> tuple[str, str, list[float], int, int]: ...
    @property
    def years(self) -> list[int | None]: ...
    @property
    def bands(self) -> list[str]: ...
    @property
    def dtype(self) -> str: ...
    @property
    def nodata(self) -> float | None: ...
    @property
    def provenance(self) -> str: ...
    @property
    def chunk(self) -> int: ...
    def read(self, progress: _Progress = None) -> tuple[np.ndarray, np.ndarray]: ...
    def window(
        self, periods: Sequence[int], row: int, col: int, height: int, width: int
    ) -> tuple[np.ndarray, np.ndarray]: ...
    def write(self, path: str, force: bool, progress: _Progress = None) -> str: ...

_How = tuple[str, str, bool, bool, int]
_Folds = tuple[bool, int, float | None]

class Model:
    @staticmethod
    def load(path: str) -> Model: ...
    @staticmethod
    def of_bytes(bytes: bytes) -> Model: ...
    def to_bytes(self) -> bytes: ...
    def save(self, path: str, force: bool) -> None: ...
    @property
    def notes(self) -> list[str]: ...
    @property
    def facts(self) -> str: ...
    def coefficients(self) -> tuple[np.ndarray, np.ndarray] | None: ...
    def scores(self, x: np.ndarray) -> np.ndarray: ...
    def rows(self, table: Table, mix: bool) -> Table: ...
    def map(
        self,
        plan: Plan,
        files: Sequence[str | None],
        inside_only: bool,
        mix: bool,
        force: bool,
        progress: _Progress = None,
    ) -> str: ...

def learn_table(
    table: Table, column: str, group: str | None, values: bool, learner: _How, folds: _Folds
) -> Model: ...
def learn_arrays(
    x: np.ndarray,
    labels: Sequence[int | float | str | None],
    groups: Sequence[int | float | str | None] | None,
    places: tuple[np.ndarray, np.ndarray] | None,
    values: bool,
    learner: _How,
    folds: _Folds,
) -> Model: ...

class Dataset:
    def __init__(
        self,
        spec: str,
        paths: Sequence[str],
        cache_dir: str | None,
        block_cache: int,
        depth: int | None,
        at: str | None,
    ) -> None: ...
    def estimate_sample(
        self, points: Points, year: str | None, nearest: int | None, bandwidth: str | None
    ) -> str: ...
    def estimate_rows(
        self, bbox: str | None, regions: Regions | None, year: str | None, bandwidth: str | None
    ) -> str: ...
    @property
    def form(self) -> str: ...
    @property
    def product(self) -> str: ...
    def info(self) -> str: ...
    def coverage(self, bbox: str | None, regions: Regions | None, year: str | None) -> str: ...
    def tiles(
        self, bbox: str | None, year: str | None
    ) -> list[tuple[str, list[float], int, int, int | None]]: ...
    def locate(
        self, points: Points, year: str | None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[tuple[str, list[float], int, int, int | None]]]: ...
    def sample(
        self,
        points: Points,
        year: str | None,
        month: int | None,
        codes: bool,
        nearest: int | None,
        within: float | None,
        rows: _Rows,
    ) -> Table: ...
    def rows(
        self,
        bbox: str | None,
        regions: Regions | None,
        year: str | None,
        codes: bool,
        keep_duplicates: bool,
        rows: _Rows,
        progress: _Progress = None,
    ) -> Table: ...
    def write_rows(
        self,
        path: str,
        force: bool,
        bbox: str | None,
        regions: Regions | None,
        year: str | None,
        codes: bool,
        keep_duplicates: bool,
        rows: _Rows,
        progress: _Progress = None,
    ) -> list[str]: ...
    def plan(
        self,
        bbox: str | None,
        regions: Regions | None,
        grid: _Grid | None,
        year: str | None,
        month: int | None,
        crs: str | None,
        resolution: float | None,
        resampling: str,
        bands: Sequence[str] | None,
        codes: bool,
        mask: bool,
        all_touched: bool,
    ) -> Plan: ...
    def reduce(
        self,
        regions: Regions,
        how: str,
        year: str | None,
        month: int | None,
        resolution: float | None,
        all_touched: bool,
    ) -> Table: ...

class Clusters:
    @staticmethod
    def of_json(text: str) -> Clusters: ...
    def json(self) -> str: ...
    def labels(self, array: np.ndarray) -> np.ndarray: ...
    def write(
        self,
        dataset: Dataset,
        path: str,
        force: bool,
        place: _Where,
        regions: Regions | None,
        rows: _Rows,
        progress: _Progress = None,
    ) -> str: ...

class Basis:
    @staticmethod
    def of_json(text: str) -> Basis: ...
    def json(self) -> str: ...
    def scores(self, array: np.ndarray) -> np.ndarray: ...
    def write(
        self,
        dataset: Dataset,
        path: str,
        force: bool,
        scores: bool,
        place: _Where,
        regions: Regions | None,
        progress: _Progress = None,
    ) -> None: ...
