"""Reads what lies in a run folder; what cannot be read is said in a line, and the rest is shown."""

from pathlib import Path
from typing import Any, Callable, Dict, List, NamedTuple, Optional, TypeVar, Union

from gluon_madapt.config import load_experiment
from gluon_madapt.config.renamed import current_names
from gluon_madapt.data import is_same
from gluon_madapt.data.fingerprints import difference
from gluon_madapt.errors import UserError
from gluon_madapt.files.json_files import read_json, read_log, read_settings
from gluon_madapt.files.records import read_record
from gluon_madapt.names import printable
from gluon_madapt.report.stored import Metrics, ProxyRecord
from gluon_madapt.reproduction.reuse import fingerprint_of, hash_of
from gluon_madapt.run_layout import CHECKPOINT, CONFIG, INPUTS, LOG, METRICS, PROXY_RECORD, STAGES, TRAININGS
from gluon_madapt.runs.rounds import round_of
from gluon_madapt.runs.run import Run
from gluon_madapt.stages.retrain import domains_of
from gluon_madapt.training.checkpoint import read_meta

_Value = TypeVar("_Value")
_Other = TypeVar("_Other")


class StageFacts(NamedTuple):
    """One stage of a run.

    Attributes
    ----------
    stage : str
        Its name.
    folder : Path
        Where it lies: an ablation takes stages that it shares from the folder above, or from another ablation there.
    begun, finished : bool
        Whether there is anything of it, and all of it.
    done, iterations : int
        Of a training, those behind it and those in all; 0 where that is not known.
    log : list of dict
        The entries of log.jsonl.
    metrics : Metrics
        Those of metrics.json; empty without one.
    inputs : dict
        inputs.json.
    settings : dict
        config.yaml, resolved; empty without one.
    """

    stage: str
    folder: Path
    begun: bool = False
    finished: bool = False
    done: int = 0
    iterations: int = 0
    log: List[Dict[str, Any]] = []
    metrics: Metrics = Metrics()
    inputs: Dict[str, Any] = {}
    settings: Dict[str, Any] = {}

    @property
    def checkpoint(self) -> Path:
        """Where the stage's checkpoint lies, if it leaves one."""
        return self.folder / CHECKPOINT


class RunFacts(NamedTuple):
    """A run: its ``stages`` by name, ``proxies`` if there are any, and ``problems``, a line each."""

    run: Run
    stages: Dict[str, StageFacts]
    proxies: Optional[ProxyRecord]
    problems: List[str]

    def attempt(self, read: Callable[[], _Value], otherwise: _Other) -> Union[_Value, _Other]:
        """Return what can be read, or else note why it cannot."""
        return attempt(self.problems, read, otherwise)


def attempt(problems: List[str], read: Callable[[], _Value], otherwise: _Other) -> Union[_Value, _Other]:
    """Return what ``read`` does; where it ends with a `UserError`, note that, once, and return ``otherwise``."""
    try:
        return read()
    except UserError as error:
        text = printable(str(error))
        if text not in problems:
            problems.append(text)
        return otherwise


def holds_a_stage(folder: Path) -> bool:
    """Tell whether a folder is that of a run."""
    return any((folder / stage / CONFIG).is_file() for stage in STAGES)


def stored_run(folder: Path, overrides=(), config: Optional[Path] = None, number: int = 1) -> Run:
    """Open a run, or a later round of it, by its folder alone, with the settings of its last stage."""
    stages_of = folder / f"round-{number}" if number > 1 else folder
    stages = [stage for stage in STAGES if (stages_of / stage / CONFIG).is_file()]
    path = config or stages_of / stages[-1] / CONFIG
    return Run(load_experiment(path, overrides), folder, config=path, number=number)


def facts_of(run: Run) -> RunFacts:
    """Read what lies in a run folder."""
    problems: List[str] = []
    stages = {stage: _stage_facts(run, stage, problems) for stage in STAGES}
    ((labelling, number),) = round_of(run.experiment).before("proxies", run.number)
    if number == run.number and stages[labelling].folder.parent != run.folder:
        run = Run(run.experiment, run.folder, stages[labelling].checkpoint, config=run.config)
    path = stages["proxies"].folder / PROXY_RECORD
    proxies = attempt(problems, lambda: _proxies_of(run, path), None) if path.exists() else None
    return RunFacts(run, stages, proxies, problems)


