"""Losses for gradient boosting: objectives and metrics that XGBoost and LightGBM call.

    xgboost.train(parameters, matrix, obj=objective(binary.focal_with_logits, gamma=1.5))

Neither library is imported here. What they do with a function of the user was found by running XGBoost 3.2 and LightGBM
4.7, and the tests hold it: none of their interfaces multiplies gradient and Hessian by weights, so it is done here.
"""

from lossbook.boosting.objectives import Metric, Objective, metric, objective
from lossbook.boosting.start import initial_score

__all__ = ["Metric", "Objective", "initial_score", "metric", "objective"]
