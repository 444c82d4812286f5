"""The command line: thin commands over the library, and the only place that catches its errors."""

from __future__ import annotations

import importlib
import os
import signal
import sys
import traceback
from typing import Any

import click

from converge import __version__
from converge.errors import ConvergeError, UsageError
from converge.report.errors import error_json, error_text

_BUG = 70
_INTERRUPTED = 130
COMMANDS = {
    "doctor": "Looks at both sides: versions, rights, settings, room; each problem has its fix.",
    "plan": "What becomes of every object of the source, and why; writes nothing.",
    "explain": "Which rule decided for a table or column, and what else it could be.",
    "migrate": "Moves the database: make, copy, index, check and compare.",
    "verify": "Compares every row and every column of both databases.",
    "status": "What the ledger in the target knows of the last run.",
    "report": "Writes the last run's report from the ledger: HTML, Markdown, JSON or JUnit.",
    "demo": "The whole job on throw-away servers with a sample source.",
}


class _Lazy(click.Group):
    """Imports a command when it is called: `--help` and the workers need none of them."""

    def list_commands(self, context: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"converge.cli.{name}").command
        return command

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="converge")
def _group() -> None:
    """Moves a MySQL 8 database to PostgreSQL 14-17.5 and proves that nothing was lost."""


def main(arguments: list[str] | None = None) -> None:
    """Runs a command and exits with its code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    sys.exit(run(arguments))


def run(arguments: list[str]) -> int:
    """Runs a command and returns its exit code; all errors end here."""
    as_json = "--json" in arguments
    # A polite kill settles like Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        code: Any = _group.main(args=arguments, prog_name="converge", standalone_mode=False)
        return code if isinstance(code, int) else 0
    except click.exceptions.Abort:
        return _INTERRUPTED
    except click.ClickException as error:
        error.show()
        return UsageError.exit_code
    except ConvergeError as error:
        command = next((word for word in arguments if word in COMMANDS), "")
        if as_json:
            click.echo(error_json(error, command))
        click.echo(error_text(error), err=True)
        return error.exit_code
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:
        # The reader of our output has left; there is nobody to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception:  # noqa: BLE001 - a bug of ours: said as one, with its own exit code
        click.echo(traceback.format_exc(), err=True)
        click.echo("error[B001]: this is a bug in converge; the target holds what its ledger says", err=True)
        return _BUG
