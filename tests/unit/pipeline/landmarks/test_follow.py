"""Faces are followed through a video, scenes are told apart, and one face is the person."""

import numpy as np
import pytest

from pipeline.instruments.sixty_eight import to_68
from pipeline.landmarks.follow import FaceFollower
from pipeline.landmarks.person import choose_person
from pipeline.params.data import FaceParams
from tests.discs import SHAPE, ColouredDiscs, disc_reader, picture, scene

PARAMS = FaceParams(detect_every=25, overlap=0.3, gap_frames=5, same_size=0.5, cut_levels=30)
SIZE = (120, 200)


def follow(frames, reader=None, **changes):
    follower = FaceFollower(reader or ColouredDiscs(), PARAMS.model_copy(update=changes))
    return [follower(frame) for frame in frames]


def tracks(seen):
    return [[face.track for face in frame.faces] for frame in seen]


def test_the_detector_looks_at_the_first_frame_and_now_and_then():
    reader = ColouredDiscs()
    seen = follow([scene(SIZE, red=(40 + t, 60, 20)) for t in range(60)], reader)
    assert tracks(seen) == [[0]] * 60
    assert reader.detected == 3  # frames 0, 25 and 50
    for t in (0, 30, 59):
        expected = to_68((SHAPE * 20 + [40 + t, 60, 0])[None].astype(np.float32))[0]
        assert np.abs(seen[t].faces[0].landmarks_px - expected).max() < 1


def test_the_reader_of_real_faces_is_followed_the_same_way():
    seen = follow([picture((140, 180), (60 + 3 * t, 50), 25) for t in range(6)], disc_reader())
    assert tracks(seen) == [[0]] * 6


def test_a_second_face_is_found_within_a_while_and_the_larger_one_is_the_person():
    small, large = (40, 60, 15), (140, 60, 30)
    frames = [scene(SIZE, red=small, **({"green": large} if t >= 3 else {})) for t in range(40)]
    seen = follow(frames, cut_levels=200)
    assert tracks(seen)[24] == [0]
    assert tracks(seen)[25] == [0, 1]
    rows = choose_person(seen, 0.5)
    assert rows.status == ["other_face"] * 25 + ["ok"] * 15
    told = choose_person(seen, 0.5, told=(0.2, 0.5))
    assert told.status == ["ok"] * 40


def test_a_face_that_comes_back_is_the_same_and_later_it_is_still_the_person():
    here, away = scene(SIZE, red=(60, 60, 20)), scene(SIZE)
    seen = follow([here] * 10 + [away] * 3 + [here] * 10 + [away] * 9 + [here] * 10)
    assert {face.track for frame in seen[:23] for face in frame.faces} == {0}
    assert {face.track for frame in seen[-10:] for face in frame.faces} == {1}
    status = choose_person(seen, 0.5).status
    assert status == ["ok"] * 10 + ["no_face"] * 3 + ["ok"] * 10 + ["no_face"] * 9 + ["ok"] * 10


@pytest.mark.parametrize(("radius", "counts"), [(20, "ok"), (8, "other_face")])
def test_who_comes_when_the_person_is_gone_counts_as_the_person_if_about_as_large(radius, counts):
    frames = [scene(SIZE, red=(60, 60, 20))] * 20 + [scene(SIZE)] * 9 + [scene(SIZE, green=(150, 60, radius))] * 10
    status = choose_person(follow(frames), 0.5).status
    assert status[-10:] == [counts] * 10


def test_a_cut_ends_a_scene_though_the_next_face_is_in_the_same_place():
    frames = [scene(SIZE, 0, red=(60, 60, 20))] * 10 + [scene(SIZE, 90, green=(62, 60, 20))] * 10
    seen = follow(frames)
    assert [frame.scene for frame in seen] == [0] * 10 + [1] * 10
    rows = choose_person(seen, 0.5)
    assert rows.status == ["ok"] * 10 + ["cut"] + ["ok"] * 9
    assert [face is None for face in rows.faces] == [False] * 10 + [True] + [False] * 9


def test_frames_without_a_face_are_rows_with_a_reason():
    rows = choose_person(follow([scene(SIZE)] * 3), 0.5)
    assert rows.status == ["no_face"] * 3
    table = rows.table("anna", "a b.mp4")
    assert table.column("frame").to_pylist() == [0, 1, 2]
    assert np.isnan(np.array(table.column("landmarks").to_pylist())).all()
    assert choose_person([], 0.5).table("anna", "x").num_rows == 0


def test_landmarks_count_pixel_centres_as_integers_in_the_table():
    seen = follow([scene(SIZE, red=(60, 60, 20))])
    (row,) = choose_person(seen, 0.5).table("anna", "a.mp4").to_pylist()
    assert np.allclose(np.reshape(row["landmarks"], (68, 2)) + 0.5, seen[0].faces[0].landmarks_px)
    assert (row["status"], row["score"]) == ("ok", pytest.approx(0.9))


@pytest.mark.parametrize("size_hw", [(2160, 3840), (1920, 1080)])
def test_large_and_upright_pictures_are_frames_like_others(size_hw):
    centre = size_hw[1] * 0.5, size_hw[0] * 0.4
    (seen,) = follow([picture(size_hw, centre, 200)], disc_reader())
    expected = to_68((SHAPE * 200 + [*centre, 0])[None].astype(np.float32))[0]
    assert np.abs(seen.faces[0].landmarks_px - expected).max() < 12
