"""The command line: thin commands over the library, and the only place that catches its errors."""

from __future__ import annotations

import ast
import importlib
import io
import logging
import os
import re
import sys
import traceback
from functools import partial
from importlib.resources import files
from typing import Any

import click
from click.shell_completion import CompletionItem

from converge import __version__
from converge.codes import Code
from converge.errors import ConvergeError, UsageError, did_you_mean, stopped
from converge.report.errors import UNPRINTED, error_json, error_text, say, without_passwords
from converge.report.text import TO_PASTE
from converge.report.words import visible
from converge.signals import Stopping

_BUG = 70
COMMANDS = (
    "init", "doctor", "plan", "explain", "migrate", "worker", "pause", "continue", "sync", "follow",
    "cutover", "verify", "rollback", "status", "recover", "report", "migrations", "backfill", "audit",
    "matrix", "provision", "demo", "completion",
)  # fmt: skip


class _File(click.types.StringParamType):
    """A text that shells complete with names of files."""

    def shell_complete(
        self, context: click.Context, option: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        return [CompletionItem(incomplete, type="file")]


class _Context(click.Context):
    """Completes the hints of a command's errors; signals are heard until its result is printed."""

    def invoke(self, *args: Any, **kwargs: Any) -> Any:
        from converge.cli.hints import pasted

        TO_PASTE.set(partial(pasted, self))
        try:
            code = super().invoke(*args, **kwargs)
        except (click.exceptions.Abort, KeyboardInterrupt):
            raise stopped(self.info_name) from None
        if self.obj is not None and not isinstance(self.command, click.Group):
            self.obj.end()
        return code


def _arranged(command: click.Command) -> click.Command:
    """The command, its own options first, and whose options for files say so to shells."""
    from converge.cli.options import shared  # nothing of it where workers are started

    command.context_class = _Context
    command.params.sort(key=shared)
    for option in command.params:
        if option.type is click.STRING and re.search("FILE|DIR", option.metavar or ""):
            option.type = _File()
    return command


class Group(click.Group):
    """Suggests a command for an unknown name, and lists commands with the whole first line of their help."""

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        command = super().get_command(context, name)
        return command and _arranged(command)

    def resolve_command(
        self, context: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name, known = args[0], self.list_commands(context)
        if not name.startswith("-") and name not in known:
            context.fail(f"unknown command {name!r}{did_you_mean(name, known)}")
        return super().resolve_command(context, args)

    def summary(self, context: click.Context, name: str) -> str:
        """The first line of a command's help."""
        command = self.get_command(context, name)
        return ((command and command.help) or "").split("\n")[0]

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, self.summary(context, name)) for name in self.list_commands(context)])


_MODULES = {"continue": "go_on"}
"""Of commands whose names are keywords."""


class _Lazy(Group):
    """Imports a command when it is called: the workers need none of them."""

    def list_commands(self, context: click.Context) -> list[str]:
        return [*COMMANDS]

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        return _arranged(importlib.import_module(f"converge.cli.{_MODULES.get(name, name)}").command)

    def summary(self, context: click.Context, name: str) -> str:
        """Read and not imported: all commands together take a second."""
        source = files(__name__).joinpath(f"{_MODULES.get(name, name)}.py").read_text("utf-8")
        functions = (one for one in ast.parse(source).body if isinstance(one, ast.FunctionDef))
        help_ = next(ast.get_docstring(one) for one in functions if one.name == "command")
        return (help_ or "").split("\n")[0]


@click.group(
    cls=_Lazy,
    context_settings={
        "help_option_names": ["-h", "--help"],
        "max_content_width": 110,
        "show_default": True,
    },
)
@click.version_option(__version__, prog_name="converge")
def _group() -> None:
    """Migrate a MySQL 8 database to PostgreSQL 14-17.5 and prove that nothing was lost.

    \b
    Examples:
      converge doctor --source mysql://… --target postgresql://…
      converge plan
      converge migrate --report run.html
    """


def main(arguments: list[str] | None = None) -> None:
    """Runs a command and exits with its code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    sys.exit(run(arguments))


def run(arguments: list[str]) -> int:
    """Runs a command and returns its exit code; all errors end here."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # As stderr does: a result must not end as a bug where the locale lacks one of its characters.
        sys.stdout.reconfigure(errors="backslashreplace")
    stopping = Stopping()
    try:
        return _run(arguments, stopping)
    except (click.exceptions.Abort, KeyboardInterrupt):
        stopping.end()
        return _said(stopped(), arguments)


def _run(arguments: list[str], stopping: Stopping) -> int:
    try:
        stopping.install()
        # The driver's warnings say in other words what is raised.
        logging.getLogger("psycopg").setLevel(logging.ERROR)
        code: Any = _group.main(args=arguments, prog_name="converge", standalone_mode=False, obj=stopping)
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except click.exceptions.Abort:
        raise
    except click.ClickException as error:
        stopping.end()
        said = io.StringIO()
        error.show(said)
        say(visible(without_passwords(said.getvalue().rstrip())))
        context = getattr(error, "ctx", None)
        hint = f"{context.command_path} --help" if context else None
        wrong = UsageError(without_passwords(error.format_message()), code=Code.U000, hint=hint)
        _tell_as_json(wrong, arguments)
        return wrong.exit_code
    except ConvergeError as error:
        stopping.end()
        return _said(error, arguments)
    except BrokenPipeError:
        # The reader of our output has left; there is nobody to tell.
        _abandon(sys.stdout.fileno())
        return 1
    except OSError as error:
        stopping.end()
        if error.errno not in UNPRINTED:
            return _bug()
        _abandon(sys.stdout.fileno())
        hint = "of a finished run, `converge report -o FILE` writes the report again"
        say(f"error[{Code.U012}]: the result cannot be printed: {error.strerror}\n  hint   {hint}")
        return 1
    except Exception:  # noqa: BLE001 - a bug of ours: said as one, with its own exit code
        if stopping.asked():
            # A stop may come as another error, as out of a class that is being made.
            raise KeyboardInterrupt from None
        stopping.end()
        return _bug()


def _said(error: ConvergeError, arguments: list[str]) -> int:
    _tell_as_json(error, arguments)
    say(error_text(error))
    return error.exit_code


def _bug() -> int:
    say(visible(without_passwords(traceback.format_exc())))
    say(f"error[{Code.B001}]: this is a bug in converge; what was committed stays, on both servers")
    return _BUG


def _tell_as_json(error: ConvergeError, arguments: list[str]) -> None:
    if "--json" in arguments:
        command = next((word for word in arguments if word in COMMANDS), "")
        try:
            click.echo(error_json(error, command))
        except OSError:
            _abandon(sys.stdout.fileno())


def _abandon(stream: int) -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream)
