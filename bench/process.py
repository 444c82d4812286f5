"""Runs a command and measures what its whole process tree used. Memory is measured on Linux only."""

from __future__ import annotations

import os
import resource
import subprocess
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

INTERVAL = 0.1  # seconds between two looks at the memory


@dataclass(frozen=True)
class Usage:
    """What one run of a command cost."""

    wall: float
    """Seconds from the start of the process to its end."""
    cpu: float
    """User and system seconds of the process and all its descendants."""
    peaks: tuple[int, ...]
    """Peak resident bytes: the first process, then its descendants, largest first; 0 without /proc."""
    together: int
    """Peak bytes of all processes at one moment, shared pages counted once (PSS); 0 where not asked for."""
    status: int
    """Exit status."""
    output: str
    """Standard output and error."""


def _environment() -> dict[str, str]:
    """With byte code, as an installed package has it: else each process compiles every module, for 0.6 s."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def run(command: Sequence[str], *, pss: bool = True) -> Usage:
    """Run `command` to its end. No other child of this process may end meanwhile.

    Without `pss` looking on costs little of the cores that are measured: 1 % of one, not 6 %.
    """
    peaks: dict[int, int] = {}
    seconds: dict[int, float] = {}
    together: list[int] = [0]
    over = threading.Event()
    with tempfile.TemporaryFile() as output:
        before = _children_cpu()
        started = time.perf_counter()
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, env=_environment()
        )
        watcher = threading.Thread(target=_watch, args=(process.pid, peaks, seconds, together, over, pss))
        watcher.start()
        try:
            process.wait()
        finally:
            wall = time.perf_counter() - started
            over.set()
            watcher.join()
            if process.poll() is None:  # interrupted
                process.terminate()
                process.wait()
        # A fork server's children are nobody's when they end: what was last seen of them counts.
        cpu = max(_children_cpu() - before, sum(seconds.values()))
        output.seek(0)
        text = output.read().decode(errors="replace")
    sizes = (peaks.pop(process.pid, 0), *sorted(peaks.values(), reverse=True))
    return Usage(wall, cpu, sizes, max(together), process.returncode, text)


def _children_cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _watch(
    root: int,
    peaks: dict[int, int],
    seconds: dict[int, float],
    together: list[int],
    over: threading.Event,
    pss: bool,
) -> None:
    # VmHWM is the kernel's own record of the peak, so a look in between misses only growth after it.
    while not over.wait(INTERVAL):
        processes = _tree(root)
        for pid in processes:
            if peak := _field(pid, "status", "VmHWM:"):
                peaks[pid] = peak
            if used := _cpu(pid):
                seconds[pid] = used
        if pss:
            together.append(sum(_field(pid, "smaps_rollup", "Pss:") for pid in processes))


def tree_cpu(pid: int) -> float:
    """User and system seconds of a process and its descendants so far, ended ones included (proc(5))."""
    return sum(_cpu(one, ended=True) for one in _tree(pid))


def _cpu(pid: int, *, ended: bool = False) -> float:
    """User and system seconds of one process so far; 0 for one that is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return sum(map(int, fields[11 : 15 if ended else 13])) / os.sysconf("SC_CLK_TCK")


def _tree(root: int) -> list[int]:
    found = [root]
    for pid in found:  # grows while it is read
        # The process, or its thread, may end meanwhile.
        with suppress(OSError):
            for children in Path(f"/proc/{pid}/task").glob("*/children"):
                with suppress(OSError):
                    found += map(int, children.read_text().split())
    return found


def _field(pid: int, file: str, name: str) -> int:
    """Bytes that the kernel reports of a process; 0 when it has ended."""
    try:
        text = Path(f"/proc/{pid}/{file}").read_text(encoding="utf-8")
    except OSError:
        return 0
    for line in text.splitlines():
        if line.startswith(name):
            return int(line.split()[1]) * 1024
    return 0  # a zombie


def cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
