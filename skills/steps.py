"""Steps: one `[[steps]]` table of skill.toml becomes a `StepDef`, or a SkillError with the line.

What every kind has (id, after, input, needs, timeout_s, retry, effects, limits) is read here first, then the members of the kind: python, run and
http are checked to the last member; prompt, agent, skill, map and approve are kept as they are, for the version that runs them.
Nothing here looks at other steps: references, cycles and duplicate ids are `skills.compile`'s.
"""

from __future__ import annotations

import ast
import importlib.util
import posixpath
import re
import warnings
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from skills.bundle import SkillFile
from skills.definition import StepDef
from skills.parse import SkillError
from skills.tables import Table, did_you_mean, path_of
from skills.template import TemplateError
from state.limits import ARTIFACT_BYTES_MAX, BACKOFF_S_MAX, MIB, STEP_TIMEOUT_S, STEP_TIMEOUT_S_MAX

STEP_ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
EFFECTS = ("none", "many", "once")
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
EXPECTS = ("auto", "json", "text")

TIMEOUT_S_MIN = 0.01                # less than a round trip to a worker is a typing error
ATTEMPTS_MAX = 100                  # with backoff at its maximum that is eight hours
BACKOFF_S_DEFAULT = 1.0
MEMORY_MB_MAX = 16 * 1024 * 1024    # 16 TB: larger than any one machine
CPU_S_MAX = int(STEP_TIMEOUT_S_MAX) * 1024
OPEN_FILES_MAX = 1_048_576          # Linux takes no higher RLIMIT_NOFILE by default
HTTP_BYTES_DEFAULT = 10 * MIB       # a large page or answer; more is asked for by name
REDIRECTS_DEFAULT = 5
REDIRECTS_MAX = 20                  # what browsers follow
ARGUMENTS_MAX = 256                 # of one command line
ENTRY_BYTES_MAX = 1 * MIB           # of the file that a step enters by: it is parsed here, which costs a second per MiB or two
LIMITS = {"memory_mb": MEMORY_MB_MAX, "cpu_s": CPU_S_MAX, "files": OPEN_FILES_MAX, "output_bytes": ARTIFACT_BYTES_MAX}

_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,62}(=[A-Za-z0-9._:/-]{1,63})?")
_FUNCTION = re.compile(r"(.+\.py):([A-Za-z_]\w*)")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_HEADERS_OF_THE_CLIENT = frozenset({"host", "content-length", "transfer-encoding", "connection", "upgrade", "te", "trailer", "expect"})
_LABEL_OF_HOST = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_HOST = re.compile(rf"\*|(?:\*\.)?{_LABEL_OF_HOST}(?:\.{_LABEL_OF_HOST})*|\[?[0-9a-f:.]*:[0-9a-f:.]*\]?")

Files = Mapping[str, SkillFile]


def read_step(table: Table, files: Files) -> StepDef:
    """The step of one table; `files` are those of the skill's folder. Raises SkillError."""
    step_id = table.text("id")
    if not STEP_ID.fullmatch(step_id):
        raise table.error("must be 1 to 64 of a-z, 0-9, - and _, beginning with a letter or digit", "id")
    table.label = f"steps.{step_id}"
    kind = table.choice("kind", (*KINDS, *LATER_KINDS))
    effects = table.choice("effects", EFFECTS, "none")
    retry = table.table("retry")
    needs = table.table("needs")
    limits = table.table("limits")
    document: dict[str, Any] = {
        "id": step_id, "kind": kind, "effects": effects,
        "after": list(table.texts("after")),
        "input": table.any("input"),
        "needs_labels": list(needs.texts("labels")),
        "memory_mb": needs.whole("memory_mb", 0, MEMORY_MB_MAX, 0),
        "timeout_s": table.number("timeout_s", TIMEOUT_S_MIN, STEP_TIMEOUT_S_MAX, STEP_TIMEOUT_S),
        "attempts": retry.whole("attempts", 1, ATTEMPTS_MAX, 1),
        "backoff_s": retry.number("backoff_s", 0, BACKOFF_S_MAX, BACKOFF_S_DEFAULT),
        "limits": limits.wholes(LIMITS),
    }
    retry.end()
    needs.end()
    limits.end()
    for index, label in enumerate(document["needs_labels"]):
        if not _LABEL.fullmatch(label):
            raise needs.error(f'must be a label such as "gpu" or "gpu=h100", not {label!r}', "labels", index)
    if effects == "once" and document["attempts"] > 1:
        raise retry.error('must be 1, because effects = "once" is never started twice without an operator', "attempts")
    if kind in KINDS:
        document["spec"] = KINDS[kind](table, files)
        table.end()
    else:
        document["spec"] = table.rest()
    try:
        return StepDef.from_document(document)
    except TemplateError as error:
        raise table.error(f"{{{{{error.reference}}}}}: {error.reason}", *path_of(error.pointer, {**document["spec"], **document})) from None


