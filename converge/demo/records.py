"""Money, bookings, measurements and the log."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from converge.demo.insert import Row
from converge.demo.text import HARD_LATIN1
from converge.demo.world import START, Table, World, edge

RATES = ("0.000000000000000001", "99999999999999999999.999999999999999999", "1.095500000000000000", "1")
LARGE = "9999999999.9999"

# Names that fit into latin1.
FIRST_NAMES = ("Jörg", "Désirée", "Íñigo", "Åse", "Zoë", "Hans")
LAST_NAMES = ("Peña", "Weiß", "Sjöberg", "Garção", "Boëtius", "Ng")


def invoice(world: World, count: int) -> Iterator[Row]:
    rng = world.rng
    for index in range(count):
        issued = world.day()
        net = rng.randint(100, 10**8)
        yield (
            index + 1,
            rng.choice(world.organisations),
            f"{issued.year}/{index:06d}",
            rng.choice(("open", "paid", "paid", "paid", "overdue", "written off")),
            issued.isoformat(),
            edge(index, (None, "9999-12-31"), (issued + timedelta(days=30)).isoformat()),
            edge(index, ("-" + LARGE, LARGE, "0.0000"), f"{net / 10_000:.4f}"),
            edge(index, ("0.0000", LARGE), f"{net * rng.choice((0, 9, 21)) / 1_000_000:.4f}"),
            edge(index, RATES, "1"),
            rng.choice(("EUR", "EUR", "USD", "JPY")),
            world.text.remark() or "",
        )


def booking(world: World, count: int) -> Iterator[Row]:
    rng = world.rng
    for index in range(count):
        first = world.day()
        yield (
            index + 1,
            rng.choice(world.spaces),
            world.maybe(0.8, rng.choice(world.people)),
            edge(index, (1901, 2155), first.year),
            edge(index, ("1000-01-01",), first.isoformat()),
            edge(index, ("9999-12-31",), (first + timedelta(days=rng.randint(0, 20))).isoformat()),
            edge(
                index,
                ("00:00:00.000", "23:59:59.999"),
                f"{rng.randint(7, 21):02d}:{rng.randrange(60):02d}:00.000",
            ),
            edge(index, ("-838:59:59", "-00:00:01", None, "00:00:00"), f"-{rng.randint(0, 47):02d}:15:00"),
            edge(
                index, ("838:59:59", "24:00:00", None), f"{rng.randint(0, 90):02d}:{rng.randrange(60):02d}:30"
            ),
            edge(index, (0, 255), rng.randint(1, 40)),
            edge(index, (-128, 127), rng.randint(-5, 5)),
        )


def metric_sample(world: World, count: int) -> Iterator[Row]:
    rng = world.rng
    row: Row = ()
    for index in range(count):
        # Every tenth row repeats the one before it: without a key only its count tells them apart.
        if index % 10 != 9:
            row = (
                (START + timedelta(minutes=index)).isoformat(" ", "microseconds"),
                world.maybe(0.9, rng.choice(world.organisations)),
                rng.choice(("requests", "latency p99", "queue\tdepth", "disk C:\\ free")),
                edge(index, (None, -0.0, 5e-300, 1e23), rng.lognormvariate(3, 2)),
                rng.random(),
                edge(index, (None, 0, 255), rng.getrandbits(8)),
            )
        yield row


def legacy_contact(world: World, count: int) -> Iterator[Row]:
    rng = world.rng
    for index in range(count):
        yield (
            # An old numbering that began below zero, and gave out zero.
            index - 4 if index < 5 else index + 100,
            edge(index, HARD_LATIN1, f"{rng.choice(FIRST_NAMES)} {rng.choice(LAST_NAMES)}"),
            edge(index, (None, ""), f"Allée des Tilleuls {rng.randint(1, 200)}"),
            edge(index, HARD_LATIN1, world.maybe(0.5, f"Ruft zurück: „später“, {rng.randint(2, 90)} €")),
            edge(index, ("", "contacts-2009.csv"), world.uuid()),
        )


def export_job(world: World, count: int) -> Iterator[Row]:
    yield from ()


def audit_log(world: World, count: int) -> Iterator[Row]:
    rng = world.rng
    for index in range(count):
        target = rng.choice(("article", "space", "person"))
        keys = {"article": world.articles, "space": world.spaces, "person": world.people}[target]
        detail = world.document(
            index, {"fields": rng.sample(("title", "body", "tags", "status"), 2), "n": index}
        )
        yield (
            # The last ids are near the end of a signed 64-bit integer's exact doubles.
            index + 1 if index < count - 3 else 2**53 + index,
            world.moment(),
            world.moment("milliseconds"),
            world.maybe(0.9, rng.choice(world.people)),
            rng.choice(("create", "read", "update", "delete", "sign in", "sign out")),
            target,
            edge(index, (None, "", "NULL"), rng.choice(keys)),
            world.maybe(0.8, rng.randbytes(16)),
            edge(index, (0, 16_777_215, None), rng.randrange(5000)),
            world.maybe(0.5, detail),
        )


TABLES = (
    Table(
        "invoice",
        "id organisation_id reference state issued_on due_on net tax rate currency note",
        invoice,
        30,
    ),
    Table(
        "booking",
        "id space_id person_id season first_day last_day begins reminder effort people order",
        booking,
        20,
    ),
    Table("metric_sample", "taken_at organisation_id name value share flags", metric_sample, 60),
    Table("legacy_contact", "id name street remark imported_from", legacy_contact, 12),
    Table("export_job", "id requested_by options finished_at", export_job, 0),
    Table(
        "audit_log",
        "id occurred_at received_at actor_id action subject subject_id request_id milliseconds detail",
        audit_log,
        149,
    ),
)
