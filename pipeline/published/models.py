"""The models of a published system, from each source that `bench.baselines` names, or why there are none."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipeline.console import say
from pipeline.method_table import BASELINES
from pipeline.methods.published import PublishedRow, sources_of, write_rows
from pipeline.methods.release import OFFICIAL
from pipeline.params.sections.base import Section
from pipeline.params.tree import Params
from pipeline.store.assets import AssetMissing, require
from pipeline.store.costs import write_costs
from pipeline.store.parts import PartStore
from pipeline.training.inputs import TrainInputs


class Workshop:
    """Where the models of published systems are made of what.

    Args:
        params: all parameters.
        data: the graph's folder, with clips, fits, heads and part labels below it.
        device: name of the device to train on, as of the commands' option.
        compiling: whether a training on CUDA is compiled.
        previews_every: steps between two contact sheets of a training; 0 makes none.
    """

    def __init__(
        self, params: Params, data: Path, device: str = "auto", compiling: bool = True, previews_every: int = 0
    ) -> None:
        self._params, self._bench, self._data, self._device = params, params.bench, data, device
        self._how: dict[str, Any] = {"compiling": compiling, "previews_every": previews_every}

    def rows(self, system: str) -> list[PublishedRow]:
        """Which rows a system has by the current parameters and imported files, and why some have no numbers.

        Raises:
            AssetRefused: the imported file is not the one on record.
            ValueError: there is no system of this name.
        """
        if system not in BASELINES:
            raise ValueError(f"there is no published system {system!r}: there are {', '.join(BASELINES)}")
        rows: list[PublishedRow] = []
        for source in sources_of(system, self._bench.baselines, self._bench.recipe):
            rows += self._released(system) if source == OFFICIAL else [self._trained(system, source)]
        return rows

    def write_models(self, system: str, out: Path, costs: Path | None = None) -> None:
        """Write a system's models, `out/<source>`, and which rows they give (`out/rows.json`).

        Args:
            system: name of the system.
            out: folder of its models.
            costs: file for what the one that is trained here cost; it says so where none is.

        Raises:
            AssetRefused: the imported file is not the one on record.
            ValueError: there is no system of this name, or its imported file is another one's.
        """
        from model.training.launched import leads

        rows = self.rows(system)
        if costs is not None and leads():
            write_costs(costs, None)
        for row in rows:
            if not row.absent and not row.own_crop:  # which is another row of the same model
                if row.source != OFFICIAL:
                    self._train(system, row.source, out / row.source, costs)  # by all processes of a launcher
                elif leads():
                    self._take_over(system, out / row.source)
            if leads():
                say(f"{system} {row.folder}: {row.absent or f'-> {out / row.source}'}")
        if leads():
            write_rows(out, rows)

    def _released(self, system: str) -> Iterator[PublishedRow]:
        from pipeline.methods.registry import adapter_named

        try:
            require(system)
        except AssetMissing as missing:
            yield PublishedRow(OFFICIAL, absent=str(missing))
            return
        adapter = adapter_named(system)
        heads = (self._bench.head, self._bench.head2)
        reason = adapter.why_not_released({head: self._params.fit_of(head).tracker for head in heads})
        yield PublishedRow(OFFICIAL, absent=reason, notes=adapter.notes)
        if not reason and self._bench.own_crops and adapter.has_own_crop:
            yield PublishedRow(OFFICIAL, own_crop=True, notes=adapter.notes)

    def _trained(self, system: str, recipe: str) -> PublishedRow:
        section = self._params.networks[recipe].of(system)
        if section is None:
            return PublishedRow(recipe, absent=f"it is not trained here: networks.{recipe} has no {system}")
        return PublishedRow(recipe, absent=self._no_parts(section) if section.needs_parts else "")

    def _no_parts(self, section: Section) -> str:
        """Why there are no part labels; empty where there are some."""
        parts = self._inputs(section).parts
        assert parts is not None
        return PartStore(parts).why

    def _take_over(self, system: str, out: Path) -> None:
        """Write the model of an imported release."""
        from model.method.files import save_model
        from pipeline.released.normalised import facts_in, load_released

        weights = require(system)
        save_model(out, system, load_released(system, weights), None, 0, facts_in(weights), made=OFFICIAL)

    def _train(self, system: str, recipe: str, out: Path, costs: Path | None) -> None:
        """Train a system as our rows are: the same recipe, pairs and seeds."""
        from pipeline.store.compute.devices import device_named
        from pipeline.training.row import train_seeds

        section = self._params.networks[recipe].of(system)
        assert section is not None  # as `_trained` found
        inputs = self._inputs(section)
        job = f"{recipe}.{system}", "", self._params.recipes[recipe], section, inputs, out
        place, count = device_named(self._device), self._bench.seeds
        train_seeds(*job, place, count, system, **self._how, costs=costs)

    def _inputs(self, section: Section) -> TrainInputs:
        return TrainInputs.of(self._data, self._params.head_of(section))
