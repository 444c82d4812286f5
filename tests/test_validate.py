"""`converge migrations validate`: what a revision does to rows is seen in a copy, before it is run."""

from __future__ import annotations

import csv
import json
import re
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import psycopg
import pytest
from conftest import NewDatabase
from revisions import execute, folder, revision
from support import Ran, converge, postgres

from converge.model.endpoint import parse
from converge.model.recorded import READER, Made
from converge.revisions.folder import Folder
from converge.revisions.validated import covers, record, validated
from converge.sandbox import Server

USERS = """
CREATE TABLE identities (id uuid PRIMARY KEY, email text);
CREATE TABLE users (id int PRIMARY KEY, email text NOT NULL, name varchar(40));
INSERT INTO identities SELECT md5(i::text)::uuid, 'u' || i || '@x.org' FROM generate_series(1, 10000) i;
INSERT INTO users SELECT i, 'U' || i || '@X.org', 'n' FROM generate_series(1, 10000) i;
CREATE TABLE other (a int, b text);
INSERT INTO other VALUES (1, 'x'), (1, 'x'), (2, NULL);
"""
FILL = (
    "ALTER TABLE users ADD auth_id uuid",
    "UPDATE users u SET auth_id = i.id FROM identities i WHERE lower(u.email) = i.email",
)
WRONG = "UPDATE users SET auth_id = md5('wrong')::uuid WHERE id IN (17, 204, 9911)"
BACK = "ALTER TABLE users DROP auth_id"
LARGE_GONE = "SELECT lo_unlink(oid) FROM pg_largeobject_metadata"
SHADOWS = "SELECT datname FROM pg_database WHERE datname LIKE 'converge_shadow%'"


class Scene:
    """A database with rows, a folder with a revision, and a place for what is written."""

    def __init__(self, url: str, place: Path) -> None:
        self.url, self.place = url, place
        self.folder = folder(place / "migrations").location
        self.artifacts = place / "artifacts"
        postgres(url, USERS)

    def validate(self, *arguments: str) -> Ran:
        options = ("--target", self.url, "--alembic", str(self.folder), "--artifacts", str(self.artifacts))
        ran = converge("migrations", "validate", *options, *arguments)
        assert postgres(self.url, SHADOWS) == []
        return ran

    def summary(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.artifacts / "summary.json").read_text())
        return found

    def passed(self, id: str) -> tuple[str, ...]:
        """The directions in which the gate knows it."""
        folder = Folder.open(str(self.folder))
        revision = folder.revision(id)
        return tuple(way for way in ("up", "down") if validated(folder, revision, way))

    def content(self) -> list[tuple[object, ...]]:
        """All that the database has, by digests of its tables."""
        return [
            row
            for table in ("users", "identities", "other")
            for row in postgres(
                self.url, f"SELECT '{table}', md5(string_agg(t::text, '|' ORDER BY t::text)) FROM {table} t"
            )
        ] + postgres(
            self.url, "SELECT count(*)::text, md5(string_agg(relname, ',' ORDER BY relname)) FROM pg_class"
        )


@pytest.fixture
def scene(postgres_175: Server, new_postgres_database: NewDatabase, tmp_path: Path) -> Scene:
    return Scene(new_postgres_database(postgres_175), tmp_path)


def test_a_wrong_backfill_is_found_by_key_and_column(scene: Scene) -> None:
    before = scene.content()
    revision(scene.folder, "fill", execute(*FILL), execute(BACK))
    reference = str(scene.place / "reference")

    first = scene.validate()
    assert first.code == 1, first.err
    assert "unreviewed" in first.out
    assert "public.users" in first.out and "10,000" in first.out
    assert scene.passed("fill") == ()

    accepted = scene.validate("--reference", reference, "--accept")
    assert accepted.code == 0, accepted.err
    rows = list(csv.DictReader((scene.place / "reference" / "users.csv").read_text().splitlines()))
    assert len(rows) == 10_000
    assert rows[16]["(change)"] == "changed" and rows[16]["auth_id (before)"] == ""
    again = scene.validate("fill", "--reference", reference)
    assert (again.code, "validated" in again.out) == (0, True), again.err
    assert scene.passed("fill") == ("up", "down")

    revision(scene.folder, "fill", execute(*FILL, WRONG), execute(BACK))
    # Another text is another revision to the gate.
    assert scene.passed("fill") == ()
    wrong = scene.validate("--reference", reference)
    assert wrong.code == 1
    for key in ("id=17", "id=204", "id=9911"):
        assert f"public.users {key} auth_id: reference " in wrong.out
    assert scene.summary()["verdict"] == "differs"
    (compared,) = scene.summary()["compared"]
    assert compared["columns"] == {"auth_id": 3}
    suites = ElementTree.parse(scene.artifacts / "junit.xml").getroot()
    assert [case.get("name") for case in suites.iter("testcase") if case.find("failure") is not None] == [
        "fill",
        "public.users",
    ]
    assert "id=9911" in (scene.artifacts / "report.html").read_text()
    assert scene.passed("fill") == ()
    assert scene.content() == before


def test_a_revision_that_touches_no_row_needs_no_reference(scene: Scene) -> None:
    revision(
        scene.folder, "r1", execute("CREATE INDEX by_name ON users (name)"), execute("DROP INDEX by_name")
    )
    ran = scene.validate()
    assert (ran.code, "no row is affected" in ran.out) == (0, True), ran.err
    assert scene.passed("r1") == ("up", "down")


def test_what_is_dropped_is_in_the_artifacts(scene: Scene) -> None:
    revision(
        scene.folder,
        "r1",
        execute("ALTER TABLE users DROP name", "DROP TABLE other"),
        execute("ALTER TABLE users ADD name varchar(40)", "CREATE TABLE other (a int, b text)"),
    )
    ran = scene.validate("--reference", str(scene.place / "ref"), "--accept")
    assert ran.code == 1, ran.err
    assert (scene.artifacts / "other.csv").read_text().splitlines()[1:] == [
        '"removed","1","x"',
        '"removed","1","x"',
        '"removed","2",',
    ]
    rows = list(csv.DictReader((scene.artifacts / "users.csv").read_text().splitlines()))
    assert len(rows) == 10_000 and {row["name (before)"] for row in rows} == {"n"}
    # Its downgrade brings back the tables, and not their rows.
    assert scene.summary()["not_restored"] == ["rows of public.other", "rows of public.users"]


@pytest.mark.parametrize(
    ("back", "more", "downgrade", "code"),
    [
        ("pass", "", "no promise", 0),
        ("raise NotImplementedError", "", "no promise", 0),
        (execute(BACK), "", "restored", 0),
        (execute("SELECT 1"), "", "differs", 1),
        (execute("UPDATE users SET auth_id = NULL"), 'converge = {"restores": "catalog"}', "differs", 1),
        (execute(BACK, "DELETE FROM other"), 'converge = {"restores": "catalog"}', "catalog", 0),
        (execute(BACK, "DELETE FROM other"), "", "differs", 1),
        (execute(BACK, "SELECT setval('used', 499)"), "", "differs", 1),
        (execute(BACK, "SELECT setval('used', 501)"), "", "restored", 0),
        (execute(BACK, "SELECT setval('called', 6, false)"), "", "differs", 1),
        ("1 / 0", 'converge = {"restores": "nothing"}', "no promise", 0),
    ],
)
def test_downgrades_keep_what_they_promise(
    scene: Scene, back: str, more: str, downgrade: str, code: int
) -> None:
    postgres(scene.url, "CREATE SEQUENCE used; SELECT setval('used', 500)")
    postgres(scene.url, "CREATE SEQUENCE called; SELECT setval('called', 7, false)")
    revision(scene.folder, "r1", execute(*FILL), back, more=more)
    ran = scene.validate("--reference", str(scene.place / "ref"), "--accept")
    assert (ran.code, scene.summary()["downgrade"]) == (code, downgrade), ran.err
    assert ("and all rows" in ran.out) == (downgrade == "restored"), ran.out
    assert scene.passed("r1") == (
        (("up", "down") if downgrade == "restored" else ("up",)) if code == 0 else ()
    )
    assert ("Its downgrade promises nothing" in ran.out) == (downgrade == "no promise")
    if back == "pass":
        options = ("--target", scene.url, "--alembic", str(scene.folder))
        assert converge("migrations", "run", *options).code == 0
        reverted = converge("migrations", "revert", *options)
        assert (reverted.code, "warning: revert r1: its downgrade promises nothing" in reverted.err) == (
            0,
            True,
        )


