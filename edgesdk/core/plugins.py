"""Find plug-ins by file name and by entry point; import one only when it is used.

A plug-in is a module of one of the packages below whose constant `PLUGIN`
implements the package's protocol. Its file name is its name: `bridge_face.py`
is `bridge-face`. Third parties register the same object as an entry point in
the group that bears the package's name.
"""

from collections.abc import Iterator
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from pkgutil import iter_modules
from typing import Any

from edgesdk.core.errors import MissingDependencyError, UnknownPluginError

EXPORTERS = "edgesdk_export"
SOURCES = "edgesdk_export.sources"
RUNTIMES = "edgesdk_runtimes"
STUDENTS = "edgesdk_training.students"
RECIPES = "edgesdk_training.recipes"
METHODS = "edgesdk_training.methods"
TASKS = "edgesdk.tasks"

# Entry-point groups that are not called like their package.
GROUPS = {TASKS: "edgesdk_tasks"}

KINDS = {
    EXPORTERS: "target",
    SOURCES: "source",
    RUNTIMES: "runtime",
    STUDENTS: "student",
    RECIPES: "recipe",
    METHODS: "method",
    TASKS: "task",
}


@cache
def _files(package: str) -> tuple[str, ...]:
    paths = import_module(package).__path__
    found = (m.name for m in iter_modules(paths) if not m.name.startswith("_") and not m.ispkg)
    return tuple(sorted(name.replace("_", "-") for name in found))


def _entry_points(package: str) -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=GROUPS.get(package, package))}


def names(package: str) -> list[str]:
    """Return the names of all plug-ins of `package` without importing any."""
    return sorted({*_files(package), *_entry_points(package)})


def _import(package: str, name: str) -> Any:
    if name in _files(package):
        return import_module(f"{package}.{name.replace('-', '_')}").PLUGIN
    return _entry_points(package)[name].load()


def every(package: str) -> Iterator[tuple[str, Any]]:
    """Yield (name, plug-in) for all of `package`; cheap, for none loads a framework."""
    for name in names(package):
        yield name, _import(package, name)


def resolve(package: str, name: str) -> str:
    """Return the plug-in name behind `name` or an alias of it.

    Raises:
        UnknownPluginError: nothing answers to `name`.
    """
    wanted = name.strip().lower().replace("_", "-")
    if wanted in names(package):
        return wanted
    aliases = {alias: real for real, plugin in every(package) for alias in plugin.aliases}
    if wanted in aliases:
        return aliases[wanted]
    raise UnknownPluginError(KINDS.get(package, "plug-in"), name, [*names(package), *aliases])


def load(package: str, name: str) -> Any:
    """Import and return the one plug-in called `name` (or one of its aliases)."""
    return _import(package, resolve(package, name))


def missing(plugin: Any) -> list[str]:
    """Return those modules of `plugin.requires` that are not installed."""
    return [module for module in plugin.requires if not installed(module)]


def installed(module: str) -> bool:
    """Tell whether `module` could be imported, without importing it."""
    try:
        return find_spec(module) is not None
    except (ImportError, ValueError):
        return False


def require(what: str, plugin: Any) -> None:
    """Raise MissingDependencyError when a module that `plugin` needs is absent."""
    absent = missing(plugin)
    if absent:
        raise MissingDependencyError(what, absent, plugin.extra)


def unavailable(what: str, plugin: Any) -> str | None:
    """Return why an exporter cannot be used on this machine, None where it can."""
    absent = missing(plugin)
    if absent:
        return str(MissingDependencyError(what, absent, plugin.extra))
    why: str | None = plugin.available()
    return why
