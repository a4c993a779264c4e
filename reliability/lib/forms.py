"""Some 240 forms in which HTTP/1.1 is abused: smuggling, framing, slow and half-closed connections."""

from reliability.lib.form import Form
from reliability.lib.framing import both_lengths, chunks, lengths
from reliability.lib.heads import fields, pipelines, request_lines, slow


def every_form() -> list[Form]:
    """All of them, each with a name of its own."""
    found = [*both_lengths(), *lengths(), *chunks(), *request_lines(), *fields(), *pipelines(), *slow()]
    assert len({one.name for one in found}) == len(found), "two forms of one name"
    return found
