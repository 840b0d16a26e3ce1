"""The tables' rows and plans: what is run for each, what is shared, and how long it would take."""

from pathlib import Path

import pytest
from conftest import ROOT
from small_experiments import CONFIG, small_settings

from gluon_madapt.config import load_experiment
from gluon_madapt.errors import UserError
from gluon_madapt.formats import duration
from gluon_madapt.reproduction.estimate import Estimate
from gluon_madapt.reproduction.plan import Plan
from gluon_madapt.reproduction.rows import CONFIGS, departures, rows_of
from gluon_madapt.reproduction.table import Reproduction
from gluon_madapt.run_layout import STAGE_TOOLS

FULL_SIZE = {name: ROOT / "configs" / f"{name}.yaml" for names in CONFIGS.values() for name in names}


def plan_of(table, config=CONFIG, overrides=(), folder=Path("run")):
    plan = Plan(ROOT, config, overrides, 3, folder)
    return plan, [plan.add(row) for row in rows_of(table, plan.run.experiment)]


def tools_of(plan):
    return [Path(step.command[1]).name for step in plan.steps.values()]


@pytest.mark.parametrize(
    ("workers", "first"), [(1, ["source", "score source"]), (2, ["source", "no_adversary/adversarial"])]
)
def test_several_workers_begin_with_the_longest_chain_and_one_goes_row_by_row(tmp_path, monkeypatch, workers, first):
    started = []
    monkeypatch.setattr(
        "gluon_madapt.reproduction.table.run_jobs", lambda jobs, *_: started.extend(job.name for job in jobs)
    )
    monkeypatch.setattr("gluon_madapt.reproduction.table.reuse_of", lambda plan: {})
    wanted = ["source only", "control: adversarial weights 0, proxies"]
    Reproduction(ROOT, 3, [CONFIG], folder=tmp_path / "run", wanted=wanted).run(workers, lambda row, score: None)
    assert started[:2] == first


def test_the_rows_carry_the_papers_numbers():
    published = {
        (table, name): [row.published and row.published["miou"] for row in rows_of(table, load_experiment(config))]
        for table, names in CONFIGS.items()
        for name, config in FULL_SIZE.items()
        if name in names
    }
    assert published == {
        (1, "gta5_vgg16"): [27.9, 39.0],
        (1, "gta5_resnet101"): [38.1, 50.4],
        (2, "synthia_vgg16"): [20.6, 36.8],
        (2, "synthia_resnet101"): [33.4, 45.0],
        (3, "gta5_resnet101"): [38.1, *[None] * 3, 41.5, 42.7, *[None] * 3, 47.1, 49.8, None, 50.4],
        (4, "gta5_resnet101"): [
            46.7,
            49.3,
            49.7,
            47.0,
            47.9,
            49.4,
            49.8,
            46.1,
            46.9,
            47.9,
            45.8,
            46.3,
            47.0,
            47.7,
            None,
        ],
    }


def test_table_3_shares_the_source_model():
    plan, scorings = plan_of(3)
    tools = tools_of(plan)
    assert [tools.count(name) for name in STAGE_TOOLS.values()] == [1, 3, 3, 3]
    assert len({step.scores for step in scorings}) == 13
    assert all(set(step.needs) <= set(plan.steps) for step in plan.steps.values())
    assert all("--seed 3" in " ".join(step.command) for step in plan.steps.values())


def test_the_rows_with_adabn_score_what_the_rows_beside_them_do():
    plan = Plan(ROOT, CONFIG, (), 3, Path("run"))
    steps = {row.text: plan.add(row) for row in rows_of(3, plan.run.experiment)}
    adapted = [text for text in steps if text.endswith(", AdaBN")]
    assert adapted == [
        "source only, AdaBN",
        "control: adversarial weights 0, AdaBN",
        "two discriminators, AdaBN",
        "control: adversarial weights 0, proxies, AdaBN",
        "two discriminators, proxies, AdaBN",
    ]
    for text in adapted:
        plain = steps[text[: -len(", AdaBN")]]
        assert steps[text].checkpoint == plain.checkpoint
        assert steps[text].run.experiment.evaluation.adabn_batches == 50
        assert plain.run.experiment.evaluation.adabn_batches == 0
    assert steps[adapted[1]].scores == Path("run/no_adversary_adabn_score/scores/adversarial.json")


