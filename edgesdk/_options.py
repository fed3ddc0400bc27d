"""Make the options of a command from the signature and docstring of its API function."""

from __future__ import annotations

import argparse
import inspect
import re
from collections.abc import Callable, Mapping
from typing import Any

# Flags that users of similar tools type as well, or that read better than the argument.
FLAGS = {
    "all_faces": ["--all", "--all-faces"],
    "output": ["-o", "--output"],
    "output_dir": ["-o", "--output-dir"],
    "settings": ["--set"],
    "target": ["--target", "--format"],
}
METAVARS = {"settings": "NAME=VALUE", "data": "ROLE=PATH", "output_dir": "DIR", "output": "PATH"}
HIDDEN = {"progress"}


class _Once(argparse.Action):
    """Stores one value; a second one would silently win."""

    def __call__(self, parser: Any, namespace: Any, values: Any, option: Any = None) -> None:
        """Store `values`, or report that the option was there before."""
        given = vars(namespace).setdefault("given_once", set())
        if self.dest in given:
            parser.error(f"option {option} is given twice; give it once")
        given.add(self.dest)
        setattr(namespace, self.dest, values)


def summary(function: Callable[..., Any]) -> str:
    """Return the first sentence of a function's docstring."""
    return (inspect.getdoc(function) or "").split("\n\n")[0]


def argument_help(function: Callable[..., Any]) -> dict[str, str]:
    """Return argument -> help text from the "Args:" section of a Google docstring."""
    doc = inspect.getdoc(function) or ""
    section = re.search(r"^Args:\n((?: {4}.*\n?|\n)*)", doc, re.M)
    entries = re.findall(r"^ {4}(\w+): (.*(?:\n {8}.*)*)", section[1] if section else "", re.M)
    return {name: " ".join(text.split()) for name, text in entries}


def add_arguments(parser: argparse.ArgumentParser, function: Callable[..., Any]) -> None:
    """Add one argument or flag per parameter of `function`."""
    texts = argument_help(function)
    for name, parameter in inspect.signature(function).parameters.items():
        if name not in HIDDEN and parameter.kind is not inspect.Parameter.VAR_KEYWORD:
            _add(parser, parameter, texts[name])


def own_options(function: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """Return the keyword-only arguments of `function`."""
    every = inspect.signature(function).parameters
    return {n: p for n, p in every.items() if p.kind is inspect.Parameter.KEYWORD_ONLY}


def add_more(
    parser: argparse.ArgumentParser, functions: Mapping[str, Callable[..., Any]]
) -> list[str]:
    """Add the keyword-only arguments of several functions, each once; return their names.

    None of them has a default here: what is not given is left to the function.
    """
    found: dict[str, inspect.Parameter] = {}
    texts: dict[str, list[str]] = {}
    for who, function in functions.items():
        helps = argument_help(function)
        for name, parameter in own_options(function).items():
            found.setdefault(name, parameter)
            texts.setdefault(name, []).append(
                f"{who}: {_with_default(helps[name], parameter.default)}"
            )
    for name, parameter in found.items():
        _add(parser, parameter, " ".join(texts[name]), left_out=True)
    return list(found)


def _add(
    parser: argparse.ArgumentParser,
    parameter: inspect.Parameter,
    text: str,
    left_out: bool = False,
) -> None:
    """Add one argument or flag; `left_out`: what is not given is None, and text tells defaults."""
    name, default, kind = parameter.name, parameter.default, _kind(parameter)
    required = default is inspect.Parameter.empty
    shown = text if left_out else _with_default(text, default)
    options: dict[str, Any] = {"help": shown.replace("%", "%%")}
    many = kind.startswith("Sequence")
    if parameter.kind is not inspect.Parameter.KEYWORD_ONLY:
        count = ("+" if required else "*") if many else None if required else "?"
        options |= {"metavar": name.upper()} | ({} if count is None else {"nargs": count})
        parser.add_argument(name, **options)
        return
    flags = FLAGS.get(name, [f"--{name.replace('_', '-')}"])
    options |= {"dest": name, "required": required} if required else {"dest": name}
    if kind.startswith("bool"):
        both = default is not False
        action: Any = argparse.BooleanOptionalAction if both else "store_true"
        unset = None if left_out else default
        parser.add_argument(*flags, action=action, default=unset, **options)
    elif many:
        options["metavar"] = METAVARS.get(name, name.upper())
        parser.add_argument(*flags, action="append", default=None, **options)
    else:
        value = float if kind.startswith("float") else int if kind.startswith("int") else str
        metavar = METAVARS.get(name, name.upper()) if name != "data" else "PATH"
        unset = None if required or left_out else default
        parser.add_argument(
            *flags, action=_Once, type=value, metavar=metavar, default=unset, **options
        )


def _kind(parameter: inspect.Parameter) -> str:
    """Return an annotation as it is written, whether its module keeps it as text or not."""
    kind = parameter.annotation
    return kind if isinstance(kind, str) else inspect.formatannotation(kind)


def _with_default(text: str, default: Any) -> str:
    silent = default is inspect.Parameter.empty or default is None or isinstance(default, bool)
    if silent or default in ((), ""):
        return text
    shown = ", ".join(default) if isinstance(default, tuple) else default
    return f"{text.removesuffix('.')} (default: {shown})."


def arguments(function: Callable[..., Any], parsed: argparse.Namespace) -> dict[str, Any]:
    """Return the keyword arguments for `function` out of parsed options."""
    known = inspect.signature(function).parameters
    takes_more = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in known.values())
    more = getattr(parsed, "more_options", ()) if takes_more else ()
    extra = {k: v for k in more if (v := getattr(parsed, k)) is not None}
    given = extra | {k: v for k, v in vars(parsed).items() if k in known}
    # An option that may be repeated and was not given keeps the function's own default.
    return {k: v for k, v in given.items() if v is not None or known[k].default is None}
