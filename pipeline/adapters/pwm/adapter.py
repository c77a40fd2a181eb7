"""The PWM is driven by fits: the source's, and the driving frame's with the source's shape where people differ."""

from collections.abc import Mapping
from typing import Any, ClassVar

from torch import Tensor, nn

from model.heads.head import HeadModel
from model.pwm.animator import Animator, fit_signals
from model.pwm.files import build_animator
from pipeline.methods.driving_fit import driving_fit
from pipeline.methods.protocol import Driven, Table, View


class PwmAdapter:
    """See `pipeline.methods.protocol.Adapter`."""

    table: ClassVar[Table] = "own"
    has_own_crop: ClassVar[bool] = False
    notes: ClassVar[tuple[str, ...]] = ()

    def __init__(self, network: nn.Module, head: HeadModel | None) -> None:
        assert isinstance(network, Animator)  # as `build` makes it
        self._head = network.head

    @classmethod
    def build(cls, config: Mapping[str, Any], head: HeadModel | None) -> nn.Module:
        """The animator of a config.json."""
        if head is None:
            raise ValueError("a PWM is trained with a head, but its config.json names none")
        return build_animator(config, head)

    @classmethod
    def why_not_released(cls, fitted: Mapping[str, str]) -> str:
        """No weights of the PWM are published."""
        return "the authors have published no weights"

    def drive(self, source: View, driving: View, same: Tensor, own_crop: bool = False) -> Driven:
        """Fits of the sources and of the driving meshes; images stay as they are."""
        fit_src = source.fit()
        return Driven(source.images(), fit_signals(fit_src, driving_fit(fit_src, driving.fit(), same, self._head)))


ADAPTER = PwmAdapter