def test_an_ablation_that_is_based_on_another_shares_its_stages():
    plan = Plan(ROOT, CONFIG, (), 3, Path("run"))
    for row in rows_of(3, plan.run.experiment, beyond=True):
        plan.add(row)
    tools = tools_of(plan)
    # Proxies after AdaBN, of the control and of two discriminators, and two rounds on top of Table 3's own.
    assert [tools.count(name) for name in STAGE_TOOLS.values()] == [1, 5, 7, 7]
    both = {name: step for name, step in plan.steps.items() if name.startswith(("adabn_both/", "no_adversary_adabn"))}
    assert set(both) == {
        "adabn_both/score retrain",
        "no_adversary_adabn_score/score adversarial",
        "no_adversary_adabn_score/score retrain",
        "no_adversary_adabn_both/proxies",
        "no_adversary_adabn_both/retrain",
        "no_adversary_adabn_both/score retrain",
    }
    assert both["adabn_both/score retrain"].checkpoint == Path("run/adabn_proxies/retrain/checkpoint.npz")
    proxies = both["no_adversary_adabn_both/proxies"]
    assert proxies.needs == ("no_adversary/adversarial",)
    assert proxies.run.experiment.adversarial.lambda_1 == 0
    assert proxies.run.experiment.proxies.adabn_batches == 50
    command = " ".join(proxies.command)
    assert "--from run/no_adversary/adversarial/checkpoint.npz" in command
    assert "--cache run/no_adversary_adabn_both/cache" in command


def test_table_4_shares_all_but_labels_and_retraining():
    plan, scorings = plan_of(4)
    tools = tools_of(plan)
    # 14 settings, and the control with its own adversarial model.
    assert [tools.count(name) for name in STAGE_TOOLS.values()] == [1, 2, 15, 15]
    assert len({step.scores for step in scorings}) == 15
    proxies = [step for step in plan.steps.values() if step.stage == "proxies"]
    caches = [step.command[step.command.index("--cache") + 1] for step in proxies]
    assert caches.count("run/cache") == 14
    first = next(step.name for step in proxies if "run/cache" in step.command)
    sharing = [step for step in proxies if "run/cache" in step.command and step.name != first]
    assert all(first in step.after for step in sharing), "two processes must not run the networks over the same images"
    jobs = [job for job in plan.jobs(set()) if "make_proxy.py" in job.command[1]]
    assert [job.name for job in jobs] == ["proxies", "no_adversary/proxies"], "and they share the passes over its maps"
    (also,) = [job.command[job.command.index("--also") + 1 :] for job in jobs if "--also" in job.command]
    others = {step.run.folder for step in proxies if "run/cache" in step.command and step.name != "proxies"}
    assert {Path("run/p1_{}_p2_{}".format(*text.split(","))) for text in also} == others
    assert all(job.name not in job.needs for job in jobs)
    assert len(also) == 13
    retrained = [job for job in plan.jobs(set()) if "train_proxy.py" in job.command[1]]
    assert len(retrained) == 15
    assert all(set(job.needs) & {"proxies", "no_adversary/proxies"} for job in retrained)
    rest = plan.jobs({step.name for step in proxies if not step.name.startswith("p1_0.8")})
    assert [job.command[-3:] for job in rest if job.name == "proxies"] == [("0.8,0.3", "0.8,0.4", "0.8,0.5")]
    (middle,) = [step for step in scorings if step.scores == Path("run/scores/retrain.json")]
    assert middle.run.experiment.proxies.p1 == 0.6, "the paper's own setting is the experiment itself"


ABLATIONS = ROOT / "configs" / "ablations"


@pytest.mark.parametrize("path", sorted(ABLATIONS.glob("*adabn_score.yaml")), ids=lambda path: path.stem)
def test_adabn_before_scoring_is_all_that_such_a_variant_changes(path):
    name = path.stem[: -len("adabn_score")].rstrip("_")
    scored = load_experiment(path)
    plain = load_experiment(
        ABLATIONS / f"{name}.yaml" if name else FULL_SIZE["gta5_resnet101"], ["evaluation.adabn_batches=50"]
    )
    assert scored.model_dump(exclude={"name"}) == plain.model_dump(exclude={"name"})


def test_ablations_are_complete_experiments_too():
    base = load_experiment(FULL_SIZE["gta5_resnet101"])
    for path in sorted(ABLATIONS.glob("*.yaml")):
        experiment = load_experiment(path)
        changed = {key for key in type(base).model_fields if getattr(base, key) != getattr(experiment, key)}
        expected = set() if path.stem == "p1_0.6_p2_0.8" else {"adversarial", "evaluation", "proxies"}
        expected |= {"retrain"} if path.stem.startswith("class_balanced") else set()
        assert changed - {"name"} <= expected
        several = {
            "adabn_both": 2,
            "no_adversary_adabn_score": 2,
            "no_adversary_adabn_both": 3,
            "class_balanced": 2,
            "class_balanced_adabn_score": 3,
            "aligned_outputs_adabn_score": 2,
            "aligned_outputs_no_adversary_adabn_score": 2,
            "aligned_outputs_x100_adabn_score": 2,
        }
        assert len(changed - {"name"}) == {"p1_0.6_p2_0.8": 0, **several}.get(path.stem, 1)


