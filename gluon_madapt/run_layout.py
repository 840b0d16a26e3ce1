"""Names the stages, and the files and folders of a run."""

# In the order of the paper (P §2 and §3.2); each has a folder of its name in the run folder.
STAGES = ("source", "adversarial", "proxies", "retrain")
STAGE_TOOLS = {
    "source": "train_source.py",
    "adversarial": "train_adv.py",
    "proxies": "make_proxy.py",
    "retrain": "train_proxy.py",
}
# The stages that leave a network.
TRAININGS = ("source", "adversarial", "retrain")

# In the folder of a stage: its resolved settings, what it was made from, what came out, and how it went.
CONFIG, INPUTS, METRICS, LOG = "config.yaml", "inputs.json", "metrics.json", "log.jsonl"
# What an entry of the log says of speed: of every training, and of one by several workers.
RATES = ("learning_rate", "images_per_second", "waiting_for_data")
EXCHANGE_RATES = ("communicating", "waiting_for_workers", "bytes_sent", "bytes_received")
# Of a training: all it needs to continue, the finished network in Gluon's format, TensorBoard's event files.
CHECKPOINT, PARAMETERS, EVENTS = "checkpoint.npz", "segmenter.params", "tensorboard"
# Of stage 3: thresholds and counts, the proxy labels, and what making them took, which alone is never twice the same.
PROXY_RECORD, PROXY_LABELS, COST = "proxies.json", "labels", "cost.json"
# In the run folder: the maps of the network pass, what was scored, tables.
CACHE, SCORES, TABLES = "cache", "scores", "tables"


def score_file(stage: str, multi_scale: bool, precision: str) -> str:
    """Return the name, in the folder of scores, of those of a stage's model."""
    return f"{stage}{'_multi_scale' * multi_scale}{'' if precision == 'float32' else f'_{precision}'}.json"
