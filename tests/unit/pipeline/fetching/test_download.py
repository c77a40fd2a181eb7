"""Downloads from servers that cut off, lie, change their minds and give pages, each ending in one clear line."""

import hashlib
import json
import urllib.request

import numpy as np
import pytest

from pipeline.fetching.download import download, forget
from pipeline.fetching.failure import FetchFailed
from tests.loopback import Served, closed_port

BODY = np.random.default_rng(0).integers(0, 256, 50_000, np.uint8).tobytes()
OTHER = BODY[::-1]
SHA256 = hashlib.sha256(BODY).hexdigest()
QUICK = (0.0, 0.0)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "deep" / "weights.pth"


def refused(*args, **keywords) -> str:
    with pytest.raises(FetchFailed) as caught:
        download(*args, pauses_s=QUICK, **keywords)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_an_honest_server_is_asked_once(loopback, path):
    loopback.files["/w"] = Served(BODY)
    assert download(f"{loopback.url}/w", path, sha256_prefix=SHA256[:8]) == SHA256
    assert path.read_bytes() == BODY
    assert loopback.asked == [("/w", "")]
    forget(path)
    assert not list(path.parent.iterdir())


def test_a_connection_that_drops_is_taken_up_where_it_broke(loopback, path):
    loopback.files["/w"] = Served(BODY, drop_after=20_000)
    assert download(f"{loopback.url}/w", path, pauses_s=QUICK) == SHA256
    assert loopback.asked == [("/w", ""), ("/w", "bytes=20000-"), ("/w", "bytes=40000-")]


@pytest.mark.parametrize("promised", [None, -1])
def test_a_server_without_parts_or_length_gives_the_whole_file_again(loopback, path, promised):
    loopback.files["/w"] = Served(BODY, ranges=False, promised=promised)
    path.parent.mkdir()
    path.write_bytes(b"of an earlier try")
    assert download(f"{loopback.url}/w", path, sha256_prefix=SHA256) == SHA256


def test_what_came_is_kept_for_the_next_call_and_only_the_rest_is_asked_for(loopback, path):
    loopback.files["/w"] = Served(BODY, drop_after=0)
    path.parent.mkdir()
    note = {"url": f"{loopback.url}/w", "validator": '"one"', "total": len(BODY)}
    path.write_bytes(BODY[:30_000])
    path.with_name("weights.pth.from.json").write_text(json.dumps(note))
    said = refused(f"{loopback.url}/w", path)
    assert "the connection ended after 30000 bytes of 50000; 30000 bytes are kept" in said
    loopback.files["/w"].drop_after = None
    loopback.asked.clear()
    assert download(f"{loopback.url}/w", path) == SHA256
    assert loopback.asked == [("/w", "bytes=30000-")]
    assert download(f"{loopback.url}/w", path) == SHA256
    assert len(loopback.asked) == 1  # it is whole


def test_a_server_that_cannot_go_on_is_not_said_to(loopback, path):
    loopback.files["/w"] = Served(BODY, tag="", drop_after=20_000)
    assert refused(f"{loopback.url}/w", path).endswith("the connection ended after 20000 bytes of 50000")
    assert {asked for _, asked in loopback.asked} == {""}
    loopback.files["/w"].drop_after = None
    assert download(f"{loopback.url}/w", path) == SHA256


def test_a_file_that_changed_on_the_server_is_not_joined_to_the_old_one(loopback, path):
    loopback.files["/w"] = Served(BODY, ranges=False, drop_after=20_000)
    refused(f"{loopback.url}/w", path)
    assert path.read_bytes() == BODY[:20_000]
    loopback.files["/w"] = Served(OTHER, tag='"two"')
    assert download(f"{loopback.url}/w", path) == hashlib.sha256(OTHER).hexdigest()


