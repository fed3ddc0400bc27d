"""Train across machines: a server that merges, clients that keep their pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgesdk.core import plugins
from edgesdk.core.errors import UsageError, did_you_mean
from edgesdk.verbs._verb import Verb, listed
from edgesdk.verbs.train import read_pairs, read_roles
from edgesdk.verbs.train import show as show_run

if TYPE_CHECKING:
    from edgesdk.core.protocols import RunResult

ACTIONS = ("server", "client")
HOST, PORT = "127.0.0.1", 8000


def federate(
    action: str,
    recipe: str | None = None,
    *,
    data: Sequence[str] | str = (),
    settings: Sequence[str] | str | Mapping[str, Any] = (),
    config: Path | str | None = None,
    student: str | None = None,
    seed: int = 0,
    host: str = HOST,
    port: int = PORT,
    certificate: Path | str | None = None,
    key: Path | str | None = None,
    authority: Path | str | None = None,
    client_keys: Path | str | None = None,
    server: str = f"{HOST}:{PORT}",
    number: int | None = None,
    deal: bool = False,
    private_key: Path | str | None = None,
    output_dir: Path | str = "runs",
) -> RunResult | dict[str, Any]:
    """Train on several machines by Flower: start a server, or one of its clients.

    The same server command continues an interrupted federation. Plain text is for this machine
    alone; anything else takes TLS.

    Args:
        action: server or client.
        recipe: fedlmd, fedckd or fedbsd (server).
        data: clients=PATH. Server: pictures of its own, whose classes are those of the federation
            and which judge the global network. Client: its pictures, a folder per class.
        settings: One setting of the recipe as NAME=VALUE; repeat for more (server).
        config: TOML file of settings; NAME=VALUE wins over it (server).
        student: Student to train; default: the recipe's first one (server).
        seed: Seed of weights, order and choice of clients (server).
        host: Address to listen on (server).
        port: Port to listen on (server).
        certificate: TLS certificate of the server, PEM (server).
        key: Private key of the certificate (server).
        authority: Certificate that signed the server's, PEM (server and client).
        client_keys: Folder of public keys, *.pub; no other client may take part (server).
        server: host:port of the server (client).
        number: Which client this is, from 0 (client).
        deal: The data are everybody's, and this client takes the part that the setting skew deals
            to its number: a trial on one machine (client).
        private_key: Its key, whose public half the server has (client).
        output_dir: Folder of the runs; of a client, its own folder.

    Returns:
        Server: what the run left behind. Client, once it is interrupted: plain data, its folder.

    Raises:
        UsageError: something is missing, or would send plain text to another machine.
        MissingDependencyError: Flower or torch is not installed.
    """
    if action not in ACTIONS:
        raise UsageError(f"federate does not know {action!r}. {did_you_mean(action, ACTIONS)}")
    from edgesdk_training.federated.trust import Trust

    files = (authority, certificate, key, client_keys, private_key)
    trust = Trust(*(None if path is None else Path(path) for path in files))
    if action == "client":
        if recipe or settings or config or student or seed:
            raise UsageError(
                "a client learns what the server tells it; give recipe, settings, student and "
                "seed to: edgesdk federate server"
            )
        return _client(listed(data), number, deal, server, trust, Path(output_dir))
    if recipe is None:
        raise UsageError("no recipe was named; such as: edgesdk federate server fedlmd")
    plan = _plan(recipe, listed(data), settings, config, student, seed, Path(output_dir))
    return _server(plan, Path(output_dir), host, port, trust)


def _plan(
    recipe: str,
    data: Sequence[str],
    settings: Sequence[str] | str | Mapping[str, Any],
    config: Path | str | None,
    student: str | None,
    seed: int,
    out: Path,
) -> dict[str, Any]:
    """Return what `train` takes, as plain data, checked before anything starts."""
    plugin = plugins.load(plugins.RECIPES, recipe)
    plugins.require(f"recipe {recipe!r}", plugin)
    from edgesdk_training.federated.recipe import FederatedRecipe
    from edgesdk_training.settings import read_settings

    if not isinstance(plugin, FederatedRecipe):
        raise UsageError(f"{recipe} does not train on clients' data; such as fedlmd does")
    if "engine" in read_pairs(settings):
        raise UsageError("federate has an engine of its own; leave engine out")
    roles = read_roles(data, plugin.needs)
    if not roles:
        raise UsageError("the server takes pictures of its own classes: --data clients=PATH")
    toml = None if config is None else Path(config)
    chosen = read_settings(plugin.settings, toml, {**read_pairs(settings), "engine": "processes"})
    return {
        "recipe": plugins.resolve(plugins.RECIPES, recipe), "settings": asdict(chosen),
        "student": student, "data": [str(p.resolve()) for p in roles["clients"]], "seed": seed,
        "out": str(out.resolve()),
    }  # fmt: skip


def _server(plan: dict[str, Any], out: Path, host: str, port: int, trust: Any) -> RunResult:
    from edgesdk_training._train import train
    from edgesdk_training.federated.node import arguments
    from edgesdk_training.federated.processes import serve

    serve(plan, out / f"server-{port}", host, port, trust)
    return train(**arguments(plan))  # which is finished


def _client(
    data: Sequence[str], number: int | None, deal: bool, server: str, trust: Any, folder: Path
) -> dict[str, Any]:
    from edgesdk_training.federated.processes import take_part

    roles = read_roles(data, ("clients",))
    if number is None or number < 0 or len(roles.get("clients", ())) != 1:
        raise UsageError("a client takes --number N, from 0, and one --data clients=PATH")
    _look_at(roles, deal)
    about = {"data": str(roles["clients"][0].resolve()), "number": number, "deal": deal}
    take_part(about, folder, server, trust)
    return {"folder": str(folder)}


def _look_at(roles: Mapping[str, Sequence[Path]], deal: bool) -> None:
    """Refuse pictures that no round could be learnt from, before any server is asked."""
    from edgesdk_training.context import Context
    from edgesdk_training.federated.world import usable

    usable(Context(Path(), roles).data("clients"), everybody=deal)


def show(result: RunResult | dict[str, Any]) -> str:
    """Return where everything lies."""
    if isinstance(result, dict):
        return f"client    {result['folder']}\npersonal  {result['folder']}/personal"
    return show_run(result)


PLUGIN = Verb(federate, show, place=4)
