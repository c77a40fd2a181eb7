"""What a method needs to be trained here, beside what drives it: its network in a chosen size, and its lesson."""

from importlib import import_module
from typing import Any, Protocol, runtime_checkable

from torch import nn

from model.heads.head import HeadModel
from model.method.lesson import Lesson
from model.method.network import Signals
from model.training.perceptual import Perceptual
from pipeline.methods.protocol import View
from pipeline.methods.registry import ADAPTERS
from pipeline.params.recipe import Recipe


class Teacher(Protocol):
    """How a method is trained by a recipe and by its own section of `networks.<recipe>`."""

    def build(self, recipe: Recipe, section: Any, variant: str, head: HeadModel) -> nn.Module:
        """Make the untrained network.

        Args:
            recipe: what all methods share.
            section: the method's own settings.
            variant: which of the method's rows; empty where it has one.
            head: head whose fits drive it.
        """
        ...

    def lesson(self, network: nn.Module, section: Any, perceptual: Perceptual) -> Lesson:
        """Say how the network is taught; networks that learn beside it are made here."""
        ...


@runtime_checkable
class Supervisor(Protocol):
    """A teacher whose lesson is told more of the training pairs than what drives them: a pose, say."""

    def supervise(self, source: View, driving: View, head: HeadModel) -> Signals:
        """Make what the lesson asks for of B pairs; in training it stands among the batch's signals.

        Args:
            source: B frames that are animated.
            driving: B frames that drive them.
            head: head whose fits they have, whatever the method's adapter reads.
        """
        ...


def supervision(teacher: Teacher, source: View, driving: View, head: HeadModel) -> Signals:
    """What a teacher's lesson is told beside what drives; nothing where its pairs teach it enough."""
    return teacher.supervise(source, driving, head) if isinstance(teacher, Supervisor) else {}


def teacher_module(method: str) -> str:
    """Module of a method's teacher, for keys of what is trained (`pipeline.store.closure`)."""
    return f"{ADAPTERS}.{method}.teacher"


def teacher_named(method: str) -> Teacher | None:
    """The teacher of a method; None where it cannot be trained here."""
    module = teacher_module(method)
    try:
        found: Teacher = import_module(module).TEACHER
    except ModuleNotFoundError as error:
        if error.name != module:
            raise
        return None
    return found
