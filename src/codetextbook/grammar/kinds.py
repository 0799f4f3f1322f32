# ruff: noqa: E501  (a table: one entry a line)
"""The kinds of value that exercises speak of: their types, typical names, stories, and inputs to try them on.

A kind is narrower than a Python type (a matrix is a rectangular `list[list[int]]`, a natural number is an `int` that is not negative), so
that composition never asks for the root of a negative number. Floats are multiples of a quarter: they compare equal after any
order of additions. Members of sets are from 0 to 7, so that a set is shown in one order however it was made.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

WORDS = (
    "apple", "banana", "cherry", "river", "stone", "cloud", "level", "noon", "green", "orange", "table", "window", "music", "idea",
    "umbrella", "python", "garden", "Anna", "Berlin", "Oslo", "kayak", "tree", "bridge", "eagle", "ocean", "Sun", "moon", "star", "ice",
    "fire", "Lima", "radar", "lemon", "melon", "pear", "a", "up", "Otto", "night", "day", "Echo", "hello", "world", "red", "blue", "tea",
)  # fmt: skip
NAMES = ("Anna", "Ben", "Chen", "Dora", "Emil", "Fatma", "Zoë", "Igor", "Juan", "Kofi", "Lena", "Mia")
ROMAN_ONES = ("I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX")
KINDRED_WORDS = (
    "eat",
    "tea",
    "ate",
    "listen",
    "silent",
    "stone",
    "notes",
    "onset",
    "level",
    "noon",
    "letter",
    "a",
    "Night",
    "thing",
)
UNUSUAL_WORDS = ("naïve", "Größe", "éclair", "café", "日本", "ñandú", "42", "x1", "UPPER", "ÜBER", "2024")


@dataclass(frozen=True)
class Kind:
    """A kind of value. `stories` pair a parameter's name with a sentence that introduces it."""

    name: str
    hint: str
    names: tuple[str, ...]
    described: str
    draw: Callable[[Random], Any]
    edges: tuple[Any, ...]
    items: tuple[str, ...] = ()
    thing: str = "element"
    things: str = "elements"
    also: tuple[str, ...] = ()
    """Wider kinds that a value of this kind belongs to."""
    stories: tuple[tuple[str, str], ...] = ()


def _ints(rng: Random) -> list[int]:
    low, high = rng.choice(((-9, 9), (0, 20), (-5, 5), (1, 9), (-20, 60)))
    return [rng.randint(low, high) for _ in range(rng.randint(3, 8))]


def _floats(rng: Random) -> list[float]:
    return [rng.randint(-20, 40) / 4 for _ in range(rng.randint(3, 6))]


def _word(rng: Random) -> str:
    return rng.choice(UNUSUAL_WORDS) if rng.random() < 0.12 else rng.choice(WORDS)


def _words(rng: Random) -> list[str]:
    return [_word(rng) for _ in range(rng.randint(2, 6))]


def _text(rng: Random) -> str:
    style = rng.random()
    if style < 0.45:
        return " ".join(_words(rng))
    if style < 0.65:
        return _word(rng).capitalize() + rng.choice(("!", "?", ", " + _word(rng), " " + str(rng.randint(1, 99))))
    if style < 0.85:
        return "".join(rng.choice("abcABC") for _ in range(rng.randint(3, 8)))
    return _word(rng) + str(rng.randint(0, 99)) + rng.choice("aZ- ")


def _scores(rng: Random) -> dict[str, int]:
    return {rng.choice(WORDS): rng.randint(-5, 20) for _ in range(rng.randint(2, 5))}


def _pairs(rng: Random) -> list[tuple[int, int]]:
    return [(rng.randint(-5, 9), rng.randint(-5, 9)) for _ in range(rng.randint(2, 5))]


def _intervals(rng: Random) -> list[tuple[int, int]]:
    starts = [rng.randint(0, 20) for _ in range(rng.randint(2, 5))]
    return [(start, start + rng.randint(1, 6)) for start in starts]


