"""Conversion tables: from the sum of the items to an interval score.

Entry 0 is the score of a sum of 0. In all four tables 100 is the best score, whichever way the
first publication ran.
"""

HOOS_PS = (
    100.0, 95.4, 91.2, 87.3, 83.6, 80.0, 76.6, 73.1, 69.6, 66.1, 62.3,
    58.3, 53.9, 49.2, 44.1, 38.4, 32.1, 25.2, 17.6, 9.2, 0.0,
)  # fmt: skip
"""Davis et al. 2008, turned so that 100 is no difficulty; as transcribed by awell-score."""

KOOS_PS = (
    100.0, 94.4, 89.5, 85.2, 81.4, 78.0, 75.1, 72.5, 70.3, 68.2, 66.4, 64.7, 63.0, 61.4, 59.7,
    58.0, 56.0, 53.9, 51.5, 48.8, 45.6, 42.1, 38.0, 33.4, 28.2, 22.3, 15.7, 8.2, 0.0,
)  # fmt: skip
"""Perruccio et al. 2008, turned so that 100 is no difficulty; as transcribed by awell-score."""

HOOS_JR = (
    100.0, 92.340, 85.257, 80.550, 76.776, 73.472, 70.426, 67.516, 64.664, 61.815, 58.930, 55.985,
    52.965, 49.858, 46.652, 43.335, 39.902, 36.363, 32.735, 29.009, 25.103, 20.805, 15.633, 8.104,
    0.0,
)  # fmt: skip
"""Single lineage: not compared with a table of its publisher."""

KOOS_JR = (
    100.0, 91.975, 84.600, 79.914, 76.332, 73.342, 70.704, 68.284, 65.994, 63.776, 61.583, 59.381,
    57.140, 54.840, 52.465, 50.012, 47.487, 44.905, 42.281, 39.625, 36.931, 34.174, 31.307, 28.251,
    24.875, 20.941, 15.939, 8.291, 0.0,
)  # fmt: skip
"""Single lineage: not compared with a table of its publisher."""
