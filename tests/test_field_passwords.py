"""Found in the field: MySQL hashes a password's UTF-8 bytes, whatever characters it has."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from conftest import NewDatabase
from support import converge, mysql

from converge.sandbox import Server


@pytest.mark.parametrize("plugin", ["mysql_native_password", "caching_sha2_password"])
@pytest.mark.parametrize("password", ["geheim-ü", "tajné-€"])
def test_a_password_with_letters_outside_ascii(
    password: str, plugin: str, mysql_8033: Server, new_mysql_database: NewDatabase
) -> None:
    source = new_mysql_database(mysql_8033)
    mysql(source, "CREATE TABLE t (id INT PRIMARY KEY)")
    mysql(source, f"CREATE USER IF NOT EXISTS odd@'%' IDENTIFIED WITH {plugin} BY '{password}'")
    try:
        mysql(source, "GRANT SELECT ON *.* TO odd@'%'")
        at = source.replace("root@", f"odd:{quote(password)}@")
        ran = converge("plan", "--source", at)
        assert ran.code == 0, ran.err
    finally:
        mysql(source, "DROP USER odd@'%'")
