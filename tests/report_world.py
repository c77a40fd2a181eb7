"""The toy benchmark with results of all its rows and a report of them, for tests of what reports say."""

import csv
import io
import json
from pathlib import Path

import numpy as np

from pipeline.bench.pair_frames import load_pair_frames
from pipeline.bench.scoring import Scorer
from pipeline.controls.yardsticks import control_frames
from pipeline.metrics.readings import Readings
from pipeline.report.report import NO_OWN, write_report
from pipeline.report.rows import all_rows, control_rows, paper_rows
from pipeline.store.clips import encode_png
from tests.benchmark_world import BENCH, MODEL, PARAMS, REPORT, FakeJudge, make_clips, make_measures, make_pairs
from tests.helpers import ROOT

PAPER = ROOT / "reports" / "paper.csv"
ROWS = all_rows(BENCH, MODEL, has_truth=False)


def make_world(folder: Path) -> None:
    """Results of five rows (the better the later), and of two controls; no baselines."""
    make_clips(folder / "clips")
    make_pairs(folder / "pairs.parquet")
    pairs, hashes = load_pair_frames(folder / "pairs.parquet", folder / "clips")
    scorer = Scorer(pairs, hashes, make_measures(FakeJudge()), Readings(folder / "scratch", 16))
    for number, row in enumerate(paper_rows(BENCH)):
        mix = 0.2 * number * pairs.driving_u8[:] + (1 - 0.2 * number) * pairs.source_u8[:]
        frames = encode_png(mix.round().astype(np.uint8))
        scorer.save_and_score(row.key, row.tasks, [frames], folder / "results" / row.results)
    for row in control_rows(False):
        chosen = pairs.select(np.isin(pairs.task, row.tasks))
        frames = control_frames(row.key, chosen, PARAMS, folder)
        scorer.save_and_score(row.key, row.tasks, frames, folder / "results" / row.results)
    (folder / "out" / "fit").mkdir(parents=True)
    (folder / "out" / "fit" / "one.json").write_text(json.dumps({"noise_floor": {"aed": 0.0123, "apd_deg": 1.5}}))
    (folder / "out" / "figures").mkdir()
    (folder / "out" / "figures" / "tiny.one.nmfc.png").write_bytes(b"\x89PNG picture")
    report(folder)


def report(folder: Path, out: str = "out", **options: object) -> Path:
    params = type(PARAMS)(**{**vars(PARAMS), "report": REPORT.model_copy(update=options)})
    write_report(
        params,
        ROWS,
        results=folder / "results",
        pairs=folder / "pairs.parquet",
        ledger=folder / "clips" / "ledger.parquet",
        paper=PAPER,
        reference=folder / "reference",
        fit_reports=folder / "out" / "fit",
        figures=folder / "out" / "figures",
        costs=folder / "costs",
        out=folder / out,
    )
    return folder / out


def scores(world: Path) -> dict[tuple[str, str, str, str], dict[str, str]]:
    lines = csv.DictReader(io.StringIO((world / "out/tables/scores.csv").read_text()))
    return {(x["dataset"], x["task"], x["method"], x["metric"]): x for x in lines}


def differences(folder: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO((folder / "tables/differences.csv").read_text())))


def report_into(out, world, *, results, pairs, rows=ROWS, own=NO_OWN):
    """A report of these results, without figures or fit reports."""
    ledger = world / "clips" / "ledger.parquet"
    write_report(
        PARAMS,
        rows,
        results=results,
        pairs=pairs,
        ledger=ledger,
        paper=PAPER,
        reference=out,
        fit_reports=out,
        figures=out,
        costs=out,
        out=out,
        own=own,
    )