INVOICES = "CREATE SEQUENCE invoice_no; CREATE TABLE bill (id int GENERATED ALWAYS AS IDENTITY, n int);"


@pytest.mark.parametrize(
    ("up", "position", "line"),
    [
        (
            "DROP SEQUENCE invoice_no; CREATE SEQUENCE invoice_no AS bigint",
            "48211, true",
            '"changed","public.invoice_no","1","48212"',
        ),
        ("SELECT setval('invoice_no', 1)", "48211, true", '"changed","public.invoice_no","2","48212"'),
        # As a run of converge leaves them: no number was given yet.
        ("ALTER SEQUENCE invoice_no RESTART", "48212, false", '"changed","public.invoice_no","1","48212"'),
        ("DROP SEQUENCE invoice_no", "48211, true", '"removed","public.invoice_no","48212"'),
        (
            "ALTER SEQUENCE invoice_no RENAME TO old_no; CREATE SEQUENCE invoice_no",
            "48211, true",
            '"changed","public.invoice_no","1","48212"',
        ),
        (
            "ALTER TABLE bill ALTER id DROP IDENTITY, ALTER id ADD GENERATED ALWAYS AS IDENTITY",
            "5, true",
            '"changed","public.bill_id_seq","1","8"',
        ),
        ("ALTER SEQUENCE invoice_no RENAME TO new_no", "48211, true", ""),
        ("SELECT setval('invoice_no', 50000)", "48211, true", ""),
        ("DROP SEQUENCE invoice_no", "1, false", ""),
        ("ALTER TABLE bill DROP id", "5, true", None),
    ],
)
def test_a_sequence_that_loses_its_position_is_affected(
    scene: Scene, up: str, position: str, line: str | None
) -> None:
    """Empty: no sequence is affected; None: what its column loses is named, and it goes with that."""
    postgres(scene.url, f"{INVOICES} SELECT setval('invoice_no', {position}), setval('bill_id_seq', 7)")
    postgres(scene.url, "INSERT INTO bill (n) VALUES (1)")
    postgres(scene.url, "SELECT setval('bill_id_seq', 7)")
    revision(scene.folder, "r1", execute(*up.split("; ")))
    ran = scene.validate()
    affected = {one["file"]: one for one in scene.summary()["affected"]}
    assert ran.code == (0 if line == "" else 1), ran.out + ran.err
    if not line:
        assert [*affected] == ([] if line == "" else ["bill.csv"])
        return
    assert (scene.summary()["verdict"], [*affected]) == ("unreviewed", ["(sequences).csv"])
    assert (affected["(sequences).csv"]["table"], affected["(sequences).csv"]["key"]) == (
        "(sequences)", ["sequence"],
    )  # fmt: skip
    assert (scene.artifacts / "(sequences).csv").read_text().splitlines()[1:] == [line]
    assert scene.passed("r1") == ()
    options = ("--target", scene.url, "--alembic", str(scene.folder))
    if "RENAME" not in up:  # which gives no number again by itself
        refused = converge("migrations", "run", *options)
        assert (refused.code, "A009" in refused.err) == (3, True), refused.err
    accepted = scene.validate("--reference", str(scene.place / "ref"), "--accept")
    assert (accepted.code, scene.passed("r1")) == (0, ("up",)), accepted.err
    assert scene.validate("--reference", str(scene.place / "ref")).code == 0
    assert converge("migrations", "run", *options).code == 0


def test_a_trial_with_an_unused_sequence_shows_nothing(
    scene: Scene, new_postgres_database: NewDatabase, postgres_175: Server
) -> None:
    fresh = new_postgres_database(postgres_175)
    for url in (fresh, scene.url):
        postgres(url, INVOICES + (USERS if url == fresh else ""))
    postgres(scene.url, "SELECT setval('invoice_no', 48211)")
    revision(scene.folder, "r1", execute("DROP SEQUENCE invoice_no", "CREATE SEQUENCE invoice_no"))
    options = ("--alembic", str(scene.folder))
    artifacts = ("--artifacts", str(scene.artifacts))
    tried = converge("migrations", "validate", *options, *artifacts, "--target", fresh)
    assert (tried.code, scene.passed("r1")) == (0, ("up",)), tried.err
    refused = converge("migrations", "run", *options, "--target", scene.url)
    assert (refused.code, "validated where no row was at stake" in refused.err) == (3, True), refused.err
    assert "the sequence public.invoice_no was used" in refused.err
    assert scene.validate("--reference", str(scene.place / "ref"), "--accept").code == 0
    # Also where no table has rows any more.
    postgres(scene.url, "TRUNCATE users, identities, other, bill")
    assert converge("migrations", "run", *options, "--target", scene.url).code == 0


def test_the_schema_is_that_of_the_folder(
    postgres_175: Server, new_postgres_database: NewDatabase, tmp_path: Path
) -> None:
    """A downgrade that leaves it as it is would have restored an empty `public`."""
    url = new_postgres_database(postgres_175)
    postgres(url, "CREATE SCHEMA app; CREATE TABLE app.film (id int)")
    up = "ALTER TABLE app.film ADD COLUMN stars int"
    place = folder(tmp_path / "m", schema="app").location
    revision(place, "r1", up, "SELECT 1")
    options = ("--target", url, "--alembic", str(place), "--artifacts", str(tmp_path / "artifacts"))
    unnamed = converge("migrations", "validate", *options)
    assert (unnamed.code, "error[A050]" in unnamed.err, "--schema app" in unnamed.err) == (2, True, True)
    revision(place, "r1", up, "SELECT 1", more='converge = {"schema": "app"}')
    for schema in ((), ("--schema", "app")):
        ran = converge("migrations", "validate", *options, *schema, "--json")
        assert (ran.code, ran.json["schema"], ran.json["downgrade"]) == (1, "app", "differs"), ran.err


def test_an_empty_schema_shows_nothing_of_a_downgrade(
    postgres_175: Server, new_postgres_database: NewDatabase, tmp_path: Path
) -> None:
    """Alembic's version table is in `public` by default, wherever the models are."""

    def hinted(ran: Ran) -> list[str]:
        assert "error[A050]" in ran.err, ran.err
        return re.findall(r"hint +(.*)", ran.err)

    url = new_postgres_database(postgres_175)
    postgres(url, "CREATE SCHEMA app; CREATE TABLE app.film (id int); CREATE SCHEMA nothing")
    place = folder(tmp_path / "m").location
    revision(place, "r1", "ALTER TABLE app.film ADD CONSTRAINT c CHECK (id > 0)", "SELECT 1")
    options = ("--target", url, "--alembic", str(place), "--artifacts", str(tmp_path / "artifacts"))
    for schema in ((), ("--schema", "ap")):
        ran = converge("migrations", "validate", *options, *schema)
        assert (ran.code, hinted(ran)) == (2, ["--schema app"]), ran.err
    assert not (place / "validated").exists()
    named = converge("migrations", "validate", *options, "--schema", "app", "--json")
    assert (named.code, named.json["downgrade"]) == (1, "differs"), named.err

    # Where the server does not copy its files, the copy has no other schema.
    revision(place, "r1", "DROP TABLE IF EXISTS film", "SELECT 1")
    with psycopg.connect(url):
        streamed = converge("migrations", "validate", *options)
    assert (streamed.code, hinted(streamed)) == (2, ["--schema app"]), streamed.err

    # The schema of the version table is not proposed where it has no table besides.
    other = folder(tmp_path / "n", schema="nothing").location
    revision(other, "r1", "ALTER TABLE app.film ADD stars int", "SELECT 1")
    unnamed = converge("migrations", "validate", "--target", url, "--alembic", str(other))
    assert (unnamed.code, hinted(unnamed)) == (2, ["--schema app"]), unnamed.err


