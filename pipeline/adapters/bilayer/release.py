"""What Bi-Layer's release holds."""

from pipeline.methods.release import Place, System

RELEASE = System(
    "model.baselines.bilayer.network:BiLayer",
    {
        name: (Place(),)
        for name in (
            "identity_embedder",
            "texture_generator",
            "keypoints_embedder",
            "inference_generator",
            "texture_enhancer",
        )
    },
    one_file=False,
)
