"""Recognisers for secrets: keys and tokens by their public forms, and values after words such as `password`.

Random strings without a known form or a word before them are not found: nothing tells them from identifiers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from spans import Find

PEM = re.compile(r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
                 r"(?:[\s\S]{0,18000}?-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----|[\w+/=\s:,\\-]{0,18000})")
FORMS = re.compile("|".join((
    r"\b(?:AKIA|ASIA|AROA|AIDA)[0-9A-Z]{16}\b",                                  # Amazon
    r"\bgh[pousr]_[A-Za-z0-9]{36,255}", r"\bgithub_pat_\w{22,255}", r"\bglpat-[\w-]{20,}",
    r"\bxox[abeprs]-[A-Za-z0-9-]{10,}", r"\bxapp-[A-Za-z0-9-]{20,}", r"https://hooks\.slack\.com/services/[\w/]+",
    r"\bAIza[\w-]{35}", r"\bya29\.[\w-]{20,}",                                   # Google
    r"\b[rs]k_(?:live|test)_[A-Za-z0-9]{16,}", r"\bwhsec_[A-Za-z0-9]{20,}",      # Stripe
    r"\bsk-(?:ant-|proj-|or-)?[A-Za-z0-9_-]{20,}", r"\bhf_[A-Za-z0-9]{30,}",     # model providers
    r"\bnpm_[A-Za-z0-9]{36}", r"\bpypi-[\w-]{50,}", r"\bSG\.[\w-]{16,}\.[\w-]{16,}", r"\bSK[0-9a-f]{32}\b", r"\bdop_v1_[0-9a-f]{64}",
    r"\b\d{8,10}:AA[\w-]{33}\b",                                                 # Telegram
    r"\beyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]*",                                     # JSON web token
    r"\bAge-Secret-Key-1[0-9A-Z]{50,}", r"\bAGE-SECRET-KEY-1[0-9A-Z]{50,}",
)))
LONG = re.compile(r"[A-Za-z0-9_.:/+=-]{19,}")       # a run that may hold a token; all forms are tried only inside such runs
HEADER = re.compile(r"\b(?:proxy-)?authorization[\"']?\s{0,6}[:=]\s{0,6}[\"']?"
                    r"(?:(?:bearer|basic|token|digest|apikey|negotiate)\s{1,6})?([^\s\"',;]{6,})", re.IGNORECASE)
BEARER = re.compile(r"\bbearer\s{1,6}([A-Za-z0-9._~+/=-]{16,})", re.IGNORECASE)
COOKIE = re.compile(r"\b(?:set-)?cookie:\s{0,6}([^\r\n]{4,4000})", re.IGNORECASE)
LOGIN = re.compile(r"://([^\s/:@\"']{0,200}:[^\s/@\"']{1,200})@")
WORDS = (r"passw(?:or)?ds?|passwd|passphrase|pwd|secrets?|tokens?|api[_ -]?keys?|access[_ -]?keys?|account[_ -]?key|private[_ -]?key"
         r"|client[_ -]?secret|auth[_ -]?key|credentials?|session[_ -]?id|pin(?: code)?|cvv|cvc|kennwort|passwort|mot de passe|contraseña|clave|senha"
         r"|wachtwoord|lösenord|hasło|пароль|密码|密碼|口令|パスワード|暗証番号|비밀번호")
ASSIGNED = re.compile(rf"(?<![A-Za-z])(?:{WORDS})(?:[_.-]\w{{1,20}})?[\"'`]?\s{{0,6}}(?::=?|=>?|：|\bis\b|\bist\b|は)\s{{0,6}}"
                      r"(?:\"([^\"\r\n]{1,400})\"|'([^'\r\n]{1,400})'|([^\s\"'<>,;，。]{3,400}))", re.IGNORECASE)
# What stands after such a word in code, forms and prose without being a secret.
NO_SECRET = re.compile(
    r"(?:null|none|nil|true|false|yes|no|str|string|int|bool|bytes|any|optional|required|undefined|must|should|cannot|not|the|a|an|at|in|to|very|too"
    r"|incorrect|invalid|wrong|missing|empty|expired|\*+|x{3,}|\.{3}|\$\{?[\w.]+\}?|%\w+%|\{\{.*|<.*|\[.*|process\.env.*|os\.(?:environ|getenv).*"
    r"|[\w.]+\(.*|[a-z_]+\[.*)[.,;)]*", re.IGNORECASE)


def secrets_in(text: str) -> Iterator[Find]:
    """Keys, tokens, passwords and what stands after words for them."""
    if "PRIVATE KEY" in text:
        for found in PEM.finditer(text):
            yield Find("secret", found.start(), found.end(), 0.99)
    for run in LONG.finditer(text):
        for found in FORMS.finditer(text, run.start(), run.end()):
            yield Find("secret", found.start(), found.end(), 0.97)
    for form, confidence in ((HEADER, 0.9), (BEARER, 0.9), (COOKIE, 0.8)):
        for found in form.finditer(text):
            yield Find("secret", found.start(1), found.end(1), confidence)
    if "://" in text:
        for found in LOGIN.finditer(text):
            yield Find("secret", found.start(1), found.end(1), 0.95)
    for found in ASSIGNED.finditer(text):
        group = next(number for number in (1, 2, 3) if found[number] is not None)
        value = found[group]
        if NO_SECRET.fullmatch(value) or (value.startswith("/") and "PWD" in found[0][:8]):
            continue
        mixed = any(character.isdigit() for character in value) or not value.isalpha()
        yield Find("secret", found.start(group), found.end(group), 0.85 if mixed or group < 3 else 0.6)
