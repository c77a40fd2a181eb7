"""A row is compiled where it pays and can be, and what hinders it is said."""

import pytest
import torch

from model.training import compiled
from pipeline.params.tree import load_params
from pipeline.training import row, run
from tests.helpers import ROOT
from tests.row_inputs import row_inputs

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


@pytest.fixture(autouse=True)
def _nothing_compiled():
    torch.compiler.reset()
    yield
    torch.compiler.reset()


def losses(folder, monkeypatch, backend) -> list[dict[str, float]]:
    """The curve of a short training, compiled by a backend if one is named."""
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("DVC_ROOT", str(folder))
    params = load_params(ROOT / "tests" / "data" / "small.yaml")
    recipe, network = params.recipes["toy64"], params.networks["toy64"].pwm
    short = recipe.model_copy(update={"iterations": 1, "batch_size": 2})
    monkeypatch.setattr(row, "compiles", lambda wanted, _device: wanted and backend is not None)
    monkeypatch.setattr(run, "compile_parts", lambda lesson: compiled.compile_parts(lesson, backend))
    return row.train_row("toy64.x.nmfc", "nmfc", short, network, row_inputs(folder), folder / "model", CPU)


def test_only_cuda_compiles_and_what_it_lacks_is_said(monkeypatch, capsys):
    monkeypatch.setattr(row, "lacking", lambda: "")
    assert row.compiles(True, CUDA)
    assert not row.compiles(False, CUDA)
    assert not row.compiles(True, CPU)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(row, "lacking", lambda: "there is no C compiler")
    assert not row.compiles(True, CUDA)
    assert "not compiled, and slower: there is no C compiler" in capsys.readouterr().err


@pytest.mark.slow
def test_a_compiled_row_trains_as_one_that_is_not(tmp_path, monkeypatch):
    plain = losses(tmp_path / "plain", monkeypatch, None)
    assert losses(tmp_path / "compiled", monkeypatch, "aot_eager") == [
        pytest.approx(values, rel=1e-3) for values in plain
    ]


def test_a_compiler_that_fails_is_named_with_the_way_out(tmp_path, monkeypatch):
    def broken(_graph, _inputs):
        raise ZeroDivisionError("no such kernel")

    with pytest.raises(RuntimeError, match=r"toy64\.x\.nmfc: torch\.compile failed .*no such kernel.*--no-compile"):
        losses(tmp_path, monkeypatch, broken)
