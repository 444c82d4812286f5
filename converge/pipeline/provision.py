"""`converge provision`: databases, roles and extensions, made where they are missing."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing

from converge.codes import Code
from converge.errors import UsageError
from converge.model.endpoint import Endpoint
from converge.model.event import Said, Sink
from converge.model.provision import Provisioned, Wanted
from converge.planner.provision import findings, steps
from converge.postgres.connect import connect
from converge.postgres.provision import carry_out, read_cluster
from converge.run.blockers import require_rights
from converge.run.connections import explained


def provision(admin: Endpoint, wanted: Sequence[Wanted], emit: Sink, *, passwords: bool) -> Provisioned:
    """Looks at all first, then makes what is missing; `passwords` sets those of existing roles.

    Raises BlockedError with all that stands in the way before anything is made, and TargetError.
    """
    if passwords and not any(one.password for one in wanted):
        hint = 'provision = { password_env = "…" }'
        raise UsageError("no entry has a password to be set", code=Code.U034, hint=hint)
    with explained(admin, admin), closing(connect(admin)) as connection:
        cluster = read_cluster(connection, admin, wanted)
    found = findings(wanted, cluster)
    require_rights([one for one in found if one.severity == "block"])
    todo = steps(wanted, cluster, passwords=passwords)
    for one, its in zip(wanted, todo, strict=True):
        emit(Said(f"database {one.name}"))
        carry_out(admin, its)
    return Provisioned(str(admin), cluster.version, tuple(zip(wanted, todo, strict=True)), tuple(found))
