"""That the record notices what breaks the promise: a table of zeros is worth as much as this."""

from __future__ import annotations

from math import inf

import pytest

from tests.chaos.record import Counts, Said, Sent, Stretch, judged, refusals, unanswered

A, B, C = Said(1, "a", "A"), Said(2, "b", "B"), Said(3, "c", "C")


def once(*said: Said) -> list[Stretch]:
    """Heard by somebody to whom nothing may come twice."""
    return [Stretch(inf, list(said))]


def acknowledged(*log: Said) -> list[Sent]:
    return [Sent(said.key or "", said.text or "", 0.0, 1, said.sequence, answers=[said.sequence]) for said in log]


@pytest.mark.parametrize(
    ("stored", "heard", "expected"),
    [
        ([A, B, C], [A, B, C], Counts(3, 0, 0, 0, 0, 0)),
        ([A, B, C], [A, C], Counts(3, lost=1, repeated=0, reordered=0, phantom=0, refused_though_stored=0)),
        ([A, B], [A, B], Counts(3, lost=2, repeated=0, reordered=0, phantom=0, refused_though_stored=0)),
        ([A, C], [A, C], Counts(3, lost=3, repeated=0, reordered=0, phantom=0, refused_though_stored=0)),
        ([A, B, C], [A, B, B, C], Counts(3, lost=0, repeated=1, reordered=0, phantom=0, refused_though_stored=0)),
        ([A, B, C], [A, B, C, A], Counts(3, lost=0, repeated=1, reordered=0, phantom=0, refused_though_stored=0)),
        ([A, B, C], [A, C, B], Counts(3, lost=0, repeated=0, reordered=1, phantom=0, refused_though_stored=0)),
        ([A, B, C], [A, B, C, Said(4, "d", "D")], Counts(3, 0, 0, 0, phantom=1, refused_though_stored=0)),
        ([A, B, C], [A, B, Said(3, "c", "another text")], Counts(3, 0, 0, 0, phantom=1, refused_though_stored=0)),
    ],
)
def test_what_a_follower_heard_is_held_against_the_log(stored: list[Said], heard: list[Said], expected: Counts) -> None:
    assert judged(acknowledged(A, B, C), stored, [once(*heard)]) == expected
    assert judged(acknowledged(A, B, C), stored, [once(*heard)]).is_clean == (expected == Counts(3, 0, 0, 0, 0, 0))


def test_what_is_stored_must_be_heard_even_if_its_sender_never_knew() -> None:
    sent = Sent("a", "A", 0.0, attempts=3)
    assert judged([sent], [A], [once()]).lost == 1
    assert unanswered([sent]) == 1


def test_a_retry_that_made_a_second_shows() -> None:
    twice = [A, Said(2, "a", "A")]
    assert judged(acknowledged(A), twice, [once(*twice)]).repeated == 1


def test_a_refusal_of_what_is_stored_shows() -> None:
    sent = Sent("a", "A", 0.0, 1, refusal="FORBIDDEN")
    assert judged([sent], [A], [once(A)]) == Counts(1, 0, 0, 0, 0, refused_though_stored=1)
    assert judged([sent], [], [once()]).is_clean
    assert refusals([sent]) == {"FORBIDDEN": 1}


def test_an_answer_with_another_place_than_the_log_s_shows() -> None:
    sent = Sent("a", "A", 0.0, 2, sequence=1, answers=[1, 7])
    assert judged([sent], [A], [once(A)]).phantom == 1


@pytest.mark.parametrize(
    ("first", "confirmed", "then", "expected"),
    [
        ([A, B], 1, [B, C], Counts(3, 0, repeated=0, reordered=0, phantom=0, refused_though_stored=0)),
        ([A, B], 2, [B, C], Counts(3, 0, repeated=1, reordered=0, phantom=0, refused_though_stored=0)),
        ([A, B], 0, [A, B, B, C], Counts(3, 0, repeated=1, reordered=0, phantom=0, refused_though_stored=0)),
        ([A, B], 0, [B, A, C], Counts(3, 0, repeated=0, reordered=1, phantom=0, refused_though_stored=0)),
        ([A], 0, [A, C, B], Counts(3, 0, repeated=0, reordered=1, phantom=0, refused_though_stored=0)),
        ([A, C], 0, [B], Counts(3, 0, repeated=0, reordered=1, phantom=0, refused_though_stored=0)),
        ([A], 0, [C], Counts(3, lost=1, repeated=0, reordered=0, phantom=0, refused_though_stored=0)),
    ],
)
def test_who_comes_back_may_hear_again_what_was_not_confirmed_and_nothing_else(
    first: list[Said], confirmed: int, then: list[Said], expected: Counts
) -> None:
    heard = [Stretch(inf, first), Stretch(confirmed, then)]
    assert judged(acknowledged(A, B, C), [A, B, C], [heard]) == expected
