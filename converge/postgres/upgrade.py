"""Makes the ledger's tables, or brings them to this version's shape."""

from __future__ import annotations

from converge.model.endpoint import Endpoint
from converge.resources import folder

# Two runs may begin at the same moment, and both find no ledger.
_LOCK = 0x636F6E7570


def upgrade(endpoint: Endpoint) -> None:
    """Makes the ledger, or brings it to this version's shape, by the shipped Alembic migrations."""
    from alembic import command
    from alembic.config import Config
    from sqlalchemy import text
    from sqlalchemy.exc import DBAPIError

    from converge.postgres.engine import engine

    config = Config()
    config.set_main_option("script_location", str(folder("migrations")))
    try:
        with engine(endpoint).begin() as connection:
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    except DBAPIError as error:
        # The server's own word, for those who explain it.
        raise error.orig or error from error
