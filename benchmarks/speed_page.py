"""docs/results/speed.md, from what the benchmarks have measured."""

from pathlib import Path

TEMPLATE = Path(__file__).with_suffix(".md")
NAMES = {"resnet101": "ResNet101", "vgg16": "VGG16"}

PYTORCH = {"to PyTorch": ("ours", "PyTorch")}
RECOMPUTED = {"recomputed, to kept": ("ours, recomputed", "ours")}
ANY = {f"to {one}": ("ours", one) for one in ("PyTorch", "ONNX Runtime", "OpenVINO")}
# Work, the result that has its ratios, the most that was aimed at, and the two sides of each ratio: the largest counts.
TARGETS = (
    ("inference, ResNet101, against the fastest", "inference resnet101", 1.05, ANY),
    (
        "the same, against our own imperative mode",
        "inference resnet101",
        0.60,
        {"to imperative": ("ours", "ours, imperative")},
    ),
    ("inference, VGG16, against the fastest", "inference vgg16", None, ANY),
    *(
        (f"inference, {name}, bfloat16, {text}", f"inference {encoder}", most, {ratio: ("ours, bfloat16", theirs)})
        for encoder, name in NAMES.items()
        for text, most, ratio, theirs in (
            ("against PyTorch's", 0.85, "bfloat16, to PyTorch", "PyTorch, bfloat16"),
            ("against float32", 0.55, "bfloat16, to float32", "ours"),
        )
    ),
    ("training step, ResNet101, against PyTorch", "training resnet101", None, PYTORCH),
    ("adversarial step, ResNet101, against PyTorch", "adversarial resnet101", 0.80, PYTORCH),
    ("training step, VGG16, against PyTorch", "training vgg16", 0.85, PYTORCH),
    *(
        (f"{what} step, {NAMES[encoder]}, with `recompute`", f"{what} {encoder}", 1.35, RECOMPUTED)
        for what, encoder in (("training", "resnet101"), ("training", "vgg16"), ("adversarial", "resnet101"))
    ),
    (
        "`predict.py` on 50 images, OpenVINO in bfloat16, against MXNet in float32",
        "commands",
        0.60,
        {"predict.py, OpenVINO in bfloat16 to MXNet": ("OpenVINO, bfloat16", "MXNet, float32")},
    ),
    *(
        (f"{text}, against its network alone", "scoring", 1.05, {ratio: (ours, network)})
        for text, ratio, ours, network in (
            ("evaluation of 8 images", "evaluation, to the network", "evaluation, one pass", "network, one pass"),
            (
                "evaluation of 2 images, six passes",
                "six passes, to the network",
                "evaluation, six passes",
                "network, six passes",
            ),
            ("prediction of a video of 16 frames", "video, to the network", "prediction of a video", "network, video"),
        )
    ),
    (
        "confusion matrix of a 2048x1024 pair, against NumPy's `bincount`",
        "host",
        0.6,
        {"matrix": ("matrix, ours", "matrix, bincount")},
    ),
    (
        "preparing a sample (PNG of 1914x1052 to a 1280x720 input), against Pillow",
        "host",
        0.6,
        {"sample": ("sample, ours", "sample, Pillow")},
    ),
)
STAGES = {
    "source": "stage 1, 1280x720",
    "adversarial": "stage 2, 1280x720 and 1024x512",
    "proxies": "stage 3, the networks, 1024x512",
    "retrain": "stage 4, 640x640",
    "evaluation": "evaluation, 2048x1024",
    "multi-scale": "evaluation, 2048x1024, six passes",
}
MOST_GIB = 6
# Of the released code on a machine like this one, which no benchmark here runs: it has no licence.
RELEASED_SECONDS = (115, 128)


def page(results, machine):
    """Return the page as Markdown."""
    differences = [one["difference"] for one in results.values() if "difference" in one]
    sizes = results["sizes resnet101"]["images_per_second"]
    waiting = results["waiting"]
    speeds = [(size, f"{one['inference']:.2f}", f"{one['training']:.2f}") for size, one in sizes.items()]
    shares = [(stage, f"{share:.1%}") for stage, share in waiting["share_waiting"].items()]
    samples = [f"{rate:.0f} samples a second ({stage})" for stage, rate in waiting["samples_per_second"].items()]
    # A processor without bfloat16 has no such ratios.
    targets = [_target_row(results, *one) for one in TARGETS if one[3].keys() <= results[one[1]]["ratios"].keys()]
    targets += [_released_target(results), _memory_target(results)]
    encoders = [cell for name in NAMES.values() for cell in (name, "with `recompute`")]
    return TEMPLATE.read_text(encoding="utf-8").format(
        machine="\n".join(f"- {name}: {text}" for name, text in machine.items()),
        difference=f"{max(differences):.0e}",
        targets=_table(("work", "ours / theirs", "aimed at", "seconds"), targets),
        rates=_table(("work", "GFLOP", "GFLOP/s", "peak", "share of the peak"), _rates(results)),
        memory=_table(("stage", "batch", *encoders), _memory(results)),
        sizes=_table(("input", "inference", "training, batch 1"), speeds),
        waiting=_table(("stage", "waiting"), shares),
        samples=" and ".join(samples),
        starts=_table(("start", "seconds"), [(k, f"{v:.2f}") for k, v in results["commands"]["starts"].items()]),
    )


def _table(heads, rows):
    lines = [heads, ["---"] + ["---:"] * (len(heads) - 1), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _target_row(results, work, name, most, sides):
    one = results[name]
    ratio = max(sides, key=one["ratios"].get)
    ours, theirs = (one["seconds"][side] for side in sides[ratio])
    digits = 4 if theirs < 1 else 2
    which = f" ({sides[ratio][1]})" if len(sides) > 1 else ""
    aim = "" if most is None else f"{most:.2f}"
    return work + which, f"{one['ratios'][ratio]:.2f}", aim, f"{ours:.{digits}f} / {theirs:.{digits}f}"


def _released_target(results):
    seconds = results["scoring"]["seconds"]["2048x1024, six passes"]
    work = "multi-scale evaluation of a 2048x1024 image, six passes, against the released code as measured before"
    least, most = RELEASED_SECONDS
    return work, f"{seconds / least:.2f}", "0.25", f"{seconds:.0f} / {least} to {most}"


def _memory_target(results):
    peaks = [results[f"memory multi-scale {encoder} 1 kept"]["peak_gib"] for encoder in NAMES]
    shown = ", ".join(f"{peak:.1f} GiB ({name})" for peak, name in zip(peaks, NAMES.values()))
    return "multi-scale evaluation of a 2048x1024 image, six passes: peak memory", shown, f"{MOST_GIB} GiB", ""


def _rates(results):
    for encoder, name in NAMES.items():
        for what in ("inference", "training", "adversarial"):
            one = results.get(f"{what} {encoder}")
            if one is None:
                continue
            rate, peak = one["gflop"] / one["seconds"]["ours"], one["peak_gflop_per_second"]
            yield f"{what}, {name}", f"{one['gflop']:.0f}", f"{rate:.0f}", f"{peak:.0f}", f"{one['share_of_peak']:.0%}"


def _memory(results):
    batches = sorted({int(name.split()[3]) for name in results if name.startswith("memory")})
    for stage, text in STAGES.items():
        for batch in batches:
            columns = [(encoder, how) for encoder in NAMES for how in ("kept", "recomputed")]
            cells = [results.get(f"memory {stage} {encoder} {batch} {how}") for encoder, how in columns]
            if any(cells):
                yield text, str(batch), *(f"{cell['peak_gib']:.1f}" if cell else "" for cell in cells)
