"""A small reader of SIE 4 files, of its own making: what the format's specification says, and nothing of the service."""

import collections
import decimal
import re

TOKEN = re.compile(r'\{([^}]*)\}|"((?:[^"\\]|\\.)*)"|(\S+)')


class Voucher:
    def __init__(self, series, number, day, text):
        self.series, self.number, self.day, self.text = series, number, day, text
        self.rows = []  # (account, objects, amount)


class File:
    """labels: of each label its lines' fields; balances: {(label, year): {account: amount}}, of objects {(account, object): amount}."""

    def __init__(self, content):
        text = content.decode("cp437")
        assert text.endswith("\r\n") and "\n" not in text.replace("\r\n", "")
        self.labels, self.vouchers = collections.defaultdict(list), []
        self.balances = collections.defaultdict(dict)
        inside = None
        for line in text.split("\r\n")[:-1]:
            if line == "{":
                assert self.vouchers and inside is None
                inside = self.vouchers[-1]
            elif line == "}":
                inside = None
            else:
                self.take(fields(line), inside)
        assert inside is None

    def take(self, parts, inside):
        label, *rest = parts
        assert (label == "#TRANS") == (inside is not None)
        if label == "#TRANS":
            inside.rows.append((rest[0], rest[1], decimal.Decimal(rest[2])))
        elif label == "#VER":
            self.vouchers.append(Voucher(*rest[:4]))
        elif label in ("#IB", "#UB"):
            self.balances[label, int(rest[0])][rest[1]] = decimal.Decimal(rest[2])
        elif label in ("#OIB", "#OUB"):
            self.balances[label, int(rest[0])][rest[1], rest[2][1]] = decimal.Decimal(rest[3])
        self.labels[label].append(rest)

    def one(self, label):
        [found] = self.labels[label]
        return found


def fields(line):
    """What stands in braces is a list of its own."""
    assert line.startswith("#")
    found = []
    for braces, quoted, plain in (match.groups() for match in TOKEN.finditer(line)):
        if braces is not None:
            found.append([unquoted(part) for part in re.findall(r'"[^"]*"|\S+', braces)])
        else:
            found.append(plain if plain is not None else re.sub(r"\\(.)", r"\1", quoted))
    return found


def unquoted(text):
    return text[1:-1] if text.startswith('"') else text
