"""The `terravec` command."""

import signal
import sys

from . import _native


def main() -> int:
    """Run the command with this program's arguments."""
    # The command works outside the interpreter, whose own handler would only be heard at its end.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    return _native.cli(["terravec", *sys.argv[1:]])
