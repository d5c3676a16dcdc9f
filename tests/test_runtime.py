"""Latencies that vary: distributions against closed forms, whole traces, throughput, and what is refused."""

import math
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optics4f.transduction import (
    Constant,
    LatencyBudget,
    Samples,
    ShiftedLogNormal,
    Stage,
    Traces,
    Uniform,
    distribution,
    distribution_from_dict,
    preset_case,
    readout_time,
)
from optics4f.transduction.plan import Hardware, Need, plans
from optics4f.units import Quantity, ms, us

COUNT = 100_000
ALL: list[Any] = [
    Constant("1 ms"),
    Uniform("1 ms", "3 ms"),
    ShiftedLogNormal("1 ms", "2 ms", 0.5),
    Samples(["1 ms", "2 ms", "6 ms"]),
]


def random_stage(name: str, spread: Any, **more: Any) -> Stage:
    return Stage(name, "host", spread, **more)


def budget_of(*spreads: Any) -> LatencyBudget:
    return LatencyBudget("test", tuple(random_stage(f"stage {n}", s) for n, s in enumerate(spreads)))


def share_error(share: float, count: int = COUNT) -> float:
    """Five standard deviations of the share of independent traces that lie below a point."""
    return 5 * math.sqrt(share * (1 - share) / count)


@pytest.mark.parametrize("spread", ALL, ids=lambda spread: spread.kind)
def test_the_mean_of_the_draws_is_the_mean(spread: Any) -> None:
    drawn = spread.draw(np.random.default_rng(1), COUNT)
    assert drawn.shape == (COUNT,) and drawn.dtype == np.float64
    # Five standard errors, and rounding for a constant.
    assert abs(drawn.mean() - spread.mean) <= 5 * drawn.std() / math.sqrt(COUNT) + 1e-15


@pytest.mark.parametrize("spread", ALL, ids=lambda spread: spread.kind)
def test_a_distribution_goes_to_a_dictionary_and_back(spread: Any) -> None:
    assert distribution_from_dict(spread.to_dict()) == spread


def test_quantiles_of_each_distribution_are_those_of_its_formula() -> None:
    rng = np.random.default_rng(2)
    uniform, normal = ALL[1].draw(rng, COUNT), ALL[2].draw(rng, COUNT)
    for share, z in ((0.5, 0.0), (0.9, 1.2815515655446004), (0.99, 2.3263478740408408)):
        at = 1e-3 + 2e-3 * share
        assert abs(np.mean(uniform < at) - share) < share_error(share)
        at = 1e-3 + 2e-3 * math.exp(0.5 * z)
        assert abs(np.mean(normal < at) - share) < share_error(share)


def test_a_sample_is_drawn_as_often_as_it_was_measured() -> None:
    drawn = Samples(["1 ms", "1 ms", "1 ms", "5 ms"]).draw(np.random.default_rng(3), COUNT)
    assert set(np.unique(drawn)) == {1e-3, 5e-3}
    assert abs(np.mean(drawn == 1e-3) - 0.75) < share_error(0.75)


def test_the_fit_finds_the_shift_the_scale_and_the_sigma() -> None:
    truth = ShiftedLogNormal("200 us", "80 us", 0.8)
    drawn = truth.draw(np.random.default_rng(4), 20_000)
    found = ShiftedLogNormal.fit([Quantity(t, "s") for t in drawn])
    # Standard errors found by 200 fits of other seeds: 0.8 us, 1.2 us and 0.011; five of them.
    assert abs(found.shift - truth.shift) < 4e-6
    assert abs(found.scale - truth.scale) < 6e-6
    assert abs(found.sigma - truth.sigma) < 0.055
    assert found.mu == pytest.approx(math.log(found.scale), rel=1e-15)


