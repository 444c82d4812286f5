"""The shipped maps of applications: each loads an application's own schema, and makes one that it can use.

A case has the functions that make the application's schemas (`SCHEMAS`), and a file of `applications/`:

    tables    how many tables a load fills
    rows      MySQL's statements that insert rows, at least one of each kind of value that the map treats
    map       a project's own map, which extends the shipped one
    reads     queries of the target, and the rows that they give after both modes
    broken    for each check of the map a statement after which it fails in the target
"""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psycopg
import pytest
from artifacts import debian_package, file, python_packages
from conftest import NewDatabase
from support import ENVIRONMENT, Ran, converge, load_dump, mysql, postgres
from test_load import found, load, shape, written

from converge.postgres.script import run_script
from converge.resources import folder
from converge.sandbox import Server
from converge.sandbox.dump_text import Joined, decompressed

APPLICATIONS = Path(__file__).parent / "applications"


@dataclass(frozen=True)
class Schemas:
    """What makes the application's own tables in an empty database of each server."""

    source: Callable[[str], None]
    target: Callable[[str], None]
    use: Callable[[str, str], None] = lambda source, target: None
    """Lets the application itself look at both, and work with the target."""
    creates: bool = True
    """Whether the map is for create mode, too."""


def artifact(name: str, mysql_files: tuple[str, ...], postgres_files: tuple[str, ...]) -> Schemas:
    """Scripts of a Maven artifact; a path may begin with another artifact and '!'."""

    def found(paths: tuple[str, ...]) -> Iterator[Path]:
        for path in paths:
            of, _, inside = path.rpartition("!")
            yield file(of or name, inside)

    return scripts(lambda: found(mysql_files), lambda: found(postgres_files))


def scripts(of_mysql: Callable[[], Iterable[Path]], of_postgres: Callable[[], Iterable[Path]]) -> Schemas:
    """SQL scripts, compressed or not, that run in an empty database."""

    def source(url: str) -> None:
        for path in of_mysql():
            load_dump(url, path)

    def target(url: str) -> None:
        with psycopg.connect(url, autocommit=True) as connection:
            for path in of_postgres():
                with decompressed(path.name, Joined((path,)), of_mysql=False) as lines:
                    run_script(connection, lines, path.name)

    return Schemas(source, target)


def shared(name: str) -> Schemas:
    """Dumps of an application that has run, beside this repository; the test is skipped without them."""

    def of(file: str) -> Iterator[Path]:
        folder = Path(__file__).parents[1].parent / "shared" / "apps" / name
        if not folder.is_dir():
            pytest.skip(f"no dumps of {name} in {folder}")
        yield folder / file

    return scripts(lambda: of("mysql.sql.gz"), lambda: of("pg.sql.gz"))


def own(name: str) -> Schemas:
    """Some tables of an application whose schemas no package registry has, written for this test."""

    def of(kind: str) -> Iterator[Path]:
        yield APPLICATIONS / name / f"{kind}.sql"

    made = scripts(lambda: of("mysql"), lambda: of("postgres"))
    return Schemas(made.source, made.target, creates=False)


def zabbix() -> Schemas:
    """What Debian's packages of the server have; data.sql, with templates for half a minute, is left out."""

    def of(package: str) -> Iterator[Path]:
        folder = debian_package(package) / "usr/share" / package
        return (folder / f"{name}.sql.gz" for name in ("schema", "images"))

    made = scripts(lambda: of("zabbix-server-mysql"), lambda: of("zabbix-server-pgsql"))

    def source(url: str) -> None:
        mysql(url, "ALTER DATABASE CHARACTER SET utf8mb4 COLLATE utf8mb4_bin")  # as Zabbix demands
        made.source(url)
        if mysql(url, "SELECT mandatory FROM dbversion") != [(6000000,)]:
            pytest.skip("Zabbix of this system's packages is not 6.0")

    return Schemas(source, made.target)


