"""The path of a new user: start, follow the link, make a token, copy code, run it, see the same bars, revoke."""

import json
import os
import subprocess
import tempfile
import time
from pathlib import Path

import requests
from playwright.sync_api import Page, expect

from tests.support.browser import Visitor
from tests.support.server_process import Server, serving, wait_until

TEXT = "The hotel was clean, but nobody smiled."
MODEL = "/models/labeld/sentiment-en"
REVOKED_SECONDS = 2.0

Ranking = list[tuple[str, str]]


def run_node(code: str, token: str, inference_package: Path) -> "subprocess.CompletedProcess[str]":
    """The copied JavaScript in Node, which has the token in its environment."""
    with tempfile.TemporaryDirectory(dir=inference_package) as folder:
        script = Path(folder) / "copied.mjs"
        script.write_text(code, encoding="utf-8")
        return subprocess.run(
            ["node", str(script)],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            env={**os.environ, "HF_TOKEN": token},
        )


def run_curl(code: str, token: str) -> str:
    """The output of the copied cURL in a terminal."""
    done = subprocess.run(
        ["bash", "-c", code],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
        env={**os.environ, "HF_TOKEN": token},
    )
    return done.stdout


def copied(page: Page, client: str) -> str:
    """The clipboard after the Copy button of this client's code."""
    page.locator(f"label[for=client-{client}]").click()
    page.locator(f"#tab-{client}").get_by_role("button", name="Copy").click()
    page.wait_for_timeout(200)
    code: str = page.evaluate("navigator.clipboard.readText()")
    assert "HF_TOKEN" in code
    return code


def bars(page: Page) -> Ranking:
    """Labels and scores of the widget."""
    page.locator("#compute").click()
    expect(page.locator("#result")).to_be_visible()
    expect(page.locator("#compute")).to_have_text("Compute")
    rows = page.locator("#ranking li").all()
    return [(row.locator(".label").inner_text(), row.locator(".score").inner_text()) for row in rows]


def make_token(page: Page, name: str, role: str) -> str:
    """Makes a token in the form, and goes back to the list."""
    page.get_by_label("Name").fill(name)
    page.get_by_label(role).check()
    page.get_by_role("button", name="Make the access token").click()
    token = page.get_by_label("Access token", exact=True).input_value()
    assert token.startswith("hf_")
    page.get_by_role("link", name="Done").click()
    return token


def seconds_accepted(server: Server, token: str) -> float:
    """For how long any worker still takes the token: until the last answer that is not 401, watched for 4 s."""
    began, accepted = time.monotonic(), 0.0
    while time.monotonic() - began < 2 * REVOKED_SECONDS:
        headers = {"authorization": f"Bearer {token}"}
        reply = requests.post(server.url + MODEL, json={"inputs": TEXT}, headers=headers, timeout=10)
        if reply.status_code != 401:
            accepted = time.monotonic() - began
        time.sleep(0.02)
    return accepted


def is_closed(server: Server) -> bool:
    """Whether nobody is answered without a token any more, by whichever worker takes the connection."""
    return {401} == {requests.get(f"{server.url}/info", timeout=10).status_code for _ in range(12)}


def test_from_the_first_start_to_a_revoked_token(tmp_path: Path, visitor: Visitor, inference_package: Path) -> None:
    """All of it with one browser, one Node and one terminal, against two workers."""
    with serving(tmp_path, "--workers", "2") as server:
        path = server.sign_in_link().removeprefix(server.url)
        page = visitor.open(server, path, permissions=["clipboard-read", "clipboard-write"])
        page.get_by_role("button", name="Sign in with this browser").click()
        expect(page.get_by_text("until the first access token is made")).to_be_visible()
        token = make_token(page, "my script", "inference")
        assert wait_until(lambda: is_closed(server)), "a worker never heard of the token"

        page.goto(f"{server.url}/models")
        page.get_by_role("link", name="labeld/sentiment-en").first.click()
        page.locator("#text").fill(TEXT)
        shown = bars(page)
        node = run_node(copied(page, "inference"), token, inference_package)
        assert 0 == node.returncode, node.stderr
        in_terminal = json.loads(run_curl(copied(page, "curl"), token))[0]

        assert 2 == len(shown)
        assert shown == [(label, score) for score, label in (line.split(" ", 1) for line in node.stdout.splitlines())]
        assert shown == [(one["label"], f"{one['score']:.3f}") for one in in_terminal]

        page.get_by_role("link", name="Access tokens").click()
        page.get_by_role("link", name="Revoke my script").click()
        page.get_by_role("button", name="Revoke it").click()
        expect(page.get_by_text("my script is revoked")).to_be_visible()
        assert seconds_accepted(server, token) < REVOKED_SECONDS
        page.goto(f"{server.url}{MODEL}")
        refused = run_node(copied(page, "inference"), token, inference_package)
        assert 0 != refused.returncode
        assert "Invalid username or password" in refused.stderr
