"""The page of benchmarks/train.py: every number beside its goal, and what was not measured with the reason."""

from collections.abc import Mapping
from typing import Any

from benchmarks.timing import heading, table
from benchmarks.train_reference import GOAL_MS, REFERENCE_MS

# Goals of a step at 256 px and 16 pairs on one H100 or H200.
FLOORS = {"geom_disp": 3.4, "neural_codes": 3.7}
OVER_EAGER = {"eager_float32": 6.0, "eager_tf32": 1.7}
GUIDANCE_SHARE, DATA_WAIT_SHARE = 0.04, 0.02
# Goals of the CPU default, in the order of its table: at most, at most, at least.
CPU = {
    "over_convolutions": ("a step over its convolutions' self time", "at most 1.8"),
    "beside_a_busy_core": ("a step beside a process that keeps a core busy, over one alone", "at most 2"),
    "two_processes": ("gain of two processes over that of two bare loops of convolutions", "at least 0.85"),
}


def page(report: Mapping[str, Any]) -> str:
    """The report as Markdown."""
    lines = heading("A training step", dict(report))
    lines += [f"{report['image_px']} px, {report['batch']} pairs, on {report['device']}.", ""]
    lines += _cuda_rows(report) if report["device"] == "cuda" else _cpu_rows(report)
    lines += ["", "## What each thing buys", "", *_things(report)]
    lines += ["", "## The CPU default", "", *_cpu(report["cpu"])]
    lines += _compiled(report["compiled"]) if "compiled" in report else []
    lines += ["", "## Operations of a step", "", *_counted(report["gflop"])]
    return "\n".join([*lines, ""])


def _cpu_rows(report: Mapping[str, Any]) -> list[str]:
    rows = report["rows"]
    columns = list(next(iter(rows.values())))
    floors = " and ".join(f"{most} floors ({name})" for name, most in FLOORS.items())
    eager = " and ".join(f"{least:g} times {name.replace('_', ' ')}" for name, least in OVER_EAGER.items())
    return [
        f"Milliseconds; {report['processes']} processes share a batch. Goal with one process and one thread:",
        f"`over_reference` (benchmarks/train_reference.py) at most {GOAL_MS / REFERENCE_MS:.2f}, which is "
        f"{GOAL_MS:.0f} ms where the",
        f"reference takes {REFERENCE_MS:.0f}.",
        "",
        *table(["row", *columns], [[name, *(f"{v:.3g}" for v in row.values())] for name, row in rows.items()]),
        "",
        f"CUDA: not measured, {report['cuda']['skipped']}. Its goals at 256 px and 16 pairs on an H100 or H200: a step",
        f"at most {floors}, where a floor is all operations at the",
        f"rate of bfloat16 products of the same run; faster than eager by {eager};",
        f"guidance at most {GUIDANCE_SHARE:.0%}, waiting for data at most {DATA_WAIT_SHARE:.0%} of the step.",
    ]


def _cuda_rows(report: Mapping[str, Any]) -> list[str]:
    cells = []
    for name, row in report["rows"].items():
        most = FLOORS.get(name.partition("/")[0])
        eager = [f"{row[f'over_{e}']:.2f}" if f"over_{e}" in row else "-" for e in OVER_EAGER]
        cells.append(
            [
                name, f"{row['step_ms']:.1f}", f"{row['gflop_an_image']:.0f}", f"{row['floor_ms']:.1f}",
                f"{row['floors']:.2f}" + (f" (at most {most})" if most else ""), *eager, f"{row['peak_gib']:.1f}",
                f"{row['guidance_share']:.1%}", f"{row['data_wait_share']:.1%}", "yes" if row["compiled"] else "no",
            ]
        )  # fmt: skip
    header = [
        "row", "step ms", "GFLOP an image", "floor ms", "floors",
        *(f"times {name.replace('_', ' ')} (at least {least:g})" for name, least in OVER_EAGER.items()), "peak GiB",
        f"guidance (at most {GUIDANCE_SHARE:.0%})", f"data wait (at most {DATA_WAIT_SHARE:.0%})", "compiled",
    ]  # fmt: skip
    lines = [
        f"bfloat16 products: {report['bf16_tflops']:.0f} TFLOP/s in this run; a floor is all operations at that rate.",
        "",
        *table(header, cells),
    ]
    for name, row in report["rows"].items():
        lines += [
            "",
            f"### Kernels of {name}",
            "",
            f"Busy for {row['busy_ms']:.1f} ms a step, {row['other_kernels_ms']:.1f} of them in kernels that multiply",
            f"no matrices; a copy moves {row['other_kernels_gb']:.0f} GB in that time.",
            "",
            *table(
                ["kernel", "share", "calls a step"],
                [[f"`{k['name']}`", f"{k['share']:.1%}", f"{k['calls']:.0f}"] for k in row["kernels"]],
            ),
        ]
    return lines


def _things(report: Mapping[str, Any]) -> list[str]:
    if "things" not in report:
        return ["Not measured in this run (--no-things)."]
    cells = [
        [name, "-", "-", f"not measured: {row['skipped']}"]
        if "skipped" in row
        else [name, f"{row['ms']:.3g}", f"{row['ratio']:.2f}", None]
        for name, row in report["things"].items()
    ]
    return [
        f"Of {report['compared']}, in one run; the ratio is to everything on.",
        "",
        *table(["steps", "ms", "ratio", ""], cells),
    ]


def _cpu(found: Mapping[str, Any]) -> list[str]:
    if "skipped" in found:
        return [f"Not measured: {found['skipped']}."]
    rows = [[what, f"{found[name]['ratio']:.2f}", goal] for name, (what, goal) in CPU.items()]
    two = found["two_processes"]
    return [
        *table(["what", "measured", "goal"], rows),
        "",
        f"Two processes are {two['processes']:.2f} times as fast as one, two loops {two['convolutions']:.2f} times.",
    ]


def _compiled(found: Mapping[str, Any]) -> list[str]:
    if "skipped" in found:
        return ["", f"A compiled step: not measured, {found['skipped']}."]
    return [
        "",
        "Compiled by torch.compile, which a CPU run does without, a step takes "
        f"{found['over_plain']:.2f} of its time, in turns,",
        f"and {found['ratio']:.2f} times its convolutions; compiling took {found['compiling_s']:.0f} s.",
    ]


def _counted(found: Mapping[str, Any]) -> list[str]:
    rows = [
        [name, row["px"], f"{row['gflop_an_image']:.3g}", row["before"] and f"{row['before']:.0f}"]
        for name, row in found.items()
    ]
    return [
        "GFLOP an image of a whole step, forward and backward (benchmarks/train_flops.py). The count that the goals",
        "were set with was of `warped_source`; the paper's output has no SPADE of its own.",
        "",
        *table(["network: row", "px", "GFLOP an image", "the goals' count"], rows),
    ]
