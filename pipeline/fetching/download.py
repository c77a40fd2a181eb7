"""One file over HTTP: goes on where it was cut off, and is what was asked for or nothing.

What has come lies in PATH beside a note of whose bytes they are (address, validator, length). A later call goes on from
there only where the server confirms, by the same validator, that the file is still the same; else it begins again.
"""

import contextlib
import http.client
import json
import re
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pipeline.console import say
from pipeline.fetching.failure import FetchFailed
from pipeline.store.provenance import sha256_file, write_json

_BLOCK = 1 << 20
_TIMEOUT_S = 60
_PAUSES_S = (1.0, 4.0)  # before each further try of a server that gave nothing new
_SAY_EVERY_S = 10.0
_TRY_AGAIN = (408, 425, 429, 500, 502, 503, 504)
_RANGE_UNSATISFIABLE = 416
_PAGE = re.compile(rb"\s*(<!doctype\s+html|<html|<\?xml)", re.IGNORECASE)
_CONTENT_RANGE = re.compile(r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)")


@dataclass(frozen=True)
class _Note:
    """Whose bytes have come: `total` is -1 where the server does not say how many there are."""

    url: str
    validator: str = ""
    total: int = field(default=-1)


class _Dropped(Exception):
    """The server stopped in the middle, or could not be reached; trying again may help."""


def download(
    url: str, path: Path, *, sha256_prefix: str = "", stated: str = "", pauses_s: Sequence[float] | None = None
) -> str:
    """Bring a file; returns its sha256.

    Args:
        url: its address.
        path: where it is put; what an earlier call left there is gone on with.
        sha256_prefix: how its sha256 must begin.
        stated: who says so, for the message.
        pauses_s: before each further try of a server that gave nothing new; None takes the usual ones.

    Raises:
        FetchFailed: the server cannot be reached, refuses, drops the connection again and again, gives a web page or
            another file; the message names the address. After a drop what has come is kept for the next call.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with _alone(path):
        try:
            _all_of_it(url, path, _PAUSES_S if pauses_s is None else pauses_s)
        except OSError as error:
            raise FetchFailed(f"{path} cannot be written ({_why(error)}): {url} was not fetched") from None
        sha256 = sha256_file(path)
        if not sha256.startswith(sha256_prefix):
            size = path.stat().st_size
            _clear(path)
            raise FetchFailed(
                f"{url} gave {size} bytes with sha256 {sha256}, which should begin with {sha256_prefix}"
                f"{f' ({stated})' if stated else ''}: another file, or a damaged one; nothing was kept"
            )
    return sha256


def forget(path: Path) -> None:
    """Remove what has come of a file, with all that lies beside it."""
    _clear(path)
    _lock_of(path).unlink(missing_ok=True)


def _clear(path: Path) -> None:
    path.unlink(missing_ok=True)
    _note_of(path).unlink(missing_ok=True)


def _all_of_it(url: str, path: Path, pauses_s: Sequence[float]) -> None:
    most, stalled = _size(path), 0
    while True:
        try:
            _receive(url, path)
            return
        except _Dropped as drop:
            if _size(path) > most:
                most, stalled = _size(path), 0
                continue
            if stalled == len(pauses_s):
                size = _size(path) if _read_note(path, url).validator else 0  # else the server cannot go on
                kept = f"; {size} bytes are kept, and the same command goes on from there" if size else ""
                raise FetchFailed(f"{url}: {drop}{kept}") from None
            time.sleep(pauses_s[stalled])
            stalled += 1


def _receive(url: str, path: Path) -> None:
    """Ask once, for what is missing; returns when the file is whole."""
    note = _read_note(path, url)
    have = _size(path) if note.validator else 0
    if have and have == note.total:
        return
    try:
        answer = urllib.request.urlopen(_request(url, note, have), timeout=_TIMEOUT_S)
    except urllib.error.HTTPError as error:
        with error:
            if error.code == _RANGE_UNSATISFIABLE and _whole_length(error.headers) == have > 0:
                return
            if error.code == _RANGE_UNSATISFIABLE and have:
                _clear(path)
                raise _Dropped("the server has no such part of the file") from None
            if error.code in _TRY_AGAIN:
                raise _Dropped(f"the server answers {error.code} {error.reason}") from None
            raise FetchFailed(f"{url}: the server answers {error.code} {error.reason}") from None
    except urllib.error.URLError as error:
        raise _Dropped(f"the server cannot be reached ({_why(error.reason)})") from None
    except (OSError, http.client.HTTPException) as error:
        raise _Dropped(f"the server gave no answer ({_why(error)})") from None
    with answer:
        _take(answer, url, path, note, have)


def _take(answer: Any, url: str, path: Path, note: _Note, have: int) -> None:
    """Write an answer's bytes behind those that are there, or from the beginning."""
    now = _Note(url, _validator(answer.headers), _whole_length(answer.headers))
    goes_on = answer.status == http.client.PARTIAL_CONTENT
    if goes_on and (_first_byte(answer.headers) != have or (now.validator, now.total) != (note.validator, note.total)):
        _clear(path)
        raise _Dropped("the file changed on the server, or it gave another part than asked for")
    if url.startswith("https:") and not answer.url.startswith("https:"):
        raise FetchFailed(f"{url} leads to {answer.url}, which anybody on the way could change; nothing was fetched")
    if answer.headers.get_content_type() == "text/html" and answer.headers.get("Content-Type"):
        raise FetchFailed(f"{url} gives a web page, not a file")
    if answer.headers.get("Content-Encoding", "identity") != "identity":
        raise FetchFailed(f"{url} gives a packed answer ({answer.headers['Content-Encoding']}), not the file itself")
    if not goes_on:
        have = 0
        _clear(path)  # before the note: a kill in between must not give old bytes a new name
        write_json(_note_of(path), asdict(now))
    said = time.monotonic()
    with path.open("r+b" if goes_on else "wb") as file:
        file.seek(have)
        while block := _block_of(answer):
            if have == 0 and _PAGE.match(block):
                raise FetchFailed(f"{url} gives a web page, not a file")
            file.write(block)
            have += len(block)
            if time.monotonic() - said > _SAY_EVERY_S:
                said = time.monotonic()
                say(f"{url}: {have / 1e6:.0f}{f' of {now.total / 1e6:.0f}' if now.total >= 0 else ''} MB")
    if 0 <= now.total != have:
        raise _Dropped(f"the connection ended after {have} bytes of {now.total}")
    if have == 0:
        raise FetchFailed(f"{url} gives an empty file")


