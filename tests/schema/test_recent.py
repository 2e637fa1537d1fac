from __future__ import annotations

from schema.recent import Recent


def test_what_was_asked_for_least_recently_goes_first() -> None:
    recent = Recent[str, int](max_size=3)
    for number, key in enumerate("abc"):
        recent.keep(key, number, 1)
    assert recent.get("a") == 0
    recent.keep("d", 3, 1)
    assert [recent.get(key) for key in "abcd"] == [0, None, 2, 3]


def test_sizes_are_bounded_and_not_numbers() -> None:
    recent = Recent[str, int](max_size=10)
    recent.keep("a", 1, 4)
    recent.keep("b", 2, 4)
    recent.keep("c", 3, 8)
    assert ([recent.get(key) for key in "abc"], recent.size, len(recent)) == ([None, None, 3], 8, 1)


def test_what_is_larger_than_all_makes_nothing_go() -> None:
    recent = Recent[str, int](max_size=10)
    recent.keep("a", 1, 4)
    recent.keep("b", 2, 11)
    assert (recent.get("a"), recent.get("b"), recent.size) == (1, None, 4)


def test_what_is_kept_again_counts_once() -> None:
    recent = Recent[str, int](max_size=10)
    recent.keep("a", 1, 6)
    recent.keep("a", 2, 7)
    assert (recent.get("a"), recent.size, len(recent)) == (2, 7, 1)
