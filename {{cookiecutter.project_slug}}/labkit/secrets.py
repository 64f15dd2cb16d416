"""Keeps passwords, keys and tokens out of run folders, logs, copies of the code and reports, which people share.

The list is our own: docs/design.md of the template compares it with a detector that one could install.
"""

import functools
import os
import re
from collections.abc import Iterator, Mapping
from typing import Any

SHORTEST = 8  # characters of a variable's value: a shorter one would turn up everywhere

# What names say, in small letters and with "_" between the words.
_WHOSE_KEY = "api|access|private|signing|secret|encryption|ssh|hf|wandb|account|master|deploy"
_WHOSE_TOKEN = "auth|access|bearer|session|refresh|sas|api|id|hf|wandb|bot|personal"
_NAMED = re.compile(
    rf"""passw(?:or)?ds?(?:_|$) | passphrase | secrets?(?:_|$) | credentials?(?:_|$) |
    (?:^|_)(?:pwd|jwt|dsn|bearer|cookies?|webhooks?|conn(?:ection)?_?str(?:ing)?|
    (?:{_WHOSE_KEY})_?keys?|(?:{_WHOSE_TOKEN})_?tokens?)(?:_|$)""",
    re.VERBOSE,
)
_PASS = re.compile(r"(?:^|_)(?<!low_)(?<!high_)(?<!band_)(?<!forward_)(?<!backward_)(?<!one_)(?<!two_)pass$")
_AMBIGUOUS = re.compile(r"(?:^|_)(?:pat|auth)$|^token$")  # a secret only if its value looks like one
_RANDOM = re.compile(r"(?=.*\d)[\w.~+/=-]{8,}|[\w.~+/=-]{16,}")
_ABOUT = re.compile(r"_(?:file|path|dir|folder|name|env|variable|length|size|type|policy|field|column|min|max)$")
_VARIABLE = re.compile(r"(?:^|_)(?:key|token|pass|pat|auth)s?$|(?:^|_)(?:key|token)s?_")
_NO_VALUE = re.compile(r"(?:null|none|true|false|~|\?\?\?|\*+|\$(?-i:[({A-Z_]).*)?", re.IGNORECASE)

# What is a secret under any name: in an address, behind a word, or as its issuer writes it.
_LOGIN = re.compile(
    r"(?<=://)(?:[^/\s'\"{}$<>]*:[^/\s'\"{}$<>]*|(?:(?<=https://)|(?<=http://))[^/\s?#'\"{}$<>:]+)(?=@)"
)
_WHOLE_LOGIN = re.compile(r"[\w.+-]+:[^\s/:]+@(?!sha\d+:)[\w.-]+(?::\d+)?(?:/\S*)?")
_QUERY = re.compile(
    r"""([?&](?:sig|signature|x-(?:amz|goog)-(?:signature|credential|security-token)|code|password|
    (?:\w+_)?(?:token|secret|key))=)[^&\s\#'"{}]{6,}""",
    re.IGNORECASE | re.VERBOSE,
)
_BEARER = re.compile(r"(\bBearer|\bbearer(?=\s+\S*\d)|[Aa]uthorization['\"]?\s*[:=]\s*['\"]?\w+)\s+[\w.~+/=-]+")
_PEM = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY(?: BLOCK)?-----(?:[\w\s+/=\\:,.-]*?-----END [A-Z ]*-----|[^\n]*)")
_ISSUED = re.compile(
    r"""\b(?:gh[pousr]_[a-zA-Z0-9]{30,} | github_pat_\w{22,} | gl[a-z]{2,5}-[\w-]{20,} | hf_[a-zA-Z0-9]{30,} |
    A(?:KI|SI)A[A-Z0-9]{16} | sk-[\w-]{40,} | (?:sk|rk)_(?:live|test)_\w{16,} | whsec_[\w+/=]{24,} | AIza[\w-]{35} |
    ya29\.[\w-]{20,} | GOCSPX-[\w-]{20,} | eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]* | npm_[a-zA-Z0-9]{36} |
    pypi-AgE[\w-]{40,} | dckr_[po]at_[\w-]{20,} | xox[a-z]-[\w-]{10,} | xapp-[\w-]{20,} | dapi[0-9a-f]{32} |
    SG\.[\w-]{16,}\.[\w-]{16,} | wandb_v\d_\w{20,}) | hooks\.slack\.com/(?:services|workflows)/[\w/-]+""",
    re.VERBOSE,
)
# A name and its value in a line of a file. In a program and in prose only a text in quotes is a value.
_QUOTED = re.compile(
    r"""(?<![\w.-])(?P<name>[\w.-]++)['"\]]*(?:[ ]*+:[\w.\[\]|\ ]++)?[ \t]*[:=][ \t]*[bfru]{0,2}
    (?P<quote>['"])(?P<value>[^'"\s{]+)(?P=quote)""",
    re.VERBOSE,
)
_PLAIN = re.compile(r"""(?<![\w.-])(?P<name>[\w.-]++)['"]?[ \t]*[:=][ \t]*['"]?(?P<value>[^\s'",}\]#]+)""")
_PROSE = (".py", ".md", ".rst", ".txt", ".ipynb")


