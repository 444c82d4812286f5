"""The way back to the source, in words."""

from __future__ import annotations

from converge.model.going_back import GoingBack
from converge.report.parts import Grid, grid
from converge.report.units import counted

_READ_ONLY = (
    "converge has only read the source: its sessions there are read only, so the server itself refuses "
    "whatever would write."
)
_BACK = (
    "To go back, give the application the source's address again. What it has written to the target since "
    "the switch is not in the source."
)


def stand_words(back: GoingBack) -> str:
    """What is known of the source since the snapshot, in one sentence without its end."""
    match back.stand:
        case "still":
            return f"the source is as it was at the snapshot: {back.how}"
        case "moved" if back.named:
            count = counted(len(back.tables), "table")
            return f"the source has moved in {count} since the snapshot: {back.how}"
        case "moved":
            return f"the source may have moved: {back.how}; a run with its full comparison names the tables"
    return f"it is not known whether the source has moved since the snapshot: {back.how}"


def back_words(back: GoingBack | None) -> tuple[str, ...]:
    """Sentences for people; none where the command did not look."""
    if back is None:
        return ()
    words = stand_words(back)
    return (_READ_ONLY, f"{words[:1].upper()}{words[1:]}.", _BACK)


def moved_tables(back: GoingBack | None) -> Grid:
    """The tables that have moved."""
    names = back.tables if back else ()
    return grid("Moved since the snapshot", (("table", "name"),), [(name,) for name in names])
