"""The user's revisions for a terminal."""

from __future__ import annotations

from converge.model.revision import Checked, Generated, Migrated, Standing
from converge.model.words import counted
from converge.report.words import one_line, visible

_MARKS = {"applied": "[X]", "pending": "[ ]", "unknown": "[?]"}


def standings_text(shown: Migrated) -> str:
    """A line for each revision, the first one first, as TypeORM shows them."""
    if not shown.revisions:
        return visible(f"{shown.folder} has no revisions.")
    width = max(len(one.id) for one in shown.revisions)
    return visible("\n".join(_line(one, width) for one in shown.revisions))


def _line(one: Standing, width: int) -> str:
    name = one.name if one.state != "unknown" else "in the database, and not in the folder"
    validated = f"  (validated: {', '.join(one.validated)})" if one.validated else ""
    return one_line(f"{_MARKS[one.state]} {one.id:<{width}}  {name}{validated}")


def migrated_text(done: Migrated) -> str:
    """What was run or reverted, and where the database stands now."""
    names = {one.id: one.name for one in done.revisions}
    verb = "run" if done.action == "run" else "reverted"
    lines = [
        f"stamped   {one}  {names[one]}: the schema is there already, nothing was run" for one in done.stamped
    ]
    lines += [f"{verb:<10}{one}  {names.get(one, '')}" for one in done.ran]
    pending = [one for one in done.revisions if one.state == "pending"]
    applied = len(done.revisions) - len(pending)
    lines.append(
        f"{'verdict':<10}{done.verdict}: {counted(applied, 'revision')} applied, {len(pending)} pending"
    )
    return visible("\n".join(map(one_line, lines)))


def checked_text(checked: Checked) -> str:
    """Each object that is not as the revisions make it, with both definitions."""
    lines = [f"differs   {one.object}: {one.words}" for one in checked.differs]
    if not checked.differs:
        return visible(f"verdict   current: schema {checked.schema} is what its revisions make")
    count = counted(len(checked.differs), "object")
    lines.append(f"verdict   differs: {count} of schema {checked.schema} not as the revisions make it")
    lines.append("next      undo it, or write it as a revision; then alembic stamp")
    return visible("\n".join(map(one_line, lines)))


def generated_text(done: Generated) -> str:
    """The new file with what it is about, and what is not in it."""
    if done.revision is None:
        return visible("\n".join([f"no difference from {done.origin}: nothing was written", *_left(done)]))
    many = f": {counted(len(done.objects), 'object')}" if done.objects else ""
    lines = [
        f"written   {done.revision.path}",
        f"from      {done.origin}{many}",
        *_left(done),
        "next      read it; then converge migrations run",
    ]
    return visible("\n".join(lines))


def _left(done: Generated) -> list[str]:
    return [one_line(f"left out  {name}") for name in done.left_out]
