"""The profile `voxceleb` from its official files to its tables: every release made up, a few pairs of real videos.

The weights are random, so that fits and numbers mean nothing: what is asked for is that the whole way is open.
"""

import csv
import shutil
import sys
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image
from ruamel.yaml import YAML
from typer.testing import CliRunner

from pipeline.cli import app
from pipeline.method_table import BASELINES, RETRAINED
from pipeline.report.rows import GUIDANCE_LABELS
from tests.e2e.project_copy import copy_project, run
from tests.helpers import ROOT, shared
from tests.paper_assets import released

pytestmark = pytest.mark.slow

FRAMES = 6  # of each clip
TRAIN, TEST = ("rvA0greensc",), ("rvH18greyse", "rvJ29outdoo")
RUN = {name: f"{'paper256' if name in RETRAINED else 'official'}.{name}" for name in BASELINES}  # keys of their rows
OWN_CROP = {name: f"{BASELINES[name]} (own crop)" for name in ("bilayer", "lsr")}
MEASURED = (("VoxCeleb1", "same"), ("VoxCeleb1", "cross"), ("VoxCeleb2", "same"))
CONTROLS = ("copy source", "ground truth")
UTTERANCES = ("id00017/OLguY5ofUrY/00039.mp4",)  # one person has no cross-identity pairs


def cut(video: Path, out: Path) -> None:
    """Keep a video's first frames as they are encoded."""
    out.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(video)) as read, av.open(str(out), "w") as written:
        stream = written.add_stream_from_template(read.streams.video[0])
        packets = (packet for packet in read.demux(read.streams.video[0]) if packet.dts is not None)
        for packet, _ in zip(packets, range(FRAMES), strict=False):
            packet.stream = stream
            written.mux(packet)


def write_videos(root: Path) -> None:
    """A few people of both data sets, some frames of each, in the forms of FOMM's csv and of the release."""
    real, samples = shared("realvox"), shared("voxceleb2_samples")
    (root / "heads").mkdir(parents=True)
    with (real / "vox-metadata.csv").open(newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["video_id"] in TRAIN + TEST]
    for name in TRAIN + TEST:
        (root / "vox1" / "videos").mkdir(parents=True, exist_ok=True)
        shutil.copyfile(real / "videos" / f"{name}.mp4", root / "vox1" / "videos" / f"{name}.mp4")
    with (root / "vox1" / "vox-metadata.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows({**row, "end": FRAMES} for row in rows)
    for name in UTTERANCES:
        cut(samples / "mp4" / name, root / "vox2" / "mp4" / name)


def write_params(path: Path, root: Path) -> None:
    """The profile with one iteration of one pair, few test pairs, and limits that random trackers keep to."""
    yaml = YAML()
    values = yaml.load((ROOT / "profiles" / "voxceleb.yaml").read_text())
    values["data"]["root"] = str(root)
    values["data"]["second"] |= {"kind": "vox2_release", "annotations": None, "videos": "mp4", "split": "test"}
    values["pairs"]["per_person"] = 2
    values["fit"] |= {"max_residual": 100, "max_fail_rate": 0.5}
    values["evaluate"]["batch_size"] = 4
    values["report"]["sheet_pairs"] = 1
    recipe = values["recipes"]["paper256"]
    recipe |= {"iterations": 1, "batch_size": 1}
    recipe["run"] |= {"log_every": 1, "checkpoint_every": 1, "cpu_processes": 1}
    with path.open("w") as stream:
        yaml.dump(values, stream)


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """The project with all assets imported, after `dvc repro`."""
    folder = tmp_path_factory.mktemp("paper")
    write_videos(folder / "voxceleb")
    write_params(folder / "params.yaml", folder / "voxceleb")
    copy = copy_project(folder / "project", folder / "params.yaml")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(copy)
        patch.setenv("PWM_ASSETS", str(copy / "data" / "assets"))
        (folder / "released").mkdir()
        for name, files in released(folder / "released"):
            done = CliRunner().invoke(app, ["assets", "import", name, *map(str, files)])
            assert done.exit_code == 0, done.output
    shutil.rmtree(folder / "released")  # gigabytes, which the assets folder holds as well
    run(sys.executable, "-m", "pipeline.cli", "data", "scan", cwd=copy)
    run("dvc", "repro", cwd=copy, PWM_ASSETS=str(copy / "data" / "assets"))
    yield copy
    shutil.rmtree(folder)  # ten gigabytes, which a failure elsewhere would else leave behind


@pytest.fixture(scope="module")
def tables(project) -> Path:
    return project / "reports" / "voxceleb" / "tables"


def test_every_row_has_numbers_in_tables_1_and_2(tables):
    for table in ("table1", "table2"):
        lines = list(csv.DictReader((tables / f"{table}.csv").read_text().splitlines()))
        found = {(line["dataset"], line["method"]): line for line in lines}
        for label in (*BASELINES.values(), *OWN_CROP.values(), *GUIDANCE_LABELS.values(), *CONTROLS):
            for dataset, task in MEASURED:
                cells = {name: text for name, text in found[dataset, label].items() if name.startswith(f"{task} ")}
                told = [text for text in cells.values() if text]  # empty where a column does not concern the row
                assert told or task == "cross", (table, label, dataset, task)
                assert "-" not in told, (table, label, dataset, task, cells)
        assert all(label in (tables / f"{table}.md").read_text() for label in BASELINES.values())
    assert {f"table{number}.csv" for number in (1, 2, 3)} <= {path.name for path in tables.iterdir()}


def test_headgan_is_trained_and_not_its_release(tables):
    with (tables / "scores.csv").open(newline="") as stream:
        keys = {line["row"] for line in csv.DictReader(stream) if line["method"] == BASELINES["headgan"]}
    assert keys == {RUN["headgan"]}
    with (tables / "costs.csv").open(newline="") as stream:
        costs = {line["row"]: line for line in csv.DictReader(stream)}
    assert set(costs) & set(RUN.values()) == {RUN["headgan"]}
    assert float(costs[RUN["headgan"]]["step_gflop"]) > 0


def test_every_row_has_a_contact_sheet(project):
    figures = project / "reports" / "voxceleb" / "figures"
    keys = [*RUN.values()] + [f"official.{name}.own_crop" for name in OWN_CROP]
    keys += [f"paper256.flame.{guidance}" for guidance in GUIDANCE_LABELS]
    sheets = {path.stem: np.asarray(Image.open(path).convert("RGB")) for path in figures.glob("*.png")}
    assert set(sheets) == {*keys, "paper256.bfm.geom_disp+neural_codes", "curves"}
    assert all(sheet.std() > 10 for sheet in sheets.values())
    shared_crop, own = sheets["official.bilayer"], sheets["official.bilayer.own_crop"]
    assert shared_crop.shape != own.shape or (shared_crop != own).any()
