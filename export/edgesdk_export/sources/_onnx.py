"""A source that is an ONNX file: run in ONNX Runtime as it is."""

from edgesdk.core import plugins
from edgesdk.core.bundle import Bundle
from edgesdk.core.source import Run


def onnx_runner(bundle: Bundle) -> tuple[Run, dict[str, str]]:
    """Return a function that runs the entry of an ONNX bundle, and what it runs on."""
    runtime = plugins.load(plugins.RUNTIMES, "ort")
    session = runtime.open(bundle, "cpu", 1)
    return session.run, {"runtime": "ort", "version": runtime.version()}
