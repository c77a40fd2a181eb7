"""Time and processor time of the stages of a graph."""

import subprocess
import sys
from pathlib import Path

from benchmarks.repro import of_published, timed_repro

BUSY = "import time\nwhile time.process_time() < 0.8:\n    pass\n"
GRAPH = """stages:
  idle:
    cmd: sleep 0.8 && touch idle
    outs: [idle]
  busy:
    cmd: {python} busy.py && touch busy
    deps: [idle]
    outs: [busy]
"""


def test_each_stage_has_its_seconds_and_those_of_the_processors(tmp_path: Path):
    subprocess.run([sys.executable, "-m", "dvc", "init", "--no-scm", "--quiet"], cwd=tmp_path, check=True)
    (tmp_path / "busy.py").write_text(BUSY)
    (tmp_path / "dvc.yaml").write_text(GRAPH.format(python=sys.executable))
    rows, seconds = timed_repro(tmp_path)
    assert [row["stage"] for row in rows] == ["idle", "busy"]
    idle, busy = rows
    assert min(idle["seconds"], busy["seconds"]) >= 0.8
    assert busy["processor_seconds"] >= 0.8  # of the sleeping one nothing is sure: others work meanwhile
    assert idle["seconds"] + busy["seconds"] <= seconds + 0.2
    assert timed_repro(tmp_path)[0] == []


def test_what_the_rows_of_published_systems_add():
    assert all(map(of_published, ("parts", "baseline@lsr", "evaluate@lsr")))
    assert not any(map(of_published, ("crop", "train@toy64.puppet.nmfc", "evaluate@toy64.puppet.nmfc", "report")))
