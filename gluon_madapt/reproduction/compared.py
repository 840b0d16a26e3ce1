"""Names the rows of other methods, measured on the same data and seeds, beside those that the paper quotes.

AdaptSegNet-style (Tsai et al., CVPR 2018) aligns the segmenter's outputs, CBST-style (Zou et al., ECCV 2018) trains
itself; docs/faithfulness.md says what of either is left out.
"""

from typing import List

from gluon_madapt.errors import UserError
from gluon_madapt.reproduction.rows import ADABN, CONTROL, MEASURED, PER_CLASS, SOURCE_ONLY, Row

ADAPTSEGNET, CBST = "AdaptSegNet-style", "CBST-style"
ALIGNED_CONTROL = f"{ADAPTSEGNET} control: adversarial weight 0"
ALIGNED_PROXIES = "output-space discriminators, proxies"
# With the weights that suit the small encoder, where the printed ones hardly move it.
STRONG, STRONG_PROXIES = f"{ADAPTSEGNET}, weights x 100", "output-space discriminators, weights x 100, proxies"
# How many rounds of self-training there are.
ROUNDS = 3

_ALIGNED, _ALIGNED_CONTROL, _STRONG = "aligned_outputs", "aligned_outputs_no_adversary", "aligned_outputs_x100"
_SELF_TRAINED = "class_balanced"


def compared_rows(table: int) -> List[Row]:
    """Return the rows that ``--compare`` adds to a table: each in Table 3, the last of each method in Tables 1 and 2.

    Raises
    ------
    UserError
        If there are none for the table.
    """
    if table not in (*PER_CLASS, 3):
        raise UserError("--compare adds rows to tables 1, 2 and 3: give one of them to --table")
    return _rows_by_class() if table in PER_CLASS else _rows_by_module()


def _rows_by_module() -> List[Row]:
    rounds = range(1, ROUNDS + 1)
    return [
        *_with_adabn(ADAPTSEGNET, "adversarial", _ALIGNED),
        *_with_adabn(STRONG, "adversarial", _STRONG),
        *_with_adabn(ALIGNED_CONTROL, "adversarial", _ALIGNED_CONTROL),
        *(_measured(f"{CBST}, round {number}", "retrain", _SELF_TRAINED, number) for number in rounds),
        _with_adabn(f"{CBST}, round {ROUNDS}", "retrain", _SELF_TRAINED, ROUNDS)[1],
        *_with_adabn(ALIGNED_PROXIES, "retrain", _ALIGNED),
        *_with_adabn(STRONG_PROXIES, "retrain", _STRONG),
    ]


def _rows_by_class() -> List[Row]:
    return [
        _measured(f"{SOURCE_ONLY}, {ADABN}", "source", "adabn_score"),
        _measured(CONTROL, "adversarial", "no_adversary"),
        _measured(ADAPTSEGNET, "adversarial", _ALIGNED),
        _measured(STRONG, "adversarial", _STRONG),
        _measured(f"{CBST}, round {ROUNDS}", "retrain", _SELF_TRAINED, ROUNDS),
        _measured(ALIGNED_PROXIES, "retrain", _ALIGNED),
        _measured(STRONG_PROXIES, "retrain", _STRONG),
    ]


def _with_adabn(text: str, stage: str, variant: str, number: int = 1) -> List[Row]:
    """Return a row, and the same model with AdaBN before it is scored."""
    return [
        _measured(text, stage, variant, number),
        _measured(f"{text}, {ADABN}", stage, f"{variant}_adabn_score", number),
    ]


def _measured(text: str, stage: str, variant: str, number: int = 1) -> Row:
    return Row(f"{text}, {MEASURED}", stage, variant, number=number)
