"""Who a puppet is and how it is dressed: two seeds, an identity and a look.

An identity (shape, skin, brows, iris, lips) stays with a person; a look (hair, beard, glasses, clothes,
background, light) may change from video to video. Seeds of identities live in disjoint ranges, so that
networks trained on puppets never meet a person of a corpus:

* corpora: 100 000 * puppets.seed + number of the person's id, below 10^8
* training of the puppet tracker and judge: `TRAINING_SEEDS`
* validation of these networks: `VALIDATION_SEEDS`
"""

from dataclasses import dataclass

import numpy as np

TRAINING_SEEDS = range(10**9, 2 * 10**9)
VALIDATION_SEEDS = range(2 * 10**9, 3 * 10**9)
SHAPE_LIMIT = 2.2  # shape codes are N(0, 1), cut here: extremes of several directions at once look broken

STYLES = ("bald", "buzz", "short", "side", "fringe", "bob", "long", "bun", "curly", "afro")
BACKDROPS = ("gradient", "blocks", "shelves", "clouds", "stripes")
GARMENTS = ("crew", "shirt", "hoodie", "turtleneck")

# sRGB, pale to dark
_SKIN = np.array(
    [(250, 222, 205), (240, 200, 175), (226, 178, 144), (205, 150, 112), (170, 119, 86), (124, 84, 62), (84, 58, 46)]
)
_IRIS = np.array([(92, 130, 165), (110, 145, 140), (96, 125, 70), (140, 105, 50), (95, 58, 28), (58, 34, 20)])
_NATURAL_HAIR = np.array(
    [(18, 15, 14), (38, 27, 22), (62, 40, 26), (95, 62, 38), (140, 98, 55), (196, 158, 100), (130, 54, 28)]
)


@dataclass(frozen=True)
class Palette:
    """What a corpus draws its looks from; colours are sRGB 0-255.

    Attributes:
        hair: (n, 3) hair colours beside the person's natural one.
        dyed: share of people whose hair has one of these colours.
        clothes: (n, 3) colours of garments.
        walls: (n, 3) colours of backgrounds.
        backdrops: kinds of background.
        key: (low, high) strength of the main light.
        ambient: (low, high) strength of the ambient light.
        warmth: (low, high) colour of the main light, -1 blue to 1 orange.
    """

    hair: np.ndarray
    dyed: float
    clothes: np.ndarray
    walls: np.ndarray
    backdrops: tuple[str, ...]
    key: tuple[float, float]
    ambient: tuple[float, float]
    warmth: tuple[float, float]


_DAY = Palette(
    hair=np.array([(205, 185, 150), (150, 150, 152), (110, 70, 40)]),
    dyed=0.25,
    clothes=np.array([(40, 55, 90), (225, 225, 220), (120, 30, 38), (60, 62, 66), (70, 110, 90), (150, 170, 200)]),
    walls=np.array([(205, 200, 190), (120, 150, 170), (150, 165, 140), (225, 215, 200), (90, 105, 120)]),
    backdrops=("gradient", "blocks", "shelves"),
    key=(0.75, 1.0),
    ambient=(0.42, 0.6),
    warmth=(-0.15, 0.35),
)
_EVENING = Palette(
    hair=np.array([(88, 38, 36), (28, 28, 34), (206, 188, 162), (150, 80, 46), (92, 90, 92)]),
    dyed=0.4,
    clothes=np.array([(20, 20, 24), (200, 160, 60), (95, 60, 120), (30, 90, 110), (190, 90, 60), (235, 200, 205)]),
    walls=np.array([(45, 40, 60), (90, 50, 40), (30, 60, 65), (120, 90, 60), (70, 70, 78)]),
    backdrops=("clouds", "stripes", "gradient"),
    key=(0.85, 1.15),
    ambient=(0.28, 0.42),
    warmth=(-0.6, 0.8),
)
PALETTES = {
    "day": _DAY,
    "evening": _EVENING,
    "any": Palette(
        hair=np.concatenate([_DAY.hair, _EVENING.hair, _NATURAL_HAIR]),
        dyed=0.7,
        clothes=np.concatenate([_DAY.clothes, _EVENING.clothes]),
        walls=np.concatenate([_DAY.walls, _EVENING.walls]),
        backdrops=BACKDROPS,
        key=(0.65, 1.2),
        ambient=(0.25, 0.65),
        warmth=(-0.7, 0.8),
    ),
}


@dataclass(frozen=True)
class Identity:
    """What stays with a person. Colours are sRGB in [0, 1]; shares and strengths are in [0, 1]."""

    seed: int
    shape: np.ndarray  # (S,)
    skin: np.ndarray
    lips: np.ndarray
    iris: np.ndarray
    natural_hair: np.ndarray
    bearded: bool
    brow_thickness: float
    brow_arch: float
    brow_length: float
    freckles: float
    blush: float
    age: float
    moles: int


@dataclass(frozen=True)
class Look:
    """What may change from video to video. Colours are sRGB in [0, 1]."""

    seed: int
    style: str
    hair: np.ndarray
    volume: float
    parting: float  # -1 left .. 1 right
    beard: str  # "none", "stubble", "full", "goatee", "moustache"
    glasses: str  # "none", "round", "square"
    glasses_colour: np.ndarray
    garment: str
    clothes: np.ndarray
    second_colour: np.ndarray
    pattern: str  # "plain", "stripes", "checks"
    backdrop: str
    wall: np.ndarray
    second_wall: np.ndarray
    light_direction: np.ndarray  # (3,) unit, from the head towards the lamp; x right, y up, z to the viewer
    light_colour: np.ndarray
    ambient_colour: np.ndarray
    rim: float


@dataclass(frozen=True)
class Person:
    """An identity in a look."""

    identity: Identity
    look: Look


