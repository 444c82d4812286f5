"""A source of every shape that matters to a copy in chunks, and an application that writes to it."""

from __future__ import annotations

import random

from support import mysql

CHUNK_BYTES = 256 * 1024
"""Small, so that 11 MB are some 40 chunks."""
TABLES = ("keyed", "texted", "pair", "keyless", "twins", "parent", "child", "leaf")

_ROWS = 3_000
SOURCE = f"""
SET SESSION cte_max_recursion_depth = {_ROWS};
CREATE TABLE parent (id INT AUTO_INCREMENT PRIMARY KEY, name CHAR(36) NOT NULL UNIQUE, body TEXT);
CREATE TABLE child (
    id INT AUTO_INCREMENT PRIMARY KEY, parent_id INT NOT NULL, other_id INT, price DECIMAL(10,2) NOT NULL,
    gross DECIMAL(12,2) AS (price * 2) STORED, label VARCHAR(60) AS (CONCAT('at ', price)) VIRTUAL, body TEXT,
    KEY (other_id),
    FOREIGN KEY (parent_id) REFERENCES parent (id) ON DELETE CASCADE ON UPDATE CASCADE,
    FOREIGN KEY (other_id) REFERENCES parent (id) ON DELETE SET NULL ON UPDATE CASCADE);
CREATE TABLE leaf (
    child_id INT NOT NULL, number INT NOT NULL, body TEXT, PRIMARY KEY (child_id, number),
    FOREIGN KEY (child_id) REFERENCES child (id) ON DELETE CASCADE);
CREATE TABLE keyed (
    id INT UNSIGNED AUTO_INCREMENT PRIMARY KEY, name CHAR(36) NOT NULL, body TEXT, KEY (name));
CREATE TABLE texted (name VARCHAR(40) PRIMARY KEY, body TEXT NOT NULL);
CREATE TABLE pair (region INT, number INT, body TEXT, PRIMARY KEY (region, number));
CREATE TABLE keyless (number INT, body VARCHAR(600));
CREATE TABLE twins (number INT);
INSERT INTO keyed (name, body)
    WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {_ROWS})
    SELECT UUID(), REPEAT(CONCAT(i, ' tab\\there, line\\nthere '), 30) FROM n;
INSERT INTO texted SELECT name, LEFT(body, 500) FROM keyed WHERE id <= 2000;
INSERT INTO pair SELECT id % 3, id, LEFT(body, 400) FROM keyed WHERE id <= 2500;
INSERT INTO keyless SELECT id % 1000, LEFT(body, 500) FROM keyed;
INSERT INTO twins SELECT id % 7 FROM keyed;
INSERT INTO parent (name, body) SELECT name, body FROM keyed WHERE id <= 1000;
INSERT INTO child (parent_id, other_id, price, body)
    SELECT 1 + id % 1000, IF(id % 3, 1 + id % 999, NULL), id / 100, LEFT(body, 300) FROM keyed;
INSERT INTO leaf SELECT id, id % 5, LEFT(body, 100) FROM child WHERE id <= 2000;
ANALYZE TABLE {", ".join(TABLES)};
"""


def move(url: str, seed: int) -> None:
    """What an application does between a kill and a resume, all over the tables.

    Rows are updated, inserted, deleted and moved to another key range; parents with children go.
    """
    chance = random.Random(seed)
    low = chance.randrange(1, 700)
    mysql(
        url,
        f"UPDATE keyed SET body = CONCAT(body, '!') WHERE id BETWEEN {low} AND {low + 9};"
        f"DELETE FROM keyed WHERE id BETWEEN {low + 1500} AND {low + 1800};"
        f"UPDATE keyed SET id = id + 1000000 WHERE id BETWEEN {low + 20} AND {low + 60};"
        f"INSERT INTO keyed (name, body) SELECT UUID(), body FROM parent LIMIT {chance.randrange(1, 500)};"
        f"UPDATE texted SET name = REVERSE(name) WHERE MOD(CRC32(name), 50) = {seed % 50};"
        f"DELETE FROM texted WHERE MOD(CRC32(name), 50) = {(seed + 1) % 50};"
        f"UPDATE pair SET region = region + 1 WHERE region = {seed % 3} AND number < {low};"
        f"UPDATE keyless SET body = UPPER(body) WHERE number = {low % 1000};"
        f"DELETE FROM keyless WHERE number = {(low + 1) % 1000};"
        f"INSERT INTO keyless SELECT number, body FROM keyless WHERE number = {(low + 2) % 1000};"
        f"DELETE FROM twins WHERE number = {seed % 7} LIMIT 1;"
        f"INSERT INTO twins VALUES ({(seed + 1) % 7});"
        f"DELETE FROM parent WHERE id BETWEEN {low} AND {low + 10};"
        f"UPDATE parent SET id = id + 1000000 WHERE id BETWEEN {low + 20} AND {low + 25};"
        f"UPDATE child SET price = price + 1, other_id = NULL WHERE id BETWEEN {low + 100} AND {low + 140};"
        f"INSERT INTO child (parent_id, price) SELECT id, 1 FROM parent ORDER BY id DESC LIMIT 50;"
        f"DELETE FROM leaf WHERE child_id = {low + 200}",
    )
