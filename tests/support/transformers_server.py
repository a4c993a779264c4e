"""A server as many people write it, in a process of its own: transformers' pipeline behind one route of their own.

`python transformers_server.py FOLDER` prints its port, and answers `POST /classify {"text": …, "pair": …}`.
"""

import socket
import sys
from typing import Any

import torch
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from transformers import AutoModelForSequenceClassification, AutoTokenizer, pipeline


def application(folder: str) -> Starlette:
    """The application that answers with the model in this folder, in float32."""
    torch.set_num_threads(1)
    model = AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32)
    classifier: Any = pipeline("text-classification", model=model, tokenizer=AutoTokenizer.from_pretrained(folder))

    async def classify(request: Request) -> JSONResponse:
        body = await request.json()
        text = body["text"] if body.get("pair") is None else {"text": body["text"], "text_pair": body["pair"]}
        return JSONResponse({"result": classifier(text, top_k=None)})

    return Starlette(routes=[Route("/classify", classify, methods=["POST"])])


if __name__ == "__main__":
    app = application(sys.argv[1])
    with socket.create_server(("127.0.0.1", 0)) as listener:
        print(listener.getsockname()[1], flush=True)
        uvicorn.Server(uvicorn.Config(app, log_level="error")).run([listener])
