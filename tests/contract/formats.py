"""The contract's own formats: whether a value has one, and values that have one, drawn for the fuzzer."""

import datetime
import re
import unicodedata

import jsonschema
from hypothesis import strategies as st


def luhn(digits):
    """Whether the last digit is the check digit of those before it."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + place % 2)
        total += value - 9 * (value > 9)
    return total % 10 == 0


def with_check_digit(digits):
    return next(digits + check for check in "0123456789" if luhn(digits + check))


def dated(text, raised):
    """The ten digits of a personnummer whose date exists; raised: how much the day is."""
    found = re.fullmatch(r"(\d{2})?(\d{6})([-+]?)(\d{4})", text)
    if not found or not luhn(found[2] + found[4]):
        return False
    century, date = found[1] or "20", found[2]
    try:
        datetime.date(int(century + date[:2]), int(date[2:4]), int(date[4:]) - raised)
    except ValueError:
        return False
    return True


def is_bankgiro(text):
    return bool(re.fullmatch(r"\d{3,4}-?\d{4}", text)) and luhn(text.replace("-", ""))


def is_plusgiro(text):
    return bool(re.fullmatch(r"\d{1,7}-?\d", text)) and luhn(text.replace("-", ""))


def is_iban(text):
    if not re.fullmatch(r"[A-Z]{2}\d{2}[A-Z0-9]{11,30}", text) or text.startswith("SE") and len(text) != 24:
        return False
    return int("".join(str(int(c, 36)) for c in text[4:] + text[:4])) % 97 == 1


def iban(country, account):
    """The IBAN of an account, with its check digits."""
    rest = int("".join(str(int(c, 36)) for c in account + country + "00")) % 97
    return f"{country}{98 - rest:02}{account}"


def is_date_time(text):
    if not re.fullmatch(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", text):
        return False
    try:
        datetime.datetime.fromisoformat(re.sub(r"\.\d+", "", text.upper()))
    except ValueError:
        return False
    return True


def is_date(text):
    try:
        return bool(datetime.date.fromisoformat(text)) and len(text) == 10
    except ValueError:
        return False


COUNTIES = [number for number in range(1, 26) if number not in (2, 11, 15, 16)]

CHECKS = {
    "date": is_date,
    "date-time": is_date_time,
    "email": lambda text: bool(re.fullmatch(r"[^@\s]+@[^@\s]+\.[a-z]+", text)),
    "uuid": lambda text: bool(re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", text)),
    "uri": lambda text: bool(re.fullmatch(r"[a-z][a-z0-9+.-]*:[\x21-\x7e]+", text)),
    "personnummer": lambda text: dated(text, 0),
    "samordningsnummer": lambda text: dated(text, 60),
    "interim": lambda text: bool(re.fullmatch(r"(\d{2})?\d{6}[-+]?[A-Z]\d{3}", text)),
    "lma": lambda text: bool(re.fullmatch(r"\d{2}-\d{6}(/\d)?", text)),
    "organisationsnummer": lambda text: bool(re.fullmatch(r"\d{2}[2-9]\d{3}-?\d{4}", text)) and luhn(text.replace("-", "")),
    "kommunkod": lambda text: bool(re.fullmatch(r"\d{4}", text)) and int(text[:2]) in COUNTIES and text[2:] != "00",
    "reference": lambda text: bool(text) and not re.search(r"\d{6}[-+]?\d{4}", text),
    "password": lambda text: len(unicodedata.normalize("NFC", text)) >= 12,
    "bankgiro": is_bankgiro,
    "plusgiro": is_plusgiro,
    "kontonummer": lambda text: bool(re.fullmatch(r"\d{4,5}-\d{2,10}", text)),
    "iban": is_iban,
    "iban-se": lambda text: text.startswith("SE") and is_iban(text),
    "bic": lambda text: bool(re.fullmatch(r"[A-Z]{6}[A-Z0-9]{2}([A-Z0-9]{3})?", text)),
}

checker = jsonschema.FormatChecker(formats=())
for name, check in CHECKS.items():
    checker.checks(name)(lambda value, check=check: not isinstance(value, str) or check(value))


def validator(schema):
    return jsonschema.Draft202012Validator(schema, format_checker=checker)


# What the fuzzer draws. Born in the past, and in a year that two digits tell.

_born = st.dates(datetime.date(1940, 1, 1), datetime.date(2024, 12, 31))
_serial = st.integers(1, 999).map("{:03}".format)


def _number(raised):
    def write(date, serial):
        digits = with_check_digit(f"{date:%y%m}{date.day + raised:02}{serial}")
        return f"{date.year // 100}{digits}"

    return st.builds(write, _born, _serial)


def _interim(date, letter, serial):
    checked = with_check_digit(f"{date:%y%m%d}1{serial:02}")  # the letter counts as 1
    return f"{date:%y%m%d}-{letter}{checked[7:]}"


def _digits(least, most):
    return st.text("0123456789", min_size=least, max_size=most)


STRATEGIES = {
    "uuid": st.uuids(version=4).map(str),
    "date": st.dates(datetime.date(1900, 1, 1), datetime.date(2099, 12, 31)).map(str),
    "date-time": st.datetimes(datetime.datetime(1970, 1, 1), datetime.datetime(2099, 12, 31)).map(
        lambda time: time.isoformat(timespec="seconds") + "Z"),
    "email": st.from_regex(r"[a-z]{1,12}\.[a-z]{1,12}@[a-z]{2,12}\.example", fullmatch=True),
    "personnummer": _number(0),
    "samordningsnummer": _number(60),
    "interim": st.builds(_interim, _born, st.sampled_from("TRSUWXJKLMN"), st.integers(0, 99)),
    "lma": st.builds(lambda year, number: f"{year:02}-{number:06}", st.integers(10, 26), st.integers(0, 999999)),
    "organisationsnummer": st.builds(lambda number: with_check_digit("5566" + number), _digits(5, 5)),
    "kommunkod": st.sampled_from(["0180", "0114", "0580", "1280", "1480", "1880", "2480", "2584"]),
    "reference": st.from_regex(r"[a-z]{1,8}-[0-9]{1,5}", fullmatch=True),
    "password": st.text("abc åäö123", min_size=12, max_size=40),
    "bankgiro": _digits(6, 7).map(with_check_digit),
    "plusgiro": _digits(1, 7).map(with_check_digit),
    "kontonummer": st.builds(lambda digits: "9999-" + digits, _digits(7, 7)),
    "iban": st.builds(lambda account: iban("NO", account), _digits(11, 11)),
    "iban-se": st.builds(lambda account: iban("SE", account), _digits(20, 20)),
    "bic": st.from_regex(r"[A-Z]{6}[A-Z0-9]{2}", fullmatch=True),
}

