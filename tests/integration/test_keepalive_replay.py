"""bench/keepalive: the replay runs, and the learned policy is worth what docs/keepalive.md says of it."""

import pytest

from harness import bench

keepalive = bench("keepalive")


@pytest.fixture(scope="module")
def week():
    """The functions with fewer than 3,000 calls a day: quick to replay, and the ones that a keep-alive is for."""
    def seldom(line):
        return sum(int(word.split(":")[1]) for word in line.split()[2:]) < 3000
    return keepalive.replay(7, seldom)


def test_longer_fixed_times_cost_more_and_start_less(week):
    assert week["functions"] > 100
    fixed = [p for p in week["policies"] if p["policy"].startswith("fixed")]
    assert week["policies"][0]["cold_all"] == 100 and week["policies"][0]["idle_hours"] == 0
    for shorter, longer in zip(fixed, fixed[1:]):
        assert shorter["cold_all"] > longer["cold_all"] and shorter["idle_hours"] < longer["idle_hours"]


def test_the_learned_policy_dominates_a_fixed_time_for_the_median_and_the_75th_percentile(week):
    said = keepalive.dominance(week)
    for share in ("cold_p50", "cold_p75"):
        beats, beaten = said[share]
        assert beats and not beaten, (share, said)


def test_the_table_and_the_plot_have_every_policy(week):
    table, plot = keepalive.table(week), keepalive.plot(week)
    assert all(f"| {p['policy']} |" in table for p in week["policies"])
    assert plot.count("<circle") == 2 * (len(week["policies"]) - 1)
