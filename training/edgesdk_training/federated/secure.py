"""Secure aggregation by Flower's SecAgg+: the server reads a sum, and no client's own part of it.

Summed is how far each client moved the network, times its number of pictures: small numbers, which
whole ones carry finely. In Flower 1.41 SecAgg+ is part of an older interface, so that each round
is one call of its workflow, with as much of that interface as it needs; the same client code runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from edgesdk_training.federated.messages import FIGURES, SHARED, TOLD, Asking, carried, reply
from edgesdk_training.federated.seam import Update
from edgesdk_training.federated.settings import LEAST_SECURE

if TYPE_CHECKING:
    from edgesdk_training.federated.seam import Weights
    from edgesdk_training.federated.settings import FederatedSettings
    from edgesdk_training.federated.state import State

MOST_PICTURES = 10_000  # that a client counts for
# A part, moved by its client's share of MOST_PICTURES, is cut off here before it is made whole.
CLIP = 1.0
HALTED = "secure aggregation halted: too few clients answered"


def asking(settings: FederatedSettings) -> type[Asking]:
    """Return how clients are asked: each by itself, or for a sum that alone can be read."""
    return Secured if settings.secure else Asking


class Secured(Asking):
    """Asks clients as `Asking` does, but reads the sum alone: each "answers" with the mean."""

    def __call__(
        self, state: State, asked: list[int], number: int
    ) -> tuple[list[Update], dict[int, str]]:
        """Return the mean once for each client that is part of it, and why others are not."""
        self._meet()
        nodes = {c: node for node, c in self._clients.items() if c in asked}
        grid, told = _Counting(self._grid), _Sum()
        if len(nodes) >= LEAST_SECURE:
            workflow = _workflow(self._content(state, number), self._settings)
            workflow(grid, _context(told, nodes, number))
        late = f"it is gone, or did not answer within {self._settings.timeout_s:g} s"
        failures = {c: (late if told.parts else HALTED) for c in nodes}
        failures |= {
            c: f"it failed ({grid.errors[n]})" for c, n in nodes.items() if n in grid.errors
        }
        failures |= {c: "it is not there" for c in asked if c not in nodes}
        if not told.parts:
            return [], failures
        mean = joined(state.shared, told.mean)
        updates = []
        for node, examples, figures in told.parts:
            client = self._clients[node]
            failures.pop(client, None)
            figures = {**figures, "bytes_up": grid.bytes_up / len(told.parts)}
            kept = self._kept(client, figures)
            updates.append(Update(client, number, mean, kept, examples, figures))
        return updates, failures

    def _content(self, state: State, number: int) -> Any:
        from flwr.app import ConfigRecord

        told = {"round": number, "uniform": self._settings.mean == "uniform", **self._told}
        return {SHARED: carried(state.shared), TOLD: ConfigRecord(told)}


class _Counting:
    """Flower's grid, which counts the bytes of all that clients answer, and tells who failed."""

    def __init__(self, grid: Any) -> None:
        self._grid, self.bytes_up = grid, 0
        self.errors: dict[int, str] = {}

    def send_and_receive(self, messages: Iterable[Any], *, timeout: float | None) -> list[Any]:
        answers = list(self._grid.send_and_receive(messages, timeout=timeout))
        for answer in answers:
            if answer.has_error():
                self.errors[answer.metadata.src_node_id] = answer.error.reason
            else:
                for record in answer.content.config_records.values():
                    self.bytes_up += sum(map(_bytes, record.values()))
        return answers


def _bytes(value: Any) -> int:
    if isinstance(value, bytes):
        return len(value)
    return sum(map(_bytes, value)) if isinstance(value, list) else 0


class _Sum:
    """What the workflow takes for a strategy: keeps the mean, and who is part of it."""

    def __init__(self) -> None:
        self.mean: Any = None
        self.parts: list[tuple[int, int, dict[str, float]]] = []
        self.nodes: Sequence[int] = ()

    def configure_fit(self, *_: Any) -> list[tuple[Any, Any]]:
        from flwr.common import FitIns, ndarrays_to_parameters

        nothing = FitIns(ndarrays_to_parameters([]), {})
        return [(SimpleNamespace(node_id=node), nothing) for node in self.nodes]

    def aggregate_fit(self, _: int, results: Any, __: Any) -> tuple[None, dict[str, Any]]:
        from flwr.common import parameters_to_ndarrays

        for proxy, found in results:
            figures = {name: float(value) for name, value in found.metrics.items()}
            self.parts.append((proxy.node_id, int(found.num_examples), figures))
            (self.mean,) = parameters_to_ndarrays(found.parameters)
        return None, {}


