"""A program saved by torch.export (.pt2); it is read without loading a pickle."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from edgesdk.core.errors import UnsupportedError
from edgesdk.core.files import sha256_file
from edgesdk.core.protocols import SourceKind
from edgesdk.core.source import NOTHING_TOLD, Told
from edgesdk.core.tensors import TensorSpec
from edgesdk_export._source import Needs, need
from edgesdk_export.sources._pt2 import load_program
from edgesdk_export.sources._torch import ForeignTorchSource, check_kinds, positional

NEEDS = Needs(("torch",), "export")


class TorchProgramSource(ForeignTorchSource):
    """See the module."""

    def __init__(self, path: Path, told: Told = NOTHING_TOLD) -> None:
        need("a program of torch.export", NEEDS)
        program = load_program(path)
        inputs = _inputs(program, path)
        module, outputs = _flat(program, path)
        check_kinds(path.name, module, inputs)
        super().__init__(path, told, module, inputs, outputs)
        self.sha256 = sha256_file(path)


def _flat(program: Any, path: Path) -> tuple[Any, list[str]]:
    """Return the program's module, tensors by position and in a row, and its outputs' names."""
    from torch.utils import _pytree as trees

    # Checks of sizes are the caller's; a converter would have to convert them.
    module = program.module(check_guards=False)
    module.validate_inputs = False
    given, found = program.graph_signature.user_inputs, program.graph_signature.user_outputs
    places = [place for place, name in enumerate(found) if isinstance(name, str)]
    if not places:
        raise UnsupportedError(f"{path} gives no tensor; export a network that gives one")
    taken, gives = program.call_spec.in_spec, program.call_spec.out_spec
    keys = gives.context if gives.type is dict and len(gives.context) == len(found) else found
    rows = (trees.tree_structure(0), trees.tree_structure((0,) * len(places)))
    if taken == trees.tree_structure(((0,) * len(given), {})) and gives in rows:
        return module, list(found)
    names = [name for name in given if isinstance(name, str)]
    call = partial(_call, taken, given, places)
    return positional(module, names, call), [str(keys[place]) for place in places]


def _call(
    form: Any, given: Sequence[Any], places: Sequence[int], module: Any, tensors: Sequence[Any]
) -> Any:
    """Run a program on tensors in place of its nested and named inputs; constants are kept."""
    from torch.utils import _pytree as trees

    rest = iter(tensors)
    flat = [next(rest) if isinstance(name, str) else name for name in given]
    row, named = trees.tree_unflatten(flat, form)
    leaves = trees.tree_leaves(module(*row, **named))
    found = tuple(leaves[place] for place in places)
    return found if len(found) > 1 else found[0]


def _inputs(program: Any, path: Path) -> list[TensorSpec]:
    """Return the inputs; sizes that the program leaves free are None."""
    # What is no name is a constant of the call that was traced.
    wanted = [name for name in program.graph_signature.user_inputs if isinstance(name, str)]
    nodes = {node.name: node for node in program.graph.nodes if node.op == "placeholder"}
    specs = []
    for name in wanted:
        value: Any = nodes[name].meta.get("val") if name in nodes else None
        if not hasattr(value, "shape"):
            raise UnsupportedError(
                f"input {name!r} of {path} is no tensor; export the program with tensors alone"
            )
        sizes = tuple(size if isinstance(size, int) else None for size in value.shape)
        specs.append(TensorSpec(name, sizes, str(value.dtype).removeprefix("torch.")))
    return specs


class TorchProgramKind:
    """See the module."""

    aliases: tuple[str, ...] = ("pt2",)
    extra = NEEDS.extra
    requires = NEEDS.requires
    holds = TorchProgramSource

    def opens(self, path: Path) -> bool:
        """See SourceKind."""
        return path.suffix.lower() == ".pt2" and path.is_file()

    def open(self, path: Path, told: Told = NOTHING_TOLD) -> TorchProgramSource:
        """See SourceKind."""
        return TorchProgramSource(path, told)

    def source(self, held: TorchProgramSource) -> TorchProgramSource:
        """See SourceKind."""
        return held


PLUGIN: SourceKind = TorchProgramKind()
