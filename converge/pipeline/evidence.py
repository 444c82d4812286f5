"""What the plan is decided by beyond the catalog: the scan of the data."""

from __future__ import annotations

from converge.model.endpoint import Endpoint
from converge.model.event import Advanced, Sink
from converge.model.evidence import NOTHING_KNOWN, Evidence
from converge.mysql.scan import scan
from converge.pipeline.options import Options
from converge.pipeline.timing import phase
from converge.planner.inputs import Inputs
from converge.planner.plan import all_questions

PHASE = "scan"


def gather(source: Endpoint, inputs: Inputs, options: Options, emit: Sink) -> Evidence:
    """Scans the source unless the options say no."""
    if not options.scan:
        return NOTHING_KNOWN
    todo = all_questions(inputs)
    with phase(None, emit, PHASE, len(todo)):
        tables = scan(
            source,
            todo,
            jobs=options.jobs,
            seconds=options.scan_seconds,
            on_table=lambda table: emit(Advanced(PHASE, table)),
        )
    return Evidence(tables)
