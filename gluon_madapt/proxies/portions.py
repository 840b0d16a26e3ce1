"""Says which portion of each class's pixels a round of proxies keeps (CBST: Zou et al., ECCV 2018)."""

from decimal import Decimal


def portion_of_round(p2: float, growth: float, most: float, number: int) -> float:
    """Return the share of each class's pixels that is kept in a round: it grows as the model gets better.

    CBST begins with 20 percent, adds 5 points with every further round, and stops at 50 percent.

    Parameters
    ----------
    p2 : float
        The share of round 1.
    growth : float
        What is added with every further round.
    most : float
        The largest share.
    number : int
        The round, from 1.

    Returns
    -------
    float
        The sum of the decimal numbers that are written, not of their binary neighbours: a share of 0.3 keeps 3 of 10.
    """
    grown = _written(p2) + (number - 1) * _written(growth)
    return float(min(grown, _written(most)))


def _written(value: float) -> Decimal:
    return Decimal(repr(float(value)))
