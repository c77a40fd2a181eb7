"""Draw the pictures of docs/conventions.md: `python -m docs.draw_conventions` writes docs/pictures/.

Every face is a puppet.
"""

from pathlib import Path

import matplotlib as mpl
import numpy as np
import torch
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

import pipeline.puppets
from model.heads.fit import HeadFit
from model.heads.head import load_head
from model.pwm.config import GuidanceConfig
from model.pwm.guidance import Guidance
from pipeline.puppets.motion import rotation_vector
from pipeline.puppets.people import make_person
from pipeline.puppets.render import Camera
from pipeline.puppets.scene import Studio
from pipeline.report.pictures import colour_codes, colour_nmfc, colour_wheel, principal_colours, wheel_key

OUT = Path(__file__).parent / "pictures"
SIDE = 256
TEXTURE = 768
PERSON, LOOK = 10_045, "day"
INK, SOFT, RED, BLUE = "#222222", "#9a9a9a", "#c0392b", "#1f618d"


def draw_frames(path: Path) -> None:
    """The frames: pixels and ndc, the displacement's sign, the head's axes and angles, and how frames are chained."""
    figure, axes = plt.subplots(2, 2, figsize=(11, 8.2), layout="constrained")
    _pixels(axes[0, 0])
    _displacement(axes[0, 1])
    _head(axes[1, 0])
    _chain(axes[1, 1])
    figure.savefig(path, dpi=90, metadata={"Software": None})
    plt.close(figure)


def _pixels(axis: Axes) -> None:
    width, height = 6, 4
    axis.set(title=f"Image frame: x right, y down, edge-aligned ({width} x {height} px)", aspect="equal")
    axis.set(xlim=(-1.1, width + 1.4), ylim=(height + 1.1, -1.2))
    for x in range(width + 1):
        axis.plot([x, x], [0, height], color=SOFT, linewidth=0.8)
        axis.text(x, -0.2, str(x), ha="center", color=BLUE)
        axis.text(x, height + 0.45, f"{2 * x / width - 1:.2g}", ha="center", color=RED)
    for y in range(height + 1):
        axis.plot([0, width], [y, y], color=SOFT, linewidth=0.8)
        axis.text(-0.2, y + 0.1, str(y), ha="right", color=BLUE)
        axis.text(width + 0.2, y + 0.1, f"{2 * y / height - 1:.2g}", ha="left", color=RED)
    axis.text(-0.9, -0.75, "px", color=BLUE, weight="bold")
    axis.text(width + 0.5, height + 0.95, "ndc", color=RED, weight="bold")
    axis.add_patch(mpl.patches.Rectangle((4, 1), 1, 1, color="#f5d76e", alpha=0.7))
    axis.plot(4.5, 1.5, "o", color=INK)
    note = "row i = 1, column j = 4\npx (4.5, 1.5)\nndc (0.5, -0.25)"
    white = {"boxstyle": "round,pad=0.3", "facecolor": "white", "edgecolor": SOFT}
    axis.annotate(note, (4.5, 1.5), (0.4, 3.4), arrowprops={"arrowstyle": "-", "color": INK}, fontsize=10, bbox=white)
    axis.axis("off")


def _displacement(axis: Axes) -> None:
    axis.set(title="Displacement: disp = p_src - p_tgt, on the target's grid", aspect="equal")
    axis.set(xlim=(-0.2, 9.6), ylim=(4.9, -0.9))
    for left, name in ((0, "target (driving)"), (5.2, "source")):
        axis.add_patch(mpl.patches.Rectangle((left, 0), 4.2, 3.6, fill=False, color=SOFT))
        axis.text(left + 2.1, -0.25, name, ha="center")
    target, source = np.array([1.1, 2.4]), np.array([2.9, 1.2])
    for left in (0, 5.2):
        axis.plot(*(source + [left, 0]), "s", color=BLUE, markersize=9, alpha=1 if left else 0.35)
    axis.plot(*target, "o", color=RED, markersize=9)
    axis.annotate(
        "",
        (source[0], source[1]),
        (target[0], target[1]),
        arrowprops={"arrowstyle": "-|>", "color": INK, "linewidth": 1.6},
    )
    axis.text(0.2, 2.95, "p_tgt: this pixel\nis written", color=RED, fontsize=9, va="center")
    axis.text(7.0, 0.75, "p_src: from here\nit is read", color=BLUE, fontsize=9, va="center")
    text = "out(p) = src(p + disp(p));  zero is the identity;\nndc, so resizing a field never rescales its values"
    axis.text(4.7, 4.5, text, ha="center", va="center", fontsize=10)
    axis.axis("off")