def test_a_downgrade_that_restores_the_catalog_alone_is_not_proven(scene: Scene) -> None:
    """1,000 values become NULL: that is said, and the gate does not let it pass."""
    lost = "UPDATE users SET name = NULL WHERE id <= 1000"
    back = execute("ALTER TABLE users ALTER name TYPE varchar(40)", lost)
    up = execute("ALTER TABLE users ALTER name TYPE varchar(50)")
    revision(scene.folder, "r1", up, back, more='converge = {"restores": "catalog"}')
    ran = scene.validate()
    assert (ran.code, scene.passed("r1")) == (0, ("up",)), ran.err
    assert "restores the catalog of schema public, but not rows of public.users" in ran.out
    assert "run it, but not revert it" in ran.out
    options = ("--target", scene.url, "--alembic", str(scene.folder))
    assert converge("migrations", "run", *options).code == 0
    refused = converge("migrations", "revert", *options)
    assert (refused.code, "A009" in refused.err) == (3, True), refused.err
    assert postgres(scene.url, "SELECT count(name) FROM users") == [(10_000,)]


LIMITED = """
CREATE TABLE parted (id int, at timestamp(0)) PARTITION BY RANGE (id);
CREATE TABLE part PARTITION OF parted (CONSTRAINT positive CHECK (id > 0)) FOR VALUES FROM (-9) TO (9);
INSERT INTO parted VALUES (1, '2024-01-01');
CREATE UNIQUE INDEX one_name ON other (b, a) WHERE a > 1;
CREATE TYPE mood AS ENUM ('calm');
CREATE TYPE address AS (street text);
CREATE DOMAIN amount AS int CONSTRAINT not_below CHECK (VALUE >= 0);
CREATE TABLE typed (id int CONSTRAINT of_user REFERENCES users ON DELETE CASCADE, moods mood[], home address,
                    paid amount, twice int GENERATED ALWAYS AS (id * 2) STORED);
INSERT INTO typed VALUES (1, '{calm}', NULL, 1);
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE ''no''; END';
CREATE TRIGGER refuse BEFORE INSERT ON typed FOR EACH ROW WHEN (NEW.id > 1) EXECUTE FUNCTION refuse();
CREATE TRIGGER refuse BEFORE INSERT ON parted FOR EACH ROW WHEN (NEW.id > 1) EXECUTE FUNCTION refuse();
CREATE FUNCTION small(int) RETURNS boolean IMMUTABLE LANGUAGE sql AS 'SELECT $1 < 9';
CREATE TABLE checked (id int CHECK (small(id)));
INSERT INTO checked VALUES (1);
CREATE FUNCTION in_domain(int) RETURNS boolean IMMUTABLE RETURN $1 < 9;
CREATE DOMAIN few AS int CHECK (in_domain(VALUE));
CREATE TABLE of_domain (id few);
CREATE FUNCTION in_index(int) RETURNS int IMMUTABLE RETURN $1 / 10;
CREATE TABLE of_index (id int);
CREATE UNIQUE INDEX ON of_index (in_index(id));
CREATE FUNCTION behind(int, int) RETURNS boolean IMMUTABLE RETURN $1 < $2;
CREATE OPERATOR <<< (LEFTARG = int, RIGHTARG = int, FUNCTION = behind);
CREATE FUNCTION further(int) RETURNS boolean IMMUTABLE RETURN $1 <<< 9;
CREATE TABLE of_operator (id int CHECK (further(id)));
CREATE FUNCTION large(int) RETURNS boolean IMMUTABLE RETURN $1 > 9;
CREATE TABLE of_when (id int);
CREATE TRIGGER refuse BEFORE INSERT ON of_when FOR EACH ROW WHEN (large(NEW.id)) EXECUTE FUNCTION refuse();
CREATE TABLE ruled (id int);
CREATE RULE small AS ON INSERT TO ruled WHERE NEW.id > 9 DO INSTEAD NOTHING;
INSERT INTO of_domain VALUES (1); INSERT INTO of_index VALUES (1); INSERT INTO of_operator VALUES (1);
INSERT INTO of_when VALUES (1); INSERT INTO ruled VALUES (1);
"""
STARS = "ALTER TABLE users ADD stars int", "ALTER TABLE users DROP stars", "UPDATE users SET stars = 5"
FINER = (
    "ALTER TABLE parted ALTER at TYPE timestamp(6)",
    "ALTER TABLE parted ALTER at TYPE timestamp(0)",
    "UPDATE parted SET at = '2024-01-01 00:00:00.7'",
)

UNNAMED = (
    "ALTER TABLE users ALTER email DROP NOT NULL",
    "DELETE FROM users WHERE email IS NULL; ALTER TABLE users ALTER email SET NOT NULL",
    "UPDATE users SET email = NULL WHERE id = 5",
)
ANY_ID = (
    "ALTER TABLE part DROP CONSTRAINT positive, ADD CONSTRAINT positive CHECK (id > -10)",
    "DELETE FROM part WHERE id < 0; ALTER TABLE part DROP CONSTRAINT positive, "
    "ADD CONSTRAINT positive CHECK (id > 0)",
    "UPDATE parted SET id = -1",
)
TWICE = (
    "DROP INDEX one_name",
    "DELETE FROM other a USING other b WHERE a.a > 1 AND a.b = b.b AND a.ctid > b.ctid; "
    "CREATE UNIQUE INDEX one_name ON other (b, a) WHERE a > 1",
    "INSERT INTO other VALUES (2, 'z'), (2, 'z')",
)
ORPHANS = (
    "ALTER TABLE typed DROP CONSTRAINT of_user",
    "DELETE FROM typed WHERE id NOT IN (SELECT id FROM users); "
    "ALTER TABLE typed ADD CONSTRAINT of_user FOREIGN KEY (id) REFERENCES users ON DELETE CASCADE",
    "INSERT INTO typed VALUES (-1)",
)
NEW_LABEL = (
    "ALTER TYPE mood ADD VALUE 'wild'",
    "UPDATE typed SET moods = '{calm}' WHERE 'wild' = ANY (moods); ALTER TYPE mood RENAME TO former; "
    "CREATE TYPE mood AS ENUM ('calm'); "
    "ALTER TABLE typed ALTER moods TYPE mood[] USING moods::text[]::mood[]; DROP TYPE former",
    "UPDATE typed SET moods = '{wild}'",
)
NEW_ATTRIBUTE = (
    "ALTER TYPE address ADD ATTRIBUTE zip text",
    "ALTER TYPE address DROP ATTRIBUTE zip",
    "UPDATE typed SET home = ROW('x', '1234')",
)
OF_DOMAIN = (
    "ALTER DOMAIN amount DROP CONSTRAINT not_below",
    "DELETE FROM typed WHERE paid < 0; ALTER DOMAIN amount ADD CONSTRAINT not_below CHECK (VALUE >= 0)",
    "UPDATE typed SET paid = -1",
)
WRITTEN = (
    "ALTER TABLE typed ALTER twice DROP EXPRESSION",
    "ALTER TABLE typed DROP twice, ADD twice int GENERATED ALWAYS AS (id * 2) STORED",
    "UPDATE typed SET twice = 7",
)
NO_TRIGGER = (
    "DROP TRIGGER refuse ON typed",
    "DELETE FROM typed WHERE id > 1; "
    "CREATE TRIGGER refuse BEFORE INSERT ON typed FOR EACH ROW WHEN (NEW.id > 1) EXECUTE FUNCTION refuse()",
    "INSERT INTO typed VALUES (2)",
)
OF_PARTED = (
    "DROP TRIGGER refuse ON parted",
    "DELETE FROM parted WHERE id > 1; "
    "CREATE TRIGGER refuse BEFORE INSERT ON parted FOR EACH ROW WHEN (NEW.id > 1) EXECUTE FUNCTION refuse()",
    "INSERT INTO parted VALUES (2)",
)
OF_FUNCTION = (
    "CREATE OR REPLACE FUNCTION small(int) RETURNS boolean IMMUTABLE LANGUAGE sql AS 'SELECT $1 < 99'",
    "DELETE FROM checked WHERE id > 9; "
    "CREATE OR REPLACE FUNCTION small(int) RETURNS boolean IMMUTABLE LANGUAGE sql AS 'SELECT $1 < 9'",
    "INSERT INTO checked VALUES (50)",
)


