"""docs/sources.md: its examples are valid, and there is one of every form."""

import re

from ruamel.yaml import YAML

from pipeline.cropping.protocol import FOMM_TUBE, protocol_of
from pipeline.params.data import SourceParams
from pipeline.sources.listing import CONTENTS, KINDS
from tests.helpers import ROOT
from tests.videos import CROP, voxceleb1

TEXT = (ROOT / "docs" / "sources.md").read_text()


def test_every_form_has_a_valid_example():
    examples = [YAML(typ="safe").load(block) for block in re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)]
    kinds = {SourceParams.model_validate(example).kind for example in examples}
    assert kinds | {"voxceleb2"} == set(KINDS) == set(CONTENTS)


def test_the_protocol_id_shown_is_the_real_one():
    shown = re.search(r"`(fomm_tube\+\w+@\w+)`", TEXT).group(1)
    crop = CROP.model_copy(update={"size_px": 256, "tube": FOMM_TUBE})
    assert shown == protocol_of(voxceleb1(), crop).id
