"""Take over a finished run that an earlier layout of this project made, without making anything again.

DVC compares what a stage depends on by path, so after files of the project have moved it would run everything anew.
Here each output is checked against the current parameters and against what it was made from, as its own metadata say;
those that agree can be committed to dvc.lock as they lie, the others are left for `dvc repro` with the reason.
"""

import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pipeline.adoption.agree import agree
from pipeline.adoption.models import check_published, check_row
from pipeline.instrument_table import INSTRUMENTS
from pipeline.method_table import BASELINES
from pipeline.params.tree import Params
from pipeline.report.rows import pwm_rows
from pipeline.store.assets import AssetMissing, recorded_sha256
from pipeline.store.clips import FOLDERS, ClipStore
from pipeline.store.costs import write_costs
from pipeline.store.schema import INDEX, LEDGER, PAIRS, metadata_of, read_table


@dataclass(frozen=True)
class Finding:
    """What was found of one stage: its outputs agree where `reason` is empty, else why they do not."""

    stage: str
    reason: str


def adoptable(params: Params, data: Path) -> Iterator[Finding]:
    """Check the outputs of every stage up to training.

    A stage whose inputs do not agree does not agree either. Evaluation and reports are not looked at: they take
    minutes, and `dvc repro` makes them from what was adopted.

    Args:
        params: the current parameters.
        data: folder of the stages' outputs.
    """
    done: set[str] = set()
    for stage, needed, check in _checks(params, data):
        missing = [name for name in needed if name not in done]
        reason = f"{missing[0]} cannot be taken over" if missing else _reason(check)
        if not reason:
            done.add(stage)
        yield Finding(stage, reason)


def commit(stages: Sequence[str], project: Path) -> None:
    """Let DVC take the outputs of stages as they lie, whatever its lock file says.

    The stages `weights`, `landmarks` and `parts`, which earlier layouts did not have, run first: the others depend on
    their files. Where videos come without landmarks, `landmarks` looks at all of them.

    Raises:
        RuntimeError: DVC refuses, and has said why.
    """
    for row in (stage.partition("@")[2] for stage in stages if stage.startswith(("train@", "baseline@"))):
        if not (costs := project / "data" / "costs" / f"{row}.json").exists():
            write_costs(costs, None)  # nobody measured what it cost
    first = [["repro", "--quiet", "weights"]]
    if "crop" in stages:  # what it looks at may itself be taken over, so nothing before it runs
        first += [["repro", "--quiet", "--single-item", name] for name in ("landmarks", "parts")]
    for command in (*first, ["commit", "--quiet", "--force", *stages]):
        if subprocess.run([sys.executable, "-m", "dvc", *command], cwd=project, check=False).returncode:
            raise RuntimeError(f"`dvc {' '.join(command)}` failed; it has said why")


def check_fit_weights(where: str, tracker: str, weights_sha256: str | None) -> None:
    """Refuse fits of a tracker whose imported weights are another release now.

    Args:
        where: what holds the fits, for messages.
        tracker: a key of `pipeline.trackers.table.TRACKERS`.
        weights_sha256: of the network that made the fits.

    Raises:
        ValueError: the weights on record are others.
    """
    if own := INSTRUMENTS[tracker].weights[:1]:
        agree(where, f"weights of {tracker}", weights_sha256, recorded_sha256(*own))


def _reason(check: Callable[[], None]) -> str:
    try:
        check()
    except (OSError, ValueError, KeyError, AssertionError, AssetMissing) as error:
        return str(error) or type(error).__name__
    return ""


Check = tuple[str, list[str], Callable[[], None]]  # stage, stages that it needs, what raises where it cannot be adopted


