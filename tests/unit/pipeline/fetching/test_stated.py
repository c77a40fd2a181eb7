"""Addresses are those that the installed packages themselves use."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.assets import ASSETS
from pipeline.fetching.failure import FetchFailed
from pipeline.fetching.stated import Stated
from pipeline.fetching.table import FREE, OPEN


def package(folder: Path, text: str, monkeypatch) -> str:
    """Make an importable package that must not be imported; its name."""
    name = f"states_{folder.name.replace('-', '_')}"
    (folder / name).mkdir()
    (folder / name / "__init__.py").write_text("raise RuntimeError('this package was imported')")
    (folder / name / "places.py").write_text(text)
    monkeypatch.syspath_prepend(str(folder))
    return name


def test_the_addresses_are_what_the_packages_say_when_they_run():
    from face_alignment.api import models_urls
    from face_alignment.detection.sfd.sfd_detector import models_urls as detectors
    from insightface.utils.storage import BASE_REPO_URL
    from torch_fidelity.feature_extractor_inceptionv3 import URL_INCEPTION_V3
    from torchvision.models import AlexNet_Weights, VGG19_Weights

    said = {
        "vgg19": VGG19_Weights.DEFAULT.url,
        "lpips_alex": AlexNet_Weights.DEFAULT.url,
        "inception": URL_INCEPTION_V3,
        "fan": models_urls["2DFAN-4"],
        "s3fd": detectors["s3fd"],
        "arcface": f"{BASE_REPO_URL}/buffalo_l.zip",
    }
    assert {name: FREE[name].address.find().url for name in FREE if name != "ict"} == said


def test_the_card_names_the_line_that_states_an_address():
    for name, published in FREE.items():
        if isinstance(published.address, Stated):
            address = published.address.find()
            file, line = re.match(r"(\S+):(\d+) \(", address.stated_in).groups()
            text = (published.address.path().parents[published.address.file.count("/") + 1] / file).read_text()
            start = address.url.removesuffix(published.address.pack)
            assert start in text.splitlines()[int(line) - 1], name


def test_hashes_are_those_of_the_owners_file_names():
    prefixes = {name: published.address.find().sha256_prefix for name, published in FREE.items()}
    assert {name for name, prefix in prefixes.items() if not prefix} == {"arcface", "ict"}
    assert all(
        ASSETS[name].released_as == FREE[name].address.find().file for name, prefix in prefixes.items() if prefix
    )


def test_reading_an_address_loads_no_library():
    code = (
        "import sys; from pipeline.fetching.table import FREE; [p.address.find() for p in FREE.values()];"
        "print(sorted({'torch', 'torchvision', 'insightface', 'face_alignment', 'torch_fidelity'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("text", "way"),
    [
        ("URL = 'https://owner/w.pth'", ("URL",)),
        ("table = {'other': 3, 'w': 'https://owner/w.pth'}", ("table", "w")),
        ("class Weights:\n    V1 = Entry(meta={}, url='https://owner/w.pth')", ("Weights", "V1", "url")),
    ],
)
def test_forms_in_which_packages_state_addresses(text, way, tmp_path, monkeypatch):
    name = package(tmp_path, text, monkeypatch)
    address = Stated(name, "places.py", (("absent",), way)).find()
    assert address.url == "https://owner/w.pth"
    assert address.stated_in.startswith(f"{name}/places.py:{len(text.splitlines())} ")


@pytest.mark.parametrize("text", ["URL = 'file:///etc/passwd'", "URL = base() + 'w.pth'", "OTHER = 1", "def ("])
def test_a_package_that_states_none_is_named(text, tmp_path, monkeypatch):
    name = package(tmp_path, text, monkeypatch)
    with pytest.raises(FetchFailed, match=r"places\.py"):
        Stated(name, "places.py", (("URL",),)).find()


def test_a_package_that_is_not_installed_is_named():
    with pytest.raises(FetchFailed, match="no_such_package, which states the address, is not installed"):
        Stated("no_such_package", "places.py", (("URL",),)).find()


def test_every_asset_that_may_be_fetched_has_a_way_and_every_way_an_asset():
    assert {asset.fetch for asset in ASSETS.values()} - {""} == {*OPEN, *FREE}
    assert not set(OPEN) & set(FREE)
    for name, wheel in OPEN.items():
        assert sorted(wheel.assets) == sorted(asset for asset, entry in ASSETS.items() if entry.fetch == name)
        hashes = [wheel.sha256, *(file.sha256 for file in wheel.files)]
        assert all(re.fullmatch(r"[0-9a-f]{64}", sha256) for sha256 in hashes)
