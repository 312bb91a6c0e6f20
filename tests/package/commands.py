"""The commands of az that infra/azure/README.md gives to those without azd."""

import re
import shlex
from collections.abc import Mapping

from tests.support.hosts import ROOT


def commands() -> Mapping[str, list[str]]:
    """Give them as they are written there, by their words before the first option."""
    text = (ROOT / "infra/azure/README.md").read_text()
    blocks = re.findall(r"^```sh\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    found = [shlex.split(line, comments=True) for line in lines if line.startswith("az ")]
    return {" ".join(words[: _first_option(words)]): words for words in found}


def _first_option(words: list[str]) -> int:
    return next((at for at, word in enumerate(words) if word.startswith("-")), len(words))


def option(words: list[str], name: str) -> str:
    """Give an option's value."""
    return words[words.index(name) + 1]
