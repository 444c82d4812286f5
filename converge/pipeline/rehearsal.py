"""The last run, for a plan that says what has changed since: from the ledger, or from its report."""

from __future__ import annotations

import json
from pathlib import Path

from converge.codes import Code
from converge.errors import UsageError
from converge.model.plan import Plan
from converge.model.result import Result
from converge.pipeline.prepare import Prepared
from converge.planner.rehearsal import since, with_drift
from converge.postgres.history import last_rehearsal


def since_last(prepared: Prepared, report: str | None) -> Plan:
    """The plan, and what has changed since the run of this report, or else since the ledger's last.

    Raises UsageError for a file that is no report of a run.
    """
    plan = prepared.plan
    if report is not None:
        return with_drift(plan, since(_read(report), plan))
    if prepared.target is None:
        return plan
    found = last_rehearsal(prepared.target, plan.source, plan.schema)
    return with_drift(plan, since(Result.from_json(found), plan) if found else None)


def _read(path: str) -> Result:
    try:
        last = Result.from_json(json.loads(Path(path).read_text("utf-8")))
        reason = "" if last.fingerprint else "it has no fingerprint of a plan"
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        reason = f"{type(error).__name__}: {error}"
    if reason:
        raise UsageError(
            f"--since {path} is no report of a run: {reason}",
            code=Code.C011,
            hint="converge migrate --report FILE.json writes one, converge report -o FILE.json again",
        )
    return last
