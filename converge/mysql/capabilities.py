"""What a MySQL server can do, by name: the only place that looks at its version."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Capabilities:
    version: str
    check_constraints: bool
    """information_schema.CHECK_CONSTRAINTS exists (8.0.16)."""
    show_routine: bool
    """The privilege SHOW_ROUTINE exists (8.0.20)."""
    stamps_before_triggers: bool
    """ON UPDATE CURRENT_TIMESTAMP sets columns before triggers are fired (8.0.33); 8.0.15 does it after."""
    last_second: int
    """The last one since 1970 that FROM_UNIXTIME takes: it ended in 2038 before 8.0.28."""
    binary_log_status: str
    """The statement that says where the binary log stands (renamed in 8.2)."""


def capabilities(version: str) -> Capabilities:
    """The capabilities of a server that calls itself e.g. ``8.0.15`` or ``8.0.33-log``."""
    numbers = tuple(int(part) for part in version.split("-")[0].split(".")[:3])
    return Capabilities(
        version=version,
        check_constraints=numbers >= (8, 0, 16),
        show_routine=numbers >= (8, 0, 20),
        stamps_before_triggers=numbers >= (8, 0, 33),
        last_second=32_536_771_199 if numbers >= (8, 0, 28) else 2**31 - 1,
        binary_log_status="SHOW BINARY LOG STATUS" if numbers >= (8, 2, 0) else "SHOW MASTER STATUS",
    )


def unsupported(version: str) -> str:
    """Why a server that calls itself so cannot be read; empty when it can."""
    if "mariadb" in version.lower():
        return f"the source runs MariaDB ({version}), whose catalog is another one"
    return f"the source runs MySQL {version}" if int(version.split(".")[0]) < 8 else ""