def _wider(table: str, head: str, was: str, body: str) -> tuple[str, str, str]:
    function = f"CREATE OR REPLACE FUNCTION {head} IMMUTABLE RETURN"
    back = f"DELETE FROM {table} WHERE id > 1; {function} {was}"
    return f"{function} {body}", back, f"INSERT INTO {table} VALUES (11), (12)"


FUNCTION_OF_DOMAIN = _wider("of_domain", "in_domain(int) RETURNS boolean", "$1 < 9", "$1 < 99")
FUNCTION_OF_INDEX = _wider("of_index", "in_index(int) RETURNS int", "$1 / 10", "$1")
FUNCTION_OF_OPERATOR = _wider("of_operator", "behind(int, int) RETURNS boolean", "$1 < $2", "$1 > -$2")
FUNCTION_OF_WHEN = _wider("of_when", "large(int) RETURNS boolean", "$1 > 9", "$1 > 99")
RULED = (
    "DROP RULE small ON ruled",
    "DELETE FROM ruled WHERE id > 9; "
    "CREATE RULE small AS ON INSERT TO ruled WHERE NEW.id > 9 DO INSTEAD NOTHING",
    "INSERT INTO ruled VALUES (11)",
)
DETACHED = (
    "ALTER TABLE parted DETACH PARTITION part",
    "DELETE FROM part WHERE id > 9; ALTER TABLE parted ATTACH PARTITION part FOR VALUES FROM (-9) TO (9)",
    "UPDATE part SET id = 10",
)
ROOM = {
    "a new column": STARS,
    "a wider type": FINER,
    "no NOT NULL": UNNAMED,
    "a wider CHECK": ANY_ID,
    "no unique index": TWICE,
    "no foreign key": ORPHANS,
    "an enum's new label": NEW_LABEL,
    "a new attribute": NEW_ATTRIBUTE,
    "no CHECK of a domain": OF_DOMAIN,
    "no expression": WRITTEN,
    "no trigger": NO_TRIGGER,
    "no trigger of partitions": OF_PARTED,
    "no function of a CHECK": OF_FUNCTION,
    "no function of a domain": FUNCTION_OF_DOMAIN,
    "no function of an index": FUNCTION_OF_INDEX,
    "no function of an operator": FUNCTION_OF_OPERATOR,
    "no function of a WHEN": FUNCTION_OF_WHEN,
    "no rule": RULED,
    "no partition": DETACHED,
}


@pytest.mark.parametrize(("up", "back", "meanwhile"), ROOM.values(), ids=ROOM)
def test_values_that_the_upgrade_has_made_room_for(scene: Scene, up: str, back: str, meanwhile: str) -> None:
    """No trial had them: the downgrade that restores all that was there takes those of a month."""
    postgres(scene.url, LIMITED)
    revision(scene.folder, "r1", execute(up), execute(back))
    options = ("--target", scene.url, "--alembic", str(scene.folder))
    ran = scene.validate()
    assert (ran.code, "run and revert it" in ran.out) == (0, False), ran.out
    assert "may later hold values that validation did not test" in ran.out
    assert converge("migrations", "run", *options).code == 0
    postgres(scene.url, meanwhile)
    refused = converge("migrations", "revert", *options)
    assert (refused.code, "error[A009]" in refused.err) == (3, True), refused.out + refused.err
    assert "may hold values that validation did not test" in refused.err
    assert "migrations validate" not in refused.err
    assert converge("migrations", "revert", *options, "--accept-data-loss", "r1").code == 0


def test_what_keeps_the_limits_of_rows_makes_no_room(scene: Scene) -> None:
    """New names, other actions of a key, more limits, and a limit that is made again."""
    postgres(scene.url, LIMITED + "; ALTER TABLE users ADD CONSTRAINT named CHECK (email <> '')")
    up = (
        "ALTER TABLE users RENAME email TO mail",
        "ALTER TABLE users RENAME TO people",
        "ALTER INDEX one_name RENAME TO name_once",
        "ALTER TABLE typed DROP CONSTRAINT of_user",
        "ALTER TABLE typed ADD CONSTRAINT to_user FOREIGN KEY (id) REFERENCES people NOT VALID",
        "ALTER TABLE part DROP CONSTRAINT positive",
        "ALTER TABLE part ADD CONSTRAINT above CHECK ( id  >  0 ), ALTER at SET NOT NULL",
        "CREATE OR REPLACE FUNCTION in_domain(int) RETURNS boolean IMMUTABLE RETURN ( $1  <  9 )",
        "DROP RULE small ON ruled",
        "CREATE RULE few AS ON  INSERT  TO ruled WHERE NEW.id  >  9 DO INSTEAD NOTHING",
    )
    revision(scene.folder, "r1", execute(*up))
    assert scene.validate().code == 0
    assert scene.summary()["untested_values"] == []


def test_trials_are_not_added_up(scene: Scene) -> None:
    revision(scene.folder, "r1", execute("DELETE FROM users WHERE EXISTS (SELECT FROM other)"))
    folder = Folder.open(str(scene.folder))
    both = {"public.users": 1, "public.other": 1}

    def covered(**rows: int) -> bool:
        tables = {f"public.{name}": count for name, count in rows.items()}
        record(folder, folder.revision("r1"), {"up": tables, "down": tables}, "postgresql://h/d", "17.5")
        found = validated(folder, folder.revision("r1"), "up")
        return found is not None and covers(found, "up", both)

    assert not covered(users=1, other=0)
    assert not covered(users=0, other=1)
    assert covered(users=1, other=1)
    assert covered(users=0, other=0)
    # One that has found room for other values shows nothing of that table, whatever an earlier one has said.
    for rows in (1, 0):
        trial = {"public.users": 1, "public.other": rows}
        down = {"public.users": 1}
        record(folder, folder.revision("r1"), {"up": trial, "down": down}, "postgresql://h/d", "17.5")
        found = validated(folder, folder.revision("r1"), "down")
        assert found is not None and found.tables == {"up": both, "down": down}
        record(folder, folder.revision("r1"), {"up": both, "down": both}, "postgresql://h/d", "17.5")
    # A later trial in which the downgrade has lost rows takes its proof away.
    record(folder, folder.revision("r1"), {"up": both}, "postgresql://h/d", "17.5")
    assert scene.passed("r1") == ("up",)


def test_the_first_pending_one_and_those_before(scene: Scene) -> None:
    revision(scene.folder, "r1", execute("ALTER TABLE users ADD n int"), execute("ALTER TABLE users DROP n"))
    revision(
        scene.folder,
        "r2",
        execute("UPDATE users SET n = 1 WHERE id = 5"),
        execute("UPDATE users SET n = NULL"),
        down="r1",
    )
    reference = ("--reference", str(scene.place / "ref"), "--accept")
    assert scene.validate(*reference).code == 0
    assert scene.summary()["revision"] == "r1"
    second = scene.validate("r2", "--reference", str(scene.place / "ref2"), "--accept")
    assert second.code == 0, second.err
    (users,) = scene.summary()["affected"]
    assert (users["changed"], users["columns"]) == (1, {"n": 1})


