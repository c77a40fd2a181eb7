"""The card of a model as Markdown."""

import io
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
from ruamel.yaml import YAML
from safetensors import safe_open

from model.method.files import TRAINED, WEIGHTS, read_config
from pipeline.bench.pair_frames import subset_sha256
from pipeline.method_table import BASELINES, OURS
from pipeline.model_card.locked import Lock
from pipeline.model_card.terms import PROCEDURAL, is_procedural, terms
from pipeline.params.tree import Params
from pipeline.report.headline import headline_metrics
from pipeline.report.results import Pairs
from pipeline.report.rows import Row
from pipeline.store.clips import FOLDERS, ClipStore
from pipeline.store.provenance import commit, sha256_file, versions
from pipeline.store.schema import metadata_of, read_table
from pipeline.training.run import clips_sha256

SHORT = 16
TRAIN = FOLDERS["train"]


@dataclass(frozen=True)
class Place:
    """Where a card looks for what belongs to a model.

    Attributes:
        project: folder of dvc.yaml.
        data: folder of the stages' outputs.
        params: of the project; None where there are none.
    """

    project: Path
    data: Path
    params: Params | None


def model_folder(row_or_folder: str, data: Path) -> Path:
    """The folder of a model: a row of `data/models`, or a folder itself.

    Raises:
        FileNotFoundError: there is no model; the message names those that there are.
    """
    row, folder = data / "models" / row_or_folder, Path(row_or_folder)
    return row if row.is_dir() or not folder.is_dir() else folder


def model_card(folder: Path, place: Place) -> str:
    """Write the card of a model.

    What its files do not say is looked up in the project only where hashes show that it is of this model; else the
    card says that it is not known.

    Raises:
        FileNotFoundError: the folder holds no model.
    """
    config = read_config(folder)
    made_from = config["provenance"]
    fits, clips = _facts_of_fits(place.data, config), _clips(place.data, made_from)
    videos = _kinds(place.params, clips)
    parts = [
        [f"# Model card: {made_from.get('row', folder.name)}"],
        _model(folder, config),
        ["## Trained on", *_data(clips, videos, made_from, fits)],
        ["## Recipe", *_recipe(config)],
        ["## Code", *_code(folder, place)],
        ["## Scores", *_scores(folder, place, config)],
        ["## Licences", *_table(("part", "what", "licence"), terms(config, fits.get("tracker"), videos))],
        ["## Intended use and limits", *_use(videos, config)],
    ]
    return "\n\n".join("\n".join(part) for part in parts) + "\n"


def _model(folder: Path, config: Mapping[str, Any]) -> list[str]:
    with safe_open(folder / WEIGHTS, "numpy") as file:
        sizes = [file.get_slice(name).get_shape() for name in file.keys()]  # noqa: SIM118 - it is no mapping
    count = sum(math.prod(size) for size in sizes)
    method, recipe = config["method"], config["provenance"].get("recipe", {})
    head = config["head"]
    average = recipe.get("run", {}).get("ema")
    rows = [
        ("method", "progressive warping modules (this project)" if method == OURS else BASELINES.get(method, method)),
        ("guidance", config["provenance"].get("guidance") or "-"),
        ("weights", "trained here" if config["made"] == TRAINED else "as its authors released them"),
        ("steps", config["step"]),
        ("averaged", f"moving average of the generator, decay {average}" if average else "no: those of the last step"),
        ("images", f"{recipe['image_px']} px, RGB" if "image_px" in recipe else "see its config.json"),
        ("head", f"{head['name']}, sha256 `{head['sha256'][:SHORT]}`" if head else "none"),
        ("numbers", f"{count:,} in {(folder / WEIGHTS).stat().st_size:,} bytes"),
        (f"sha256 of {WEIGHTS}", f"`{sha256_file(folder / WEIGHTS)}`"),
    ]
    return _table(("", ""), rows)


def _clips(data: Path, made_from: Mapping[str, Any]) -> ClipStore | None:
    """The clips that a model was trained on; None where they are not here."""
    folder = data / "clips" / TRAIN
    there = (folder / "index.parquet").exists() and clips_sha256(folder) == made_from.get("clips_sha256")
    return ClipStore(folder) if there else None


def _kinds(params: Params | None, clips: ClipStore | None) -> dict[str, str]:
    """What the data sets are that a model was trained on: name -> kind, `PROCEDURAL` or "" where that is not known."""
    names = sorted(set(clips.index["dataset"].to_pylist())) if clips else []
    sources = {source.name: source for source in params.data.sources().values()} if params else {}
    kinds = dict.fromkeys(names, "")
    for name in kinds.keys() & sources.keys():
        kinds[name] = PROCEDURAL if is_procedural(params, sources[name].folder) else sources[name].kind
    return kinds


