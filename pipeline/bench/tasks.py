"""The two tasks of the benchmark, and in which of them each control row stands."""

from typing import Literal

Task = Literal["same", "cross"]

TASKS: tuple[Task, ...] = ("same", "cross")

CONTROL_TASKS: dict[str, tuple[Task, ...]] = {
    "copy_source": ("same", "cross"),
    "ground_truth": ("same",),
    "copy_driving": ("cross",),
    "true_reenactment": ("cross",),
}


def control_names(has_truth: bool) -> list[str]:
    """Names of the control rows; `true_reenactment` needs the puppets' true codes."""
    return [name for name in CONTROL_TASKS if has_truth or name != "true_reenactment"]