def _head(axis: Axes) -> None:
    axis.set(title="Head frame (the viewer looks along -z) and the camera", aspect="equal")
    axis.set(xlim=(-2.6, 4.7), ylim=(-2.1, 2.1))
    axis.add_patch(mpl.patches.Ellipse((0, 0), 1.9, 2.6, color="#f0dcc8"))
    for x in (-0.4, 0.4):
        axis.add_patch(mpl.patches.Ellipse((x, 0.25), 0.3, 0.16, color="white", ec=INK, linewidth=0.6))
    axis.plot([0, 0.08, -0.02], [0.1, -0.3, -0.34], color=INK, linewidth=0.8)
    axis.plot([-0.35, 0, 0.35], [-0.7, -0.8, -0.7], color=INK, linewidth=1)
    arrow = {"arrowstyle": "-|>", "linewidth": 1.8}
    axis.annotate("", (1.9, 0), (0, 0), arrowprops=arrow | {"color": RED})
    axis.annotate("", (0, 1.9), (0, 0), arrowprops=arrow | {"color": BLUE})
    axis.plot(0, 0, "o", color="white", markersize=11, markeredgecolor=INK)
    axis.plot(0, 0, "o", color=INK, markersize=4)
    axis.text(1.7, 0.12, "x", color=RED, weight="bold")
    axis.text(0.1, 1.75, "y", color=BLUE, weight="bold")
    axis.annotate(
        "z, to the viewer", (-0.08, -0.03), (-2.5, -0.5), fontsize=9, arrowprops={"arrowstyle": "-", "color": SOFT}
    )
    angles = "yaw > 0: to the viewer's right\npitch > 0: looks down\nroll > 0: counter-clockwise"
    axis.text(-2.5, -1.75, angles, fontsize=9, va="center")
    camera = (
        "R = Rz(roll) Ry(yaw) Rx(pitch)\n\nThe camera, and nothing else,\nturns y up into y down:\n\n"
        "scaled orthographic\n  x = s (X + tx)\n  y = -s (Y + ty)\n  depth = -s Z\n\nsmaller depth is nearer"
    )
    axis.text(2.15, 0.1, camera, fontsize=9, va="center", family="monospace")
    axis.axis("off")


def _chain(axis: Axes) -> None:
    axis.set(title="From the mesh and from the video to one clip frame", xlim=(0, 10), ylim=(0, 6.2))
    boxes = {
        "head units\n(cm, m)": (1.2, 5), "tracker ndc": (4.9, 5), "clip frame\nndc": (8.9, 3.1),
        "source video\npx": (4.9, 1.2), "shape, expression,\npose": (1.2, 2.6),
    }  # fmt: skip
    for text, (x, y) in boxes.items():
        style = {"boxstyle": "round,pad=0.45", "facecolor": "#eef3f7", "edgecolor": SOFT}
        axis.text(x, y, text, ha="center", va="center", bbox=style, fontsize=9.5)
    for start, end, text, at in (
        ((1.2, 3.2), (1.2, 4.4), "blendshapes,\nskinning", (0.3, 3.75)),
        ((2.2, 5), (4.1, 5), "camera", (3.1, 5.25)),
        ((5.8, 4.8), (8.1, 3.6), "tracker_map\n(turn, shift, squeeze)", (8.2, 4.75)),
        ((5.8, 1.5), (8.1, 2.6), "crop_map\n(FOMM's box: squeezes)", (8.2, 1.45)),
    ):
        axis.annotate("", end, start, arrowprops={"arrowstyle": "-|>", "color": INK})
        axis.text(*at, text, ha="center", va="center", fontsize=9, color=INK)
    axis.text(3.5, 3.1, "both maps: row-major 2x3,\nkept apart in the fits table", fontsize=9, ha="left", color=SOFT)
    axis.axis("off")


