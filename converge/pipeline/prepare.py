"""From two addresses to a plan: what every command does first. Nothing is written."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg
from pymysql.connections import Connection

from converge.mapping.rules import load
from converge.model.catalog import Catalog
from converge.model.endpoint import Endpoint
from converge.model.plan import Plan
from converge.mysql import connect as mysql
from converge.mysql.catalog import read_catalog
from converge.mysql.rights import read_rights, require_select
from converge.phases.explain import explained
from converge.planner.plan import NEWEST, Inputs, Selection, make_plan
from converge.postgres import connect as postgres
from converge.postgres.target import Target, read_target


def default_jobs() -> int:
    """Worker processes: a core each, at least 2 and at most 8."""
    return max(2, min(8, os.cpu_count() or 2))


@dataclass(frozen=True, slots=True)
class Options:
    """What the shared options of the command line say."""

    maps: tuple[str, ...] = ()
    schema: str = "public"
    selection: Selection = field(default_factory=Selection)


@dataclass(frozen=True, slots=True)
class Prepared:
    """Open connections, what was read from them, and the plan that follows."""

    source: Connection[Any]
    target: psycopg.Connection[Any] | None
    catalog: Catalog
    facts: Target | None
    plan: Plan


@contextmanager
def prepare(source: Endpoint, target: Endpoint | None, options: Options) -> Iterator[Prepared]:
    """Connects, reads and plans; closes the connections in the end.

    Inside, the drivers' errors become ConvergeErrors.
    """
    rules = load(options.maps)
    with explained(source, target), ExitStack() as stack:
        here = mysql.connect(source)
        stack.callback(here.close)
        there = None
        facts = None
        if target is not None:
            there = stack.enter_context(postgres.connect(target, synchronous_commit="on"))
            facts = read_target(there, options.schema)
        rights = read_rights(here, source.database)
        catalog = read_catalog(here, rights)
        require_select(rights, source)
        own = {table.name for table in catalog.tables} | {view.name for view in catalog.views}
        inputs = Inputs(
            catalog,
            rules,
            source=str(source),
            target=str(target) if target else "",
            target_version=facts.version if facts else NEWEST,
            schema=options.schema,
            schema_exists=facts.schema_exists if facts else True,
            selection=options.selection,
            taken=facts.foreign_names(own) if facts else frozenset(),
        )
        yield Prepared(here, there, catalog, facts, make_plan(inputs))
