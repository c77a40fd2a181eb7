"""The base of every part of params.yaml."""

from pydantic import BaseModel, ConfigDict


class Strict(BaseModel):
    """A part of params.yaml: frozen once read, and a key that it does not know is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)
