"""Asks through huggingface_hub's client, of whatever release runs this. argv: `model` or `base_url`, and its value.

Standard input: JSON lines `{"text": …, …options}`; standard output: JSON lines of rankings, or of the error's text.
"""

import json
import sys

from huggingface_hub import InferenceClient

client = InferenceClient(**{sys.argv[1]: sys.argv[2]})
for line in sys.stdin:
    asked = json.loads(line)
    try:
        ranking = client.text_classification(asked.pop("text"), **asked)
        print(json.dumps([{"label": one.label, "score": one.score} for one in ranking]))
    except Exception as error:  # noqa: BLE001  # whatever the client makes of a failure is what is looked at
        print(json.dumps({"type": type(error).__name__, "text": str(error)}))