def _matrix(rng: Random) -> list[list[int]]:
    rows, columns = rng.randint(1, 3), rng.randint(1, 3)
    return [[rng.randint(-9, 9) for _ in range(columns)] for _ in range(rows)]


def _square(rng: Random) -> list[list[int]]:
    size = rng.randint(1, 3)
    return [[rng.randint(-9, 9) for _ in range(size)] for _ in range(size)]


def _nested(rng: Random) -> list[list[int]]:
    return [[rng.randint(-9, 9) for _ in range(rng.randint(0, 3))] for _ in range(rng.randint(2, 4))]


def _tree(rng: Random, depth: int = 0) -> list[Any]:
    return [
        _tree(rng, depth + 1) if depth < 2 and rng.random() < 0.35 else rng.randint(-5, 9)
        for _ in range(rng.randint(1, 4))
    ]


def _moves(rng: Random) -> str:
    return "".join(rng.choice("UDLR") for _ in range(rng.randint(2, 8)))


def _brackets(rng: Random) -> str:
    depth, made = 0, ""
    for _ in range(rng.randint(2, 9)):
        step = "(" if depth == 0 or rng.random() < 0.5 else ")"
        depth += 1 if step == "(" else -1
        made += step
    return (made + ")" * depth) if rng.random() < 0.5 else made


def _fields(rng: Random) -> str:
    return ",".join(f"{rng.choice(WORDS).lower()}={rng.randint(-9, 30)}" for _ in range(rng.randint(2, 4)))


def _listed(rng: Random) -> str:
    return ",".join(str(rng.randint(-9, 30)) for _ in range(rng.randint(2, 6)))


def _date(rng: Random) -> str:
    return f"{rng.randint(1990, 2030)}-{rng.randint(1, 12):02d}-{rng.randint(1, 28):02d}"


def _clock(rng: Random) -> str:
    return f"{rng.randint(0, 23):02d}:{rng.randint(0, 59):02d}"


def _graph(rng: Random) -> dict[str, list[str]]:
    nodes = rng.sample("abcdef", rng.randint(3, 4))
    return {node: sorted(rng.sample(nodes, rng.randint(0, 2))) for node in nodes}


def _grid(rng: Random) -> list[str]:
    columns = rng.randint(2, 5)
    return ["".join(rng.choice("#..") for _ in range(columns)) for _ in range(rng.randint(2, 4))]


def _people(rng: Random) -> list[dict[str, Any]]:
    return [{"name": rng.choice(NAMES), "age": rng.randint(5, 80)} for _ in range(rng.randint(2, 3))]


def _scored(rng: Random) -> list[tuple[str, int]]:
    return [(rng.choice(NAMES), rng.randint(0, 20)) for _ in range(rng.randint(2, 4))]


def _rpn(rng: Random) -> str:
    made = [str(rng.randint(0, 9))]
    for _ in range(rng.randint(1, 3)):
        made += [str(rng.randint(0, 9)), rng.choice("+-*")]
    return " ".join(made)


def _password(rng: Random) -> str:
    return "".join(rng.choice("abcdefXYZ0123!_") for _ in range(rng.randint(4, 12)))


def _colour(rng: Random) -> str:
    made = "#" + "".join(rng.choice("0123456789abcdefABCDEF") for _ in range(6))
    return made if rng.random() < 0.5 else rng.choice((made[1:], made[:-1], made[:-1] + "g", made + "0"))


def _numeral(rng: Random) -> str:
    made = rng.choice(("", "", "-", "+")) + str(rng.randint(0, 999))
    return made if rng.random() < 0.6 else rng.choice((made + "a", "x" + made, made + "-", "1 2"))


def _roman(rng: Random) -> str:
    return (
        rng.choice(("", "C", "CC", "M", "MC")) + rng.choice(("", "X", "XX", "XL", "L", "XC")) + rng.choice(ROMAN_ONES)
    )


