"""Packages that only some calls need."""

import importlib
from types import ModuleType

from ._errors import MissingExtraError


def need(module: str, extra: str) -> ModuleType:
    """Import `module`, or say which extra brings it."""
    try:
        return importlib.import_module(module)
    except ImportError as e:
        if e.name is not None and e.name.partition(".")[0] != module.partition(".")[0]:
            raise
        raise MissingExtraError(
            f"this needs {module}, which is not installed", f"pip install 'terravec[{extra}]'"
        ) from None