def test_the_fit_does_not_go_below_zero() -> None:
    # The best shift of these would be -10 ms.
    drawn = 20e-3 * np.random.default_rng(5).lognormal(0, 0.1, 2000) - 10e-3
    found = ShiftedLogNormal.fit([Quantity(t, "s") for t in drawn])
    median = float(np.median(drawn))
    assert found.shift == 0
    assert found.shift + found.scale == pytest.approx(median, rel=1e-12)  # rounding


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: Constant(1e-3), TypeError, "Constant value: expected a quantity with a unit"),
        (lambda: Constant("1 m"), TypeError, "Constant value: expected s"),
        (lambda: Constant("0 s"), ValueError, "Constant value: expected more than 0 s"),
        (lambda: Uniform("1 ms", 3), TypeError, "Uniform high: expected a quantity with a unit"),
        (lambda: Uniform("2 ms", "1 ms"), ValueError, "expected 0 <= low < high"),
        (lambda: Uniform("-1 ms", "1 ms"), ValueError, "expected 0 <= low < high"),
        (lambda: Uniform("1 ms", "1 ms"), ValueError, "expected 0 <= low < high"),
        (lambda: ShiftedLogNormal("-1 ms", "1 ms", 1.0), ValueError, "shift: expected 0 s or more"),
        (lambda: ShiftedLogNormal("0 ms", "0 ms", 1.0), ValueError, "scale: expected more than 0 s"),
        (lambda: ShiftedLogNormal("0 ms", "1 ms", 0.0), ValueError, "sigma: expected 0 < sigma < 10"),
        (lambda: ShiftedLogNormal("0 ms", "1 ms", math.nan), ValueError, "sigma: expected 0 < sigma < 10"),
        (lambda: ShiftedLogNormal("0 ms", "1 ms", "1"), TypeError, "sigma: expected a pure number"),  # type: ignore[arg-type]
        (lambda: ShiftedLogNormal.fit([1 * ms] * 19), ValueError, "expected at least 20 samples, got 19"),
        (lambda: ShiftedLogNormal.fit([1 * ms] * 30), ValueError, "expected a tail to the right"),
        (lambda: ShiftedLogNormal.fit([n * ms for n in range(30)]), ValueError, "a tail to the right"),
        (lambda: Samples([]), ValueError, "expected durations of 0 s or more"),
        (lambda: Samples(["0 s", "0 s"]), ValueError, "not all 0"),
        (lambda: Samples(["1 s", "-1 s"]), ValueError, "expected durations of 0 s or more"),
        (lambda: Samples(["1 s", 2]), TypeError, "Samples 2: expected a quantity with a unit"),
        (lambda: distribution({"uniform": ["1 ms"]}), ValueError, "expected a time with its unit"),
        (lambda: distribution({"mean": "1 ms"}), ValueError, "got the keys mean"),
        (lambda: distribution({}), ValueError, "got the keys of an empty table"),
        (lambda: distribution_from_dict({"kind": "gamma", "unit": "s"}), ValueError, "a kind among constant"),
        (lambda: distribution_from_dict({"kind": "constant", "unit": "ms"}), ValueError, "in 'ms'"),
        (lambda: distribution_from_dict({"kind": "constant", "unit": "s"}), ValueError, "the keys value"),
    ],
)
def test_a_distribution_refuses_what_it_cannot_mean(make: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        make()


def test_the_sum_of_two_uniforms_is_a_triangle() -> None:
    """The density of a sum is the convolution of the densities: percentiles of the total, not their sums."""
    totals = budget_of(Uniform("0 ms", "1 ms"), Uniform("0 ms", "1 ms")).traces(COUNT)
    for share in (0.1, 0.5, 0.9, 0.99):
        low = share < 0.5
        exact = 1e-3 * (math.sqrt(2 * share) if low else 2 - math.sqrt(2 * (1 - share)))
        assert abs(np.mean(totals.totals < exact) - share) < share_error(share)
        value, left, right = totals.percentile(100 * share)
        density = 1e3 * (math.sqrt(2 * share) if low else math.sqrt(2 * (1 - share)))
        assert abs(value - exact) < share_error(share) / density  # five standard errors of a quantile
        assert left < value < right
    assert totals.percentile(90).value < 1.7e-3  # the sum of the two p90 would be 1.8 ms


def test_the_sum_of_different_stages_is_the_convolution_of_their_densities() -> None:
    """A log-normal behind a fixed stage and a uniform one, against the convolution by quadrature."""
    spread = ShiftedLogNormal("1 ms", "1 ms", 0.5)
    totals = budget_of(Constant("2 ms"), Uniform("0 ms", "4 ms"), spread).traces(COUNT).totals
    u = (np.arange(4000) + 0.5) * 1e-6  # midpoints over the uniform stage
    for at in (5e-3, 6e-3, 7.5e-3, 9e-3):
        rest = np.maximum((at - 3e-3 - u) / 1e-3, 1e-12)
        share = float(np.mean([0.5 * math.erfc(-math.log(x) / (0.5 * math.sqrt(2))) for x in rest]))
        # Five deviations; the quadrature is good to 1e-6.
        assert abs(np.mean(totals < at) - share) < share_error(share) + 1e-6


def test_the_interval_of_a_percentile_covers_it_as_often_as_it_says() -> None:
    rng, hits, trials, count = np.random.default_rng(6), 0, 2000, 500
    for _ in range(trials):
        totals = np.sort(rng.random(count))
        _, low, high = Traces(("a",), totals[None], totals, 0).percentile(90)
        hits += low <= 0.9 <= high
    below = [math.comb(count, k) * 0.9**k * 0.1 ** (count - k) for k in range(count)]
    share = np.cumsum(below)
    low_rank = max(k for k in range(count) if share[k] <= 0.025)
    high_rank = min(k for k in range(count) if share[k] >= 0.975)
    exact = float(share[high_rank] - share[low_rank])
    assert exact >= 0.95
    assert abs(hits / trials - exact) < share_error(exact, trials)


def test_percentiles_are_order_statistics() -> None:
    totals = np.arange(1.0, 1001.0)
    traces = Traces(("a",), totals[None], totals, 0)
    assert traces.percentile(50).value == 500 and traces.percentile(99).value == 990
    low, high = traces.percentile(50)[1:]
    # Ranks of the median of 1000: 500 -+ 1.96 sqrt(1000)/2 = 469 and 532, to one rank.
    assert abs(low - 469) <= 1 and abs(high - 532) <= 1


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (lambda t: t.percentile(0), "expected 0 < percent < 100"),
        (lambda t: t.percentile(100), "expected 0 < percent < 100"),
        (lambda t: t.percentile(50, 1.0), "expected 0 < confidence < 1"),
        (lambda t: t.percentile(99.99), "expected more traces for 99.99 % at 95% confidence, got 200"),
        (lambda t: t.of_stage("x", 50), "expected one of stage 0, stage 1, got 'x'"),
    ],
)
def test_traces_refuse_what_they_cannot_tell(ask: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        ask(budget_of(*ALL[:2]).traces(200))


@pytest.mark.parametrize(("count", "seed", "words"), [(99, 0, "at least 100"), (1000, -1, "traces seed")])
def test_traces_need_a_count_and_a_seed(count: int, seed: int, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        budget_of(*ALL).traces(count, seed)


def test_traces_repeat_for_a_seed_and_add_up() -> None:
    budget = budget_of(*ALL)
    first, again, other = budget.traces(1000, 1), budget.traces(1000, 1), budget.traces(1000, 2)
    assert np.array_equal(first.stages, again.stages) and not np.array_equal(first.stages, other.stages)
    assert np.array_equal(first.totals, np.sort(first.stages.sum(axis=0)))
    assert (first.count, first.seed, first.stages.shape) == (1000, 1, (4, 1000))


def test_a_change_of_one_stage_leaves_the_draws_of_the_others() -> None:
    first = budget_of(*ALL).traces(1000)
    second = budget_of(Constant("9 ms"), *ALL[1:]).traces(1000)
    assert np.array_equal(first.stages[1:], second.stages[1:])


def test_samples_of_one_run_stay_together() -> None:
    """A run that was slow in the driver was slow in the back end: their sum varies as measured."""
    slow, fast = Samples(["1 ms", "9 ms"], run="monday"), Samples(["9 ms", "1 ms"], run="monday")
    together = budget_of(slow, fast).traces(1000)
    assert np.allclose(together.totals, 10e-3, rtol=1e-15)  # 1 + 9 or 9 + 1, rounding
    apart = budget_of(Samples(["1 ms", "9 ms"]), Samples(["9 ms", "1 ms"])).traces(COUNT)
    assert abs(np.mean(apart.totals < 5e-3) - 0.25) < share_error(0.25)
    with pytest.raises(
        ValueError, match="expected 2 samples as in the other stages of the run 'monday', got 1"
    ):
        budget_of(slow, Samples(["1 ms"], run="monday")).traces(1000)


def test_means_add_and_percentiles_do_not() -> None:
    budget = budget_of(*ALL)
    traces = budget.traces(COUNT)
    assert budget.total_s == math.fsum(spread.mean for spread in ALL)
    error = 5 * traces.totals.std() / math.sqrt(COUNT)  # five standard errors of a mean
    assert abs(traces.mean - budget.total_s) < error
    assert budget.p(99) < sum(traces.of_stage(name, 99) for name in traces.names)


def test_a_budget_of_constants_needs_no_traces() -> None:
    budget = budget_of(Constant("1 ms"), Constant("2 ms"))
    assert budget.is_constant and budget.p(99) == budget.total_s == 3e-3
    assert "percentiles" not in budget.to_dict() and "distribution" not in budget.to_dict()["stages"][0]
    value, low, high = budget.traces(200).percentile(50)
    assert value == low == high == 3e-3


def test_the_dictionary_of_a_budget_that_varies_has_percentiles_and_distributions() -> None:
    budget = budget_of(*ALL)
    content = budget.to_dict()
    p99 = content["percentiles"]["p99"]
    assert p99["value"] == budget.p(99) and p99["unit"] == "s"
    assert p99["interval"]["value"][0] < p99["value"] < p99["interval"]["value"][1]
    assert content["stages"][1]["distribution"] == ALL[1].to_dict()
    assert str(budget).endswith(f"p99 {p99['text']}")


def test_throughput_is_one_over_the_slowest_stage_and_without_overlap_one_over_the_sum() -> None:
    budget = budget_of(Constant("1 ms"), Uniform("0 ms", "8 ms"), Constant("3 ms"))
    assert budget.rate(2) == budget.rate(5) == pytest.approx(1 / 4e-3, rel=1e-15)  # the mean of U(0, 8 ms)
    assert budget.rate(1) == pytest.approx(1 / 8e-3, rel=1e-15)
    assert budget.bottleneck.name == "stage 1"
    for wrong in (0, -1, 1.5, True):
        with pytest.raises(ValueError, match="buffers: expected a whole number above 0"):
            budget.rate(wrong)  # type: ignore[arg-type]


def test_throughput_agrees_with_a_chain_simulated_frame_by_frame() -> None:
    """Two buffers at every hand-over: frame n leaves stage i when both are free; the rate in steady state."""
    times = [1e-3, 2.5e-3, 0.7e-3, 2e-3]
    ends = np.zeros(len(times))
    left = []
    for _ in range(400):
        ready = 0.0
        for i, duration in enumerate(times):
            ready = max(ready, ends[i]) + duration
            ends[i] = ready
        left.append(ready)
    steady = (len(left) - 101) / (left[-1] - left[100])
    budget = budget_of(*(Constant(Quantity(t, "s")) for t in times))
    assert budget.rate(2) == pytest.approx(steady, rel=1e-12)  # rounding of 400 sums
    assert all(b - a >= max(times) - 1e-12 for a, b in pairwise(left))


def test_a_stage_that_waits_delivers_once_per_period() -> None:
    wait = random_stage("wait", Uniform("0 s", "10 ms"), period="10 ms")
    budget = LatencyBudget("test", (wait, random_stage("work", Constant("6 ms"))))
    assert (wait.duration, wait.occupied) == (5e-3, 10e-3)
    assert budget.bottleneck is wait
    assert budget.rate() == pytest.approx(100, rel=1e-15)  # not 200, as the mean wait would say
    assert budget.rate(1) == pytest.approx(1 / 11e-3, rel=1e-15)
    assert budget.to_dict()["stages"][0]["period"]["value"] == 10e-3
    quick = LatencyBudget("test", (wait, random_stage("work", Constant("1 ms"))))
    assert quick.rate(1) == pytest.approx(100, rel=1e-15)  # one per frame, although the mean is 6 ms


def test_a_picture_must_stand_while_it_is_exposed() -> None:
    stages = (
        Stage("display load", "display", "1 ms"),
        Stage("display settle", "display", "2 ms"),
        Stage("exposure", "exposure", "3 ms"),
        Stage("sensor readout", "readout", "4 ms"),
    )
    assert LatencyBudget("test", stages).standing == pytest.approx(5e-3, rel=1e-15)
    assert LatencyBudget("test", stages[2:]).standing is None


def test_absent_kinds_are_not_missing_and_must_be_absent() -> None:
    stage = Stage("back end", "back_end", "1 ms")
    assert "display" in LatencyBudget("test", (stage,)).missing
    assert "display" not in LatencyBudget("test", (stage,), absent=("display",)).missing
    for wrong in ("back_end", "magic"):
        with pytest.raises(ValueError, match=f"expected absent kinds that no stage has, got {wrong}"):
            LatencyBudget("test", (stage,), absent=(wrong,))


def test_readout_is_rows_times_row_time() -> None:
    # Genie Nano M2450, standard 8 bit: 2056 rows of 6.25 us and 28 more lines: 76 frames per second at most.
    seconds = readout_time(2056, "6.25 us", 28 * 6.25 * us)
    assert seconds == pytest.approx((2056 + 28) * 6.25e-6, rel=1e-14)  # rounding
    assert int(1 / seconds) == 76
    assert readout_time(7, "2 us", "1 us", binning=2) == pytest.approx(9e-6, rel=1e-14)  # 4 rows
    with pytest.raises(ValueError, match="rows: expected a whole number above 0, got 0"):
        readout_time(0, "1 us")
    with pytest.raises(ValueError, match=r"binning: expected a whole number above 0, got 1\.5"):
        readout_time(8, "1 us", binning=1.5)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="frame overhead: expected 0 s or more"):
        readout_time(8, "1 us", "-1 us")
    with pytest.raises(TypeError, match="row time: expected a quantity"):
        readout_time(8, 1e-6)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(1e-6, 1e-1), min_size=2, max_size=6), st.floats(0.1, 1.0), st.data())
