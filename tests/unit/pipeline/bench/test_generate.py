"""Generating pairs with a trained row, and drawing what it does, on a tiny head and generator."""

import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn.utils.parametrize import is_parametrized

from model.frame.coords import frames_to_tensor
from model.heads.arrays import save_head
from model.heads.fit import HeadFit
from model.heads.head import HeadModel, load_head
from model.pwm.animator import Animator, AnimatorConfig, fit_signals, fits_of
from model.pwm.config import GeneratorConfig, GuidanceConfig
from model.pwm.files import load_animator, save_animator
from pipeline.bench.evaluate import evaluate_row
from pipeline.bench.generate import PairRunner, generate
from pipeline.bench.opening import EvaluateInputs
from pipeline.bench.pair_frames import load_pair_frames
from pipeline.bench.predictions import write_predictions
from pipeline.methods.runner import Files
from pipeline.report.figures import chosen_pairs, loss_curves, pwm_sheet
from pipeline.report.pictures import PANEL_PX, colour_wheel, wheel_key
from pipeline.report.rows import Row
from pipeline.store.clips import decode_frame, encode_png
from pipeline.store.fits import build_fits, fits_metadata
from pipeline.store.schema import write_table
from pipeline.store.seeds import further_seeds
from tests.benchmark_world import BENCH, DATASETS, PARAMS, PEOPLE, FakeJudge, make_clips, make_measures, make_pairs
from tests.helpers import random_head

GUIDANCE = "geom_disp+neural_codes"
CLIPS = [f"{dataset}{n}#v#0#4" for dataset in DATASETS for n in range(PEOPLE)]


def write_fits(folder, head: HeadModel) -> None:
    """Random fits of every frame of the toy clips."""
    generator = torch.Generator().manual_seed(0)
    keys = [(clip, frame) for clip in CLIPS for frame in range(4)]
    count = len(keys)
    pose = torch.zeros(count, head.num_pose)
    pose[:, :3] = 0.3 * torch.randn(count, 3, generator=generator)
    fit = HeadFit(
        torch.randn(count, head.num_shape, generator=generator),
        torch.randn(count, head.num_expression, generator=generator),
        pose,
        torch.tensor([[0.06, 0.0, 0.0]]).expand(count, 3) + 0.005 * torch.rand(count, 3, generator=generator),
        torch.tensor([[1.0, 0, 0, 0, 1, 0]]).expand(count, 6).contiguous(),
    )
    clips, frames = zip(*keys, strict=True)
    table = build_fits(head, clip=clips, frame=frames, status=["ok"] * count, score=np.ones(count),
                       residual=np.zeros(count), fit=fit, crop_map=np.zeros((count, 6)),
                       landmarks=np.zeros((count, 136)))  # fmt: skip
    write_table(folder / "eval.parquet", table, fits_metadata(head, "toy", ""))


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("world")
    make_clips(folder / "clips")
    make_pairs(folder / "pairs.parquet")
    head = HeadModel(random_head())  # float64, as it is made; it is read as float32
    for place in ("heads", f"fits/{head.name}"):
        (folder / place).mkdir(parents=True)
    save_head(folder / "heads" / f"{head.name}.npz", random_head())
    head = load_head(folder / "heads" / f"{head.name}.npz")
    write_fits(folder / "fits" / head.name, head)
    torch.manual_seed(0)
    guidance = GuidanceConfig(name=GUIDANCE, render_px=16, code_dim=4, code_std=1.0, code_frequency=1.5)
    sizes = GeneratorConfig(
        channels=(8, 8, 4),
        outer_kernel=3,
        spade_hidden=4,
        output="warped_source",
        last_disp="own",
        disp_refines=False,
        disp_gain=0.5,
        image_gain=1.0,
        disp_scale=1.0,
        nmfc_scale=1.0,
        nmfc_centre="by_coverage",
    )
    save_animator(folder / "model", Animator(head, AnimatorConfig(guidance=guidance, generator=sizes)), 1, {})
    return folder


