"""The benchmarks' references do the same work as ours, and a tiny run writes a whole report."""

import json
import sys
import types

import pytest
import torch

from benchmarks import heads, raster, raster_flat
from benchmarks.raster_references import rasterize_by_loop, rasterize_vectorised
from benchmarks.timing import in_turns, seconds, spread
from benchmarks.train_reference import ReferenceStep
from model.heads.rotation import axis_angle_to_matrix
from model.render.raster import rasterize
from pipeline.params.tree import load_params


def test_references_see_the_triangles_that_we_see():
    verts, triangles = raster.bumpy_head(2, "cpu")
    ids = rasterize(verts, triangles, (48, 64)).triangle
    assert (rasterize_vectorised(verts, triangles, (48, 64)) != ids).double().mean() < 1e-3
    assert (rasterize_by_loop(verts[1], triangles, (48, 64)) != ids[1]).double().mean() < 1e-3
    assert (ids >= 0).any()


def test_a_cell_stops_when_its_time_is_spent():
    calls = []
    assert len(seconds(lambda: calls.append(1), "cpu", repeats=5, budget_s=100.0)) == 5
    assert len(calls) == 7  # two to warm up
    assert len(seconds(lambda: None, "cpu", repeats=50, budget_s=0.0)) == 3
    assert spread([(1.0, 2.0), (3.0, 4.0)], 10) == {
        "ms_per_image": 200.0, "q25": 150.0, "q75": 250.0, "best": 100.0, "cpu_ms_per_image": 300.0, "repeats": 2,
    }  # fmt: skip


def test_what_is_compared_takes_turns():
    calls = []
    times = in_turns([lambda: calls.append("a"), lambda: calls.append("b")], "cpu", 4, 100.0, warm_up=1)
    assert "".join(calls) == "ab" * 5
    assert [len(own) for own in times] == [4, 4]


def test_flatness_is_the_large_batch_over_the_small_one_per_image(monkeypatch):
    monkeypatch.setattr(raster_flat, "SIZE", 16)
    monkeypatch.setattr(raster_flat, "in_turns", lambda works, *_, **__: [[(1.0, 8.0)], [(1.0, 96.0)]])
    assert raster_flat.measure(1) == {raster.VISIBILITY: 1.5, raster.BOTH: 1.5}


def test_the_reference_step_moves_both_networks():
    params = load_params()
    step = ReferenceStep(params.recipes["toy64"], params.networks["toy64"].pwm)
    networks = (step.generator, step.discriminator)
    before = [{name: p.detach().clone() for name, p in network.named_parameters()} for network in networks]
    step()
    still = [
        name
        for network, old in zip(networks, before, strict=True)
        for name, p in network.named_parameters()
        if torch.equal(p, old[name])
    ]
    assert all(name.endswith("logits.bias") for name in still)  # at the start real and made images pull equally


def test_a_tiny_run_writes_the_report_of_the_rasteriser(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["benchmarks.raster"])
    few = {"batch": [1, 2], "channels": [3], "repeats": 1, "budget_s": 0.0, "threads": 1, "largest_reference": 1}
    raster.main(tmp_path, size=[32], **few)
    report, page = json.loads((tmp_path / "raster.json").read_text()), (tmp_path / "raster.md").read_text()
    cells = {(r["what"], r["method"], r["batch"]) for r in report["rows"]}
    assert {(raster.VISIBILITY, raster.OURS, 2), (raster.VISIBILITY, raster.VECTORISED, 1)} <= cells
    assert {
        (raster.VISIBILITY, raster.LOOP, 1),
        (raster.BOTH, raster.OURS, 2),
        (raster.BOTH, raster.INDEXING, 1),
    } <= cells
    assert all(r["ms_per_image"] > 0 for r in report["rows"])
    assert {"visibility", "forward", "forward + backward"} == {r["what"] for r in report["ratios"]}
    assert "nvdiffrast on cpu: nvdiffrast runs on CUDA only" in page
    assert "at least 150 | - |" in page  # this run has no such cell
    kept = [goal["measured"] for goal in report["goals"] if "memory kept" in goal["goal"]]
    assert len(kept) == 2
    assert all(0.3 < ratio < 3 for ratio in kept)


