"""Free TCP ports on 127.0.0.1."""

from __future__ import annotations

import socket


def free() -> int:
    """A port that was free a moment ago; whoever uses it must be ready to ask for another one."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
