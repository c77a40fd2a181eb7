"""The list of people and videos that must not be used, whatever a source offers.

A text file under version control: one name a line, `#` starts a comment. A name is a person's or a video's,
as they stand in clip names; the utterances of a video go with it. `pwm data forget` adds to it.
"""

from dataclasses import dataclass, replace
from pathlib import Path

from pipeline.sources.request import ClipList
from pipeline.store.provenance import write_text
from pipeline.store.shown import whole_video
from pipeline.work.ledger import FORGOTTEN


@dataclass(frozen=True)
class ForgottenList:
    """Names that must not be used, and the file that says so."""

    path: Path
    names: frozenset[str]

    @classmethod
    def read(cls, path: Path) -> "ForgottenList":
        """Read the list.

        Raises:
            FileNotFoundError: there is no such file: without it nobody knows what must be left out.
        """
        if not Path(path).is_file():
            raise FileNotFoundError(f"no list of forgotten people and videos at {path}: restore it (it may be empty)")
        lines = (line.split("#")[0].strip() for line in Path(path).read_text(encoding="utf-8-sig").splitlines())
        return cls(Path(path), frozenset(filter(None, lines)))

    def covers(self, person: str, video: str) -> bool:
        """Whether the person, or the video that an utterance was cut from, is on the list."""
        return person in self.names or whole_video(video) in self.names

    def add(self, name: str) -> "ForgottenList":
        """Write a name to the file, if it does not stand there yet.

        Raises:
            ValueError: the name cannot stand on a line of its own.
        """
        if name in self.names:
            return self
        if not name or name != name.strip() or "#" in name or len(name.splitlines()) != 1:
            raise ValueError(f"{name!r} is not the name of a person or a video: give the part between # of a clip name")
        text = self.path.read_text(encoding="utf-8")
        write_text(self.path, text + ("" if not text or text.endswith("\n") else "\n") + name + "\n")
        return ForgottenList(self.path, self.names | {name})

    def leave_out(self, clips: ClipList) -> ClipList:
        """Ask for none of the covered clips; each keeps a ledger row that says why."""
        kept = [request for request in clips.requests if not self.covers(request.person, request.video)]
        gone = [request.row() for request in clips.requests if self.covers(request.person, request.video)]
        rows = [
            replace(row, reason=FORGOTTEN, detail="") if self.covers(row.person, row.video) else row
            for row in clips.unreadable + gone
        ]
        return replace(clips, requests=kept, unreadable=rows)
