"""Options of the commands are written once."""

import re
from collections import Counter

from tests.helpers import ROOT


def test_no_help_text_stands_in_two_places():
    files = [*(ROOT / "stages").glob("*.py"), ROOT / "pipeline/cli.py", ROOT / "pipeline/options.py"]
    texts = Counter(text for file in files for text in re.findall(r'Option\([^()]*help="([^"]+)"', file.read_text()))
    assert len(texts) > 20
    assert [text for text, times in texts.items() if times > 1] == []
