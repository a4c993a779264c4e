"""Asks through huggingface_hub's client, of whatever release runs this.

argv: names and values of its arguments, such as `model` or `base_url`.
Standard input: JSON lines `{"text": …, …options}`, with `client` for those that a client with other arguments asks,
and `candidate_labels` for zero-shot classification;
standard output: JSON lines of rankings, or of the error's text.
"""

import json
import sys

from huggingface_hub import InferenceClient

arguments = dict(zip(sys.argv[1::2], sys.argv[2::2], strict=True))
for line in sys.stdin:
    asked = json.loads(line)
    client = InferenceClient(**asked.pop("client", arguments))
    try:
        ask = client.zero_shot_classification if "candidate_labels" in asked else client.text_classification
        ranking = ask(asked.pop("text"), **asked)
        print(json.dumps([{"label": one.label, "score": one.score} for one in ranking]))
    except Exception as error:  # noqa: BLE001  # whatever the client makes of a failure is what is looked at
        print(json.dumps({"type": type(error).__name__, "text": str(error)}))
