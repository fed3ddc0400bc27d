"""The verdict on an artefact, with every number behind it; stored as verify.json."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from edgesdk.core.errors import UsageError
from edgesdk.core.files import clean, read_json, tupled, write_json
from edgesdk.core.typed import MALFORMED, check_known, check_types

# History of the schema: 1, the first one.
SCHEMA_VERSION = 1
VERDICTS = ("pass", "fail", "skipped", "not-run")
LEVELS = ("device", "host", "proxy")
FAILED, UNPROVEN = "differs from its source", "not proven here"


def proof_words(verdict: str, level: str) -> str:
    """Return what people are told of a verdict at a level; only a proof sounds like one."""
    if verdict == "pass":
        return "proven here, by an interpreter" if level == "proxy" else "proven here"
    if verdict == "not-run":
        return "proven on the ONNX behind it" if level == "proxy" else UNPROVEN
    return {"fail": FAILED, "skipped": f"{UNPROVEN}, as asked"}.get(verdict, UNPROVEN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """What was compared, on what, with which result.

    Attributes:
        verdict: "pass"; "fail"; "skipped" (asked to); "not-run" (the artefact itself could
            not run on this machine).
        level: Where the numbers come from: "device" (the hardware the artefact is for),
            "host" (the artefact in a native runtime here), "proxy" (an interpreter, or
            another file that holds the same numbers).
        by: runtime, kind and version of what ran the artefact.
        source: runtime and version of what ran the source; empty when it was not found.
        samples: Number of crops compared.
        outputs: Output name -> max_abs, cosine_p1, cosine_p50, snr_db ….
        batch: Check of batch invariance -> largest absolute difference; None where the
            runtime refuses the input.
        half: The same in real half precision, each value rounded to float16: by, samples,
            outputs, and largest (layer, value, range); or not_run, why it was not run. Empty
            for what is not computed in float16.
        stages: Golden stage (align, pre, infer, post) -> "pass" or "fail"; empty when they
            were not checked.
        task: metric, source, artefact, drop, interval, pairs; empty without pairs.
        tolerance: What was allowed.
        proxy: Verdict of the proxy where `verdict` is "not-run", else "".
        reasons: Sentences: what failed, or why something was not done.
    """

    verdict: str
    level: str
    by: Mapping[str, str] = field(default_factory=dict)
    source: Mapping[str, str] = field(default_factory=dict)
    samples: int = 0
    outputs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    batch: Mapping[str, float | None] = field(default_factory=dict)
    half: Mapping[str, Any] = field(default_factory=dict)
    stages: Mapping[str, str] = field(default_factory=dict)
    task: Mapping[str, Any] = field(default_factory=dict)
    tolerance: Mapping[str, float | None] = field(default_factory=dict)
    proxy: str = ""
    reasons: tuple[str, ...] = ()

    @property
    def failed(self) -> bool:
        """Whether the artefact, or the proxy in its place, broke a tolerance."""
        return "fail" in (self.verdict, self.proxy)

    @property
    def proven(self) -> bool:
        """Whether the artefact, or the file of the same numbers behind it, ran and passed."""
        return not self.failed and "pass" in (self.verdict, self.proxy)

    @property
    def proven_itself(self) -> bool:
        """Whether the artefact itself ran here, in every arithmetic that it may meet."""
        return self.verdict == "pass" and "not_run" not in self.half

    @property
    def proof(self) -> str:
        """The verdict in words for people."""
        return FAILED if self.failed else proof_words(self.verdict, self.level)

    def summary(self) -> dict[str, str]:
        """Return what bundle.json says about it."""
        verdict = "fail" if self.failed else self.verdict
        return {"file": "verify.json", "level": self.level, "verdict": verdict}

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready dictionary."""
        data = {f.name: getattr(self, f.name) for f in fields(self)}
        cleaned: dict[str, Any] = clean({"schema_version": SCHEMA_VERSION, **data})
        return cleaned

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Verification":
        """Rebuild from `to_json`'s dictionary.

        Raises:
            UsageError: the schema, the verdict or the level is unknown, or fields are missing.
        """
        try:
            values = tupled(data)
            if values.pop("schema_version") != SCHEMA_VERSION:
                raise ValueError("schema_version is not 1")
            found = cls(**values)
            check_types(found)
            _check_values(found)
            return found
        except MALFORMED as error:
            raise UsageError(
                f"this is no verification ({error}); verify the bundle again"
            ) from None


def _check_values(found: Verification) -> None:
    """Raise ValueError for words and numbers that no verification holds."""
    if found.verdict not in VERDICTS or found.level not in LEVELS:
        raise ValueError(f"verdict {found.verdict!r} at level {found.level!r}")
    if found.proxy not in ("", *VERDICTS) or not found.samples >= 0:
        raise ValueError(f"proxy {found.proxy!r}, {found.samples} samples")
    for name, numbers in found.outputs.items():
        check_known(name, numbers, dict.fromkeys(numbers, float | None), ())


def write_verification(path: Path, verification: Verification) -> None:
    """Write a verification as JSON, atomically."""
    write_json(path, verification.to_json())


def read_verification(path: Path) -> Verification:
    """Read a verify.json.

    Raises:
        UsageError: the file is missing or no verification.
    """
    return Verification.from_json(read_json(path, "verification"))
