"""No password, token or key in anything that is said or written, however it is given."""

import json
import os
import subprocess
import sys
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from worlds import make_study

from riskadj.errors import RiskadjError, StudyError
from riskadj.masking import fit_to_show, is_masked, without_password
from riskadj.report.provenance import portable_study
from riskadj.study.load import build
from riskadj.study.study import Study
from riskadj.tracking.store import first_words

SIGNS = st.characters(min_codepoint=33, max_codepoint=0x2FF, exclude_characters="*\x7f")
BEGIN, END = "Qx1", "Zy9"
SECRETS = (
    st.text(SIGNS, max_size=30)
    .filter(lambda text: not any(one.isspace() or not one.isprintable() for one in text))
    .map(f"{BEGIN}{{}}{END}".format)
)
KEYS = st.sampled_from(
    ["password", "token", "sslkey", "sslpassword", "PWD", "api_key", "sig", "odbc_connect", "x"]
)
PLACES = st.sampled_from(["postgresql://host/db", "https://host:5000/p", "mysql+pymysql://h/d"])
SENTENCES = st.sampled_from(["{}", "could not reach {} today", "(a) {} (b)", "at\n{}\nagain"])


def leaks(said: str) -> bool:
    """Whether a part of a secret is there."""
    return BEGIN in said or END in said


@given(SECRETS, SENTENCES)
def test_a_password_before_the_host_is_masked(secret: str, sentence: str):
    said = sentence.format(f"postgresql://me:{secret}@host/db")
    assert not leaks(without_password(said))


@given(SECRETS, KEYS, PLACES, SENTENCES, st.sampled_from(["?", "?sslmode=require&", "#"]))
def test_what_a_query_says_is_masked(secret: str, key: str, place: str, sentence: str, mark: str):
    said = without_password(sentence.format(f"{place}{mark}{key}={quote(secret, safe='')}"))
    assert not leaks(said)
    assert without_password(said) == said


@given(SECRETS, PLACES)
def test_a_query_that_is_not_quoted_is_masked_too(secret: str, place: str):
    assert not leaks(without_password(f"{place}?password={secret}"))


@given(SECRETS, KEYS)
def test_the_secret_of_a_uri_is_masked_where_an_error_says_it_alone(secret: str, key: str):
    uri = f"postgresql://me:{quote(secret, safe='')}@host/db?{key}={quote(secret, safe='')}"
    assert not leaks(first_words(ValueError(f"cannot log in with {secret} at all"), uri))


@given(SECRETS)
def test_a_typed_error_never_holds_a_password(secret: str):
    error = StudyError(f"tracking: wanted a mapping; got 'mysql://me:{secret}@host'.")
    assert not leaks(str(error) + repr(error) + repr(error.args))


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("mysql://host/runs?charset=utf8&connect_timeout=5", None),
        ("sqlite:////home/me@work/mlflow.db", None),
        ("http://127.0.0.1:5000/#/experiments/3", None),
        ("data.paths: wanted a file; got a?b=c.", None),
        ("split.token: wanted a value; got none.", None),
        ("host=h password=abc user=u", "host=h password=*** user=u"),
        ('{"password": "abc"}', '{"password": ***'),
        ("Authorization: Bearer abcdefgh12345", "Authorization: Bearer ***"),
        ("mysql://h/d?sslmode=a;password=b", "mysql://h/d?***"),
    ],
)
def test_what_is_no_secret_stays(text: str, left: str | None):
    assert without_password(text) == (left or text)


@pytest.mark.parametrize("name", ["MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN", "DB_SECRET"])
def test_the_environment_s_secrets_are_masked_wherever_they_stand(name: str, monkeypatch):
    monkeypatch.setenv(name, "correct-horse")
    assert without_password("401 for correct-horse.") == "401 for ***."
    assert "correct" not in str(RiskadjError("the server said correct-horse"))


def test_a_query_s_password_counts_as_masked():
    assert is_masked(without_password("postgresql://host/db?password=abc"))


def test_the_written_study_has_no_password():
    uri = "postgresql://me:p-word@host/db?password=q-word&sslkey=k-word"
    written = json.dumps(portable_study(make_study(tracking={"uri": uri})))
    assert "-word" not in written
    assert "postgresql://***@host/db?***" in written


def test_a_study_that_is_refused_does_not_say_its_password():
    with pytest.raises(RiskadjError) as caught:
        build(Study, {"tracking": "postgresql://me:p-word@host?token=t-word"}, "study.yaml")
    faults = getattr(caught.value, "faults", ())
    assert any("tracking" in str(one) for one in faults)
    assert not any("-word" in str(one) for one in (caught.value, *faults))


CRASH = """
import sys
from riskadj.cli import app as module
import riskadj.cli as cli
def crash(*args, **kwargs):
    raise KeyError("postgresql://me:p-word@host?password=q-word e-word-123")
module.app = crash
cli.main()
"""


@pytest.mark.parametrize("debug", ["", "1"])
def test_neither_a_crash_nor_its_traceback_says_a_password(debug: str):
    environment = {
        **os.environ, "RISKADJ_DEBUG": debug, "MLFLOW_TRACKING_PASSWORD": "e-word-123",
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", CRASH], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 70
    assert "KeyError" in done.stderr
    assert ("Traceback" in done.stderr) == bool(debug)
    assert "-word" not in done.stderr + done.stdout


def test_an_error_cannot_take_over_a_terminal():
    assert "\x1b" not in fit_to_show("\x1b]0;owned\x07")
    assert "\x1b" not in str(StudyError("got '\x1b[2J'"))


def test_the_folder_of_the_shell_is_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PWD", "/home/analyst/hips")
    monkeypatch.setenv("OLDPWD", "/home/analyst")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "hunter2hunter2")
    told = without_password("/home/analyst/hips/run: hunter2hunter2")
    assert told == "/home/analyst/hips/run: ***"
