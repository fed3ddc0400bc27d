"""A program saved by torch.export (.pt2); it is read without loading a pickle."""

from pathlib import Path
from typing import Any

from edgesdk.core.errors import UnsupportedError
from edgesdk.core.files import sha256_file
from edgesdk.core.protocols import SourceKind
from edgesdk.core.source import NOTHING_TOLD, Told
from edgesdk.core.tensors import TensorSpec
from edgesdk_export._source import Needs, need
from edgesdk_export.sources._pt2 import load_program
from edgesdk_export.sources._torch import ForeignTorchSource

NEEDS = Needs(("torch",), "export")


class TorchProgramSource(ForeignTorchSource):
    """See the module."""

    def __init__(self, path: Path, told: Told = NOTHING_TOLD) -> None:
        need("a program of torch.export", NEEDS)
        program = load_program(path)
        signature = program.graph_signature
        outputs = [str(name) for name in signature.user_outputs]
        super().__init__(path, told, _module(program), _inputs(program, path), outputs)
        self.sha256 = sha256_file(path)


def _module(program: Any) -> Any:
    # Checks of sizes are the caller's; a converter would have to convert them.
    return program.module(check_guards=False)


def _inputs(program: Any, path: Path) -> list[TensorSpec]:
    """Return the inputs; sizes that the program leaves free are None."""
    wanted = list(program.graph_signature.user_inputs)
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
