"""What every record that is read from a file has in common."""

from pydantic import BaseModel, ConfigDict


class Record(BaseModel):
    """A frozen record that refuses keys it does not know, and numbers that are none.

    Examples
    --------
    >>> class Window(Record):
    ...     days: int
    >>> Window.model_validate({"days": 90})
    Window(days=90)
    >>> Window.model_validate({"days": 90, "day": 1})  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    pydantic_core._pydantic_core.ValidationError: 1 validation error for Window...
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