def test_a_copy_beside_other_clients(
    postgres_any: Server, new_postgres_database: NewDatabase, tmp_path: Path
) -> None:
    """Where somebody is connected the server does not copy its files."""
    scene = Scene(new_postgres_database(postgres_any), tmp_path)
    more = """
    CREATE TYPE mood AS ENUM ('ok', 'bad');
    CREATE TABLE odd (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
      twice int GENERATED ALWAYS AS (v * 2) STORED,
      v int CHECK (v > 0), m mood, "Up per" bytea, parent int REFERENCES odd);
    CREATE FUNCTION loud() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.v := 7; RETURN NEW; END $$;
    INSERT INTO odd (v, m, "Up per") VALUES (1, 'ok', '\\x00'), (2, 'bad', NULL), (3, NULL, '');
    UPDATE odd SET parent = 4 - id;
    CREATE TRIGGER louder BEFORE INSERT ON odd FOR EACH ROW EXECUTE FUNCTION loud();
    CREATE VIEW few AS SELECT id, v FROM odd GROUP BY id;
    CREATE MATERIALIZED VIEW kept AS SELECT count(*) AS n FROM odd;
    """
    with psycopg.connect(scene.url) as other:
        other.execute(more.encode())
        other.commit()
        before = scene.content()
        revision(
            scene.folder,
            "r1",
            execute("INSERT INTO odd (v) VALUES (10)", "UPDATE odd SET v = 5 WHERE id = 2"),
            execute("DELETE FROM odd WHERE id = 4", "UPDATE odd SET v = 2 WHERE id = 2"),
        )
        ran = scene.validate("--reference", str(tmp_path / "ref"), "--accept")
        assert ran.code == 0, ran.err + ran.out
    assert "streamed" in str(scene.summary()["copied"])
    assert (scene.artifacts / "odd.csv").read_text().splitlines() == [
        "(change),id,twice,v,m,Up per,parent,twice (before),v (before)",
        '"changed","2","10","5","bad",,"2","4","2"',
        '"added","4","14","7",,,,,',
    ]
    assert scene.content() == before


def test_a_revision_that_fails(scene: Scene) -> None:
    revision(scene.folder, "r1", execute("UPDATE users SET email = NULL"))
    before = scene.content()
    ran = scene.validate()
    assert ran.code == 5, ran.out
    assert "upgrade r1" in ran.err and "null value" in ran.err
    assert scene.passed("r1") == ()
    assert scene.content() == before


def test_a_converged_database_is_at_its_baseline(scene: Scene) -> None:
    options = ("--target", scene.url, "--alembic", str(scene.folder))
    made = converge("migrations", "generate", "-n", "baseline", *options, "--json")
    assert made.code == 0, made.err
    baseline = made.json["revision"]["id"]
    revision(scene.folder, "fill", execute(*FILL), execute(BACK), down=baseline)
    ran = scene.validate("--reference", str(scene.place / "ref"), "--accept")
    assert (ran.code, scene.summary()["revision"]) == (0, "fill"), ran.err
    # What was tried passes the gate now, and what was not does not.
    passed = converge("migrations", "run", *options)
    assert passed.code == 0, passed.err
    assert postgres(scene.url, "SELECT count(auth_id) FROM users") == [(10_000,)]
    revision(scene.folder, "wipe", execute("DELETE FROM users"), down="fill")
    refused = converge("migrations", "run", *options)
    assert (refused.code, "A009" in refused.err) == (3, True), refused.err
    assert converge("migrations", "revert", *options, "--accept-data-loss", "fill").code == 0
    assert postgres(scene.url, "SELECT count(*) FROM users") == [(10_000,)]


def test_a_trial_without_rows_shows_nothing(
    scene: Scene, new_postgres_database: NewDatabase, postgres_175: Server
) -> None:
    """What passed on an empty database of development may not touch the rows of production."""
    empty = new_postgres_database(postgres_175)
    postgres(empty, USERS)
    postgres(empty, "TRUNCATE users")
    revision(scene.folder, "wipe", execute("DELETE FROM users WHERE id > 5"))
    options = ("--alembic", str(scene.folder))
    tried = converge(
        "migrations", "validate", *options, "--target", empty, "--artifacts", str(scene.artifacts)
    )
    assert (tried.code, scene.passed("wipe")) == (0, ("up",)), tried.err
    refused = converge("migrations", "run", *options, "--target", scene.url)
    assert (refused.code, "validated where no row was at stake" in refused.err) == (3, True), refused.err
    assert converge("migrations", "run", *options, "--target", empty).code == 0


def test_a_streamed_copy_shows_nothing_of_other_schemas(scene: Scene) -> None:
    postgres(scene.url, "CREATE SCHEMA far; CREATE TABLE far.o AS SELECT 1 AS a")
    revision(scene.folder, "r1", "DROP TABLE IF EXISTS far.o")
    revision(
        scene.folder, "r2", "DO $$ BEGIN DELETE FROM far.o; EXCEPTION WHEN OTHERS THEN END $$", down="r1"
    )
    with psycopg.connect(scene.url):
        assert scene.validate("r1").code == 0
        assert scene.validate("r2").code == 0
    options = ("--target", scene.url, "--alembic", str(scene.folder))
    refused = converge("migrations", "run", *options)
    assert (refused.code, refused.err.count("validated where no row was at stake")) == (3, 2), refused.err
    assert postgres(scene.url, "SELECT count(*) FROM far.o") == [(1,)]
    # The server's own copy has it.
    accept = ("--reference", str(scene.place / "ref"), "--accept")
    assert scene.validate("r1", *accept).code == 0
    assert converge("migrations", "run", "r1", *options).code == 0


def test_types_that_are_replaced(scene: Scene) -> None:
    """What was kept of the rows holds on to no type of the user's."""
    postgres(scene.url, "CREATE TYPE mood AS ENUM ('x', 'y'); CREATE DOMAIN pos AS int")
    postgres(scene.url, "CREATE TYPE pair AS (a int, b text)")
    postgres(scene.url, "CREATE TABLE moody (id mood PRIMARY KEY, p pos, c pair)")
    postgres(scene.url, "INSERT INTO moody VALUES ('x', 5, (1, 'b')), ('y', 6, NULL)")
    revision(
        scene.folder,
        "r1",
        execute(
            "ALTER TYPE mood RENAME TO old_mood",
            "CREATE TYPE mood AS ENUM ('x', 'z', 'y')",
            "ALTER TABLE moody ALTER id TYPE mood USING id::text::mood",
            "DROP TYPE old_mood",
            "UPDATE moody SET p = p + 100",
            "ALTER DOMAIN pos ADD CHECK (value > 100)",
            "ALTER TABLE moody DROP c",
            "DROP TYPE pair",
        ),
    )
    ran = scene.validate("--reference", str(scene.place / "ref"), "--accept")
    assert ran.code == 0, ran.err
    assert (scene.artifacts / "moody.csv").read_text().splitlines() == [
        "(change),id,p,c,p (before),c (before)",
        '"changed","x","105",,"5","(1,b)"',
        '"changed","y","106",,"6",',
    ]


