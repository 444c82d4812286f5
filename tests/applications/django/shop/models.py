"""Every field of Django whose type differs between the two servers, and each way to refer to a row."""

import uuid

from django.conf import settings
from django.contrib.contenttypes.fields import GenericForeignKey
from django.contrib.contenttypes.models import ContentType
from django.contrib.sites.models import Site
from django.db import models


class Tag(models.Model):
    word = models.CharField(max_length=20)
    content_type = models.ForeignKey(ContentType, null=True, on_delete=models.CASCADE)
    object_id = models.CharField(max_length=40, null=True)
    about = GenericForeignKey()

    class Meta:
        unique_together = [("word", "content_type", "object_id")]
        constraints = [models.CheckConstraint(condition=~models.Q(word=""), name="has_a_word")]


class Item(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL)
    site = models.ForeignKey(Site, null=True, on_delete=models.CASCADE)
    tags = models.ManyToManyField(Tag)
    name = models.CharField(max_length=40, unique=True)
    slug = models.SlugField(null=True)
    text = models.TextField(default="")
    flag = models.BooleanField(null=True)
    made = models.DateTimeField(null=True)
    day = models.DateField(null=True)
    opens = models.TimeField(null=True)
    lasts = models.DurationField(null=True)
    facts = models.JSONField(default=dict)
    address = models.GenericIPAddressField(null=True)
    data = models.BinaryField(null=True)
    price = models.DecimalField(max_digits=12, decimal_places=3, null=True)
    weight = models.FloatField(null=True)
    small = models.PositiveSmallIntegerField(null=True)
    count = models.PositiveIntegerField(null=True)
    big = models.PositiveBigIntegerField(null=True)
    file = models.FileField(null=True)
