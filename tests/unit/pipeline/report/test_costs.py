"""What trained rows cost stands below the tables and beside scores.csv."""

import csv
import io

from pipeline.methods.published import PublishedRow
from pipeline.params.tree import load_params
from pipeline.report.footer.costs import cost_lines, costs_csv, costs_of
from pipeline.report.rows import baseline_rows, paper_rows
from pipeline.store.costs import Costs, write_costs
from tests.helpers import ROOT

PARAMS = load_params(ROOT / "tests" / "data" / "small.yaml")
COSTS = Costs(parameters=1_234_567, step_gflop=12.34, frame_gflop=0.5, step_s=0.2, frame_s=0.0123, frame_batch=4,
              processes=2, device="cpu")  # fmt: skip


def rows():
    published = {"fomm": [PublishedRow("official"), PublishedRow("toy64")], "lsr": [PublishedRow("toy64", absent="no")]}
    systems = [row for row in baseline_rows(PARAMS.bench, published) if row.system in published]
    return [*systems, *paper_rows(PARAMS.bench)[:2]]


def test_rows_that_were_trained_here_say_what_they_cost(tmp_path):
    write_costs(tmp_path / "fomm.json", COSTS)
    write_costs(tmp_path / "lsr.json", COSTS)
    write_costs(tmp_path / "toy64.puppet.nmfc.json", Costs(parameters=2_000_000))
    write_costs(tmp_path / "toy64.puppet.geom_disp.json", None)
    found = costs_of(rows(), tmp_path)
    assert list(found) == ["toy64.fomm", "toy64.puppet.nmfc"]
    (line,) = cost_lines(found, PARAMS.recipes)
    recipe = PARAMS.recipes["toy64"]
    assert line.startswith(f"Rows trained by recipe toy64 share {recipe.iterations} iterations of ")
    assert "1.23 M | 12, 0.5 | 0.2, 0.012; PWM + NMFC 2.00 M | –, – | –, –." in line
    first, second = csv.DictReader(io.StringIO(costs_csv(found)))
    assert (first["row"], first["parameters"], first["step_gflop"]) == ("toy64.fomm", "1234567", "12.34")
    assert (second["row"], second["step_s"], second["device"]) == ("toy64.puppet.nmfc", "", "")


def test_without_trained_rows_there_is_no_line(tmp_path):
    assert cost_lines(costs_of(rows(), tmp_path), PARAMS.recipes) == []
