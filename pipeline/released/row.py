"""The models of a published system: its released weights in the form of all models, or why there are none."""

from collections.abc import Iterator
from pathlib import Path

from pipeline.console import say
from pipeline.methods.published import PublishedRow, write_rows
from pipeline.methods.release import OFFICIAL
from pipeline.methods.table import BASELINES
from pipeline.params.tree import BenchParams
from pipeline.store.assets import AssetMissing, require

NOT_TAUGHT = "this version trains the PWM alone: of published systems it has the released weights (`official`)"


def write_models(system: str, bench: BenchParams, out: Path) -> None:
    """Write a published system's models, one a source of `bench.baselines`, and which rows they give.

    Args:
        system: its name.
        bench: section `bench`.
        out: folder of its models; `out/<source>` is a model as the stage `train` leaves one.

    Raises:
        AssetRefused: the imported file is not the one on record.
        ValueError: there is no system of this name, or its imported file is another one's.
    """
    if system not in BASELINES:
        raise ValueError(f"there is no published system {system!r}: there are {', '.join(BASELINES)}")
    rows = [row for source in bench.baselines for row in _rows(system, source, bench, out / source)]
    for row in rows:
        say(f"{system} {row.folder}: {row.absent or f'-> {out / row.source}'}")
    write_rows(out, rows)


def _rows(system: str, source: str, bench: BenchParams, model: Path) -> Iterator[PublishedRow]:
    if source != OFFICIAL:
        yield PublishedRow(source, absent=NOT_TAUGHT)
        return
    try:
        weights = require(system)
    except AssetMissing as missing:
        yield PublishedRow(source, absent=str(missing))
        return
    from pipeline.methods.registry import adapter_named

    adapter = adapter_named(system)
    reason = adapter.why_not_released((bench.head, bench.head2))
    if not reason:
        _copy(system, weights, model)
    yield PublishedRow(source, absent=reason, notes=adapter.notes)
    if not reason and bench.own_crops and adapter.has_own_crop:
        yield PublishedRow(source, own_crop=True, notes=adapter.notes)


def _copy(system: str, weights: Path, out: Path) -> None:
    from model.method.files import save_model
    from pipeline.released.normalised import facts_in, load_released

    save_model(out, system, load_released(system, weights), None, 0, facts_in(weights), made=OFFICIAL)
