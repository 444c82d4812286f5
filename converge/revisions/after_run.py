"""After a run: the target is noted to be at the revision that it is, brought to the newest, and compared."""

from __future__ import annotations

from collections.abc import Sequence

from converge.codes import Code
from converge.errors import UsageError
from converge.model.definitions import Differs
from converge.model.endpoint import Endpoint
from converge.model.event import Sink, phase
from converge.model.finding import Finding
from converge.model.result import Result
from converge.postgres.history import keep_report
from converge.postgres.shadow import shadow
from converge.revisions.commands import move
from converge.revisions.drift import drift, standing
from converge.revisions.environment import applied, run_steps
from converge.revisions.folder import Folder
from converge.run.connections import result_or_error


def require_revisions(folder: Folder, target: Endpoint) -> None:
    """Before a run: raises ConvergeError for what would keep `settle` from doing its work afterwards."""
    if not folder.revisions:
        raise UsageError(
            f"{folder.location} has no revision yet",
            code=Code.A060,
            hint="converge migrate without --alembic, then converge migrations generate -n baseline",
        )
    with shadow(target):
        pass


def settle(folder: Folder, target: Endpoint, schema: str, emit: Sink, result: Result) -> None:
    """Stamps a new target, runs what is pending through the gate, and tells what differs, by object.

    The rows are there and compared already: so what goes wrong here is a finding of the run and no error.
    """
    if result.exit_code:
        words = "no revision was run: the rows are not as in the source"
        result.findings.append(Finding(Code.A064, "note", "revisions", words, "converge migrations run"))
        return
    result.findings = [one for one in result.findings if one.code != Code.A064]
    with phase(result, emit, "revisions"):
        _, error = result_or_error(lambda: _settle(folder, target, schema, emit, result))
    if error is not None:
        result.verdict = "failed"
        result.next_command = (error.hint or "").partition("\n")[0] or "converge migrations run"
        message = "; ".join((f"the rows are there, but not the revisions: {error.message}", *error.details))
        result.findings.append(Finding(error.code, "block", "revisions", message, error.hint or ""))
    keep_report(target, (result.source, schema), result.to_json())


def _settle(folder: Folder, target: Endpoint, schema: str, emit: Sink, result: Result) -> None:
    at = applied(folder, target)
    if not at.heads:
        here, nearest = standing(folder, target, schema, at.table[1], emit)
        if here is None:
            result.next_command = "converge migrations generate -n NAME"
            hint = "where a database is at the folder's head, this writes what the source has become since"
            _differ(result, nearest, "no revision makes the schema as it is; in the nearest one this", hint)
            return
        run_steps(folder, target, here, "stamp")
        words = f"stamped at {here}, which makes exactly this schema"
        result.findings.append(Finding(Code.A061, "note", "revisions", words))
    done = move(folder, target, "head", "up", (), emit)
    if done.ran:
        result.findings.append(Finding(Code.A062, "note", "revisions", f"ran {', '.join(done.ran)}"))
    if differs := drift(folder, target, schema, emit).differs:
        result.next_command = "converge migrations check"
        _differ(result, differs, "not as the revisions make it: this", "undo it, or write it as a revision")


def _differ(result: Result, differs: Sequence[Differs], message: str, hint: str) -> None:
    result.verdict = "differs"
    result.findings += [
        Finding(Code.A063, "block", one.object, f"{message} {one.words}", hint) for one in differs
    ]
