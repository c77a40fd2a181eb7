"""The tracker and the backend `mesh`, with stand-ins for the networks, and with the released ones where they are."""

import numpy as np
import pytest
import torch

from model.heads.arrays import save_head
from model.heads.head import HeadModel
from pipeline.instrument_table import INSTRUMENTS
from pipeline.instruments import mesh_reader
from pipeline.instruments.sixty_eight import to_68
from pipeline.metrics.backends.mesh import Mesh
from pipeline.metrics.protocols import BackendUnavailable, Opening
from pipeline.metrics.registry import BACKENDS
from pipeline.params.tree import load_params
from pipeline.puppets.render import Camera
from pipeline.store.assets import AssetMissing
from pipeline.store.registry import resolve
from pipeline.trackers.mesh import MeshTracker
from pipeline.trackers.protocol import ClipInfo
from pipeline.trackers.table import TRACKERS
from tests.asset_folder import project_with_assets
from tests.discs import disc_reader, picture
from tests.helpers import ROOT, random_head
from tests.puppet_studio import codes, person, studio
from tests.tflite_files import released

CPU = torch.device("cpu")
PARAMS = load_params(ROOT / "profiles" / "puppets.yaml").fit
PATH = [(50, 60), (54, 60), None, (60, 58)]


def frames() -> np.ndarray:
    return np.stack([picture((120, 140), where, 25) for where in PATH])


def info() -> ClipInfo:
    return ClipInfo("p#v#000000#000004", "set", "p", "v", [0, 1, 2, 3], [1.0, 0, 0, 0, 1, 0])


def test_a_clip_has_a_row_a_frame_and_says_where_no_face_was():
    head = HeadModel(random_head())
    tracker = MeshTracker(head, PARAMS, disc_reader())
    rows = tracker.fit_clip(frames(), info())
    assert len(rows.status) == 4
    assert rows.status[2] == "no_landmarks"
    assert not set(rows.status) & {"low_score"}
    seen = [0, 1, 3]
    assert (rows.score[seen] > 0.99).all()
    assert np.isnan(rows.score[2])
    assert np.isnan(rows.landmarks[2]).all()
    assert torch.isnan(rows.fit.expression[2]).all()
    assert torch.isfinite(rows.fit.expression[seen]).all()
    assert torch.equal(rows.fit.shape[0], rows.fit.shape[3])  # one person
    landmarks_px = (rows.landmarks[seen] + 1) / 2 * [140, 120]
    reader = disc_reader()
    expected = [to_68(face.points_px)[0] for face in reader.follow(frames()) if face.found[0]]
    assert np.allclose(landmarks_px, expected, atol=1e-3)


def test_images_are_fitted_each_by_itself():
    tracker = MeshTracker(HeadModel(random_head()), PARAMS, disc_reader())
    images = frames()
    together, alone = tracker.fit_images(images), tracker.fit_images(images[1:2])
    assert together.status[2] == "no_landmarks"
    assert torch.allclose(together.fit.shape[1], alone.fit.shape[0], atol=1e-5)
    assert torch.allclose(together.fit.expression[1], alone.fit.expression[0], atol=1e-5)
    assert together.residual[1] == pytest.approx(alone.residual[0], abs=1e-5)
    clip = tracker.fit_clip(images[1:2], info())
    assert torch.allclose(clip.fit.expression, alone.fit.expression, atol=1e-5)


def test_fits_are_known_by_what_they_depend_on():
    head, other = HeadModel(random_head()), HeadModel(random_head(1))
    one = MeshTracker(head, PARAMS, disc_reader()).fingerprint
    assert one == MeshTracker(head, PARAMS, disc_reader()).fingerprint
    looser = PARAMS.model_copy(update={"max_residual": 0.2})
    reader = disc_reader()
    reader.fingerprint = "another"
    others = [MeshTracker(other, PARAMS, disc_reader()), MeshTracker(head, looser, disc_reader())]
    assert len({one, MeshTracker(head, PARAMS, reader).fingerprint, *(each.fingerprint for each in others)}) == 4


