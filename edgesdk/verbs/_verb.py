"""What a file of this folder brings as its constant `PLUGIN`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from typing import Any

Progress = Callable[[int, int, str], None]


def listed(values: Any) -> list[Any]:
    """Return a list of what may be one or many; a text is one, never a list of letters."""
    one = isinstance(values, str | PathLike) or not isinstance(values, Iterable)
    return [values] if one else list(values)


def succeeded(result: Any) -> int:
    """Return 0: a verb that came back did what was asked."""
    return 0


@dataclass(frozen=True, slots=True)
class Verb:
    """One verb.

    Attributes:
        function: What `edgesdk.<name>` is; options and help texts come from its signature
            and docstring.
        show: Result -> lines for a terminal; None keeps the verb from the command line.
        place: Where `edgesdk --help` lists it: the order of work.
        exit_code: Result -> exit code.
        several: Where the command line takes more than the function does: words and keyword
            arguments -> result, None to leave it to the function.
        more: Returns name -> function whose keyword-only arguments join the options; the verb's
            function takes them as **options.
    """

    function: Callable[..., Any]
    show: Callable[[Any], str] | None = None
    place: int = 100
    exit_code: Callable[[Any], int] = succeeded
    several: Callable[[Sequence[str], dict[str, Any]], Any] | None = None
    more: Callable[[], Mapping[str, Callable[..., Any]]] = dict