def python(name: str, packages: Path, *arguments: str, **environment: str) -> str:
    """Runs a program in the folder of an application, and returns what it prints."""
    folder = APPLICATIONS / name
    ran = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={
            **ENVIRONMENT,
            "PYTHONPATH": f"{packages}:{folder}",
            "PYTHONDONTWRITEBYTECODE": "1",
            **environment,
        },
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def airflow() -> Schemas:
    """Its own commands make tables and rows, and work with what was loaded; its packages have 300 MB."""

    def run(url: str, *arguments: str) -> str:
        packages = python_packages("apache-airflow==3.3.2", "psycopg2-binary", "asyncpg", "aiomysql")
        scheme, _, rest = url.partition(":")
        driver = {"mysql": "mysql+mysqldb", "postgresql": "postgresql+psycopg2"}[scheme]
        with TemporaryDirectory() as home:
            return python(
                "airflow", packages, "-m", "airflow", *arguments,
                AIRFLOW_HOME=home,
                AIRFLOW__CORE__DAGS_FOLDER=str(APPLICATIONS / "airflow/dags"),
                AIRFLOW__CORE__FERNET_KEY="MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=",
                AIRFLOW__CORE__LOAD_EXAMPLES="False",
                AIRFLOW__DATABASE__SQL_ALCHEMY_CONN=f"{driver}:{rest}",
            )  # fmt: skip

    def source(url: str) -> None:
        if "CONVERGE_TEST_AIRFLOW" not in os.environ:
            pytest.skip("takes minutes: set CONVERGE_TEST_AIRFLOW=1 for Airflow")
        run(url, "db", "migrate")
        run(
            url, "connections", "add", "shop", "--conn-uri", "postgresql://u:p%40ss@h:5432/db?sslmode=require"
        )
        run(url, "pools", "set", "small", "3", "few at once")
        run(url, "dags", "reserialize")
        run(url, "dags", "test", "shop", "2024-01-01")

    def target(url: str) -> None:
        run(url, "db", "migrate")

    def use(source: str, target: str) -> None:
        run(target, "db", "check-migrations")
        assert '"password": "p@ss"' in run(target, "connections", "get", "shop", "-o", "json")
        run(target, "dags", "test", "shop", "2024-01-02")
        runs = run(target, "dags", "list-runs", "shop", "-o", "json")
        assert runs.count('"state": "success"') == 2, runs

    return Schemas(source, target, use, creates=False)


def django() -> Schemas:
    """A project in applications/django, whose tables and rows Django itself makes."""

    def manage(url: str, *arguments: str) -> str:
        packages = python_packages("django==5.2.19")
        return python("django", packages, "manage.py", *arguments, DATABASE_URL=url)

    def migrate(url: str) -> None:
        manage(url, "migrate", "--verbosity=0")
        manage(url, "migrate", "--run-syncdb", "--verbosity=0")  # the shop, which has no migrations

    def source(url: str) -> None:
        migrate(url)
        manage(url, "shell", "--verbosity=0", "--command=from shop import rows; rows.make()")

    def use(source: str, target: str) -> None:
        manage(target, "migrate", "--check")
        assert manage(target, "dumpdata") == manage(source, "dumpdata")
        manage(target, "shell", "--verbosity=0", "--command=from shop import rows; rows.use()")

    return Schemas(source, migrate, use)


QUARTZ = "org/quartz/impl/jdbcjobstore/tables_"
BATCH = "org/springframework/batch/core/schema-"
CAMUNDA = "org/camunda/bpm/engine/db/create/activiti"
CAMUNDA_PARTS = (
    "engine",
    "history",
    "identity",
    "case.engine",
    "case.history",
    "decision.engine",
    "decision.history",
)
FLOWABLE = (
    "org.flowable:flowable-engine-common:7.1.0!org/flowable/common/db/create/flowable.{}.create.common.sql",
    "org/flowable/db/create/flowable.{}.create.engine.sql",
    "org/flowable/db/create/flowable.{}.create.history.sql",
)

