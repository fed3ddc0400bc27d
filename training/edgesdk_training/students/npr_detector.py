"""`npr-detector`: as `f2c-detector`, but it looks at how neighbouring pixels differ."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgesdk.core.errors import UsageError
from edgesdk_training.students.f2c_detector import Config, F2cDetectorStudent

if TYPE_CHECKING:
    from edgesdk.core.protocols import Student


@dataclass(frozen=True, slots=True)
class NprConfig(Config):
    """What varies between students of this kind.

    Attributes:
        size: Side of the square crop in pixels.
        clue: npr.
    """

    clue: str = "npr"

    def __post_init__(self) -> None:
        Config.__post_init__(self)
        if self.clue != "npr":
            raise UsageError(
                f"npr-detector has the clue npr, found clue={self.clue}; for others train "
                "f2c-detector"
            )


class NprDetectorStudent(F2cDetectorStudent):
    """The plug-in."""

    name = "npr-detector"
    config = NprConfig

    def model_name(self, config: Config) -> str:
        """Return the name of a bundle of this configuration."""
        return self.name + ("" if config.size == 64 else f"-{config.size}")


PLUGIN: Student = NprDetectorStudent()
