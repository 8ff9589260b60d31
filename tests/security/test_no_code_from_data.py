"""Nothing that is read can become code: no module that does so is imported, nothing such is called.

The walk is over syntax trees, so that a word in a text or a comment is no fault and an import under
another name is one.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OURS = ("src", "experiments", "benchmarks", "model_cards")
MODULES = {
    "pickle", "cPickle", "_pickle", "pickletools", "marshal", "shelve", "dbm", "dill",
    "cloudpickle", "joblib", "jsonpickle", "torch", "yaml", "code", "codeop", "pty", "telnetlib",
    "ftplib", "xmlrpc", "xml", "lxml",
}  # fmt: skip
CALLS = {
    "eval", "exec", "compile", "__import__", "os.system", "os.popen", "os.execv", "os.execvp",
    "os.spawnl", "os.spawnv", "tempfile.mktemp", "hashlib.md5", "hashlib.sha1", "builtins.eval",
    "builtins.exec", "ast.literal_eval", "pty.spawn", "runpy.run_path", "runpy.run_module",
    "pandas.eval", "numpy.fromstring", "shutil.unpack_archive",
    "urllib.request.urlretrieve", "importlib.__import__", "subprocess.getoutput",
    "subprocess.getstatusoutput", "mlflow.pyfunc.load_model", "mlflow.sklearn.load_model",
}  # fmt: skip
PICKLES = {"pickle", "cPickle", "_pickle", "cloudpickle", "dill", "joblib"}
"""Modules that load code wherever they stand, in somebody's package too."""
METHODS = {"to_pickle", "read_pickle", "extractall"}
OF_CONSTANTS = {"eval", "query"}
"""Methods that compute with a text: it has to stand there."""
PLACED = {"numpy.load": 3}
"""Calls one of whose arguments is unsafe by its place; fewer than so many are said by place."""
KEYWORDS = {("allow_pickle", True), ("shell", True), ("typ", "unsafe"), ("verify", False)}
"""Arguments by name that no call may have, with the value that makes them unsafe."""
CONSTANT = {"importlib.import_module"}
"""Calls that take names which this package has, and none that was read."""
IMPORTERS = {"src/riskadj/__init__.py", "benchmarks/worker.py"}


def own_files() -> list[Path]:
    return sorted(path for one in OURS for path in (ROOT / one).rglob("*.py"))


def faults_of(text: str, name: str = "a.py") -> list[str]:
    tree = ast.parse(text)
    full = dict(_names(tree))
    return [
        f"{name}:{node.lineno}: {fault}"
        for node in ast.walk(tree)
        for fault in _faults(node, full, name)
    ]


def _names(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """Yield what each imported name stands for."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for one in node.names:
                yield (
                    one.asname or one.name.split(".")[0],
                    one.name if one.asname else (one.name.split(".")[0]),
                )
        elif isinstance(node, ast.ImportFrom) and node.module:
            for one in node.names:
                yield one.asname or one.name, f"{node.module}.{one.name}"


def _faults(node: ast.AST, full: dict[str, str], name: str) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (f"imports {one.name}" for one in node.names if _is_unsafe(one.name))
    elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
        if _is_unsafe(node.module) or PICKLES & {one.name for one in node.names}:
            yield f"imports {node.module}"
    elif isinstance(node, ast.Call):
        yield from _call_faults(node, full, name)


def _is_unsafe(module: str) -> bool:
    first, *others = module.split(".")
    return first in MODULES or bool(PICKLES & {*others})


def _call_faults(node: ast.Call, full: dict[str, str], name: str) -> Iterator[str]:
    called = _dotted(node.func, full)
    if called in CALLS or (called in CONSTANT and name not in IMPORTERS):
        yield f"calls {called}"
    last = called.rsplit(".", 1)[-1] if called else getattr(node.func, "attr", "")
    if last in METHODS or len(node.args) >= PLACED.get(called, 1000):
        yield f"calls {last}"
    if isinstance(node.func, ast.Attribute) and last in OF_CONSTANTS and called not in CALLS:
        texts = [*node.args[:1], *(one.value for one in node.keywords if one.arg == "expr")]
        if not all(isinstance(one, ast.Constant) for one in texts):
            yield f"calls {last} of what does not stand there"
    for one in node.keywords:
        value = one.value.value if isinstance(one.value, ast.Constant) else ...
        if (one.arg, value) in KEYWORDS or (one.arg == "allow_pickle" and value is not False):
            yield f"says {one.arg}={value}"


def _dotted(node: ast.AST, full: dict[str, str]) -> str:
    if isinstance(node, ast.Name):
        return full.get(node.id, node.id)
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value, full)}.{node.attr}"
    return ""


def test_no_file_of_ours_makes_code_of_data():
    files = own_files()
    assert len(files) > 300
    faults = [
        fault
        for path in files
        for fault in faults_of(path.read_text(encoding="utf-8"), str(path.relative_to(ROOT)))
    ]
    assert faults == []


@pytest.mark.parametrize(
    "text",
    [
        "import pickle",
        "import pickle as p",
        "from pickle import loads",
        "import joblib.numpy_pickle",
        "from torch import load",
        "import yaml",
        "def f():\n    import marshal",
        "try:\n    import cloudpickle\nexcept ImportError:\n    pass",
        "eval('1')",
        "exec('1')",
        "import builtins as b\nb.eval('1')",
        "import os\nos.system('ls')",
        "from os import system as s\ns('ls')",
        "import numpy as np\nnp.load('a', allow_pickle=True)",
        "import numpy as np\nnp.load('a', allow_pickle=asked)",
        "import pandas as pd\npd.read_pickle('a')",
        "frame.to_pickle('a')",
        "import subprocess\nsubprocess.run('ls', shell=True)",
        "from ruamel.yaml import YAML\nYAML(typ='unsafe')",
        "archive.extractall('/')",
        "from importlib import import_module\nimport_module(read)",
        "import importlib\nimportlib.__import__(read)",
        "from pandas import read_pickle\nread_pickle('a')",
        "from pandas import read_pickle as r\nr('a')",
        "tables[0].to_pickle('a')",
        "import numpy as np\nnp.load('a', None, True)",
        "frame.eval(read)",
        "frame.query(f'a > {read}')",
        "tables['a'].query(read)",
        "frame.query(expr=read)",
        "import subprocess\nsubprocess.getoutput('ls')",
        "from subprocess import getstatusoutput as g\ng('ls')",
        "import distributed.protocol.pickle",
        "from distributed.protocol import pickle",
        "from distributed.protocol.pickle import loads",
        "import mlflow\nmlflow.sklearn.load_model('a')",
        "from mlflow.pyfunc import load_model\nload_model('a')",
    ],
)
def test_each_way_to_make_code_of_data_is_found(text: str):
    assert len(faults_of(text)) == 1


@pytest.mark.parametrize(
    "text",
    [
        '"""pickle, eval(x) and exec."""',
        "model.eval()",
        "import re\nre.compile('a')",
        "import numpy as np\nnp.load('a', allow_pickle=False)",
        "frame.query('a > 1')",
        "frame.eval('a + b')",
        "import numpy as np\nnp.load('a', 'r')",
        "from riskadj.code import pickle_free",
    ],
)
def test_what_only_looks_like_it_is_not(text: str):
    assert faults_of(text) == []
