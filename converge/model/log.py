"""A place in the source's binary log."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LogPosition:
    """A place between two transactions in the binary log of one server."""

    server: str
    """Its UUID: another server at the same address has another log."""
    file: str
    position: int
    at: int
    """Seconds since 1970 by the server's clock, when the log stood here: no file before it is newer."""

    @property
    def order(self) -> tuple[int, int]:
        """Key by which places of one server's log are compared."""
        return place_order((self.file, self.position))

    def __str__(self) -> str:
        return f"{self.file}:{self.position}"


def place_order(place: tuple[str, int]) -> tuple[int, int]:
    """Key by which places, of a file and a position, are compared."""
    return int(place[0].rpartition(".")[2]), place[1]
