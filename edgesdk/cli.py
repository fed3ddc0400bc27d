"""The command line: one sub-command per file of `edgesdk.verbs`. It prints, never computes."""

from __future__ import annotations

import argparse
import errno
import inspect
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from itertools import takewhile
from typing import Any, NoReturn

from edgesdk import __version__, verbs
from edgesdk._interrupt import EXIT_CODE, SENTENCE, patient_interrupts
from edgesdk._options import add_arguments, add_more, arguments, summary
from edgesdk._progress import bar, notes
from edgesdk._streams import drain, prepare, results_only, tell
from edgesdk.core.errors import EdgeSdkError, UsageError, did_you_mean
from edgesdk.core.files import clean
from edgesdk.verbs import Verb


class _Parser(argparse.ArgumentParser):
    """Reports a wrong command as a UsageError, with a suggestion for a mistyped word."""

    def error(self, message: str) -> NoReturn:
        if message.endswith("expected one argument"):
            flag = message.split(":")[0].split()[-1].split("/")[-1]
            message += f" (one that begins with - is written {flag}=-...)"
        raise UsageError(f"{message}; see: {self.prog} --help")

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse, but first answer an unknown flag with the nearest one that exists.

        Words for an optional list count wherever they stand: argparse itself closes such a
        list, empty, at the first flag.
        """
        known = [flag for flag in self._option_string_actions if flag.startswith("--")]
        for word in takewhile(lambda word: word != "--", args or ()):
            flag = word.split("=")[0]
            if "--json" in known and flag.startswith("--") and flag not in known:
                raise UsageError(f"{self.prog} has no option {flag!r}. {did_you_mean(flag, known)}")
        found, rest = super().parse_known_args(args, namespace)
        lists = [a.dest for a in self._actions if a.nargs == "*" and not a.option_strings]
        if lists:
            more = [word for word in rest if not word.startswith("-")]
            setattr(found, lists[-1], [*(getattr(found, lists[-1]) or ()), *more])
            rest = [word for word in rest if word.startswith("-")]
        return found, rest


def commands() -> dict[str, Verb]:
    """Return the verbs of the command line in the order of work."""
    every = {name: verbs.find_verb(name) for name in verbs.verb_names()}
    shown = {name: verb for name, verb in every.items() if verb.show is not None}
    return dict(sorted(shown.items(), key=lambda item: item[1].place))


def parser(known: Mapping[str, Verb] | None = None) -> argparse.ArgumentParser:
    """Return the parser of the verbs in `known`; default: of all."""
    root = _Parser(
        prog="edgesdk",
        description="Vision models from a big teacher to a small device, with proof at each step.",
        epilog="Exit codes: 0 ok, 1 run-time error, 2 usage, 3 toolchain or device missing, "
        "4 a gate failed, 5 benchmark invalid, 6 licence refused, 130 interrupted.",
        allow_abbrev=False,
    )
    root.add_argument("--version", action="version", version=f"edgesdk {__version__}")
    subs = root.add_subparsers(dest="verb", metavar="VERB", parser_class=_Parser)
    for name, verb in (known or commands()).items():
        text = summary(verb.function)
        sub = subs.add_parser(name, help=text, description=text, allow_abbrev=False)
        add_arguments(sub, verb.function)
        sub.set_defaults(more_options=add_more(sub, verb.more()))
        _add_common(sub)
    return root


def _add_common(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--json", action="store_true", help="Print one JSON document.")
    verb.add_argument("-q", "--quiet", action="store_true", help="No progress, no notes on stderr.")
    verb.add_argument("--debug", action="store_true", help="Show the traceback of an error.")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    debug, as_json = "--debug" in words, "--json" in words
    prepare()
    try:
        with patient_interrupts():
            return _run(words)
    except KeyboardInterrupt:
        return _fail(SENTENCE, EXIT_CODE, as_json)
    except Exception as error:
        if debug:
            raise
        return _fail(*_told(error), as_json)
    finally:
        drain()


def _told(error: Exception) -> tuple[str, int]:
    """Return what went wrong as a sentence, and its exit code."""
    if isinstance(error, EdgeSdkError):
        return str(error), error.exit_code
    if isinstance(error, MemoryError):
        said = f"the memory of this machine does not suffice ({error or 'it is full'})"
        return f"{said}; take a smaller batch or fewer pictures", 1
    if isinstance(error, OSError) and error.strerror:
        place = "" if error.filename is None else f"{error.filename}: "
        code = UsageError.exit_code if error.errno == errno.ENAMETOOLONG else 1
        return f"{place}{error.strerror}; check the path, its rights and the disk", code
    return f"internal error ({type(error).__name__}: {error}); add --debug and report it", 1


def _fail(text: str, code: int, as_json: bool) -> int:
    message = " ".join(text.split())
    with suppress(EdgeSdkError):
        if as_json:
            tell(json.dumps({"error": message, "exit_code": code}), sys.stdout)
    with suppress(EdgeSdkError):
        tell(f"edgesdk: {message}", sys.stderr)
    return code


def _run(words: list[str]) -> int:
    if not words or words[0].startswith("-"):
        parser().parse_args(words)  # --help and --version end here
        parser().print_help()
        return 0
    verb, show = _verb(words[0])
    parsed = parser({words[0]: verb}).parse_args(words)
    given = arguments(verb.function, parsed)
    with results_only() as stdout, notes(parsed.quiet), bar(parsed.quiet) as progress:
        if "progress" in inspect.signature(verb.function).parameters:
            given["progress"] = progress
        result = verb.several(words, given) if verb.several else None
        if result is None:
            result = verb.function(**given)
    text = json.dumps(clean(_plain(result))) if parsed.json else show(result)
    tell(text, stdout)
    return verb.exit_code(result)


def _verb(name: str) -> tuple[Verb, Callable[[Any], str]]:
    """Return one verb and what shows its result, without importing the others."""
    verb = verbs.find_verb(name) if name in verbs.verb_names() else None
    if verb is None or verb.show is None:
        raise UsageError(f"unknown verb {name!r}. {did_you_mean(name, commands())}")
    return verb, verb.show


def _plain(result: Any) -> Any:
    """Return a result as plain data."""
    if isinstance(result, list):
        return [_plain(item) for item in result]
    if hasattr(result, "to_json"):
        # A bundle's own manifest names no place; whoever exported it wants to know.
        place = {"path": str(result.path)} if hasattr(result, "path") else {}
        return {**place, **result.to_json()}
    if hasattr(result, "__dataclass_fields__"):
        return {name: getattr(result, name) for name in result.__dataclass_fields__}
    return result
