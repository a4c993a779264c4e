"""The memory of answers: bounded in bytes, least recently used first out, nothing older than its time."""

import random
import tracemalloc

from labeld.cache.memory import OVERHEAD, MemoryStore
from labeld.types import Answer

MIB = 1024 * 1024


class Clock:
    """A clock that is set."""

    now = 0.0

    def __call__(self) -> float:
        """Seconds."""
        return self.now


def answer(size: int = 60) -> Answer:
    """An answer of so many bytes, not shared with any other."""
    return Answer(random.randbytes(size), random.random())


def test_an_answer_is_read_back_and_replaced() -> None:
    """Under its own key only."""
    store, first, second = MemoryStore(MIB, 60.0), answer(), answer()
    store.put(b"a", first)
    assert (first, None) == (store.get(b"a"), store.get(b"b"))

    store.put(b"a", second)

    assert second == store.get(b"a")


def test_the_least_recently_used_leaves_first() -> None:
    """Reading counts as use."""
    store = MemoryStore(3 * (OVERHEAD + 60), 60.0)
    for key in (b"a", b"b", b"c"):
        store.put(key, answer())
    store.get(b"a")
    store.put(b"d", answer())

    assert [True, False, True, True] == [store.get(key) is not None for key in (b"a", b"b", b"c", b"d")]


def test_a_large_answer_makes_room_for_itself_and_no_more() -> None:
    """It takes the place of several small ones; one larger than everything is not kept, and removes only its own."""
    store = MemoryStore(4 * (OVERHEAD + 60), 60.0)
    for key in (b"a", b"b", b"c", b"d"):
        store.put(key, answer())
    store.put(b"e", answer(OVERHEAD + 120))
    assert [False, False, True, True, True] == [store.get(key) is not None for key in (b"a", b"b", b"c", b"d", b"e")]

    store.put(b"c", answer(MIB))

    assert [False, True, True] == [store.get(key) is not None for key in (b"c", b"d", b"e")]


def test_an_answer_is_forgotten_in_time() -> None:
    """Counted from when it was put, whether or not it was read meanwhile."""
    clock = Clock()
    store = MemoryStore(MIB, 10.0, clock)
    store.put(b"a", answer())
    clock.now = 9.0
    store.put(b"b", answer())
    assert store.get(b"a")

    clock.now = 10.0

    assert [False, True] == [store.get(key) is not None for key in (b"a", b"b")]


def test_without_memory_nothing_is_kept() -> None:
    """A limit of 0 switches it off."""
    store = MemoryStore(0, 60.0)
    store.put(b"a", answer())

    assert store.get(b"a") is None


def test_the_limit_holds_for_all_the_memory_that_answers_take() -> None:
    """Keys and Python's own objects included, for short answers and long ones, however many came; and most is used."""
    for size in (30, 100, 2000):
        tracemalloc.start()
        store = MemoryStore(2 * MIB, 60.0)
        for _ in range(4 * 2 * MIB // (OVERHEAD + size)):
            store.put(random.randbytes(32), answer(size))
        taken, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()

        assert MIB < taken <= 2 * MIB, (size, taken)


def test_what_is_too_old_makes_room() -> None:
    """As soon as it is asked for, so that nothing younger has to leave."""
    clock = Clock()
    store = MemoryStore(2 * (OVERHEAD + 60), 10.0, clock)
    store.put(b"a", answer())
    clock.now = 9.0
    store.put(b"b", answer())
    store.get(b"a")
    clock.now = 10.0
    store.get(b"a")

    store.put(b"c", answer())

    assert store.get(b"b")
