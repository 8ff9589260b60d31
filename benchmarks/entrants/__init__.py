"""One file per entrant: `FITS`, from the name of a task to a function of a pandas frame.

A fit takes `(frame, covariates, outcome)` and returns its answer as a dictionary: what the task's
yardstick in objective.py asks for, and `se`, the standard errors of `coef`.
"""
