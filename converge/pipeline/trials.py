"""Translations are tried on the target before the plan is made, so that the plan says what will be there."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import psycopg

from converge.model.evidence import Evidence
from converge.planner.inputs import Inputs
from converge.planner.plan import draft_plan
from converge.postgres.trial import SCHEMA, try_out

_SHAPING = ("default ", "generated column ")
"""Kinds of object that are part of CREATE TABLE: a refused one changes the table that others are tried on."""
_ROUNDS = 4


def tried(inputs: Inputs, connection: psycopg.Connection[Any]) -> Evidence:
    """The evidence with what the target refuses; `tried` stays False when nothing could be tried."""
    evidence = inputs.evidence
    shaping: dict[str, str] = {}
    refused: dict[str, str] | None = {}
    for _ in range(_ROUNDS):
        known = replace(evidence, refused=shaping)
        draft = draft_plan(replace(inputs, schema=SCHEMA, taken=frozenset(), evidence=known))
        refused = try_out(connection, draft.statements, draft.trials) if draft.trials else {}
        if refused is None:
            return evidence
        more = {name: why for name, why in refused.items() if name.startswith(_SHAPING)}
        if more.keys() <= shaping.keys():
            break
        shaping = shaping | more
    return replace(evidence, refused=shaping | (refused or {}), tried=True)
