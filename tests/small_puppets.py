"""Parameters of two small puppet corpora."""

from ruamel.yaml import YAML

from pipeline.params.puppets import PuppetParams

TEXT = """
seed: 0
frames: 72
frame_sizes: [[480, 480], [480, 640]]
fps: [25, 30]
crf: 18
preset: veryfast
yaw_deg: 38.0
wide_yaw_deg: 72.0
wide_share: 0.3
pitch_deg: 22.0
roll_deg: 14.0
face_follow: 0.7
face_share: 0.58
texture_size: 128
corpora:
  one: {annotation: voxceleb1, palette: day, train_people: 3, test_people: 2, first_train_id: 10001, first_test_id: 10270}
  two: {annotation: voxceleb2, palette: evening, train_people: 0, test_people: 4, first_train_id: 20001, first_test_id: 20270}
"""  # noqa: E501


def params(**changes: object) -> PuppetParams:
    return PuppetParams(**{**YAML(typ="safe").load(TEXT), **changes})
