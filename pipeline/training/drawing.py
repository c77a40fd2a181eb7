"""Batches as a method takes them: drawn pairs, augmented, and what its adapter and its teacher make of them."""

import torch

from model.heads.head import HeadModel
from model.method.network import Batch
from pipeline.methods.protocol import Adapter
from pipeline.methods.teaching import Teacher, supervision
from pipeline.params.recipe import Recipe
from pipeline.training.augment import recolour, recrop
from pipeline.training.dataset import WHOLE, PairDataset, Pairs, Share


class Drawing:
    """Draws a run's batches; the same step gives the same batch whenever it is asked for.

    Args:
        data: the pairs.
        adapter: what drives the method.
        teacher: what its lesson is told beside that.
        head: head whose fits the pairs have.
        recipe: batches and their augmentation.
        share: which of a batch's pairs are drawn here.
    """

    def __init__(
        self, data: PairDataset, adapter: Adapter, teacher: Teacher, head: HeadModel, recipe: Recipe,
        share: Share = WHOLE,
    ) -> None:  # fmt: skip
        self._data, self._adapter, self._teacher, self._head = data, adapter, teacher, head
        self._recipe, self._share = recipe, share

    def batch(self, step: int) -> Batch:
        """Draw and augment the batch of a step (0-based)."""
        recipe, change = self._recipe, self._recipe.augment
        pairs = self._data.batch(step, recipe.seed, recipe.batch_size, self._share)
        moved = recrop(pairs, change.shift_ndc, change.log_scale, recipe.seed, step, self._share)
        mine = recolour(moved, change.colour, recipe.seed, step, self._share)
        return self._driven(mine, step / recipe.iterations)

    def sample(self, count: int) -> tuple[Batch, frozenset[str]]:
        """Draw some pairs that are not augmented, and say whom they show: people, and whole videos."""
        pairs = self._data.batch(0, self._recipe.seed, count)
        return self._driven(pairs, 0.0), self._data.people(pairs)

    def _driven(self, pairs: Pairs, progress: float) -> Batch:
        views = pairs.views()
        driven = self._adapter.drive(*views, torch.ones(len(pairs.source), dtype=torch.bool))
        signals = {**driven.signals, **supervision(self._teacher, *views, self._head)}
        return Batch(driven.source, pairs.driving, signals, progress, pairs.parts)
