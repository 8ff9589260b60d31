"""What makes an expectation high or low: by episode, by feature, by provider."""

from riskadj.explain.additive import contributions_of, why_not
from riskadj.explain.forest import Forest, read_forest
from riskadj.explain.shap_values import Explanation, explain_expectations, unexplained
from riskadj.explain.tree_shap import TreeValues, tree_contributions, tree_interactions

__all__ = [
    "Explanation",
    "Forest",
    "TreeValues",
    "contributions_of",
    "explain_expectations",
    "read_forest",
    "tree_contributions",
    "tree_interactions",
    "unexplained",
    "why_not",
]
