"""What PIRender's release holds."""

from pipeline.methods.release import Place, System

RELEASE = System(
    "model.baselines.pirender.network:PIRender",
    {"generator": (Place(("net_G_ema",)), Place(("net_G",)))},
)
