"""Operations of a training step, counted anew: `torch.utils.flop_counter`, two for a product with its addition.

Counted are convolutions and matrix products, forward and backward, as the loop runs them: nothing else is (norms,
activations, resampling, rasteriser, optimisers). A step is run on the CPU with one pair at a fraction of the size:
every layer's work is proportional to the number of pixels, so one pair's is exact where all sizes divide; heads are
posed by products that do not depend on it.
"""

import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.train_step import Course, Way
from model.heads.head import HeadModel
from pipeline.params.recipe import Recipe
from pipeline.params.sections.pwm import PwmSection

COUNTED_PX = 64  # every level, scale and patch of the networks of 256 px still has a whole number of pixels
# What an image of the paper's network takes by the count that the goals were set with, GFLOP.
EXPECTED = {"geom_disp": 650.0, "neural_codes": 672.0}
PLAIN = Way(bfloat16=False, channels_last=False, compiled=False, fused=True, late=False, tf32=False)


def step_gflops(recipe: Recipe, network: PwmSection, guidance: str, head: HeadModel) -> float:
    """GFLOP of one image's share of a step."""
    small = recipe.model_copy(update={"image_px": min(COUNTED_PX, recipe.image_px), "batch_size": 1})
    course = Course(small, network, guidance, head, PLAIN, torch.device("cpu"))
    batch = course.batch()
    with FlopCounterMode(display=False) as posing:
        course.guide(batch)
    with FlopCounterMode(display=False) as counter:
        course.step(batch)
    fixed = posing.get_total_flops()
    images = (counter.get_total_flops() - fixed) * (recipe.image_px / small.image_px) ** 2
    return 1e-9 * (images + fixed)
