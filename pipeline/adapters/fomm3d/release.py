"""What 3D-FOMM's release holds."""

from pipeline.methods.release import Place, System

RELEASE = System(
    "model.baselines.fomm3d.network:Fomm3d",
    {name: (Place((name,)),) for name in ("generator", "kp_detector", "he_estimator")},
    variants={"New": {}, "Beta": {"decoder": "original", "kp_scale": 1.0}},
    notes={"Beta": "this is Vox-256-Beta, with the original decoder; published comparisons use Vox-256-New"},
)
