"""One-Class SVM: how far the last day's shape is outside of the region that holds those that were learnt from."""

from dataclasses import dataclass
from typing import Final, Self

import numpy as np

from contracts.imports import with_pandas
from processing.detection.detector import Values
from processing.detection.outside import Outside
from processing.detection.trained import Numbers

_OUTSIDE: Final = 0.02
"""The share of what was learnt from that may lie outside."""


@dataclass(frozen=True)
class Bells:
    """A sum of bells around those shapes that lie on the border, less what the sum is there."""

    vectors: Values
    weights: Values
    narrowness: float
    border: float

    @classmethod
    def around(cls, shapes: Values) -> Self:
        """See `Region`."""
        with_pandas()
        from sklearn.svm import OneClassSVM as Fitted  # noqa: PLC0415 - a second that only training is to pay

        fitted = Fitted(kernel="rbf", gamma="scale", nu=_OUTSIDE).fit(shapes)
        # What `gamma="scale"` means, so that it can be stored.
        narrowness = 1.0 / (shapes.shape[1] * float(shapes.var()))
        return cls(fitted.support_vectors_, fitted.dual_coef_[0], narrowness, -float(fitted.intercept_[0]))

    def raw(self, shapes: Values) -> Values:
        """Positive outside, the more the further; at most the border's height."""
        distances = np.sum((shapes[:, None, :] - self.vectors) ** 2, axis=2)
        found: Values = self.border - np.exp(-self.narrowness * distances) @ self.weights
        return found

    def numbers(self) -> Numbers:
        """See `Region`."""
        region = np.array([self.narrowness, self.border])
        return {"vectors": self.vectors, "weights": self.weights, "region": region}

    def parameters(self) -> dict[str, float]:
        """See `Region`."""
        return {"nu": _OUTSIDE, "gamma": round(self.narrowness, 6), "vectors": len(self.weights)}

    @classmethod
    def of(cls, numbers: Numbers) -> Self:
        """See `Region`."""
        return cls(numbers["vectors"], numbers["weights"], *map(float, numbers["region"]))


class OneClassSvm(Outside):
    """See the module."""

    method = "one_class_svm"
    learns = Bells
