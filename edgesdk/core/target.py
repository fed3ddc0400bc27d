"""A target and a device profile: the constraints of one export format, as TOML data."""

import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any

from edgesdk.core.errors import UnknownPluginError, UsageError, did_you_mean
from edgesdk.core.files import tupled
from edgesdk.core.typed import MALFORMED, check_plain, check_types

LARGEST_BATCH = 2**20


# What other tools and papers call the precisions.
PRECISION_WORDS = {
    **dict.fromkeys(("float32", "f32", "single", "float"), "fp32"),
    **dict.fromkeys(("float16", "f16", "half"), "fp16"),
    **dict.fromkeys(("i8", "int-8", "8bit", "8-bit"), "int8"),
}


@dataclass(frozen=True, slots=True)
class Tolerance:
    """When an artefact counts as equal to its source.

    Attributes:
        atol: Largest absolute difference allowed, None to leave it unchecked; for an output whose
            largest value is above 1 it is that part of it, since float32 rounds so.
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

    @classmethod
    def from_json(cls, data: Any) -> "Tolerance":
        """Rebuild from a dictionary of the fields.

        Raises:
            TypeError: a field is unknown or no number.
            ValueError: a difference below 0.
        """
        found = cls(**data)
        check_types(found)
        if min(found.atol or 0, found.rtol, found.relative_to_max or 0) < 0:
            raise ValueError(f"a tolerance below 0: {data}")
        return found


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
        wanted = precision_name(asked)
        if wanted not in self.precisions:
            hint = did_you_mean(wanted, self.precisions)
            raise UsageError(f"target {self.name!r} offers no precision {asked!r}. {hint}")
        return wanted


def precision_name(word: str) -> str:
    """Return a precision's name for the words in use for it, in any case."""
    plain = word.strip().lower()
    return PRECISION_WORDS.get(plain, plain)


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
    """Read `targets/<name>.toml` of `package`.

    Raises:
        UsageError: it is missing, or holds what makes no target.
    """
    with _reading(package, "targets", name) as data:
        tolerance = {p: Tolerance.from_json(t) for p, t in data.pop("tolerance").items()}
        target = Target(name=name, tolerance=tolerance, **tupled(data))
        check_types(target)
        if not target.precisions or set(target.precisions) - set(tolerance):
            raise ValueError("a precision without tolerance, or no precision")
        return target


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
        UsageError: it holds what makes no profile.
    """
    if name not in profile_names(package):
        raise UnknownPluginError("profile", name, profile_names(package))
    with _reading(package, "profiles", name) as data:
        profile = Profile(name=name, **tupled(data))
        check_types(profile)
        if not 0 < profile.batch[0] <= profile.batch[1] <= profile.batch[2] <= LARGEST_BATCH:
            raise ValueError(f"batch {profile.batch}")
        return profile


@contextmanager
def _reading(package: str, folder: str, name: str) -> Iterator[dict[str, Any]]:
    """Yield a TOML file's tables; what goes wrong with them inside becomes a UsageError."""
    path = files(package) / folder / f"{name}.toml"
    try:
        data = tomllib.loads(path.read_text("utf-8"))
        check_plain(data)
        yield data
    except MALFORMED as error:
        raise UsageError(f"{path} cannot be used ({error}); mend or reinstall it") from None