def _python(table: Table, files: Files) -> dict[str, Any]:
    """`entry`: a function of one or two positional parameters at the top level of a file of the folder."""
    entry = table.text("entry")
    match = _FUNCTION.fullmatch(entry)
    if not match:
        raise table.error(f'must be "file.py:function", not {entry!r}', "entry")
    path = _inside(table, match[1], files, "entry")
    if len(files[path].data) > ENTRY_BYTES_MAX:
        raise SkillError(path, None, f"more than {ENTRY_BYTES_MAX} bytes; an entry is small and imports the rest")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")     # a doubtful escape is the author's business, not a line on the server's stderr
            module = ast.parse(importlib.util.decode_source(files[path].data), path)
    except SyntaxError as error:
        raise SkillError(path, error.lineno or 1, f"syntax error: {error.msg}") from None
    except ValueError as error:
        raise SkillError(path, None, f"not Python source: {error}") from None
    except (RecursionError, MemoryError):
        raise SkillError(path, None, "the code is nested too deeply to be read") from None
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    functions = {node.name: node for node in module.body if isinstance(node, kinds)}
    if match[2] not in functions:
        raise table.error(f"{path} defines no function {match[2]!r} at its top level{did_you_mean(match[2], functions)}", "entry")
    _callable(functions[match[2]], path)
    return {"entry": f"{path}:{match[2]}"}


def _callable(function: ast.FunctionDef | ast.AsyncFunctionDef, path: str) -> None:
    """A worker calls `function(input)` or `function(input, step)`."""
    arguments = function.args
    positional = len(arguments.posonlyargs) + len(arguments.args)
    by_name = sum(default is None for default in arguments.kw_defaults)
    if isinstance(function, ast.AsyncFunctionDef):
        raise SkillError(path, function.lineno, f"{function.name} is async; a step is called as a plain function")
    if not 1 <= positional <= 2 or by_name:
        raise SkillError(path, function.lineno, f"{function.name} must take (input) or (input, step): one or two positional parameters, "
                                                f"not {positional}" + (" and required keywords" if by_name else ""))


def _inside(table: Table, path: str, files: Files, *tail: str | int) -> str:
    """The path as a name of `files`; a path that leaves the folder, or a file that is not there, is an error."""
    plain = posixpath.normpath(path)
    if path.startswith("/") or plain.startswith("..") or "\\" in path:
        raise table.error(f"{path!r} leaves the folder of the skill", *tail)
    if plain not in files:
        raise table.error(f"there is no file {plain} in the folder{did_you_mean(plain, files)}", *tail)
    return plain


def _run(table: Table, files: Files) -> dict[str, Any]:
    """`argv` and `env`. The program is a file of the bundle (./name), a program of the worker's machine (name or /path), never a template."""
    argv = table.any("argv")
    if argv is None:
        raise table.error("argv is missing; it must be a list of strings")
    if not isinstance(argv, list) or not argv or len(argv) > ARGUMENTS_MAX:
        raise table.error(f"must be a list of 1 to {ARGUMENTS_MAX} strings", "argv")
    for index, argument in enumerate(argv):
        if not isinstance(argument, str) or "\0" in argument:
            raise table.error("must be a string without NUL", "argv", index)
    program = argv[0]
    if not program.strip() or "{{" in program:
        raise table.error("the program must be written out; an input never chooses it", "argv", 0)
    if program.startswith(("./", "../")):
        path = _inside(table, program, files, "argv", 0)
        if not files[path].executable:
            raise table.error(f"{path} is not executable; run: chmod +x {path}", "argv", 0)
        argv = [f"./{path}", *argv[1:]]
    elif "/" in program and not program.startswith("/"):
        raise table.error(f"a program of the folder begins with ./, as in './{program}'", "argv", 0)
    env = table.strings("env")
    for name, value in env.items():
        if not _VARIABLE.fullmatch(name):
            raise table.error("is not a name of an environment variable", "env", name)
        if "{{" in value or "\0" in value:
            raise table.error("is literal text; values of a job reach the program in its input", "env", name)
    return {"argv": argv, "env": env}


