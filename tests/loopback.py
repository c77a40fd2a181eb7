"""A server on this machine's loopback that gives files as badly as servers do, and remembers what it was asked."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Served:
    """How one file is given.

    Attributes:
        body: its bytes.
        tag: its ETag, empty for none.
        ranges: whether parts of it are given.
        drop_after: bytes of each answer after which the connection breaks off; None gives all.
        promised: Content-Length that is claimed; None is honest, -1 leaves it out.
        kind: Content-Type.
        status: another answer than 200; it lasts for `failures` requests.
        failures: how many requests are answered with `status`; -1 is all of them.
    """

    body: bytes
    tag: str = '"one"'
    ranges: bool = True
    drop_after: int | None = None
    promised: int | None = None
    kind: str = "application/octet-stream"
    status: int = 200
    failures: int = -1


@dataclass
class Loopback:
    """The server.

    Attributes:
        url: its address, without a path.
        files: path -> how it is given.
        asked: path and Range of each request so far.
    """

    url: str
    files: dict[str, Served] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)


def closed_port() -> int:
    """A port of the loopback that nobody listens on."""
    with contextlib.closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


@contextlib.contextmanager
def serving() -> Iterator[Loopback]:
    """Serve while the block runs."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        server.world = Loopback(f"http://127.0.0.1:{server.server_address[1]}")  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server.world  # type: ignore[attr-defined]
        server.shutdown()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.0"  # a connection a request: its end is seen

    def do_GET(self) -> None:
        world: Loopback = self.server.world  # type: ignore[attr-defined]
        asked = self.headers.get("Range", "")
        world.asked.append((self.path, asked))
        served = world.files.get(self.path)
        if served is None:
            self.send_error(404)
            return
        if served.status != 200 and served.failures:
            served.failures -= 1
            self.send_error(served.status)
            return
        whole = not (asked and served.ranges and self.headers.get("If-Range", served.tag) == served.tag)
        first = 0 if whole else int(asked.removeprefix("bytes=").split("-")[0])
        if first >= len(served.body) and not whole:
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(served.body)}")
            self.end_headers()
            return
        body = served.body[first:]
        self.send_response(200 if whole else 206)
        self.send_header("Content-Type", served.kind)
        if served.tag:
            self.send_header("ETag", served.tag)
        if not whole:
            self.send_header("Content-Range", f"bytes {first}-{len(served.body) - 1}/{len(served.body)}")
        if served.promised != -1:
            self.send_header("Content-Length", str(len(body) if served.promised is None else served.promised))
        self.end_headers()
        self.wfile.write(body if served.drop_after is None else body[: served.drop_after])

    def log_message(self, *_: object) -> None:
        """Say nothing."""
