"""Write docs/deviations.md: what the paper leaves open or we do otherwise, from the lines marked `Choice:`.

    python -m docs.list_choices

In Python a choice is a paragraph of a docstring, or a comment, from `Choice:` on; in a profile it is a comment beside
or above the parameter that it is about.
"""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pipeline.store.provenance import ROOT

PAGE = ROOT / "docs" / "deviations.md"
# Part of the page -> where its choices stand. The first part that fits takes a file.
PARTS = {
    "Network: guidance and progressive warping (sections 3.2 and 3.3)": ("model/frame/", "model/pwm/"),
    "Training and losses (section 3.4, supplementary 1)": ("model/training/", "pipeline/training/"),
    "Heads and fits (section 3.1)": (
        "model/heads/", "model/releases/", "model/trackers/", "pipeline/trackers/", "pipeline/fitting/",
    ),
    "Published systems (section 4.2)": ("model/baselines/", "pipeline/methods/", "pipeline/adapters/"),
    "Data (section 4.1)": ("pipeline/sources/", "pipeline/cropping/", "pipeline/video/"),
    "Evaluation (sections 4.1 and 4.2, supplementary 3)": (
        "model/heads/retarget.py", "pipeline/metrics/", "pipeline/bench/", "pipeline/controls/", "pipeline/report/",
    ),
    "Numbers of the profile `voxceleb`": ("profiles/voxceleb.yaml",),
}  # fmt: skip
MARK = re.compile(r"(?<!`)\bChoice: ")
YAML_MARK = re.compile(r"(?<!`)\bChoice(?:: (?P<text>.*))?$")


@dataclass(frozen=True)
class Choice:
    """One choice: the file, what in it the choice is about ("" for the whole file), and the text."""

    file: str
    about: str
    text: str


def in_python(text: str, file: str) -> list[Choice]:
    """Choices of a Python file: of its docstrings, in order, then of its comments."""
    found = []
    for node, name in _with_docstrings(ast.parse(text), ""):
        found += [Choice(file, name, choice) for choice in _of_paragraphs(ast.get_docstring(node) or "")]
    comments = "\n".join(_comment_blocks(text))
    return found + [Choice(file, "", choice) for choice in _of_paragraphs(comments)]


def in_yaml(text: str, file: str) -> list[Choice]:
    """Choices of a profile: a comment of whole lines is about the next parameter, one beside a parameter about it."""
    found: list[Choice] = []
    path: list[tuple[int, str]] = []
    above: list[str] = []
    for line in text.splitlines():
        code, _, comment = line.partition("#")
        if not code.strip():
            above = [*above, comment.strip()] if comment else []
            continue
        key, _, value = code.strip().partition(":")
        if not key.startswith("- "):
            indent = len(code) - len(code.lstrip())
            path = [*(step for step in path if step[0] < indent), (indent, key)]
            about = ".".join(name for _, name in path) + (f": {value.strip()}" if value.strip() else "")
            for note in (" ".join(above), comment.strip()):
                if mark := YAML_MARK.search(note):
                    found.append(Choice(file, about, mark["text"] or "the paper gives none"))
        above = []
    return found


def choices() -> list[Choice]:
    """Every choice of the project, sorted by file."""
    python = [path for layer in ("model", "pipeline") for path in (ROOT / layer).rglob("*.py")]
    found = []
    for path in sorted([*python, *(ROOT / "profiles").glob("*.yaml")]):
        read = in_yaml if path.suffix == ".yaml" else in_python
        found += read(path.read_text(), path.relative_to(ROOT).as_posix())
    return found


def markdown(found: list[Choice]) -> str:
    """The page.

    Raises:
        ValueError: a choice stands in a file that no part of the page names.
    """
    parts: dict[str, list[Choice]] = {title: [] for title in PARTS}
    for choice in found:
        title = next((title for title, places in PARTS.items() if choice.file.startswith(places)), None)
        if title is None:
            raise ValueError(f"{choice.file} has a `Choice:` and no part of the page: add it to PARTS")
        parts[title].append(choice)
    lines = [
        "# Choices: what the paper leaves open, and what we do otherwise",
        "",
        "Made by `python -m docs.list_choices` from the lines marked `Choice:` in the code and the profiles; a test",
        "fails where this page is older than they are. What the paper does say is cited beside the code, by section.",
    ]
    for title, chosen in parts.items():
        lines += ["", f"## {title}"]
        for file in dict.fromkeys(choice.file for choice in chosen):
            lines += ["", f"[`{file}`](../{file})", ""]
            for choice in (c for c in chosen if c.file == file):
                about = f"`{choice.about}`: " if choice.about else ""
                lines.append(f"* {about}{choice.text.rstrip('.')}.")
    return "\n".join(lines) + "\n"


def _with_docstrings(node: ast.AST, inside: str) -> Iterator[tuple[ast.Module | ast.ClassDef | ast.FunctionDef, str]]:
    """Modules, classes and functions with their dotted names, from the outside in."""
    if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
        name = "" if isinstance(node, ast.Module) else f"{inside}.{node.name}".lstrip(".")
        yield node, name
        inside = name
    for child in ast.iter_child_nodes(node):
        yield from _with_docstrings(child, inside)


def _of_paragraphs(text: str) -> Iterator[str]:
    for paragraph in re.split(r"\n\s*\n", text):
        yield from (choice.strip() for choice in MARK.split(" ".join(paragraph.split()))[1:])


def _comment_blocks(text: str) -> Iterator[str]:
    """Comments, those of neighbouring lines in one paragraph."""
    last = 0
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            yield ("" if token.start[0] == last + 1 else "\n") + token.string.lstrip("# ")
            last = token.start[0]


def main(page: Path = PAGE) -> None:
    """Write the page."""
    page.write_text(markdown(choices()), encoding="utf-8")


if __name__ == "__main__":
    main()
