"""Found in the field (Cacti's poller_reindex): a primary key of a prefix, which PostgreSQL has no form of."""

from __future__ import annotations

from support import converge, mysql, postgres


def test_a_primary_key_of_a_prefix(databases: tuple[str, str]) -> None:
    """The plan has no syntax error in store, and the uniqueness arrives."""
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
