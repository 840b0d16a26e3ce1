"""Lists the checks of a device: open this first."""

import platform
import tempfile
from pathlib import Path
from typing import Iterator, Sequence

import mxnet as mx

from gluon_madapt.device_check.checks import FAILED, OK, Check
from gluon_madapt.device_check.costs import check_memory, check_speed
from gluon_madapt.device_check.outputs import check_outputs
from gluon_madapt.device_check.pipeline import check_stages
from gluon_madapt.device_check.steps import check_steps
from gluon_madapt.errors import FailureError, UserError
from gluon_madapt.system import cuda
from gluon_madapt.system.devices import contexts_of

CHECKS = ("outputs", "steps", "stages", "memory", "speed")
_BASE, _MINI = "configs/gta5_resnet101.yaml", "configs/mini/gta5.yaml"
# Of the four stages: enough for the loss to sink.
_SHORT = ("source.iterations=200", "adversarial.iterations=60", "retrain.iterations=100", "bookkeeping.eval_every=0")


def check_device(
    root: Path, devices: Sequence[str], tables: Sequence[int] = (1, 2, 3, 4), wanted: Sequence[str] = CHECKS
) -> Iterator[Check]:
    """Yield what each check of some devices finds.

    Parameters
    ----------
    root : Path
        The project: its configs, and the golden files of its tests.
    devices : sequence of str
        Such as "gpu(0)"; the first is checked, and all of them together.
    tables : sequence of int
        Those whose time is reckoned.
    wanted : sequence of str
        Those of `CHECKS` that are made.

    Raises
    ------
    UserError
        If there is no such device, or MXNet holds no code for it.
    """
    context, *_ = contexts_of(devices)
    base, mini = root / _BASE, root / _MINI
    yield _libraries(context)
    with tempfile.TemporaryDirectory() as folder:
        checks = {
            "outputs": check_outputs(context, root / "tests" / "golden"),
            "steps": check_steps(base, devices),
            "stages": check_stages(mini, devices[0], Path(folder), _SHORT),
            "memory": check_memory(base, devices[0], ()),
            "speed": check_speed(root, devices[0], tables, ()),
        }
        for name in CHECKS:
            if name in wanted:
                yield from _whatever_happens(checks[name])


def _whatever_happens(checks: Iterator[Check]) -> Iterator[Check]:
    """Yield checks; an error of MXNet's ends these, and not those that come after them."""
    try:
        yield from checks
    except (mx.base.MXNetError, UserError, FailureError) as error:
        lines = str(error).strip().splitlines()
        yield Check(FAILED, "error", lines[-1] if lines else type(error).__name__, {"whole": str(error)})


def _libraries(context: mx.Context) -> Check:
    on = [feature.name for feature in mx.runtime.feature_list() if feature.enabled]
    figures = {"device": str(context), "mxnet": mx.__version__, "features": on, "python": platform.python_version()}
    if context.device_type == "cpu":
        return Check(OK, "device", f"{context}, MXNet {mx.__version__}: a CPU stands in for a GPU", figures)
    capability = ".".join(map(str, cuda.compute_capability(context.device_id) or ("?", "?")))
    free, total = (bytes_ / 2**30 for bytes_ in mx.context.gpu_memory_info(context.device_id))
    figures.update(compute_capability=capability, free_gib=free, total_gib=total)
    text = f"{context}, compute capability {capability}, {free:.1f} of {total:.1f} GiB free, MXNet {mx.__version__}"
    missing = {"CUDA", "CUDNN"} - set(on)
    return Check(FAILED if missing else OK, "device", text + "".join(f", without {one}" for one in missing), figures)
