"""A few hundred random expressions, migrated and compared; `python -m bench.expressions` takes thousands."""

from __future__ import annotations

import fuzz
import pytest
from conftest import NewDatabase


@pytest.mark.parametrize(
    ("names", "seed"), [(("mysql_8015", "postgres_14"), 1), (("mysql_8033", "postgres_175"), 2)]
)
def test_what_is_migrated_gives_the_same_values(
    names: tuple[str, str],
    seed: int,
    request: pytest.FixtureRequest,
    new_mysql_database: NewDatabase,
    new_postgres_database: NewDatabase,
) -> None:
    source, target = map(request.getfixturevalue, names)
    tally = fuzz.run(new_mysql_database(source), new_postgres_database(target), seed, views=300, columns=15)
    assert not tally.faults, "\n".join(tally.faults)
    # What is refused proves nothing.
    assert tally.same > tally.made / 2, tally.line()
