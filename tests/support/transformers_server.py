"""A server as many people write it, in a process of its own: transformers' pipeline behind one route of FastAPI.

`python transformers_server.py FOLDER` prints its port, and answers `POST /classify {"text": …, "pair": …}`.
"""

import socket
import sys
from typing import Any

import torch
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel
from transformers import AutoModelForSequenceClassification, AutoTokenizer, pipeline


class Question(BaseModel):
    """The body of a request."""

    text: str
    pair: str | None = None


def application(folder: str) -> FastAPI:
    """The application that answers with the model in this folder, in float32."""
    torch.set_num_threads(1)
    model = AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32)
    classifier: Any = pipeline("text-classification", model=model, tokenizer=AutoTokenizer.from_pretrained(folder))
    app = FastAPI()

    @app.post("/classify")
    async def classify(question: Question) -> dict[str, Any]:
        text, pair = question.text, question.pair
        return {"result": classifier(text if pair is None else {"text": text, "text_pair": pair}, top_k=None)}

    return app


if __name__ == "__main__":
    app = application(sys.argv[1])
    with socket.create_server(("127.0.0.1", 0)) as listener:
        print(listener.getsockname()[1], flush=True)
        uvicorn.Server(uvicorn.Config(app, log_level="error")).run([listener])
