"""`bridge-face-plus`: a residual student for small faces, as many weights, more work."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgesdk_training.students.bridge_face import BridgeFaceStudent, Config

if TYPE_CHECKING:
    from edgesdk.core.protocols import Student


class BridgeFacePlusStudent(BridgeFaceStudent):
    """The plug-in: all but the network as `bridge-face`."""

    name = "bridge-face-plus"

    def build(self, config: Config) -> Any:
        """Return the torch module in training form."""
        from edgesdk_training.nets.bridge_face_plus import BridgeFacePlus

        return BridgeFacePlus(config.size)


PLUGIN: Student = BridgeFacePlusStudent()
