"""What `provision` has made, for a terminal."""

from __future__ import annotations

from converge.model.provision import Provisioned
from converge.report.parts import one_line, visible
from converge.report.units import counted


def provision_text(done: Provisioned) -> str:
    """Each database with its owner and what was made for it, then notes and the verdict."""
    lines = [f"{'target':<10}PostgreSQL {done.version} {done.admin}"]
    for wanted, steps in done.databases:
        locale = "".join(
            f", {name} {value}"
            for name, value in (("collation", wanted.collate), ("character type", wanted.ctype))
            if value
        )
        lines += ["", one_line(f"{wanted.name}: {wanted.encoding}{locale}, owner {wanted.role}")]
        lines += [f"  {step.state:<7}{one_line(step.what)}" for step in steps]
    for finding in done.findings:
        lines += ["", f"note      {one_line(finding.message)}", f"          {finding.hint}"]
    made = sum(step.state == "made" for _, steps in done.databases for step in steps)
    lines += ["", f"{'verdict':<10}provisioned: {counted(made, 'thing')} made, the rest was there already"]
    return visible("\n".join(lines))