@pytest.mark.parametrize(
    "odd",
    [
        "CREATE TABLE p (id int) PARTITION BY RANGE (id);"
        "CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (9)",
        "CREATE TABLE p (id int); CREATE TABLE child () INHERITS (p)",
        "CREATE SCHEMA far; CREATE TYPE far.e AS ENUM ('a'); CREATE TABLE te (id int PRIMARY KEY, e far.e)",
    ],
)
def test_what_cannot_be_streamed(scene: Scene, odd: str) -> None:
    postgres(scene.url, odd)
    revision(scene.folder, "r1", "CREATE TABLE fresh (a int)", "DROP TABLE fresh")
    with psycopg.connect(scene.url):
        ran = scene.validate()
    assert (ran.code, "A056" in ran.err, "end the other sessions" in ran.err) == (5, True, True), ran.err
    assert scene.validate().code == 0


def test_rows_that_a_policy_hides(scene: Scene) -> None:
    postgres(scene.url, "DROP ROLE IF EXISTS hidden")
    postgres(scene.url, "CREATE ROLE hidden LOGIN CREATEDB")
    postgres(scene.url, f'ALTER DATABASE "{parse(scene.url).database}" OWNER TO hidden')
    for table in ("users", "identities", "other"):
        postgres(scene.url, f"ALTER TABLE {table} OWNER TO hidden")
    postgres(scene.url, "ALTER TABLE users ENABLE ROW LEVEL SECURITY")
    postgres(scene.url, "ALTER TABLE users FORCE ROW LEVEL SECURITY")
    postgres(scene.url, "CREATE POLICY few ON users USING (id = 1)")
    revision(scene.folder, "r1", "ALTER TABLE users DROP name")
    scene.url = scene.url.replace("postgres@", "hidden@")
    accept = ("--reference", str(scene.place / "ref"), "--accept")
    ran = scene.validate(*accept)
    assert (ran.code, "row-level security" in ran.err) == (5, True), ran.err
    with psycopg.connect(scene.url):
        ran = scene.validate(*accept)
    assert (ran.code, "row-level security" in ran.err) == (5, True), ran.err
    assert scene.passed("r1") == ()


@pytest.mark.parametrize("server", ["postgres_14", "postgres_175"])
def test_sequences_of_others_are_read_as_far_as_the_role_may(
    request: pytest.FixtureRequest, new_postgres_database: NewDatabase, tmp_path: Path, server: str
) -> None:
    """The role draws from some and reads none of them; what it may set, it has to be able to read."""
    scene = Scene(new_postgres_database(request.getfixturevalue(server)), tmp_path)
    own = "; ".join(f"ALTER TABLE {table} OWNER TO shop_app" for table in ("users", "identities", "other"))
    for statement in (
        "DROP ROLE IF EXISTS shop_app",
        "CREATE ROLE shop_app LOGIN CREATEDB",
        f'ALTER DATABASE "{parse(scene.url).database}" OWNER TO shop_app',
        f"{own}; CREATE SCHEMA billing; CREATE TABLE billing.bill (id serial, n int)",
        "INSERT INTO billing.bill (n) VALUES (1); CREATE SEQUENCE billing.no; SELECT nextval('billing.no')",
        "GRANT USAGE ON SCHEMA billing TO shop_app; GRANT SELECT ON ALL TABLES IN SCHEMA billing TO shop_app",
        "GRANT USAGE ON ALL SEQUENCES IN SCHEMA billing TO shop_app; CREATE SEQUENCE billing.hidden",
    ):
        postgres(scene.url, statement)
    revision(scene.folder, "r1", "DELETE FROM other")
    owner, scene.url = scene.url, scene.url.replace("postgres@", "shop_app@")
    options = ("--target", scene.url, "--alembic", str(scene.folder))
    refused = converge("migrations", "run", *options)
    assert (refused.code, "A009" in refused.err) == (3, True), refused.err
    ran = scene.validate("--reference", str(scene.place / "ref"), "--accept")
    assert (ran.code, scene.passed("r1")) == (0, ("up",)), ran.err
    (kept,) = json.loads(next(scene.folder.glob("validated/*.json")).read_text())["tables"].values()
    assert kept["the sequence billing.no"] == 1
    assert "the sequence billing.hidden" not in kept
    postgres(owner, "GRANT UPDATE ON SEQUENCE billing.hidden TO shop_app")
    ran = converge("migrations", "run", *options)
    assert (ran.code, "permission denied for sequence hidden" in ran.err) == (5, True), ran.err
    postgres(owner, "GRANT SELECT ON SEQUENCE billing.hidden TO shop_app")
    ran = converge("migrations", "run", *options)
    assert ran.code == 0, ran.err


def test_a_server_that_does_not_let_us(scene: Scene) -> None:
    """Such as by an event trigger: an error of the server, not of ours."""
    postgres(
        scene.url,
        "CREATE FUNCTION no() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no ddl'; END $$",
    )
    postgres(
        scene.url,
        "CREATE EVENT TRIGGER et ON ddl_command_start WHEN tag IN ('CREATE SCHEMA') EXECUTE FUNCTION no()",
    )
    revision(scene.folder, "r1", "CREATE TABLE fresh (a int)")
    ran = scene.validate()
    assert (ran.code, "no ddl" in ran.err) == (5, True), ran.err


def test_a_value_that_a_revision_cannot_convert(scene: Scene) -> None:
    revision(scene.folder, "r1", "ALTER TABLE users ALTER name TYPE int USING name::int")
    ran = scene.validate()
    assert ran.code == 5 and "upgrade r1" in ran.err and 'integer: "n"' in ran.err
    assert "the source" not in ran.err


def test_what_was_applied_cannot_be_tried(scene: Scene) -> None:
    revision(scene.folder, "r1", execute("CREATE TABLE t (a int)"), execute("DROP TABLE t"))
    options = ("--target", scene.url, "--alembic", str(scene.folder))
    assert converge("migrations", "run", *options).code == 0
    for arguments in (("r1",), ()):
        ran = scene.validate(*arguments)
        assert (ran.code, "A050" in ran.err) == (2, True), ran.err


def test_folders_of_others_are_left_alone(scene: Scene) -> None:
    revision(scene.folder, "r1", execute(*FILL), execute(BACK))
    scene.artifacts.mkdir()
    mine = scene.artifacts / "mine.csv"
    mine.write_text("a\n1\n")
    assert "A053" in scene.validate().err
    assert mine.read_text() == "a\n1\n"
    mine.unlink()
    (scene.place / "ref").mkdir()
    (scene.place / "ref" / "films.csv").write_text("a\n1\n")
    assert "A053" in scene.validate("--reference", str(scene.place / "ref"), "--accept").err
    # A second validation replaces what the first has written.
    assert scene.validate().code == 1
    assert sorted(path.name for path in scene.artifacts.iterdir()) == [
        "junit.xml",
        "report.html",
        "summary.json",
        "summary.md",
        "users.csv",
    ]
    assert (scene.artifacts / "users.csv").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("option", ["--artifacts", "--reference"])
def test_a_folder_that_cannot_be_made(scene: Scene, option: str) -> None:
    revision(scene.folder, "r1", execute(*FILL), execute(BACK))
    file = scene.place / "file"
    file.touch()
    ran = scene.validate(option, str(file / "under"), *(["--accept"] if option == "--reference" else []))
    assert (ran.code, "error[A015]" in ran.err, f"{option} DIR names" in ran.err) == (1, True, True), ran.err


def test_a_summary_of_others_is_left_alone(scene: Scene) -> None:
    revision(scene.folder, "r1", execute(*FILL), execute(BACK))
    scene.artifacts.mkdir()
    theirs = scene.artifacts / "summary.json"
    theirs.write_text("[1, 2]")
    assert "A053" in scene.validate().err
    assert theirs.read_text() == "[1, 2]"


@pytest.mark.parametrize("arguments", [("--accept",), ("--reference", "nowhere")])
def test_arguments_that_do_not_go_together(scene: Scene, arguments: tuple[str, ...]) -> None:
    ran = scene.validate(*arguments)
    assert (ran.code, "A055" in ran.err) == (2, True), ran.err


