"""What LSR's release holds."""

from pipeline.methods.release import System

RELEASE = System("model.baselines.lsr.network:Lsr", tensorflow=True)
