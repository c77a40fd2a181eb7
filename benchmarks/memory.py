"""Memory of a process and of all that it starts, seen from outside."""

import os
import resource
import subprocess
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TypedDict

EVERY_S = 0.1


class Used(TypedDict):
    """What a command used: peak of anonymous memory of its tree in bytes, how often that was looked at, seconds."""

    peak_bytes: int
    samples: int
    wall_s: float
    cpu_s: float


def anonymous_bytes(root: int) -> int:
    """Sum RssAnon of a process and its descendants: what no file stands behind, so that nothing else can hold it."""
    parent_of, anonymous = {}, {}
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended meanwhile
        parent_of[int(lines["Pid"])] = int(lines["PPid"])
        anonymous[int(lines["Pid"])] = 1024 * int(lines.get("RssAnon", "0 kB").split()[0])  # kernel threads have none
    tree, grown = {root}, True
    while grown:
        children = {pid for pid, parent in parent_of.items() if parent in tree} - tree
        tree, grown = tree | children, bool(children)
    return sum(anonymous.get(pid, 0) for pid in tree)


def measured(command: Sequence[str], environment: dict[str, str]) -> tuple[Used, str]:
    """Run a command; returns what it used and its standard output.

    Raises:
        RuntimeError: it failed.
    """
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    begun = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, **environment})
    seen = [0]

    def watch() -> None:
        while process.poll() is None:
            seen.append(anonymous_bytes(process.pid))
            time.sleep(EVERY_S)

    watcher = threading.Thread(target=watch)
    watcher.start()
    out, _ = process.communicate()
    watcher.join()
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} failed with exit code {process.returncode}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    wall_s = time.perf_counter() - begun
    return Used(peak_bytes=max(seen), samples=len(seen) - 1, wall_s=wall_s, cpu_s=cpu_s), out
