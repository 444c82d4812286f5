"""Primary keys in descending order: PostgreSQL's have no order, and the run must not end on them."""

from __future__ import annotations

from support import converge, mysql, postgres

TABLES = """
CREATE TABLE a (id INT, y INT, PRIMARY KEY (id DESC)); INSERT INTO a VALUES (1, 2), (3, 4), (2, 5);
CREATE TABLE b (x INT, y VARCHAR(9), PRIMARY KEY (x, y DESC));
INSERT INTO b VALUES (1, 'p'), (1, 'q'), (0, 'z');
CREATE TABLE c (id INT NOT NULL AUTO_INCREMENT, aid INT, PRIMARY KEY (id DESC),
  FOREIGN KEY (aid) REFERENCES a (id));
INSERT INTO c (aid) VALUES (1), (3), (NULL)
"""


def test_a_descending_primary_key_arrives(both_databases: tuple[str, str]) -> None:
    source, target = both_databases
    mysql(source, TABLES)
    ran = converge("migrate", "--source", source, "--target", target, "--json")
    assert (ran.code, ran.json["verdict"], ran.json["losses"]) == (0, "verified", 0), ran.err
    keys = (
        "SELECT conrelid::regclass::text, pg_get_constraintdef(oid) FROM pg_constraint WHERE contype = 'p' "
    )
    assert postgres(target, keys + "AND connamespace = 'public'::regnamespace ORDER BY 1") == [
        ("a", "PRIMARY KEY (id)"), ("b", "PRIMARY KEY (x, y)"), ("c", "PRIMARY KEY (id)"),
    ]  # fmt: skip
