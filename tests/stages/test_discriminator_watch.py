"""When a discriminator is said to have won, or never to have learnt."""

import json

import numpy as np
import pytest

from gluon_madapt.stages.discriminator_watch import CHANCE, DiscriminatorWatch
from gluon_madapt.training.course import PARTS, Course

WATCH = DiscriminatorWatch({"D1": 1e-3})


def course_of(accuracies, iterations=1000, loss=1.0, noise=0.0, target=None):
    """Return the course of a training whose accuracy goes through some values, evenly."""
    course, rng = Course(iterations), np.random.default_rng(0)
    places = np.linspace(0, len(accuracies) - 1, iterations)
    for iteration, value in enumerate(np.interp(places, range(len(accuracies)), accuracies), 1):
        on_source = value + noise * rng.normal()
        on_target = value + noise * rng.normal() if target is None else target
        course.add(iteration, {"D1": loss, "accuracy_D1_source": on_source, "accuracy_D1_target": on_target})
    return course


def findings(course, parts=PARTS, watch=WATCH):
    return list(watch(course, parts))


@pytest.mark.parametrize(
    ("accuracies", "expected"),
    [
        ([0.5, 0.8, 1.0, 1.0, 1.0, 1.0], ["D1 won"]),
        ([0.97] * 5, ["D1 won"]),
        ([0.9] * 5, []),
        ([0.5, 0.9, 1.0, 1.0, 1.0, 0.7], []),  # F has caught up
        ([*[0.8] * 8, 1.0, 1.0], []),  # lately, and not for good
        ([0.5] * 5, ["D1 never learnt"]),
        ([0.53] * 5, ["D1 never learnt"]),
        ([0.5, 0.9, 0.8, 0.6, 0.5, 0.5], []),  # aligned
        ([0.5, 0.5, 0.5, 0.5, 0.9], []),  # late, but it learns
        ([0.6] * 5, []),
    ],
)
def test_who_has_won_and_who_never_learnt(accuracies, expected):
    assert findings(course_of(accuracies)) == expected


@pytest.mark.parametrize(("middle", "expected"), [(0.7, []), (0.5, ["D1 never learnt"]), (0.98, ["D1 won"])])
def test_noise_of_single_iterations_decides_nothing(middle, expected):
    assert findings(course_of([middle] * 5, noise=0.1)) == expected


def test_a_discriminator_that_calls_all_of_it_source_has_learnt_nothing():
    assert findings(course_of([1.0] * 5, target=0.0)) == ["D1 never learnt"]


def test_where_f_learns_nothing_from_it_a_discriminator_may_win():
    control, later_round = DiscriminatorWatch({"D1": 0.0}), DiscriminatorWatch({})
    assert findings(course_of([1.0] * 5), watch=control) == []
    assert findings(course_of([1.0] * 5), watch=later_round) == []
    assert findings(course_of([0.5] * 5), watch=control) == ["D1 never learnt"], "its confidence chooses proxies"


def test_nothing_is_said_in_the_first_half_or_of_a_handful_of_iterations():
    won = course_of([1.0] * 5)
    assert [parts for parts in range(PARTS + 1) if findings(won, parts)] == [5, 6, 7, 8, 9, 10]
    assert findings(course_of([1.0] * 5, iterations=99)) == []
    assert findings(course_of([1.0] * 5, iterations=100)) == ["D1 won"]


def test_a_course_of_which_a_checkpoint_does_not_know_the_beginning():
    stopped, whole = Course(1000), course_of([0.5] * 5)
    stopped.go_on_from([])  # of an earlier version
    for key, (total, count) in whole.sums[-1].items():
        stopped.add(1000, {key: total / count})
    assert findings(stopped) == []


def test_the_line_says_the_loss_beside_chance_and_what_to_turn():
    (won,) = WATCH(course_of([0.96] * 5, loss=0.2), PARTS).values()
    assert "right in 96% or more of its cells" in won
    assert f"its loss is 0.20, chance {CHANCE:.2f}" in won
    assert won.index("a higher adversarial.lambda_1") < won.index("a lower adversarial.discriminator_learning_rate")
    (never,) = WATCH(course_of([0.5] * 5, loss=1.4), PARTS).values()
    assert never.index("a higher adversarial.discriminator_learning_rate") < never.index("a lower adversarial.lambda_1")


@pytest.mark.parametrize("iterations", [3, 10, 25, 1000])
def test_tenths_are_of_all_iterations_and_go_through_a_checkpoint(iterations):
    values = np.random.default_rng(0).random(iterations).tolist()
    whole, first, second = Course(iterations), Course(iterations), Course(iterations)
    for iteration, value in enumerate(values, 1):
        whole.add(iteration, {"D1": value})
        if iteration <= iterations // 2:
            first.add(iteration, {"D1": value})
    second.go_on_from(json.loads(json.dumps(first.sums)))
    for iteration, value in enumerate(values[iterations // 2 :], iterations // 2 + 1):
        second.add(iteration, {"D1": value})
    assert second.sums == whole.sums
    assert sum(part["D1"][1] for part in whole.sums if part) == iterations
    ends = [done for done in range(1, iterations + 1) if whole.ends_part(done)]
    assert (len(ends), ends[-1]) == (min(iterations, PARTS), iterations)
    if iterations >= PARTS:
        chunk = [value for i, value in enumerate(values) if i * PARTS // iterations == PARTS - 1]
        assert whole.means("D1")[-1] == whole.last()["D1"] == pytest.approx(np.mean(chunk))
