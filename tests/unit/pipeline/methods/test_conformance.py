"""What every method of the table keeps to: files, size, batches, what it reads, whose shape it shows."""

import json

import numpy as np
import pytest
import torch
from torch import Tensor

from model.method.files import CONFIG, read_config
from pipeline.method_table import METHODS, OURS
from pipeline.methods.protocol import Driven
from pipeline.methods.registry import adapter_named
from pipeline.methods.runner import MethodRunner
from tests.small_methods import CLIPS, CPU, SIZE, SmallWorld, Watched, make_small_world

ANNA, BERTA = CLIPS
SOURCES = ((ANNA, 0), (ANNA, 1), (BERTA, 2))
DRIVERS = ((ANNA, 4), (BERTA, 5), (ANNA, 3))
SAME = torch.tensor([True, False, False])
OWN_CROP = [method for method in METHODS if adapter_named(method).has_own_crop]
FITTED = [method for method in METHODS if adapter_named(method).table == "own"]


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> SmallWorld:
    return make_small_world(tmp_path_factory.mktemp("methods"))


@pytest.fixture
def runner(world, method) -> MethodRunner:
    return world.runner(method)


def animated(world: SmallWorld, runner: MethodRunner, rows: slice = slice(None)) -> Tensor:
    source, driving = world.view(runner, *SOURCES[rows]), world.view(runner, *DRIVERS[rows])
    return runner.animate(source, driving, SAME[rows]).image


def drive(world: SmallWorld, runner: MethodRunner, source: tuple, driving: tuple, same: bool, own_crop=False) -> Driven:
    """Of one pair."""
    views = world.view(runner, source), world.view(runner, driving)
    return runner.adapter.drive(*views, torch.tensor([same]), own_crop)


