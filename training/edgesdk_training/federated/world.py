"""The clients and their pictures, decoded once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import shorten
from typing import TYPE_CHECKING, Any

import numpy as np

from edgesdk.core.errors import UsageError
from edgesdk.core.notes import note
from edgesdk.core.tensors import Array
from edgesdk.picture_sets.people import for_tests, inner_folders
from edgesdk_training.class_sets import TEST
from edgesdk_training.data import Chosen, TreeDataset, decode, parts_of
from edgesdk_training.federated.split import LEAST, divide, held_out

if TYPE_CHECKING:
    from torch import Tensor

    from edgesdk.core.protocols import RunContext
    from edgesdk_training.federated.settings import FederatedSettings


@dataclass(frozen=True)
class Pictures:
    """Pictures and their classes.

    Attributes:
        images: uint8 [N, S, S, 3].
        labels: int64 [N].
    """

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def at(self, places: Array) -> Pictures:
        """Return the pictures at these places."""
        import torch

        chosen = torch.from_numpy(np.ascontiguousarray(places))
        return Pictures(self.images[chosen], self.labels[chosen])


@dataclass(frozen=True)
class Client:
    """One owner of pictures.

    Attributes:
        name: Its folder, or its number.
        learn: What it learns from.
        own: What it is judged by.
    """

    name: str
    learn: Pictures
    own: Pictures


@dataclass(frozen=True)
class World:
    """Everybody.

    Attributes:
        clients: The owners.
        everybody: Pictures that all models are judged by: the set's own tests, else those of
            all clients.
        classes: Names of the classes.
        size: Side of the pictures.
        name: Names of the sets.
    """

    clients: tuple[Client, ...]
    everybody: Pictures
    classes: tuple[str, ...]
    size: int
    name: str

    def table(self) -> list[list[int]]:
        """Return the number of each client's pictures of each class, tests included."""
        return [
            [
                int(n)
                for n in (
                    client.learn.labels.bincount(minlength=len(self.classes))
                    + client.own.labels.bincount(minlength=len(self.classes))
                )
            ]
            for client in self.clients
        ]


@dataclass(frozen=True)
class _Told:
    """What a set tells of each of its pictures: class, whether it is for tests, owner or ""."""

    labels: Array
    classes: tuple[str, ...]
    tests: Array
    owners: tuple[str, ...]


def read_world(context: RunContext, settings: FederatedSettings, sizes: Sequence[int]) -> World:
    """Read the clients' pictures.

    Args:
        context: Of the run; its data have the role clients.
        settings: Of the recipe.
        sizes: Sides of the pictures that the student can take, rising.

    Raises:
        UsageError: the set has no classes, or too little for so many clients.
    """
    dataset: Any = context.data("clients")
    told = _told(dataset)
    learn, tests = np.flatnonzero(~told.tests), np.flatnonzero(told.tests)
    random = np.random.default_rng(context.seed)
    if 0 < settings.pictures < len(learn):
        learn = np.sort(random.choice(learn, settings.pictures, replace=False))
    tests = _few(tests, settings.judged, random)
    names, parts = _parts(told, learn, settings, context.seed)
    size = _size(dataset, settings.size, sizes)
    wanted = np.concatenate([*parts, tests])
    images, _ = decode(Chosen(dataset, wanted), size, context.progress)
    pictures = _pictures(images, told.labels[wanted], context.device)
    bounds = np.cumsum([0, *map(len, parts)])
    clients = []
    for number, (name, start, end) in enumerate(zip(names, bounds, bounds[1:], strict=False)):
        mine, kept = held_out(np.arange(start, end), settings.holdout, context.seed, number)
        clients.append(Client(name, pictures.at(mine), pictures.at(kept)))
    common = np.arange(bounds[-1], len(wanted))
    everybody = pictures.at(common) if len(common) else _joined(clients, settings.judged, random)
    return World(tuple(clients), everybody, told.classes, size, dataset.name)


def read_served(context: RunContext, settings: FederatedSettings, sizes: Sequence[int]) -> World:
    """Read what a server has beside clients that it never sees: classes, and tests of its own.

    Args:
        context: Of the run; its data have the role clients.
        settings: Of the recipe.
        sizes: Sides of the pictures that the student can take, rising.
    """
    dataset: Any = context.data("clients")
    told = _told(dataset)
    tests = np.flatnonzero(told.tests) if told.tests.any() else np.arange(len(told.labels))
    tests = _few(tests, settings.judged, np.random.default_rng(context.seed))
    size = _size(dataset, settings.size, sizes)
    images, _ = decode(Chosen(dataset, tests), size, context.progress)
    everybody = _pictures(images, told.labels[tests], context.device)
    return World((), everybody, told.classes, size, dataset.name)


def read_own(context: RunContext, settings: FederatedSettings, classes: Sequence[str]) -> Client:
    """Read pictures that all belong to one client, a folder per class.

    Args:
        context: Of the client; its data have the role clients, its seed decides what is kept aside.
        settings: Of the recipe; its size is that of the pictures.
        classes: Names of the classes there are, of which the client may have a few.

    Raises:
        UsageError: it has too few pictures, or some of another class.
    """
    dataset: Any = context.data("clients")
    told = usable(dataset)
    if strange := sorted({*told.classes} - {*classes}):
        raise UsageError(
            f"{dataset.name} has the class {strange[0]!r}, which the server does not know; its "
            f"classes are {', '.join(classes)}"
        )
    mine = np.flatnonzero(~told.tests)
    labels = np.array([classes.index(told.classes[i]) for i in told.labels[mine]], np.int64)
    images, _ = decode(Chosen(dataset, mine), settings.size, context.progress)
    pictures = _pictures(images, labels, context.device)
    learn, kept = held_out(np.arange(len(mine)), settings.holdout, context.seed, 0)
    return Client(dataset.name, pictures.at(learn), pictures.at(kept))


