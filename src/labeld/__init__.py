"""labeld: the Inference API for text classification, on your own machine."""

import sys

# NOTE: `import openvino` imports this module, which forks, looks up an analytics host and writes ~/intel. Making its
# import fail, before anything of ours can import openvino, removes all of that; openvino does without it.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # None is how Python says "not importable"