def _checks(params: Params, data: Path) -> Iterator[Check]:
    bench = params.bench
    heads = (bench.head, bench.head2)
    videos = [f"videos@{corpus}" for corpus in bench.corpora]
    yield "heads", [], partial(_check_heads, heads, data)
    for corpus, stage in zip(bench.corpora, videos, strict=True):
        yield stage, [], partial(_check_corpus, params, corpus, data)
    yield "crop", videos, partial(_check_clips, params, data)
    for head in heads:
        yield f"fit@{head}", ["heads", "crop"], partial(_check_fits, params, head, data)
    yield "pairs", ["crop", *(f"fit@{head}" for head in heads)], partial(_check_pairs, params, data)
    for row in pwm_rows(bench, params.model):
        yield f"train@{row.key}", ["crop", f"fit@{row.head}"], partial(check_row, params, row, data)
    for system in BASELINES:
        section = params.networks[bench.recipe].of(system)
        needed = ["crop", f"fit@{params.head_of(section) if section else bench.head}"]
        yield f"baseline@{system}", needed, partial(check_published, params, system, data)


def _check_heads(heads: tuple[str, str], data: Path) -> None:
    from model.heads.head import load_head

    for head in heads:
        found = load_head(data / "heads" / f"{head}.npz").name
        agree(f"{head}.npz", "head", found, head)


def _check_corpus(params: Params, corpus: str, data: Path) -> None:
    from pipeline.puppets.clip import plan_corpus

    folder = data / "videos" / corpus
    found = read_table(folder / "people.parquet").to_pylist()
    plans = plan_corpus(params.puppets, params.puppets.corpora[corpus])
    agree(str(folder), "people", [(p["person"], p["video"], p["seed"]) for p in found],
           [(plan.person_id, plan.video, plan.seed) for plan in plans])  # fmt: skip
    absent = [plan.video for plan in plans if not (folder / "videos" / f"{plan.video}.mp4").is_file()]
    if absent:
        raise ValueError(f"{folder} lacks {len(absent)} videos, e.g. {absent[0]}.mp4")


def _check_clips(params: Params, data: Path) -> None:
    from pipeline.cropping.protocol import crop_facts

    wanted = crop_facts(tuple(params.data.sources().values()), params.crop)
    for folder in FOLDERS.values():
        path = data / "clips" / folder
        facts = metadata_of(read_table(path / "index.parquet", INDEX))
        read_table(path / "ledger.parquet", LEDGER)
        for name, value in wanted.items():
            agree(str(path), name, facts.get(name), value)
        store = ClipStore(path)
        for clip in store.clips():
            shard, _ = store.place(clip)
            if not shard.is_file():
                raise FileNotFoundError(f"{shard} is missing, though {path}/index.parquet names it")


def _check_fits(params: Params, head: str, data: Path) -> None:
    from model.heads.head import load_head

    arrays = load_head(data / "heads" / f"{head}.npz")
    for folder in FOLDERS.values():
        path = data / "fits" / head / f"{folder}.parquet"
        table = read_table(path)
        facts = metadata_of(table)
        agree(str(path), "head_sha256", facts.get("head_sha256"), arrays.sha256)
        agree(str(path), "tracker", facts.get("tracker"), params.fit_of(head).tracker)
        check_fit_weights(str(path), params.fit_of(head).tracker, facts.get("weights_sha256"))
        store = ClipStore(data / "clips" / folder)
        agree(str(path), "clips", sorted(table.column("clip").unique().to_pylist()), sorted(store.clips()))
        agree(str(path), "frames", table.num_rows, sum(store.num_frames(clip) for clip in store.clips()))
    if not (data / "fits" / head / "report.json").is_file():
        raise FileNotFoundError(f"there is no report in {data / 'fits' / head}")


def _check_pairs(params: Params, data: Path) -> None:
    from pipeline.bench.pairs import draw_pairs, pairs_sha256

    folder = FOLDERS["test"]
    fits = [data / "fits" / head / f"{folder}.parquet" for head in (params.bench.head, params.bench.head2)]
    index = read_table(data / "clips" / folder / "index.parquet", INDEX)
    drawn, _ = draw_pairs(index, [read_table(path) for path in fits], params.pairs)
    found = pairs_sha256(read_table(data / "pairs.parquet", PAIRS))
    agree("pairs.parquet", "sha256", found, pairs_sha256(drawn))
