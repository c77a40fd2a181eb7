"""Train the puppet judge: python -m pipeline.puppet_training.judge --help."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import torch
import typer
from torch import Tensor, nn
from torch.nn import functional as F

from model.frame.alignment import align
from model.heads.fit import HeadFit
from model.heads.head import HeadModel, load_head
from model.puppet_nets.judge import EMBEDDING, POOLED, PuppetJudge
from model.puppet_nets.layers import read_network
from pipeline.console import run_command, say
from pipeline.puppet_training.augment import SEVERITIES, Augmented, Jitter, augment, without_precision
from pipeline.puppet_training.crops import ASSETS, Crops, load_crops
from pipeline.puppet_training.loop import Settings, optimise, training_facts

JITTER = Jitter(shift_ndc=0.08, log_scale=0.1, log_squeeze=0.08, colour=0.35)
MARGIN = 0.1  # of the additive-margin softmax on cosines (CosFace, Wang et al. 2018)
SHARPNESS = 24.0
THUMBNAIL = 4  # side of the colour thumbnail that pooled features must tell
WEIGHTS = {"landmarks": 20.0, "identity": 0.5, "shape": 1.0, "content": 0.5, "quality": 1.0, "colour": 4.0}


class JudgeTask(nn.Module):
    """The judge with the heads it needs only in training.

    Identity is learnt by telling training people apart and by regressing their true shape codes; pooled
    features by telling pose, expression, image quality and coarse colours.

    Args:
        judge: the network that is kept.
        num_people: number of training people.
        num_shape: true shape codes of a person.
        num_content: pose and expression numbers of a crop.
    """

    def __init__(self, judge: PuppetJudge, num_people: int, num_shape: int, num_content: int) -> None:
        super().__init__()
        self.judge = judge
        self.people = nn.Parameter(torch.randn(num_people, EMBEDDING))
        self.shape = nn.Linear(EMBEDDING, num_shape)
        self.content = nn.Linear(POOLED, num_content)
        self.quality = nn.Linear(POOLED, len(SEVERITIES))
        self.colour = nn.Linear(POOLED, 3 * THUMBNAIL**2)


class JudgeLoss:
    """Everything a step needs: the task, its targets and augmentation."""

    def __init__(self, task: JudgeTask, crops: Crops, content: Tensor, shape: Tensor, settings: Settings) -> None:
        self.task, self.crops, self.settings = task, crops, settings
        self.generator = torch.Generator().manual_seed(settings.seed + 1)
        self.content = standardised(content)
        self.shape = standardised(shape)
        self.person = torch.unique(crops.person, return_inverse=True)[1]
        task.judge.landmark_mean.copy_(crops.landmarks_ndc.mean(0).flatten())

    def __call__(self, rows: Tensor) -> dict[str, Tensor]:
        """Weighted losses of one batch of row numbers."""
        changed = augment(self.crops.images(rows), self.crops.landmarks_ndc[rows], 64, JITTER, self.generator)
        face = align(changed.img, without_precision(changed.landmarks_ndc, self.generator)).face
        img = changed.img.contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16, enabled=self.settings.bfloat16):
            landmarks, pooled = self.task.judge.look(img)
            embedding = self.task.judge.embed_aligned(face.contiguous(memory_format=torch.channels_last))
        losses = {
            "landmarks": (landmarks - changed.landmarks_ndc).abs().mean(),
            **self._identity(embedding, rows),
            **self._pooled(pooled, rows, changed),
        }
        return {term: WEIGHTS[term] * value for term, value in losses.items()}

    def _identity(self, embedding: Tensor, rows: Tensor) -> dict[str, Tensor]:
        person = self.person[rows]
        cosine = embedding @ F.normalize(self.task.people, dim=-1).T
        margin = MARGIN * F.one_hot(person, cosine.shape[1])
        regressed = self.task.shape(embedding * EMBEDDING**0.5)
        return {
            "identity": F.cross_entropy(SHARPNESS * (cosine - margin), person),
            "shape": F.mse_loss(regressed, self.shape[rows]),
        }

    def _pooled(self, pooled: Tensor, rows: Tensor, changed: Augmented) -> dict[str, Tensor]:
        thumbnail = F.adaptive_avg_pool2d(changed.img, THUMBNAIL).flatten(1)
        return {
            "content": F.mse_loss(self.task.content(pooled), self.content[rows]),
            "quality": F.mse_loss(self.task.quality(pooled), changed.severity),
            "colour": F.mse_loss(self.task.colour(pooled), thumbnail),
        }


def standardised(values: Tensor) -> Tensor:
    """Columns with mean 0 and deviation 1; columns that never vary are left out."""
    std = values.std(0)
    return ((values - values.mean(0)) / std.clamp_min(1e-6))[:, std > 1e-5]


def content_of(head: HeadModel, fit: HeadFit) -> Tensor:
    """What happens in each frame (N, 3 + E + 3): head angles, expression codes, jaw."""
    return torch.cat([head.yaw_pitch_roll_rad(fit.pose), fit.expression, fit.pose[:, 6:9]], -1)


def train_judge(
    crops: Crops, head: HeadModel, settings: Settings, report: Callable[[str], None], start: Path | None
) -> tuple[PuppetJudge, dict[str, float]]:
    """Train a judge on crops; returns it in inference mode, and what `optimise` says.

    Args:
        crops: the training set.
        head: the puppet head, whose true fits tell shape, pose and expression.
        settings: see `Settings`.
        report: receives a line of text now and then.
        start: weights to continue from, or None.
    """
    torch.manual_seed(settings.seed)
    fit = crops.fits[head.name]
    content, shape = content_of(head, fit), fit.shape
    judge = PuppetJudge()
    if start:
        judge.load_state_dict(read_network(start)[1])
    judge = judge.to(memory_format=torch.channels_last)
    num_people = len(torch.unique(crops.person))
    task = JudgeTask(judge, num_people, standardised(shape).shape[1], standardised(content).shape[1])
    summary = optimise(task, len(crops), settings, JudgeLoss(task, crops, content, shape, settings), report)
    return judge, summary


def main(
    out: Annotated[Path, typer.Option(help="weights to write")],
    crops: Annotated[Path, typer.Option(help="folder of rendered crops")] = Path("data/scratch/puppet_crops"),
    start: Annotated[Path | None, typer.Option(help="weights to continue from, instead of random ones")] = None,
    minutes: Annotated[float, typer.Option(help="length of the run; its schedule follows the clock")] = 20.0,
    steps: Annotated[int | None, typer.Option(help="count steps instead: repeats a run exactly")] = None,
    batch: int = 64,
    learning_rate: float = 3e-3,
    weight_decay: float = 0.01,
    bfloat16: bool = True,
    seed: int = 2,
) -> None:
    """Train the puppet judge on crops that `pipeline.puppet_training.crops` has rendered."""
    torch.set_num_threads(1)
    settings = Settings(minutes, steps, batch, learning_rate, weight_decay, bfloat16, seed)
    head = load_head(ASSETS / "puppet.npz")
    rendered = load_crops(crops, {"puppet": head})
    judge, summary = train_judge(rendered, head, settings, say, start)
    judge.save(out, training_facts("judge", settings, rendered.facts, summary, WEIGHTS, start))


if __name__ == "__main__":
    run_command(main)
