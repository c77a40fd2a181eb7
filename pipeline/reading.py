"""Results as pandas frames, for notebooks and scripts (docs/reading.md); no stage imports this.

Texts that repeat are categories, so that millions of rows stay small; NaN is a number that does not exist.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pyarrow as pa

from pipeline.store.columns import column_array
from pipeline.store.schema import LEDGER, PAIRS, SCORES, read_table
from pipeline.store.seeds import SEEDS, seed_folders

if TYPE_CHECKING:
    import pandas as pd

CELL_TEXTS = ("dataset", "task", "method", "metric", "backend", "reason")
CELL_NUMBERS = ("value", "ci_low", "ci_high", "seed_sd")
CELL_COUNTS = ("n", "n_failed", "n_left_out", "n_seeds")
NAMES = ("pair_id", "detail")  # texts that hardly repeat


def read_scores(report: Path | str) -> "pd.DataFrame":
    """Read every cell of a benchmark's tables, dashes included.

    Args:
        report: `reports/<name>`, or the file scores.csv itself.

    Returns:
        One row a cell: dataset, task ("same" or "cross"), method (the row's label), metric (its id), value, ci_low and
        ci_high (95% interval, NaN for few people), n (pairs), n_failed (pairs whose image could not be read),
        n_left_out (pairs that another row could not read: all are compared on the same), n_seeds (trainings that the
        value is the mean over), seed_sd (standard deviation between them, NaN for one), backend, reason. In a dash the
        numbers are NaN and reason says why; elsewhere it is "". A report of earlier versions has one seed everywhere
        and leaves out nothing for other rows.

    Raises:
        FileNotFoundError: there is no such report.
        ValueError: the file is another one, or a number of it is none.
    """
    import pandas as pd

    path = Path(report)
    path = path / "tables" / "scores.csv" if path.suffix != ".csv" else path
    if not path.is_file():
        raise FileNotFoundError(f"no scores at {path}: `dvc repro report` writes them")
    texts = pd.read_csv(path, dtype=str, keep_default_na=False)
    columns = ("dataset", "task", "method", "metric", *CELL_NUMBERS, *CELL_COUNTS, "backend", "reason")
    if not {"n_seeds", "seed_sd"} & set(texts):
        texts = texts.assign(n_seeds="1", seed_sd="")
    if "n_left_out" not in texts:
        texts = texts.assign(n_left_out="0")
    if missing := [name for name in columns if name not in texts]:
        raise ValueError(f"{path} lacks the columns {', '.join(missing)}: it is no scores.csv of the stage `report`")
    try:
        numbers = {name: pd.to_numeric(texts[name].mask(texts[name] == "")).astype(float) for name in CELL_NUMBERS}
        counts = {name: pd.to_numeric(texts[name]).astype(int) for name in CELL_COUNTS}
    except ValueError as error:
        raise ValueError(f"{path} holds a number that is none: {error}") from error
    return texts.assign(**numbers, **counts).astype(dict.fromkeys(CELL_TEXTS, "category"))


def read_pair_scores(results: Path | str) -> "pd.DataFrame":
    """Read the score of every pair by every metric: what tables and intervals are computed from.

    Args:
        results: `data/results` for all methods and control rows, or the folder of one of them.

    Returns:
        One row a pair and metric, and seed of a row that was trained with several: pair_id, dataset, task, method (the
        row's key), metric, value (NaN where it failed), seed_number (0 for a row's first seed, 1 for the next).
        Metrics of sets, such as FID, have no score a pair and are not in it.

    Raises:
        FileNotFoundError: nothing was scored there.
        ValueError: a file is no table of scores.
    """
    folder = Path(results)
    found = [path for depth in ("", "*/", "*/*/") for path in sorted(folder.glob(f"{depth}scores.parquet"))]
    files = [path for path in found if path.parent.parent.name != SEEDS]
    if not files:
        raise FileNotFoundError(f"no scores.parquet below {folder}: the stages `evaluate` and `controls` write them")
    tables = []
    for file in files:
        for number, seed in enumerate(seed_folders(file.parent)):
            table = read_table(seed / file.name, SCORES).select(SCORES.names).replace_schema_metadata(None)
            tables.append(table.append_column("seed_number", pa.array([number] * len(table), pa.int64())))
    return _frame(pa.concat_tables(tables))


def read_pairs(pairs: Path | str) -> "pd.DataFrame":
    """Read the pair list (`data/pairs.parquet`): one row a pair, with its clips, frames and people.

    Raises:
        FileNotFoundError, ValueError: there is no such file, or it is no pair list.
    """
    return _frame(read_table(Path(pairs), PAIRS))


def read_ledger(clips: Path | str) -> "pd.DataFrame":
    """Read what became of every clip that was asked for.

    Args:
        clips: `data/clips` for both splits, or one of its folders `train` and `eval`.

    Returns:
        One row a clip: dataset, split, clip, person, video, status ("ok" or the kind of failure), reason, detail.

    Raises:
        FileNotFoundError: no clips were packed there.
        ValueError: a file is no ledger.
    """
    folder = Path(clips)
    files = [path for depth in ("", "*/") for path in sorted(folder.glob(f"{depth}ledger.parquet"))]
    if not files:
        raise FileNotFoundError(f"no ledger.parquet below {folder}: the stage `crop` writes them")
    tables = [read_table(path, LEDGER).replace_schema_metadata(None) for path in files]
    return _frame(pa.concat_tables(tables))


def read_fits(
    fits: Path | str, columns: Sequence[str] | None = None, vectors: Literal["columns", "arrays"] = "columns"
) -> "pd.DataFrame":
    """Read the fitted heads of every frame.

    Args:
        fits: a table of the stage `fit`, such as `data/fits/puppet/eval.parquet`.
        columns: which columns; all unless given, which a large data set has no memory for.
        vectors: how codes, pose, camera, maps and landmarks are held: "columns" makes a column a number (`pose_0`,
            `pose_1`, ...), "arrays" one column of float32 arrays.

    Returns:
        One row a frame, in the table's order: clip, frame, status ("ok" or why the row is not to be used), score,
        residual, the vectors (units and frames: docs/conventions.md), yaw_deg, pitch_deg, roll_deg.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no Parquet table or lacks one of `columns`, or `vectors` is something else.
    """
    import pandas as pd

    if vectors not in ("columns", "arrays"):
        raise ValueError(f"vectors is {vectors!r}: choose 'columns' or 'arrays'")
    table = read_table(Path(fits), columns=columns)
    parts = []
    for name in columns or table.column_names:
        if not pa.types.is_fixed_size_list(table.schema.field(name).type):
            parts.append(_frame(table.select([name])))
            continue
        values = column_array(table, name)
        if vectors == "columns":
            parts.append(pd.DataFrame(values, columns=[f"{name}_{number}" for number in range(values.shape[1])]))
        else:
            parts.append(pd.DataFrame({name: pd.Series(list(values), dtype=object)}))
    return pd.concat(parts, axis=1)


def _frame(table: pa.Table) -> "pd.DataFrame":
    repeating = [f.name for f in table.schema if pa.types.is_string(f.type) and f.name not in NAMES]
    return table.replace_schema_metadata(None).to_pandas(categories=repeating)
