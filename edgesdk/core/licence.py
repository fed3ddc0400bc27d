"""What a licence of weights and data allows."""

from collections.abc import Mapping

from edgesdk.core.errors import LicenceError

UNKNOWN = "unknown"
# SPDX names that allow commercial use; anything else counts as forbidding it.
COMMERCIAL = frozenset(
    {"0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "BSL-1.0", "CC0-1.0", "CC-BY-3.0"}
    | {"CC-BY-4.0", "CDLA-Permissive-2.0", "ISC", "MIT", "public-domain", "Unlicense", "Zlib"}
)


def allows_commercial(text: str) -> bool:
    """Tell whether a licence, given by its SPDX name first, allows commercial use.

    Args:
        text: Such as "Apache-2.0" or "Apache-2.0 (model of SFace)".
    """
    words = text.replace(",", " ").replace(";", " ").split()
    return bool(words) and words[0] in COMMERCIAL


def complete(licence: Mapping[str, str]) -> dict[str, str]:
    """Return `licence` with "weights" and "data" always present, as "unknown" where not told."""
    told = {key: value for key, value in licence.items() if value}
    return {"weights": UNKNOWN, "data": UNKNOWN, **told}


def require_commercial(licence: Mapping[str, str], name: str) -> None:
    """Refuse what may not be used commercially.

    Args:
        licence: {"weights": …, "data": …}; "unknown" is refused as well.
        name: Of the model, for the message.

    Raises:
        LicenceError: the weights or the data forbid it, or nobody knows.
    """
    for part, text in complete(licence).items():
        if not allows_commercial(text):
            raise LicenceError(
                f"commercial use of {name} was asked for, but the licence of its {part} is "
                f"{text!r}; use a model trained on free data, or leave out --require-commercial"
            )