_ALL = (
    Kind(
        "ints", "list[int]", ("numbers", "nums", "values", "arr", "lst", "integers", "data", "xs"), "a list of integers", _ints,
        ([], [7], [-3, -1, -2], [4, 4, 1, 4], [0, 0], [5, 3, 9, 1], [1, 2, 3, 4]), ("number", "num", "n", "x", "value"), "number", "numbers",
        stories=(
            ("temperatures", "A weather station writes down its temperatures in the list temperatures."),
            ("points", "A game keeps the points of each round, gained or lost, in the list points."),
            ("changes", "The changes of a bank account, in whole euros, are given in the list changes."),
            ("readings", "A sensor reports its readings as a list of integers."),
            ("heights", "A hiker notes the heights along a path, in metres above the sea, in the list heights."),
            ("steps", "A robot's steps, forwards or backwards, are listed in steps."),
            ("scores", "After a quiz, Mia has a list of scores; wrong answers can make a score negative."),
        ),
    ),
    Kind(
        "floats", "list[float]", ("numbers", "values", "amounts", "measurements"), "a list of floats", _floats,
        ([], [2.5], [-1.5, -0.25], [0.5, 0.5, 2.0], [3.75, 1.0, 2.25]), ("number", "value", "x"), "number", "numbers",
        stories=(("weights", "A laboratory compares weights with a standard; the differences are in the list weights."),),
    ),
    Kind(
        "words", "list[str]", ("words", "strings", "names", "items", "texts"), "a list of strings", _words,
        ([], ["apple"], ["a", "", "bb"], ["tea", "tea", "ice"], ["Größe", "café"], ["Anna", "level", "Oslo"]),
        ("word", "w", "s", "name"), "string", "strings",
        stories=(
            ("titles", "A librarian has a list of titles."),
            ("cities", "A traveller lists the cities of a journey in cities."),
            ("labels", "Every box in a store has a label; the labels are given as a list of strings."),
            ("tags", "A photo carries a list of tags."),
        ),
    ),
    Kind(
        "text", "str", ("text", "string", "s", "sentence", "phrase", "message"), "a string", _text,
        ("", "a", "Hello World", "level", "aAbB", "Grüße, café!", "room 42", "xxyyz"), ("char", "c", "ch", "letter"), "character", "characters",
        stories=(
            ("line", "A program reads one line of input as a string."),
            ("message", "A friend sends you a message."),
            ("password", "A website looks at the password that a user has chosen."),
        ),
    ),
    Kind("moves", "str", ("moves", "path", "commands"), "a string of the letters U, D, L and R", _moves, ("", "U", "UDLR", "RRU"), ("move", "step")),
    Kind("brackets", "str", ("brackets", "text", "s"), "a string of round brackets", _brackets, ("", "()", "(()", "())(", "()()"), ("char", "c")),
    Kind("fields", "str", ("text", "line", "settings"), "a string of key=value fields with commas between them", _fields, ("a=1", "x=-2,y=3"), ("field", "part")),
    Kind("listed", "str", ("text", "line", "s"), "a string of integers with commas between them", _listed, ("7", "1,2,3", "-4,4"), ("part", "piece")),
    Kind(
        "int", "int", ("n", "number", "x", "value", "num"), "an integer", lambda rng: rng.randint(-50, 150),
        (0, 1, -7, 12, 100, -10),
        stories=(("balance", "The balance of an account is an integer."), ("floor", "A lift stands at the integer floor.")),
    ),
    Kind(
        "nat", "int", ("n", "number", "num", "value"), "a non-negative integer", lambda rng: rng.choice((rng.randint(2, 60), rng.randint(10, 999))),
        (0, 1, 2, 9, 10, 28, 121), also=("int",),
        stories=(("tickets", "A raffle has a number of tickets, never less than 0."),),
    ),
    Kind("positive", "int", ("n", "number", "num"), "a positive integer", lambda rng: rng.randint(2, 90), (1, 2, 12, 17, 36), also=("nat", "int")),
    Kind("small", "int", ("n", "count", "size"), "a small non-negative integer", lambda rng: rng.randint(2, 9), (0, 1, 2, 5), also=("nat", "int")),
    Kind("float", "float", ("x", "value", "amount"), "a float", lambda rng: rng.randint(-40, 80) / 4, (0.0, 1.0, -2.5, 10.25)),
    Kind(
        "scores", "dict[str, int]", ("scores", "counts", "stock", "d", "table"), "a dictionary from strings to integers", _scores,
        ({}, {"a": 1}, {"a": 2, "b": 2}, {"é": -1, "b": 3}), ("key", "name"), "value", "values",
        stories=(
            ("prices", "A shop keeps its prices in a dictionary; discounts are negative."),
            ("inventory", "An inventory maps each item to its number."),
        ),
    ),
    Kind("pairs", "list[tuple[int, int]]", ("pairs", "points", "entries"), "a list of pairs of integers", _pairs, ([], [(1, 2)], [(0, 0), (3, -1)], [(2, 2), (2, 1)]), ("pair", "p"), "pair", "pairs"),
    Kind(
        "intervals", "list[tuple[int, int]]", ("intervals", "ranges", "spans"), "a list of intervals (start, end) with start < end", _intervals,
        ([], [(1, 4)], [(1, 3), (2, 6)], [(5, 7), (0, 2)], [(1, 2), (2, 3)]), ("interval", "span"), "interval", "intervals", also=("pairs",),
        stories=(("meetings", "The meetings of a day are given as pairs of start and end hour."),),
    ),
    Kind("matrix", "list[list[int]]", ("matrix", "grid", "table"), "a matrix, as a list of rows of the same length", _matrix, ([[1]], [[1, 2], [3, 4]], [[0, -1, 2]], [[5], [6]]), ("row",), "row", "rows", also=("nested",)),
    Kind("square", "list[list[int]]", ("matrix", "grid", "board"), "a square matrix, as a list of rows", _square, ([[1]], [[1, 2], [3, 4]], [[0, -1], [-1, 0]]), ("row",), "row", "rows", also=("matrix", "nested")),
    Kind("nested", "list[list[int]]", ("groups", "lists", "rows"), "a list of lists of integers", _nested, ([], [[]], [[1, 2], []], [[3], [3, 4]]), ("group", "part"), "list", "lists"),
    Kind("tree", "list", ("items", "nested", "tree"), "a list of integers and, to any depth, of such lists", _tree, ([], [1], [1, [2, [3]]], [[], [4]]), ("item", "element")),
    Kind("bool", "bool", ("flag",), "a boolean", lambda rng: rng.random() < 0.5, (True, False)),
    Kind("optional_int", "Optional[int]", (), "an integer or None", lambda rng: None, ()),
    Kind("optional_float", "Optional[float]", (), "a float or None", lambda rng: None, ()),
    Kind("optional_text", "Optional[str]", (), "a string or None", lambda rng: None, ()),
    Kind("two_ints", "tuple[list[int], list[int]]", (), "two lists", lambda rng: None, ()),
    Kind("two_floats", "tuple[list[float], list[float]]", (), "two lists", lambda rng: None, ()),
    Kind("two_words", "tuple[list[str], list[str]]", (), "two lists", lambda rng: None, ()),
    Kind("groups_by_int", "dict[int, list[int]]", (), "a dictionary from integers to lists", lambda rng: None, ()),
    Kind("words_by_int", "dict[int, list[str]]", (), "a dictionary from integers to lists", lambda rng: None, ()),
    Kind("words_by_text", "dict[str, list[str]]", (), "a dictionary from strings to lists", lambda rng: None, ()),
    Kind("tally_of_ints", "dict[int, int]", (), "a dictionary from integers to counts", lambda rng: None, ()),
    Kind("keys_by_int", "dict[int, str]", (), "a dictionary from integers to strings", lambda rng: None, ()),
    Kind("word_chunks", "list[list[str]]", (), "a list of lists of strings", lambda rng: None, ()),
    Kind("triples", "list[tuple[int, int, int]]", (), "a list of triples of integers", lambda rng: None, ()),
    Kind("tagged", "list[tuple[int, str]]", (), "a list of pairs of an integer and a string", lambda rng: None, ()),
    Kind("floats_made", "list[float]", (), "a list of floats", lambda rng: None, ()),
    Kind("three_ints", "tuple[list[int], list[int], list[int]]", (), "three lists", lambda rng: None, ()),
    Kind(
        "scored", "list[tuple[str, int]]", ("results", "entries", "ranking", "members"), "a list of pairs of a name and an integer", _scored,
        ([], [("Anna", 3)], [("Ben", 2), ("Anna", 2)], [("Zoë", 0), ("Ben", 9)]), ("entry", "result"), "pair", "pairs",
    ),
    Kind(
        "people", "list[dict]", ("people", "records", "persons", "staff"), "a list of dictionaries with the keys 'name' and 'age'", _people,
        ([], [{"name": "Anna", "age": 30}], [{"name": "Ben", "age": 7}, {"name": "Zoë", "age": 7}]), ("person", "record"), "record", "records",
    ),
    Kind("pair", "tuple[int, int]", ("point", "position", "pair", "p"), "a pair of integers", lambda rng: (rng.randint(-9, 9), rng.randint(-9, 9)), ((0, 0), (3, 4), (-1, 1), (2, 2), (5, 0))),
    Kind(
        "triangle", "tuple[int, int, int]", ("sides", "lengths", "triangle"), "three positive lengths as a tuple", lambda rng: rng.choice(((3, 4, 5), (rng.randint(1, 9), rng.randint(1, 9), rng.randint(1, 9)), (rng.randint(5, 9),) * 3, (6, 6, rng.randint(1, 9)))),
        ((3, 4, 5), (1, 1, 1), (1, 2, 3), (2, 2, 3), (5, 12, 13), (1, 1, 9)),
    ),
    Kind("date", "str", ("day", "when", "iso_date", "start"), "a date written as YYYY-MM-DD", _date, ("2024-02-29", "2000-01-01", "1999-12-31", "2023-07-01")),
    Kind("year", "int", ("year", "y"), "a year", lambda rng: rng.choice((rng.randint(1890, 2110), 4 * rng.randint(470, 520))), (1900, 2000, 2024, 2023, 2100), also=("nat", "int")),
    Kind("clock", "str", ("time", "clock", "moment"), "a time of day written as HH:MM", _clock, ("00:00", "12:00", "23:59", "09:05")),
    Kind("flags", "list[bool]", ("flags", "votes", "switches", "answers"), "a list of booleans", lambda rng: [rng.random() < 0.55 for _ in range(rng.randint(2, 6))], ([], [True], [False, False], [True, False, True], [True, True]), ("flag", "vote"), "value", "values"),
    Kind(
        "int_set", "set[int]", ("numbers", "members", "ids", "group"), "a set of integers", lambda rng: {rng.randint(0, 7) for _ in range(rng.randint(2, 5))},
        (set(), {1}, {1, 2}, {0, 3, 4, 5}), ("member", "number", "n"), "number", "numbers",
    ),
    Kind("graph", "dict[str, list[str]]", ("graph", "links", "roads", "edges"), "a graph, as a dictionary from each node to the list of nodes that it points to", _graph, ({}, {"a": []}, {"a": ["b"], "b": ["a"]}, {"a": ["b", "c"], "b": [], "c": ["b"]}), ("node",), "node", "nodes"),
    Kind("grid", "list[str]", ("grid", "field", "rows", "level"), "a map, as a list of equally long strings in which '#' is a wall and '.' is free", _grid, (["."], ["#"], ["#.", ".#"], ["...", ".#."]), ("row", "line"), "row", "rows"),
    Kind("ordered", "list[int]", ("ordered", "sorted_numbers", "numbers"), "a list of integers in ascending order", lambda rng: sorted(_ints(rng)), ([], [4], [1, 3, 3, 7], [-2, 0, 5, 9]), ("number", "n"), "number", "numbers", also=("ints",)),
    Kind("few", "list[int]", ("few", "items", "numbers", "options"), "a list of at most four different integers", lambda rng: rng.sample(range(-3, 12), rng.randint(2, 3)), ([], [5], [1, 2], [1, 2, 3]), ("number", "n"), "number", "numbers", also=("ints",)),
    Kind("coefficients", "list[int]", ("coefficients", "terms", "polynomial"), "the coefficients of a polynomial, the constant first", lambda rng: [rng.randint(-5, 6) for _ in range(rng.randint(2, 4))], ([0], [3], [1, 2], [0, 0, 1], [-1, 0, 4]), ("coefficient", "c")),
    Kind("bits", "str", ("bits", "digits", "code"), "a string of the digits 0 and 1", lambda rng: "".join(rng.choice("01") for _ in range(rng.randint(2, 8))), ("0", "1", "1010", "0011", "111"), ("bit", "digit"), "digit", "digits"),
    Kind("digits_text", "str", ("digits", "card", "code"), "a string of digits", lambda rng: "".join(rng.choice("0123456789") for _ in range(rng.randint(3, 9))), ("0", "18", "79927398713", "1234"), ("digit",), "digit", "digits"),
    Kind("roman", "str", ("numeral", "roman", "text"), "a Roman numeral", _roman, ("I", "IV", "XIX", "MCMXC", "L"), ("symbol", "letter")),
    Kind("password", "str", ("password", "secret", "candidate"), "a password", _password, ("", "abc", "abcdefgh1X", "ABCDEFGH", "a1B!a1B!"), ("char", "c")),
    Kind("colour", "str", ("colour", "code", "value"), "a string that may be a colour code", _colour, ("#ffffff", "#00aaFF", "fff", "#12345", "")),
    Kind("numeral", "str", ("text", "value", "entry"), "a string that may be a whole number", _numeral, ("0", "-7", "+12", "", "-", "3x", "12")),
    Kind("word", "str", ("word", "name", "term"), "a word", lambda rng: rng.choice(KINDRED_WORDS), ("tea", "a", "noon", "listen", "Night"), ("letter", "char"), "letter", "letters", also=("text",)),
    Kind("rpn", "str", ("expression", "formula", "text"), "an expression in reverse Polish notation, with spaces between its parts", _rpn, ("7", "1 2 +", "3 4 - 2 *", "2 3 * 4 +")),
    Kind("commands", "list[str]", ("commands", "orders", "program"), "a list of commands, each 'up', 'down', 'double' or 'reset'", lambda rng: [rng.choice(("up", "up", "down", "double", "reset")) for _ in range(rng.randint(3, 7))], ([], ["up"], ["up", "double"], ["up", "reset", "down"]), ("command", "order"), "command", "commands"),
    Kind("loads", "list[int]", ("loads", "weights", "sizes", "amounts"), "a list of integers from 1 to 7", lambda rng: [rng.randint(1, 7) for _ in range(rng.randint(2, 6))], ([], [3], [7, 1, 7], [2, 7, 6, 3, 1]), ("load", "size"), "number", "numbers", also=("ints",)),
)  # fmt: skip

KINDS: dict[str, Kind] = {kind.name: kind for kind in _ALL}
"""Every kind by name. Kinds without names are only ever results."""


def fits(given: str, wanted: str) -> bool:
    """Whether a value of one kind may stand where another is wanted."""
    return given == wanted or wanted in KINDS[given].also
