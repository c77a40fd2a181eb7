"""What a process makes of two short puppet clips, hashed step by step: `python -m tests.puppet_bytes`.

Run in fresh processes under variables that take instructions away from a library, it says which step keeps its bytes.
"""

import hashlib
import json
import sys
import tempfile
from pathlib import Path

import numpy as np

from tests.small_puppets import params

NUMPY_AVX512 = ("AVX512F", "AVX512CD", "AVX512_SKX", "AVX512_CLX", "AVX512_CNL", "AVX512_ICL", "AVX512_SPR", "X86_V4")
NUMPY_AVX2 = ("AVX2", "FMA3", "X86_V3")
ASM = ("", ":asm=avx2", ":asm=sse4.2", ":asm=0")


def numpy_features(names: tuple[str, ...]) -> list[str]:
    """Which of these instructions numpy would use here, under the names of its version."""
    from numpy._core._multiarray_umath import __cpu_dispatch__, __cpu_features__

    return [name for name in names if name in __cpu_dispatch__ and __cpu_features__[name]]


def digest(*blobs: bytes) -> str:
    return hashlib.sha256(b"".join(blobs)).hexdigest()


def main() -> None:
    """Print what was in force, and the hash of every step of every clip."""
    import torch

    from pipeline.puppets.clip import film_clip, make_clip, plan_corpus
    from pipeline.puppets.video import X264, VideoWriter, _studio, render_video

    small = params(frames=18, texture_size=256, frame_sizes=[[240, 320]])
    plans = [plan for corpus in small.corpora.values() for plan in plan_corpus(small, corpus)][1:8:3]
    hashes = {}
    with tempfile.TemporaryDirectory() as folder:
        for plan in plans:
            piece = Path(folder) / plan.video
            render_video(small, plan, piece)
            studio = _studio(small.texture_size)
            pictures = list(film_clip(make_clip(plan, studio, small), studio))
            steps = {file.name: digest(file.read_bytes()) for file in piece.iterdir()}
            steps["frames"] = digest(*(np.ascontiguousarray(picture.image).tobytes() for picture in pictures))
            for asm in ASM:
                path = piece / "again.mp4"
                with VideoWriter(path, plan.size_hw, plan.fps, small.crf, small.preset, X264 + asm) as video:
                    for picture in pictures:
                        video.write(picture.image)
                steps[f"video{asm}"] = digest(path.read_bytes())
            hashes[plan.video] = steps
    force = {"torch": torch.backends.cpu.get_cpu_capability(), "numpy": numpy_features(NUMPY_AVX512 + NUMPY_AVX2)}
    json.dump({"force": force, "hashes": hashes}, sys.stdout)


if __name__ == "__main__":
    main()