def usable(dataset: Any, everybody: bool = False) -> _Told:
    """Return what the set of one client tells.

    Args:
        dataset: Pictures with classes.
        everybody: The set is that of all clients, of which this one takes a part.

    Raises:
        UsageError: it has no classes, or too few pictures.
    """
    told = _told(dataset, least=2 if everybody else 1)
    if (count := int((~told.tests).sum())) < LEAST:
        raise UsageError(f"{dataset.name} has {count} pictures; a client needs {LEAST} or more")
    return told


def _told(dataset: Any, least: int = 2) -> _Told:
    parts = parts_of(dataset)
    names, owners, tests = [], [], []
    for part in parts:
        mine = _folders(part.names, part.name) if isinstance(part, TreeDataset) else [
            ("", name) for name in part.people
        ]  # fmt: skip
        owners += [owner for owner, _ in mine]
        names += [name for _, name in mine]
        tests.append(_kept(part))
    classes = _ordered(parts, {*names} - {""})
    if strays := names.count(""):
        raise UsageError(
            f"{dataset.name} has {strays} pictures of no class; give a folder per class, or per "
            "client with a folder per class inside"
        )
    if len(classes) < least:
        raise UsageError(f"all pictures of {dataset.name} are of one class; there must be {least}")
    if any(owners) and not all(owners):
        raise UsageError(
            f"some pictures of {dataset.name} lie in a client's folder, others belong to nobody; "
            "give a folder per client with a folder per class inside for all of them"
        )
    number = {name: i for i, name in enumerate(classes)}
    labels = np.array([number[name] for name in names], np.int64)
    return _Told(labels, classes, np.concatenate(tests), tuple(owners))


def _kept(part: Any) -> Array:
    """Return which pictures a set keeps for tests, [N]."""
    if isinstance(part, TreeDataset):
        tests = np.array(for_tests(part.names), bool)
        if count := int(tests.sum()):
            note(f"{part.name}: {count:,} pictures beside the folder train are kept for tests")
        return tests
    return np.asarray(getattr(part, "split", np.zeros(len(part), np.uint8)) == TEST)


def _ordered(parts: Sequence[Any], names: set[str]) -> tuple[str, ...]:
    """Return the classes in the order that the sets number them, of folders by name."""
    told = [name for part in parts for name in getattr(part, "classes", ())]
    place = {name: i for i, name in reversed([*enumerate(told)])}
    return tuple(sorted(names, key=lambda name: (place.get(name, len(told)), name)))


def _folders(names: Sequence[str], where: str) -> list[tuple[str, str]]:
    """Return owner and class of each picture: class/file, or client/class/file.

    Raises:
        UsageError: some folders look like clients, others like classes.
    """
    inner = inner_folders(names)
    if all(len(folders) >= 2 for folders in inner):
        return [(folders[0], folders[1]) for folders in inner]
    tops = {folders[0] for folders in inner if len(folders) == 1}
    deeper = {folders[0]: folders[1] for folders in inner if len(folders) > 1}
    # What lies deeper below a class's own pictures belongs to that class.
    if tops and (clients := sorted(deeper.keys() - tops)):
        raise UsageError(
            f"{where} has pictures in {min(tops)} and in {clients[0]}/{deeper[clients[0]]}; give "
            "a folder per class, or a folder per client with a folder per class inside"
        )
    return [("", folders[0] if folders else "") for folders in inner]


def _parts(
    told: _Told, learn: Array, settings: FederatedSettings, seed: int
) -> tuple[list[str], list[Array]]:
    """Return the clients' names and pictures: as the folders tell, else as the skew does."""
    owners = np.array([told.owners[i] for i in learn])
    if not owners.any():
        split = divide(told.labels[learn], settings.clients, settings.skew, seed)
        return [str(i) for i in range(settings.clients)], [learn[part] for part in split]
    names = sorted({*owners.tolist()})
    parts = [learn[owners == name] for name in names]
    if few := [n for n, part in zip(names, parts, strict=True) if len(part) < LEAST]:
        raise UsageError(f"client {few[0]} has one picture; each needs {LEAST} or more")
    numbered = ", ".join(f"client {number} is {name}" for number, name in enumerate(names))
    note(f"{len(names)} folders are the clients: {shorten(numbered, 200, placeholder=' ...')}")
    if len(names) < LEAST:
        raise UsageError(f"there is one client, {names[0]}; give a folder for each of several")
    return names, parts


def _size(dataset: Any, wanted: int, sizes: Sequence[int]) -> int:
    """Return the side asked for, else the smallest one that loses nothing."""
    if wanted:
        return wanted
    side = min(dataset[0].shape[:2])
    return next((size for size in sizes if size >= side), sizes[-1])


def _pictures(images: Array, labels: Array, device: str) -> Pictures:
    import torch

    return Pictures(torch.from_numpy(images).to(device), torch.from_numpy(labels).to(device))


def _few(places: Array, most: int, random: np.random.Generator) -> Array:
    if not 0 < most < len(places):
        return places
    return np.sort(random.choice(places, most, replace=False))


def _joined(clients: Sequence[Client], most: int, random: np.random.Generator) -> Pictures:
    import torch

    images = torch.cat([client.own.images for client in clients])
    every = Pictures(images, torch.cat([client.own.labels for client in clients]))
    return every.at(_few(np.arange(len(every)), most, random))
