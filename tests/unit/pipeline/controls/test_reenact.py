"""True reenactment against the video itself: one person's own driving codes must give back that frame."""

import cv2
import numpy as np
import pyarrow as pa
import pytest
import torch

from model.heads.fit import HeadFit
from model.heads.head import load_head
from model.heads.retarget import retarget
from pipeline.bench.pair_frames import load_pair_frames
from pipeline.controls.reenact import true_reenactment
from pipeline.params.puppets import PuppetParams
from pipeline.puppets.clip import film_clip, make_clip, plan_corpus
from pipeline.puppets.render import Camera
from pipeline.puppets.scene import Studio
from pipeline.puppets.video import HEADS
from pipeline.store.clips import ClipWriter, encode_frame
from pipeline.store.schema import INDEX, PAIRS, write_table

CORPUS = {"annotation": "voxceleb1", "palette": "day", "train_people": 0, "test_people": 2,
          "first_train_id": 10001, "first_test_id": 10270}  # fmt: skip
PARAMS = PuppetParams.model_validate(
    {"seed": 0, "frames": 3, "frame_sizes": [[256, 320]], "fps": [25], "crf": 18, "preset": "ultrafast",
     "yaw_deg": 40.0, "wide_yaw_deg": 60.0, "wide_share": 0.5, "pitch_deg": 20.0, "roll_deg": 14.0,
     "face_share": 0.6, "face_follow": 0.7, "texture_size": 256, "corpora": {"only": CORPUS}}
)  # fmt: skip
HEIGHT, WIDTH = 48, 40
BOXES = {0: (60, 20, 250, 230), 1: (40, 10, 290, 240)}  # left, top, right, bottom of each person's crop


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Two people's clips, cropped from rendered frames with boxes of different shape."""
    folder = tmp_path_factory.mktemp("puppets")
    studio = Studio(load_head(HEADS / "puppet.npz"), PARAMS.texture_size)
    rows = []
    with ClipWriter(folder / "clips", "png", 1 << 24) as writer:
        for number, plan in enumerate(plan_corpus(PARAMS, PARAMS.corpora["only"])):
            left, top, right, bottom = BOXES[number]
            frames = [picture.image for picture in film_clip(make_clip(plan, studio, PARAMS), studio)]
            cut = [cv2.resize(f[top:bottom, left:right], (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA) for f in frames]
            shard, batch = writer.add(number, [encode_frame(f, "png", 0) for f in cut])
            x, y = 2 / (right - left), 2 / (bottom - top)
            rows.append(
                {"clip": plan.person_id, "dataset": "only", "split": "test", "person": plan.person_id,
                 "video": plan.video, "start": 0, "end": 3, "fps": 25.0, "num_frames": 3, "source_width": 320,
                 "source_height": 256, "crop_map": [x, 0, -1 - left * x, 0, y, -1 - top * y],
                 "frame_index": [0, 1, 2], "shard": shard, "batch": batch}
            )  # fmt: skip
    write_table(folder / "clips" / "index.parquet", pa.Table.from_pylist(rows, schema=INDEX))
    return folder


def render(folder, source: str, driving: str) -> tuple[np.ndarray, object]:
    pair = {"pair_id": "p", "dataset": "only", "task": "cross", "source_clip": source, "driving_clip": driving,
            "source_frame": 0, "driving_frame": 2, "source_person": source, "driving_person": driving}  # fmt: skip
    write_table(folder / "pairs.parquet", pa.Table.from_pylist([pair], schema=PAIRS))
    pairs, _ = load_pair_frames(folder / "pairs.parquet", folder / "clips")
    (frames,) = true_reenactment(PARAMS, pairs, folder / "clips")
    return frames[0], pairs


def l1(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.abs(a.astype(float) - b.astype(float)).mean())


def test_own_codes_give_back_the_driving_frame(world):
    frame, pairs = render(world, "id10270", "id10270")
    assert frame.shape == (HEIGHT, WIDTH, 3)
    moved = l1(pairs.source_u8[0], pairs.driving_u8[0])
    assert l1(frame, pairs.driving_u8[0]) < min(4.0, 0.5 * moved)


def test_another_persons_codes_keep_the_source_and_move_it(world):
    frame, pairs = render(world, "id10270", "id10271")
    assert l1(frame, pairs.driving_u8[0]) > 15
    background = np.s_[:6, :6]
    assert l1(frame[background], pairs.source_u8[0][background]) < 12
    assert l1(frame, pairs.source_u8[0]) > 3


def test_frames_come_in_the_order_of_the_pairs(world):
    people = [
        ("id10271", "id10270", 1),
        ("id10270", "id10271", 0),
        ("id10271", "id10270", 2),
        ("id10271", "id10270", 0),
    ]
    rows = [
        {"pair_id": f"p{n}", "dataset": "only", "task": "cross", "source_clip": source, "driving_clip": driving,
         "source_frame": 0, "driving_frame": frame, "source_person": source, "driving_person": driving}
        for n, (source, driving, frame) in enumerate(people)
    ]  # fmt: skip
    write_table(world / "pairs.parquet", pa.Table.from_pylist(rows, schema=PAIRS))
    pairs, _ = load_pair_frames(world / "pairs.parquet", world / "clips")
    whole = np.concatenate(list(true_reenactment(PARAMS, pairs, world / "clips")))
    assert len(whole) == 4
    for row in range(4):
        (alone,) = true_reenactment(PARAMS, pairs.select(np.array([row])), world / "clips")
        assert l1(whole[row], alone[0]) < 0.05
        assert min(l1(whole[row], whole[other]) for other in range(4) if other != row) > 0.2


def true_fit(person_id: str, frame: int) -> tuple[HeadFit, tuple[int, int, int, int]]:
    """True codes of a frame, placed in its clip by the clip's own box, and that box."""
    plans = {plan.person_id: (number, plan) for number, plan in enumerate(plan_corpus(PARAMS, PARAMS.corpora["only"]))}
    number, plan = plans[person_id]
    fit = make_clip(plan, Studio(load_head(HEADS / "puppet.npz"), PARAMS.texture_size), PARAMS).fit[[frame]]
    (height, width), (left, top, right, bottom) = plan.size_hw, BOXES[number]
    half = height / 2  # the tracker's frame is the square on the video's height, in its middle
    sx, sy = 2 / (right - left), 2 / (bottom - top)
    to_clip = [[sx * half, 0, (width / 2 - left) * sx - 1, 0, sy * half, (height / 2 - top) * sy - 1]]
    return fit.replace(tracker_map=torch.tensor(to_clip, dtype=torch.float32)), BOXES[number]


def reenacted_px(source: HeadFit, driving: HeadFit, box_src: tuple, box_drv: tuple) -> np.ndarray:
    """Vertices (V, 2) in px of the clip, in float64 from the boxes alone.

    The source person stands in the driving video and is cut out by the driving box; then the picture is squeezed
    about the root joint, keeping its area, until a square thing has the shape that the source's box gives it.
    """
    head = load_head(HEADS / "puppet.npz").double()
    verts = head.vertices(source.shape.double(), driving.expression.double(), driving.pose.double())[0].numpy()
    neutral = head.vertices(source.shape.double(), 0 * driving.expression.double(), 0 * driving.pose.double())
    root = (head.joint_regressor[:1] @ neutral)[0].numpy()
    scale, tx, ty = driving.camera[0].double().numpy()

    def seen_px(points: np.ndarray) -> np.ndarray:
        height, width = PARAMS.frame_sizes[0]
        video_px = np.stack([scale * (points[:, 0] + tx), -scale * (points[:, 1] + ty)], 1) * height / 2
        corner, size = np.array(box_drv[:2]), np.array(box_drv[2:]) - box_drv[:2]
        return (video_px + np.array([width, height]) / 2 - corner) * np.array([WIDTH, HEIGHT]) / size

    (wide_src, high_src), (wide_drv, high_drv) = ((b[2] - b[0], b[3] - b[1]) for b in (box_src, box_drv))
    stretch = np.sqrt((high_src / wide_src) / (high_drv / wide_drv))
    fixed = seen_px(root)
    return fixed + (seen_px(verts) - fixed) * np.array([stretch, 1 / stretch])


@pytest.mark.parametrize(("source", "driving"), [("id10270", "id10271"), ("id10271", "id10270")])
def test_retargeting_with_true_codes_lies_on_the_mesh_of_the_true_reenactment(world, monkeypatch, source, driving):
    placed = []
    film = Camera.film

    def watched(self, actor, shape, expression, pose, camera, size_hw, frame_map, *rest):
        fit = HeadFit(shape, expression, pose, camera, torch.from_numpy(frame_map))
        placed.append(self.studio.head.place(fit)[0, :, :2].numpy())
        return film(self, actor, shape, expression, pose, camera, size_hw, frame_map, *rest)

    monkeypatch.setattr(Camera, "film", watched)
    render(world, source, driving)
    (fit_src, box_src), (fit_drv, box_drv) = true_fit(source, 0), true_fit(driving, 2)
    head = load_head(HEADS / "puppet.npz")
    wanted = reenacted_px(fit_src, fit_drv, box_src, box_drv)
    retargeted = head.place(retarget(fit_src, fit_drv, False, head))[0, :, :2].numpy()
    for verts_ndc in (retargeted, placed[0]):
        assert np.abs((verts_ndc + 1) / 2 * [WIDTH, HEIGHT] - wanted).max() < 0.5
    unsqueezed = head.place(fit_drv.replace(shape=fit_src.shape))[0, :, :2].numpy()
    assert np.abs((unsqueezed + 1) / 2 * [WIDTH, HEIGHT] - wanted).max() > 0.5  # the squeeze is not for nothing
