"""Removing a server's folder."""

from __future__ import annotations

import shutil
import time
from pathlib import Path


def remove(folder: Path) -> None:
    """Removes a folder, also while the last child of a server still writes to it."""
    for _ in range(50):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
        time.sleep(0.1)
