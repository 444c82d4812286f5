"""Found in the field: keys that PostgreSQL has no form of, or another one, and what refers to them."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pymysql
import pytest
from support import converge, mysql, postgres


def test_a_primary_key_of_a_prefix(databases: tuple[str, str]) -> None:
    """Found in Cacti's poller_reindex: the plan has no syntax error in store, and the uniqueness arrives."""
    source, target = databases
    mysql(
        source,
        "CREATE TABLE poller (host INT, arg VARCHAR(255), PRIMARY KEY (host, arg(5))); "
        "INSERT INTO poller VALUES (1, 'first'), (2, 'second')",
    )
    ran = converge("migrate", "--source", source, "--target", target, "--json")
    assert (ran.code, ran.json["verdict"]) == (0, "verified"), ran.err
    unique = "SELECT count(*) FROM pg_index WHERE indrelid = 'poller'::regclass AND indisunique"
    assert postgres(target, unique) == [(1,)]
    assert "there is no PRIMARY KEY" in " ".join(one["message"] for one in ran.json["findings"])


REFERENCES = """
CREATE TABLE lang (code ENUM('de', 'en', 'fr') PRIMARY KEY);
INSERT INTO lang VALUES ('de'), ('en');
CREATE TABLE word (id INT PRIMARY KEY, lang ENUM('de', 'en', 'fr') NOT NULL DEFAULT 'en',
  mood ENUM('de', 'en', 'fr'),
  CONSTRAINT same FOREIGN KEY (lang) REFERENCES lang (code));
INSERT INTO word VALUES (1, 'de', 'fr');
CREATE TABLE fewer (id INT PRIMARY KEY, lang ENUM('de', 'en'),
  CONSTRAINT fewer FOREIGN KEY (lang) REFERENCES lang (code));
INSERT INTO fewer VALUES (1, 'en');
CREATE TABLE more (id INT PRIMARY KEY, lang ENUM('de', 'en', 'fr', 'es'),
  CONSTRAINT more FOREIGN KEY (lang) REFERENCES lang (code));
CREATE TABLE other (id INT PRIMARY KEY, lang ENUM('en', 'de'),
  CONSTRAINT other FOREIGN KEY (lang) REFERENCES lang (code));
CREATE TABLE tree (id INT PRIMARY KEY, kind ENUM('a', 'b'), up ENUM('a', 'b'), UNIQUE (kind),
  CONSTRAINT up FOREIGN KEY (up) REFERENCES tree (kind));
INSERT INTO tree VALUES (1, 'a', 'a');
CREATE TABLE down (a INT NOT NULL, b INT NOT NULL, UNIQUE KEY u (a DESC, b), UNIQUE KEY gone (b));
INSERT INTO down VALUES (1, 2);
CREATE TABLE child (id INT PRIMARY KEY, a INT, b INT,
  CONSTRAINT pair FOREIGN KEY (a, b) REFERENCES down (a, b),
  CONSTRAINT skipped FOREIGN KEY (b) REFERENCES down (b));
INSERT INTO child VALUES (1, 1, 2);
"""
TAKEN = (
    "INSERT INTO word (id) VALUES (2)",
    "INSERT INTO fewer VALUES (2, 'de')",
    "INSERT INTO more VALUES (2, 'de')",
    "INSERT INTO tree VALUES (2, 'b', 'a')",
    "INSERT INTO child VALUES (2, 1, 2)",
)
REFUSED = (
    "INSERT INTO word VALUES (3, 'fr', 'de')",
    "INSERT INTO lang VALUES ('es')",
    "INSERT INTO fewer VALUES (3, 'fr')",
    "INSERT INTO more VALUES (3, 'es')",
    "INSERT INTO tree VALUES (3, NULL, 'c')",
    "INSERT INTO child VALUES (3, 2, 2)",
)


def test_what_foreign_keys_refer_to(both_databases: tuple[str, str], tmp_path: Path) -> None:
    """ENUMs that are joined have one type, a descending key can be referred to, a skipped one cannot."""
    source, target = both_databases
    mysql(source, REFERENCES)
    map_ = tmp_path / "map.toml"
    map_.write_text('[[index]]\nmatch = { table = "down", index = "gone" }\nskip = true\n')
    ran = converge("migrate", "--source", source, "--target", target, "--map", str(map_), "--json")
    assert (ran.code, ran.json["verdict"]) == (0, "verified"), ran.err
    lost = {one["object"] for one in ran.json["findings"] if one["severity"] == "lossy"}
    assert lost == {"other.other", "down.gone", "child.skipped"}
    for statement in TAKEN:
        postgres(target, statement)
    for statement in REFUSED:
        with pytest.raises(psycopg.Error):
            postgres(target, statement)
    labels = postgres(target, "SELECT enum_range(lang)::text FROM word LIMIT 1")
    assert labels == [("{de,en,fr,es}",)]


@pytest.mark.parametrize("action", ["CASCADE", "SET NULL"])
def test_an_update_of_a_key_that_its_own_table_refers_to(databases: tuple[str, str], action: str) -> None:
    """InnoDB refuses it, and so does the target: no row changes that did not change before."""
    source, target = databases
    mysql(
        source,
        "CREATE TABLE n (id INT PRIMARY KEY, up INT, "
        f"CONSTRAINT up FOREIGN KEY (up) REFERENCES n (id) ON DELETE CASCADE ON UPDATE {action}); "
        "INSERT INTO n VALUES (1, NULL), (2, 1)",
    )
    update = "UPDATE n SET id = 9 WHERE id = 1"
    with pytest.raises(pymysql.err.IntegrityError):
        mysql(source, update)
    ran = converge("migrate", "--source", source, "--target", target, "--json")
    assert ran.json["verdict"] == "verified", ran.err
    assert [one["object"] for one in ran.json["findings"] if one["code"] == "P041"] == ["n.up"]
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        postgres(target, update)
    postgres(target, "DELETE FROM n WHERE id = 1")
    assert postgres(target, "SELECT count(*) FROM n") == [(0,)]
