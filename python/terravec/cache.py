"""The cache on the disk of what comes over the network: `terravec.cache.info()`, `clear()`, `verify()`, `use(…)`."""

import json
import os
from typing import Any

from . import _native
from ._catalog import PathLike

__all__ = ["clear", "info", "use", "verify"]


def _ask(what: str, cache_dir: PathLike | None) -> dict[str, Any]:
    return json.loads(_native.cache(what, None if cache_dir is None else os.fspath(cache_dir)))


def use(
    cache_dir: PathLike | None = None,
    *,
    size: str | int | None = None,
    enabled: bool = True,
    offline: bool = False,
) -> None:
    """Say how the cache is kept from now on, in this process.

    Parameters
    ----------
    cache_dir : path, optional
        Its folder; by default the user's own.
    size : str or int, optional
        The most it holds: `"20GB"`, or bytes.
    enabled : bool
        Whether anything is kept at all.
    offline : bool
        Ask no host: use what is kept, or fail.
    """
    folder = None if cache_dir is None else os.fspath(cache_dir)
    _native.cache_use(folder, None if size is None else str(size), not enabled, offline)


def info(cache_dir: PathLike | None = None) -> dict[str, Any]:
    """How much is kept: `folder`, `objects`, `entries`, `bytes`, `limit`."""
    return _ask("info", cache_dir)


def clear(cache_dir: PathLike | None = None) -> int:
    """Take all of it away; tells how many bytes that were."""
    return _ask("clear", cache_dir)["cleared"]


def verify(cache_dir: PathLike | None = None) -> dict[str, int]:
    """Check every entry: how many are `good`, and how many were not and are `removed`."""
    return _ask("verify", cache_dir)
