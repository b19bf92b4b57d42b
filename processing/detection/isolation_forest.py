"""Isolation Forest: how few random cuts it takes to part the last day's shape from those that were learnt from.

A tree is stored as its nodes, the trees one after another. What a node is worth is stored with it: the cuts down to
it, and of a leaf those that it would have taken to part all that ended there.
"""

from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from contracts.imports import with_pandas
from processing.detection.detector import Values
from processing.detection.outside import Outside
from processing.detection.trained import Numbers

_TREES: Final = 32
_SAMPLES: Final = 128
_SEED: Final = 1
_EULER: Final = 0.5772156649015329
_ARRAYS: Final = ("roots", "below", "beyond", "column", "cut", "worth")


@dataclass(frozen=True)
class Forest:
    """The trees. Of a node: the child for values up to the cut, the one beyond, what is cut, where, and its worth."""

    roots: npt.NDArray[np.int32]
    below: npt.NDArray[np.int32]
    """-1 in a leaf."""
    beyond: npt.NDArray[np.int32]
    column: npt.NDArray[np.int32]
    cut: Values
    worth: Values
    usual_worth: float
    """Cuts to be expected of as many samples as a tree was grown from."""

    @classmethod
    def around(cls, shapes: Values) -> Self:
        """See `Region`."""
        with_pandas()
        from sklearn.ensemble import IsolationForest as Grown  # noqa: PLC0415 - a second that only training is to pay

        grown = Grown(n_estimators=_TREES, max_samples=min(_SAMPLES, len(shapes)), random_state=_SEED).fit(shapes)
        trees = [each.tree_ for each in grown.estimators_]
        roots = np.cumsum([0, *(tree.node_count for tree in trees)])
        parts = [_nodes(tree, root) for tree, root in zip(trees, roots[:-1], strict=True)]
        below, beyond, column, cut, worth = (np.concatenate(each) for each in zip(*parts, strict=True))
        usual = float(_cuts(np.array([grown.max_samples_], dtype=float))[0])
        return cls(roots[:-1].astype(np.int32), below, beyond, column, cut, worth, usual)

    def raw(self, shapes: Values) -> Values:
        """Scores as Liu, Ting and Zhou have them: 0 to 1, below 0.5 for what is usual."""
        values = shapes.astype(np.float32)
        rows = np.arange(len(values))[:, None]
        node = np.tile(self.roots, (len(values), 1))
        while (inner := self.below[node] >= 0).any():
            goes_below = values[rows, self.column[node]] <= self.cut[node]
            node = np.where(inner, np.where(goes_below, self.below[node], self.beyond[node]), node)
        found: Values = 2.0 ** (-np.mean(self.worth[node], axis=1) / self.usual_worth)
        return found

    def numbers(self) -> Numbers:
        """See `Region`."""
        arrays = {name: getattr(self, name) for name in _ARRAYS}
        return arrays | {"usual_worth": np.array([self.usual_worth])}

    def parameters(self) -> dict[str, float]:
        """See `Region`."""
        return {"trees": _TREES, "samples_per_tree": _SAMPLES, "seed": _SEED, "nodes": len(self.worth)}

    @classmethod
    def of(cls, numbers: Numbers) -> Self:
        """See `Region`."""
        roots, below, beyond, column, cut, worth = (numbers[name] for name in _ARRAYS)
        return cls(roots, below, beyond, column, cut, worth, float(numbers["usual_worth"][0]))


class IsolationForest(Outside):
    """See the module."""

    method = "isolation_forest"
    learns = Forest


def _nodes(tree: Any, root: int) -> tuple[npt.NDArray[Any], ...]:
    """A tree's nodes, numbered from `root` on."""
    is_leaf = tree.children_left < 0
    below, beyond = (np.where(is_leaf, -1, child + root) for child in (tree.children_left, tree.children_right))
    depth = np.zeros(tree.node_count)
    for node in range(tree.node_count):  # children come after their parents
        if not is_leaf[node]:
            depth[[tree.children_left[node], tree.children_right[node]]] = depth[node] + 1
    worth = depth + np.where(is_leaf, _cuts(tree.n_node_samples.astype(float)), 0.0)
    column = np.where(is_leaf, 0, tree.feature).astype(np.int32)
    return below.astype(np.int32), beyond.astype(np.int32), column, np.asarray(tree.threshold, dtype=float), worth


def _cuts(samples: Values) -> Values:
    """Cuts that it takes on the average to part one of so many from the others."""
    many = np.maximum(samples, 3.0)
    some = 2 * (np.log(many - 1) + _EULER) - 2 * (many - 1) / many
    return np.where(samples <= 1, 0.0, np.where(samples == 2, 1.0, some))
