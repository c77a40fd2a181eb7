"""What X2Face's release holds."""

from pipeline.methods.release import Place, System

RELEASE = System(
    "model.baselines.x2face.network:X2Face",
    {
        "unwrapped": (Place(("state_dict",), "pix2pixUnwrapped."),),
        "sampler": (Place(("state_dict",), "pix2pixSampler."),),
    },
)
