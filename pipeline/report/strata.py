"""AKD by how far a pair has to turn: means over the pairs whose yaw gap lies in a stratum."""

from dataclasses import dataclass, replace

import numpy as np

from pipeline.bench.features import NotMeasured
from pipeline.report.intervals.estimates import Estimate, estimate_mean
from pipeline.report.results import YAW_GAP, Cell, Measured, Results
from pipeline.report.rows import NOT_EVALUATED, Row

EDGES_DEG = (0.0, 10.0, 25.0, np.inf)


@dataclass(frozen=True)
class Stratum:
    """Pairs whose gap is `low` degrees or more, and less than `high`."""

    low: float
    high: float

    @property
    def text(self) -> str:
        """E.g. `10-25`, and `25+` of the last."""
        return f"{self.low:.0f}-{self.high:.0f}" if np.isfinite(self.high) else f"{self.low:.0f}+"

    def of(self, akd: Measured) -> Measured:
        """The column of these pairs."""
        name = f"akd_yaw_{self.text.replace('-', '_').replace('+', '')}"
        return replace(akd, id=f"{akd.id}|yaw gap {self.text}", name=name, label=f"AKD, yaw gap {self.text}°")


STRATA = [Stratum(low, high) for low, high in zip(EDGES_DEG, EDGES_DEG[1:], strict=False)]


def strata_columns(results: Results) -> list[Measured]:
    """A column a stratum, of the AKD that tables print."""
    return [stratum.of(results.measure("akd")) for stratum in STRATA]


def add_strata(results: Results) -> None:
    """Estimate every row's AKD in every stratum, for `results.cell` and `results.strata`."""
    akd, gap = results.measure("akd"), next(m for m in results.measures if m.name == YAW_GAP)
    results.keep_strata(
        _cell(results, dataset, row, akd, gap, stratum)
        for dataset in results.pairs.datasets
        for stratum in STRATA
        for row in results.rows
        if "same" in row.tasks
    )


def _cell(results: Results, dataset: str, row: Row, akd: Measured, gap: Measured, stratum: Stratum) -> Cell:
    where = (dataset, "same", row, stratum.of(akd))
    shared, result = results.shared(dataset, "same", akd), results.of_row.get(row.key)
    try:
        if result is None:
            raise NotMeasured(row.absent or NOT_EVALUATED)
        if reason := result.reason(akd.id) or result.reason(gap.id):
            raise NotMeasured(reason)
        if shared is None:
            raise NotMeasured("no pairs")
        members = shared[0]
        gaps_deg = result.values(dataset, "same", gap.id, members.ids)[0]
        here = (gaps_deg >= stratum.low) & (gaps_deg < stratum.high)
        if not here.any():
            raise NotMeasured(f"no pair has a yaw gap of {stratum.text} degrees")
        values = result.values(dataset, "same", akd.id, members.ids)[:, here]
    except NotMeasured as why:
        return Cell(*where, Estimate(np.nan, np.nan, np.nan, 0, 0, 0), str(why))
    estimate = estimate_mean(values, members.clusters.kept(here), results.min_people)
    return Cell(*where, estimate, "" if np.isfinite(estimate.value) else "no pair could be read")