def draw_guidance(path: Path) -> None:
    """The four guidance maps of one pair of frames of a puppet."""
    torch.manual_seed(0)
    studio = Studio(load_head(Path(pipeline.puppets.__path__[0]) / "assets" / "puppet.npz"), TEXTURE)
    head, person = studio.head, make_person(PERSON, PERSON, studio.head.num_shape, LOOK)
    shape = torch.from_numpy(person.identity.shape)[None]
    fit_src, fit_drv = (_fit(head, shape, *pose) for pose in ((-18, 4, 0, 0.0), (22, -6, 9, 0.9)))
    actor, film = studio.dress(person), Camera(studio)
    pictures = [
        film.film(actor, f.shape, f.expression, f.pose, f.camera, (SIDE, SIDE), f.tracker_map.numpy(), supersample=3)[0]
        for f in (fit_src, fit_drv)
    ]
    panels: dict[str, tuple[np.ndarray | None, np.ndarray]] = {
        "source | driving": (pictures[0].image, pictures[1].image)
    }
    maps = {name: _maps(name, head, fit_src, fit_drv) for name in ("geom_disp", "neural_codes", "nmfc")}
    wheel = maps["geom_disp"][1].copy()
    key = wheel_key(56)
    wheel[-62:-6, 6:62] = np.where(key == 255, wheel[-62:-6, 6:62], key)
    panels["geom_disp"] = (None, wheel)
    panels["neural_codes"], panels["nmfc"] = maps["neural_codes"], maps["nmfc"]
    half = np.concatenate([maps["geom_disp"][1][:, : SIDE // 2], maps["neural_codes"][1][:, SIDE // 2 :]], 1)
    panels["geom_disp+neural_codes"] = (maps["neural_codes"][0], half)
    _sheet(panels, path)


def _sheet(panels: dict[str, tuple[np.ndarray | None, np.ndarray]], path: Path) -> None:
    figure, axes = plt.subplots(2, len(panels), figsize=(2.5 * len(panels), 5.5), layout="constrained")
    for column, (title, pair) in enumerate(panels.items()):
        for row, panel in enumerate(pair):
            axis = axes[row, column]
            axis.set(xticks=[], yticks=[])
            axis.set_box_aspect(1)
            axis.set_facecolor("#f4f4f4")
            if panel is not None:
                axis.imshow(panel, interpolation="antialiased")
            else:
                axis.text(0.5, 0.5, "none:\nit lives on the\ndriving mesh", ha="center", va="center", color=SOFT)
            for spine in axis.spines.values():
                spine.set_color("#dddddd")
        axes[0, column].set_title(title, fontsize=11)
    axes[0, 0].set_ylabel("source frame -> encoder", fontsize=11)
    axes[1, 0].set_ylabel("driving frame -> decoder", fontsize=11)
    figure.savefig(path, dpi=90, pil_kwargs={"quality": 88})
    plt.close(figure)


def _fit(head, shape: torch.Tensor, yaw_deg: float, pitch_deg: float, jaw_deg: float, smile: float) -> HeadFit:
    pose = torch.zeros(1, head.num_pose)
    pose[0, :3] = torch.from_numpy(rotation_vector(*(np.radians([a]) for a in (yaw_deg, pitch_deg, 3.0)))[0])
    pose[0, 6] = np.radians(jaw_deg)
    expression = torch.zeros(1, head.num_expression)
    expression[0, [list(head.arrays.expression_names).index(name) for name in ("smile_left", "smile_right")]] = smile
    camera, to_clip = torch.tensor([[1 / 17, 0.0, 2.0]]), torch.tensor([[1.0, 0, 0, 0, 1, 0]])
    return HeadFit(shape, expression, pose, camera, to_clip)


def _maps(name: str, head, fit_src: HeadFit, fit_drv: HeadFit) -> tuple[np.ndarray | None, np.ndarray]:
    """Coloured maps of the source and the driving mesh, (SIDE, SIDE, 3) uint8."""
    config = GuidanceConfig(name=name, render_px=SIDE, code_dim=16, code_std=1.0, code_frequency=1.5)
    guidance = Guidance(head, config)
    with torch.no_grad():
        maps = guidance(head, fit_src, fit_drv, (SIDE, SIDE))
    driving, source = maps.driving[0].numpy(), maps.source[0].numpy()
    if name == "geom_disp":
        return None, colour_wheel(driving, float(np.quantile(np.hypot(*driving), 0.995)))
    if name == "nmfc":
        return colour_nmfc(source), colour_nmfc(driving)
    assert guidance.codes is not None
    colours = principal_colours(guidance.codes.detach().numpy())
    return colour_codes(source, *colours), colour_codes(driving, *colours)


def main() -> None:
    """Write both pictures."""
    mpl.use("Agg")
    torch.set_num_threads(1)
    draw_frames(OUT / "frames.png")
    draw_guidance(OUT / "guidance.jpg")


if __name__ == "__main__":
    main()
