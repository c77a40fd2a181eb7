"""Options that several commands share, each with its one help text; what only one command asks stands in it.

Defaults stand in the commands' signatures. Options say where things lie and how the work is done; no result depends on
a text of this file, so `pipeline.store.closure` leaves it out of every key.
"""

import os
from pathlib import Path
from typing import Annotated, Literal

from typer import Option

CORES = os.cpu_count() or 1  # the default of --workers
LANDMARKS = Path("data/landmarks")

ParamsFile = Annotated[Path, Option(help="parameter file")]
DataFolder = Annotated[Path, Option(help="folder of the stages' outputs")]
Forgotten = Annotated[Path, Option(help="list of people and videos that must not be used")]

FoundLandmarks = Annotated[Path, Option(help="folder of the landmarks that the stage `landmarks` found")]
Heads = Annotated[Path, Option(help="folder of heads")]
PackedClips = Annotated[Path, Option(help="folder of the packed clips, with its folders train and eval")]
TestClips = Annotated[Path, Option(help="folder of the packed test clips")]
Fits = Annotated[Path, Option(help="folder of fits, one folder a head")]
PairList = Annotated[Path, Option(help="the pair list")]
Models = Annotated[Path, Option(help="folder of trained rows")]
Results = Annotated[Path, Option(help="folder of results, one folder a method")]

CostsFile = Annotated[Path | None, Option(help="file for parameters, operations and seconds of a trained row")]

DeviceName = Annotated[
    str, Option(envvar="PWM_DEVICE", help="where networks run: cpu, cuda, cuda:1, or auto: cuda where there is one")
]
PreviewsEvery = Annotated[
    int,
    Option(
        min=0,
        envvar="PWM_PREVIEWS",
        help="steps between two contact sheets of training pairs, beside the run's states in data/scratch; 0: none",
    ),
]
Compiling = Annotated[
    bool,
    Option(
        "--compile/--no-compile",
        envvar="PWM_COMPILE",
        help="on CUDA, compile what is trained, which takes a minute and saves hours; never on the CPU",
    ),
]
Retrying = Literal["missing", "failed"]
Retry = Annotated[Retrying, Option(envvar="PWM_RETRY", help="`failed` also tries again what failed before")]
ClipTimeout = Annotated[float, Option(help="a clip that takes longer is given up")]
LocalWorkers = Annotated[int, Option(envvar="PWM_WORKERS", help="local processes; 0 works in this one")]
Workers = Annotated[
    int, Option(envvar="PWM_WORKERS", help="local processes; 0 works in this one; dask.scheduler overrules it")
]
