"""What stays in float of a TensorFlow Lite file at int8: layers that ask for it, with their edges.

The quantizer chooses operators by the names of what they give, in which the converter writes the
classes of torch's layers. What gives an output of the file is named after that output instead, and
what only turns a picture before the first layer after the whole network: both follow their
neighbours, for what is rounded there the layer beside it has lost.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PRELU = "PReLU"
PRELU_SAID = "int8: PReLU stays in float, for the converter writes it as five operators"
MOVES = ("TRANSPOSE", "RESHAPE")


@dataclass(frozen=True, slots=True)
class Step:
    """One operator of a file.

    Attributes:
        kind: Its name, such as "CONV_2D".
        reads: Names of the tensors that it reads, constants among them.
        gives: Names of those that it gives.
    """

    kind: str
    reads: tuple[str, ...]
    gives: tuple[str, ...]


def scopes_in_float(path: Path, layers: Sequence[str], gives: Sequence[str] = ()) -> list[str]:
    """Return regular expressions of what the quantizer is to leave in float.

    Args:
        path: The file, in float.
        layers: Class names of the layers that ask for it.
        gives: Names of what single operators give that are left as well.
    """
    steps, inputs, outputs = steps_of(path)
    asked = {name for step in steps if _named(step, layers) for name in step.gives}
    # A step is told by all that it gives, each name with a semicolon behind it.
    others = [*edges_of(steps, inputs, outputs, asked), *gives]
    return [*map(re.escape, layers), *(f"(^|;){re.escape(name)};" for name in others), PRELU]


def writes_prelu(module: Any) -> bool:
    """Return whether a torch module holds a PReLU."""
    return any(type(part).__name__ == PRELU for part in module.modules())


def edges_of(
    steps: Sequence[Step], inputs: Sequence[str], outputs: Sequence[str], asked: set[str]
) -> list[str]:
    """Return the tensors that stay in float beside those of the layers that ask for it.

    Args:
        steps: In the order of the data.
        inputs: Names of the file's inputs.
        outputs: Names of its outputs.
        asked: What the layers that ask for it give.
    """
    kept, made = set(asked), {name for step in steps for name in step.gives} | set(inputs)
    for step in steps:
        read = made.intersection(step.reads)
        if read and read <= kept and set(step.gives) <= set(outputs):
            kept |= set(step.gives)
    for step in reversed(steps):
        if step.kind in MOVES and _all_kept(step.gives, steps, kept):
            kept |= set(step.gives)
    kept |= {name for name in inputs if _all_kept((name,), steps, kept)}
    return sorted(kept - asked)


def _all_kept(names: Sequence[str], steps: Sequence[Step], kept: set[str]) -> bool:
    """Return whether some step reads what is named, and all that do stay in float."""
    readers = [step for step in steps if set(names).intersection(step.reads)]
    return bool(readers) and all(kept.issuperset(step.gives) for step in readers)


def _named(step: Step, layers: Sequence[str]) -> bool:
    return any(layer in name for name in step.gives for layer in layers)


def steps_of(path: Path) -> tuple[list[Step], list[str], list[str]]:
    """Return the operators of a file in their order, and the names of its inputs and outputs."""
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromPackedBuf(path.read_bytes(), 0)
    kinds = {n: name for name, n in vars(schema.BuiltinOperator).items() if name.isupper()}
    codes = [kinds.get(code.builtinCode, "") for code in model.operatorCodes]
    graph = model.subgraphs[0]

    def names(places: Sequence[int]) -> tuple[str, ...]:
        return tuple(graph.tensors[place].name.decode() for place in places if place >= 0)

    steps = [
        Step(codes[op.opcodeIndex], names(op.inputs), names(op.outputs)) for op in graph.operators
    ]
    return steps, [*names(graph.inputs)], [*names(graph.outputs)]