def _stage_facts(run: Run, stage: str, problems: List[str]) -> StageFacts:
    folder = _home(run, stage) / stage
    if not folder.is_dir():
        return StageFacts(stage, folder)
    metrics, inputs, config = folder / METRICS, folder / INPUTS, folder / CONFIG
    facts = StageFacts(
        stage,
        folder,
        begun=any(path.exists() for path in (metrics, inputs, config, folder / CHECKPOINT)),
        finished=metrics.exists(),
        metrics=attempt(problems, lambda: read_record(metrics, Metrics), Metrics()) if metrics.exists() else Metrics(),
        inputs=attempt(problems, lambda: read_json(inputs), {}) if inputs.exists() else {},
        settings=attempt(problems, lambda: current_names(read_settings(config)), {}) if config.exists() else {},
        log=attempt(problems, lambda: read_log(folder / LOG), []) if stage in TRAININGS else [],
    )
    if stage not in TRAININGS or not facts.checkpoint.exists():
        return facts._replace(finished=facts.finished and stage == "proxies")
    meta = attempt(problems, lambda: read_meta(facts.checkpoint), {})
    done, iterations = meta.get("iteration", 0), meta.get("iterations", 0)
    return facts._replace(done=done, iterations=iterations, finished=facts.finished and 0 < iterations <= done)


def _proxies_of(run: Run, path: Path) -> ProxyRecord:
    record, names = read_record(path, ProxyRecord), list(run.classes.names)
    if not list(record.t2) == list(record.pixels_focused_by_class) == list(record.pixels_kept_by_class) == names:
        raise UserError(f"{path}: is of other classes than this experiment's: expected {', '.join(names)}")
    return record


def _home(run: Run, stage: str) -> Path:
    """Return the folder of the run that a stage is in: another one's where an ablation shares the stage with it."""
    above = run.folder.parent
    if (run.folder / stage).exists():
        return run.folder
    beside = sorted(above.iterdir()) if holds_a_stage(above) else []  # then these are its ablations
    return next((one for one in (above, *beside) if _is_shared(run, one, stage)), run.folder)


def _is_shared(run: Run, folder: Path, stage: str) -> bool:
    if not (folder / stage / CONFIG).is_file():
        return False
    try:
        return not Run(run.experiment, folder).changes(stage)
    except UserError:
        return False


def outdated(facts: RunFacts) -> List[str]:
    """Return a line for each stage that something else would be made of now; what is gone cannot be compared."""
    lines = []
    for stage, one in facts.stages.items():
        if not one.inputs:
            continue
        now = _inputs_now(facts, stage)
        known = [name for name in now if name in one.inputs and now[name] is not None]
        differing = [name for name in known if not is_same(one.inputs[name], now[name])]
        if differing:
            reasons = {name: difference(one.inputs[name], now[name]) for name in differing}
            words = ", ".join(name + f" ({why})" * bool(why) for name, why in reasons.items())
            lines.append(f"{one.folder}: was made from something else than there is now: {words}")
    return lines


def _inputs_now(facts: RunFacts, stage: str) -> Dict[str, Optional[str]]:
    """Return what is known of what a stage would be made of now."""
    run, stages = facts.run, facts.stages
    if stage == "source":
        return {"images": fingerprint_of(run, "source")}
    if stage == "adversarial":
        images = {which: fingerprint_of(run, which) for which in ("source", "target")}
        return dict(images, checkpoint=None if run.number > 1 else _hash(stages["source"].checkpoint))
    target = fingerprint_of(run, "target", stages["proxies"].metrics.left_out)
    if stage == "proxies":
        return {"checkpoint": _hash(_labelling_checkpoint(facts)), "images": target}
    from_source = run.number == 1 and run.experiment.retrain.init == "source"
    start = _hash(stages["source"].checkpoint) if from_source else None
    made_from = {"proxies": stages["proxies"].metrics.labels_sha256, "images": target, "start": start}
    if "source" in domains_of(run.experiment, "retrain"):
        made_from["source"] = fingerprint_of(run, "source")
    return made_from


def _labelling_checkpoint(facts: RunFacts) -> Path:
    ((stage, number),) = round_of(facts.run.experiment).before("proxies", facts.run.number)
    if number < facts.run.number:
        return facts.run.round_before.folder / stage / CHECKPOINT
    return facts.stages[stage].checkpoint


def _hash(path: Path) -> Optional[str]:
    return hash_of(path) if path.is_file() else None
