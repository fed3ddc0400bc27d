"""A function `package.module:make` that returns a torch module and example inputs.

    def make():
        return Net().eval(), (torch.zeros(1, 3, 224, 224),)

The inputs are tensors by position, or by the names of the parameters of `forward`.
"""

import sys
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from importlib import import_module
from inspect import Parameter, signature
from pathlib import Path
from typing import Any

from edgesdk.core.errors import EdgeSdkError, UnsupportedError, UsageError, did_you_mean
from edgesdk.core.files import canonical, sha256_bytes
from edgesdk.core.protocols import SourceKind
from edgesdk.core.source import NOTHING_TOLD, Told
from edgesdk.core.tensors import TensorSpec
from edgesdk_export._source import Needs, need
from edgesdk_export.sources._torch import ForeignTorchSource, check_kinds, positional

NEEDS = Needs(("torch",), "export")
STARRED = (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)


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
        check_kinds(word, net, inputs)
        module, outputs = _flat(net, named, word)
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
    except (Exception, SystemExit) as error:  # whatever the caller's own code raises
        raise UsageError(
            f"{word} cannot be called ({_said(error)}); it must be a function without parameters, "
            "found from this folder or installed: see where it fails with --debug"
        ) from error
    finally:
        sys.path.remove("")
    if not isinstance(found, tuple) or len(found) != 2 or not isinstance(found[0], torch.nn.Module):
        raise UsageError(
            f"{word} must return a torch module and its example inputs, such as "
            f"(net, (torch.zeros(1, 3, 224, 224),)), found {_kind(found)}"
        )
    if isinstance(found[0], torch.jit.ScriptModule):
        raise UnsupportedError(f"{word} gives a ScriptModule; give the module it was made of")
    # What torch.compile made hands all on to the module that it was given.
    net: Any = getattr(found[0], "_orig_mod", found[0])
    return net.eval(), found[1]


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"


def _kind(value: Any) -> str:
    """Return what a value is, in a word or a row of them."""
    if isinstance(value, tuple | list):
        return f"({', '.join(map(_kind, value))})"
    return "None" if value is None else type(value).__name__


def _named(net: Any, examples: Any, word: str) -> dict[str, Any]:
    """Return parameter of `forward` -> example tensor."""
    import torch

    if isinstance(examples, torch.Tensor):
        examples = (examples,)
    taken = signature(net.forward).parameters.values()
    names = [p.name for p in taken if p.kind not in STARRED]
    if isinstance(examples, Mapping):
        unknown = [n for n in examples if n not in names]
        if unknown and Parameter.VAR_KEYWORD not in [p.kind for p in taken]:
            raise UsageError(
                f"{word} gives an example input {unknown[0]!r}, which forward does not take. "
                f"{did_you_mean(str(unknown[0]), names)}"
            )
    else:
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


def _flat(net: Any, named: Mapping[str, Any], word: str) -> tuple[Any, list[str]]:
    """Return the network, inputs by position and outputs in a row, and the outputs' names."""
    import torch

    kinds = _kinds_of(net, named)
    try:
        with torch.no_grad():
            found = _call(net, kinds, [tensor.clone() for tensor in named.values()])
    except (Exception, SystemExit) as error:  # whatever the caller's own code raises
        told = ", ".join(
            f"{t.dtype} {list(t.shape)}".removeprefix("torch.") for t in named.values()
        )
        raise UsageError(
            f"the network of {word} does not run on its example inputs {told} ({_said(error)}); "
            "give one tensor [N, ...] per input of its forward, as it takes them"
        ) from error
    row = list(found.values()) if isinstance(found, Mapping) else found
    if isinstance(row, torch.Tensor):
        names = ["output"]
    elif row and isinstance(row, tuple | list) and all(map(torch.is_tensor, row)):
        names = [f"output_{number}" for number in range(len(row))]
    else:
        raise UsageError(
            f"the network of {word} gives {_kind(row)}; it must give a tensor, a row of tensors, "
            "or a dictionary of them"
        )
    if isinstance(found, Mapping):
        names = [str(name) for name in found]
    plain = set(kinds.values()) == {Parameter.POSITIONAL_OR_KEYWORD}
    if plain and row is found:
        return net, names
    return positional(net, list(kinds), partial(_in_a_row, kinds)), names


def _in_a_row(kinds: Mapping[str, Any], net: Any, tensors: Sequence[Any]) -> Any:
    found = _call(net, kinds, tensors)
    return tuple(found.values()) if isinstance(found, Mapping) else found


def _kinds_of(net: Any, names: Iterable[str]) -> dict[str, Any]:
    """Return input -> how forward takes it."""
    kinds = {p.name: p.kind for p in signature(net.forward).parameters.values()}
    starred = next((kind for kind in STARRED if kind in kinds.values()), STARRED[0])
    return {name: kinds.get(name, starred) for name in names}


def _call(net: Any, kinds: Mapping[str, Any], tensors: Sequence[Any]) -> Any:
    by_name = (Parameter.KEYWORD_ONLY, Parameter.VAR_KEYWORD)
    given = list(zip(kinds.items(), tensors, strict=True))
    row = [tensor for (_, kind), tensor in given if kind not in by_name]
    return net(*row, **{name: tensor for (name, kind), tensor in given if kind in by_name})


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