def test_a_part_of_another_file_is_not_joined_even_where_the_server_gives_it(loopback, path):
    """A server that ignores If-Range: the part's own ETag tells."""
    loopback.files["/w"] = Served(BODY, ranges=False, drop_after=20_000)
    refused(f"{loopback.url}/w", path)
    loopback.files["/w"] = Served(OTHER, tag='"two"')
    original, note = loopback.files["/w"], path.with_name("weights.pth.from.json")
    note.write_text(note.read_text().replace('"one', '"two'))  # the server believes that the part fits
    original.tag = '"two"'
    original.body = OTHER + b"longer"
    assert download(f"{loopback.url}/w", path, pauses_s=QUICK) == hashlib.sha256(original.body).hexdigest()
    assert [asked for _, asked in loopback.asked[-2:]] == ["bytes=20000-", ""]


def test_a_server_that_promises_more_than_it_has(loopback, path):
    loopback.files["/w"] = Served(BODY, promised=60_000, ranges=False)
    assert "the connection ended after 50000 bytes of 60000" in refused(f"{loopback.url}/w", path)


def test_a_server_that_promises_less_than_the_file_is_found_out_by_the_hash(loopback, path):
    loopback.files["/w"] = Served(BODY, promised=40_000)
    said = refused(f"{loopback.url}/w", path, sha256_prefix=SHA256[:8], stated="its name says so")
    assert "gave 40000 bytes with sha256" in said
    assert f"should begin with {SHA256[:8]} (its name says so)" in said
    assert not path.exists()


def test_a_swapped_file_is_refused_and_nothing_is_kept(loopback, path):
    loopback.files["/w"] = Served(OTHER)
    said = refused(f"{loopback.url}/w", path, sha256_prefix=SHA256[:8])
    assert all(part in said for part in (loopback.url, hashlib.sha256(OTHER).hexdigest(), SHA256[:8]))
    assert not path.exists()
    loopback.files["/w"].body = BODY
    assert download(f"{loopback.url}/w", path, sha256_prefix=SHA256[:8]) == SHA256


@pytest.mark.parametrize("kind", ["text/html; charset=utf-8", "application/octet-stream"])
def test_a_page_in_the_place_of_a_file(loopback, path, kind):
    loopback.files["/w"] = Served(b"\n<!DOCTYPE html><html><body>Sign in</body></html>", kind=kind)
    assert "gives a web page, not a file" in refused(f"{loopback.url}/w", path, sha256_prefix=SHA256[:8])


def test_an_empty_file(loopback, path):
    loopback.files["/w"] = Served(b"")
    assert "gives an empty file" in refused(f"{loopback.url}/w", path)


def test_a_file_that_is_not_there_is_asked_for_once(loopback, path):
    assert "the server answers 404 Not Found" in refused(f"{loopback.url}/w", path)
    assert len(loopback.asked) == 1


def test_a_busy_server_is_asked_again(loopback, path):
    loopback.files["/w"] = Served(BODY, status=503, failures=2)
    assert download(f"{loopback.url}/w", path, pauses_s=QUICK) == SHA256
    loopback.files["/w"] = Served(BODY, status=503)
    forget(path)
    assert "the server answers 503" in refused(f"{loopback.url}/w", path)


def test_nobody_listens(path):
    assert "the server cannot be reached" in refused(f"http://127.0.0.1:{closed_port()}/w", path)


def test_two_processes_do_not_write_one_file(loopback, path):
    fcntl = pytest.importorskip("fcntl")
    path.parent.mkdir()
    with path.with_name("weights.pth.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert "is being fetched by another process" in refused(f"{loopback.url}/w", path)


def test_a_folder_that_cannot_be_written_is_named(loopback, path):
    loopback.files["/w"] = Served(BODY)
    path.mkdir(parents=True)
    assert "cannot be written" in refused(f"{loopback.url}/w", path)


def test_a_safe_address_that_leads_to_one_that_is_not(loopback, path, monkeypatch):
    loopback.files["/w"] = Served(BODY)
    opened = urllib.request.urlopen
    monkeypatch.setattr(urllib.request, "urlopen", lambda _, timeout: opened(f"{loopback.url}/w", timeout=timeout))
    said = refused("https://owner/w", path)
    assert f"https://owner/w leads to {loopback.url}/w, which anybody on the way could change" in said
    assert not list(path.parent.iterdir())
