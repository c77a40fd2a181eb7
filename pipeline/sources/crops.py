"""Ready-made crops under FOMM's names: person#video#start#end as one video file, or as a folder of images."""

import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from pipeline.params.data import SourceParams, TubeParams
from pipeline.sources.boxes import WholeFrame
from pipeline.sources.people import official_split
from pipeline.sources.request import ClipList, ClipRequest
from pipeline.sources.video_files import VIDEO_SUFFIXES
from pipeline.work.foreign_files import own_entries
from pipeline.work.ledger import ClipError, LedgerRow

# load_videos.py names person#video#start#end, crop_vox.py person#video#utterance.txt#piece.
NAME = re.compile(r"(?P<person>[^#/]+)#(?P<video>[^#/]+)#(?P<piece>[^#/]+#[^#/]+)")
FORMS = "person#video#start#end, as a video or a folder of images"


def list_crops(source: SourceParams, folder: Path, tube: TubeParams) -> ClipList:
    """List one clip a file or image folder, all of its frames, the frame as its box.

    Crops lie directly in `videos`, or in `videos`/train and `videos`/test as FOMM's tools write them;
    split `listed` follows those two folders. Where a clip is there in both forms the images are taken,
    because they are lossless, and the ledger says so. `ClipRequest.video` is "video/start#end", so that a
    landmark table (columns video_id and utterance) can tell the clips of one video apart.
    """
    clips = ClipList()
    for name, found in sorted(_by_name(folder / source.videos).items()):
        path, *others = found
        match = NAME.fullmatch(name)
        person, video = (match["person"], f"{match['video']}/{match['piece']}") if match else ("?", name)
        split = "test"
        try:
            if match is None:
                raise ClipError("bad_annotation", f"{path}: the name is not of the form {FORMS}")
            split = _split(source, person, path)
        except ClipError as error:
            row = LedgerRow(source.name, split, name, person, video, error.reason, error.message)
            clips.unreadable.append(row)
            continue
        also = ", ".join(str(other) for other in others)
        clips.requests.append(
            ClipRequest(
                clip=name,
                dataset=source.name,
                split=split,
                person=person,
                video=video,
                start=0,
                end=None,
                box=WholeFrame(),
                path=path,
                min_frames=1,
                note=f"took {path}, which {also} also matches" if also else "",
            )
        )
    return clips


def _by_name(folder: Path) -> dict[str, list[Path]]:
    """Files and folders by clip name, the one to be taken first."""
    found: defaultdict[str, list[Path]] = defaultdict(list)
    for path in _entries(folder):
        found[path.name if path.is_dir() else path.stem].append(path)
    return {name: sorted(paths, key=lambda path: (path.is_file(), path)) for name, paths in found.items()}


def _entries(folder: Path) -> Iterator[Path]:
    for path in own_entries(folder):
        if path.is_dir() and path.name in ("train", "test"):
            yield from _entries(path)
        elif path.is_dir() or path.suffix.lower() in VIDEO_SUFFIXES:
            yield path


def _split(source: SourceParams, person: str, path: Path) -> str:
    if source.split == "official":
        return official_split(person)
    if source.split == "test":
        return "test"
    if path.parent.name not in ("train", "test"):
        raise ClipError("bad_annotation", f"{path}: split `listed` needs the crop in a folder train or test")
    return path.parent.name
