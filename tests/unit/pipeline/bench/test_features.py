"""Files of features: a column each, equal bytes for equal rows, and refusals that name the remedy."""

from types import SimpleNamespace

import numpy as np
import pytest

from pipeline.bench.features import Features, FeatureWriter, NotMeasured, features_file, refuse_unnamed
from pipeline.store import schema

SETS = [("same", "generated"), ("same", "reference"), ("cross", "generated"), ("cross", "reference")]
PAIRS = SimpleNamespace(
    pair_id=np.array([f"p{number}" for number in range(7)]),
    dataset=np.array(["first"] * 4 + ["second"] * 3),
    task=np.array(["same"] * 7),
)


def part(task: str, rows: slice) -> SimpleNamespace:
    return SimpleNamespace(
        pair_id=PAIRS.pair_id[rows], dataset=PAIRS.dataset[rows], task=np.array([task] * len(PAIRS.pair_id[rows]))
    )


def values(width: int) -> dict[tuple[str, str], np.ndarray]:
    return {key: np.random.default_rng(n + width).normal(size=(7, width)).astype("f4") for n, key in enumerate(SETS)}


def write(out, step: int = 7, columns=(("fid[a]", 3), ("fid[b,one]", 11))) -> None:
    with FeatureWriter(out, "m", {"pairs_sha256": "x"}) as writer:
        for metric_id, width in columns:
            for (task, role), features in values(width).items():
                for start in range(0, 7, step):
                    rows = slice(start, start + step)
                    writer.add(metric_id, part(task, rows), role, features[rows])


def write_and_fail(writer: FeatureWriter) -> None:
    writer.add("fid[c]", part("same", slice(7)), "generated", values(3)[SETS[0]])
    raise ValueError("the reference role could not be read")


def test_columns_of_differing_width_are_read_back_by_set_and_in_the_order_asked_for(tmp_path, monkeypatch):
    monkeypatch.setattr(schema, "ROW_GROUP", 5)  # sets lie across row groups
    write(tmp_path)
    assert sorted(p.name for p in (tmp_path / "features").iterdir()) == ["fid.a.parquet", "fid.b.one.parquet"]
    for metric_id, width in (("fid[a]", 3), ("fid[b,one]", 11)):
        features = Features(tmp_path, metric_id)
        for (task, role), wanted in values(width).items():
            np.testing.assert_array_equal(features.of_set("first", task, role, ["p3", "p0"]), wanted[[3, 0]])
            np.testing.assert_array_equal(features.of_set("second", task, role, ["p4", "p5", "p6"]), wanted[4:])
    rows = schema.read_table(features_file(tmp_path, "fid[b,one]")).to_pylist()
    assert {row["metric"] for row in rows} == {"fid[b,one]"}


def test_bytes_depend_on_the_rows_alone(tmp_path):
    write(tmp_path / "one")
    write(tmp_path / "two", step=2)
    for file in (tmp_path / "one" / "features").iterdir():
        assert file.read_bytes() == (tmp_path / "two" / "features" / file.name).read_bytes()


def test_files_of_columns_no_longer_measured_go_once_the_new_ones_are_written(tmp_path):
    write(tmp_path)
    (tmp_path / "features.parquet").write_bytes(b"of an earlier version")
    with pytest.raises(ValueError, match="role"), FeatureWriter(tmp_path, "m", {}) as writer:
        write_and_fail(writer)
    assert sorted(p.name for p in (tmp_path / "features").iterdir()) == ["fid.a.parquet", "fid.b.one.parquet"]
    with pytest.raises(ValueError, match=r"features.parquet does not say which instrument .*dvc repro evaluate"):
        refuse_unnamed(tmp_path)
    write(tmp_path, columns=[("fid[b,one]", 4)])
    assert [p.name for p in (tmp_path / "features").iterdir()] == ["fid.b.one.parquet"]
    refuse_unnamed(tmp_path)


def test_what_is_not_there_is_said_and_another_columns_features_are_never_read(tmp_path):
    write(tmp_path)
    with pytest.raises(NotMeasured, match=r"has no features of fid\[c\].*dvc repro evaluate"):
        Features(tmp_path, "fid[c]")
    with pytest.raises(NotMeasured, match="lacks 2 of 3 generated images of first same, first p4"):
        Features(tmp_path, "fid[a]").of_set("first", "same", "generated", ["p0", "p4", "p6"])
    features_file(tmp_path, "fid[a]").rename(features_file(tmp_path, "fid[c]"))
    with pytest.raises(ValueError, match=r"fid.c.parquet holds features of fid\[a\], not of fid\[c\] alone"):
        Features(tmp_path, "fid[c]")
