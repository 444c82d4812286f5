"""The ledger's tables: the same by `migrations/ledger.sql`, by Alembic, and out of an older ledger."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from alembic import command
from alembic.config import Config
from conftest import NewDatabase
from support import postgres as ask

from converge.codes import Code
from converge.errors import BlockedError, TargetError
from converge.model.endpoint import parse
from converge.model.work import CopyTask
from converge.postgres.copy import claim
from converge.postgres.engine import engine
from converge.postgres.ledger import upgrade
from converge.resources import folder
from converge.sandbox import Server

_COLUMNS = """
SELECT c.relname, a.attname, format_type(atttypid, atttypmod), attnotnull, attidentity,
       pg_get_expr(adbin, adrelid), col_description(c.oid, attnum), obj_description(c.oid)
  FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND attnum > 0 AND NOT attisdropped
  LEFT JOIN pg_attrdef d ON adrelid = attrelid AND adnum = attnum
 WHERE relnamespace = 'converge'::regnamespace ORDER BY 1, attnum
"""
_RULES = """
SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE connamespace = 'converge'::regnamespace
UNION SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'converge'
UNION SELECT 'version', version_num FROM converge.alembic_version ORDER BY 1, 2
"""


def shape(target: str) -> list[list[tuple[object, ...]]]:
    found = [ask(target, _COLUMNS), ask(target, _RULES)]
    assert all(found)
    return found


def by_alembic(target: str, revision: str) -> None:
    ask(target, "CREATE SCHEMA converge")
    config = Config()
    config.set_main_option("script_location", str(folder("migrations")))
    with engine(parse(target)).begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


def test_all_ways_lead_to_the_same_tables(postgres_any: Server, new_postgres_database: NewDatabase) -> None:
    new, whole, older, empty = (new_postgres_database(postgres_any) for _ in range(4))
    upgrade(parse(new))
    upgrade(parse(new))
    by_alembic(whole, "head")
    by_alembic(older, "0005")
    upgrade(parse(older))
    ask(empty, "CREATE SCHEMA converge")
    upgrade(parse(empty))
    assert shape(new) == shape(whole) == shape(older) == shape(empty)


def test_runs_that_begin_together_make_it_once(
    postgres_175: Server, new_postgres_database: NewDatabase
) -> None:
    target = parse(new_postgres_database(postgres_175))
    with ThreadPoolExecutor() as pool:
        made = [pool.submit(upgrade, target) for _ in range(6)]
    assert [one.exception() for one in made] == [None] * 6
    assert ask(str(target), "SELECT count(*) FROM converge.alembic_version") == [(1,)]


def test_the_ledger_of_a_newer_version_is_refused(
    postgres_175: Server, new_postgres_database: NewDatabase
) -> None:
    target = new_postgres_database(postgres_175)
    upgrade(parse(target))
    ask(target, "UPDATE converge.alembic_version SET version_num = '9999'")
    with pytest.raises(BlockedError) as caught:
        upgrade(parse(target))
    assert caught.value.code == Code.T047 and "9999" in caught.value.message


def test_a_chunk_that_the_target_has_lost(postgres_175: Server, new_postgres_database: NewDatabase) -> None:
    target = new_postgres_database(postgres_175)
    upgrade(parse(target))
    with psycopg.connect(target, autocommit=True) as connection, pytest.raises(TargetError) as caught:
        claim(connection, CopyTask(1, "t", 0, "", "", marked=False))
    assert (caught.value.code, caught.value.lost) == (Code.R004, True)
