"""The three tables of the benchmark, on both sides: narrow, mixed and wide rows."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Table:
    """One table, with what the servers-only limit needs to move it by hand."""

    name: str
    rows: int
    """At scale 1."""
    mysql: str
    """Columns and primary key, as in CREATE TABLE."""
    postgres: str
    """Columns with the types that converge chooses."""
    select: str
    """What SELECT … INTO OUTFILE must read so that COPY understands the file."""
    indexes: tuple[str, ...]
    """PostgreSQL's statements that make the same keys and indexes after the load."""
    mysql_indexes: str = ""
    """Further indexes of MySQL, as in ALTER TABLE; added after its load, which takes half the time."""


SALARIES = Table(
    name="salaries",
    rows=2_840_000,
    mysql="""
        emp_no INT NOT NULL,
        salary INT NOT NULL,
        from_date DATE NOT NULL,
        to_date DATE NOT NULL,
        PRIMARY KEY (emp_no, from_date)
    """,
    postgres="""
        emp_no integer NOT NULL,
        salary integer NOT NULL,
        from_date date NOT NULL,
        to_date date NOT NULL
    """,
    select="*",
    indexes=("ALTER TABLE salaries ADD PRIMARY KEY (emp_no, from_date)",),
)

EVENTS = Table(
    name="events",
    rows=1_000_000,
    mysql="""
        id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
        uuid CHAR(36) NOT NULL,
        kind ENUM('created','updated','deleted','viewed','shared') NOT NULL,
        public TINYINT(1) NOT NULL DEFAULT 0,
        amount DECIMAL(12,4) NOT NULL,
        score DOUBLE NOT NULL,
        happened_at DATETIME(6) NOT NULL,
        actor VARCHAR(80) NOT NULL,
        title VARCHAR(160) NULL,
        body LONGTEXT NULL,
        payload JSON NOT NULL,
        request_id BINARY(16) NOT NULL,
        due_on DATE NULL,
        retries INT NOT NULL DEFAULT 0,
        PRIMARY KEY (id)
    """,
    mysql_indexes="ADD UNIQUE KEY uuid (uuid), ADD KEY by_kind (kind, happened_at), ADD KEY by_actor (actor)",
    postgres="""
        id bigint NOT NULL,
        uuid varchar(36) NOT NULL,
        kind events_kind NOT NULL,
        public smallint NOT NULL DEFAULT 0,
        amount numeric(12,4) NOT NULL,
        score double precision NOT NULL,
        happened_at timestamp(6) NOT NULL,
        actor varchar(80) NOT NULL,
        title varchar(160),
        body text,
        payload jsonb NOT NULL,
        request_id bytea NOT NULL,
        due_on date,
        retries integer NOT NULL DEFAULT 0
    """,
    # OUTFILE writes binary bytes as they are; COPY wants them as \x and hexadecimal digits.
    select=(
        "id, uuid, kind, public, amount, score, happened_at, actor, title, body, payload, "
        r"CONCAT('\\x', HEX(request_id)), due_on, retries"
    ),
    indexes=(
        "ALTER TABLE events ADD PRIMARY KEY (id)",
        "CREATE UNIQUE INDEX ON events (uuid)",
        "CREATE INDEX ON events (kind, happened_at)",
        "CREATE INDEX ON events (actor)",
    ),
)

AUTHORIZATION_POLICY = Table(
    name="authorization_policy",
    rows=120_000,
    mysql="""
        id CHAR(36) NOT NULL,
        created_at DATETIME(6) NOT NULL,
        version INT NOT NULL,
        rules LONGTEXT NOT NULL,
        PRIMARY KEY (id)
    """,
    postgres="""
        id varchar(36) NOT NULL,
        created_at timestamp(6) NOT NULL,
        version integer NOT NULL,
        rules text NOT NULL
    """,
    select="*",
    indexes=("ALTER TABLE authorization_policy ADD PRIMARY KEY (id)",),
)

TABLES = (SALARIES, EVENTS, AUTHORIZATION_POLICY)

#: Types that must exist before the tables.
POSTGRES_TYPES = ("CREATE TYPE events_kind AS ENUM ('created','updated','deleted','viewed','shared')",)
