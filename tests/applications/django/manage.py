"""A Django project in the database that DATABASE_URL names."""

import os
import sys
from urllib.parse import urlsplit

from django.conf import settings
from django.core.management import execute_from_command_line

URL = urlsplit(os.environ["DATABASE_URL"])

if URL.scheme == "mysql":
    import pymysql

    pymysql.install_as_MySQLdb()

settings.configure(
    SECRET_KEY="secret",
    USE_TZ=True,
    SITE_ID=1,
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
    # Pages and their middleware are not looked at.
    SILENCED_SYSTEM_CHECKS=["admin.E403", "admin.E408", "admin.E409", "admin.E410"],
    INSTALLED_APPS=[
        *(
            f"django.contrib.{name}"
            for name in (
                "admin",
                "auth",
                "contenttypes",
                "sessions",
                "messages",
                "sites",
                "flatpages",
                "redirects",
            )
        ),
        "shop",
    ],
    DATABASES={
        "default": {
            "ENGINE": f"django.db.backends.{URL.scheme}",
            "NAME": URL.path[1:],
            "USER": URL.username,
            "HOST": URL.hostname,
            "PORT": URL.port,
        }
    },
)
execute_from_command_line(sys.argv)