def test_a_faster_stage_never_slows_any_percentile(widths: list[float], factor: float, data: Any) -> None:
    chosen = data.draw(st.integers(0, len(widths) - 1))
    faster = [w * factor if n == chosen else w for n, w in enumerate(widths)]
    slow, fast = (
        budget_of(*(Uniform("0 s", Quantity(w, "s")) for w in case)).traces(500) for case in (widths, faster)
    )
    for percent in (50, 90):
        assert fast.percentile(percent).value <= slow.percentile(percent).value


def test_a_stage_that_comes_several_times_is_drawn_several_times() -> None:
    """Variances of independent draws add: 5 standard errors of 100 000 traces."""
    once = Stage("link", "transduction", Uniform("1 ms", "3 ms"), period="4 ms")
    thrice = once.repeated(3)
    drawn = LatencyBudget("three frames", (thrice,)).traces().totals
    assert float(drawn.mean()) == pytest.approx(6e-3, abs=5 * 1e-3 / math.sqrt(1e5))
    assert float(drawn.var()) == pytest.approx(3 * (2e-3) ** 2 / 12, rel=5 * math.sqrt(2 / 1e5))
    assert thrice.occupied == pytest.approx(12e-3, rel=1e-12)
    assert distribution_from_dict(thrice.to_dict()["distribution"]) == thrice.distribution
    assert Stage("light", "optics", "2 ns").repeated(5).duration == pytest.approx(10e-9, rel=1e-12)
    with pytest.raises(ValueError, match="Repeated times: expected a whole number above 0, got 0"):
        once.repeated(0)


def test_a_plan_feeds_the_budget() -> None:
    """Four exposures of a four-step readout take the camera's stages four times, and the light is on once."""
    need = Need(inputs=1, outputs=4, picture=(32, 32), kernel=(5, 5))
    hardware = Hardware(display=(1080, 1920), mask=(1080, 1920), sensor=(2048, 2448), bits=8)
    plan = next(p for p in plans(need, hardware) if p.readout == "four-step" and p.fits)
    case = preset_case("paper-2022-complete")
    planned = case.with_plan(plan)
    one = replace(planned, content={**planned.content, "exposures": 1}).budget()
    found = {stage.name: stage.duration for stage in planned.budget().stages}
    for stage in one.stages:
        times = plan.exposures if stage.kind not in ("display", "back_end") else 1
        assert found[stage.name] == pytest.approx(times * stage.duration, rel=1e-12)
    sent = next(stage for stage in one.stages if stage.name == "transduction")
    assert sent.duration == pytest.approx(8 * plan.frame_bytes / 2500e6, rel=1e-12)
    short = next(p for p in plans(replace(need, outputs=4096), hardware) if not p.fits)
    with pytest.raises(ValueError, match=r"expected a plan that fits, got one that needs .* times"):
        case.with_plan(short)
