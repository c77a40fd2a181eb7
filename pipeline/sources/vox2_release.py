"""VoxCeleb2 as released: mp4/<person>/<video>/<utterance>.mp4, 224x224, tightly cropped already."""

from pathlib import Path

from pipeline.boxes import WholeFrame
from pipeline.data_params import SourceParams, TubeParams
from pipeline.sources.request import ClipList, ClipRequest, PersonSplit


def list_utterances(source: SourceParams, folder: Path, tube: TubeParams) -> ClipList:
    """List one clip a file, all of its frames, the frame as its box.

    Clips are named person#video#utterance#000, as crop_vox.py names the pieces of an utterance: how
    many frames a file has is not known before it is opened.
    """
    split_of = PersonSplit(source, folder)
    requests = []
    for path in sorted((folder / source.videos).glob("*/*/*.mp4")):
        person, video, utterance = path.parts[-3], path.parts[-2], path.stem
        requests.append(
            ClipRequest(
                clip=f"{person}#{video}#{utterance}#000",
                dataset=source.name,
                split=split_of(person),
                person=person,
                video=f"{video}/{utterance}",
                start=0,
                end=None,
                box=WholeFrame(),
                path=path,
                min_frames=1,
            )
        )
    return ClipList(requests)
