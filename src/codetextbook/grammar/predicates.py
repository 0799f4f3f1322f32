# ruff: noqa: E501  (a table: one entry a line)
"""Primitives made by crossing conditions and changes with forms: filter, count, any, all, first, partition, map, fold.

A new condition is one line and gives a primitive in every form, for every kind of item it speaks of.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from codetextbook.grammar.primitive import Idiom, Knob, Primitive, family, primitive

LIMIT = Knob(("limit", "threshold", "k", "bound"), (0, 2, 3, 5, 10, -1))
DIVISOR = Knob(("divisor", "k", "d", "factor"), (2, 3, 4, 5, 7))
AMOUNT = Knob(("amount", "k", "offset", "step"), (1, 2, 3, 5, 10, -2))
LENGTH = Knob(("length", "size", "k", "limit"), (1, 2, 3, 4, 5))
LETTER = Knob(("letter", "char", "target"), ("a", "e", "n", "o", "l"), "str")
PREFIX = Knob(("prefix", "start"), ("a", "re", "b", "s", "A"), "str")
SUFFIX = Knob(("suffix", "ending"), ("e", "n", "y", "on", "s"), "str")


@dataclass(frozen=True)
class Condition:
    """A condition on an item: `before` or `after` the noun ("even numbers", "numbers greater than $k"), and as a predicate ("is even")."""

    tag: str
    before: str
    after: str
    predicate: str
    test: str
    knob: Knob | None = None


INT_CONDITIONS = (
    Condition("positive", "positive", "", "is positive", "$i > 0"),
    Condition("negative", "negative", "", "is negative", "$i < 0"),
    Condition("even", "even", "", "is even", "$i % 2 == 0"),
    Condition("odd", "odd", "", "is odd", "$i % 2 != 0"),
    Condition("above", "", "greater than $k", "is greater than $k", "$i > $k", LIMIT),
    Condition("at_most", "", "that are at most $k", "is at most $k", "$i <= $k", LIMIT),
    Condition("multiple", "", "divisible by $k", "is divisible by $k", "$i % $k == 0", DIVISOR),
    Condition("nonzero", "non-zero", "", "is not zero", "$i != 0"),
    Condition("single_digit", "single-digit", "", "has a single digit", "-10 < $i < 10"),
    Condition("round", "", "that end in the digit 0", "ends in the digit 0", "$i % 10 == 0"),
)
FLOAT_CONDITIONS = (
    Condition("positive", "positive", "", "is positive", "$i > 0"),
    Condition("below", "", "less than $k", "is less than $k", "$i < $k", LIMIT),
    Condition("whole", "whole", "", "is a whole number", "$i == int($i)"),
)
WORD_CONDITIONS = (
    Condition("long", "", "longer than $k characters", "is longer than $k characters", "len($i) > $k", LENGTH),
    Condition("short", "", "of at most $k characters", "has at most $k characters", "len($i) <= $k", LENGTH),
    Condition("containing", "", "that contain $k", "contains $k", "$k in $i", LETTER),
    Condition("starting", "", "that start with $k", "starts with $k", "$i.startswith($k)", PREFIX),
    Condition("ending", "", "that end with $k", "ends with $k", "$i.endswith($k)", SUFFIX),
    Condition("capitalized", "capitalized", "", "starts with an upper-case letter", "$i[:1].isupper()"),
    Condition("palindromic", "palindromic", "", "reads the same backwards", "$i == $i[::-1]"),
    Condition("nonempty", "non-empty", "", "is not empty", "$i != ''"),
    Condition("numeric", "", "made of digits only", "is made of digits only", "$i.isdigit()"),
)
CHAR_CONDITIONS = (
    Condition("vowel", "", "that are vowels", "is a vowel", "$i.lower() in 'aeiou'"),
    Condition("upper", "upper-case", "", "is upper-case", "$i.isupper()"),
    Condition("lower", "lower-case", "", "is lower-case", "$i.islower()"),
    Condition("digit", "", "that are digits", "is a digit", "$i.isdigit()"),
    Condition("letter", "", "that are letters", "is a letter", "$i.isalpha()"),
    Condition("nonspace", "", "other than spaces", "is no space", "$i != ' '"),
    Condition("same", "", "equal to $k", "is $k", "$i == $k", LETTER),
)


@dataclass(frozen=True)
class Change:
    """A change of an item: "the squares of $x"."""

    tag: str
    noun: str
    transform: str
    gives: str
    knob: Knob | None = None


CHANGES = {
    "ints": (
        Change("squares", "the squares of $x", "$i * $i", "ints"),
        Change("doubles", "the numbers in $x, each doubled,", "2 * $i", "ints"),
        Change("negated", "the numbers in $x with their signs flipped", "-$i", "ints"),
        Change("absolutes", "the absolute values of $x", "abs($i)", "ints"),
        Change("shifted", "the numbers in $x, each increased by $k,", "$i + $k", "ints", AMOUNT),
        Change("scaled", "the numbers in $x, each multiplied by $k,", "$i * $k", "ints", AMOUNT),
        Change("remainders", "the remainders of $x when divided by $k", "$i % $k", "ints", DIVISOR),
        Change("halves", "the numbers in $x, each halved and rounded down,", "$i // 2", "ints"),
        Change("capped", "the numbers in $x, none larger than $k,", "min($i, $k)", "ints", LIMIT),
        Change("written", "the numbers in $x as strings", "str($i)", "words"),
        Change("last_digits", "the last digits of $x", "abs($i) % 10", "ints"),
    ),
    "floats": (
        Change("doubles", "the numbers in $x, each doubled,", "2 * $i", "floats"),
        Change("rounded_down", "the integer parts of $x", "int($i)", "ints"),
    ),
    "words": (
        Change("lengths", "the lengths of $x", "len($i)", "ints"),
        Change("upper", "the strings in $x in upper case", "$i.upper()", "words"),
        Change("lower", "the strings in $x in lower case", "$i.lower()", "words"),
        Change("reversed_each", "the strings in $x, each reversed,", "$i[::-1]", "words"),
        Change("initials", "the first letters of $x, '' for an empty string,", "$i[:1]", "words"),
        Change("shortened", "the strings in $x, each cut to $k characters,", "$i[:$k]", "words", LENGTH),
        Change("prefixed", "the strings in $x with $k in front of each", "$k + $i", "words", PREFIX),
        Change("vowel_free", "the strings in $x without their lower-case vowels", "''.join(c for c in $i if c not in 'aeiou')", "words"),
    ),
    "pairs": (
        Change("pair_sums", "the sums of the pairs in $x", "$i[0] + $i[1]", "ints"),
        Change("seconds", "the second members of the pairs in $x", "$i[1]", "ints"),
        Change("swapped", "the pairs in $x with their members swapped", "($i[1], $i[0])", "pairs"),
        Change("distances", "the absolute differences of the pairs in $x", "abs($i[0] - $i[1])", "ints"),
    ),
    "nested": (
        Change("sums", "the sums of the lists in $x", "sum($i)", "ints"),
        Change("sizes", "the lengths of the lists in $x", "len($i)", "ints"),
    ),
}  # fmt: skip

FORMS: dict[str, tuple[str, str, tuple[str, ...], tuple[str, ...]]] = {
    # tag: (family, kind of result, wordings, idioms); P is the condition, B and A its words before and after the noun
    "keep": (
        "filter", "same", ("the B things $in $x A", "a list of the B things $in $x A"),
        (
            "[$i for $i in $x if P]",
            "$out = []\nfor $i in $x:\n    if P:\n        $out.append($i)",
            "list(filter(lambda $i: P, $x))",
            "def fits($i):\n    return P\n$out = [$i for $i in $x if fits($i)]",
        ),
    ),
    "drop": (
        "filter", "same", ("$x without the B things A",),
        ("[$i for $i in $x if not (P)]", "$out = []\nfor $i in $x:\n    if P:\n        continue\n    $out.append($i)"),
    ),
    "count": (
        "count", "nat", ("the number of B things $in $x A", "how many B things A there are $in $x"),
        (
            "sum(1 for $i in $x if P)",
            "len([$i for $i in $x if P])",
            "$out = 0\nfor $i in $x:\n    if P:\n        $out += 1",
            "def fits($i):\n    return P\n$out = sum(map(fits, $x))",
        ),
    ),
    "any": (
        "quantify", "bool", ("at least one thing $in $x IS",),
        ("any(P for $i in $x)", "for $i in $x:\n    if P:\n        return True\nreturn False"),
    ),
    "all": (
        "quantify", "bool", ("every thing $in $x IS",),
        ("all(P for $i in $x)", "for $i in $x:\n    if not (P):\n        return False\nreturn True"),
    ),
    "first": (
        "search", "optional", ("the first thing $in $x that IS, or None if there is none",),
        ("for $i in $x:\n    if P:\n        return $i\nreturn None", "next(($i for $i in $x if P), None)"),
    ),
    "index": (
        "positions", "int", ("the index of the first thing $in $x that IS, or -1 if there is none",),
        (
            "for index, $i in enumerate($x):\n    if P:\n        return index\nreturn -1",
            "next((index for index, $i in enumerate($x) if P), -1)",
        ),
    ),
    "indices": (
        "positions", "ints", ("the indices of the B things $in $x A",),
        (
            "[index for index, $i in enumerate($x) if P]",
            "$out = []\nfor index, $i in enumerate($x):\n    if P:\n        $out.append(index)",
        ),
    ),
    "split": (
        "partition", "two", ("a pair of lists: the B things $in $x A, and all the others",),
        (
            "matching = []\nothers = []\nfor $i in $x:\n    if P:\n        matching.append($i)\n    else:\n        others.append($i)\n"
            "return (matching, others)",
            "matching = [$i for $i in $x if P]\nothers = [$i for $i in $x if not (P)]\nreturn (matching, others)",
        ),
    ),
    "leading": (
        "prefix", "same", ("the longest start of $x in which every thing IS",),
        (
            "$out = []\nfor $i in $x:\n    if not (P):\n        break\n    $out.append($i)",
            "end = 0\nfor $i in $x:\n    if not (P):\n        break\n    end += 1\n$out = $x[:end]",
            "def fits($i):\n    return P\nend = 0\nwhile end < len($x) and fits($x[end]):\n    end += 1\n$out = $x[:end]",
        ),
    ),
}  # fmt: skip

_TWO = {"ints": "two_ints", "floats": "two_floats", "words": "two_words"}
_OPTIONAL = {"ints": "optional_int", "floats": "optional_float", "words": "optional_text", "text": "optional_text"}
_THING = {"ints": ("number", "numbers"), "floats": ("number", "numbers"), "words": ("string", "strings"), "text": ("character", "characters")}  # fmt: skip
_TAGS = {"keep": "keep_{}", "drop": "without_{}", "count": "count_{}", "any": "any_{}", "all": "all_{}", "first": "first_{}",
         "index": "index_of_{}", "indices": "positions_of_{}", "split": "split_{}", "leading": "leading_{}"}  # fmt: skip


def _words(wording: str, kind: str, condition: Condition) -> str:
    thing, things = _THING[kind]
    parts = {"B": condition.before, "A": condition.after, "IS": condition.predicate, "things": things, "thing": thing}
    said = [
        parts.get(word.rstrip(":,"), word.rstrip(":,")) + word[len(word.rstrip(":,")) :] for word in wording.split()
    ]
    return " ".join(word for word in said if word).replace(" ,", ",")


def _code(template: str, condition: Condition) -> str:
    code = template.replace("not (P)", _negated(condition.test))
    return code.replace("P", condition.test) if "P" in code else code


def _negated(test: str) -> str:
    flips = {
        " == ": " != ",
        " != ": " == ",
        " > ": " <= ",
        " <= ": " > ",
        " < ": " >= ",
        " not in ": " in ",
        " in ": " not in ",
    }
    signs = [sign for sign in flips if sign in test]
    if len(signs) == 1 and test.count(signs[0]) == 1:
        return test.replace(signs[0], flips[signs[0]])
    return f"not {test}" if not signs else f"not ({test})"


def _crossed(kind: str, conditions: tuple[Condition, ...]) -> tuple[Primitive, ...]:
    made: list[Primitive] = []
    for form, (owner, gives, wordings, idioms) in FORMS.items():
        if kind == "text" and form in ("split", "leading"):
            continue
        result = {"same": kind, "two": _TWO.get(kind, ""), "optional": _OPTIONAL[kind]}.get(gives, gives)
        for condition in conditions:
            written = tuple(_code(idiom, condition) for idiom in idioms)
            if kind == "text" and gives == "same":
                written = tuple(_joined(idiom) for idiom in written)
            tag = _TAGS[form].format(condition.tag)
            one = primitive(
                f"{tag}_{kind}", kind, result, tuple(_words(said, kind, condition) for said in wordings), *written,
                knobs={"k": condition.knob} if condition.knob else {}, tags=(tag, f"{tag}_{_THING[kind][1]}"), family=owner,
                test=(condition.test if form == "keep" else "") if kind != "text" else "",
                out={"count": "count", "keep": "kept", "drop": "kept"}.get(form, "result"),
                order_blind=form in ("count", "any", "all"),
            )  # fmt: skip
            made.append(one)
    return tuple(made)


def _joined(idiom: str) -> str:
    """The text form of a filter: a comprehension is joined, a list of characters becomes a string that grows."""
    if idiom.startswith("["):
        return f"''.join({idiom[1:-1]})"
    if idiom.startswith("list(filter("):
        return f"''.join({idiom[5:-1]})"
    if idiom.startswith("def "):
        return idiom.replace("$out = [$i for $i in $x if fits($i)]", "$out = ''.join($i for $i in $x if fits($i))")
    return idiom.replace("$out = []", "$out = ''").replace("$out.append($i)", "$out += $i")


def _changes() -> tuple[Primitive, ...]:
    made = []
    for kind, changes in CHANGES.items():
        for change in changes:
            lambda_ = f"list(map(lambda $i: {change.transform}, $x))"
            helper = f"def changed_one($i):\n    return {change.transform}\n$out = [changed_one($i) for $i in $x]"
            loop = f"$out = []\nfor $i in $x:\n    $out.append({change.transform})"
            idioms = [f"[{change.transform} for $i in $x]", loop, helper]
            if change.transform in ("abs($i)", "str($i)", "len($i)", "sum($i)", "int($i)"):
                idioms.append(f"list(map({change.transform[:3]}, $x))")
            else:
                idioms.append(lambda_)
            tag = change.tag
            knobs = {"k": change.knob} if change.knob else {}
            made.append(
                primitive(
                    f"{tag}_{kind}",
                    kind,
                    change.gives,
                    change.noun,
                    *idioms,
                    knobs=knobs,
                    tags=(tag,),
                    family="map",
                    transform=change.transform,
                    out="changed",
                )
            )
    return tuple(made)


@lru_cache(maxsize=4_096)
def fused(test: str, transform: str, fold: tuple[str, str, str] | None) -> tuple[Idiom, ...]:
    """A filter, a map and a fold in one pass: as a comprehension, and as one loop."""
    value = transform or "$i"
    condition = f" if {test}" if test else ""
    generator = f"{value} for $i in $x{condition}"
    indent, guard = ("        ", f"    if {test}:\n") if test else ("    ", "")
    if fold is None:
        step, start, call = f"$out.append({value})", "$out = []", f"[{generator}]"
    else:
        shown = value if value.isidentifier() or value == "$i" or value.endswith(")") else f"({value})"
        plain = fold[2].endswith("+= $v")
        step, start = _put(fold[2], value if plain else shown), fold[1]
        call = fold[0].replace("$g", generator)
    return (Idiom(call), Idiom(f"{start}\nfor $i in $x:\n{guard}{indent}{step}"))


def _put(update: str, value: str) -> str:
    return update.replace("$v", value)


FOLDS = family(
    "fold",
    primitive("sum_ints", "ints", "int", ("the sum of $x", "the total of $x"), "sum($x)", "$out = 0\nfor $i in $x:\n    $out += $i",
              fold=("sum($g)", "$out = 0", "$out += $v"), tags=("sum", "total"), out="total", order_blind=True),
    primitive("product_ints", "ints", "int", "the product of $x, 1 if there is nothing to multiply", "math.prod($x)", "$out = 1\nfor $i in $x:\n    $out *= $i",
              fold=("math.prod($g)", "$out = 1", "$out *= $v"), tags=("product",), out="product", order_blind=True),
    primitive("sum_floats", "floats", "float", "the sum of $x", "sum($x, 0.0)", "$out = 0.0\nfor $i in $x:\n    $out += $i",
              tags=("sum",), out="total", order_blind=True),
    primitive("largest_ints", "ints", "int", ("the largest of $x, or 0 if there is none",), "max($x, default=0)", "max($x) if $x else 0",
              "if not $x:\n    return 0\n$out = $x[0]\nfor $i in $x:\n    if $i > $out:\n        $out = $i\nreturn $out", tags=("largest", "maximum"), out="largest", order_blind=True),
    primitive("smallest_ints", "ints", "int", ("the smallest of $x, or 0 if there is none",), "min($x, default=0)", "min($x) if $x else 0",
              "if not $x:\n    return 0\n$out = $x[0]\nfor $i in $x:\n    if $i < $out:\n        $out = $i\nreturn $out", tags=("smallest", "minimum"), out="smallest", order_blind=True),
    primitive("span_ints", "ints", "int", "the difference between the largest and the smallest of $x, or 0 if there is none", "max($x) - min($x) if $x else 0",
              "if not $x:\n    return 0\nreturn max($x) - min($x)", tags=("span", "spread"), order_blind=True),
    primitive("mean_ints", "ints", "float", "the average of $x, rounded to two decimals, or 0.0 if there is nothing to average", "round(sum($x) / len($x), 2) if $x else 0.0",
              "if not $x:\n    return 0.0\nreturn round(sum($x) / len($x), 2)", tags=("average", "mean"), order_blind=True),
    primitive("alternating_sum", "ints", "int", "the alternating sum of $x (first minus second plus third, and so on)", "sum($x[::2]) - sum($x[1::2])",
              "$out = 0\nsign = 1\nfor $i in $x:\n    $out += sign * $i\n    sign = -sign", tags=("alternating_sum",), out="total"),
    primitive("joined_words", "words", "text", ("the strings in $x joined with $k between them",), "$k.join($x)",
              knobs={"k": Knob(("separator", "sep"), (", ", "-", " ", "+", ""), "str")}, tags=("join", "joined")),
    primitive("longest_word", "words", "text", ("the longest string $in $x, the first of them if there are several, '' if there is none",), "max($x, key=len, default='')",
              "$out = ''\nfor $i in $x:\n    if len($i) > len($out):\n        $out = $i", tags=("longest",), out="longest"),
    primitive("total_length", "words", "nat", "the total length of $x", "sum(len($i) for $i in $x)", "len(''.join($x))", "$out = 0\nfor $i in $x:\n    $out += len($i)", out="total", order_blind=True),
)  # fmt: skip

CROSSED = (
    *_crossed("ints", INT_CONDITIONS),
    *_crossed("floats", FLOAT_CONDITIONS),
    *_crossed("words", WORD_CONDITIONS),
    *_crossed("text", CHAR_CONDITIONS),
    *_changes(),
    *FOLDS,
)
