"""A bare folder of videos goes through the graph to its tables, with nothing but the mesh's files beside it.

The videos are of rendered heads, which the mesh sees as faces.
"""

import csv
import shutil

import pytest
from ruamel.yaml import YAML

from pipeline.store.clips import ClipStore
from pipeline.store.landmark_table import LandmarkTable
from pipeline.store.schema import read_table
from tests.e2e.project_copy import copy_project, run
from tests.helpers import ROOT
from tests.tflite_files import released

pytestmark = pytest.mark.slow
MESH = ("blazeface", "face_mesh")


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """Four people, one of them twice and one in a flat file, rendered; and the profile with a few steps of training."""
    files = {name: released(f"{name}.tflite") for name in MESH}
    folder = tmp_path_factory.mktemp("own")
    videos = folder / "my videos"
    small = copy_project(folder / "studio", ROOT / "tests" / "data" / "small.yaml")
    run("dvc", "repro", "videos", cwd=small)
    rendered = sorted((small / "data" / "videos").glob("*/videos/*.mp4"))
    assert len(rendered) >= 4
    for name, video in zip(("anna/über 😀.mp4", "ben/b b.mp4", "cleo.mp4", "dora/d.mp4"), rendered, strict=False):
        (videos / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(video, videos / name)
    (videos / "anna" / "photo.jpg").write_bytes(b"no video")
    yaml = YAML()
    values = yaml.load((ROOT / "profiles" / "own.yaml").read_text())
    values["recipes"]["own64"]["iterations"] = 4
    values["pairs"]["per_person"] = 4
    values["crop"]["tube"] |= {"min_frames": 8}
    values["fit"] |= {"max_fail_rate": 0.9, "max_residual": 1.0}
    rates = values["networks"]["own64"]
    for network in rates.values():
        network["learning_rate"]["drop_steps"] = [1, 2, 3]
    with (folder / "params.yaml").open("w") as stream:
        yaml.dump(values, stream)
    made = copy_project(folder / "project", folder / "params.yaml")
    (made / "data" / "assets").mkdir(parents=True)
    for name, file in files.items():
        shutil.copyfile(file, made / "data" / "assets" / file.name)
        run("pwm", "assets", "record", name, cwd=made)
    run("git", "commit", "--quiet", "--all", "--message", "assets", cwd=made)
    return made, videos


def test_tables_come_of_a_bare_folder(project):
    folder, videos = project
    output = run("dvc", "exp", "run", "-S", f"data.root={videos}", cwd=folder)
    assert "1 files or folders are no videos and left aside, such as anna/photo.jpg" in output
    ledger = read_table(folder / "data/landmarks/Own/ledger.parquet").to_pylist()
    assert {(row["person"], row["reason"]) for row in ledger} == {(p, "ok") for p in ("anna", "ben", "cleo", "dora")}
    people = [set(ClipStore(folder / f"data/clips/{part}").index["person"].to_pylist()) for part in ("train", "eval")]
    assert [len(part) for part in people] == [2, 2]
    assert not people[0] & people[1]
    assert len(LandmarkTable(folder / "data/landmarks/Own/landmarks.parquet").frames()) > 100
    with (folder / "reports/own/tables/scores.csv").open(newline="") as stream:
        cells = list(csv.DictReader(stream))
    assert {cell["dataset"] for cell in cells} == {"Own"}
    ours = [
        cell for cell in cells if cell["row"].startswith("own64.") and cell["metric"].startswith(("akd", "aed", "apd"))
    ]
    assert len(ours) >= 5
    assert not [cell for cell in ours if cell["task"] == "same" and not cell["value"]]
