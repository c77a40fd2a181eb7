"""docs/deviations.md: made from the marked lines, all of them, and not older than they are."""

import re
import textwrap

import pytest

from docs import list_choices
from docs.list_choices import Choice
from tests.helpers import ROOT


def test_the_page_is_what_the_code_says():
    made = list_choices.markdown(list_choices.choices())
    assert list_choices.PAGE.read_text(encoding="utf-8") == made, "run `python -m docs.list_choices`"


def test_no_marked_line_is_missed():
    """Counted line by line, without a look at what is a docstring, a comment or a key."""
    files = [path for place in ("model/**/*.py", "pipeline/**/*.py", "profiles/*.yaml") for path in ROOT.glob(place)]
    marked = [
        line for path in files for line in path.read_text().splitlines() if re.search(r"[^`\w]Choice(: |$)", f" {line}")
    ]
    assert len(marked) > 40
    assert len(marked) == len(list_choices.choices())


def test_choices_of_python_are_paragraphs_of_docstrings_and_comments():
    text = textwrap.dedent('''
        """A module. Choice: the first,
        on two lines.

        No choice: explained under `Choice:` elsewhere.
        """

        # In an order. Choice: mp4 first,
        # the rest later.
        SUFFIXES = ()


        class Net:
            """A net.

            Choice: one.
            Choice: another.
            """

            def forward(self):
                """Do it.

                Choice: so.
                """
    ''')
    assert list_choices.in_python(text, "model/x.py") == [
        Choice("model/x.py", "", "the first, on two lines."),
        Choice("model/x.py", "Net", "one."),
        Choice("model/x.py", "Net", "another."),
        Choice("model/x.py", "Net.forward", "so."),
        Choice("model/x.py", "", "mp4 first, the rest later."),
    ]


def test_choices_of_a_profile_are_about_their_parameter():
    text = textwrap.dedent("""
        # What is open is marked `Choice:`.

        first:
          # Choice: the paper says two things:
          # both are possible.
          split: listed      # listed | official
          sizes:             # coarsest first; Choice: the widths
          - 3
          deep:
            kernel: 7        # Choice
        second: 1            # from the paper
    """)
    assert list_choices.in_yaml(text, "p.yaml") == [
        Choice("p.yaml", "first.split: listed", "the paper says two things: both are possible."),
        Choice("p.yaml", "first.sizes", "the widths"),
        Choice("p.yaml", "first.deep.kernel: 7", "the paper gives none"),
    ]


def test_a_choice_outside_the_parts_is_refused():
    with pytest.raises(ValueError, match="pipeline/nowhere/x.py has a `Choice:` and no part"):
        list_choices.markdown([Choice("pipeline/nowhere/x.py", "", "so")])
