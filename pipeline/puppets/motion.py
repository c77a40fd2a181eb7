"""How a puppet moves: smooth random head motion, talk, brows, blinks and gaze.

Everything is drawn as a function of seconds: another frame rate samples the same motion up to its peak.
"""

from dataclasses import dataclass

import numpy as np

from model.heads.arrays import HeadArrays

CLIP_FRAMES = 75  # of the talking clips that unrelated frames are taken from, 25 a second
BLINK_SECONDS = 0.36  # lids close in a quarter of this and open in the rest


@dataclass(frozen=True)
class MotionLimits:
    """Largest angles in degrees."""

    yaw_deg: float
    pitch_deg: float
    roll_deg: float


@dataclass(frozen=True)
class Motion:
    """Codes of T frames.

    Attributes:
        expression: (T, E) expression codes, inside the head's bounds.
        pose: (T, 3J) axis-angle, root first; the neck stays at 0.
        drift: (T, 3) log scale, and shift right and up as shares of the face's height.
    """

    expression: np.ndarray
    pose: np.ndarray
    drift: np.ndarray


def wander(rng: np.random.Generator, seconds: np.ndarray, highest_hz: float, waves: int = 4) -> np.ndarray:
    """Band-limited noise: a sum of sines below `highest_hz`, scaled so that its peak over the clip is 1."""
    frequency = rng.uniform(0.15, 1.0, waves) * highest_hz
    size = rng.uniform(0.4, 1.0, waves) / np.sqrt(frequency)
    phase = rng.uniform(0, 2 * np.pi, waves)
    sum_of_sines = (size * np.sin(2 * np.pi * frequency * seconds[:, None] + phase)).sum(1)
    return sum_of_sines / max(np.abs(sum_of_sines).max(), 1e-6)


def rotation_vector(yaw_rad: np.ndarray, pitch_rad: np.ndarray, roll_rad: np.ndarray) -> np.ndarray:
    """Angles (T,) to axis-angle (T, 3) of R = Rz(roll) @ Ry(yaw) @ Rx(pitch) (model/heads/rotation.py)."""
    from scipy.spatial.transform import Rotation

    angles = np.stack([roll_rad, yaw_rad, pitch_rad], -1)
    return Rotation.from_euler("ZYX", angles).as_rotvec().astype(np.float32)


def make_motion(seed: int, head: HeadArrays, seconds: np.ndarray, limits: MotionLimits) -> Motion:
    """Draw a talking clip.

    Args:
        seed: equal seeds give equal motion.
        head: its expression names and bounds and its joints.
        seconds: (T,) times of the frames.
        limits: largest angles.
    """
    rng = np.random.default_rng([seed, 3])
    yaw = wander(rng, seconds, 0.5) * np.radians(limits.yaw_deg)
    pitch = wander(rng, seconds, 0.6) * np.radians(limits.pitch_deg) * rng.uniform(0.5, 1.0)
    roll = wander(rng, seconds, 0.5) * np.radians(limits.roll_deg) * rng.uniform(0.5, 1.0)
    mouth = _talk(rng, seconds)
    names = [str(n) for n in head.joint_names]
    pose = np.zeros((len(seconds), len(names), 3), np.float32)
    pose[:, 0] = rotation_vector(yaw, pitch, roll)
    pose[:, names.index("jaw"), 0] = np.radians(16.0) * mouth
    gaze = _gaze(rng, seconds)
    gaze[:, 0] -= 0.3 * np.clip(yaw, -0.8, 0.8)  # eyes lag behind the head
    for eye in ("eye_left", "eye_right"):
        pose[:, names.index(eye), :2] = gaze[:, ::-1]
    expression = _expression(rng, head, seconds, mouth)
    drift = np.stack([wander(rng, seconds, 0.3) * size for size in (0.04, 0.07, 0.05)], -1)
    return Motion(expression, pose.reshape(len(seconds), -1), drift.astype(np.float32))