def _block_of(answer: Any) -> bytes:
    try:
        block: bytes = answer.read1(_BLOCK)
    except (OSError, http.client.HTTPException) as error:
        raise _Dropped(f"the connection broke ({_why(error)})") from None
    return block


def _request(url: str, note: _Note, have: int) -> urllib.request.Request:
    headers = {"Accept-Encoding": "identity", "User-Agent": "pwm"}
    if have:
        headers |= {"Range": f"bytes={have}-", "If-Range": note.validator}
    return urllib.request.Request(url, headers=headers)


def _validator(headers: Any) -> str:
    """What tells one state of the file from another: a strong ETag, else its date; empty where there is neither."""
    tag: str = headers.get("ETag", "")
    return tag if tag and not tag.startswith("W/") else headers.get("Last-Modified", "")


def _whole_length(headers: Any) -> int:
    if part := _CONTENT_RANGE.fullmatch(headers.get("Content-Range", "")):
        return int(part[2]) if part[2] != "*" else -1
    length = headers.get("Content-Length", "")
    return int(length) if length.isdigit() else -1


def _first_byte(headers: Any) -> int:
    part = _CONTENT_RANGE.fullmatch(headers.get("Content-Range", ""))
    return int(part[1]) if part and part[1] else -1


def _read_note(path: Path, url: str) -> _Note:
    try:
        note = _Note(**json.loads(_note_of(path).read_text()))
    except (OSError, ValueError, TypeError):
        return _Note(url)
    return note if note.url == url else _Note(url)


def _note_of(path: Path) -> Path:
    return path.with_name(path.name + ".from.json")


def _lock_of(path: Path) -> Path:
    return path.with_name(path.name + ".lock")


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Hold a file for one process, where the system can; elsewhere two writers are found out by the hash."""
    try:
        import fcntl
    except ImportError:
        yield
        return
    with _lock_of(path).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise FetchFailed(f"{path} is being fetched by another process") from None
        try:
            yield
        finally:
            if not _size(path):
                forget(path)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _why(error: object) -> str:
    return str(error) or type(error).__name__
