"""The profile `voxceleb`: what the paper says of it, its people, and what is said while nothing is there."""

import pytest
import torch
from typer.testing import CliRunner

from pipeline import cli
from pipeline.cropping.protocol import crop_facts
from pipeline.metrics.protocols import Opening
from pipeline.metrics.registry import open_measures
from pipeline.params.tree import Params, load_params
from pipeline.report.footer.crops import crop_lines
from pipeline.sources.listing import list_clips, list_source
from pipeline.sources.manifest import scan
from pipeline.sources.request import SourceError
from pipeline.store.schema import write_table
from pipeline.work.ledger import LedgerRow, to_table
from tests.asset_folder import project_with_assets
from tests.helpers import ROOT, shared


@pytest.fixture(scope="module")
def params() -> Params:
    return load_params(ROOT / "profiles" / "voxceleb.yaml")


def test_the_recipe_is_the_papers(params):
    recipe, network = params.recipes[params.bench.recipe], params.networks[params.bench.recipe].pwm
    rates = network.learning_rate
    assert (recipe.image_px, recipe.iterations, network.guidance.code_dim) == (256, 270_000, 16)
    assert {rates.generator, rates.discriminator, rates.codes} == {2e-4}
    assert (rates.drop_steps, rates.drop_factor) == ([80_000, 160_000], 0.1)  # 2e-5, then 2e-6
    assert len(network.generator.channels) == 5
    assert (network.generator.output, network.generator.disp_refines) == ("paper", False)
    assert (network.losses.perceptual_scales, network.discriminator.scales, network.perceptual.blocks) == (3, 3, 5)
    assert (network.losses.pixel, network.losses.warped) == (0, 1)
    assert not any(recipe.augment.model_dump().values())
    assert network.perceptual.weights == "vgg19"
    assert params.crop.size_px == 256


def test_heads_trackers_and_metrics_are_the_papers(params):
    assert (params.bench.head, params.bench.head2, params.bench.corpora) == ("flame", "bfm", [])
    assert [params.fit_of(head).tracker for head in ("flame", "bfm")] == ["deca", "deep3d"]
    assert params.metrics.apd == params.metrics.aed
    assert (params.metrics.aed.backend, params.metrics.aed.second_backend) == (("deca",), ("deep3d",))
    assert (params.report.paper_beside, params.report.embed_pictures) == (True, False)


def test_its_people_are_those_of_fomms_csv_and_the_footer_says_so(params, tmp_path):
    first = params.data.first
    (tmp_path / first.folder / first.videos).mkdir(parents=True)
    (tmp_path / first.folder / first.annotations).symlink_to(shared("voxceleb/vox-metadata.csv"))
    with pytest.raises(SourceError, match=r"no manifest .*vox1\.manifest\.csv: run `pwm data scan`"):
        list_source(first, tmp_path, params.crop.tube, "data.first")
    scan(first, tmp_path)
    clips = list_source(first, tmp_path, params.crop.tube, "data.first")
    people = {split: {r.person for r in clips.requests if r.split == split} for split in ("train", "test")}
    assert {split: len(some) for split, some in people.items()} == {"train": 422, "test": 13}
    official = list_source(first.model_copy(update={"split": "official"}), tmp_path, params.crop.tube, "data.first")
    assert {r.person for r in official.requests if r.split == "test"} == people["test"]
    rows = [LedgerRow(first.name, "test", r.clip, r.person, r.video, "missing_source") for r in clips.requests
            if r.split == "test"]  # fmt: skip
    write_table(tmp_path / "ledger.parquet", to_table(rows), crop_facts([first], params.crop))
    (line,) = crop_lines(tmp_path / "ledger.parquet")
    assert line.startswith("VoxCeleb1: 0 of 525 test clips, 0 of 13 people; crop fomm_csv+gaussian_antialias@")
    assert line.endswith("split FOMM's csv.")


def test_an_absent_data_folder_is_named_in_one_line(params, tmp_path, monkeypatch):
    data = params.data.model_copy(update={"root": str(tmp_path / "voxceleb")})
    with pytest.raises(SourceError, match=r"VoxCeleb1: no such path: .*voxceleb.vox1 .*data\.first\.folder") as caught:
        list_clips(data, params.crop.tube)
    assert "\n" not in str(caught.value)
    (tmp_path / "params.yaml").write_text((ROOT / "profiles" / "voxceleb.yaml").read_text())
    monkeypatch.chdir(tmp_path)
    said = CliRunner().invoke(cli.app, ["data", "scan"])
    assert said.exit_code == 2
    assert "VoxCeleb1: there is no folder ../voxceleb/vox1 to scan" in said.output


def test_every_metric_that_needs_weights_names_an_asset(params, tmp_path, monkeypatch):
    project_with_assets(monkeypatch, tmp_path)
    heads = (params.bench.head, params.bench.head2)
    opening = Opening({name: tmp_path / f"{name}.npz" for name in heads}, params.fit.min_score, torch.device("cpu"))
    measures = {m.id: m.reason for m in open_measures(params.metrics, heads, (256, 256), opening)}
    for part in ("fid[inception", "csim[arcface", "akd_px[fan", "aed[deca,flame", "apd[deep3d,bfm", "lpips[lpips_alex"):
        (reason,) = (reason for name, reason in measures.items() if name.startswith(part))
        assert "then `pwm assets import" in reason, (part, reason)
    assert not any(reason for name, reason in measures.items() if name.startswith(("l1", "ssim")))
