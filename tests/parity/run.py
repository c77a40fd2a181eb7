"""Run the checks over a folder of fixtures: one line a fixture."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.store.registry import resolve
from tests.parity.compare import Check, Output, worst
from tests.parity.golden import GEOMETRY, Fixture, Golden, fixtures_of

OK, FAILED, NOT_YET, ABSENT = "ok", "FAILED", "not yet", "absent"
HEADER = f"{'fixture':32} {'seed':>4} {'largest error':>14} {'tolerance':>10}  ok"


@dataclass(frozen=True)
class Line:
    """What is printed for one fixture; error and tolerance are those of its worst output."""

    name: str
    seed: int | None
    verdict: str
    output: Output | None = None
    note: str = ""

    def __str__(self) -> str:
        seed = "-" if self.seed is None else self.seed
        error, tolerance = (f"{v:.2e}" for v in (self.output.error, self.output.tolerance)) if self.output else "--"
        return f"{self.name:32} {seed:>4} {error:>14} {tolerance:>10}  {self.verdict:8} {self.note}".rstrip()


def run(folder: Path, checks: Mapping[str, str]) -> Iterator[Line]:
    """Check every fixture of a folder, and name the checks that found none.

    A check that raises fails its fixture, with the error as the note; the others still run.

    Raises:
        FileNotFoundError, ValueError: the folder is absent or not in the goldens' form.
    """
    golden = Golden(folder)
    fixtures = fixtures_of(golden)
    for fixture in fixtures:
        if fixture.name in checks:
            yield _checked(fixture, resolve(checks, fixture.name, "fixture"))
        else:
            yield Line(fixture.name, fixture.seed, NOT_YET, note="no check is registered")
    seen = {(fixture.name, fixture.seed) for fixture in fixtures}
    for name in checks:
        for seed in [None] if name.startswith(GEOMETRY) else golden.seeds:
            if (name, seed) not in seen:
                yield Line(name, seed, ABSENT, note="the folder holds no such fixture")


def _checked(fixture: Fixture, check: Check) -> Line:
    try:
        outputs = check(fixture)
    except Exception as error:  # noqa: BLE001 - whatever one check raises, the other fixtures are still checked
        return Line(fixture.name, fixture.seed, FAILED, note=f"{type(error).__name__}: {error}")
    failed = [output for output in outputs if not output.ok]
    if failed:
        names = ", ".join(f"{o.name} {o.error:.2e} > {o.tolerance:.2e}" for o in failed)
        return Line(fixture.name, fixture.seed, FAILED, worst(failed), names)
    output = worst(outputs)
    return Line(fixture.name, fixture.seed, OK, output, f"{output.name}, the worst of {len(outputs)} outputs")


def summary(lines: list[Line]) -> str:
    """How many fixtures came out how."""
    counts = Counter(line.verdict for line in lines)
    return ", ".join(f"{counts[verdict]} {verdict}" for verdict in (OK, FAILED, NOT_YET, ABSENT))