def assert_same_signals(one: Driven, other: Driven) -> None:
    assert one.signals.keys() == other.signals.keys()
    for name, signal in one.signals.items():
        torch.testing.assert_close(signal, other.signals[name], rtol=0, atol=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_a_model_is_built_filled_and_driven_from_its_files(world, runner, method):
    """The frames are those of the network that was saved, before it was written, read and settled."""
    files = world.files(method)
    assert (files.method, read_config(files.model)["head"] is None) == (method, files.head is None)
    assert all(path.is_file() for path in files.all)
    head = world.head if files.head else None
    assert type(files.adapter.build(files.config, head)) is type(world.network(method))
    source, driving = world.view(runner, *SOURCES), world.view(runner, *DRIVERS)
    driven = runner.adapter.drive(source, driving, SAME)
    with torch.inference_mode():
        saved, read = (network(driven.source, driven.signals) for network in (world.network(method), runner.network))
    torch.testing.assert_close(saved.image, read.image, rtol=0, atol=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_frames_are_finite_of_the_clips_size_and_follow_source_and_driver(world, runner, method):
    image = animated(world, runner)
    assert image.shape == (len(SOURCES), 3, *SIZE)
    assert image.isfinite().all()
    assert image.min() >= 0
    assert image.max() <= 1
    shown = world.view(runner, SOURCES[0]), world.view(runner, DRIVERS[0])
    for source, driving in ((world.view(runner, SOURCES[2]), shown[1]), (shown[0], world.view(runner, DRIVERS[1]))):
        other = runner.animate(source, driving, SAME[:1]).image
        assert (other - image[:1]).abs().max() > 2e-5  # networks that nobody trained answer little


@pytest.mark.parametrize("method", METHODS)
def test_a_pair_alone_is_the_pair_in_a_batch(world, runner, method):
    whole = animated(world, runner)
    for row in range(len(SOURCES)):
        alone = animated(world, runner, slice(row, row + 1))
        torch.testing.assert_close(alone[0], whole[row], rtol=0, atol=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_a_method_reads_what_it_says(world, runner, method):
    """Images alone where it names no table; else its drivers' fits and landmarks, and no driver's image."""
    files = world.files(method)
    source, driving = (Watched(world.view(runner, *frames), []) for frames in (SOURCES, DRIVERS))
    runner.animate(source, driving, SAME)
    assert "images" in source.asked
    if not files.adapter.table:
        assert (files.fits, runner.fits) == (None, None)
        assert set(source.asked) | set(driving.asked) == {"images"}
        with pytest.raises(ValueError, match="given images alone"):
            world.view(runner, *SOURCES).fit()
        return
    name = {"own": world.head.name, "landmarks": world.head.name}.get(files.adapter.table, files.adapter.table)
    assert files.fits == world.folder / "fits" / name / "eval.parquet"
    assert driving.asked
    assert "images" not in driving.asked
    if files.adapter.table == "landmarks":
        assert "fit" not in source.asked + driving.asked


@pytest.mark.parametrize("method", METHODS)
def test_a_driver_of_another_person_lends_what_the_method_says(world, runner, method):
    """Of heads the source's shape is kept, of PIRender's windows its crop scale; whatever else is the driver's own."""
    own, crossed = (drive(world, runner, (ANNA, 0), (BERTA, 4), same) for same in (True, False))
    if method not in FITTED and adapter_named(method).table != "bfm":
        assert_same_signals(own, crossed)
        return
    changed = {name for name, signal in own.signals.items() if not torch.equal(signal, crossed.signals[name])}
    assert changed
    assert not [name for name in changed if name.startswith("source")]
    if method in FITTED:
        assert_same_signals(crossed, drive_with_shape(world, runner, (ANNA, 0), (BERTA, 4)))


def drive_with_shape(world: SmallWorld, runner: MethodRunner, source: tuple, driving: tuple) -> Driven:
    """The pair as if it showed one person, where the driver's fits have the source's shape."""
    seen = world.view(runner, source)
    shape = seen.fit().shape

    class Dressed(Watched):
        def fit(self, before: int = 0, after: int = 0):
            fit = super().fit(before, after)
            return fit.replace(shape=shape.expand(len(fit), -1))

    return runner.adapter.drive(seen, Dressed(world.view(runner, driving), []), torch.tensor([True]))


@pytest.mark.parametrize("method", OWN_CROP)
def test_outside_its_own_crop_is_the_sources_frame(world, method):
    runner = world.runner(method, True)
    source, driving = world.view(runner, *SOURCES), world.view(runner, *DRIVERS)
    made, squares = animated(world, runner), runner.adapter.drive(source, driving, SAME, True).squares
    assert made.shape == (len(SOURCES), 3, *SIZE)
    assert squares
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    for image, frame, square in zip(made, source.images(), squares, strict=True):
        inside = (rows >= square.top) & (rows < square.top + square.side)
        inside &= (columns >= square.left) & (columns < square.left + square.side)
        assert 0 < inside.sum() < inside.size
        assert torch.equal(image[:, ~inside], frame[:, ~inside])
        assert (image[:, inside] - frame[:, inside]).abs().max() > 0.01


@pytest.mark.parametrize("method", [method for method in METHODS if method not in OWN_CROP])
def test_others_belong_to_the_whole_frame(world, runner, method):
    assert drive(world, runner, SOURCES[0], DRIVERS[0], True).squares is None


@pytest.mark.parametrize("method", METHODS)
def test_a_config_that_lacks_a_setting_is_refused_by_name(world, method):
    files = world.files(method)
    head = world.head if files.head else None
    assert json.loads((files.model / CONFIG).read_text())["method"] == method
    beside = {"method", "head", "step", "made", "provenance"}
    first = next(name for name in files.config if name not in beside)
    lacking = {name: value for name, value in files.config.items() if name != first}
    with pytest.raises((ValueError, KeyError), match=first):
        files.adapter.build(lacking, head)


@pytest.mark.parametrize("method", METHODS)
def test_notes_are_sentences(method):
    notes = adapter_named(method).notes
    assert isinstance(notes, tuple)
    assert all(note and note[0].islower() | note[0].isupper() and not note.endswith(".") for note in notes)


@pytest.mark.parametrize("method", FITTED)
def test_a_method_of_a_head_is_not_built_without_one(world, method):
    with pytest.raises(ValueError, match="config.json names none"):
        adapter_named(method).build(world.files(method).config, None)


def reasons(**fitted: str) -> dict[str, str]:
    """System -> why its released weights have no row, where they have none."""
    said = {method: adapter_named(method).why_not_released(fitted) for method in METHODS}
    return {method: reason for method, reason in said.items() if reason}


def test_why_released_weights_give_no_row():
    paper = reasons(flame="deca", bfm="deep3d")
    assert set(paper) == {OURS, "headgan"}
    assert "LSFM" in paper["headgan"]
    puppets = reasons(puppet="puppet_tracker", puppet_face="puppet_tracker")
    assert set(puppets) == {OURS, "headgan", "pirender"}
    assert puppets["pirender"].endswith("of head bfm, and clips are fitted with puppet and puppet_face here")
    other = reasons(ict="landmarks", bfm="landmarks")["pirender"]
    assert other.endswith("of tracker deep3d, and landmarks fits head bfm here")


@pytest.mark.parametrize("method", METHODS)
def test_panels_are_colour_images_that_a_contact_sheet_can_show(world, runner, method):
    made = runner.animate(world.view(runner, *SOURCES), world.view(runner, *DRIVERS), SAME)
    for caption, panel in made.panels.items():
        assert panel.dim() == 4, caption
        assert panel.shape[:2] == (len(SOURCES), 3), caption


def test_a_method_that_is_not_there_is_named_with_its_file():
    with pytest.raises(ValueError, match="no method 'nobody': no pipeline/adapters/nobody/adapter.py"):
        adapter_named("nobody")


def test_a_model_without_its_fits_names_the_table(world):
    files = world.files("bilayer")
    files.fits = files.fits.with_name("gone.parquet")
    with pytest.raises(FileNotFoundError, match="gone.parquet"):
        MethodRunner(files, CLIPS, CPU)
