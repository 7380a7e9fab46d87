"""What can go wrong. Texts are those of the command line, with the names of Python's arguments."""

import re

# Flags of the command line that have no value.
_SWITCHES = {"all-touched", "allow-mix", "codes", "dry-run", "force", "inner", "keep-duplicates", "skip-bad"}


def _as_python(text: str) -> str:
    """`--year` as `year=`, `--force` as `force=True`."""

    def argument(match: re.Match[str]) -> str:
        name = match[1].replace("-", "_")
        if match[1] == "no-mask":
            return "mask=False" + match[2]
        if match[1] in _SWITCHES:
            return f"{name}=True" + match[2]
        return f"{name}=" + (
            "" if re.match(r" [\d…]", match[0][-1:] + match.string[match.end() :]) else match[2]
        )

    return re.sub(r"--([a-z][a-z-]*)( ?)", argument, text)


class TerravecError(Exception):
    """Any failure of terravec.

    Attributes
    ----------
    message : str
        What went wrong, and where.
    help : str or None
        What to do about it.
    """

    def __init__(self, message: str, help: str | None = None):
        super().__init__(message)
        self.message = message
        self.help = _as_python(help) if help else None
        if self.help:
            self.add_note(f"help: {self.help}")

    def __reduce__(self):
        return type(self), (self.message, self.help)


class CatalogError(TerravecError):
    """A product is unknown, or a descriptor is broken."""


class SourceError(TerravecError):
    """A dataset can't be opened, or its bytes can't be read."""


class InputError(TerravecError, ValueError):
    """Points, polygons or a table of yours can't be used."""


class QueryError(TerravecError, ValueError):
    """The question does not fit the dataset, or makes no sense."""


class OutsideError(QueryError):
    """Nothing of the dataset lies where it was asked for."""


class OutputError(TerravecError):
    """A file can't be written, or is there already."""


class MissingExtraError(TerravecError, ImportError):
    """A package that is only needed for this call is not installed."""


class TerravecWarning(UserWarning):
    """Something you should know about an answer."""
