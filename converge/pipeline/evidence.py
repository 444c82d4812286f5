"""What the plan is decided by beyond the catalog: the scan of the data, and the target's answers."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import psycopg
from pymysql.connections import Connection

from converge.model.endpoint import Endpoint
from converge.model.event import Advanced, Sink
from converge.model.evidence import Evidence
from converge.model.plan import Plan, Trial
from converge.mysql.scan import scan
from converge.pipeline.options import Options
from converge.pipeline.seeded import compared
from converge.planner.draft import Draft
from converge.planner.inputs import Inputs
from converge.planner.plan import all_questions, make_plan
from converge.postgres.trial import Trials, may_try
from converge.run.phase import phase

PHASE = "scan"


def gather(source: Endpoint, inputs: Inputs, options: Options, emit: Sink) -> Evidence:
    """Scans the source unless the options say no."""
    if not options.scan:
        return inputs.evidence
    todo = all_questions(inputs)
    with phase(None, emit, PHASE, len(todo)):
        tables = scan(
            source,
            todo,
            jobs=options.jobs,
            seconds=options.scan_seconds,
            on_table=lambda table: emit(Advanced(PHASE, table)),
        )
    return replace(inputs.evidence, tables=tables)


def ask_target(
    inputs: Inputs, target: psycopg.Connection[Any], source: Connection[Any] | None = None
) -> tuple[Plan, Evidence]:
    """The plan by what the target says of it now, and the evidence with these answers.

    Where translations cannot be tried, `tried` stays False. In load mode rows of the `source` are asked, too.
    """
    with ExitStack() as stack:
        asked = _Asked(inputs.evidence, target, source)
        if inputs.evidence.existing is None:
            if not may_try(target):
                return make_plan(inputs), inputs.evidence
            asked.trials = stack.enter_context(Trials(target, inputs.schema))
        plan = make_plan(inputs, asked)
    if asked.trials is None:
        return plan, asked.evidence
    return plan, replace(asked.evidence, refused=asked.refused, tried=True)


class _Asked:
    """The target, as the planner asks it."""

    def __init__(
        self, evidence: Evidence, target: psycopg.Connection[Any], source: Connection[Any] | None
    ) -> None:
        self.evidence = evidence
        self.refused: dict[str, str] = {}
        self.trials: Trials | None = None
        self._source, self._target = source, target

    def refusal(self, draft: Draft, trial: Trial) -> str | None:
        assert self.trials is not None
        reason = self.trials.refusal(trial, draft.making, draft.in_schema)
        if reason is not None:
            self.refused[trial.object] = reason
        return reason

    def rows(self, draft: Draft) -> Evidence:
        assert self._source is not None
        self.evidence = compared(draft, self._source, self._target)
        return self.evidence
