"""VoxCeleb2 as released: mp4/<person>/<video>/<utterance>.mp4, 224x224, tightly cropped already.

Copies in other containers count as well, as they do for source videos.
"""

from itertools import groupby
from pathlib import Path

from pipeline.params.data import SourceParams, TubeParams
from pipeline.sources.boxes import WholeFrame
from pipeline.sources.people import PersonSplit
from pipeline.sources.request import ClipList, ClipRequest
from pipeline.sources.video_files import VIDEO_SUFFIXES, choose
from pipeline.work.foreign_files import files_at_depth
from pipeline.work.ledger import ClipError, LedgerRow


def list_utterances(source: SourceParams, folder: Path, tube: TubeParams) -> ClipList:
    """List one clip an utterance, all of its frames, the frame as its box.

    Clips are named person#video#utterance#000, as crop_vox.py names the pieces of an utterance: how
    many frames a file has is not known before it is opened.
    """
    split_of = PersonSplit(source, folder)
    clips = ClipList()
    videos = folder / source.videos
    files = sorted(files_at_depth(videos, 2, VIDEO_SUFFIXES), key=_utterance)
    for (person, video, utterance), found in groupby(files, key=_utterance):
        path, note = choose(list(found), videos)
        clip, name = f"{person}#{video}#{utterance}#000", f"{video}/{utterance}"
        try:
            split = split_of(person)
        except ClipError as error:
            row = LedgerRow(source.name, "test", clip, person, name, error.reason, error.message)
            clips.unreadable.append(row)
            continue
        clips.requests.append(
            ClipRequest(
                clip=clip,
                dataset=source.name,
                split=split,
                person=person,
                video=name,
                start=0,
                end=None,
                box=WholeFrame(),
                path=path,
                min_frames=1,
                note=note,
            )
        )
    return clips


def _utterance(path: Path) -> tuple[str, str, str]:
    return path.parts[-3], path.parts[-2], path.stem
