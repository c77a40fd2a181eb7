"""The page of `benchmarks.robustness`: what was measured, beside its goals."""

from typing import Any

from benchmarks.timing import heading, table

TINY_FRAMES, TINY_PX = 4, 192
LONGEST_INDEX_S = 10
FEWEST_CASES = 400
EXPLAINED = (
    "Weights are brought in by `pwm assets import` and laid into the assets folder by hand, images by",
    "`pwm predictions import`, folders by the stage `crop`. `right`: taken, and every number, pixel or frame is",
    "the one that was meant. `refused`: one line that names the file and the reason, and nothing is left behind.",
)
STAGES = {"crop": "Cropping", "fit": "Fitting"}


def markdown(report: dict[str, Any]) -> str:
    """Lay the report out; a part that was never measured is left out."""
    lines = heading("Robustness of the data stages", report)
    titles = {
        "index": ("FOMM's csv without a video", _index),
        "fuzz": ("Damaged files and annotations, odd inputs", _fuzz),
        "scale": ("Time and memory over the number of clips", _scale),
    }
    for name, (title, lay_out) in titles.items():
        if part := report.get(name):
            made = part["environment"]
            load = made["machine"]["load_before"]
            lines += [f"## {title}", "", f"`{made['command']}`, commit {made['commit']}, load average before: {load}."]
            lines += ["", *lay_out(part), ""]
    return "\n".join(lines)


def _index(part: dict[str, Any]) -> list[str]:
    reasons = ", ".join(f"{count} {reason}" for reason, count in part["reasons"].items())
    rows = [
        ["ledger rows", f"{part['rows']} ({reasons})", "one for every row of the csv, all missing_source"],
        ["seconds", part["seconds"], f"below {LONGEST_INDEX_S}"],
        ["of which listing", part["list_seconds"], None],
        ["CPU seconds", part["cpu_seconds"], None],
    ]
    return table(["", "measured", "goal"], rows)


def _fuzz(part: dict[str, Any]) -> list[str]:
    inputs = part["inputs"]
    counts = [
        ["cases", part["cases"], f"at least {FEWEST_CASES}"],
        ["of which films and annotations", part["films"], None],
        ["their ledger rows", part["ledger_rows"], None],
        ["cases without a row", len(part["unaccounted"]), "0"],
        ["clips that lost frames without a word", len(part["frames_lost_silently"]), "0"],
        ["clips of other frames than the index names", len(part["wrong_frames"]), "0"],
        ["crashes", len(part["crashed"]), "0"],
        ["seconds", part["seconds"], None],
        ["weights, predictions and folders brought in", inputs["cases"], None],
        ["of which taken for something else, lost, or refused without one clear line", len(inputs["silent"]), "0"],
        ["seconds", inputs["seconds"], None],
    ]
    faults = [
        [fault, ", ".join(f"{count} {reason}" for reason, count in reasons.items())]
        for fault, reasons in part["by_fault"].items()
    ]
    said = f"Seed {part['seed']}; {part['real_videos']} of the videos that are damaged are real."
    brought = [
        [fault, ", ".join(f"{count} {outcome}" for outcome, count in outcomes.items())]
        for fault, outcomes in inputs["by_fault"].items()
    ]
    lines = [said, "", *table(["", "measured", "goal"], counts), ""]
    lines += [*table(["fault", "what became of the clips"], faults), "", *EXPLAINED, ""]
    return [*lines, *table(["brought in", "outcome"], brought)]


def _scale(part: dict[str, Any]) -> list[str]:
    lines = [
        f"Clips of {TINY_FRAMES} frames, {TINY_PX}x{TINY_PX} px; whole commands, their start included. Goals: one clip",
        "more always costs the same; memory stays flat. A stage holds a few kilobytes a clip for its ledger, Dask",
        "some fifteen megabytes more after a thousand tasks, and fitting one row group of its table, 10,000 rows:",
        "clips as short as these fill it after 2,500.",
    ]
    header = ["clips", "s", "CPU s", "CPU ms for one clip more", "stage MB", "largest worker MB"]
    for stage, title in STAGES.items():
        lines += ["", f"{title}:", "", *table(header, _growth(part[stage]))]
    return lines


def _growth(rows: list[dict[str, float]]) -> list[list[object]]:
    """Cells of a stage's table; a clip more costs what the step from the row above cost, by the clips of that step."""
    cells: list[list[object]] = []
    before: dict[str, float] | None = None
    for row in rows:
        more = None
        if before is not None:
            more = 1000 * (row["cpu_seconds"] - before["cpu_seconds"]) / (row["clips"] - before["clips"])
        memory = [f"{row[name]:.0f}" for name in ("stage_mb", "worker_mb")]
        cells.append(
            [row["clips"], row["seconds"], row["cpu_seconds"], more if more is None else f"{more:.1f}", *memory]
        )
        before = row
    return cells
