"""What docs/eighth_baseline.md says to do, done to a copy of the project; run in the copy, a row of the new system.

python -m tests.eighth_system SYSTEM RELEASE FOLDER
"""

import json
import re
import sys
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import patch

from tests.helpers import ROOT

PAGE = ROOT / "docs" / "eighth_baseline.md"


def write_files(project: Path) -> list[str]:
    """Write the page's files, and return their paths in the project."""
    blocks = re.findall(r"```\w+\n((?:# |<!-- )([\w/.]+)(?: -->)?\n.*?)```", PAGE.read_text(), re.DOTALL)
    for text, name in blocks:
        path = project / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.partition("\n")[2])
    return [name for _, name in blocks]


def lines_to_insert(file: str) -> dict[str, str]:
    """The page's table for a file: how the line above begins -> the line that comes."""
    rows = re.findall(r"^\| `([^`]+)` \| `([^`]+)` \| `([^`]+)` \|$", PAGE.read_text(), re.MULTILINE)
    return {above: line for name, above, line in rows if name == file}


def insert_lines(project: Path, file: str) -> int:
    """Insert the page's lines into a file; returns how many."""
    wanted, found = lines_to_insert(file), []
    count = 0
    for line in (project / file).read_text().splitlines():
        found.append(line)
        for above, new in wanted.items():
            if line.lstrip().startswith(above):
                found.append(line[: len(line) - len(line.lstrip())] + new)
                count += 1
    (project / file).write_text("\n".join(found) + "\n")
    return count


def row_of(system: str, release: Path, folder: Path) -> dict:
    """Import a release, make its model and evaluate its row on toy clips; run in the project that has the system.

    Returns:
        Label and key of its rows, ids of scored pairs, and the predicted frames' largest error from half source and
        half driving frame, in levels of 255.
    """
    import numpy as np
    import pyarrow.ipc
    import pyarrow.parquet as pq
    import torch
    from torch import Tensor
    from typer.testing import CliRunner

    from model.frame.coords import frames_to_tensor, tensor_to_frames
    from pipeline.bench.evaluate import evaluate_published
    from pipeline.bench.opening import EvaluateInputs
    from pipeline.bench.pair_frames import load_pair_frames
    from pipeline.cli import app
    from pipeline.methods.placement import resized
    from pipeline.params.tree import load_params
    from pipeline.report.rows import baseline_rows, published_rows
    from pipeline.store.clips import decode_frame
    from stages.baseline import run as make_models
    from tests.benchmark_world import BENCH, PARAMS, FakeJudge, make_clips, make_measures, make_pairs

    done = CliRunner().invoke(app, ["assets", "import", system, str(release)])
    assert done.exit_code == 0, done.output
    make_clips(folder / "clips")
    make_pairs(folder / "pairs.parquet")
    params = load_params()
    released = params.model_copy(update={"bench": params.bench.model_copy(update={"baselines": ["official"]})})
    make_models(released, system, data=folder / "none", out=folder / "models" / system, device="cpu")
    settings = SimpleNamespace(**{**vars(PARAMS), "metrics": None, "fit": params.fit})
    inputs = EvaluateInputs(clips=folder / "clips", heads=folder / "none", pairs=folder / "pairs.parquet")
    results = folder / "results" / system
    with patch("pipeline.bench.opening.open_measures", lambda *_: make_measures(FakeJudge())):
        evaluate_published(
            settings, system, inputs, folder / "models", folder / "none", results, torch.device("cpu")
        )  # fmt: skip
    rows = [row for row in baseline_rows(BENCH, published_rows(folder / "results")) if row.system == system]
    pairs = load_pair_frames(folder / "pairs.parquet", folder / "clips")[0]
    with pyarrow.ipc.open_file(results / "official" / "predictions.arrow") as reader:
        made = np.stack([decode_frame(png) for png in reader.read_all()["png"].to_pylist()])

    def through(frames_u8: np.ndarray) -> Tensor:
        img = frames_to_tensor(torch.from_numpy(frames_u8))
        return resized(resized(img, (64, 64)), pairs.size_hw)

    expected = tensor_to_frames((through(pairs.source_u8[:]) + through(pairs.driving_u8[:])) / 2).numpy()
    scores = pq.read_table(results / "official" / "scores.parquet")
    return {
        "rows": [[row.key, row.label, row.absent, list(row.notes)] for row in rows],
        "pairs": len(pairs),
        "scored": len(set(scores["pair_id"].to_pylist()) & set(pairs.pair_id.tolist())),
        "off": int(np.abs(made.astype(int) - expected).max()),
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(row_of(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))) + "\n")