@pytest.mark.parametrize(
    ("table", "override", "message"),
    [
        (2, "seed=1", "table 2 is SYNTHIA to Cityscapes, with data.source.dataset = synthia: .* mini-gta5 has gta5"),
        (1, "classes=16", "with classes = 19: experiment mini-gta5 has 16"),
        (3, "adversarial.discriminators=1", "with adversarial.discriminators = 2: experiment mini-gta5 has 1"),
        (4, "evaluation.adabn_batches=5", "with evaluation.adabn_batches = 0: experiment mini-gta5 has 5"),
        (3, "adversarial.lambda_1=0", "table 3 sets adversarial.lambda_1 and lambda_2 to 0 itself"),
    ],
)
def test_an_experiment_that_the_rows_are_not_true_of_is_refused(table, override, message):
    with pytest.raises(UserError, match=message):
        plan_of(table, overrides=[override])


def test_no_number_of_resnet101_stands_beside_vgg16():
    assert not any(row.published for row in rows_of(3, load_experiment(FULL_SIZE["gta5_vgg16"])))


@pytest.mark.parametrize(("table", "name"), [(1, "gta5_vgg16"), (2, "synthia_resnet101"), (4, "gta5_resnet101")])
def test_the_published_experiments_depart_from_the_paper_in_nothing(table, name):
    assert departures(table, load_experiment(FULL_SIZE[name], ["data.source.root=x", "seed=9"]), ROOT) == []
    assert departures(table, load_experiment(FULL_SIZE[name], ["source.iterations=9"]), ROOT) == ["source.iterations"]


@pytest.mark.parametrize("name", sorted(FULL_SIZE))
def test_a_dry_run_at_full_size_needs_no_data_and_says_what_is_missing(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Estimate, "_once", lambda self, run, key, measure: 2.0)
    table = next(table for table, names in CONFIGS.items() if name in names)
    reproduction = Reproduction(ROOT, table, [FULL_SIZE[name]])
    text = Estimate().describe(reproduction.plans)
    assert "| source " in text
    assert "2975 target images" in text
    # Of two seconds each: 80,000, 10,000 and 60,000 iterations, 2,975 images through the networks and again to be
    # labelled, and 500 to score, twice; the second time ResNet101 sees six copies, of 0.7, 1.0 and 1.3 times the size.
    scored = 500 + 500 * (2 * (0.7**2 + 1 + 1.3**2) if "resnet101" in name else 1)
    assert f"time left, one command after the other: {duration(2.0 * (150_000 + 2 * 2975 + scored))}" in text
    source = name.split("_")[0]
    missing = reproduction.missing()
    assert [line.split(":")[0] for line in missing] == ["data.source", "model.weights", "data.val", "data.target"]
    assert f"data/{source}: no such folder: expected {source}, that is " in missing[0]
    assert not list(tmp_path.iterdir())


def test_durations_duration():
    assert [duration(seconds) for seconds in (None, 35, 150, 7200, 86400 * 31)] == [
        "not known",
        "35 s",
        "2.5 min",
        "2.0 h",
        "31 days",
    ]


@pytest.mark.slow
def test_an_estimate_measures_every_stage_on_this_machine(tiny_world, tmp_path):
    plan, _ = plan_of(3, overrides=small_settings(tiny_world), folder=tmp_path)
    estimate = Estimate()
    seconds = {step.name: estimate.seconds(step) for step in plan.steps.values()}
    assert all(value > 0 for value in seconds.values())
    assert seconds["retrain"] == seconds["no_adversary/retrain"], "what is the same is measured once"
    pixels_seen = 2 * (0.7**2 + 1 + 1.3**2)
    assert seconds["score retrain, multi-scale"] == pytest.approx(pixels_seen * seconds["score retrain"])


def test_a_row_is_chosen_by_its_name_or_by_a_part_of_it():
    def chosen(*wanted):
        (plan,) = Reproduction(ROOT, 4, [CONFIG], wanted=wanted).plans
        return [step.scores.parent.parent.name for step in plan.steps.values() if step.scores]

    assert chosen("p1 1.0, p2 0.4") == ["p1_1.0_p2_0.4"], "and not 0.48"
    assert len(chosen("p1 0.8")) == 3
    with pytest.raises(UserError, match="no row is called p3: expected one of these"):
        chosen("p1 0.8", "p3")


def test_two_experiments_of_one_name_are_refused():
    with pytest.raises(UserError, match="would hold two experiments of one name"):
        Reproduction(ROOT, 1, [CONFIG, CONFIG])


def test_a_joint_pass_can_be_measured(tiny_world, monkeypatch):
    monkeypatch.setattr("gluon_madapt.reproduction.estimate._PIXELS", 64 * 32)
    plan, _ = plan_of(3, overrides=[*small_settings(tiny_world), "adversarial.joint_pass=true"])
    assert Estimate().seconds(plan.steps["adversarial"]) > 0
