"""Makes the ledger's tables, or brings them to this version's shape."""

from __future__ import annotations

from typing import Any

import psycopg

from converge.model.endpoint import Endpoint
from converge.postgres.connect import connect
from converge.resources import folder


def upgrade(endpoint: Endpoint) -> None:
    """Makes the ledger, or brings it to this version's shape, by the shipped Alembic migrations."""
    from alembic import command
    from alembic.config import Config
    from sqlalchemy import create_engine
    from sqlalchemy.exc import DBAPIError
    from sqlalchemy.pool import NullPool

    config = Config()
    config.set_main_option("script_location", str(folder("migrations")))
    engine = create_engine(
        "postgresql+psycopg://", creator=lambda: _transactional(endpoint), poolclass=NullPool
    )
    try:
        with engine.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    except DBAPIError as error:
        # The server's own word, for those who explain it.
        raise error.orig or error from error


def _transactional(endpoint: Endpoint) -> psycopg.Connection[Any]:
    connection = connect(endpoint)
    connection.autocommit = False
    return connection
