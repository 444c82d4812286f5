"""The ledger's tables as Alembic makes them in an empty target: `migrations/ledger.sql`.

    python -m tools.ledger_sql > migrations/ledger.sql

A run into a new target carries these statements out in one go, as importing Alembic and SQLAlchemy takes
longer than a small migration.
"""

from __future__ import annotations

import sys
from io import StringIO

from alembic import command
from alembic.config import Config

from converge.resources import folder

_HEAD = "-- What the revisions in versions/ make of nothing. Written by `python -m tools.ledger_sql`.\n\n"


def ledger_sql() -> str:
    """The statements of all revisions, each with the mark that Alembic leaves."""
    written = StringIO()
    config = Config(output_buffer=written)
    config.set_main_option("script_location", str(folder("migrations")))
    command.upgrade(config, "head", sql=True)
    lines = (line.rstrip() for line in written.getvalue().splitlines())
    return _HEAD + "\n".join(lines).rstrip() + "\n"


if __name__ == "__main__":
    sys.stdout.write(ledger_sql())
