"""Look-ups by the installed huggingface_hub, which knows the server by its environment only.

Standard input: JSON lines `{"of": "HfApi" or "InferenceClient", "call": …, …arguments}`; standard output: JSON lines of
what the call returns, or of the error's text.
"""

import itertools
import json
import sys
from types import GeneratorType
from typing import Any

import huggingface_hub


def plain(value: Any) -> Any:
    """The facts of an object of the package."""
    return (
        {name: one for name, one in vars(value).items() if one is not None}
        if hasattr(value, "__dict__")
        else str(value)
    )


for line in sys.stdin:
    asked = json.loads(line)
    try:
        call = getattr(getattr(huggingface_hub, asked.pop("of"))(), asked.pop("call"))
        found = call(**asked)
        if isinstance(found, GeneratorType | itertools.chain | itertools.islice):
            found = list(found)
        print(json.dumps(found, default=plain))
    except Exception as error:  # noqa: BLE001  # whatever the client makes of a failure is what is looked at
        print(json.dumps({"type": type(error).__name__, "text": str(error)}))
