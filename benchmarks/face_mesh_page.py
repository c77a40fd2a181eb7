"""The numbers of `benchmarks.face_mesh` as Markdown."""

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

from benchmarks.face_mesh_frames import CHANGES_OF_PUPPETS, FLOOR, STEPS, words
from pipeline.puppet_training.validity import EXPECTED


def page(result: Mapping[str, Any]) -> str:
    """The whole page."""
    video = result["video"]
    lines = [
        "# The face mesh as an instrument",
        "",
        f"`{result['command']}`, torch {result['versions']['torch']}. Medians over frames, between a frame and its "
        "changed self; `read` is the share of the changed frames that was read at all.",
        "",
        f"Landmarks of whole videos, run by {video['runner']}: {video['found']} of {video['frames']} frames, "
        f"{video['frames_per_s']:.0f} a second of processor time, {video['of_bare']:.2f} of a loop that decodes, "
        f"shrinks and runs the network once ({video['bare_frames_per_s']:.0f}).",
    ]
    for size, found in result["sizes"].items():
        lines += _at_size(size, found["real"], found["puppets"])
    if other := result["beside_dlib"]:
        lines += [
            "",
            f"AKD of {other['pairs']} random pairs of one clip at 256 px beside AKD by dlib's 68 points, an unrelated "
            f"detector: Pearson {other['pearson']:.4f}, slope {other['slope']:.3f} (dlib found "
            f"{other['found_by_dlib']:.1%} of the frames).",
        ]
    if rows := result["generated"]:
        lines += _generated(rows)
    return "\n".join(lines) + "\n"


def _at_size(size: str, real: Mapping[str, Any], puppets: list[dict[str, Any]]) -> Iterator[str]:
    numbers = [key for key in real["rows"][0] if key not in ("change", "step", "read")]
    yield from ("", f"## {size} px", "")
    yield f"{real['frames']} real frames; the first step of {', '.join(FLOOR)} is the floor."
    yield from ("", f"| change | read | {' | '.join(numbers)} |", "| --- | ---: |" + " ---: |" * len(numbers))
    for row in real["rows"]:
        yield _row(words(row["change"], row["step"]), row, numbers)
    yield _row("the next frame of the clip that was read", real["same_clip"], numbers)
    yield _row("another person", real["other_people"], numbers)
    yield from ("", "Puppets rendered again, each step a quarter more; a dash: not what the number is there for.", "")
    yield f"| change | number | {' | '.join(f'{step:g}' for step in STEPS)} | grows | read |"
    yield "| --- | --- |" + " ---: |" * len(STEPS) + " --- | ---: |"
    yield from map(_curve, puppets)
    yield from ("", *(f"* {change}: {what}" for change, what in CHANGES_OF_PUPPETS.items()))


def _generated(found: Mapping[str, Any]) -> Iterator[str]:
    yield from ("", "## Generated frames beside dlib", "")
    yield f"AKD of generated frames of {found['size_px']} px, same identity, by the mesh and by dlib's 68 points."
    yield from (
        "",
        "| row | pairs | mesh | dlib | Spearman | Pearson | read | found by dlib |",
        f"| --- |{' ---: |' * 7}",
    )
    for name, row in found["rows"].items():
        shares = f"{row['read']:.3f} | {row['found_by_dlib']:.3f}"
        yield f"| {name} | {_agreement(row)} | {shares} |"
    yield f"| all | {_agreement(found['all'])} | | |"


def _agreement(row: Mapping[str, Any]) -> str:
    numbers = [row["pairs"], f"{row['ours_px']:.3f}", f"{row['theirs_px']:.3f}"]
    return " | ".join(map(str, [*numbers, f"{row['spearman']:.3f}", f"{row['pearson']:.3f}"]))


def _row(label: str, row: Mapping[str, Any], numbers: list[str]) -> str:
    return f"| {label} | {row['read']:.3f} | {' | '.join(_number(row[name]) for name in numbers)} |"


def _curve(row: Mapping[str, Any]) -> str:
    values = row["values"]
    known = [value for value in values if value is not None]
    grows = "yes" if len(known) == len(values) and all(b > a for a, b in pairwise(values)) else "no"
    if not any(row["number"].startswith(metric) for metric in EXPECTED[row["change"]]):
        grows = "-"
    shown = " | ".join(_number(value) for value in values)
    return f"| {row['change']} | {row['number']} | {shown} | {grows} | {row['read']:.3f} |"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"