def random_codes(
    rng: np.random.Generator, head: HeadArrays, count: int, limits: MotionLimits, talking: float = 0.0
) -> Motion:
    """Draw unrelated frames for training networks: angles spread evenly, every expression direction in use.

    Args:
        rng: source of all draws.
        head: its expression names and bounds and its joints.
        count: number of frames.
        limits: largest angles.
        talking: share of frames whose face is one of a talking clip instead: few directions at a time, as in a corpus.
    """
    names = [str(n) for n in head.joint_names]
    yaw = np.radians(limits.yaw_deg) * rng.uniform(-1, 1, count)
    pitch = np.radians(limits.pitch_deg) * np.clip(rng.normal(0, 0.5, count), -1, 1)
    roll = np.radians(limits.roll_deg) * np.clip(rng.normal(0, 0.5, count), -1, 1)
    pose = np.zeros((count, len(names), 3), np.float32)
    pose[:, 0] = rotation_vector(yaw, pitch, roll)
    mouth = rng.beta(0.6, 1.5, count)
    pose[:, names.index("jaw"), 0] = np.radians(20.0) * mouth
    gaze = rng.normal(0, np.radians(10.0), (count, 2)).clip(-0.4, 0.4)
    for eye in ("eye_left", "eye_right"):
        pose[:, names.index(eye), :2] = gaze
    low, high = head.expression_low, head.expression_high
    group = _pairs(head)
    target = rng.uniform(size=(count, len(low)))
    active = rng.random((count, len(low))) < 0.35
    paired = rng.random((count, len(low)))[:, group] < 0.75  # most faces move both sides together
    target, active = (np.where(paired, value[:, group], value) for value in (target, active))
    expression = np.where(active, (low + target * (high - low)) * rng.uniform(0.5, 1.0, (count, 1)), 0.0)
    blinking = rng.random((count, 1)) < 0.25
    lids = np.array([_kind(n) == "blink" for n in head.expression_names])
    closed = np.where(blinking, high * rng.uniform(0.2, 1.0, (count, 1)), 0.0)
    winking = active & ~paired
    expression = np.where(lids, np.where(winking, expression, closed), expression)
    drift = rng.normal(0, 0.05, (count, 3))
    if talking:
        clip = make_motion(int(rng.integers(2**31)), head, np.arange(CLIP_FRAMES) / 25, limits)
        frames, talks = rng.integers(CLIP_FRAMES, size=count), rng.random((count, 1)) < talking
        jaw = clip.pose.reshape(CLIP_FRAMES, -1, 3)[frames, names.index("jaw")]
        pose[:, names.index("jaw")] = np.where(talks, jaw, pose[:, names.index("jaw")])
        expression = np.where(talks, clip.expression[frames], expression)
    return Motion(expression.astype(np.float32), pose.reshape(count, -1), drift.astype(np.float32))


def _talk(rng: np.random.Generator, seconds: np.ndarray) -> np.ndarray:
    """Opening of the mouth in [0, 1]: syllables of 3 to 5 Hz inside phrases."""
    phase = 2 * np.pi * rng.uniform(3.0, 4.6) * seconds + 1.5 * wander(rng, seconds, 1.5) + rng.uniform(0, 6.28)
    syllables = 0.5 - 0.5 * np.cos(phase)
    phrase = np.clip(0.55 + 0.9 * wander(rng, seconds, 0.9), 0.0, 1.0)
    return syllables * phrase * (0.65 + 0.35 * wander(rng, seconds, 2.0))


def _blinks(rng: np.random.Generator, seconds: np.ndarray) -> np.ndarray:
    """Closure of the lids in [0, 1]: fast to close, slower to open, one in the first second at least."""
    times = np.cumsum(np.concatenate([rng.uniform(0.3, 1.0, 1), rng.uniform(0.9, 2.8, 60)]))
    since = seconds[:, None] - times
    share = np.clip(since / BLINK_SECONDS, 0, 1)
    return np.sin(np.pi * np.sqrt(share)).clip(0, 1).max(1)


def _gaze(rng: np.random.Generator, seconds: np.ndarray) -> np.ndarray:
    """(T, 2) yaw and pitch of the eyes in radians: fixations joined by fast saccades."""
    count = 3 + int(seconds[-1] / 0.25)
    starts = np.cumsum(rng.uniform(0.35, 1.2, count))
    targets = np.radians(rng.normal(0, (9.0, 5.0), (count + 1, 2)))
    share = np.clip((seconds[:, None] - starts) / 0.06, 0, 1)[..., None]
    return targets[0] + (share * np.diff(targets, axis=0)).sum(1)


def _kind(name: str) -> str:
    """Sort an expression direction of the puppet head by its name."""
    for kind in ("blink", "brow_down", "brow", "smile"):
        if str(name).startswith(kind):
            return kind
    return "mouth"


def _pairs(head: HeadArrays) -> np.ndarray:
    """(E,) number of the first direction of the same name but for its side: `brow_down_right` -> `brow_down_left`."""
    bases = [str(n).removesuffix("_left").removesuffix("_right") for n in head.expression_names]
    return np.array([bases.index(base) for base in bases])


def _expression(rng: np.random.Generator, head: HeadArrays, seconds: np.ndarray, mouth: np.ndarray) -> np.ndarray:
    """(T, E) codes: lids blink together, brows and smile come and go, other directions move with the talk.

    Left and right follow one signal, one side a little weaker.
    """
    blink = _blinks(rng, seconds)
    columns: list[np.ndarray] = []
    brow = 1.4 * wander(rng, seconds, 1.2)
    smile = np.clip(0.2 + 1.1 * wander(rng, seconds, 1.0), 0, 1)
    pairs = _pairs(head)
    for number, (name, low, high) in enumerate(
        zip(head.expression_names, head.expression_low, head.expression_high, strict=True)
    ):
        kind = _kind(name)
        if pairs[number] != number:
            column = columns[pairs[number]] * (1.0 if kind == "blink" else rng.uniform(0.75, 1.0))
        elif kind == "blink":
            column = blink * high
        elif kind == "brow_down":
            column = np.clip(-brow, 0, 1) * high * rng.uniform(0.5, 1.0)
        elif kind == "brow":
            column = np.clip(brow, 0, 1) * high * rng.uniform(0.6, 1.0)
        elif kind == "smile":
            column = smile * high * rng.uniform(0.7, 1.0)
        else:
            signal = wander(rng, seconds, 2.5)
            column = np.where(signal > 0, signal * high, -signal * low) * rng.uniform(0.1, 0.7) * (0.4 + 0.6 * mouth)
        columns.append(np.clip(column, low, high))
    return np.stack(columns, 1).astype(np.float32)
