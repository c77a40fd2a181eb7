"""Variance of a mean over pairs of people, where people are the unit: pairs of one person are no independent evidence.

For a pair with source i and driver j a score is y = mu + a_i + b_j + e. A person is a source in some pairs and a
driver in others, and what makes him hard in one role tends to make him hard in the other, so that a_i and b_i
correlate; e is shared by the pairs of the same two people, whoever drives.

    V_people   delete-one-person jackknife: a person is left out with all his pairs, in either role. It holds the
               effects of people exactly, their correlation included, but e twice, since a pair has two people
    V_error    what e adds to the variance, from the residuals of a least-squares fit of a and b, summed over the
               pairs of the same two people
    V          V_people - V_error, yet not below half of V_people (where all is e) nor below the variances with people
               of one role as the unit

For same identity, source and driver are one person, and V is V_people: with as many pairs of everyone it is the
squared standard error of the mean of the people's means.
"""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

ENOUGH = 1e-6  # share of the pairs' freedom that the fit of people must leave, for residuals to say anything


class Clusters:
    """Who stands behind each of N pairs.

    Args:
        sources: source person of each pair.
        drivers: driving person of each pair, of the same names.
    """

    def __init__(self, sources: Sequence[str] | np.ndarray, drivers: Sequence[str] | np.ndarray) -> None:
        self._names = np.asarray(sources), np.asarray(drivers)
        self.num_pairs = len(self._names[0])
        people, owners = np.unique(np.concatenate(self._names), return_inverse=True)
        self.everyone = len(people)
        self.source, self.driver = np.split(owners, [self.num_pairs])  # (N,) numbers of people
        self.one_person = bool((self.source == self.driver).all())

    @property
    def num_people(self) -> int:
        """People in the role that has fewer of them; the variance has one degree of freedom less."""
        return min(len(np.unique(self.source)), len(np.unique(self.driver)))

    def kept(self, mask: np.ndarray) -> "Clusters":
        """The same for the pairs where the (N,) mask holds."""
        return self if mask.all() else Clusters(*(names[mask] for names in self._names))

    def left_out(self) -> list[np.ndarray]:
        """For each person the (N,) mask of the pairs that are left without him, in whichever role."""
        return [(self.source != person) & (self.driver != person) for person in range(self.everyone)]

    def variance(self, values: np.ndarray) -> np.ndarray:
        """Variance of the mean of (N, ...) values over pairs: (...), NaN where one person is in every pair."""
        people = _jackknife(self._of_either, values)
        if self.one_person:
            return people
        roles = np.maximum(_jackknife(self._of_source, values), _jackknife(self._of_driver, values))
        return np.maximum(np.maximum(people - self._error(values), people / 2), roles)

    def effects(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Take (N,) values apart: effects (people, 2) as source and as driver, and residuals of the pairs.

        Effects have mean zero in each role. For same identity the first are the people's means, the second zero, and
        so are the residuals, since the means hold them.
        """
        values = np.asarray(values, np.float64)
        if self.one_person:
            means = (self._of_source @ values) / self._of_source.sum(1)
            return np.stack([means - means.mean(), np.zeros_like(means)], 1), np.zeros(1)
        fitted = (self._inverse @ (self._of_both @ values)).reshape(2, -1)
        for effect, role in zip(fitted, (self.source, self.driver), strict=True):
            there = np.unique(role)
            effect[there] -= effect[there].mean()
        residuals = values - self._of_both.T @ (self._inverse @ (self._of_both @ values))
        freedom = max(1, self.num_pairs - np.linalg.matrix_rank(self._inverse, hermitian=True))
        return fitted.T, residuals * np.sqrt(self.num_pairs / freedom)

    def _error(self, values: np.ndarray) -> np.ndarray:
        """V_error of (N, ...) values, zero where the people's effects take all freedom."""
        if self._freedom < ENOUGH:
            return np.zeros(values.shape[1:])
        residuals = values - self._of_both.T @ (self._inverse @ (self._of_both @ values))
        return np.square(self._of_two @ residuals).sum(0) / self.num_pairs**2 / self._freedom

    @cached_property
    def _freedom(self) -> float:
        """Share of the squared sums over the pairs of two people that the fit leaves of independent errors."""
        sums = (self._of_two @ self._of_both.T).toarray()  # (couples, 2 people)
        taken = np.einsum("ci,ij,cj->c", sums, self._inverse, sums)
        return float((self._of_two.sum(1) - taken).sum() / self.num_pairs)

    @cached_property
    def _inverse(self) -> np.ndarray:
        return np.linalg.pinv((self._of_both @ self._of_both.T).toarray(), hermitian=True)

    @cached_property
    def _of_source(self) -> Any:
        return _incidence(self.source)

    @cached_property
    def _of_driver(self) -> Any:
        return _incidence(self.driver)

    @cached_property
    def _of_either(self) -> Any:
        return self._of_source if self.one_person else _incidence(self.source, self.driver)

    @cached_property
    def _of_both(self) -> Any:
        """(2 people, N): the fit's design, transposed; the driver's half stands below the source's."""
        return _incidence(self.source, self.driver + self.everyone, rows=2 * self.everyone)

    @cached_property
    def _of_two(self) -> Any:
        """(couples, N): pairs of the same two people, in either direction."""
        first, second = np.minimum(self.source, self.driver), np.maximum(self.source, self.driver)
        return _incidence(first * self.everyone + second)


def _incidence(*roles: np.ndarray, rows: int = 0) -> Any:
    """Sparse (rows, N) matrix of ones where pair n belongs to a row; without `rows`, those without a pair are left out.

    A pair's numbers differ between roles.
    """
    from scipy.sparse import csr_array

    numbers = np.concatenate(roles)
    if not rows:
        found, numbers = np.unique(numbers, return_inverse=True)
        rows = len(found)
    pairs = np.tile(np.arange(len(roles[0])), len(roles))
    return csr_array((np.ones(len(numbers)), (numbers, pairs)), shape=(rows, len(roles[0])))


def _jackknife(members: Any, values: np.ndarray) -> np.ndarray:
    """Variance of the mean of (N, ...) values from the means with one row's pairs left out each."""
    counts = members.sum(1)
    people, left = len(counts), (members.shape[1] - counts).reshape(-1, *[1] * (values.ndim - 1))
    sums = values.sum(0) - members @ values
    means = np.divide(sums, left, out=np.full(sums.shape, np.nan), where=left > 0)
    return (people - 1) / people * np.square(means - means.mean(0)).sum(0)
