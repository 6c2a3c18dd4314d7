"""What is remembered of programs: as much as is asked for again."""

from dslc.diagnostics import Code, Diagnostic, Severity
from dslc.search.outcome import Outcome
from dslc.search.outcome_table import OutcomeTable
from dslc.search.recent_names import RecentNames

A, B, C = ("0" * 63 + digit for digit in "abc")


def fail(message: str) -> Outcome:
    return Outcome(None, {}, Diagnostic(Code.TASK_RAISED, Severity.ERROR, message))


def test_a_reward_comes_back_and_failures_share_one_of_their_code() -> None:
    table = OutcomeTable()
    table[A], table[B], table[C] = Outcome(0.5, {"epochs": 3.0}), fail("first"), fail("second")
    assert table[A] == table.get(A) == Outcome(0.5)
    assert table.get("f" * 64) is None
    assert table[C] is table[B]
    assert table[B].reward is None
    problem = table[B].diagnostic
    assert problem is not None
    assert problem.code is Code.TASK_RAISED
    assert (len(table), list(table), A in table, "f" * 64 in table) == (3, [A, B, C], True, False)
    table[A] = fail("later")
    assert table[A].reward is None


def test_metrics_stay_where_they_are_asked_for_again() -> None:
    table = OutcomeTable(keeps_metrics=True)
    outcome, failure = Outcome(0.5, {"value_1": 3.0}), fail("own")
    table[A], table[B] = outcome, failure
    assert table[A] is outcome
    assert table[B] is failure


def test_names_met_lately_are_kept_and_never_more_than_two_generations() -> None:
    recent = RecentNames(10)
    for i in range(1000):
        recent.keep((i,), (str(i), "text"))
        assert recent.find((0,)) == ("0", "text")  # asked for again and again, so it stays
        assert recent.find((i,)) == (str(i), "text")
    kept = [i for i in range(1000) if recent.find((i,)) is not None]
    assert 10 <= len(kept) <= 20
    assert kept[-9:] == list(range(991, 1000))
