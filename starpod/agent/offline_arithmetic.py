"""Sums for the offline assistant: + - * / // % ** on plain numbers, exact fractions inside. Never evaluates Python."""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable
from decimal import Context, Decimal
from fractions import Fraction

MAX_CHARS = 200
MAX_BITS = 4_096
MAX_EXPONENT = 1_000

_ASKED = re.compile(
    r"(?:what(?: is|'s)|how much is|calculate|compute)\s+(?P<sum>.+?)[\s=?.!]*", re.IGNORECASE | re.DOTALL
)
_BARE = re.compile(r"(?P<sum>.+?)[\s=?]*", re.DOTALL)
_DATE_LIKE = re.compile(r"\d+(?:[-/.]\d+){2,}|\d+-\d+")
_SIGNS = {0xD7: "*", 0xF7: "/", 0x2212: "-"}
"""The signs people type for times, divided by and minus."""
_OPERATORS: dict[type[ast.operator], Callable[[Fraction, Fraction], Fraction]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: lambda left, right: Fraction(left // right),
    ast.Mod: operator.mod,
}


def expression_in(text: str) -> str | None:
    """The sum that `text` asks for, as an expression of numbers and operators; None when it asks for none.

    A bare `2024-05-01` or `555-1234` is more likely a date or a number than a sum.
    """
    if len(text) > MAX_CHARS:
        return None
    asked = _ASKED.fullmatch(text)
    match = asked or _BARE.fullmatch(text)
    if match is None:
        return None
    expression = match["sum"].translate(_SIGNS).replace("^", "**").strip()
    expression = re.sub(r"(?<=[\d)])\s*[xX]\s*(?=[\d(])", "*", expression)
    expression = re.sub(r"(?<=\d),(?=\d{3}\b)", "", expression)
    if not re.fullmatch(r"[\d\s.+\-*/%()]+", expression) or not re.search(
        r"\d[\d.\s)]*[+\-*/%]+[\s(+\-]*[\d.]", expression
    ):
        return None
    return None if asked is None and _DATE_LIKE.fullmatch(expression) else expression


def evaluate(expression: str) -> str:
    """The value as a sentence, or why there is none."""
    try:
        value = _value(ast.parse(expression.strip(), mode="eval").body)
    except ZeroDivisionError:
        return "A division by zero has no result."
    except OverflowError:
        return "That number is too big for me."
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return "I cannot work that out: I understand plain sums such as 12 * (3 + 4)."
    return f"{' '.join(expression.split())} = {_shown(value)}"


def _value(node: ast.expr) -> Fraction:
    match node:
        case ast.Constant(value=int() | float() as number):
            return _bounded(Fraction(str(number)))
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_value(operand)
        case ast.UnaryOp(op=ast.UAdd(), operand=operand):
            return _value(operand)
        case ast.BinOp(left=left, op=ast.Pow(), right=right):
            return _power(_value(left), _value(right))
        case ast.BinOp(left=left, op=sign, right=right) if type(sign) in _OPERATORS:
            return _bounded(_OPERATORS[type(sign)](_value(left), _value(right)))
    raise ValueError("not a sum")


def _power(base: Fraction, exponent: Fraction) -> Fraction:
    if exponent.denominator != 1:
        raise ValueError("not a whole exponent")
    size = max(base.numerator.bit_length(), base.denominator.bit_length())
    if abs(exponent) > MAX_EXPONENT or size * abs(exponent) > MAX_BITS:
        raise OverflowError
    return Fraction(base ** int(exponent))


def _bounded(value: Fraction) -> Fraction:
    if max(value.numerator.bit_length(), value.denominator.bit_length()) > MAX_BITS:
        raise OverflowError
    return value


def _shown(value: Fraction) -> str:
    if value.denominator == 1:
        return str(value.numerator)
    quotient = Context(prec=12).divide(Decimal(value.numerator), Decimal(value.denominator))
    return format(quotient.normalize(), "f" if Decimal("1e-9") < abs(quotient) < Decimal("1e12") else "e")
