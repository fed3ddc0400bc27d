"""All clients in this process: the fast, repeatable driver; goes on after any interruption."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from edgesdk.core.errors import EdgeSdkError
from edgesdk_training.federated import server
from edgesdk_training.federated.judge import Judge
from edgesdk_training.federated.seam import Job, Method, Update
from edgesdk_training.federated.state import State, begin
from edgesdk_training.federated.world import World, read_world

if TYPE_CHECKING:
    from edgesdk.core.protocols import RunContext
    from edgesdk_training.federated.settings import FederatedSettings

PHASE = "rounds"
Ask = Callable[[State, list[int], int], "tuple[list[Update], dict[int, str]]"]
# Of the time of training that storing its state may take.
SAVING = 0.05
# What a driver has beside `ready` and `federate`: how clients are read, and who judges.
read, judges = read_world, Judge


def ready() -> None:
    """Nothing is needed that is not here."""


def federate(
    context: RunContext,
    settings: FederatedSettings,
    method: Method,
    world: World,
    model: Any,
    judge: Judge,
) -> State:
    """Run all rounds that are not done yet in this process and return where they lead."""

    def ask(state: State, asked: list[int], number: int) -> tuple[list[Update], dict[int, str]]:
        return _answers(context, settings, method, world, model, state, asked, number)

    return rounds(context, settings, method, judge, begin(method, model), ask)


def rounds(
    context: RunContext,
    settings: FederatedSettings,
    method: Method,
    judge: Judge,
    state: State,
    ask: Ask,
) -> State:
    """Go on with a federation to its last round.

    Args:
        context: Of the run; where it was interrupted, its stored state is taken up.
        settings: Of the recipe.
        method: What is done.
        judge: Of all networks.
        state: Before the first round.
        ask: Lets clients learn: state, their numbers, the round -> what they answer, and of
            those that do not, why.

    Raises:
        EdgeSdkError: nothing was learnt in any round.
    """
    stored = context.load(PHASE)
    if stored is not None:
        state.shared, state.kept, state.rows = stored["shared"], stored["kept"], stored["rows"]
    judge.look_again(state)
    saving, since = 0.0, time.perf_counter()
    for number in range(len(state.rows), settings.rounds):
        row = one_round(context, settings, method, judge, state, ask, number)
        state.rows.append(row)
        context.log(number + 1, PHASE, **{k: v for k, v in row.items() if v is not None})
        context.progress(number + 1, settings.rounds, PHASE)
        now = time.perf_counter()
        if number + 1 == settings.rounds or saving <= SAVING * (now - since):
            context.save(PHASE, state.stored())
            since = time.perf_counter()
            saving = since - now
    if not any(row["clients"] for row in state.rows):
        raise EdgeSdkError(
            f"no client's answer counted in any of {settings.rounds} rounds, so nothing was "
            "learnt; each round's lines above say why (where numbers are not finite, try a "
            "smaller lr)"
        )
    return state


def one_round(
    context: RunContext,
    settings: FederatedSettings,
    method: Method,
    judge: Judge,
    state: State,
    ask: Ask,
    number: int,
) -> dict[str, float | None]:
    """Let the clients of a round learn, merge what they send, and judge all."""
    began = time.perf_counter()
    asked = server.taking_part(settings, number, context.seed)
    updates, failures = ask(state, asked, number)
    good, dropped = server.believed(updates, failures, state.shared, number)
    if failures and len(failures) == len(asked):
        raise EdgeSdkError(f"no client could learn in round {number + 1}: {failures[asked[0]]}")
    down = server.size_of(state.shared)
    state.shared = server.merged(settings, method, good, len(asked), state.shared, number)
    state.kept |= {update.client: update.kept for update in good}
    trained = time.perf_counter()
    found = judge.judged(state, [update.client for update in good])
    return {
        **found,
        "bytes_up": sum(map(_bytes_up, updates)),
        "bytes_down": down * len(asked),
        "clients": len(good),
        "left_out": len(dropped),
        "loss": _mean(good, "loss"),
        "teacher_pictures": sum(update.scalars["teacher_pictures"] for update in good),
        "train_s": trained - began,
        "judge_s": time.perf_counter() - trained,
    }


def _answers(
    context: RunContext,
    settings: FederatedSettings,
    method: Method,
    world: World,
    model: Any,
    state: State,
    asked: list[int],
    number: int,
) -> tuple[list[Update], dict[int, str]]:
    """Return what the clients answer; of those that fail, why. As many at once as threads."""
    from copy import deepcopy

    import torch

    threads = torch.get_num_threads()
    workers = min(threads, len(asked))

    def ask(client: int) -> Update | str:
        pictures = world.clients[client].learn
        job = Job(
            model if workers == 1 else deepcopy(model), state.begun, state.shared,
            state.kept.get(client), pictures.images, pictures.labels, len(world.classes),
            settings, number, client, context.seed,
        )  # fmt: skip
        try:
            return method.local(job)
        except (RuntimeError, ValueError, KeyError, OSError, EdgeSdkError) as error:
            return f"it failed ({error})"

    if workers == 1:
        found = [ask(client) for client in asked]
    else:
        torch.set_num_threads(1)
        with ThreadPoolExecutor(workers) as pool:
            found = list(pool.map(ask, asked))
        torch.set_num_threads(threads)
    pairs = list(zip(asked, found, strict=True))
    failures = {client: answer for client, answer in pairs if isinstance(answer, str)}
    return [answer for _, answer in pairs if isinstance(answer, Update)], failures


def _bytes_up(update: Update) -> float:
    """Return what an answer took: its tensors, or where they were masked what Flower carried."""
    return update.scalars.get("bytes_up", server.size_of(update.shared))


def _mean(updates: list[Update], name: str) -> float | None:
    return sum(u.scalars[name] for u in updates) / len(updates) if updates else None