SCHEMAS = {
    "airflow": airflow(),
    "camunda": artifact(
        "org.camunda.bpm:camunda-engine:7.23.0",
        tuple(f"{CAMUNDA}.mysql.create.{part}.sql" for part in CAMUNDA_PARTS),
        tuple(f"{CAMUNDA}.postgres.create.{part}.sql" for part in CAMUNDA_PARTS),
    ),
    "django": django(),
    "flowable": artifact(
        "org.flowable:flowable-engine:7.1.0",
        tuple(part.format("mysql") for part in FLOWABLE),
        tuple(part.format("postgres") for part in FLOWABLE),
    ),
    "keycloak": shared("keycloak"),
    "mattermost": own("mattermost"),
    "quartz": artifact(
        "org.quartz-scheduler:quartz:2.5.0", (f"{QUARTZ}mysql_innodb.sql",), (f"{QUARTZ}postgres.sql",)
    ),
    "spring-batch": artifact(
        "org.springframework.batch:spring-batch-core:5.2.2",
        (f"{BATCH}mysql.sql",),
        (f"{BATCH}postgresql.sql",),
    ),
    "zabbix": zabbix(),
}

App = tuple[str, str, dict[str, Any]]


@pytest.fixture(scope="module", params=SCHEMAS)
def app(request: pytest.FixtureRequest, mysql_8033: Server) -> Iterator[App]:
    """The name of an application's map, a source with its rows, and its case."""
    name = request.param
    case = tomllib.loads((APPLICATIONS / f"{name}.toml").read_text("utf-8"))
    source = mysql_8033.create_database(f"app_{name}")
    SCHEMAS[name].source(source)
    mysql(source, case["rows"])
    yield name, source, case
    mysql_8033.drop_database(f"app_{name}")


def test_it_loads_the_applications_own_tables(
    app: App, postgres_175: Server, new_postgres_database: NewDatabase, tmp_path: Path
) -> None:
    name, source, case = app
    target = new_postgres_database(postgres_175)
    SCHEMAS[name].target(target)
    before = shape(target)
    map_ = written(tmp_path, case["map"]) if "map" in case else name
    ran = load(source, target, "--map", map_)
    _is_right(ran, target, case)
    SCHEMAS[name].use(source, target)
    assert (len(ran.json["tables"]), found(ran, "L050")) == (case["tables"], [])
    assert shape(target) == before
    checks = {one["name"] for one in ran.json["checks"]}
    assert checks == case["broken"].keys()
    for statement in case["broken"].values():
        postgres(target, statement)
    again = converge("verify", "--source", source, "--target", target, "--json")
    assert {one["name"] for one in again.json["checks"] if one["state"] == "differs"} == checks, again.err


def test_it_makes_tables_that_the_application_can_use(
    app: App, postgres_14: Server, new_postgres_database: NewDatabase, tmp_path: Path
) -> None:
    name, source, case = app
    if not SCHEMAS[name].creates:
        pytest.skip(f"the map of {name} is for load mode")
    target = new_postgres_database(postgres_14)
    map_ = written(tmp_path, case["map"]) if "map" in case else name
    ran = converge("migrate", "--source", source, "--target", target, "--map", map_, "--json")
    _is_right(ran, target, case)
    SCHEMAS[name].use(source, target)


def _is_right(ran: Ran, target: str, case: dict[str, Any]) -> None:
    assert (ran.code, ran.json["verdict"]) == (0, "verified"), ran.err
    assert [one["name"] for one in ran.json["checks"] if one["state"] != "ok"] == []
    assert [postgres(target, one["query"]) for one in case["reads"]] == [
        [tuple(row) for row in one["gives"]] for one in case["reads"]
    ]


def test_an_application_is_recognized_by_all_of_its_tables(
    databases: tuple[str, str], tmp_path: Path
) -> None:
    """Whatever their case; not where one is missing, and not where its map is given, also within another."""
    source = databases[0]
    tables = tomllib.loads((folder("schema_maps") / "quartz.toml").read_text("utf-8"))["application"][
        "tables"
    ]
    mysql(source, ";".join(f"CREATE TABLE {name.upper()} (id INT PRIMARY KEY)" for name in tables[1:]))
    (tmp_path / "own.toml").write_text('[map]\nextends = ["quartz"]\n')

    def hints(*options: str) -> list[str]:
        ran = converge("plan", "--source", source, *options, "--json")
        return [one["hint"] for one in found(ran, "M181")]

    assert hints() == []
    mysql(source, f"CREATE TABLE `{tables[0]}` (id INT PRIMARY KEY)")
    assert hints() == ["--map quartz"]
    assert hints("--map", "quartz") == hints("--map", str(tmp_path / "own.toml")) == []