def _data(
    clips: ClipStore | None, kinds: Mapping[str, str], made_from: Mapping[str, Any], fits: Mapping[str, str]
) -> Iterator[str]:
    if "clips_sha256" not in made_from:
        yield "Its files do not say; see its card in docs/cards."
        return
    yield f"Clips `{made_from['clips_sha256'][:SHORT]}`, fits `{made_from['fits_sha256'][:SHORT]}`" + (
        f" by the tracker {fits['tracker']}." if fits else ". The fits are not here, or are others."
    )
    if clips is None:
        yield "What these clips show is not known here: the packed training clips are others, or none."
        return
    facts = metadata_of(clips.index)
    yield (
        f"Subset `{subset_sha256(clips)[:SHORT]}`, {facts['size_px']} px, {facts['encoding']}; crop protocols: "
        f"{facts['protocol']}; split: {facts['split']}."
    )
    yield ""
    rows = []
    for dataset, kind in kinds.items():
        of_it = clips.index.filter(pc.equal(clips.index["dataset"], dataset))
        people, frames = len(set(of_it["person"].to_pylist())), pc.sum(of_it["num_frames"]).as_py()
        rows.append((dataset, people, len(of_it), frames, kind or "not in params.yaml"))
    yield from _table(("data set", "people", "clips", "frames", "what"), rows)


def _recipe(config: Mapping[str, Any]) -> Iterator[str]:
    made_from = config["provenance"]
    if "recipe" not in made_from:
        yield "Its authors'; see its card in docs/cards."
        return
    if normalised := made_from.get("batch_statistics"):
        of = "the whole batch" if normalised["of"] == "batch" else "each process's own share"
        yield f"Features were normalised by the statistics of {of}: {normalised['pairs']} pairs."
        yield ""
    text = io.StringIO()
    yaml = YAML()
    yaml.default_flow_style = False
    yaml.dump({"recipe": made_from["recipe"], "network": made_from.get("network", {})}, text)
    yield from ("```yaml", *text.getvalue().splitlines(), "```")


def _code(folder: Path, place: Place) -> Iterator[str]:
    lock = Lock(place.project)
    stage = lock.maker(folder)
    if stage is None:
        yield "Not known here: dvc.lock does not name these files."
    else:
        changed = lock.changed_code(stage)
        yield f"Stage `{stage}` of dvc.lock wrote these files; md5 of all code that it read: `{lock.code_md5(stage)}`."
        yield f"Changed since: {', '.join(changed)}." if changed else "That is the code of the checkout below."
    found = ", ".join(f"{name} {version}" for name, version in versions().items() if name in ("python", "torch"))
    yield f"This card was written in a checkout of commit {commit()} with {found}."


def _scores(folder: Path, place: Place, config: Mapping[str, Any]) -> Iterator[str]:
    row, head = config["provenance"].get("row", ""), config["head"]
    results, pairs = place.data / "results" / row, place.data / "pairs.parquet"
    here = row and folder.resolve() == (place.data / "models" / row).resolve() and place.params
    if not here or not (results / "scores.parquet").exists() or not pairs.exists():
        yield "None here: the stage `evaluate` has not scored this model."
        return
    assert place.params is not None
    line = Row(row, row, "pwm", head["name"] if head else "")
    found = headline_metrics(line, place.data / "results", Pairs(pairs), place.params.bench.head2)
    known = Lock(place.project).is_of(results, folder)
    facts = metadata_of(read_table(results / "scores.parquet", columns=[]))
    yield (
        f"Means over the pairs of list `{facts['pairs_sha256'][:SHORT]}`, without intervals (the tables have them). "
        + ("" if known else "dvc.lock does not say that they are of these weights: run `dvc repro evaluate`.")
    )
    yield ""
    cells = [
        (dataset, task, name, "-" if value is None else f"{value:.4g}")
        for dataset, tasks in found.items()
        if dataset != "row"
        for task, values in tasks.items()
        for name, value in values.items()
    ]
    yield from _table(("data set", "task", "metric", "value"), cells)


def _use(kinds: Mapping[str, str], config: Mapping[str, Any]) -> Iterator[str]:
    yield (
        "For research on face animation, and for comparing methods on one list of pairs: one picture of a person and a "
        "driving frame give a picture of that person with the driver's pose and expression."
    )
    yield ""
    yield "* Not for showing people who have not agreed to it, nor for passing a picture off as a recording."
    if set(kinds.values()) == {PROCEDURAL}:
        yield "* It has seen drawn puppets and no real face; on photographs of people it shows nothing of use."
    else:
        yield "* Faces unlike those it was trained on (age, skin, light, glasses, hats, profile) come out worse."
    yield "* It follows the head that was fitted; what that head has no code for, such as tongue or hair, is guessed."
    yield "* Scores hold for these weights and these pairs; another seed gives another model (docs/intervals.md)."
    if config["made"] == TRAINED:
        yield "* Terms of the parts above hold for what is made with it: the strictest of them decides."


def _facts_of_fits(data: Path, config: Mapping[str, Any]) -> dict[str, str]:
    """Metadata of the fits that a model was trained with, empty where they are not here."""
    head, wanted = config["head"], config["provenance"].get("fits_sha256")
    path = data / "fits" / head["name"] / f"{TRAIN}.parquet" if head else data
    if not path.is_file() or sha256_file(path) != wanted:
        return {}
    return metadata_of(read_table(path, columns=["clip"]))


def _table(header: Sequence[str], rows: Iterator[tuple[object, ...]] | Sequence[tuple[object, ...]]) -> list[str]:
    lines = [header, ["---"] * len(header), *rows]
    return [f"| {' | '.join(str(cell) for cell in line)} |" for line in lines]