def test_ratios_and_goals_are_of_the_cells_they_name():
    def row(method: str, batch: int, cpu_ms: float) -> dict:
        names = {"device": "cpu", "what": raster.VISIBILITY, "method": method, "size": 256, "channels": None}
        return names | {"batch": batch, "ms_per_image": 9.0, "cpu_ms_per_image": cpu_ms}

    rows = [row("ours", 8, 2.0), row("ours", 64, 2.5), row(raster.LOOP, 1, 400.0)]
    found = raster.ratios(rows)
    assert [(r["batch"], r["ratio"]) for r in found] == [(8, 200.0), (64, 160.0)]
    measured = [g["measured"] for g in raster.goals(rows, found, {raster.VISIBILITY: 0.9, raster.BOTH: 1.2})]
    assert measured == [200.0, None, 0.9, 1.25, 1.2, None]
    cuda = {"size": 256, "batch": 32, "channels": 16, "what": raster.FORWARD}
    moved = 65536 * 84 + (238560 + 5041 * 64) / 32
    assert raster.floor_ms(cuda, 4e12) == pytest.approx(1000 * moved / 4e12, rel=1e-3)


def lbs_by_homogeneous_matrices(betas, pose, template, shape_dirs, pose_dirs, regressor, parents, weights):
    """What smplx.lbs.lbs is documented to compute, written from the equations."""
    count = len(betas)
    shaped = template + torch.einsum("bl,vkl->bvk", betas, shape_dirs)
    joints = torch.einsum("jv,bvk->bjk", regressor, shaped)
    rotations = axis_angle_to_matrix(pose.view(count, -1, 3))
    feature = (rotations[:, 1:] - torch.eye(3)).flatten(1)
    shaped = shaped + (feature @ pose_dirs).view(count, -1, 3)
    chain = []
    for joint, parent in enumerate(parents.tolist()):
        move = joints[:, joint] - (joints[:, parent] if joint else 0)
        top = torch.cat([rotations[:, joint], move[..., None]], 2)
        local = torch.cat([top, torch.eye(4)[3:].expand(count, 1, 4)], 1)
        chain.append(chain[parent] @ local if joint else local)
    transforms = torch.stack(chain, 1)
    turns, posed = transforms[..., :3, :3], transforms[..., :3, 3]
    moves = posed - (turns @ joints[..., None])[..., 0]
    blended = torch.einsum("vj,bjmn->bvmn", weights, turns)
    return (blended @ shaped[..., None])[..., 0] + torch.einsum("vj,bjm->bvm", weights, moves), posed


def test_a_tiny_run_writes_the_report_of_the_heads_with_and_without_smplx(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["benchmarks.heads"])
    monkeypatch.setitem(sys.modules, "smplx", None)
    heads.main(tmp_path, batch=[1], repeats=1, budget_s=0.0, threads=1)
    assert json.loads((tmp_path / "heads.json").read_text())["ratios"] == []
    assert "| smplx.lbs | - | - | - | - |" in (tmp_path / "heads.md").read_text()
    package, module = types.ModuleType("smplx"), types.ModuleType("smplx.lbs")
    module.lbs = lbs_by_homogeneous_matrices
    monkeypatch.setitem(sys.modules, "smplx", package)
    monkeypatch.setitem(sys.modules, "smplx.lbs", module)
    heads.main(tmp_path, batch=[1, 2], repeats=1, budget_s=0.0, threads=1)
    report = json.loads((tmp_path / "heads.json").read_text())
    assert len(report["ratios"]) == 4
    assert 0 < max(r["differs_m"] for r in report["rows"]) < 1e-4
    module.lbs = lambda *a: tuple(2 * x for x in lbs_by_homogeneous_matrices(*a))
    with pytest.raises(ValueError, match="would not time the same work"):
        heads.main(tmp_path, batch=[1], repeats=1, budget_s=0.0, threads=1)
