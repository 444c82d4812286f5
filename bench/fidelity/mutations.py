"""A small copy of every table, and so many mutations of it."""

from __future__ import annotations

import tempfile
from pathlib import Path
from random import Random

from bench.fidelity.copies import database_pair
from bench.fidelity.load import load
from bench.fidelity.mapped import MAP, all_tables
from bench.fidelity.mutate import Mutator, Tally
from bench.fidelity.prove import Failed, migrate
from bench.fidelity.words import charset_tables
from bench.sql import writable
from converge.model.endpoint import parse
from converge.model.event import silent
from converge.run.options import Options
from converge.run.prepare import prepare
from converge.sandbox import Server

_ROWS = 120
_CHECKS = (
    "SELECT format('ALTER TABLE %s DROP CONSTRAINT %I', conrelid::regclass, conname) FROM pg_constraint "
    "WHERE contype = 'c' AND conrelid <> 0"
)


def mutate(source: Server, target: Server, number: int) -> Tally:
    """At least so many mutations, over all columns of all tables."""
    tally = Tally()
    with database_pair(source, target, "mutations") as (here, there), tempfile.TemporaryDirectory() as folder:
        rules = Path(folder) / "types.toml"
        rules.write_text(MAP)
        with writable(here) as connection:
            for table in (*all_tables(), *charset_tables(connection)):
                load(connection, table, 0, _ROWS)
        if differences := migrate(here, there, [str(rules)]).differences:
            raise Failed("the copy differs before any mutation", details=differences)
        _batches(here, there, str(rules), number, tally)
    return tally


def _batches(here: str, there: str, rules: str, number: int, tally: Tally) -> None:
    with prepare(parse(here), parse(there), Options((rules,)), silent, as_recorded=True) as prepared:
        assert prepared.target is not None
        # The CHECKs of a SET would refuse some mutations, and the comparison must not need them.
        for (statement,) in prepared.target.execute(_CHECKS.encode()).fetchall():
            prepared.target.execute(statement.encode())
        rng = Random(number)
        schema, tables = prepared.plan.schema, prepared.plan.tables
        while tally.made.total() < number:
            for table in tables:
                Mutator(prepared.source, prepared.target, schema, table, rng).batch(tally)