def make_identity(seed: int, num_shape: int) -> Identity:
    """Draw a person; equal seeds give equal people.

    Args:
        seed: see the ranges in the module's description.
        num_shape: number of shape codes of the head.
    """
    rng = np.random.default_rng([seed, 1])
    shape = np.clip(rng.standard_normal(num_shape), -SHAPE_LIMIT, SHAPE_LIMIT).astype(np.float32)
    tone = rng.uniform(0, len(_SKIN) - 1)
    redness = rng.normal(0, 0.014)
    skin = _along(_SKIN, tone) + np.array([redness, -0.5 * redness, -0.8 * redness]) + rng.normal(0, 0.008, 3)
    lips = skin * np.array([0.92, 0.62, 0.62]) + np.array([rng.uniform(0.02, 0.1), 0, 0.02])
    dark = tone / (len(_SKIN) - 1)
    eye = rng.uniform(0, 5) if rng.random() > dark * 1.4 else rng.uniform(3.6, 5)
    hair = rng.uniform(0, 6) if rng.random() > dark * 1.4 else rng.uniform(0, 1.6)
    bearded = bool(rng.random() < 0.45)
    return Identity(
        seed=seed,
        shape=shape,
        skin=np.clip(skin, 0.05, 0.98),
        lips=np.clip(lips, 0.05, 0.95),
        iris=_along(_IRIS, eye),
        natural_hair=_along(_NATURAL_HAIR, hair),
        bearded=bearded,
        brow_thickness=float(rng.uniform(0.75, 1.45) if bearded else rng.uniform(0.45, 0.95)),
        brow_arch=float(rng.uniform(-0.35, 0.5)),
        brow_length=float(rng.uniform(0.9, 1.15)),
        freckles=float(rng.beta(0.5, 1.6) * (1 - 0.6 * dark)),
        blush=float(rng.uniform(0.1, 0.8)),
        age=float(rng.uniform(0, 1) ** 1.5),
        moles=int(rng.integers(0, 5)),
    )


def make_look(seed: int, identity: Identity, palette: str) -> Look:
    """Draw hair, clothes, background and light for a person.

    Raises:
        ValueError: `palette` is not a key of `PALETTES`.
    """
    if palette not in PALETTES:
        raise ValueError(f"unknown palette {palette!r}, expected one of {sorted(PALETTES)}")
    source = PALETTES[palette]
    rng = np.random.default_rng([seed, 2])
    natural = identity.natural_hair if rng.random() > source.dyed else _pick(rng, source.hair, 0.012)
    clothes, second = _pick(rng, source.clothes), _pick(rng, source.clothes)
    warmth = rng.uniform(*source.warmth)
    tint = np.array([1.0 + 0.12 * warmth, 1.0, 1.0 - 0.16 * warmth])
    azimuth, height = np.radians(rng.uniform(-65, 65)), np.radians(rng.uniform(10, 55))
    beards = ("none", "stubble", "full", "goatee", "moustache")
    beard_odds = (0.4, 0.22, 0.2, 0.1, 0.08) if identity.bearded else (1, 0, 0, 0, 0)
    styles = STYLES if palette == "any" else _styles_of(identity.bearded)
    return Look(
        seed=seed,
        style=str(rng.choice(styles)),
        hair=np.clip(natural * rng.uniform(0.8, 1.25), 0.03, 0.95),
        volume=float(rng.uniform(0.75, 1.3)),
        parting=float(rng.uniform(-1, 1)),
        beard=str(rng.choice(beards, p=beard_odds)),
        glasses=str(rng.choice(("none", "round", "square"), p=(0.76, 0.12, 0.12))),
        glasses_colour=_pick(rng, np.array([(25, 22, 22), (90, 50, 30), (150, 140, 120), (30, 40, 80)]), 0.02),
        garment=str(rng.choice(GARMENTS)),
        clothes=clothes,
        second_colour=second,
        pattern=str(rng.choice(("plain", "stripes", "checks"), p=(0.55, 0.25, 0.2))),
        backdrop=str(rng.choice(source.backdrops)),
        wall=_pick(rng, source.walls),
        second_wall=_pick(rng, source.walls),
        light_direction=np.array([np.sin(azimuth) * np.cos(height), np.sin(height), np.cos(azimuth) * np.cos(height)]),
        light_colour=rng.uniform(*source.key) * tint,
        ambient_colour=rng.uniform(*source.ambient) * (2.0 - tint),
        rim=float(rng.uniform(0.0, 0.5)),
    )


def make_person(identity_seed: int, look_seed: int, num_shape: int, palette: str) -> Person:
    """Draw an identity and a look for it (`make_identity`, `make_look`)."""
    identity = make_identity(identity_seed, num_shape)
    return Person(identity, make_look(look_seed, identity, palette))


def _styles_of(bearded: bool) -> tuple[str, ...]:
    """Hair styles of a corpus: bald and shaven heads for people who may also wear a beard."""
    common = ("short", "side", "fringe", "curly", "afro")
    return (*common, "bald", "buzz", "short") if bearded else (*common, "bob", "long", "bun", "long")


def _along(colours: np.ndarray, position: float) -> np.ndarray:
    """Interpolate a list of 0-255 colours at a fractional position; result in [0, 1]."""
    below = min(int(position), len(colours) - 2)
    share = position - below
    return ((1 - share) * colours[below] + share * colours[below + 1]) / 255.0


def _pick(rng: np.random.Generator, colours: np.ndarray, jitter: float = 0.03) -> np.ndarray:
    """Choose a 0-255 colour and vary it a little; result in [0, 1]."""
    return np.clip(colours[rng.integers(len(colours))] / 255.0 + rng.normal(0, jitter, 3), 0.03, 0.97)
