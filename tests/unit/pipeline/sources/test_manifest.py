import os

import pytest
from typer.testing import CliRunner

from pipeline import cli
from pipeline.sources.listing import list_source
from pipeline.sources.manifest import SAMPLE, content_key, scan, scan_all
from pipeline.sources.request import SourceError
from tests.videos import TUBE, data_params, released, voxceleb1

WATCHED = released().model_copy(update={"watch": "vox2.manifest.csv"})


@pytest.fixture
def root(tmp_path):
    for name in ("b", "a"):
        path = tmp_path / "vox2" / "mp4" / "id00017" / "vid" / f"{name}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode() * 10)
    return tmp_path


def test_a_manifest_lists_every_file_and_holds_no_times(root):
    found = scan(WATCHED, root)
    lines = found.path.read_text().splitlines()
    assert lines[0] == "path,bytes,key"
    assert [line.rsplit(",", 1)[0] for line in lines[1:]] == ["mp4/id00017/vid/a.mp4,10", "mp4/id00017/vid/b.mp4,10"]
    before = found.path.read_bytes()
    os.utime(root / "vox2" / "mp4" / "id00017" / "vid" / "a.mp4", (1, 1))
    again = scan(WATCHED, root)
    assert found.path.read_bytes() == before
    assert (again.num_files, again.num_bytes, again.added, again.changed, again.removed) == (2, 20, 0, 0, 0)


def test_a_scan_says_what_changed(root):
    scan(WATCHED, root)
    folder = root / "vox2" / "mp4" / "id00017" / "vid"
    (folder / "a.mp4").write_bytes(b"x" * 10)
    (folder / "b.mp4").unlink()
    (folder / "c.mp4").write_bytes(b"c")
    found = scan(WATCHED, root)
    assert (found.added, found.changed, found.removed) == (1, 1, 1)


def test_large_videos_are_sampled_and_tables_read_whole(tmp_path):
    keys = {}
    for suffix in (".mp4", ".parquet"):
        for byte in (b"0", b"1"):
            path = tmp_path / f"x{suffix}"
            path.write_bytes(b"a" * SAMPLE + byte + b"z" * 2 * SAMPLE)
            keys[suffix, byte] = content_key(path)
    assert keys[".mp4", b"0"] == keys[".mp4", b"1"]
    assert keys[".parquet", b"0"] != keys[".parquet", b"1"]
    (tmp_path / "x.mp4").write_bytes(b"a" * SAMPLE + b"z" * 2 * SAMPLE)
    assert content_key(tmp_path / "x.mp4") != keys[".mp4", b"0"]


def test_a_manifest_older_than_its_folder_is_refused(root):
    with pytest.raises(SourceError, match=r"no manifest .*vox2\.manifest\.csv: run `pwm data scan`"):
        list_source(WATCHED, root, TUBE, "data.second")
    path = scan(WATCHED, root).path
    assert len(list_source(WATCHED, root, TUBE, "data.second").requests) == 2
    extra = root / "vox2" / "mp4" / "id00017" / "vid" / "c.mp4"
    extra.touch()
    with pytest.raises(SourceError, match=r"lacks 1 files of .*such as mp4/id00017/vid/c\.mp4: run `pwm data scan`"):
        list_source(WATCHED, root, TUBE, "data.second")
    extra.unlink()
    (extra.parent / "a.mp4").unlink()
    with pytest.raises(SourceError, match="lists, though they are gone, 1 files"):
        list_source(WATCHED, root, TUBE, "data.second")
    path.write_text("something else\n")
    with pytest.raises(SourceError, match=r"manifest\.csv:1: expected path,bytes,key"):
        list_source(WATCHED, root, TUBE, "data.second")


def test_only_data_sets_that_have_a_manifest_are_scanned(root):
    assert [found.num_files for found in scan_all(data_params(root, voxceleb1(), WATCHED))] == [2]
    with pytest.raises(SourceError, match=r"no data set has a manifest: set data\.first\.watch"):
        scan_all(data_params(root, voxceleb1(), released()))


def test_the_command_writes_manifests_or_says_how_to_get_one(root, monkeypatch):
    runner = CliRunner()
    refused = runner.invoke(cli.app, ["data", "scan"])
    assert refused.exit_code == 2
    assert "no data set has a manifest" in refused.output
    monkeypatch.setattr(
        "pipeline.params.tree.load_params",
        lambda path: type("P", (), {"data": data_params(root, voxceleb1(), WATCHED)}),
    )
    done = runner.invoke(cli.app, ["data", "scan"])
    assert done.exit_code == 0
    assert "2 files" in done.output
    assert "(2 added, 0 changed, 0 removed)" in done.output
