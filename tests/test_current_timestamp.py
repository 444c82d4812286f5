"""CURRENT_TIMESTAMP in defaults and in ON UPDATE: MySQL's time, and MySQL's cases."""

from __future__ import annotations

from support import converge, mysql, postgres

SCHEMA = """
CREATE TABLE stamp (id INT PRIMARY KEY, s0 DATETIME DEFAULT CURRENT_TIMESTAMP,
  s1 DATETIME(1) DEFAULT CURRENT_TIMESTAMP(1), s2 TIMESTAMP(2) NULL DEFAULT CURRENT_TIMESTAMP(2),
  s3 DATETIME(3) DEFAULT CURRENT_TIMESTAMP(3), s4 TIMESTAMP(4) NULL DEFAULT CURRENT_TIMESTAMP(4),
  s5 DATETIME(5) DEFAULT CURRENT_TIMESTAMP(5), s6 TIMESTAMP(6) NULL DEFAULT CURRENT_TIMESTAMP(6),
  t6 TIMESTAMP(6) NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6),
  e0 DATETIME(6) DEFAULT (NOW(0)), e1 DATETIME(6) DEFAULT (NOW(1)), e2 DATETIME(6) DEFAULT (NOW(2)),
  e3 DATETIME(6) DEFAULT (NOW(3)), e4 DATETIME(6) DEFAULT (NOW(4)), e5 DATETIME(5) DEFAULT (NOW(5)),
  e6 DATETIME(6) DEFAULT (NOW(6)), z DATETIME(6) DEFAULT (UTC_TIMESTAMP(4)),
  n DATETIME DEFAULT (NOW()), d DATE DEFAULT (CURDATE()), v INT);
CREATE TABLE parent (id INT PRIMARY KEY);
CREATE TABLE child (id INT PRIMARY KEY, pid INT, up INT, n INT DEFAULT 0, twice INT AS (n * 2) STORED,
  t1 TIMESTAMP NULL DEFAULT '2000-01-01 00:00:00' ON UPDATE CURRENT_TIMESTAMP,
  t2 DATETIME(3) DEFAULT '2000-01-01 00:00:00' ON UPDATE CURRENT_TIMESTAMP(3),
  FOREIGN KEY (pid) REFERENCES parent (id) ON DELETE SET NULL ON UPDATE CASCADE,
  FOREIGN KEY (up) REFERENCES child (id) ON DELETE SET NULL);
INSERT INTO parent VALUES (1), (2);
INSERT INTO child (id, pid, up) VALUES (1, 1, NULL), (2, 2, 1), (3, NULL, NULL), (4, NULL, NULL),
  (5, NULL, NULL), (6, NULL, NULL), (7, NULL, NULL), (8, NULL, NULL), (9, NULL, 8)
"""
UPDATES = (
    "UPDATE parent SET id = 10 WHERE id = 1",
    "DELETE FROM parent WHERE id = 2",
    "DELETE FROM child WHERE id = 8",
    "UPDATE child SET n = n WHERE id = 3",
    "UPDATE child SET n = 1 WHERE id = 4",
    "UPDATE child SET n = 1, t1 = t1 WHERE id = 5",
    "UPDATE child SET n = 1, t1 = NULL, t2 = t2 WHERE id = 6",
    "UPDATE child SET t1 = '2001-01-01' WHERE id = 7",
)
KEPT = "SELECT id, t1 < '2010-01-01', t2 < '2010-01-01' FROM child ORDER BY id"


def test_only_updates_of_a_statement_change_the_time(databases: tuple[str, str]) -> None:
    source, target = databases
    mysql(source, SCHEMA)
    ran = converge("migrate", "--source", source, "--target", target)
    assert ran.code == 0, ran.err
    for statement in UPDATES:
        mysql(source, statement)
        postgres(target, statement)
    assert postgres(target, KEPT) == mysql(source, KEPT)
    # MySQL's triggers count as statements.
    postgres(
        target,
        "CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN UPDATE child SET n = n + 1 WHERE id = NEW.id; RETURN NEW; END $$; "
        "CREATE TRIGGER touch AFTER INSERT ON parent FOR EACH ROW EXECUTE FUNCTION touch(); "
        "INSERT INTO parent VALUES (3)",
    )
    assert postgres(target, KEPT)[2] == (3, False, False)

    # A dump of the target can be restored: the server reads its own words for the triggers again.
    printed = (
        "SELECT tgname, tgrelid::regclass::text, pg_get_triggerdef(oid) FROM pg_trigger "
        "WHERE NOT tgisinternal AND tgname ~ '^on_update'"
    )
    triggers = postgres(target, printed)
    assert len(triggers) == 6
    for name, table, text in triggers:
        postgres(target, f'DROP TRIGGER "{name}" ON {table}')
        postgres(target, text)
    assert sorted(postgres(target, printed)) == sorted(triggers)

    # A column that the application adds later counts, too.
    postgres(target, "ALTER TABLE child ADD later int")
    postgres(target, "UPDATE child SET t1 = '2000-01-01', t2 = '2000-01-01' WHERE id = 3")
    postgres(target, "UPDATE child SET later = 5 WHERE id = 3")
    assert postgres(target, KEPT)[2] == (3, False, False)

    for number in range(10):
        postgres(target, "SELECT pg_sleep(0.037)")
        cut = " AND ".join(
            f"{kind}{digits} = date_bin('{10 ** (6 - digits)} us', s6, to_timestamp(0))"
            for digits in range(7)
            for kind in "se"
        )
        cut += " AND z = date_bin('100 us', s6, to_timestamp(0)) AT TIME ZONE 'UTC'"
        made = f"INSERT INTO stamp (id) VALUES ({number}) RETURNING {cut}, s6 <= clock_timestamp(), s6 = t6"
        assert postgres(target, made) == [(True, True, True)]
    late = "SELECT extract(epoch FROM clock_timestamp() - {}) BETWEEN 0 AND 3.5 FROM stamp WHERE id = 100"
    postgres(target, "BEGIN; SELECT pg_sleep(4); INSERT INTO stamp (id) VALUES (100); COMMIT")
    assert postgres(target, late.format("s6")) == postgres(target, late.format("n")) == [(True,)]
    postgres(target, "BEGIN; SELECT pg_sleep(4); UPDATE stamp SET v = 1 WHERE id = 100; COMMIT")
    assert postgres(target, late.format("t6")) == [(True,)]
    (day,) = postgres(target, "SELECT d = current_date FROM stamp WHERE id = 100")
    assert day == (True,)
