"""One page with all tables and figures, without scripts or outside files."""

import base64
import html
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from pipeline.report.grids import TITLES, Grid, Line
from pipeline.report.paper import Paper
from pipeline.report.tables import DASH, NOT_COMPARABLE, TASKS, cell_text

STYLE = """
body{font:15px/1.45 system-ui,sans-serif;max-width:76rem;margin:2rem auto;padding:0 1rem;color:#1b1f24}
h1{font-size:1.6rem}h2{font-size:1.25rem;margin-top:2.5rem}h3{font-size:1rem;margin:1.2rem 0 .3rem}
.wide{overflow-x:auto}table{border-collapse:collapse;font-variant-numeric:tabular-nums}
th,td{padding:.2rem .6rem;text-align:right;white-space:nowrap}th:first-child,td:first-child{text-align:left}
thead th{border-bottom:1px solid #555}tbody+tbody tr:first-child td{border-top:1px solid #999}
.ci{color:#6a737d;font-size:.8em}tr.paper td{color:#8a4b08}tr.control td{color:#57606a}
details{margin:.6rem 0}ul{color:#57606a;font-size:.85rem}img{max-width:100%;height:auto}
""".strip()


def page(
    bench: str,
    tables: Mapping[int, Sequence[Grid]],
    footers: Mapping[int, Sequence[str]],
    paper: Paper,
    beside: bool,
    figures: Sequence[tuple[str, str]],
) -> str:
    """Build the page.

    Args:
        bench: name of the profile's benchmark.
        tables: grids by table number.
        footers: footer lines by table number.
        paper: the paper's numbers.
        beside: print them beside ours instead of in a block of their own.
        figures: (caption, address) of pictures; see `picture`.
    """
    parts = ["<!doctype html>", '<html lang="en"><meta charset="utf-8">', f"<title>PWM, {html.escape(bench)}</title>"]
    parts += [f"<style>{STYLE}</style>", f"<h1>Progressive warping: benchmark {html.escape(bench)}</h1>"]
    for table, grids in tables.items():
        parts.append(f"<h2>{TITLES[table]}</h2>")
        for grid in grids:
            parts += [f"<h3>{html.escape(grid.dataset)}</h3>", _table(grid, paper if beside else None)]
        if not beside and paper.has(table):
            inner = "".join(_paper_table(grid, paper) for grid in grids if paper.dataset_of(grid))
            parts.append(f"<details><summary>{NOT_COMPARABLE}</summary>{inner}</details>")
        parts.append("<ul>" + "".join(f"<li>{html.escape(line)}</li>" for line in footers[table]) + "</ul>")
    if figures:
        parts.append("<h2>Figures</h2>")
        parts += [f'<h3>{html.escape(name)}</h3><img alt="{html.escape(name)}" src="{src}">' for name, src in figures]
    return "\n".join([*parts, "</html>", ""])


def picture(file: Path, page_dir: Path, embed: bool) -> str:
    """Address of a PNG: its bytes, or a relative link (pictures of real people are never copied into the page)."""
    if embed:
        return "data:image/png;base64," + base64.b64encode(file.read_bytes()).decode()
    return os.path.relpath(file, page_dir)


def _table(grid: Grid, paper: Paper | None) -> str:
    bodies = []
    for block in grid.blocks:
        lines = []
        for line in block:
            lines.append(_line(line))
            printed = [paper.of_cell(grid, column, line.row) for column in grid.columns] if paper else []
            if any(printed):
                lines.append(_cells(f"{line.row.label}, paper", printed, "paper"))
        bodies.append("<tbody>" + "".join(lines) + "</tbody>")
    return f'<div class="wide"><table>{_head(grid)}{"".join(bodies)}</table></div>'


def _paper_table(grid: Grid, paper: Paper) -> str:
    lines = [
        _cells(method, [paper.look_up(grid, column, method) for column in grid.columns], "paper")
        for method in paper.methods[grid.table]
    ]
    caption = f"<h3>{html.escape(paper.dataset_of(grid))}, from the paper</h3>"
    return f'{caption}<div class="wide"><table>{_head(grid)}<tbody>{"".join(lines)}</tbody></table></div>'


def _head(grid: Grid) -> str:
    tasks = [column.task for column in grid.columns]
    spans = "".join(f'<th colspan="{tasks.count(t)}">{TASKS[t]}</th>' for t in dict.fromkeys(tasks))
    names = "".join(f'<th title="{html.escape(c.measure.id)}">{html.escape(c.header)}</th>' for c in grid.columns)
    return f"<thead><tr><th></th>{spans}</tr><tr><th></th>{names}</tr></thead>"


def _line(line: Line) -> str:
    cells = []
    for cell, bold in zip(line.cells, line.bold, strict=True):
        text = cell_text(cell, False)
        value, _, interval = text.partition(" ")
        value = f"<b>{value}</b>" if bold else value
        title = f' title="{html.escape(cell.reason)}"' if cell is not None and text == DASH else ""
        cells.append(f'<td{title}>{value} <span class="ci">{html.escape(interval)}</span></td>')
    kind = "control" if line.row.kind == "control" else "method"
    return f'<tr class="{kind}"><td>{html.escape(line.row.label)}</td>{"".join(cells)}</tr>'


def _cells(label: str, texts: Sequence[str], kind: str) -> str:
    inner = "".join(f"<td>{html.escape(text)}</td>" for text in texts)
    return f'<tr class="{kind}"><td>{html.escape(label)}</td>{inner}</tr>'
