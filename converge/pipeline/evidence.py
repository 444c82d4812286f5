"""What the plan is decided by beyond the catalog: the scan of the data."""

from __future__ import annotations

from dataclasses import replace

from converge.model.endpoint import Endpoint
from converge.model.event import Advanced, Sink
from converge.model.evidence import Evidence
from converge.mysql.scan import scan
from converge.pipeline.options import Options
from converge.planner.inputs import Inputs
from converge.planner.plan import all_questions
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