def _http(table: Table, files: Files) -> dict[str, Any]:
    """A request; hosts are named by the skill's author, so that an input cannot send the worker elsewhere."""
    spec: dict[str, Any] = {
        "method": table.choice("method", METHODS, "GET"),
        "url": table.text("url"),
        "headers": table.strings("headers"),
        "body": table.any("body"),
        "allow_hosts": [host.lower() for host in table.texts("allow_hosts", least=1)],
        "allow_private": table.flag("allow_private", False),
        "max_bytes": table.whole("max_bytes", 1, ARTIFACT_BYTES_MAX, HTTP_BYTES_DEFAULT),
        "max_redirects": table.whole("max_redirects", 0, REDIRECTS_MAX, REDIRECTS_DEFAULT),
        "expect": table.choice("expect", EXPECTS, "auto"),
        "retry_statuses": _statuses(table),
    }
    for index, host in enumerate(spec["allow_hosts"]):
        if not _HOST.fullmatch(host):
            raise table.error(f'must be a host, "*.example.org" or "*", without scheme and port, not {host!r}', "allow_hosts", index)
    for name, value in spec["headers"].items():
        if not _HEADER.fullmatch(name):
            raise table.error("is not a name of a header", "headers", name)
        if name.lower() in _HEADERS_OF_THE_CLIENT:
            raise table.error("is set by the worker", "headers", name)
        if any(ord(letter) < 32 or ord(letter) == 127 for letter in value):
            raise table.error("a header cannot hold control characters", "headers", name)
    _check_url(table, spec["url"], spec["allow_hosts"])
    return spec


def _statuses(table: Table) -> list[int]:
    """HTTP statuses that are worth another attempt, beyond those that always are."""
    statuses = table.any("retry_statuses")
    if statuses is None:
        return []
    if not isinstance(statuses, list) or not all(type(status) is int and 400 <= status <= 599 for status in statuses):
        raise table.error("must be a list of statuses from 400 to 599", "retry_statuses")
    return statuses


def _check_url(table: Table, url: str, hosts: list[str]) -> None:
    """What can be known of a URL before its templates are replaced: the scheme, and the host where it is written out."""
    literal = url.split("{{", 1)[0]
    if any(ord(letter) <= 32 or ord(letter) == 127 for letter in literal):
        raise table.error("a URL has no spaces or control characters", "url")
    if literal == "" and url:
        return
    if not literal.lower().startswith(("http://", "https://")):
        raise table.error("must begin with http:// or https://", "url")
    rest = literal.split("://", 1)[1]
    whole_host = literal == url or any(mark in rest for mark in "/?#")
    if not whole_host:
        return
    try:
        parts = urlsplit(literal)
        host, _ = parts.hostname or "", parts.port
    except ValueError as error:
        raise table.error(f"cannot be read: {error}", "url") from None
    if "@" in parts.netloc:
        raise table.error("must not hold a name and password", "url")
    if not host:
        raise table.error("names no host", "url")
    if not any(covers(pattern, host) for pattern in hosts):
        raise table.error(f"host {host} is not in allow_hosts", "url")


def covers(pattern: str, host: str) -> bool:
    """True if a row of `allow_hosts` allows the host: itself, any below `*.`, or every host for `*`."""
    plain = host.lower().rstrip(".").strip("[]")
    if pattern.startswith("*."):
        return plain.endswith(pattern[1:]) and len(plain) >= len(pattern)
    return pattern == "*" or pattern.strip("[]") == plain


KINDS: Mapping[str, Callable[[Table, Files], dict[str, Any]]] = {"python": _python, "run": _run, "http": _http}
LATER_KINDS = ("prompt", "agent", "skill", "map", "approve")
