"""What a message of an error must be: ours first, then a tool's own words, and a way out."""

import re

# Words of a fault of ours, of Python, of the machine, or of a terminal.
FOREIGN = re.compile(
    r"internal error|NoneType|Traceback|object has no|site-packages|/tmp/|\x1b|<class "
    r"|0x[0-9a-f]{6}"
)
TOOL = re.compile(r"\[ONNXRuntimeError\]|\w+Error:|onnx::|aten\.|mhlo|Status Message")
ADVICE = re.compile(
    r"\b(give|take|export|tell|save|get|install|put|mend|name|leave|look|see|start|load|write|list)"
    r"\b|Did you mean|Valid: |must (be|have) "
)
LEAST_WORDS = 3


def faults(text: str) -> list[str]:
    """Return what is wrong with a message, [] for nothing."""
    found = [f"holds {match.group()!r}" for match in FOREIGN.finditer(text)]
    quoted = TOOL.search(text)
    ours = text[: quoted.start()] if quoted else text
    if len(ours.split()) < LEAST_WORDS:
        found.append("begins with the words of a tool")
    if not ADVICE.search(text):
        found.append("says nothing to do")
    return found
