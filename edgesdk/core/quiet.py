"""The one place where telemetry of dependencies is switched off, before any of them loads."""

import os
import sys

SILENCED = {
    "ORT_DISABLE_TELEMETRY": "1",
    "FLWR_TELEMETRY_ENABLED": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_OFFLINE": "1",
    "DO_NOT_TRACK": "1",
    "TF_CPP_MIN_LOG_LEVEL": "3",
}


def silence() -> None:
    """Set the opt-out of every dependency; children inherit it.

    OpenVINO and NNCF report through `openvino_telemetry` and have no variable: with
    the module blocked they use their own silent stub.
    """
    for name, value in SILENCED.items():
        os.environ.setdefault(name, value)
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
