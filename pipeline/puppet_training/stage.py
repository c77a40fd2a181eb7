"""Held-out people on stage: the same frames can be filmed again with something changed."""

from dataclasses import dataclass, replace

import numpy as np

from model.heads.fit import HeadFit
from model.heads.head import HeadModel
from pipeline.puppet_training.crops import LIMITS, TEXTURE_PX
from pipeline.puppets.people import VALIDATION_SEEDS, Person, make_person
from pipeline.puppets.render import Camera
from pipeline.puppets.sampling import CropJitter, draw_shots
from pipeline.puppets.scene import Actor, Studio

MIXED = (
    "shape", "skin", "lips", "iris", "natural_hair", "brow_thickness", "brow_arch", "brow_length", "freckles", "blush",
    "age",
)  # fmt: skip


@dataclass(frozen=True)
class Scene:
    """People, and frames of each.

    Attributes:
        people: P people in one look each.
        fit: P * n rows, n consecutive rows a person.
    """

    people: list[Person]
    fit: HeadFit


class Stage:
    """Draws scenes and films them.

    Args:
        head: the head "puppet".
        size: side of the frames in pixels.
    """

    def __init__(self, head: HeadModel, size: int) -> None:
        self.head, self.size = head, size
        self.studio = Studio(head, TEXTURE_PX)
        self.camera = Camera(self.studio)
        self.dressed: dict[int, tuple[Person, Actor]] = {}  # by id; the person is kept, so that ids stay unique

    def scene(self, seed: int, people: int, per_person: int) -> Scene:
        """Draw people of the validation range, and frames with poses and expressions of a training set."""
        rng = np.random.default_rng([seed, 30])
        cast, fits = [], []
        for _ in range(people):
            identity_seed = int(rng.integers(VALIDATION_SEEDS.start, VALIDATION_SEEDS.stop))
            cast.append(make_person(identity_seed, int(rng.integers(2**31)), self.head.num_shape, "any"))
            shape = cast[-1].identity.shape
            fits.append(draw_shots(rng, self.studio, shape, per_person, CropJitter(), LIMITS)[0])
        return Scene(cast, HeadFit.cat(fits))

    def film(self, scene: Scene) -> np.ndarray:
        """Render every frame: (N, H, W, 3) uint8."""
        per_person = len(scene.fit) // len(scene.people)
        frames = []
        for i, person in enumerate(scene.people):
            fit = scene.fit[slice(i * per_person, (i + 1) * per_person)]
            pictures = self.camera.film(
                self._actor(person),
                fit.shape,
                fit.expression,
                fit.pose,
                fit.camera,
                (self.size, self.size),
                fit.tracker_map.numpy(),
                supersample=2,
            )
            frames += [picture.image for picture in pictures]
        return np.stack(frames)

    def _actor(self, person: Person) -> Actor:
        if id(person) not in self.dressed:
            self.dressed[id(person)] = (person, self.studio.dress(person))
        return self.dressed[id(person)][1]

    def mixed(self, person: Person, other: Person, share: float) -> Person:
        """A person whose face is a blend with another's; hair, clothes, background and light stay."""
        a, b = person.identity, other.identity
        blends = {name: (1 - share) * getattr(a, name) + share * getattr(b, name) for name in MIXED}
        return replace(person, identity=replace(a, **blends | {"shape": blends["shape"].astype(np.float32)}))
