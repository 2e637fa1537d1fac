"""What was said, what was heard, what is stored; and what the three say about the promise. No I/O."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from itertools import pairwise


@dataclass
class Sent:
    """One message of a sender's, under its key. The last word on it is an acknowledgement, a refusal or neither.

    ``begun`` and ``seconds`` (from the first attempt to the acknowledgement) are by the monotonic clock.
    """

    key: str
    text: str
    begun: float
    attempts: int = 0
    sequence: int | None = None
    refusal: str | None = None
    seconds: float | None = None
    answers: list[int] = field(default_factory=list)

    @property
    def is_acknowledged(self) -> bool:
        return self.sequence is not None


@dataclass(frozen=True)
class Said:
    """An entry of the log, as stored or as a follower heard it."""

    sequence: int
    key: str | None
    text: str | None


@dataclass
class Stretch:
    """What a follower heard from coming, or coming back, until the next time.

    ``confirmed`` is the highest sequence that may not come again then: what came after it was still unconfirmed.
    """

    confirmed: float
    said: list[Said] = field(default_factory=list)


@dataclass(frozen=True)
class Counts:
    """Each is to be zero, but for ``sent``. ``lost`` and the two after it are summed over all followers.

    ``repeated`` is what came again though it was confirmed; of a follower that says where it is, whatever came again.
    """

    sent: int
    lost: int
    repeated: int
    reordered: int
    phantom: int
    refused_though_stored: int

    @property
    def is_clean(self) -> bool:
        return not (self.lost or self.repeated or self.reordered or self.phantom or self.refused_though_stored)


def judged(sent: Collection[Sent], stored: Sequence[Said], heard: Collection[Sequence[Stretch]]) -> Counts:
    """``stored`` is the room's whole log; each of ``heard`` is what one follower heard, who follows from its beginning.

    More is asked than of acknowledged messages alone: whatever is in the log must be heard by everyone, the log has no
    hole, no key made two messages, and the place that was acknowledged is the one that is stored.
    """
    return Counts(
        sent=len(sent),
        lost=lost_by_the_log(sent, stored) + sum(lost_by(all_of(one), sent, stored) for one in heard),
        repeated=made_twice(stored) + sum(repeated_in(one) for one in heard),
        reordered=sum(reordered_in(one) for one in heard),
        phantom=misplaced(sent, stored) + sum(phantoms_in(all_of(one), sent, stored) for one in heard),
        refused_though_stored=refused_though_stored(sent, stored),
    )


def lost_by_the_log(sent: Collection[Sent], stored: Sequence[Said]) -> int:
    """What was acknowledged and is not there, and the holes."""
    keys = {said.key for said in stored}
    missing = sum(each.is_acknowledged and each.key not in keys for each in sent)
    last = max((said.sequence for said in stored), default=0)
    return missing + len(set(range(1, last + 1)) - {said.sequence for said in stored})


def lost_by(heard: Sequence[Said], sent: Collection[Sent], stored: Sequence[Said]) -> int:
    wanted = {each.key for each in sent if each.is_acknowledged} | {said.key for said in stored}
    return len(wanted - {said.key for said in heard})


def made_twice(stored: Sequence[Said]) -> int:
    """Every message of a run has a text of its own, so a retry that made a second shows by its text."""
    return len(stored) - len({said.text for said in stored})


def all_of(heard: Sequence[Stretch]) -> list[Said]:
    return [said for stretch in heard for said in stretch.said]


def repeated_in(heard: Sequence[Stretch]) -> int:
    """What came twice in one stretch, and what came again in a later one though it was confirmed."""
    repeated, before = 0, set[int]()
    for stretch in heard:
        now = [said.sequence for said in stretch.said]
        confirmed = {sequence for sequence in before if sequence <= stretch.confirmed}
        repeated += len(now) - len(set(now)) + len(confirmed.intersection(now))
        before.update(now)
    return repeated


def reordered_in(heard: Sequence[Stretch]) -> int:
    """How often a follower was sent back, be it among what came again; what came again is not out of order for that."""
    reordered, before = 0, set[int]()
    for stretch in heard:
        now = list(dict.fromkeys(said.sequence for said in stretch.said))
        reordered += steps_back([sequence for sequence in now if sequence in before])
        before.update(now)
    return reordered + steps_back(list(dict.fromkeys(said.sequence for said in all_of(heard))))


def steps_back(sequences: Sequence[int]) -> int:
    return sum(later < earlier for earlier, later in pairwise(sequences))


def misplaced(sent: Collection[Sent], stored: Sequence[Said]) -> int:
    """Answers, to whatever attempt, that told another place than the one where the message is stored."""
    places = {said.key: said.sequence for said in stored}
    return sum(place != places.get(each.key, place) for each in sent for place in each.answers)


def phantoms_in(heard: Sequence[Said], sent: Collection[Sent], stored: Sequence[Said]) -> int:
    attempted, in_log = {(each.key, each.text) for each in sent}, set(stored)
    return sum((said.key, said.text) not in attempted or said not in in_log for said in heard)


def refused_though_stored(sent: Collection[Sent], stored: Sequence[Said]) -> int:
    keys = {said.key for said in stored}
    return sum(each.refusal is not None and each.key in keys for each in sent)


def refusals(sent: Collection[Sent]) -> Counter[str]:
    """Nobody in these runs asks for anything that may be refused."""
    return Counter(each.refusal for each in sent if each.refusal is not None)


def unanswered(sent: Collection[Sent]) -> int:
    return sum(each.sequence is None and each.refusal is None for each in sent)


def slowest(sent: Collection[Sent]) -> float:
    """Seconds from the first attempt to the acknowledgement, of what was acknowledged."""
    return max((each.seconds for each in sent if each.seconds is not None), default=0.0)
