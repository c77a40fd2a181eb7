"""What the PWM's lesson is made of: plain frozen records, without defaults; every number comes from params.yaml."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Rates:
    """Adam's steps before any drop.

    Attributes:
        generator: of the generator.
        discriminator: of the discriminator.
        codes: of the table of neural codes.
    """

    generator: float
    discriminator: float
    codes: float
