"""The settings' table `[openid]`: where match clients find their realm, what it is called, and how long tokens live."""

import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from playclock.core.fields import resource_id_problem, url_problem
from playclock.core.openid import REALM, TOKEN_LIFE_MS, TOKEN_LIFE_MS_MAX, TOKEN_LIFE_MS_MIN
from playclock.tomltable import Table

KEYS: Final = ("base_url", "realm", "token_life")

_LIFE_SEC: Final = (TOKEN_LIFE_MS_MIN // 1000, TOKEN_LIFE_MS_MAX // 1000)
_NUMBER: Final = re.compile(r"[0-9]{1,9}", re.ASCII)


def read_openid(table: Table) -> dict[str, Any]:
    """Return the fields of `OpenIdRules` that a settings file names."""
    least, most = _LIFE_SEC
    life_sec = table.integer("token_life", minimum=least, maximum=most, default=TOKEN_LIFE_MS // 1000)
    return {
        "base_url": table.text("base_url", base_url_problem, default=""),
        "realm": table.text("realm", resource_id_problem, default=REALM),
        "token_life_ms": life_sec * 1000,
    }


def openid_of_variables(given: Mapping[str, str], prefix: str, problems: list[str]) -> dict[str, Any]:
    """Return the fields that variables name, by key; note what is wrong with them."""
    least, most = _LIFE_SEC
    rules: dict[str, Any] = {}
    for key, text in given.items():
        if key == "token_life":
            fits = _NUMBER.fullmatch(text) and least <= int(text) <= most
            problem = None if fits else f"expected {least} to {most}, not {text!r}"
            rules |= {"token_life_ms": int(text) * 1000} if fits else {}
        else:
            problem = base_url_problem(text) if key == "base_url" else resource_id_problem(text)
            rules[key] = text
        if problem is not None:
            problems.append(f"{prefix}{key.upper()}: {problem}")
    return rules


def base_url_problem(text: str) -> str | None:
    """Check where the HTTP side is: a URL to which paths can be added, and which shows nothing secret to all."""
    try:
        url = urlsplit(text)
        is_plain = bool(url.hostname) and not (url.query or url.fragment or url.username or url.password)
        _ = url.port
    except ValueError:
        is_plain = False
    if url_problem(text) or not is_plain or text.endswith(("/", "?", "#")):
        return "expected an http or https URL without user, query and fragment, and no slash at its end"
    return None
