"""What HeadGAN's release holds."""

from pipeline.methods.release import Place, System

RELEASE = System(
    "model.baselines.headgan.network:HeadGan",
    {"generator": (Place(),)},
    variants={"without audio": {}, "audio": {"audio": 300}},
    notes={
        "": "the released HeadGAN was trained on pictures of LSFM, not of FLAME: a demonstration, no table's row",
        "audio": "this is HeadGAN with audio, which asks for 300 numbers of sound a frame",
    },
)
