"""A function `package.module:make` that returns a torch module and example inputs.

    def make():
        return Net().eval(), (torch.zeros(1, 3, 224, 224),)

The inputs are tensors by position, or by the names of the parameters of `forward`.
"""

import sys
from collections.abc import Mapping
from importlib import import_module
from inspect import signature
from pathlib import Path
from typing import Any

from edgesdk.core.errors import EdgeSdkError, UsageError
from edgesdk.core.files import canonical, sha256_bytes
from edgesdk.core.protocols import SourceKind
from edgesdk.core.source import NOTHING_TOLD, Told
from edgesdk.core.tensors import TensorSpec
from edgesdk_export._source import Needs, need
from edgesdk_export.sources._torch import ForeignTorchSource

NEEDS = Needs(("torch",), "export")


class ModuleFunctionSource(ForeignTorchSource):
    """See the module."""

    def __init__(self, word: str, told: Told = NOTHING_TOLD) -> None:
        need("a network made by a function", NEEDS)
        net, examples = _called(word)
        named = _named(net, examples, word)
        inputs = [
            TensorSpec(name, (None, *tensor.shape[1:]), str(tensor.dtype).removeprefix("torch."))
            for name, tensor in named.items()
        ]
        module, outputs = _flat(net, list(named.values()), word)
        super().__init__(Path(word), told, module, inputs, outputs)
        self.sha256 = _hash(net)


def _called(word: str) -> tuple[Any, Any]:
    """Return what the function gives: a module and its example inputs."""
    import torch

    place, _, name = word.partition(":")
    # As `python -m` does: what lies in the folder one works in can be named.
    sys.path.insert(0, "")
    try:
        function = getattr(import_module(place), name)
        # Weights that the function draws are those of the next call as well.
        torch.manual_seed(0)
        found = function()
    except EdgeSdkError:
        raise
    except Exception as error:  # whatever the caller's own code raises
        text = " ".join(str(error).split())[:300]
        raise UsageError(f"{word} cannot be called ({type(error).__name__}: {text})") from error
    finally:
        sys.path.remove("")
    if not isinstance(found, tuple) or len(found) != 2 or not isinstance(found[0], torch.nn.Module):
        raise UsageError(
            f"{word} must return a torch module and its example inputs, such as "
            f"(net, (torch.zeros(1, 3, 224, 224),)), found {type(found).__name__}"
        )
    return found[0].eval(), found[1]


def _named(net: Any, examples: Any, word: str) -> dict[str, Any]:
    """Return parameter of `forward` -> example tensor."""
    import torch

    if isinstance(examples, torch.Tensor):
        examples = (examples,)
    names = list(signature(net.forward).parameters)
    if not isinstance(examples, Mapping):
        more = [f"input_{number}" for number in range(len(names), len(examples))]
        examples = dict(zip([*names, *more], examples, strict=False))
    if not examples or not all(isinstance(t, torch.Tensor) and t.ndim for t in examples.values()):
        raise UsageError(
            f"the example inputs of {word} must be tensors [N, ...], one per input of the network"
        )
    # Tensors are passed by position.
    return {name: examples[name] for name in sorted(examples, key=lambda n: _place(names, n))}


def _place(names: list[str], name: str) -> int:
    return names.index(name) if name in names else len(names)


def _flat(net: Any, examples: list[Any], word: str) -> tuple[Any, list[str]]:
    """Return the network with its outputs in a row, and their names."""
    import torch

    with torch.no_grad():
        found = net(*examples)
    if isinstance(found, Mapping):
        return _values_of(net), [str(name) for name in found]
    if isinstance(found, torch.Tensor):
        return net, ["output"]
    if isinstance(found, tuple | list) and all(isinstance(t, torch.Tensor) for t in found):
        return net, [f"output_{number}" for number in range(len(found))]
    raise UsageError(
        f"the network of {word} gives {type(found).__name__}; it must give a tensor, a row of "
        "tensors, or a dictionary of them"
    )


def _values_of(net: Any) -> Any:
    import torch

    class Values(torch.nn.Module):  # type: ignore[misc] # the base is only known at run time
        def __init__(self) -> None:
            super().__init__()
            self.net = net

        def forward(self, *tensors: Any) -> Any:
            return tuple(self.net(*tensors).values())

    return Values().eval()


def _hash(net: Any) -> str:
    """Return a hash over the structure and every weight."""
    weights = [
        [name, list(t.shape), sha256_bytes(t.detach().cpu().contiguous().numpy().tobytes())]
        for name, t in net.state_dict().items()
    ]
    return sha256_bytes(canonical([repr(net), weights]))


class ModuleFunctionKind:
    """See the module."""

    aliases: tuple[str, ...] = ("function",)
    extra = NEEDS.extra
    requires = NEEDS.requires
    holds = ModuleFunctionSource

    def opens(self, path: Path) -> bool:
        """See SourceKind; "C:name" is a drive of Windows."""
        place, colon, name = str(path).partition(":")
        words = [*place.split("."), name]
        return bool(colon) and len(place) > 1 and all(word.isidentifier() for word in words)

    def open(self, path: Path, told: Told = NOTHING_TOLD) -> ModuleFunctionSource:
        """See SourceKind."""
        return ModuleFunctionSource(str(path), told)

    def source(self, held: ModuleFunctionSource) -> ModuleFunctionSource:
        """See SourceKind."""
        return held


PLUGIN: SourceKind = ModuleFunctionKind()
