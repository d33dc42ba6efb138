from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from untrimmed.data.detections import Detection
from untrimmed.detection.streaming.once import REMEMBERED, Once


def slow(detections: list[Detection]) -> list[Detection]:
    """Which detections share no second with the actions that those before them of their class make up."""
    covered: dict[str, list[set[int]]] = {"a": [], "b": []}
    kept: list[Detection] = []
    for each in detections:
        seconds = set(range(int(each.start), int(each.end)))
        same = [action for action in covered[each.label] if action & seconds]
        if not same:
            kept.append(each)
        covered[each.label] = [action for action in covered[each.label] if action not in same]
        covered[each.label].append(seconds.union(*same))
    return kept


DETECTIONS = st.lists(
    st.tuples(st.integers(0, 20), st.integers(1, 8), st.sampled_from("ab")).map(
        lambda each: Detection(float(each[0]), float(each[0] + each[1]), each[2], 0.5)
    )
)


@given(DETECTIONS, st.integers(1, 5))
def test_what_goes_on_with_an_action_is_left_out(detections: list[Detection], size: int) -> None:
    once = Once()
    pieces = [detections[begin : begin + size] for begin in range(0, len(detections), size)]
    assert [each for piece in pieces for each in once.of(piece)] == slow(detections)


def test_a_chain_is_one_action_and_what_lies_beside_it_is_another() -> None:
    first, chained, further = Detection(3, 4, "a", 0.3), Detection(3, 9, "a", 0.9), Detection(8, 12, "a", 0.9)
    after, before, other = Detection(12, 13, "a", 0.4), Detection(1, 3, "a", 0.4), Detection(1, 5, "b", 0.4)
    once = Once()
    assert once.of([first]) == [first]
    assert once.of([chained, other, further, after, before]) == [other, after, before]


def test_memory_does_not_grow() -> None:
    once = Once()
    for second in range(10 * REMEMBERED):
        assert once.of([Detection(2.0 * second, 2.0 * second + 1, "a", 0.5)])
    assert sum(map(len, once._told.values())) == REMEMBERED
