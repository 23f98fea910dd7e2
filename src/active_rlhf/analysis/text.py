"""Plain Unicode text as LaTeX and as Markdown."""

import re
import unicodedata

_GREEK = "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi pi rho sigma tau"
_LATEX = {
    "\\": r"\textbackslash{}",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "_": r"\_\allowbreak{}",
    **{character: f"\\{character}" for character in "{}$&#%"},
    # At the start of a row, these would be taken for arguments of the \\ before it.
    "[": "{[}",
    "*": "{*}",
    "–": "--",
    "—": "---",
    "…": r"\ldots{}",
    "“": "``",
    "”": "''",
    "‘": "`",
    "’": "'",
    "−": "$-$",
    "±": r"$\pm$",
    "×": r"$\times$",
    "≤": r"$\leq$",
    "≥": r"$\geq$",
    "∞": r"$\infty$",
    "→": r"$\to$",
    "Δ": r"$\Delta$",
    **{
        character: f"$\\{name}$"
        for character, name in zip("αβγδεζηθικλμνξπρστ", _GREEK.split(), strict=True)
    },
}
SYMBOLS = {character: text for character, text in _LATEX.items() if not character.isascii()}
# Letters missing from LaTeX's standard fonts, unlike their neighbours in Unicode.
_MISSING = "ĦħĸĿŀŉŦŧ"


def latex_text(text: str) -> str:
    """Plain text as LaTeX. A character that LaTeX's T1 fonts lack becomes [U+XXXX]."""

    def one(character: str) -> str:
        known = character.isascii() or ("À" <= character <= "ž" and character not in _MISSING)
        plain = character if known and character.isprintable() else f"{{[}}U+{ord(character):04X}]"
        return _LATEX.get(character, plain)

    plain = " ".join(unicodedata.normalize("NFC", text).split())
    # Two hyphens would become a dash.
    return "-{}".join("".join(map(one, part)) for part in re.split("-(?=-)", plain))


def markdown_text(text: str) -> str:
    """Plain text as Markdown that is safe in table cells."""
    plain = " ".join(text.split())
    return re.sub(r"([\\`*_~|<$]|(?<=\])\()", r"\\\1", plain)
