"""Packed inference with OpenVINO: token ids to logits on a CPU."""

import sys

# NOTE: `import openvino` imports openvino_telemetry, which forks, looks up an analytics host and writes ~/intel. Its
# import fails while openvino is imported here for the first time, and openvino does without it. Afterwards everything
# is as the caller had it.
_missing = object()
_before = sys.modules.get("openvino_telemetry", _missing)
sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]  # None is how Python says "not importable"
try:
    import openvino  # noqa: F401
finally:
    if _before is _missing:
        del sys.modules["openvino_telemetry"]
    else:
        sys.modules["openvino_telemetry"] = _before  # type: ignore[assignment]
