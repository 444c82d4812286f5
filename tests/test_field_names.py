"""Found in the field: names that break a query, and names that the target has under another one."""

from __future__ import annotations

from pathlib import Path

from support import converge, mysql, postgres


def test_a_percent_sign_in_the_name_of_a_table_with_an_identity(databases: tuple[str, str]) -> None:
    """The next value is set in a query with parameters, where a % of the name is a placeholder."""
    source, target = databases
    mysql(
        source,
        "CREATE TABLE `vat %` (`id %s` INT AUTO_INCREMENT PRIMARY KEY); INSERT INTO `vat %` VALUES (7)",
    )
    ran = converge("migrate", "--source", source, "--target", target, "--json")
    assert (ran.code, ran.json["verdict"]) == (0, "verified"), ran.err
    assert postgres(target, 'INSERT INTO "vat %" DEFAULT VALUES RETURNING 1') == [(1,)]


def test_a_shortened_or_renamed_table_is_met_again(databases: tuple[str, str], tmp_path: Path) -> None:
    """Its own name in the target is not somebody else's: verify finds it, migrate refuses and replaces it.

    A map's `rename` gives the same name in every run.
    """
    source, target = databases
    for name in ("a" * 64, "t"):
        mysql(source, f"CREATE TABLE {name} (id INT PRIMARY KEY); INSERT INTO {name} VALUES (1)")
    map_ = tmp_path / "map.toml"
    map_.write_text('[[table]]\nmatch = { table = "t" }\nrename = "renamed"\nwhy = "a test"\n')
    addresses = ("--source", source, "--target", target, "--map", str(map_), "--json")
    assert converge("migrate", *addresses).code == 0
    verified = converge("verify", *addresses)
    again = converge("migrate", *addresses)
    replaced = converge("migrate", *addresses, "--recreate", "--yes")
    tables = postgres(target, "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")
    assert (verified.code, again.code, replaced.code) == (0, 3, 0), verified.err
    assert len(tables) == 2 and ("renamed",) in tables
    assert all(name in again.err for (name,) in tables), again.err
