"""Settings that all federated recipes share."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from edgesdk.core import plugins
from edgesdk.core.errors import UsageError, did_you_mean
from edgesdk_training.federated.split import check_skew
from edgesdk_training.settings import ABOVE_0, check_ranges

ENGINES = ("local", "flower", "processes")
MEANS = ("pictures", "uniform")
# Methods that are recipes too, with settings of their own, and settings of one method alone.
RECIPES = ("fedlmd", "fedckd", "fedbsd")
OF_ONE = {"teacher_free": "fedlmd", "own": "fedckd", "mu": "fedprox"}
LEAST_SECURE = 3  # clients in a round: of two, each would know the other's part from the sum
RANGES = {
    "clients": (2, 100_000), "rounds": (1, inf), "participation": (ABOVE_0, 1),
    "local_epochs": (1, inf), "batch": (1, inf), "lr": (ABOVE_0, inf), "lr_decay": (ABOVE_0, 1),
    "momentum": (0, 0.9999), "weight_decay": (0, inf), "distil": (0, inf), "own": (0, 1),
    "temperature": (ABOVE_0, inf), "mu": (0, inf), "holdout": (0.01, 0.99), "pictures": (0, inf),
    "judged": (0, inf), "quorum": (ABOVE_0, 1), "timeout_s": (0.1, inf), "most": (1, inf),
    "last": (1, inf), "width": (0, 4096), "hidden": (0, 4096), "size": (0, 4096),
}  # fmt: skip


@dataclass(frozen=True)
class FederatedSettings:
    """Settings of the federated recipes.

    Attributes:
        method: What is done: the recipe's own, or fedavg, fedprox, fedper, fedntd, pfedsd, local.
        clients: Number of clients; of a folder per client, its folders.
        rounds: Rounds of training.
        participation: Part of the clients that take part in a round.
        local_epochs: Passes of a client over its pictures in a round.
        skew: Who has what: shards:N, dirichlet:A, even, or people (each class has one owner).
        batch: Pictures per step.
        lr: Learning rate of the first round.
        lr_decay: Factor of the rate from round to round.
        momentum: Of SGD, which begins anew each round.
        weight_decay: Of all weights.
        distil: Weight of what teachers say, beta or lambda.
        temperature: T, by which scores or features are softened.
        own: Of fedckd: part of the client's own last network among both teachers.
        teacher_free: Of fedlmd: no teacher, all rare classes are alike.
        mu: Of fedprox: weight of the distance from the received network.
        mean: How clients count in the merge: pictures (by their number), or uniform.
        most: Times the median number of pictures that a client counts for at most.
        quorum: Part of a round's clients that must answer, or the round changes nothing.
        holdout: Part of each client's pictures that it is judged by.
        pictures: Pictures of the set that are used, 0 for all.
        judged: Pictures of everybody that models are judged by each round, 0 for all.
        last: Rounds at the end that the figures are means of.
        size: Side of the pictures the student sees, 0 for their own.
        width: Maps of the student's first convolution, 0 for the student's own choice.
        hidden: Features of the student, 0 for its own choice.
        engine: local (all clients in this process), or flower (its simulation; see the docs); set
            by `edgesdk federate`: processes.
        timeout_s: Seconds after which a client on Flower is left out of a round.
        secure: On Flower: the server reads the sum of what clients send, and no client's own part.
    """

    method: str = "fedavg"
    clients: int = 10
    rounds: int = 40
    participation: float = 0.5
    local_epochs: int = 5
    skew: str = "shards:2"
    batch: int = 50
    lr: float = 0.05
    lr_decay: float = 0.99
    momentum: float = 0.9
    weight_decay: float = 1e-5
    distil: float = 1.0
    temperature: float = 1.0
    own: float = 0.5
    teacher_free: bool = False
    mu: float = 0.1
    mean: str = "pictures"
    most: float = 4.0
    quorum: float = 0.5
    holdout: float = 0.2
    pictures: int = 0
    judged: int = 1000
    last: int = 5
    size: int = 0
    width: int = 0
    hidden: int = 0
    engine: str = "local"
    timeout_s: float = 600.0
    secure: bool = False

    def __post_init__(self) -> None:
        """Refuse what cannot be meant before anything is read, written or trained."""
        plugins.resolve(plugins.METHODS, self.method)
        check_skew(self.skew)
        for name, known in (("engine", ENGINES), ("mean", MEANS)):
            if getattr(self, name) not in known:
                found = getattr(self, name)
                raise UsageError(f"there is no {name} {found!r}. {did_you_mean(found, known)}")
        check_ranges(self, RANGES)
        if type(self) is not FederatedSettings:
            self._check_method()
        if self.secure:
            self._check_secure()

    def _check_method(self) -> None:
        """Refuse another recipe's method, and what the method would not look at."""
        method = plugins.resolve(plugins.METHODS, self.method)
        if method in RECIPES and method != type(self).method:
            raise UsageError(
                f"method={self.method} is a recipe with settings of its own; run: edgesdk train "
                f"{method}"
            )
        for name, only in OF_ONE.items():
            if getattr(self, name) != getattr(type(self), name) and method != only:
                raise UsageError(f"{name} is a setting of {only}; {method} has none, leave it out")

    def _check_secure(self) -> None:
        """Refuse a secure sum where there is none, or where it tells what each one sent."""
        if self.engine == "local":
            raise UsageError("secure=true takes Flower, whose SecAgg+ it is; set engine=flower")
        if plugins.resolve(plugins.METHODS, self.method) == "local":
            raise UsageError("secure=true hides what travels; of method=local nothing does")
        if (taking := max(1, round(self.participation * self.clients))) < LEAST_SECURE:
            raise UsageError(
                f"secure=true takes {LEAST_SECURE} clients in a round or more, found {taking}; set "
                "more clients or a larger participation"
            )
