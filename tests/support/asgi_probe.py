"""A small ASGI application served by labeld's own server processes, and the client side that tests need for it.

As a script it serves: `python asgi_probe.py '{"listen": {…}, "connections": {…}, "process": {…}, "start": "fail"}'`,
and `"reload": "…"` is the start of the workers after SIGHUP.
"""

import asyncio
import contextlib
import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

END_LIFESPAN = asyncio.Event()
LEAVING = asyncio.Event()
SOURCES = Path(__file__).parents[2] / "src"


async def body_of(receive):
    """The whole body, and whether the client is still there."""
    body = b""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return body, False
        body += message["body"]
        if not message["more_body"]:
            return body, True


async def reply(send, status, value, headers=()):
    """One JSON reply."""
    body = json.dumps(value).encode()
    fields = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body)), *headers]
    await send({"type": "http.response.start", "status": status, "headers": fields})
    await send({"type": "http.response.body", "body": body})


async def lifespan(address, start, receive, send):
    """Say on stdout who serves where."""
    await receive()
    if start.startswith("slow"):
        await asyncio.sleep(float(start.split()[1]))
    if start.endswith("fail"):
        await send({"type": "lifespan.startup.failed", "message": "No model is there."})
        return
    await send({"type": "lifespan.startup.complete"})
    os.write(1, f"ready {address.url} pid {os.getpid()} at {time.time()}\n".encode())  # one write: workers share it
    asked, ends = asyncio.ensure_future(receive()), asyncio.ensure_future(END_LIFESPAN.wait())
    await asyncio.wait({asked, ends}, return_when=asyncio.FIRST_COMPLETED)
    if ends.done():
        raise RuntimeError("the lifespan ends")
    await send({"type": "lifespan.shutdown.complete"})


async def answer(scope, receive, send, file, start):
    """The routes; each path is a behaviour."""
    if scope["path"] == "/too-large":  # as an application does that looks at Content-Length only
        await reply(send, 413, {"error": "too large"}, [(b"connection", b"close")])
        return
    body, there = await body_of(receive)
    if not there:
        return
    if scope["path"] == "/ready" and LEAVING.is_set():
        await reply(send, 503, {"error": "leaving"}, [(b"retry-after", b"1")])
        return
    if scope["path"] == "/half":
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"4")]})
        os.kill(os.getpid(), signal.SIGKILL)
    misbehave(scope["path"], body, file)
    if scope["path"].startswith("/sleep/"):
        await asyncio.sleep(float(scope["path"].removeprefix("/sleep/")))
    if scope["path"] == "/big":
        await reply(send, 200, "x" * 8_000_000)
        return
    names = [name.decode() for name, _ in scope["headers"]]
    said = {"bytes": len(body), "path": scope["path"], "pid": os.getpid(), "headers": names, "start": start}
    await reply(send, 200, said)


def misbehave(path, body, file):
    """What an application or a library may do to its process."""
    if path == "/exit":
        os._exit(70)
    if path == "/end-lifespan":
        END_LIFESPAN.set()
    if path == "/block":
        time.sleep(60)  # the event loop stands still
    if path == "/write":  # as a library does that has something to say
        with contextlib.suppress(BlockingIOError):
            os.write(2, body)
    if path == "/sigbus":
        file.touch()
        os.kill(os.getpid(), signal.SIGBUS)


def make_app(start, address):
    """The application; runs in the worker. A `start` that is a path counts from when the file exists, as its text."""
    file = Path(start)
    if file.is_absolute():
        start = (file.read_text() or "raise") if file.exists() else ""
    if start == "once":  # the next worker fails
        file.write_text("fail")
    if start == "raise":
        raise RuntimeError("broken application")
    if start == "exit":
        os._exit(70)

    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            await lifespan(address, start, receive, send)
        else:
            await answer(scope, receive, send, file, start)

    app.leave = LEAVING.set
    return app


class Probe:
    """A running server: its supervisor's process, its address and what it printed."""

    def __init__(self, stderr=subprocess.PIPE, before_start=None, **options):
        environment = {**os.environ, "PYTHONPATH": str(SOURCES)}
        command = [sys.executable, __file__, json.dumps(options)]
        self.process = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
            bufsize=0,
            start_new_session=True,  # no controlling terminal, as under a service manager
            preexec_fn=before_start,  # noqa: PLW1509  # tests have no other threads then
        )

    def wait_ready(self, timeout=15.0):
        """The next ready line's worker pid; sets `port`."""
        if not select.select([self.process.stdout], [], [], timeout)[0]:
            raise TimeoutError("no worker became ready")
        line = self.process.stdout.readline().decode()  # unbuffered, so that `select` sees the next line
        port, pid = re.fullmatch(r"ready http://\S+:(\d+) pid (\d+) at \S+\n", line).groups()
        self.port = int(port)
        return int(pid)

    def connect(self, timeout=10.0, host="127.0.0.1"):
        """A plain socket."""
        return socket.create_connection((host, self.port), timeout=timeout)

    def ask(self, data, **options):
        """Send raw bytes on a fresh connection and read until the server closes or one reply is complete."""
        with self.connect(**options) as connection:
            connection.sendall(data)
            return read_reply(connection)

    def end(self, sig=signal.SIGTERM):
        """Send a signal; returns the exit code and stderr."""
        if self.process.poll() is None:
            self.process.send_signal(sig)
        _, errors = self.process.communicate(timeout=15)
        return self.process.returncode, errors.decode()


@contextlib.contextmanager
def probe(**options):
    """A probe that is ready; whatever happens, nothing of it outlives the test."""
    running = Probe(**options)
    try:
        running.worker = running.wait_ready()
        yield running
    finally:
        running.process.kill()
        running.process.communicate(timeout=10)


class Reply:
    """A parsed reply."""

    def __init__(self, head, body):
        first, *lines = head.decode("latin-1").split("\r\n")
        self.status = int(first.split()[1])
        self.headers = dict(line.lower().split(": ", 1) for line in lines)
        self.body = body

    @property
    def error(self):
        """The refusal's sentence."""
        return json.loads(self.body)["error"]


def read_reply(connection):
    """One reply from a socket; None where the server closed without any. Raises ConnectionResetError on a reset."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(65536)
        if not piece:
            assert data == b""
            return None
        data += piece
    head, body = data.split(b"\r\n\r\n", 1)
    length = int(re.search(rb"content-length: (\d+)", head)[1])
    while len(body) < length:
        piece = connection.recv(65536)
        assert piece, "the reply is cut off"
        body += piece
    parsed = Reply(head, body[:length])
    parsed.rest = body[length:]
    return parsed


def request(path="/", body=b"", headers=()):
    """The bytes of a good request."""
    lines = [f"POST {path} HTTP/1.1", "host: localhost", f"content-length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def alive(pid):
    """Whether a process exists and is not a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):  # the latter when it ends between opening and reading
        return False


def wait_until(condition, timeout=10.0):
    """Whether the condition came true in time."""
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return False


def main():
    """Serve as the argument says."""
    from labeld.config.settings import ConnectionLimits, Listen
    from labeld.server.run import serve
    from labeld.server.worker import ProcessOptions

    options = json.loads(sys.argv[1])
    sys.exit(
        serve(
            partial(make_app, options.get("start", "")),
            Listen(**{"port": 0, **options.get("listen", {})}),
            ConnectionLimits(**options.get("connections", {})),
            ProcessOptions(**{"drain_timeout": 5.0, **options.get("process", {})}),
            lambda old: replace(old, app_factory=partial(make_app, options.get("reload", options.get("start", "")))),
        )
    )


if __name__ == "__main__":
    main()
