"""A Starlette route with nothing behind it: it reads the request's body and always sends one fixed reply.

Run as `python -m benchmarks.lib.bare_route PORT` with the reply, `{"headers": {…}, "body": "…"}`, on standard input.
"""

import json
import sys

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route


def bare_route(body: bytes, headers: dict[str, str]) -> Starlette:
    """The application."""

    async def answer(request: Request) -> Response:
        await request.body()
        return Response(body, headers=headers)

    return Starlette(routes=[Route("/models/{model_id:path}", answer, methods=["POST"])])


if __name__ == "__main__":
    reply = json.load(sys.stdin)
    app = bare_route(reply["body"].encode(), reply["headers"])
    uvicorn.run(  # as labeld.server.worker.ServerConfig, but for the limits
        app,
        port=int(sys.argv[1]),
        http="httptools",
        loop="uvloop",
        ws="none",
        interface="asgi3",
        access_log=False,
        log_level="warning",
        proxy_headers=False,
    )
