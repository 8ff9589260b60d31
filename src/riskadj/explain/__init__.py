"""What makes an expectation high or low: by episode, by feature, by provider."""

from riskadj.explain.shap_values import Explanation, explain_expectations

__all__ = ["Explanation", "explain_expectations"]
