"""What may ever be asked of one teacher, kept in a file beside the runs.

A query is charged before it is answered, so a process that dies can have spent too much, never
too little. What cannot be read refuses all queries: nobody knows what was spent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgesdk.core.errors import EdgeSdkError, UsageError
from edgesdk.core.files import locked, read_json, write_json
from edgesdk.core.typed import MALFORMED, check_known

FILE = "privacy-budget.json"
CHARGE = {"run": str, "token": str, "mechanism": str, "queries": int}
# Sums of floats may stray this far.
SLACK = 1e-9


@dataclass(frozen=True, slots=True)
class Charge:
    """What one run asks for.

    Attributes:
        run: Name of its folder.
        token: What tells this run's one charge from another's, also after a restart.
        mechanism: How its answers are made.
        epsilon: What they cost; None where nothing protects them.
        queries: Number of answers.
    """

    run: str
    token: str
    mechanism: str
    epsilon: float | None
    queries: int


class Budget:
    """The budget of one teacher.

    Args:
        folder: Where the runs lie.
        owner: Whose answers are counted: a hash of the teacher, or of the private records.
        limit: Epsilon that may be spent in all; what the file says of an owner wins.
    """

    def __init__(self, folder: Path, owner: str, limit: float) -> None:
        self.path, self._owner, self._limit = folder / FILE, owner, limit

    def spent(self) -> float:
        """Return the epsilon that is spent."""
        return _sum(self._account()["spent"])

    def unprotected(self) -> int:
        """Return the number of answers that were given without any protection."""
        return sum(c["queries"] for c in self._account()["spent"] if c["epsilon"] is None)

    def check(self, charge: Charge) -> None:
        """Raise UsageError where the charge would be refused; charges nothing."""
        self._checked(self._account(), charge)

    def charge(self, charge: Charge) -> None:
        """Write the charge down; one token is charged once, however often it is asked.

        Raises:
            UsageError: it costs more than is left, or the file cannot be read.
        """
        lock = self.path.with_name(f".{FILE}.lock")
        with locked(lock, f"{self.path} is in use by another run; try again"):
            accounts = self._read()
            account = accounts.setdefault(self._owner, self._fresh())
            if self._checked(account, charge):
                told = {name: getattr(charge, name) for name in (*CHARGE, "epsilon")}
                account["spent"].append(told)
                write_json(self.path, {"schema_version": 1, "owners": accounts})

    def _checked(self, account: Mapping[str, Any], charge: Charge) -> bool:
        """Return whether the charge is new; raise where it cannot be paid."""
        if any(c["token"] == charge.token for c in account["spent"]):
            return False
        limit, spent = account["limit"], _sum(account["spent"])
        if self._limit > limit + SLACK:
            raise UsageError(
                f"a budget of {self._limit:g} was asked, but {self.path} fixed it at {limit:g} "
                "when this teacher was first asked; a budget never grows"
            )
        limit = min(limit, self._limit)
        if charge.epsilon is not None and spent + charge.epsilon > limit + SLACK:
            raise UsageError(
                f"the privacy budget is spent: {charge.queries:,} queries at epsilon "
                f"{charge.epsilon:g} were asked, {spent:g} of {limit:g} is spent "
                f"({self.path}); no further label of this teacher can be released"
            )
        return True

    def _account(self) -> dict[str, Any]:
        found: dict[str, Any] = self._read().get(self._owner, self._fresh())
        return found

    def _fresh(self) -> dict[str, Any]:
        return {"limit": self._limit, "spent": []}

    def _read(self) -> dict[str, Any]:
        if not self.path.exists():
            return {}
        try:
            owners: dict[str, Any] = read_json(self.path, "privacy budget")["owners"]
            for account in owners.values():
                _check(account)
        except (UsageError, *MALFORMED) as error:
            raise EdgeSdkError(
                f"the privacy budget {self.path} cannot be read ({error}), so nobody knows what "
                "is spent and no query is answered; put it back from a copy"
            ) from None
        return owners


def _check(account: Any) -> None:
    check_known("account", account, {"limit": float, "spent": Sequence[Any]}, ("limit", "spent"))
    for charge in account["spent"]:
        check_known("charge", charge, {**CHARGE, "epsilon": float | None}, (*CHARGE, "epsilon"))
        if (charge["epsilon"] or 0.0) < 0:
            raise ValueError(f"a charge of {charge['epsilon']}")


def _sum(charges: list[Any]) -> float:
    return sum(c["epsilon"] or 0.0 for c in charges)
