"""The JSON Schemas of documents and settings are those of the code, and what is written keeps to them."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest
from conftest import NewDatabase
from jsonschema import ValidationError, validate
from report_values import plan, result
from support import converge, mysql

from converge.model.definitions import Differs
from converge.model.recovery import Recovery
from converge.model.revision import Checked, Generated, Migrated, Revision, Standing
from converge.model.validation import Validation
from converge.report.plan import plan_json
from converge.sandbox import Server
from tools.schemas import schemas

FOLDER = Path(__file__).parents[1] / "docs" / "schemas"


def test_the_schemas_are_current() -> None:
    written = {file.name: json.loads(file.read_text("utf-8")) for file in FOLDER.iterdir()}
    assert written == schemas()


def test_what_is_written_keeps_to_them() -> None:
    made = plan()
    for name, document in (
        ("run", result().to_json()),
        ("plan", plan_json(made)),
        ("plan-file", made.to_json()),
        ("recover", Recovery("t", "s", 1, "load", {"triggers": 2}, 3, (), made.findings).to_json()),
        ("validation", Validation("4f2c", "", "t", phases=[("copy", 0.25)]).to_json()),
        ("migrations", Migrated("show", "t", "f", "v", (Standing("4f2c", "a", "pending"),)).to_json()),
        ("migrations", Generated("t", "f", Revision("4f2c", "a", (), "p", "…"), "models", ()).to_json()),
        ("migrations", Checked("t", "f", "s", (Differs("table a", '["table", {}]', ""),)).to_json()),
        ("converge.toml", tomllib.loads('[[database]]\nname = "a"\nmap = ["b"]\nprovision = { role = "c" }')),
    ):
        schema = schemas()[f"{name}.schema.json"]
        document = json.loads(json.dumps(document))
        validate(document, schema)
        with pytest.raises(ValidationError):
            validate(
                document | dict.fromkeys(("plan", "next", "tables", "database", "run", "folder"), 7), schema
            )


def test_a_real_run_keeps_to_them(
    mysql_8033: Server,
    postgres_175: Server,
    new_mysql_database: NewDatabase,
    new_postgres_database: NewDatabase,
) -> None:
    source, target = new_mysql_database(mysql_8033), new_postgres_database(postgres_175)
    mysql(
        source,
        "CREATE TABLE film (id INT PRIMARY KEY, made DATE); INSERT INTO film VALUES (1, '2024-01-01'); "
        "CREATE VIEW films AS SELECT id FROM film; CREATE PROCEDURE p() SELECT 1",
    )
    for command in ("plan", "migrate", "verify", "plan"):
        document = converge(command, "--source", source, "--target", target, "--json").json
        validate(document, schemas()["plan.schema.json" if command == "plan" else "run.schema.json"])
    for options, code in ((("--jobs", "2"), 3), (("--jobs", "none"), 2), (("--tarjet", "x"), 2)):
        ran = converge("migrate", "--source", source, "--target", target, "--json", *options)
        assert ran.json["exit_code"] == ran.code == code
        validate(ran.json, schemas()["error.schema.json"])
        known = source if code == 3 else ""
        assert ran.json["source"].get("url", "") == known
