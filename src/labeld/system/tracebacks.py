"""Release of the objects that a handled error's tracebacks keep alive."""


def drop_tracebacks(error: BaseException) -> None:
    """Drops the tracebacks of an error that was handled, and of those that led to it.

    A traceback holds the local variables of every function that the error passed. Where one of them is a task or a
    future that keeps the error, they hold each other, and with them a request's body, until Python looks for garbage.
    """
    left: list[BaseException | None] = [error]
    done: set[int] = set()
    while left:
        one = left.pop()
        if one is not None and id(one) not in done:
            done.add(id(one))
            one.__traceback__ = None
            left += (one.__cause__, one.__context__)
