"""`bridge-face`: the published 0.21 M student for faces of 16 pixels and up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgesdk.core.errors import UsageError
from edgesdk_training.students._face import FaceStudent

if TYPE_CHECKING:
    from edgesdk.core.protocols import Student

SIZES = (16, 20, 24, 32, 48, 64, 96, 112)


@dataclass(frozen=True, slots=True)
class Config:
    """What varies between students of this kind.

    Attributes:
        size: Side of the square input in pixels.
    """

    size: int = 16

    def __post_init__(self) -> None:
        if self.size not in SIZES:
            sizes = ", ".join(map(str, SIZES))
            raise UsageError(f"the student takes faces of {sizes} px, found size={self.size}")


class BridgeFaceStudent(FaceStudent):
    """The plug-in."""

    name = "bridge-face"
    config = Config
    sizes = SIZES

    def build(self, config: Config) -> Any:
        """Return the torch module in training form."""
        from edgesdk_training.nets.bridge_face import BridgeFace

        return BridgeFace()

    def model_name(self, config: Config) -> str:
        """Return the name of a bundle of this configuration."""
        return self.name if config.size == 16 else f"{self.name}-{config.size}"


PLUGIN: Student = BridgeFaceStudent()
