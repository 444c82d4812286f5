"""Imported by the process from which the tests' commands are forked: what each of them would do once.

It saves a third of a command's CPU. Nothing of it is in the product: a command of a user is one process.
"""

from __future__ import annotations

import gc
import importlib

import click
import support

from converge import codes, providers
from converge.cli import COMMANDS, _group
from converge.mapping import read
from converge.model.evidence import Evidence
from converge.model.plan import Plan
from converge.model.recorded import Made, RunOptions, _adapter
from converge.model.result import Result
from converge.translate import functions

assert support  # which has the function that the commands begin with
importlib.import_module("converge.run.workers")
for name in COMMANDS:
    _group.get_command(click.Context(_group), name)
codes.registry()
providers.providers()
functions.by_name()
read.load()
for kind in (Plan, Evidence, Result, RunOptions, Made):
    _adapter(kind)
# A collection would write to all that is shared.
gc.collect()
gc.freeze()