@pytest.fixture(scope="module")
def pairs(world):
    return load_pair_frames(world / "pairs.parquet", world / "clips")[0]


def files_of(world) -> Files:
    return Files(world / "model", world / "heads", world / "fits", "one")


@pytest.fixture(scope="module")
def head(world):
    return load_head(next((world / "heads").glob("*.npz")))


@pytest.fixture(scope="module")
def runner(world):
    return PairRunner(files_of(world), CLIPS, torch.device("cpu"))


def fits_driving(runner, pairs, rows) -> tuple[HeadFit, HeadFit]:
    driven = runner.model.adapter.drive(*runner.views(pairs, rows), torch.from_numpy(pairs.task[rows] == "same"))
    return fits_of(driven.signals)


def generated(runner, pairs, batch_size: int) -> np.ndarray:
    return np.stack([decode_frame(png) for batch in generate(runner, pairs, batch_size) for png in batch])


def test_frames_do_not_depend_on_the_batch(runner, pairs):
    whole, single = generated(runner, pairs, 64), generated(runner, pairs, 5)
    assert whole.shape == (len(pairs), *pairs.size_hw, 3)
    assert np.abs(whole.astype(int) - single.astype(int)).max() <= 1
    assert whole.std() > 0


def test_weights_are_settled_once_and_change_no_frame(world, head, runner, pairs):
    assert not [module for module in runner.model.network.modules() if is_parametrized(module)]
    trained = load_animator(world / "model", head)
    source, driving = fits_driving(runner, pairs, slice(5))
    with torch.inference_mode():
        frames = trained(frames_to_tensor(torch.from_numpy(pairs.source_u8[:5])), fit_signals(source, driving)).image
    assert torch.equal(runner.animate(pairs, slice(5)).image, frames)


def test_cross_identity_takes_the_sources_shape_and_the_driving_pose(runner, pairs):
    source, driving = fits_driving(runner, pairs, slice(None))
    rows = [runner.model.fits.row(c, int(f)) for c, f in zip(pairs.driving_clip, pairs.driving_frame, strict=True)]
    own = runner.model.fits.head_fit(rows)
    same = torch.from_numpy(pairs.task == "same")
    assert torch.equal(driving.shape[same], own.shape[same])
    assert torch.equal(driving.shape[~same], source.shape[~same])
    assert not torch.equal(driving.shape[~same], own.shape[~same])
    assert torch.equal(driving.pose, own.pose)
    assert torch.equal(driving.expression, own.expression)


def test_a_model_of_another_head_is_refused(world, tmp_path):
    save_head(tmp_path / "bumpy_sphere.npz", random_head(seed=1))
    with pytest.raises(ValueError, match="bumpy_sphere"):
        PairRunner(Files(world / "model", tmp_path, world / "fits", "one"), CLIPS, torch.device("cpu"))


def test_a_pwm_sheet_shows_every_column(world, runner, pairs, tmp_path):
    shown = pairs.select(chosen_pairs(pairs, 2))
    assert sorted(set(zip(shown.dataset.tolist(), shown.task.tolist(), strict=True))) == [
        ("first", "cross"), ("first", "same"), ("second", "cross"), ("second", "same")]  # fmt: skip
    assert len(shown) == 8
    write_predictions(tmp_path / "p.arrow", shown.pair_id.tolist(), [encode_png(shown.source_u8[:][:, ::-1])])
    row = Row("tiny.one.x", "PWM", "pwm", "one", GUIDANCE, "tiny")
    pwm_sheet(row, runner, shown, tmp_path / "p.arrow", tmp_path / "a.png")
    pwm_sheet(row, runner, shown, tmp_path / "p.arrow", tmp_path / "b.png")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    picture = Image.open(tmp_path / "a.png")
    assert picture.width > 8 * PANEL_PX
    assert picture.height > 9 * PANEL_PX
    colours = np.asarray(picture.convert("RGB")).reshape(-1, 3)
    assert len(np.unique(colours, axis=0)) > 1000


