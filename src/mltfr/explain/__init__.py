"""Why an item was recommended: what its history, the fusion and its tokens do to the score, and how well that holds."""

from mltfr.explain.explainable import Explainable
from mltfr.explain.explainer import Explainer
from mltfr.explain.explanation import Explanation
from mltfr.explain.fidelity import Fidelity

__all__ = ["Explainable", "Explainer", "Explanation", "Fidelity"]
