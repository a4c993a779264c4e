"""The guardrail of LiteLLM's proxy, which asks the server that is given. Prints a line of JSON per question."""

import asyncio
import json
import sys
from typing import Any

from litellm.exceptions import GuardrailRaisedException
from litellm.proxy.guardrails.guardrail_hooks.generic_guardrail_api.generic_guardrail_api import GenericGuardrailAPI


def guarded(question: dict[str, Any]) -> dict[str, Any]:
    """The texts that it lets through, or why it does not."""
    params = {"policy": question["policy"]} if "policy" in question else {}
    guardrail = GenericGuardrailAPI(
        api_base=sys.argv[1],
        guardrail_name="labeld",
        additional_provider_specific_params=params,
        event_hook="pre_call",
    )
    inputs = {"texts": question["texts"], "model": "gpt-5", "structured_messages": [], "tool_calls": []}
    try:
        return dict(asyncio.run(guardrail.apply_guardrail(inputs, {"metadata": {}}, "request")))
    except GuardrailRaisedException as error:
        return {"blocked": error.message}
    except Exception as error:  # noqa: BLE001  # whatever it is, the proxy lets nothing through
        return {"failed": str(error)}


for line in sys.stdin:
    print(json.dumps(guarded(json.loads(line))), flush=True)