def test_the_colour_wheel_knows_its_directions():
    right, down = np.array([1.0, 0.0]).reshape(2, 1, 1), np.array([0.0, 1.0]).reshape(2, 1, 1)
    assert colour_wheel(right, 1.0)[0, 0].tolist() == [255, 0, 0]
    assert colour_wheel(-right, 1.0)[0, 0].tolist() == [0, 255, 255]
    red, green, blue = colour_wheel(down, 1.0)[0, 0].tolist()
    assert (green, blue) == (255, 0)
    assert 100 < red < 150
    assert colour_wheel(0 * right, 1.0)[0, 0].tolist() == [255, 255, 255]
    assert colour_wheel(0.5 * right, 1.0)[0, 0].tolist() == [255, 128, 128]
    key = wheel_key(64)
    assert key[32, 60, 0] > 200 > key[32, 60, 1]
    assert key[0, 0].tolist() == [255, 255, 255]


def test_loss_curves_are_drawn(tmp_path):
    lines = "\n".join(f"{i},{3 / (i + 1):.3f},{1 + i / 99:.3f}" for i in range(99))
    (tmp_path / "curve.csv").write_text("step,generator,discriminator\n" + lines + "\n")
    for name in ("a.png", "b.png"):
        loss_curves({"PWM": tmp_path / "curve.csv"}, tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert Image.open(tmp_path / "a.png").width > 800


@pytest.fixture
def of_seeds(world, head, tmp_path, monkeypatch):
    """Evaluates a row of models that lie in `tmp_path/models`: `row` with two seeds more, `second` with the first."""
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    for seed in (7, 10):
        torch.manual_seed(seed)
        animator = Animator(head, load_animator(world / "model", head).config)
        save_animator(tmp_path / "models" / "row" / "seeds" / str(seed), animator, 1, {"seed": seed})
    shutil.copytree(world / "model", tmp_path / "models" / "row", dirs_exist_ok=True)
    shutil.copytree(tmp_path / "models" / "row" / "seeds" / "10", tmp_path / "models" / "second")
    for folder in ("heads", "fits"):
        shutil.copytree(world / folder, tmp_path / folder)
    judge = FakeJudge()
    monkeypatch.setattr("pipeline.bench.opening.open_measures", lambda *_: make_measures(judge))
    fit = SimpleNamespace(min_score=0.5, landmark_fit=None)
    settings = {**vars(PARAMS), "bench": BENCH, "metrics": None, "fit": fit}
    inputs = EvaluateInputs(clips=world / "clips", heads=tmp_path / "heads", pairs=world / "pairs.parquet")

    def evaluate(method: str, out: str) -> dict[str, bytes]:
        place = tmp_path / "results" / out
        where = (tmp_path / "models", tmp_path / "fits", place, torch.device("cpu"))
        evaluate_row(SimpleNamespace(**settings), method, inputs, *where)
        return {p.relative_to(place).as_posix(): p.read_bytes() for p in place.rglob("*") if p.is_file()}

    return evaluate


def test_every_seed_is_generated_and_scored_as_a_row_of_its_own(of_seeds, tmp_path, capsys):
    found = of_seeds("row", "row")
    assert further_seeds(tmp_path / "results" / "row") == [7, 10]
    files = {"predictions.arrow", "scores.parquet", "features/fid.judge.parquet"}
    assert set(found) == files | {f"seeds/{seed}/{name}" for seed in (7, 10) for name in files}
    assert len({found[name] for name in found if name.endswith("scores.parquet")}) == 3
    alone = of_seeds("second", "row_again")
    assert alone["predictions.arrow"] == found["seeds/10/predictions.arrow"]
    said = capsys.readouterr().err
    assert "row (seeds/7): 108 of 108 pairs generated" in said
    assert "second: 0 of 108 pairs generated" in said  # the same weights, so the same frames
    shutil.rmtree(tmp_path / "models" / "row" / "seeds")
    assert of_seeds("row", "row") == {name: found[name] for name in files}
