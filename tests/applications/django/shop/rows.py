"""Rows as an application writes them: everything below goes through Django's models."""

from datetime import UTC, date, datetime, time, timedelta

from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, Permission, User
from django.contrib.contenttypes.models import ContentType
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sites.models import Site

from shop.models import Item, Tag


def make() -> None:
    ann = User.objects.create_superuser("ann", "Ann@example.com", "s3cret")
    bo = User.objects.create_user("Bo", password=None)
    editors = Group.objects.create(name="editors")
    editors.permissions.set(Permission.objects.filter(content_type__app_label="shop"))
    bo.groups.add(editors)
    site = Site.objects.create(domain="shop.example", name="Shop")
    item = Item.objects.create(
        owner=ann,
        site=site,
        name="Ünïcode \U0001f600",
        slug="unicode",
        text="a\r\nb\\\t",
        flag=True,
        made=datetime(2024, 3, 31, 1, 30, 0, 123456, tzinfo=UTC),
        day=date(2024, 2, 29),
        opens=time(23, 59, 59, 999999),
        lasts=timedelta(days=400, microseconds=1),
        facts={"a": [1, None, {"ü": 1.5}]},
        address="2001:db8::1",
        data=b"\0\xff\\",
        price="123456789.125",
        weight=0.1,
        small=32767,
        count=2**31 - 1,
        big=2**63 - 1,
        file="a/b.txt",
    )
    Item.objects.create(name="plain")
    Item.objects.create(name="negative", flag=False, lasts=timedelta(seconds=-1.5), address="10.0.0.1")
    item.tags.add(Tag.objects.create(word="new", about=item))
    session = SessionStore()
    session["_auth_user_id"] = str(ann.pk)
    session.create()
    LogEntry.objects.create(
        user=ann,
        content_type=ContentType.objects.get_for_model(Item),
        object_id=str(item.pk),
        object_repr=item.name,
        action_flag=1,
    )


def use() -> None:
    """What was there can be found, changed and removed, and new rows get free ids."""
    item = Item.objects.get(address="2001:db8::1", lasts__gt=timedelta(days=399), facts__a__0=1)
    assert item.owner.check_password("s3cret")
    assert Tag.objects.get(object_id=str(item.pk)).about == item
    assert User.objects.get(username="Bo").has_perm("shop.change_item")
    old = {model: {row.pk for row in model.objects.all()} for model in (User, Group, Site, Tag, LogEntry)}
    make_more = Item.objects.create(
        name="new", owner=User.objects.create_user("Cy"), lasts=item.lasts, flag=True
    )
    make_more.tags.add(Tag.objects.create(word="newer", about=item))
    assert not old[User] & {make_more.owner.pk}
    assert [one.name for one in Item.objects.filter(lasts=item.lasts).order_by("made")] == [item.name, "new"]
    make_more.owner.delete()
    Site.objects.get(domain="shop.example").delete()
    assert not Item.objects.filter(pk=item.pk).exists()
