"""Asks through requests. argv: `json` or `data` (no content type, as the docs of 2020 did), the model's URL.

Standard input: JSON lines of payloads; standard output: JSON lines of replies.
"""

import json
import sys

import requests

way, url = sys.argv[1:]
for line in sys.stdin:
    body = {"json": json.loads(line)} if way == "json" else {"data": json.dumps(json.loads(line))}
    print(json.dumps(requests.post(url, **body, timeout=60).json()))
