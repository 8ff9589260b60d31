"""How and where a study is computed; none of it is an answer."""

import re

from pydantic import Field, field_validator, model_validator

from riskadj.record import Record


class Compute(Record):
    """How the work is done; none of it changes a result."""

    threads: int = Field(2, ge=1)


_ENGINE = r"local|dask|(tcp|tls|ucx|ws|wss)://[^\s/@]+"
_ENCRYPTED = ("tls", "wss")
_THIS_MACHINE = ("127.0.0.1:", "localhost:", "[::1]:")


class EngineRules(Record):
    """Where a run is computed; it changes no result beyond the last digits."""

    name: str = Field(
        "local",
        json_schema_extra={"pattern": _ENGINE},
        description="local: this process; dask: worker processes on this machine; or the address "
        "of a running Dask scheduler, such as tls://host:8786, whose workers see data.paths and "
        "have this package",
    )
    workers: int = Field(2, ge=1, description="processes to start, with dask")
    rows: int = Field(
        250_000, ge=1, description="of a block: what is encoded, scored or sent at a time"
    )

    @model_validator(mode="before")
    @classmethod
    def _name_alone(cls, value: object) -> object:
        return {"name": value} if isinstance(value, str) else value

    @field_validator("name")
    @classmethod
    def _is_one(cls, name: str) -> str:
        if not re.fullmatch(_ENGINE, name):
            raise ValueError("wanted local, dask or an address such as tls://host:8786")
        return name

    @model_validator(mode="after")
    def _nothing_in_clear(self) -> "EngineRules":
        scheme, is_address, place = self.name.partition("://")
        if is_address and scheme not in _ENCRYPTED and not place.startswith(_THIS_MACHINE):
            raise ValueError(
                f"engine: wanted {' or '.join(_ENCRYPTED)} for another machine, as rows of "
                f"patients go there; got {scheme}. Give the scheduler keys (Dask's "
                "distributed.comm.tls), or reach it by a tunnel to 127.0.0.1"
            )
        return self
