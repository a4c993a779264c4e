"""The interfaces through which labeld is called, and how each writes what the sentence of an error names.

An error carries facts. `LabeldError.sentence` puts them into the words of the interface that the caller used, so that
a way out is one that the caller has: a JSON member, a keyword argument, or a flag.
"""

from enum import Enum, auto


class Interface(Enum):
    """One way to call labeld."""

    HTTP = auto()
    DIALECT = auto()
    """HTTP in the shape of another server, whose bodies have parameters beside their texts."""
    PYTHON = auto()
    COMMAND_LINE = auto()

    def text(self, index: int | None = None) -> str:
        """`text 3 of inputs`, by its position in the list; the command line counts from 1. None is any text."""
        if self is Interface.COMMAND_LINE:
            return "a text" if index is None else f"text {index + 1}"
        text = "a text" if index is None else f"text {index}"
        return text if self is Interface.DIALECT else f"{text} of `inputs`"

    def parameter(self, name: str) -> str:
        """A parameter of rankings, such as `parameters.top_k`, `top_k` or `--top-k`."""
        if self is Interface.COMMAND_LINE:
            return f"`--{name.replace('_', '-')}`"
        return f"`parameters.{name}`" if self is Interface.HTTP else f"`{name}`"

    def values(self, allowed: str) -> str:
        """A description of values in which {null}, {true} and {false} stand for those of JSON or of Python."""
        python = self is Interface.PYTHON
        return allowed.format(
            null="None" if python else "null", true="True" if python else "true", false="False" if python else "false"
        )

    @property
    def way(self) -> "Interface":
        """HTTP for a dialect as well: for sentences that name no member of a body."""
        return Interface.HTTP if self is Interface.DIALECT else self

    def setting(self, name: str) -> str:
        """A setting by its name, or for whoever starts the process by its environment variable."""
        return name if self.way is Interface.HTTP else f"LABELD_{name.upper()}"

    @property
    def truncation(self) -> str:
        """The advice to have long texts truncated."""
        return {
            Interface.HTTP: 'send "parameters": {"truncation": true}',
            Interface.DIALECT: 'send "max_length" to have it cut, or "stride": 16 to have all of it read in windows',
            Interface.PYTHON: "pass truncation=True",
            Interface.COMMAND_LINE: "add --truncation",
        }[self]

    @property
    def log(self) -> str:
        """The log with the cause of a failure."""
        return "the log of the server" if self.way is Interface.HTTP else "the log"
