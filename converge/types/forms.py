"""Every form that a text can take in PostgreSQL."""

from __future__ import annotations

from converge.types.as_array import AsArray
from converge.types.as_bytes import AsBytes
from converge.types.as_json import AsJson, AsJsonb
from converge.types.as_label import AsLabel
from converge.types.as_shape import AsAddress, AsShape
from converge.types.as_text import AsText
from converge.types.as_uuid import AsUuid
from converge.types.form import Form
from converge.types.names import base_name

_FORMS: tuple[Form, ...] = (
    AsText(), AsBytes(), AsUuid(), AsJson(), AsJsonb(), AsShape(), AsAddress(), AsLabel(), AsArray(),
)  # fmt: skip
_BY_TARGET = {target: form for form in _FORMS for target in form.targets}

MADE = frozenset(_BY_TARGET) - AsLabel.targets - AsArray.targets
"""Base names of the types that any text can become."""


def form_of(to: str) -> Form:
    """The form of a target type. Raises KeyError for one that no text can become."""
    return _BY_TARGET[base_name(to)]