def test_a_role_that_makes_no_databases(scene: Scene) -> None:
    revision(scene.folder, "r1", execute(*FILL), execute(BACK))
    postgres(scene.url, "DROP ROLE IF EXISTS validator")
    postgres(scene.url, "CREATE ROLE validator LOGIN")
    url = scene.url.replace("postgres@", "validator@")
    ran = converge("migrations", "validate", "--target", url, "--alembic", str(scene.folder))
    assert ran.code == 5 and "T043" in ran.err and 'ALTER ROLE "validator" CREATEDB' in ran.err
    postgres(scene.url, "DROP ROLE validator")
    assert parse(url).user == "validator"


def test_every_code_is_documented() -> None:
    """Those of the gate and of the folder are in docs/migrations.md, by their own test."""
    folder = Path(__file__).parents[1]
    code = r"(A0[56]\d|T043)"
    files = (folder / "converge").rglob("*.py")
    used = {found for file in files for found in re.findall(rf"Code\.{code}", file.read_text("utf-8"))}
    assert used == set(re.findall(rf"^\| {code} ", (folder / "docs/validate.md").read_text(), re.MULTILINE))


def test_a_revision_cannot_leave_the_copy(scene: Scene) -> None:
    """A foreign table leads to the original itself: the copy has no user mapping, so nothing is written."""
    at = parse(scene.url)
    postgres(
        scene.url,
        "CREATE EXTENSION postgres_fdw; CREATE SERVER r FOREIGN DATA WRAPPER postgres_fdw "
        f"OPTIONS (host '127.0.0.1', port '{at.port}', dbname '{at.database}');"
        f"CREATE USER MAPPING FOR {at.user} SERVER r OPTIONS (user '{at.user}');"
        "CREATE FOREIGN TABLE away (id int) SERVER r OPTIONS (schema_name 'public', table_name 'users')",
    )
    revision(scene.folder, "r1", "DELETE FROM away WHERE id > 3")
    before = scene.content()
    ran = scene.validate()
    assert (ran.code, "user mapping not found" in ran.err) == (5, True), ran.err
    assert scene.content() == before
    postgres(scene.url, "CREATE FOREIGN DATA WRAPPER own; CREATE SERVER other FOREIGN DATA WRAPPER own")
    ran = scene.validate()
    assert (ran.code, "error[A057]" in ran.err, "other (own)" in ran.err) == (5, True, True), ran.err


@pytest.mark.parametrize("change", ["SELECT lo_unlink(lo) FROM doc", "SELECT lo_put(lo, 0, 'y') FROM doc"])
def test_large_objects_are_not_validated(scene: Scene, change: str) -> None:
    postgres(scene.url, "CREATE TABLE doc AS SELECT 1 AS id, lo_from_bytea(0, 'x') AS lo")
    revision(scene.folder, "r1", change)
    ran = scene.validate()
    assert (ran.code, "error[A058]" in ran.err) == (5, True), ran.err
    assert scene.passed("r1") == ()


@pytest.fixture
def ordinary(scene: Scene) -> Scene:
    """The scene's database, its tables and two large objects belong to a role that is not a superuser."""
    for statement in (
        "DROP ROLE IF EXISTS shop_app",
        "CREATE ROLE shop_app LOGIN CREATEDB",
        f'ALTER DATABASE "{parse(scene.url).database}" OWNER TO shop_app',
        "ALTER SCHEMA public OWNER TO shop_app",
        *(f"ALTER TABLE {table} OWNER TO shop_app" for table in ("users", "identities", "other")),
    ):
        postgres(scene.url, statement)
    scene.url = scene.url.replace("postgres@", "shop_app@")
    postgres(scene.url, "CREATE TABLE doc AS SELECT 1 AS id, lo_from_bytea(0, 'x') AS lo, lo_create(0)")
    return scene


@pytest.mark.parametrize("connected", [False, True])
@pytest.mark.parametrize(
    "change",
    [
        "SELECT lo_put(lo, 0, 'y') FROM doc",
        "SELECT lo_unlink(lo), lo_from_bytea(lo, 'y') FROM doc",
        LARGE_GONE,
    ],
)
def test_an_ordinary_roles_large_objects(ordinary: Scene, change: str, connected: bool) -> None:
    revision(ordinary.folder, "r1", change)
    with psycopg.connect(ordinary.url) if connected else nullcontext():
        ran = ordinary.validate()
    assert (ran.code, "error[A058]" in ran.err) == (5, True), ran.err
    assert ordinary.passed("r1") == ()


def test_a_streamed_copy_has_the_large_objects(ordinary: Scene) -> None:
    long = "lo_from_bytea(0, convert_to(repeat('abc', 1000000), 'UTF8'))"
    postgres(ordinary.url, f"INSERT INTO doc SELECT 2, {long}")
    revision(ordinary.folder, "r1", "CREATE TABLE texts AS SELECT id, md5(lo_get(lo)) AS text FROM doc")
    with psycopg.connect(ordinary.url):
        ran = ordinary.validate("--reference", str(ordinary.place / "ref"), "--accept")
    assert ran.code == 0, ran.err
    found = list(csv.DictReader((ordinary.artifacts / "texts.csv").read_text().splitlines()))
    assert {row["text"] for row in found} == {
        text for (text,) in postgres(ordinary.url, "SELECT md5(lo_get(lo)) FROM doc")
    }


def test_large_objects_that_the_role_may_not_read(ordinary: Scene) -> None:
    root = ordinary.url.replace("shop_app@", "postgres@")
    postgres(root, "SELECT lo_from_bytea(0, 'of others')")
    revision(ordinary.folder, "r1", "CREATE TABLE fresh (a int)")
    ran = ordinary.validate()
    assert (ran.code, "error[A058]" in ran.err) == (5, True), ran.err
    assert "permission denied for large object" in ran.err


def test_a_downgrade_that_changes_large_objects_is_not_proven(scene: Scene) -> None:
    postgres(scene.url, "CREATE TABLE doc AS SELECT 1 AS id, lo_from_bytea(0, 'x') AS lo")
    revision(scene.folder, "r1", "CREATE TABLE fresh (a int)", execute("DROP TABLE fresh", LARGE_GONE))
    ran = scene.validate()
    assert (ran.code, scene.summary()["not_restored"]) == (1, ["large objects"]), ran.err
    assert scene.passed("r1") == ()


def test_a_trial_without_large_objects_shows_nothing(
    scene: Scene, new_postgres_database: NewDatabase, postgres_175: Server
) -> None:
    empty = new_postgres_database(postgres_175)
    revision(scene.folder, "r1", LARGE_GONE)
    options = ("--alembic", str(scene.folder), "--target", empty)
    tried = converge("migrations", "validate", *options, "--artifacts", str(scene.artifacts))
    assert (tried.code, scene.passed("r1")) == (0, ("up",)), tried.err
    postgres(empty, "SELECT lo_from_bytea(0, 'x')")
    refused = converge("migrations", "run", *options)
    assert (refused.code, "pg_largeobject_metadata has 1 row" in refused.err) == (3, True), refused.err
    postgres(empty, LARGE_GONE)
    assert converge("migrations", "run", *options).code == 0


AUDITED = """
INSERT INTO converge.audit (attempt, backfill, target_table, target_column, row_key, resolution_status)
VALUES (gen_random_uuid(), 'b', 'users', 'name', '1', 'success')
"""


@pytest.fixture
def ledger(scene: Scene) -> Scene:
    """The scene's database has a ledger, and no other rows."""
    text = (Path(__file__).parents[1] / "migrations/ledger.sql").read_text()
    postgres(scene.url, f"CREATE SCHEMA converge; {text}; TRUNCATE users, identities, other")
    postgres(scene.url, AUDITED)
    return scene


