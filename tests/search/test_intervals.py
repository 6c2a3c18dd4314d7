"""Intervals against scipy, and how often they hold the true value."""

import numpy as np
import pytest
from scipy import stats

from dslc.search.intervals import Interval, difference_interval, mean_interval, t_quantile


@pytest.mark.parametrize("freedom", [1, 1.3, 2, 3.7, 9, 19, 120, 5000])
@pytest.mark.parametrize("probability", [0.5, 0.9, 0.975, 0.999])
def test_quantiles_are_those_of_scipy(freedom: float, probability: float) -> None:
    assert t_quantile(probability, freedom) == pytest.approx(stats.t.ppf(probability, freedom), rel=1e-6, abs=1e-9)


def test_intervals_are_those_of_scipy() -> None:
    generator = np.random.default_rng(0)
    first, second = generator.normal(1, 1, 5), generator.normal(0, 3, 9)
    interval = mean_interval(first.tolist())
    assert interval is not None
    expected = stats.ttest_1samp(first, 0).confidence_interval(0.95)
    assert (interval.low, interval.high) == pytest.approx((expected.low, expected.high))
    difference = difference_interval(first.tolist(), second.tolist())
    assert difference is not None
    expected = stats.ttest_ind(first, second, equal_var=False).confidence_interval(0.95)
    assert (difference.low, difference.high) == pytest.approx((expected.low, expected.high))


def test_an_interval_holds_the_mean_as_often_as_it_says() -> None:
    generator = np.random.default_rng(1)
    count = 2000
    held = 0
    for values in generator.normal(0.5, 2, (count, 3)):
        interval = mean_interval(values)
        assert interval is not None
        assert interval.low is not None
        assert interval.high is not None
        held += interval.low <= 0.5 <= interval.high
    assert held / count == pytest.approx(0.95, abs=4 * (0.95 * 0.05 / count) ** 0.5)


def test_few_values() -> None:
    assert mean_interval([]) is None
    assert mean_interval([2.0]) == Interval(2.0, None, None)
    assert mean_interval([2.0, 2.0]) == Interval(2.0, 2.0, 2.0)
    assert difference_interval([], [1.0]) is None
    assert difference_interval([3.0], [1.0, 2.0]) == Interval(1.5, None, None)
    assert difference_interval([3.0, 3.0], [1.0, 1.0]) == Interval(2.0, 2.0, 2.0)
