"""The forms of raw HTTP, and the judgement of what becomes of them."""

import pytest

from reliability.checks.raw import out_of_step
from reliability.lib.exchange import Outcome, Reply
from reliability.lib.form import OUTER, PROBE, SMUGGLED, Expect, Form
from reliability.lib.forms import every_form

GOOD = [Reply(200, OUTER), Reply(200, PROBE)]


def test_there_are_two_hundred() -> None:
    """Each with a name of its own, and with bytes unless it is about silence."""
    forms = every_form()

    assert len(forms) >= 200
    assert [] == [one.name for one in forms if not one.parts[0][1] and "nothing" not in one.name]


@pytest.mark.parametrize(
    ("expect", "replies", "is_wrong"),
    [
        (Expect.ANSWERED, GOOD, False),
        (Expect.ANSWERED, GOOD[:1], True),
        (Expect.ANSWERED, [Reply(200, OUTER), Reply(200, SMUGGLED), Reply(200, PROBE)], True),
        (Expect.REFUSED, [Reply(400, OUTER)], False),
        (Expect.REFUSED, [], False),
        (Expect.REFUSED, GOOD, True),
        (Expect.EITHER, GOOD, False),
        (Expect.EITHER, [Reply(400, "")], False),
        (Expect.EITHER, [Reply(200, PROBE), Reply(200, OUTER)], True),
        (Expect.ENDED, [], False),
        (Expect.ENDED, [Reply(200, SMUGGLED)], True),
    ],
)
def test_what_is_out_of_step(expect: Expect, replies: list[Reply], is_wrong: bool) -> None:
    """A hidden request that is answered always is; what follows a refused one must not be read."""
    form = Form("a form", ((0.0, b"x"),), expect)

    assert is_wrong is bool(out_of_step(form, Outcome(replies, b"", 0.1)))
