"""The verbs, one file each: signature, docstring, what it does, its lines for a terminal.

`edgesdk.<name>` and the command line find a verb by its file's name; both take names of
arguments, defaults and help texts from its signature and docstring. A file that starts with
`_` is no verb.
"""

from importlib import import_module
from pkgutil import iter_modules

from edgesdk.verbs._verb import Verb

__all__ = ["Verb", "find_verb", "verb_names"]


def verb_names() -> list[str]:
    """Return the names of all verbs without importing any."""
    return sorted(m.name for m in iter_modules(__path__) if not m.name.startswith("_"))


def find_verb(name: str) -> Verb:
    """Import and return the verb called `name`."""
    verb: Verb = import_module(f"{__name__}.{name}").PLUGIN
    return verb