def _context(told: _Sum, nodes: Mapping[int, int], number: int) -> Any:
    """Return what the workflow takes for the state of a federation."""
    from flwr.app import ArrayRecord, ConfigRecord, Context, RecordDict
    from flwr.server.compat.legacy_context import LegacyContext
    from flwr.server.workflow.constant import MAIN_CONFIGS_RECORD, MAIN_PARAMS_RECORD, Key

    told.nodes = list(nodes.values())
    records = RecordDict({
        MAIN_CONFIGS_RECORD: ConfigRecord({Key.CURRENT_ROUND: number + 1}),
        MAIN_PARAMS_RECORD: ArrayRecord(),
    })  # fmt: skip
    plain = Context(run_id=0, node_id=0, node_config={}, state=records, run_config={})
    strategy: Any = told
    return LegacyContext(plain, strategy=strategy)


def _workflow(content: Mapping[str, Any], settings: FederatedSettings) -> Any:
    """Return Flower's workflow, which sends our messages in the place of its own."""
    from flwr.app import RecordDict
    from flwr.server.workflow import SecAggPlusWorkflow

    # Everybody holds a share of everybody's secret; half of them recover who falls away.
    most = 1.0 if settings.mean == "uniform" else float(MOST_PICTURES)
    workflow = SecAggPlusWorkflow(
        1.0, 0.5, max_weight=most, clipping_range=CLIP, timeout=settings.timeout_s
    )
    begin = workflow.setup_stage

    def setup_stage(grid: Any, context: Any, state: Any) -> bool:
        found: bool = begin(grid, context, state)
        state.nid_to_fitins = {node: RecordDict(dict(content)) for node in state.nid_to_fitins}
        return found

    workflow.setup_stage = setup_stage
    return workflow


def masked(message: Any, context: Any, call_next: Any) -> Any:
    """Take a client's part in SecAgg+, where the server asks for it; Flower calls this a mod."""
    from flwr.client.mod import secaggplus_mod
    from flwr.common.secure_aggregation.secaggplus_constants import RECORD_KEY_CONFIGS

    if RECORD_KEY_CONFIGS not in message.content.config_records:
        return call_next(message, context)

    def learn(asked: Any, at: Any) -> Any:
        answer = call_next(asked, at).content
        # Only now: Flower reads tensors where torch is already imported.
        received = asked.content[SHARED].to_torch_state_dict()
        return reply(_part(received, answer, bool(asked.content[TOLD]["uniform"])), asked)

    return secaggplus_mod(message, context, learn)


def _part(received: Weights, answer: Any, alike: bool) -> Any:
    """Return a client's answer in the form that SecAgg+ masks.

    Raises:
        ValueError: it holds a number that is not finite, which would spoil everybody's sum.
    """
    import numpy as np
    from flwr.common import Code, FitRes, Status, ndarrays_to_parameters
    from flwr.compat.common.recorddict_compat import fitres_to_recorddict

    moved = apart(received, answer[SHARED].to_torch_state_dict())
    if not np.isfinite(moved).all():
        raise ValueError("this client's network holds numbers that are not finite")
    told = dict(answer[TOLD])
    examples = 1 if alike else min(int(told["examples"]), MOST_PICTURES)
    figures = {name: value for name, value in told.items() if name in FIGURES}
    result = FitRes(Status(Code.OK, ""), ndarrays_to_parameters([moved]), examples, figures)
    return fitres_to_recorddict(result, keep_input=False)


def apart(received: Weights, learnt: Weights) -> Any:
    """Return how far a network has moved, float64 [numbers of all tensors], by their names."""
    import torch

    moved = [(learnt[name].double() - received[name].double()).ravel() for name in sorted(received)]
    return torch.cat(moved).numpy()


def joined(received: Weights, moved: Any) -> Weights:
    """Return the tensors that lie `moved` [numbers of all tensors] beside those received."""
    import torch

    names = sorted(received)
    parts = torch.from_numpy(moved.copy()).split([received[name].numel() for name in names])
    return {
        name: (received[name].double() + part.view(received[name].shape)).to(received[name].dtype)
        for name, part in zip(names, parts, strict=True)
    }
