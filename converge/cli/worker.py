"""`converge worker`."""

from __future__ import annotations

import json

import click

from converge.cli.many import only
from converge.cli.options import output_options, place_options
from converge.model.documents import head
from converge.model.event import Sink
from converge.run.options import default_jobs
from converge.settings.addresses import Where, databases
from converge.signals import Leaving


@click.command("worker")
@click.option("--source", metavar="URL", help="mysql://…; or set CONVERGE_SOURCE_URL")
@click.option("--join", "target", metavar="URL", help="the run's target; or set CONVERGE_TARGET_URL")
@place_options
@click.option(
    "--run", type=int, metavar="ID", help="the run to join  [default: the next that awaits workers]"
)
@click.option(
    "--jobs",
    type=click.IntRange(1, 64),
    default=default_jobs,
    show_default="cores, 2 to 8",
    help="number of worker processes and connections",
)
@click.option(
    "--wait-seconds", type=click.FloatRange(0), default=600, help="wait for the run at most for this time"
)
@output_options
def command(
    where: Where,
    run: int | None,
    jobs: int,
    wait_seconds: float,
    as_json: bool,
    emit: Sink,
) -> int:
    """Work for a run on another machine: copy and compare what it hands out, until it is finished.

    The run is begun with `converge migrate --workers join:N`. Both addresses are this machine's own. SIGTERM
    lets tasks that have begun end, and leaves; the run goes on. A worker that comes after the run's snapshot
    helps only with the target's side of the comparison.

    \b
    Examples:
      converge worker --join postgresql://me@db.example/shop --source mysql://me@mysql.example/shop
      converge worker --run 3 --jobs 4
    """
    from converge.cluster.join import Joining, serve

    leaving = Leaving()
    leaving.install()
    one = only(databases(where))
    ended = serve(Joining(one.source, one.target, run, jobs, wait_seconds, leaving.asked, emit))
    click.echo(json.dumps(head("worker", "finished") | {"message": ended}) if as_json else ended)
    return 0
