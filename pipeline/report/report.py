"""Put a benchmark's report together: tables, long form, differences, plot data, page."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from pipeline.params.tree import Params
from pipeline.report.differences import differences_csv
from pipeline.report.footer.budget import budget_lines
from pipeline.report.footer.costs import cost_lines, costs_csv, costs_of
from pipeline.report.footer.crops import crop_lines
from pipeline.report.footer.lines import footer_lines
from pipeline.report.footer.models import model_lines
from pipeline.report.footer.own import Brought, own_lines
from pipeline.report.footer.systems import system_lines
from pipeline.report.footer.training import made_by, training_line
from pipeline.report.grids import table_grids
from pipeline.report.index_html import page, picture
from pipeline.report.paper import Paper, read_paper
from pipeline.report.plot_data import rows_csv
from pipeline.report.results import Pairs, Results
from pipeline.report.rows import Row, reference_rows
from pipeline.report.strata import add_strata
from pipeline.report.tables import markdown, scores_csv, table_csv
from pipeline.store.provenance import write_text

NO_OWN: Mapping[str, Brought] = MappingProxyType({})


def write_report(
    params: Params,
    rows: Sequence[Row],
    *,
    results: Path,
    pairs: Path,
    ledger: Path,
    paper: Path,
    reference: Path,
    fit_reports: Path,
    figures: Path,
    costs: Path,
    out: Path,
    own: Mapping[str, Brought] = NO_OWN,
) -> None:
    """Write the tables and `scores.csv`, `differences.csv` and `costs.csv` beside them, plot data, and the page.

    Args:
        params: all parameters; `bench`, `networks`, `recipes` and `report` are read.
        rows: the row list.
        results: folder with one folder of results a method.
        pairs: the pair list.
        ledger: ledger of the test clips.
        paper: reports/paper.csv.
        reference: reports/reference, where studies of training again lie.
        fit_reports: folder of the fit stage's reports, one JSON a head.
        figures: folder of PNG figures; those that are there go into the page.
        costs: folder of what trained rows cost, a file a row.
        out: folder of this benchmark's reports.
        own: rows that users brought, of which the footers say whose they are.
    """
    options, heads = params.report, (params.bench.head, params.bench.head2)
    references = reference_rows(options.reference, rows, params.bench)
    found = Results(rows, results, Pairs(pairs), options.min_people)
    add_strata(found)
    published = Paper(read_paper(paper), found.pairs.datasets, heads)
    tables = table_grids(found, heads)
    crops, cost = crop_lines(ledger), costs_of(rows, costs)
    recipes = made_by(params.recipes, params.networks)
    training = [training_line(found.num_seeds, reference, params.bench.name, recipes)]
    short = budget_lines(found, reference, params.bench.name)
    footers = {
        number: [
            *footer_lines(found, fit_reports, heads, grids[0].columns, crops, training, options.coverage_draws),
            *model_lines(params.recipes, params.networks, rows),
            *cost_lines(cost, params.recipes),
            *short,
            *system_lines(rows),
            *own_lines(own),
        ]
        for number, grids in tables.items()
    }
    folder = out / "tables"
    for number, grids in tables.items():
        text = markdown(grids, published, options.paper_beside, footers[number], params.bench.name)
        write_text(folder / f"table{number}.md", text)
        write_text(folder / f"table{number}.csv", table_csv(grids))
    write_text(folder / "scores.csv", scores_csv([*found.cells(), *found.strata()]))
    write_text(folder / "differences.csv", differences_csv(found, references))
    write_text(folder / "costs.csv", costs_csv(cost))
    write_text(out / "plots" / "rows.csv", rows_csv(found.cells(), heads[0]))
    shown = [(file.stem.replace("_", " "), picture(file, out, options.embed_pictures)) for file in _pictures(figures)]
    text = page(params.bench.name, tables, footers, published, options.paper_beside, shown)
    write_text(out / "index.html", text)


def _pictures(figures: Path) -> list[Path]:
    return sorted(figures.glob("*.png")) if figures.is_dir() else []
