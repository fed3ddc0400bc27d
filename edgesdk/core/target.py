"""A target and a device profile: the constraints of one export format, as TOML data."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any

from edgesdk.core.errors import UnknownPluginError, UsageError, did_you_mean
from edgesdk.core.files import tupled


@dataclass(frozen=True, slots=True)
class Tolerance:
    """When an artefact counts as equal to its source.

    Attributes:
        atol: Largest absolute difference allowed, None to leave it unchecked.
        rtol: Part of the reference value added to `atol`.
        relative_to_max: Difference allowed as a part of the largest reference value.
        cosine_p1: Floor of the first percentile of the cosine per item.
        snr_db: Floor of the signal-to-noise ratio in dB.
    """

    atol: float | None = None
    rtol: float = 0.0
    relative_to_max: float | None = None
    cosine_p1: float | None = None
    snr_db: float | None = None


@dataclass(frozen=True, slots=True)
class Target:
    """One export format.

    Attributes:
        name: Plug-in name.
        format: Value of `format` in the bundle, which runtimes match on.
        precisions: What may be asked; the first is the default.
        tolerance: Per precision.
        runtimes: In order of preference.
        options: Free values of the exporter.
    """

    name: str
    format: str
    precisions: tuple[str, ...]
    tolerance: Mapping[str, Tolerance]
    runtimes: tuple[str, ...]
    options: Mapping[str, Any] = field(default_factory=dict)

    def precision(self, asked: str | None) -> str:
        """Return the asked precision, or the default for None.

        Raises:
            UsageError: the target does not offer it.
        """
        if asked is None:
            return self.precisions[0]
        if asked not in self.precisions:
            hint = did_you_mean(asked, self.precisions)
            raise UsageError(f"target {self.name!r} offers no precision {asked!r}. {hint}")
        return asked


@dataclass(frozen=True, slots=True)
class Profile:
    """A device to build for, such as `rtx-30-series`.

    Attributes:
        name: File name.
        target: The target it belongs to.
        batch: Smallest, usual and largest batch.
        accelerators: Names of the hardware generations, such as "SM86".
    """

    name: str
    target: str
    batch: tuple[int, int, int] = (1, 64, 256)
    accelerators: tuple[str, ...] = ()


def read_target(name: str, package: str = "edgesdk_export") -> Target:
    """Read `targets/<name>.toml` of `package`."""
    data = tomllib.loads((files(package) / "targets" / f"{name}.toml").read_text("utf-8"))
    tolerance = {p: Tolerance(**values) for p, values in data.pop("tolerance").items()}
    return Target(name=name, tolerance=tolerance, **tupled(data))


def profile_names(package: str = "edgesdk_export") -> list[str]:
    """Return the names of all device profiles."""
    folder = files(package) / "profiles"
    if not folder.is_dir():
        return []
    return sorted(p.name[:-5] for p in folder.iterdir() if p.name.endswith(".toml"))


def read_profile(name: str, package: str = "edgesdk_export") -> Profile:
    """Read `profiles/<name>.toml` of `package`.

    Raises:
        UnknownPluginError: there is no such profile.
    """
    if name not in profile_names(package):
        raise UnknownPluginError("profile", name, profile_names(package))
    data = tomllib.loads((files(package) / "profiles" / f"{name}.toml").read_text("utf-8"))
    return Profile(name=name, **tupled(data))
