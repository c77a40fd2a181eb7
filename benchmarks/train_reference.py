"""What a step of the CPU default is compared with, in turns with it: the step that its budget was made from.

One thread, 205 ms where that was measured: 64 px, 8 pairs, 16 to 128 channels, 7x7 outer convolutions, one SPADE a
level, spectral norms, two discriminators, L1 and no perceptual loss, nothing rendered. Machines differ by more than
rows do.
"""

from dataclasses import replace

import torch

from model.pwm.generator import Generator
from model.pwm.guidance import GuidanceMaps
from model.training.discriminator import Discriminator
from model.training.losses import discriminator_hinge, feature_matching, generator_hinge, judged, mean_apart
from pipeline.adapters.pwm.configs import discriminator_config, generator_config
from pipeline.params.recipe import Recipe
from pipeline.params.sections.pwm import PwmSection

GOAL_MS = 200.0  # at 64 px and batch 8
REFERENCE_MS = 205.0  # of the reference step on the machine that the goal was set on
REFERENCE_CHANNELS, REFERENCE_HIDDEN, REFERENCE_KERNEL = (128, 128, 64, 32, 16), 64, 7
REFERENCE_WIDTH, REFERENCE_SCALES = 16, 2  # of its discriminators


class ReferenceStep:
    """That step, on noise."""

    def __init__(self, recipe: Recipe, network: PwmSection) -> None:
        judge = {"scales": REFERENCE_SCALES, "width": REFERENCE_WIDTH, "max_width": REFERENCE_CHANNELS[0]}
        layout = {"memory_format": torch.channels_last}
        generator = replace(
            generator_config(network),
            channels=REFERENCE_CHANNELS,
            outer_kernel=REFERENCE_KERNEL,
            spade_hidden=REFERENCE_HIDDEN,
        )
        self.generator = Generator(generator, ("disp",), 0, 2, torch.zeros(3)).train().to(**layout)
        self.discriminator = Discriminator(replace(discriminator_config(network), **judge)).train().to(**layout)
        self.adams = [torch.optim.Adam(n.parameters(), fused=True) for n in (self.generator, self.discriminator)]
        size = (recipe.batch_size, 3, recipe.image_px, recipe.image_px)
        self.source, self.target = (torch.rand(size).contiguous(**layout) for _ in range(2))
        nothing = torch.zeros(size)[:, :0]
        self.maps = GuidanceMaps(0.1 * torch.randn(size)[:, :2], nothing, nothing)

    def __call__(self) -> None:
        """Update both networks once."""
        out = self.generator(self.source, self.maps)
        stacked = torch.cat([out.image, out.warped])
        real, made = judged(self.discriminator, self.target, stacked)
        told = mean_apart(stacked, self.target), generator_hinge(made, len(self.target)), feature_matching(real, made)
        loss = torch.stack(told).sum()
        for adam in self.adams:
            adam.zero_grad()
        loss.backward(inputs=list(self.generator.parameters()), retain_graph=True)
        discriminator_hinge(real, made).sum().backward(inputs=list(self.discriminator.parameters()))
        for adam in self.adams:
            adam.step()