def test_the_backend_reads_landmarks_and_the_codes_of_each_head():
    heads = {"one": HeadModel(random_head()), "two": HeadModel(random_head(1))}
    backend = Mesh(disc_reader(), heads, 0.5, PARAMS.landmark_fit)
    found = backend.observe(frames())
    assert set(found) == {"landmarks_px", "head_codes:one", "head_codes:two"}
    assert found["landmarks_px"].shape == (4, 136)
    assert np.isnan(found["landmarks_px"]).all(1).tolist() == [False, False, True, False]
    tracker = MeshTracker(heads["two"], PARAMS, disc_reader())
    fit = tracker.fit_images(frames()[3:]).fit
    expected = torch.cat([fit.expression, torch.rad2deg(heads["two"].yaw_pitch_roll_rad(fit.pose))], 1)
    assert np.allclose(found["head_codes:two"][3], expected[0], atol=1e-4)
    assert np.isnan(found["head_codes:two"][2]).all()
    for alone, both in zip(backend.observe(frames()[:1]).values(), found.values(), strict=True):
        assert np.allclose(alone[0], both[0], atol=1e-4)
    stricter = Mesh(disc_reader(), heads, 0.99999, PARAMS.landmark_fit)
    assert stricter.fingerprint != backend.fingerprint
    assert np.isnan(stricter.observe(frames())["head_codes:one"]).all()


def test_without_heads_the_backend_needs_no_settings_and_its_key_none_of_theirs():
    one, other = Mesh(disc_reader(), {}, 0.5, None), Mesh(disc_reader(), {}, 0.7, PARAMS.landmark_fit)
    assert one.fingerprint == other.fingerprint
    assert set(one.observe(frames())) == {"landmarks_px"}
    with pytest.raises(BackendUnavailable, match="nobody says how"):
        Mesh(disc_reader(), {"one": HeadModel(random_head())}, 0.5, None)


def test_weights_that_are_not_there_are_asked_for(tmp_path, monkeypatch):
    project_with_assets(monkeypatch, tmp_path)
    with pytest.raises(AssetMissing, match=r"blazeface: no weights; .*face_detection_short_range\.tflite"):
        resolve(TRACKERS, "mesh", "tracker").open(HeadModel(random_head()), PARAMS, {}, CPU)
    with pytest.raises(AssetMissing, match="blazeface: no weights"):
        resolve(BACKENDS, "mesh", "backend").open(Opening({}, 0.5, CPU))
    assert set(INSTRUMENTS["mesh"].weights) == {"blazeface", "face_mesh"}


def test_rendered_people_are_fitted_on_the_released_networks(monkeypatch, tmp_path):
    files = released("blazeface.tflite"), released("face_mesh.tflite")
    monkeypatch.setattr("pipeline.trackers.mesh.open_mesh", lambda device: mesh_reader.open_mesh_files(*files, device))
    monkeypatch.setattr(
        "pipeline.metrics.backends.mesh.open_mesh", lambda device: mesh_reader.open_mesh_files(*files, device)
    )
    who, head = person(5), studio().head
    images, yaws = [], (-20, 0, 20)
    for yaw in yaws:
        frame_map = np.array([1.3, 0, 0, 0, 1.3, 0.1], np.float32)
        images.append(
            Camera(studio()).film(studio().dress(who), *codes(who, yaw).values(), (256, 256), frame_map)[0].image
        )
    rows = MeshTracker.open(head, PARAMS, {}, CPU).fit_clip(np.stack(images), info())
    assert rows.status == ["ok"] * 3
    angles = torch.rad2deg(head.yaw_pitch_roll_rad(rows.fit.pose)).numpy()
    assert np.abs(angles[:, 0] - yaws).max() < 6
    assert np.abs(angles[:, 1:]).max() < 6
    save_head(tmp_path / "puppet.npz", head.arrays)
    opening = Opening({"puppet": tmp_path / "puppet.npz"}, 0.5, CPU, landmark_fit=PARAMS.landmark_fit)
    found = Mesh.open(opening).observe(np.stack(images))["head_codes:puppet"]
    assert np.abs(found[:, -3] - yaws).max() < 6
