"""`migrate --alembic`: the target ends at a revision, and is what its revisions make."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import NewDatabase
from revisions import execute, folder, revision
from support import Ran, converge, mysql, postgres

from converge import api
from converge.errors import Interrupted
from converge.model.event import Event, PhaseStarted
from converge.revisions.folder import Folder
from converge.sandbox import Server

SOURCE = """
CREATE TABLE parent (
  id INT PRIMARY KEY AUTO_INCREMENT, name VARCHAR(9) COMMENT 'its name', KEY by_name (name)
);
CREATE TABLE child (id INT PRIMARY KEY, parent INT, FOREIGN KEY (parent) REFERENCES parent (id));
INSERT INTO parent VALUES (1, 'a'), (2, 'b');
INSERT INTO child VALUES (1, 1), (2, 2);
"""


class Scene:
    def __init__(self, source: str, target: str, place: Path) -> None:
        self.source, self.target = source, target
        self.folder = folder(place / "migrations").location
        mysql(source, SOURCE)

    def migrate(self, *options: str) -> Ran:
        return converge("migrate", *self.where, *self.alembic, *options)

    def generate(self) -> str:
        """A baseline of the target; its revision."""
        assert converge("migrate", *self.where).code == 0
        made = converge(
            "migrations", "generate", "-n", "baseline", "--target", self.target, *self.alembic, "--json"
        )
        assert made.code == 0, made.err
        revision: str = made.json["revision"]["id"]
        return revision

    @property
    def where(self) -> tuple[str, ...]:
        return ("--source", self.source, "--target", self.target)

    @property
    def alembic(self) -> tuple[str, ...]:
        return ("--alembic", str(self.folder))


@pytest.fixture
def scene(databases: tuple[str, str], tmp_path: Path) -> Scene:
    return Scene(*databases, tmp_path)


def found(ran: Ran) -> dict[str, dict[str, Any]]:
    return {one["code"]: one for one in ran.json["findings"]}


def test_a_new_target_is_stamped_and_brought_to_the_newest(scene: Scene) -> None:
    baseline = scene.generate()
    back = execute("ALTER TABLE parent DROP note")
    revision(scene.folder, "more", execute("ALTER TABLE parent ADD note text"), back, down=baseline)
    ran = scene.migrate("--recreate", "--yes", "--json")
    assert ran.code == 0, ran.err
    assert baseline in found(ran)["A061"]["message"]
    assert found(ran)["A062"]["message"] == "ran more"
    assert "revisions" in [phase["name"] for phase in ran.json["phases"]]
    assert postgres(scene.target, "SELECT version_num FROM alembic_version") == [("more",)]
    assert postgres(scene.target, "SELECT name, note FROM parent ORDER BY id") == [("a", None), ("b", None)]
    # What a revision changes is meant, here and later; what others change is not.
    back = execute("DROP INDEX by_note")
    revision(scene.folder, "index", execute("CREATE INDEX by_note ON parent (note)"), back, down="more")
    assert converge("verify", *scene.where).code == 0
    ran_later = converge("migrations", "run", "--target", scene.target, *scene.alembic)
    assert ran_later.code == 0, ran_later.err
    assert converge("verify", *scene.where).code == 0
    postgres(scene.target, "DROP INDEX by_note")
    differs = converge("verify", *scene.where, "--json")
    assert [one["object"] for one in differs.json["findings"] if one["code"] == "V111"] == [
        "index public.by_note"
    ]
    # The ledger's report says it, too.
    written = scene.folder / "report.md"
    assert converge("report", "--target", scene.target, "-o", str(written)).code == 0
    assert "ran more" in written.read_text()


def test_revisions_are_recorded_in_every_run_whose_tables_they_change(
    scene: Scene, mysql_8033: Server, new_mysql_database: NewDatabase
) -> None:
    """Two runs of one source, and one of another, have made the tables of the schema."""
    mysql(scene.source, "CREATE TABLE lone (id INT PRIMARY KEY); INSERT INTO lone VALUES (1)")
    other = new_mysql_database(mysql_8033)
    mysql(other, "CREATE TABLE far (id INT PRIMARY KEY); INSERT INTO far VALUES (1)")
    runs = (
        ("--exclude", "lone"), ("--include", "lone"), ("--source", other),
        ("--include", "lone", "--recreate"),
    )  # fmt: skip
    for more in runs:
        ran = converge("migrate", *scene.where, *more, "--yes")
        assert ran.code == 0, ran.err
    # As `recover` leaves a run.
    postgres(scene.target, "UPDATE converge.run SET state = 'recovered' WHERE id = 4")
    statements = (
        "ALTER TABLE parent ADD note text, ADD number serial",
        "CREATE UNIQUE INDEX by_number ON parent (number)",
        "CREATE UNIQUE INDEX by_lone ON lone (id)",
        "ALTER TABLE far ADD CONSTRAINT known CHECK (id > 0)",
        "CREATE TABLE extra (id int PRIMARY KEY)",
    )
    revision(scene.folder, "more", execute(*statements))
    ran = converge("migrations", "run", "--target", scene.target, *scene.alembic)
    assert ran.code == 0, ran.err

    def changed(run: int) -> list[str]:
        source = other if run == 3 else scene.source
        ran = converge("verify", "--source", source, "--target", scene.target, "--run", str(run), "--json")
        return [one["object"] for one in ran.json["findings"] if one["code"] == "V111"]

    assert [changed(run) for run in (1, 2, 3)] == [[], [], []]
    # Each has what is on its tables, and the last of them what is on none.
    postgres(scene.target, "DROP INDEX by_number, by_lone")
    postgres(scene.target, "ALTER TABLE far DROP CONSTRAINT known")
    postgres(scene.target, "DROP TABLE extra")
    assert [changed(run) for run in (1, 2, 3)] == [
        ["index public.by_number"], ["index public.by_lone"],
        ["constraint known on public.far", "table public.extra"],
    ]  # fmt: skip


def test_revisions_of_keys_are_recorded_whether_or_not_the_keys_are_valid(
    scene: Scene, tmp_path: Path
) -> None:
    """A key that a map leaves NOT VALID was validated by hand; one that was valid is not since an epoch."""
    map_ = tmp_path / "map.toml"
    map_.write_text('[[foreign_key]]\nmatch = { foreign_key = "child_ibfk_1" }\nvalidate = false\n', "utf-8")
    mysql(
        scene.source,
        "CREATE TABLE other (id INT PRIMARY KEY, CONSTRAINT valid FOREIGN KEY (id) REFERENCES parent (id))",
    )
    ran = converge("migrate", *scene.where, "--map", str(map_))
    assert ran.code == 0, ran.err
    mysql(scene.source, "INSERT INTO parent VALUES (3, 'c'); INSERT INTO other VALUES (3)")
    ran = converge("follow", "--once", *scene.where)
    assert ran.code == 0, ran.err
    key = "FOREIGN KEY (parent) REFERENCES parent ON DELETE CASCADE"
    statements = (
        f"ALTER TABLE child DROP CONSTRAINT child_ibfk_1, ADD CONSTRAINT child_ibfk_1 {key}",
        "COMMENT ON CONSTRAINT valid ON other IS 'changed'",
    )
    names = "'child_ibfk_1', 'valid'"
    valid = f"SELECT conname, convalidated FROM pg_constraint WHERE conname IN ({names}) ORDER BY 1"
    assert postgres(scene.target, valid) == [("child_ibfk_1", False), ("valid", False)]
    postgres(scene.target, "ALTER TABLE child VALIDATE CONSTRAINT child_ibfk_1")
    revision(scene.folder, "keys", execute(*statements))
    ran = converge("migrations", "run", "--target", scene.target, *scene.alembic)
    assert ran.code == 0, ran.err
    ran = converge("verify", *scene.where, "--json")
    assert [one["severity"] for one in ran.json["findings"] if one["code"] == "V111"] == ["note"], ran.out
    ran = converge("cutover", *scene.where, "--stop", "true")
    assert ran.code == 0, ran.err
    assert postgres(scene.target, valid) == [("child_ibfk_1", True), ("valid", True)]
    ran = converge("verify", *scene.where, "--json")
    assert [one for one in ran.json["findings"] if one["code"] == "V111"] == [], ran.out


def test_an_untested_revision_is_refused_and_the_rows_stay(scene: Scene) -> None:
    baseline = scene.generate()
    revision(scene.folder, "wipe", execute("DELETE FROM child"), "pass", down=baseline)
    ran = scene.migrate("--recreate", "--yes", "--json")
    assert ran.code == 1, ran.err
    assert ran.json["verdict"] == "failed"
    refused = found(ran)["A009"]
    assert "wipe" in refused["message"] and "migrations validate --target " in refused["hint"]
    assert postgres(scene.target, "SELECT count(*) FROM child") == [(2,)]
    assert postgres(scene.target, "SELECT version_num FROM alembic_version") == [(baseline,)]


def test_drift_is_told_by_object(scene: Scene) -> None:
    """A schema that has moved on since its baseline: every kind of object counts."""
    scene.generate()
    mysql(scene.source, "ALTER TABLE parent ADD born DATE, DROP KEY by_name, MODIFY name VARCHAR(20)")
    ran = scene.migrate("--recreate", "--yes", "--json")
    assert (ran.code, ran.json["verdict"]) == (1, "differs"), ran.err
    told = {one["object"]: one["message"] for one in ran.json["findings"] if one["code"] == "A063"}
    assert told["column public.parent.born"].partition("{")[0].endswith("in the nearest one this is new: ")
    assert "this is gone: CREATE INDEX by_name" in told["index public.by_name"]
    assert "character varying(20)" in told["column public.parent.name"]
    written = scene.folder / "report.md"
    assert converge("report", "--target", scene.target, "-o", str(written)).code == 0
    assert "3 objects of the schema not as the revisions make it" in written.read_text()
    # Nothing is noted in a database that is at no revision.
    assert postgres(scene.target, "SELECT to_regclass('public.alembic_version')") == [(None,)]


def test_no_revision_runs_on_rows_that_differ(scene: Scene, tmp_path: Path) -> None:
    baseline = scene.generate()
    revision(scene.folder, "more", execute("CREATE TABLE t (a int)"), execute("DROP TABLE t"), down=baseline)
    check = tmp_path / "check.toml"
    check.write_text('[[check]]\nname = "never"\ntarget = "SELECT 2"\nequals = 1\n')
    ran = scene.migrate("--recreate", "--yes", "--map", str(check), "--json")
    assert (ran.code, "A064" in found(ran)) == (1, True), ran.err
    assert postgres(
        scene.target, "SELECT to_regclass('public.t'), to_regclass('public.alembic_version')"
    ) == [(None, None)]


def test_drift_of_a_target_that_is_at_a_revision(scene: Scene) -> None:
    baseline = scene.generate()
    revision(scene.folder, "more", execute("CREATE TABLE t (a int)"), execute("DROP TABLE t"), down=baseline)
    assert converge("migrations", "run", "--target", scene.target, *scene.alembic).code == 0
    assert converge("migrations", "check", "--target", scene.target, *scene.alembic).code == 0
    for change in (
        "ALTER TABLE t ADD CHECK (a > 0)",
        "COMMENT ON TABLE t IS 'x'",
        "CREATE VIEW v AS SELECT 1 AS a",
    ):
        postgres(scene.target, change)
    ran = converge("migrations", "check", "--target", scene.target, *scene.alembic, "--json")
    assert ran.code == 1, ran.err
    assert {one["object"] for one in ran.json["differs"]} == {
        "constraint t_a_check on public.t",
        "table public.t",
        "view public.v",
    }
    text = converge("migrations", "check", "--target", scene.target, *scene.alembic)
    assert "view public.v" in text.out and "is new: SELECT 1 AS a" in " ".join(text.out.split())


@pytest.mark.parametrize("revisions", [False, True])
def test_what_would_fail_afterwards_is_said_before(scene: Scene, revisions: bool) -> None:
    """No revision, or no right to make the temporary database."""
    target = scene.target
    if revisions:
        scene.generate()
        postgres(target, "DROP ROLE IF EXISTS settler")
        postgres(target, "CREATE ROLE settler LOGIN")
        scene.target = target.replace("postgres@", "settler@")
    ran = scene.migrate()
    code = "T043" if revisions else "A060"
    assert (ran.code, code in ran.err) == (5 if revisions else 2, True), ran.err
    if not revisions:
        assert postgres(target, "SELECT to_regclass('public.parent')") == [(None,)]


def test_several_databases_have_their_own(scene: Scene, mysql_8033: Server, tmp_path: Path) -> None:
    baseline = scene.generate()
    (tmp_path / "converge.toml").write_text(
        f'[[database]]\nname = "one"\nsource = "{scene.source}"\ntarget = "{scene.target}"\n'
        'alembic = "migrations"\n'
    )
    ran = converge("migrate", "--config", str(tmp_path / "converge.toml"), "--recreate", "--yes")
    assert ran.code == 0, ran.err
    assert postgres(scene.target, "SELECT version_num FROM alembic_version") == [(baseline,)]


@pytest.mark.parametrize("several", [False, True])
def test_a_run_that_was_stopped_before_its_revisions_goes_on_with_them(
    scene: Scene, tmp_path: Path, several: bool
) -> None:
    """The rows are there and proven: neither the run nor its report may pass for all of it."""
    baseline = scene.generate()
    back = execute("ALTER TABLE parent DROP note")
    revision(scene.folder, "more", execute("ALTER TABLE parent ADD note text"), back, down=baseline)

    def stop(event: Event) -> None:
        if isinstance(event, PhaseStarted) and event.name == "revisions":
            raise KeyboardInterrupt

    options = api.MigrateOptions(api.Options(recreate=True), alembic=Folder.open(str(scene.folder)))
    with pytest.raises(Interrupted) as stopped:
        api.migrate(scene.source, scene.target, options, on_event=stop)
    assert stopped.value.hint == "converge migrate --resume"
    assert converge("report", "--target", scene.target, "-o", str(tmp_path / "run.md")).code == 0
    assert "A064" in (tmp_path / "run.md").read_text()
    # What is migrated does not depend on what becomes of the source now.
    mysql(scene.source, "ALTER TABLE child ADD more INT")
    (tmp_path / "converge.toml").write_text(
        f'[[database]]\nname = "one"\nsource = "{scene.source}"\ntarget = "{scene.target}"\n'
        'alembic = "migrations"\n'
    )

    def resume() -> Ran:
        if several:
            ran = converge("migrate", "--config", str(tmp_path / "converge.toml"), "--resume", "--json")
            return replace(ran, out=json.dumps(ran.json["databases"][0]))
        return scene.migrate("--resume", "--json")

    ran = resume()
    assert (ran.code, ran.json["verdict"]) == (0, "verified"), ran.err
    assert found(ran)["A062"]["message"] == "ran more" and "A064" not in found(ran)
    assert [table["rows_written"] for table in ran.json["tables"]] == [2, 2]
    assert postgres(scene.target, "SELECT version_num FROM alembic_version") == [("more",)]
    # Then it is finished.
    mysql(scene.source, "ALTER TABLE child DROP more")
    again = resume()
    assert (again.code, "T010" in again.err) == ((0, False) if several else (2, True)), again.err


def test_a_hint_keeps_the_revisions(scene: Scene) -> None:
    """A run that is resumed without them would leave them out."""
    ran = scene.migrate("--resume", "--recreate")
    assert f"converge migrate --recreate --alembic {scene.folder} --source {scene.source}" in ran.err, ran.err


def test_tables_of_an_application(scene: Scene) -> None:
    """Load mode: the baseline is of the application's own tables, and the source has no say in them."""
    for statement in (
        "CREATE TABLE parent (id bigint PRIMARY KEY, name text NOT NULL)",
        "CREATE TABLE child (id int PRIMARY KEY, parent bigint CONSTRAINT theirs REFERENCES parent)",
    ):
        postgres(scene.target, statement)
    made = converge(
        "migrations", "generate", "-n", "theirs", "--target", scene.target, *scene.alembic, "--json"
    )
    assert made.code == 0, made.err
    ran = scene.migrate("--mode", "load", "--json")
    assert ran.code == 0, ran.err
    assert made.json["revision"]["id"] in found(ran)["A061"]["message"]
    later = converge("migrations", "generate", "-n", "later", *scene.where, *scene.alembic)
    assert (later.code, "A017" in later.err) == (3, True), later.err
    named = converge(
        "migrations", "generate", "-n", "later", *scene.where, *scene.alembic, "--from", "source"
    )
    assert named.code == 0, named.err