def refuse_secrets(values: Mapping[str, Any]) -> None:
    """ValueError naming the first dotted key that looks like a secret, or whose value does."""
    for key, value in _leaves(values):
        if _is_named(key, value) or (isinstance(value, str) and _holds_one(value)):
            raise ValueError(
                f"{key}: looks like a secret, which would be stored with every run; put it into an environment "
                "variable, and read it only in the code that needs it"
            )


def redact(text: str) -> str:
    """`text` without logins in addresses, tokens of well-known services, and values of variables with a secret's
    name."""
    for secret in _values_of_variables():
        text = text.replace(secret, "***")
    text = _QUERY.sub(r"\1***", _LOGIN.sub("***", text))
    return _PEM.sub("***", _ISSUED.sub("***", _BEARER.sub(r"\1 ***", text)))


def redact_leaves(value: Any) -> Any:
    """The same for every string in nested lists and mappings; a number stays, whatever its digits."""
    if isinstance(value, Mapping):
        return {key: redact_leaves(child) for key, child in value.items()}
    if isinstance(value, list | tuple):
        return [redact_leaves(child) for child in value]
    return redact(value) if isinstance(value, str) else value


def redact_file(text: str, name: str) -> str:
    """The same for the text of a file, also without what it gives to names such as `password`."""

    def hide(found: re.Match[str]) -> str:
        if not _is_named(found["name"], found["value"]):
            return found[0]
        start, end = found.start("value") - found.start(), found.end("value") - found.start()
        return f"{found[0][:start]}***{found[0][end:]}"

    return (_QUOTED if name.lower().endswith(_PROSE) else _PLAIN).sub(hide, redact(text))


def _leaves(value: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """What is in nested mappings and lists, by dotted keys; the members of a list have the key of the list."""
    if isinstance(value, Mapping):
        for name, child in value.items():
            yield from _leaves(child, f"{key}.{name}" if key else str(name))
    elif isinstance(value, list | tuple):
        for child in value:
            yield from _leaves(child, key)
    else:
        yield key, value


def _is_named(key: str, value: Any) -> bool:
    """Whether the last part of a dotted key names a secret, and the value may be one."""
    if isinstance(value, bool) or not isinstance(value, str | int) or _NO_VALUE.fullmatch(str(value)):
        return False
    name = _words(key.rpartition(".")[2])
    if _AMBIGUOUS.search(name) and _RANDOM.fullmatch(str(value)):
        return True
    return not _ABOUT.search(name) and bool(_NAMED.search(name) or (isinstance(value, str) and _PASS.search(name)))


def _holds_one(text: str) -> bool:
    return redact_file(text, "") != text or bool(_WHOLE_LOGIN.fullmatch(text))


def _words(name: str) -> str:
    """accessToken, access-token and ACCESS_TOKEN as access_token."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).replace("-", "_").lower()


@functools.cache
def _values_of_variables() -> list[str]:
    values = [value for name, value in os.environ.items() if len(value) >= SHORTEST and _is_secret_variable(name)]
    # A path says where a secret is, and is not one itself: GOOGLE_APPLICATION_CREDENTIALS and the like.
    return sorted((value for value in values if not os.path.exists(value)), key=len, reverse=True)


def _is_secret_variable(name: str) -> bool:
    name = _words(name)
    known = _NAMED.search(name) or _VARIABLE.search(name)
    return bool(known) and not _ABOUT.search(name) and name not in ("pwd", "oldpwd")
