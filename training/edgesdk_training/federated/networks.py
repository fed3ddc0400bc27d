"""The student of a federation: built from the settings, with a head, from the seed alone."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

from edgesdk.core import plugins
from edgesdk.core.errors import UsageError

if TYPE_CHECKING:
    from edgesdk_training.federated.settings import FederatedSettings


def configured(student: Any, settings: FederatedSettings, size: int, classes: int) -> Any:
    """Return the student's configuration.

    Raises:
        UsageError: a setting is none of this student.
    """
    known = {field.name for field in fields(student.config)}
    asked = {name: getattr(settings, name) for name in ("width", "hidden")}
    for name, value in asked.items():
        if value and name not in known:
            raise UsageError(f"the student {student.name} has no {name}; leave {name} out")
    given = {"size": size, "classes": classes, **{k: v for k, v in asked.items() if v}}
    return student.config(**{k: v for k, v in given.items() if k in known})


def network(name: str, config: Any, classes: int, seed: int) -> Any:
    """Return a fresh network with `features` and `head`; equal seeds give equal weights."""
    import torch

    from edgesdk_training.nets.headed import Headed

    student = plugins.load(plugins.STUDENTS, name)
    module = student.build(config)
    if not hasattr(module, "head"):
        _, (output,) = student.specs(config)
        module = Headed(module, output.shape[-1], classes)
    torch.manual_seed(seed)
    for layer in module.modules():
        if hasattr(layer, "reset_parameters"):
            layer.reset_parameters()
    return module.eval()


def exported(module: Any) -> Any:
    """Return the part of a network that is a student's own."""
    return getattr(module, "exported", module)
