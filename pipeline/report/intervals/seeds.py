"""The variance of training again, in intervals of rows that were trained with several seeds.

A number of seed s is y_s = mean over people of mu + a_p + c_s + g_ps: what is said of the row is mu, over people and
trainings. The mean over S seeds and P people has the variance

    Var(a) / P + Var(c) / S + Var(g) / (P S)

    V_people   of the seeds' mean, as of one training (`clusters`, or the jackknife): Var(a) / P + Var(g) / (P S)
    V_seeds    the variance of the S numbers over S, all of the same people: Var(c) / S + Var(g) / (P S)

Their sum holds the interaction g of people and seeds twice. One of the two is not taken off: with few seeds it is badly
known, and intervals are rather somewhat too wide. Degrees of freedom are Welch's and Satterthwaite's. Those are badly
known themselves where few seeds vary more than people do, so that an interval is never narrower than that of V_seeds
alone, by the t of its own degrees of freedom.

In a difference of two rows both have seeds of their own. Seed k of one row and seed k of another see the same training
pairs in the same order, but their networks differ in form and so start from unrelated weights: seeds are not paired,
which is the wider of the two where sharing the order makes the rows vary alike.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

LEVEL = 0.95
Number = float | np.ndarray  # of one number, or of many at once


@dataclass(frozen=True)
class Error:
    """A variance of a number, and the degrees of freedom of its t."""

    variance: Number
    freedom: Number


def errors_of(of_people: Number, people: int, rows: Sequence[np.ndarray]) -> list[Error]:
    """Errors of a number, of which the widest interval is its.

    Args:
        of_people: V_people.
        people: in the role that has fewer of them.
        rows: (seeds, ...) numbers of each row's seeds: one row, or the two of a difference. Of a row with one seed
            nothing is known: the interval is for it as it was trained.
    """
    by_people = Error(of_people, people - 1)
    by_seeds = [Error(one.var(0, ddof=1) / len(one), len(one) - 1) for one in rows if len(one) > 1]
    return [_sum([by_people, *by_seeds]), _sum(by_seeds)] if by_seeds else [by_people]


def seed_sd(rows: Sequence[np.ndarray]) -> float:
    """Standard deviation between trainings of a number, or of a difference of two; NaN where each has one seed."""
    found = [one.var(ddof=1) for one in rows if len(one) > 1]
    return float(np.sqrt(sum(found))) if found else np.nan


def half_width(errors: Sequence[Error]) -> Number:
    """Half of the 95% interval: the widest of the errors'."""
    return np.max([quantile(error.freedom) * np.sqrt(error.variance) for error in errors], axis=0)


def quantile(freedom: Number) -> Number:
    """Student's t that 95% lie within."""
    from scipy.special import stdtrit

    return stdtrit(freedom, (1 + LEVEL) / 2)


def _sum(parts: Sequence[Error]) -> Error:
    """Welch and Satterthwaite: the sum of independent variances, and its degrees of freedom."""
    if len(parts) == 1:
        return parts[0]
    total = np.stack([np.asarray(part.variance) for part in parts]).sum(0)
    safe = np.where(total > 0, total, 1.0)
    spread = np.sum([(part.variance / safe) ** 2 / part.freedom for part in parts], axis=0)
    return Error(total, np.where(total > 0, 1 / np.where(total > 0, spread, 1.0), parts[0].freedom))