@pytest.mark.parametrize(
    "change",
    [
        "op.execute('DELETE FROM converge.audit')",
        "op.drop_table('audit', schema='converge')",
        "DO $$ BEGIN DELETE FROM converge.audit; EXCEPTION WHEN OTHERS THEN END $$",
    ],
)
def test_the_ledger_is_at_stake_where_a_revision_names_it(ledger: Scene, change: str) -> None:
    revision(ledger.folder, "r1", "UPDATE users SET name = 'x'")
    revision(ledger.folder, "r2", change, down="r1")
    options = ("--target", ledger.url, "--alembic", str(ledger.folder))
    # What does not name it loses nothing of it.
    assert converge("migrations", "run", "r1", *options).code == 0
    ran = ledger.validate()
    assert (ran.code, "unreviewed" in ran.out) == (1, True), ran.err
    (affected,) = ledger.summary()["affected"]
    assert (affected["removed"], affected["was"]) == (1, "converge.audit")
    refused = converge("migrations", "run", *options)
    assert (refused.code, "converge.audit has 1 row" in refused.err) == (3, True), refused.err
    if change.startswith("DO"):
        with psycopg.connect(ledger.url):
            assert ledger.validate().code == 0
        refused = converge("migrations", "run", *options)
        assert (refused.code, "validated where no row was at stake" in refused.err) == (3, True), refused.err
    assert ledger.validate("--reference", str(ledger.place / "ref"), "--accept").code == 0
    assert converge("migrations", "run", *options).code == 0


def test_a_revision_that_drops_the_ledger(ledger: Scene) -> None:
    made = json.dumps(asdict(Made({}, {}, READER)))
    run = "('s', 'public', 'd', 'finished')"
    postgres(ledger.url, f"INSERT INTO converge.run (source, target_schema, plan_digest, state) VALUES {run}")
    postgres(
        ledger.url,
        f"INSERT INTO converge.plan (run_id, options, plan, made) VALUES (1, '{{}}', '{{}}', '{made}')",
    )
    revision(ledger.folder, "r1", "DROP SCHEMA converge CASCADE")
    options = ("--target", ledger.url, "--alembic", str(ledger.folder))
    ran = ledger.validate()
    assert (ran.code, "unreviewed" in ran.out) == (1, True), ran.err
    assert converge("migrations", "run", *options).code == 3
    ran = converge("migrations", "run", *options, "--accept-data-loss", "r1")
    assert ran.code == 0, ran.err


def test_rows_of_users_in_an_extensions_table(scene: Scene) -> None:
    """pg_dump dumps what the table's condition selects; the extension brings the rest."""
    postgres(
        scene.url,
        "TRUNCATE users, identities, other; CREATE EXTENSION citext;"
        "CREATE TABLE jobs (id int PRIMARY KEY, own bool);"
        "INSERT INTO jobs VALUES (1, false); ALTER EXTENSION citext ADD TABLE jobs;"
        "UPDATE pg_extension SET extconfig = ARRAY['jobs'::regclass::oid], extcondition = '{WHERE own}'"
        " WHERE extname = 'citext'",
    )
    revision(scene.folder, "r1", "DELETE FROM jobs")
    revision(scene.folder, "r2", "DELETE FROM jobs WHERE id > 1", down="r1")
    options = ("--target", scene.url, "--alembic", str(scene.folder))
    assert scene.validate().code == 0
    assert converge("migrations", "run", "r1", *options).code == 0
    postgres(scene.url, "INSERT INTO jobs VALUES (1, false), (2, true), (3, true)")
    with psycopg.connect(scene.url):
        ran = scene.validate()
    assert (ran.code, 'relation "jobs" does not exist' in ran.err) == (5, True), ran.err
    refused = converge("migrations", "run", *options)
    assert (refused.code, "public.jobs has 2 rows" in refused.err) == (3, True), refused.err
    ran = scene.validate("--reference", str(scene.place / "ref"), "--accept")
    assert ran.code == 0, ran.err
    assert (scene.artifacts / "jobs.csv").read_text().splitlines() == [
        "(change),id,own", '"removed","2","true"', '"removed","3","true"',
    ]  # fmt: skip
    assert converge("migrations", "run", *options).code == 0


def test_a_streamed_copy_has_the_users_rows_of_an_extensions_table(
    new_postgres_database: NewDatabase, postgres_15: Server, tmp_path: Path
) -> None:
    scene = Scene(new_postgres_database(postgres_15), tmp_path)
    if not postgres(scene.url, "SELECT name FROM pg_available_extensions WHERE name = 'postgis'"):
        pytest.skip("this PostgreSQL 15 has no PostGIS: apt-get install postgresql-15-postgis-3")
    postgres(scene.url, "CREATE EXTENSION postgis; INSERT INTO spatial_ref_sys (srid) VALUES (998000)")
    postgres(scene.url, "CREATE TABLE place (at geometry)")
    revision(scene.folder, "r1", "DELETE FROM spatial_ref_sys WHERE srid > 990000")
    with psycopg.connect(scene.url):
        ran = scene.validate()
    assert (ran.code, "unreviewed" in ran.out) == (1, True), ran.err
    (affected,) = scene.summary()["affected"]
    assert (affected["table"], affected["removed"]) == ("public.spatial_ref_sys", 1)


CRON = (
    "CREATE EXTENSION citext; CREATE SCHEMA cron; CREATE TABLE cron.job (id int);"
    "INSERT INTO cron.job VALUES (1); ALTER EXTENSION citext ADD TABLE cron.job;"
    "UPDATE pg_extension SET extconfig = ARRAY['cron.job'::regclass::oid], extcondition = '{\"\"}'"
    " WHERE extname = 'citext'"
)


@pytest.mark.parametrize("gone", ["DELETE FROM job", "DROP SCHEMA cron CASCADE", "DROP EXTENSION citext"])
def test_an_extensions_rows_are_at_stake_where_a_revision_names_them(scene: Scene, gone: str) -> None:
    """A streamed copy has no table of another schema, and so none that a record of it could name."""
    postgres(scene.url, CRON)
    revision(scene.folder, "r1", "UPDATE users SET name = 'x' WHERE id = 1")
    revision(scene.folder, "r2", gone, down="r1")
    options = ("--target", scene.url, "--alembic", str(scene.folder))
    with psycopg.connect(scene.url):
        ran = scene.validate("--reference", str(scene.place / "ref"), "--accept")
    assert ran.code == 0, ran.err
    ran = converge("migrations", "run", "r1", *options)
    assert ran.code == 0, ran.err
    postgres(scene.url, "TRUNCATE users, identities, other")
    refused = converge("migrations", "run", *options)
    assert (refused.code, "cron.job has 1 row" in refused.err) == (3, True), refused.err


def test_rows_of_an_extension_that_a_policy_hides(scene: Scene) -> None:
    postgres(
        scene.url,
        CRON + "; ALTER TABLE cron.job ENABLE ROW LEVEL SECURITY;"
        "DROP ROLE IF EXISTS hidden; CREATE ROLE hidden LOGIN CREATEDB; GRANT USAGE ON SCHEMA cron TO hidden;"
        "GRANT SELECT, DELETE ON cron.job TO hidden; ALTER TABLE users OWNER TO hidden;"
        "ALTER TABLE identities OWNER TO hidden; ALTER TABLE other OWNER TO hidden",
    )
    postgres(scene.url, f'ALTER DATABASE "{parse(scene.url).database}" OWNER TO hidden')
    revision(scene.folder, "r1", "UPDATE users SET name = 'x' WHERE id = 1")
    scene.url = scene.url.replace("postgres@", "hidden@")
    options = ("--target", scene.url, "--alembic", str(scene.folder))
    refused = converge("migrations", "run", *options)
    assert (refused.code, "public.users has 10,000 rows" in refused.err) == (3, True), refused.err
    ran = scene.validate("--reference", str(scene.place / "ref"), "--accept")
    assert ran.code == 0, ran.err
    ran = converge("migrations", "run", *options)
    assert ran.code == 0, ran.err
