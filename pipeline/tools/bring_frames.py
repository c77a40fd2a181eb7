"""`pwm score`: a folder of frames that anybody's code made becomes a row of the tables.

The frames are packed beside the imported assets, and `bench.own` in params.yaml gets their hash, so that `dvc repro`
scores them, again whenever they, the pairs or the instruments change.
"""

from pathlib import Path
from typing import Any

from pydantic import ConfigDict, Field, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from model.atomic import written_aside
from pipeline.bench.pair_hash import pairs_sha256
from pipeline.own.frames import PACKED, ROW, OwnRow, check_name, own_dir, own_sha256, row_text
from pipeline.params.strict import Strict
from pipeline.params.tree import load_params
from pipeline.store.provenance import write_text
from pipeline.store.schema import PAIRS, read_table
from pipeline.tools.import_frames import import_folder

SAID = "method.yaml"  # beside the frames


class Method(Strict):
    """What `method.yaml` beside the frames may say; all of it stands below the tables."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    label: str = Field(min_length=1, max_length=60, pattern=r"^[^|\r\n]+$")  # what the tables call the method
    link: str = Field(default="", pattern=r"^\S*$")
    trained_on_data: bool | None = None  # whether it was trained on the data sets of these tables


def bring(folder: Path, name: str, pairs: Path, clips: Path, params: Path) -> OwnRow:
    """Pack a folder of frames as the row `name`, and name it in the parameters.

    Args:
        folder: images named `<pair id>.png` (or .jpg, .bmp, .webp), one for each pair of the list, of the clips' size;
            `method.yaml` beside them says what the tables call the method, else its name.
        name: of the row; one that was brought before is replaced.
        pairs: the pair list.
        clips: the evaluation clips.
        params: params.yaml, whose `bench.own` is written.

    Raises:
        ValueError: the name or method.yaml is none; images are missing, unknown, doubled, unreadable or of another
            size (`pipeline.tools.import_frames`). Nothing is changed then.
        FileNotFoundError, NotADirectoryError: there are no frames, or no pairs.
    """
    check_name(name)
    load_params(params)
    said = read_method(Path(folder) / SAID, name)
    row = OwnRow(said.label, said.link, said.trained_on_data, pairs_sha256(read_table(pairs, PAIRS)))
    own_dir(name).mkdir(parents=True, exist_ok=True)
    import_folder(folder, pairs, clips, own_dir(name) / PACKED)
    write_text(own_dir(name) / ROW, row_text(row))
    found = own_sha256(name)
    assert found is not None  # both files were just written
    _change_own(params, name, found)
    return row


def forget_row(name: str, params: Path) -> None:
    """Take a row out of the parameters, and remove its frames.

    Raises:
        ValueError: there is no such row; the message lists those that there are.
    """
    known = load_params(params).bench.own
    if name not in known:
        raise ValueError(f"bench.own has no row {name!r}; it has {', '.join(known) or 'none'}")
    _change_own(params, name, None)
    for file in (PACKED, ROW):
        (own_dir(name) / file).unlink(missing_ok=True)


def read_method(path: Path, name: str) -> Method:
    """Read `method.yaml`; without one the row is called by its name.

    Raises:
        ValueError: it is not YAML, or says something else; the message names the file and the key.
    """
    if not path.is_file():
        return Method(label=name)
    try:
        said: Any = YAML(typ="safe").load(path.read_text(encoding="utf-8-sig"))
        return Method.model_validate({"label": name, **said} if isinstance(said, dict) else said)
    except YAMLError as error:
        raise ValueError(f"{path} is not YAML: {error}") from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(map(str, first["loc"])) or "it"
        raise ValueError(f"{path}: {key}: {first['msg']}; known are label, link, trained_on_data") from None


def _change_own(params: Path, name: str, sha256: str | None) -> None:
    """Set or remove a row of `bench.own`; comments and order of the file stay."""
    yaml = YAML()
    yaml.width = 4096  # never break a line that was one
    yaml.representer.add_representer(type(None), lambda to, _: to.represent_scalar("tag:yaml.org,2002:null", "null"))
    tree = yaml.load(params.read_text(encoding="utf-8-sig"))
    own = tree["bench"]["own"]
    if sha256 is not None:
        own[name] = sha256
    else:
        del own[name]
        if not own:  # as the profiles have it
            own.fa.set_flow_style()
    with written_aside(params) as partial, partial.open("w") as stream:
        yaml.dump(tree, stream)
