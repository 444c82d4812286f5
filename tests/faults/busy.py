"""One round each over a source that is at work: it writes, queries for long, or alters its tables."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pymysql
from pymysql.cursors import Cursor
from support import converge, mysql, postgres

from converge.model.endpoint import parse
from converge.mysql import snapshot
from converge.mysql.connect import connect
from faults.application import COINS, COMMITS, PURSES, TOTAL, fill, slow_log, writers
from faults.rounds import EXACT, Outcome, Pair, settle, staged
from faults.scene import document

DDL = {
    "truncate": "TRUNCATE TABLE {}",
    "add a column": "ALTER TABLE {} ADD COLUMN late INT",
    "rename": "RENAME TABLE {} TO gone",
    "drop": "DROP TABLE {}",
    "change a column": "ALTER TABLE {} MODIFY body LONGTEXT NOT NULL",
}
_TABLES = ("texted", "keyed", "pair", "keyless")
"""To which no foreign key refers."""
_SNAPSHOTS = 40
_MOST_PAUSE = 10.0
"""Seconds. About one at a time is the promise, on a machine that may be busy; a lock that waits for the query
stalls the writers for as long as the query runs."""


def one_snapshot(servers: Pair, seed: int) -> Outcome:
    """All readers at one instant, while an application commits 300 times a second or more."""
    with _purses(servers, seed) as (source, target), writers(source, 4) as activity:
        time.sleep(0.5)
        ran = converge("migrate", "--source", source, "--target", target, "--jobs", "4", "--json")
        wrong = "" if activity.rate >= 300 else f"only {activity.rate:.0f} commits a second"
        if ran.code != 0:
            wrong = ran.err[-1000:]
        else:
            found = (ran.json["verdict"], ran.json["snapshot"], postgres(target, TOTAL))
            if found != ("verified", "locked", [(COINS,)]):
                wrong = str(found)
    return Outcome(0, ran.code == 0, EXACT, wrong)


def quiet_snapshots(servers: Pair, seed: int) -> Outcome:
    """Readers begin one by one, by a user who may not lock, beside commits now and then to a slow log.

    Who calls their snapshot quiet has to be right each time.
    """
    chance = random.Random(seed)
    levels: list[str] = []
    wrong: list[str] = []
    with _purses(servers, seed) as (source, _):
        mysql(source, "CREATE USER IF NOT EXISTS plain@'%'")
        mysql(source, "GRANT SELECT, REPLICATION CLIENT ON *.* TO plain@'%'")
        plain = parse(source.replace("root@", "plain@"))
        with ExitStack() as open_, writers(source, pause=0.3):
            readers = [open_.enter_context(connect(plain)) for _ in range(4)]
            cursors = [reader.cursor() for reader in readers]

            def begin() -> None:
                for cursor in cursors:
                    cursor.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT")
                    time.sleep(chance.uniform(0, 0.03))

            for _ in range(_SNAPSHOTS):
                slow = slow_log(source, chance.choice((0, 50_000, 200_000)))
                with slow, connect(plain) as connection:
                    levels.append(snapshot.take(connection, PURSES, begin).level)
                seen = [_commits(cursor) for cursor in cursors]
                if levels[-1] == "quiet" and len(set(seen)) > 1:
                    wrong.append(f"commits that the readers see: {seen}")
    if "quiet" not in levels:
        wrong.append("none was quiet")
    return Outcome(0, not wrong, EXACT, "; ".join(wrong))


def _commits(cursor: Cursor) -> int:
    cursor.execute(COMMITS)
    return int(cursor.fetchall()[0][0])


@contextmanager
def _purses(servers: Pair, seed: int) -> Iterator[tuple[str, str]]:
    """URLs of databases with the purses, and without."""
    name = f"purses_{seed}"
    for server in servers:
        server.drop_database(name)
    source, target = (server.create_database(name) for server in servers)
    fill(source)
    yield source, target
    for server in servers:
        server.drop_database(name)


def long_query(servers: Pair, source: str, seed: int) -> Outcome:
    """FLUSH TABLES WITH READ LOCK waits for a query, and all writers wait behind the lock that waits."""
    with staged(servers, source, seed) as stage:
        fill(source)
        seconds = stage.chance.uniform(15, 25)
        table = stage.chance.choice(_TABLES)
        query = threading.Thread(
            target=mysql,
            args=(source, f"SELECT SLEEP({seconds}) FROM {table} WHERE {table}.body > '' LIMIT 1"),
        )
        query.start()
        with writers(source, 2) as activity:
            stage.begin(slowly=False)
            ran = stage.end()
        query.join()
    wrong = []
    # Without one instant for all readers the comparison may find what the writers did between them.
    if ran.code != 0 and (ran.code, document(ran).get("snapshot")) != (1, "none"):
        wrong.append(f"exit {ran.code}: {ran.err[-1000:]}")
    if activity.longest_pause >= _MOST_PAUSE:
        wrong.append(f"the application has stood still for {activity.longest_pause:.0f} s")
    return Outcome(1, ran.code == 0, EXACT, "; ".join(wrong))


def schema_changes(servers: Pair, source: str, seed: int, change: str = "") -> Outcome:
    """A table is altered in the middle of the copy: it is held off, or the run ends and names the table.

    Of even seeds the run's user may not hold it off.
    """
    with staged(servers, source, seed) as stage:
        change = change or stage.chance.choice(list(DDL))
        if seed % 2 == 0:
            stage.read_as(f"plain_{stage.chance.randrange(10**6)}")
            mysql(source, f"GRANT SELECT, RELOAD ON *.* TO {stage.reader}@'%'")
        table = stage.chance.choice(_TABLES)
        stage.begin()
        stage.wait_for_chunks(stage.chance.randrange(1, 8))
        stage.target_proxy.hold()
        try:
            mysql(source, f"SET SESSION lock_wait_timeout = 3; {DDL[change].format(table)}")
            altered = True
        except pymysql.err.OperationalError:  # the run holds it off
            altered = False
        stage.target_proxy.flow()
        ran = stage.end()
        if not altered:
            return settle(stage, ran)
    named = ran.code == 4 and table in ran.err and document(ran).get("verdict") != "verified"
    wrong = "" if named else f"{change} of {table}: exit {ran.code}: {ran.out[-300:]} {ran.err[-1000:]}"
    return Outcome(1, alone=False, verdict=EXACT, wrong=wrong)
