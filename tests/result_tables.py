"""Small tables of results, as the stages write them, for tests of what reads them."""

from pathlib import Path

import numpy as np
import pyarrow as pa

from pipeline.store.schema import LEDGER, PAIRS, SCORES, fits_schema, write_table

METHODS = {"toy64.puppet.nmfc": (10.0, 12.0, 8.0), "controls/copy_source": (16.0, 24.0, 21.0)}
SCORES_CSV = """dataset,task,method,metric,value,ci_low,ci_high,n,n_failed,n_seeds,seed_sd,backend,reason
VoxCeleb1,same,X2Face,l1[pixels],,,,0,0,1,,pixels,not evaluated yet
VoxCeleb1,same,X2Face,ssim[pixels],,,,0,0,1,,pixels,not evaluated yet
VoxCeleb1,same,copy source,l1[pixels],20.25,18.5,22.0,12,0,1,,pixels,
VoxCeleb1,same,copy source,ssim[pixels],0.5,,,12,0,1,,pixels,
VoxCeleb1,same,ours,l1[pixels],10.0,9.0,11.0,12,1,1,,pixels,
VoxCeleb1,same,ours,ssim[pixels],0.9,0.8,1.0,12,0,1,,pixels,
VoxCeleb1,cross,ours,fid[puppet_judge],3.5,3.0,4.0,12,0,1,,puppet_judge,
"""


def write_results(root: Path) -> None:
    """Write `reports/puppets`, `data/results`, `data/pairs.parquet`, `data/fits` and `data/clips` below a folder."""
    (root / "reports/puppets/tables").mkdir(parents=True)
    (root / "reports/puppets/tables/scores.csv").write_text(SCORES_CSV)
    pairs = [
        {"pair_id": f"pair{n}", "dataset": "VoxCeleb1", "task": "same", "source_clip": f"clip{n}", "source_frame": 0,
         "driving_clip": f"clip{n}", "driving_frame": 5, "source_person": person, "driving_person": person}
        for n, person in enumerate(("id1", "id1", "id2"))
    ]  # fmt: skip
    write_table(root / "data/pairs.parquet", pa.Table.from_pylist(pairs, schema=PAIRS), {"sha256": "0"})
    for method, values in METHODS.items():
        rows = [
            {"method": method.split("/")[-1], "metric": "l1[pixels]", "value": value}
            | {name: pair[name] for name in ("pair_id", "dataset", "task")}
            for pair, value in zip(pairs, values, strict=True)
        ]
        table = pa.Table.from_pylist(rows, schema=SCORES)
        write_table(root / "data/results" / method / "scores.parquet", table, {"method": method})
    write_table(root / "data/fits/puppet/eval.parquet", fits_table(), {"head": "puppet"})
    for folder, clips in {"train": [("a", "ok"), ("b", "ok")], "eval": [("c", "ok"), ("d", "failed")]}.items():
        split = {"train": "train", "eval": "test"}[folder]
        rows = [
            {"dataset": "VoxCeleb1", "split": split, "clip": clip, "person": "id1", "video": "v", "status": status,
             "reason": "" if status == "ok" else "too_short", "detail": ""}
            for clip, status in clips
        ]  # fmt: skip
        write_table(root / "data/clips" / folder / "ledger.parquet", pa.Table.from_pylist(rows, schema=LEDGER))


def fits_table() -> pa.Table:
    """Three frames of a head with one identity and two expression codes, the last one not fitted."""
    schema = fits_schema(1, 2, 3, 3)
    texts = {"clip": ["clip0"] * 3, "frame": [0, 1, 2], "status": ["ok", "ok", "no_landmarks"]}
    vectors = {"camera": [[0.5, 0.0, 3.0], [0.5, 0.0, 3.0], [np.nan] * 3]}
    numbers = {"yaw_deg": [-5.0, 10.0, np.nan]}
    rest = {
        field.name: [[0.0] * field.type.list_size] * 3 if pa.types.is_fixed_size_list(field.type) else [0.0] * 3
        for field in schema
    }
    return pa.table({name: (rest | texts | vectors | numbers)[name] for name in schema.names}, schema=schema)
