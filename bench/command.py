"""What the commands of the benchmark share: their servers, progress, and how they end."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

from converge.errors import ConvergeError


def add_servers(parser: argparse.ArgumentParser, mysql: str) -> None:
    """--mysql, of this version unless told, and --postgres."""
    parser.add_argument("--mysql", default=mysql, help="8.0.15 or 8.0.33 (default %(default)s)")
    parser.add_argument("--postgres", default="17.5", help="14, 15, 16 or 17.5 (default)")


def say(line: str) -> None:
    """Progress goes to stderr."""
    print(line, file=sys.stderr, flush=True)


def run(main: Callable[[], int]) -> None:
    """Exits with the code of `main`; an error of converge is told as its command line would."""
    try:
        sys.exit(main())
    except ConvergeError as error:
        say("\n".join((error.message, *error.details, error.hint or "")))
        sys.exit(error.exit_code)
