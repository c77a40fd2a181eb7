"""What a clip list can come from. A new kind is one file and one line here."""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from pipeline.params.data import FACES_SOUGHT, DataParams, SourceParams, TubeParams
from pipeline.sources.manifest import check_manifest
from pipeline.sources.request import ClipList, SourceError

KINDS = {
    "voxceleb1": "pipeline.sources.voxceleb_txt:list_tree",
    "voxceleb2": "pipeline.sources.voxceleb_txt:list_tree",
    "fomm_csv": "pipeline.sources.fomm_csv:list_rows",
    "vox2_release": "pipeline.sources.vox2_release:list_utterances",
    "crops": "pipeline.sources.crops:list_crops",
    "video_folder": "pipeline.sources.video_folder:list_landmarked",
    "people_folder": "pipeline.sources.people_folder:list_people",
}

# What a folder of each kind holds; said where nothing of it is found.
CONTENTS = {
    "voxceleb1": "<annotations>/<person>/<video>/<utterance>.txt",
    "voxceleb2": "<annotations>/<person>/<video>/<utterance>.txt",
    "fomm_csv": "rows below the header of <annotations>",
    "vox2_release": "<videos>/<person>/<video>/<utterance>.mp4",
    "crops": "<videos>/person#video#start#end, as a video or a folder of images",
    "video_folder": "rows in the landmark table <annotations>",
    "people_folder": "<videos>/<person>/<any name>.<video>, or <videos>/<person>.<video>",
}

Lister = Callable[..., ClipList]  # of a source, its folder, the tube's rules, and landmarks that were found


def list_source(
    source: SourceParams, root: Path, tube: TubeParams, parameter: str, landmarks: Path = Path("data/landmarks")
) -> ClipList:
    """List the clips of one data set, sorted by name.

    Args:
        source: its parameters.
        root: the folder that holds `source.folder`.
        tube: rules by which annotated tracks are cut.
        parameter: where the source stands in params.yaml, for messages ("data.first").
        landmarks: what the stage `landmarks` wrote, a folder a data set.

    Raises:
        SourceError: the folder or its annotations are missing, unreadable or empty, its manifest is older
            than the folder, or two clips share a name.
    """
    folder = root / source.folder
    for name, path in (
        ("folder", folder),
        ("annotations", folder / (source.annotations or "")),
        ("videos", folder / source.videos),
    ):
        if not path.exists():
            raise SourceError(
                f"{source.name}: no such path: {path} (parameter {parameter}.{name} = "
                f"{getattr(source, name)}, below data.root = {root})"
            )
    check_manifest(source, root)
    module, function = KINDS[source.kind].split(":")
    lister: Lister = getattr(import_module(module), function)
    clips = lister(source, folder, tube, *([landmarks / source.name] if source.kind == FACES_SOUGHT else []))
    if not clips.requests and not clips.unreadable:
        raise SourceError(
            f"{source.name}: {folder} holds no clips: kind {source.kind} expects {CONTENTS[source.kind]} "
            f"(parameters {parameter}.annotations = {source.annotations}, {parameter}.videos = {source.videos})"
        )
    clips.sources = [source]
    clips.requests.sort(key=lambda request: request.clip)
    for one, other in zip(clips.requests, clips.requests[1:], strict=False):
        if one.clip == other.clip:
            raise SourceError(f"{source.name}: two different clips are named {one.clip}")
    return clips


def list_clips(data: DataParams, tube: TubeParams, landmarks: Path = Path("data/landmarks")) -> ClipList:
    """List every clip of the project: all of `first`, and the test people of `second` where there is one."""
    root = data.root_folder()
    every = ClipList()
    for parameter, source in data.sources().items():
        found = list_source(source, root, tube, parameter, landmarks)
        trained_on = source is data.first
        every.requests += [request for request in found.requests if trained_on or request.split == "test"]
        every.unreadable += [row for row in found.unreadable if trained_on or row.split == "test"]
        every.sources += found.sources
    return every
