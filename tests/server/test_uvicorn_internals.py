"""Everything undocumented that labeld uses of uvicorn exists, and is named in one file."""

import asyncio
import logging
from importlib.metadata import version
from typing import Any

import pytest
import uvicorn
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from labeld.server import uvicorn_internals
from labeld.server.uvicorn_internals import USED, HttpToolsProtocol, ServerState
from tests.support.paths import PACKAGE


async def no_application(scope: Any, receive: Any, send: Any) -> None:
    """Never called."""


async def owners() -> dict[str, Any]:
    """An instance of each class, as uvicorn makes it, by the name that the table uses."""
    config, state = uvicorn.Config(no_application, ws="none", log_config=None), ServerState()
    transport = asyncio.Transport()
    flow, logger = FlowControl(transport), logging.getLogger("unused")
    cycle = RequestResponseCycle(
        {"type": "http"},  # type: ignore[typeddict-item]  # nothing looks at it
        transport=transport,
        flow=flow,
        logger=logger,
        access_logger=logger,
        access_log=False,
        default_headers=[],
        message_event=asyncio.Event(),
        expect_100_continue=False,
        keep_alive=True,
        on_response=print,
    )
    connection = HttpToolsProtocol(config, state, {})
    connection.on_message_begin()
    return {
        "uvicorn": uvicorn_internals,
        "HttpToolsProtocol": connection,
        "RequestResponseCycle": cycle,
        "FlowControl": flow,
        "ServerState": state,
        "Server": uvicorn.Server(config),
    }


@pytest.mark.parametrize("owner", USED)
def test_every_name_is_there(owner: str) -> None:
    """A version of uvicorn without one of the names is refused here, with what the name is used for."""
    found = asyncio.run(owners())[owner]
    missing = [
        f"uvicorn {version('uvicorn')} has no {owner}.{name}, which labeld uses: {reason}"
        for name, reason in USED[owner].items()
        if not hasattr(found, name)
    ]

    assert [] == missing, "\n".join(missing)


def test_one_file_imports_from_inside_uvicorn() -> None:
    """All others import `Config` and `Server`, which uvicorn documents."""
    inside = [
        str(path.relative_to(PACKAGE))
        for path in PACKAGE.rglob("*.py")
        if any(line.strip().startswith(("from uvicorn.", "import uvicorn.")) for line in path.read_text().splitlines())
    ]

    assert ["server/uvicorn_internals.py"] == inside
