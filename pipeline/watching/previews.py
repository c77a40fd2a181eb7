"""Pictures of a run under way: a contact sheet of a few of its training pairs, every so many steps."""

from pathlib import Path

import numpy as np
from torch import Tensor, nn

from model.frame.coords import tensor_to_frames
from model.method.network import Made
from model.pwm.animator import Animator
from model.training.looks import looked_at
from pipeline.report.figures import guidance_panels
from pipeline.report.pictures import colour_wheel, save_png, sheet
from pipeline.store.shown import name_people
from pipeline.training.underway import Underway

PREVIEWS = "previews"  # in the folder of the run's states


def write_preview(run: Underway, step: int) -> Path:
    """Write the sheet of a step into the run's folder: source, driving, guidance, displacement, what it shows, output.

    Its network is looked at as in `model.training.looks`, so that training goes on as if nobody had looked.

    Returns:
        The PNG.
    """
    network = run.lesson.network
    with looked_at(network):
        made: Made = network(run.sample.source, run.sample.signals)
        columns = {
            "source": _frames(run.sample.source),
            "driving": _frames(run.sample.target),
            **_own_panels(network, made),
            **{caption: _frames(img) for caption, img in made.panels.items()},
            "output": _frames(made.image),
        }
    lines: list[tuple[str, list[np.ndarray | None]]] = [
        (f"pair {i + 1}", [column[i] for column in columns.values()]) for i in range(len(run.sample.source))
    ]
    path = run.folder / PREVIEWS / f"{step:08d}.png"
    name_people(path.parent, run.people)
    save_png(sheet(f"{run.row}   step {step} of {run.config.iterations}, training pairs", list(columns), lines), path)
    return path


def _own_panels(network: nn.Module, made: Made) -> dict[str, np.ndarray]:
    """Guidance and displacement, where the network is a PWM."""
    if not isinstance(network, Animator):
        return {}
    disp = made.own.disps[-1].float().cpu().numpy()
    scale = float(np.quantile(np.hypot(disp[:, 0], disp[:, 1]), 0.99)) or 1.0
    guides = guidance_panels(network.config.guidance.name, made.own.guide.float().cpu().numpy(), network)
    return {**guides, "displacement": np.stack([colour_wheel(one, scale) for one in disp])}


def _frames(img: Tensor) -> np.ndarray:
    return tensor_to_frames(img.float().cpu()).numpy()
