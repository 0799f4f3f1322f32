# ruff: noqa: E501  (a table: one entry a line)
"""Primitives over text that go beyond building and reading it: cleaning, laying out, checking its form, and playing with words."""

from __future__ import annotations

from codetextbook.grammar.primitive import Knob, Primitive, family, primitive

WIDTH = Knob(("width", "length", "size"), (4, 6, 9, 12))
FILL = Knob(("fill", "mark"), ("*", "-", "=", "."), "str")
BULLET = Knob(("bullet", "mark"), ("- ", "* ", "> "), "str")
KEEP = Knob(("visible", "keep", "k"), (1, 2, 3, 4))
LETTER = Knob(("letter", "char", "wanted"), ("a", "e", "l", "o"), "str")
OTHER_WORD = Knob(("other", "second", "guess"), ("tea", "listen", "notes", "noon", "stone", "letters", "a"), "str", constant=False)  # fmt: skip
LEAST = Knob(("minimum", "length", "least"), (5, 8, 10))

CLEANING = family(
    "text_cleaning",
    primitive("single_spaces", "text", "text", "the words of $x with exactly one space between them", "' '.join($x.split())", "$out = ''\nfor part in $x.split():\n    $out += part if not $out else ' ' + part", tags=("single_spaces", "tidy_spaces"), out="tidy"),
    primitive("without_punctuation", "text", "text", "$x without the signs , . ! and ?", "''.join($i for $i in $x if $i not in ',.!?')", "$out = $x\nfor sign in ',.!?':\n    $out = $out.replace(sign, '')", "$out = ''\nfor $i in $x:\n    if $i not in ',.!?':\n        $out += $i", tags=("without_punctuation",), out="plain"),
    primitive("snake_case", "text", "text", "the words of $x in lower case, joined by underscores", "'_'.join($x.lower().split())", "$out = ''\nfor part in $x.split():\n    if $out:\n        $out += '_'\n    $out += part.lower()", tags=("snake_case",), out="name"),
    primitive("camel_case", "text", "text", "the words of $x in lower case and joined, each but the first with a capital", "parts = $x.lower().split()\n$out = ''.join(parts[:1] + [part.capitalize() for part in parts[1:]])", "$out = ''\nfor part in $x.lower().split():\n    $out += part.capitalize() if $out else part", tags=("camel_case",), out="name"),
    primitive("capitalized_words", "text", "text", "the words of $x, each with a capital first letter and the rest small, with one space between them", "' '.join(part.capitalize() for part in $x.split())", "parts = []\nfor part in $x.split():\n    parts.append(part[0].upper() + part[1:].lower())\n$out = ' '.join(parts)", tags=("capitalize_words",), out="titled"),
    primitive("digits_hidden", "text", "text", "$x with each digit from 0 to 9 replaced by #", "''.join('#' if $i in '0123456789' else $i for $i in $x)", "re.sub('[0-9]', '#', $x)", "$out = ''\nfor $i in $x:\n    $out += '#' if $i in '0123456789' else $i", tags=("hide_digits",), out="hidden"),
    primitive("end_visible", "text", "text", "$x with all but its last $k characters replaced by *", "'*' * (len($x) - $k) + $x[-$k:]", "$out = ''\nfor place, $i in enumerate($x):\n    $out += $i if place >= len($x) - $k else '*'", knobs={"k": KEEP}, tags=("mask", "hide_all_but_end"), out="masked"),
    primitive("distinct_characters", "text", "text", "the characters of $x without repetitions, in the order of first appearance", "''.join(dict.fromkeys($x))", "$out = ''\nfor $i in $x:\n    if $i not in $out:\n        $out += $i", tags=("distinct_characters",), out="distinct"),
    primitive("words_once", "text", "words", "the different words of $x in lower case, in alphabetical order", "sorted(set($x.lower().split()))", "$out = []\nfor part in $x.lower().split():\n    if part not in $out:\n        $out.append(part)\n$out.sort()", tags=("vocabulary",), out="found"),
    primitive("inner_text", "text", "text", "$x without white space at its ends and in lower case", "$x.strip().lower()", "$out = $x.lower()\n$out = $out.strip()", tags=("normalize",), out="plain"),
)  # fmt: skip

LAYOUT = family(
    "layout",
    primitive("framed", "text", "text", "$x centred in a line of at least $k characters that is filled with $fill", "$x.center($k, $fill)", knobs={"k": WIDTH, "fill": FILL}, tags=("centered", "banner"), out="line"),
    primitive("shortened_text", "text", "text", "$x, but where it is longer than $k characters only its first $k characters followed by '...'", "$x if len($x) <= $k else $x[:$k] + '...'", "if len($x) <= $k:\n    return $x\nreturn $x[:$k] + '...'", knobs={"k": WIDTH}, tags=("shorten",)),
    primitive("bar", "small", "text", "a bar of $x signs $fill", "$fill * $x", "$out = ''\nfor _ in range($x):\n    $out += $fill", knobs={"fill": FILL}, tags=("bar",), out="bar"),
    primitive("steps_of_stars", "small", "words", "a list of $x strings of stars, the first with one star and each next with one more", "['*' * size for size in range(1, $x + 1)]", "$out = []\nfor size in range(1, $x + 1):\n    $out.append(size * '*')", tags=("star_steps",), out="lines"),
    primitive("numbered", "words", "words", "$x as a numbered list: each string after its number, a dot and a space, counted from 1", "[f'{number}. {$i}' for number, $i in enumerate($x, 1)]", "$out = []\nnumber = 1\nfor $i in $x:\n    $out.append(f'{number}. {$i}')\n    number += 1", tags=("numbered",), out="lines"),
    primitive("bulleted", "words", "words", "$x with $k in front of each string", "[$k + $i for $i in $x]", "list(map(lambda $i: $k + $i, $x))", knobs={"k": BULLET}, tags=("bulleted",), out="lines"),
    primitive("padded_column", "words", "words", "$x, each filled up with spaces on the right to the length of the longest", "width = max(map(len, $x), default=0)\n$out = [$i.ljust(width) for $i in $x]", "$out = []\nfor $i in $x:\n    missing = max(len(other) for other in $x) - len($i)\n    $out.append($i + missing * ' ')", tags=("aligned",), out="column"),
    primitive("listed_in_words", "words", "text", "the strings in $x with commas between them, but 'and' before the last", "if len($x) < 2:\n    return ''.join($x)\nreturn ', '.join($x[:-1]) + ' and ' + $x[-1]", tags=("in_words", "enumerate_words")),
    primitive("table_row", "ints", "text", "the numbers in $x, each right-aligned in four characters, as one string", "''.join(str($i).rjust(4) for $i in $x)", "$out = ''\nfor $i in $x:\n    $out += f'{$i:4}'", tags=("table_row",), out="row"),
    primitive("bar_chart", "loads", "words", "a list with one bar of # signs for each of $x, as long as the number", "['#' * $i for $i in $x]", "$out = []\nfor $i in $x:\n    $out.append($i * '#')", tags=("bar_chart",), out="bars"),
)  # fmt: skip

VALIDATION = family(
    "validation",
    primitive("strong_password", "password", "bool", "$x has at least eight characters, among them a digit and a capital letter", "len($x) >= 8 and any($i.isdigit() for $i in $x) and any($i.isupper() for $i in $x)", "if len($x) < 8:\n    return False\nhas_digit = has_capital = False\nfor $i in $x:\n    has_digit = has_digit or $i.isdigit()\n    has_capital = has_capital or $i.isupper()\nreturn has_digit and has_capital", tags=("is_strong",)),
    primitive("password_faults", "password", "words", "what $x lacks, as a list: 'length' if it has fewer than $k characters, then 'digit' if it has no digit", "$out = []\nif len($x) < $k:\n    $out.append('length')\nif not any($i.isdigit() for $i in $x):\n    $out.append('digit')", knobs={"k": LEAST}, tags=("faults", "missing_parts"), out="faults"),
    primitive("is_colour", "colour", "bool", "$x is # followed by exactly six hexadecimal digits", "len($x) == 7 and $x[0] == '#' and all($i in '0123456789abcdefABCDEF' for $i in $x[1:])", "bool(re.fullmatch('#[0-9a-fA-F]{6}', $x))", "if len($x) != 7 or $x[0] != '#':\n    return False\nfor $i in $x[1:]:\n    if $i not in '0123456789abcdefABCDEF':\n        return False\nreturn True", tags=("is_colour_code",)),
    primitive("is_whole_number", "numeral", "bool", "$x is a whole number: digits from 0 to 9, perhaps with one + or - in front", "bool(re.fullmatch('[+-]?[0-9]+', $x))", "digits = $x[1:] if $x[:1] in ('+', '-') else $x\nreturn digits != '' and all($i in '0123456789' for $i in digits)", tags=("is_whole_number",)),
    primitive("parsed_or_zero", "numeral", "int", "the whole number that is written in $x, or 0 if $x is not one (a sign, then only digits)", "$out = 0\nif re.fullmatch('[+-]?[0-9]+', $x):\n    $out = int($x)", "digits = $x[1:] if $x[:1] in ('+', '-') else $x\nif digits == '' or any($i not in '0123456789' for $i in digits):\n    return 0\nreturn int($x)", tags=("parse_or_zero",), out="number"),
    primitive("check_digit", "digits_text", "nat", "the last digit of the sum of the digits of $x, every second one from the right (the last digit first) tripled", "sum((3 if place % 2 == 0 else 1) * int($i) for place, $i in enumerate(reversed($x))) % 10", "$out = 0\nweight = 3\nfor $i in reversed($x):\n    $out += weight * int($i)\n    weight = 4 - weight\n$out %= 10", tags=("check_digit",), out="total"),
    primitive("luhn_valid", "digits_text", "bool", "$x passes the Luhn test: every second digit from the right (the last but one first) is doubled, less 9 if that exceeds 9, and the sum ends in 0", "total = 0\nfor place, $i in enumerate(reversed($x)):\n    value = int($i) * (1 + place % 2)\n    total += value - 9 if value > 9 else value\nreturn total % 10 == 0", tags=("is_valid_card",)),
    primitive("digits_grouped", "digits_text", "text", "$x with a space after every three digits, but none at the end", "' '.join($x[start : start + 3] for start in range(0, len($x), 3))", "$out = ''\nfor place, $i in enumerate($x):\n    if place and place % 3 == 0:\n        $out += ' '\n    $out += $i", tags=("group_digits",), out="grouped"),
)  # fmt: skip

WORD_PLAY = family(
    "word_play",
    primitive("is_anagram", "word", "bool", "$x and $other consist of the same letters, whatever their case", "sorted($x.lower()) == sorted($other.lower())", "Counter($x.lower()) == Counter($other.lower())", "rest = list($other.lower())\nfor $i in $x.lower():\n    if $i not in rest:\n        return False\n    rest.remove($i)\nreturn not rest", knobs={"other": OTHER_WORD}, tags=("is_anagram", "same_letters")),
    primitive("sorted_letters", "word", "text", "the letters of $x in alphabetical order, all in lower case", "''.join(sorted($x.lower()))", "letters = list($x.lower())\nletters.sort()\n$out = ''.join(letters)", tags=("sorted_letters",), out="letters_sorted"),
    primitive("all_letters_differ", "word", "bool", "no letter occurs twice in $x, whatever its case", "len(set($x.lower())) == len($x)", "seen = ''\nfor $i in $x.lower():\n    if $i in seen:\n        return False\n    seen += $i\nreturn True", tags=("all_letters_differ",)),
    primitive("common_start", "word", "text", "the longest start that $x and $other have in common", "$out = ''\nfor a, b in zip($x, $other):\n    if a != b:\n        break\n    $out += a", "size = 0\nwhile size < min(len($x), len($other)) and $x[size] == $other[size]:\n    size += 1\nreturn $x[:size]", knobs={"other": OTHER_WORD}, tags=("common_start",), out="start"),
    primitive("places_that_differ", "word", "nat", "the number of places at which $x and $other differ, up to the end of the shorter one", "sum(a != b for a, b in zip($x, $other))", "$out = 0\nfor a, b in zip($x, $other):\n    if a != b:\n        $out += 1", knobs={"other": OTHER_WORD}, tags=("count_differences",), out="count"),
    primitive("common_letters", "word", "text", "the letters that are in both $x and $other, each once, in alphabetical order", "''.join(sorted(set($x) & set($other)))", "letters = []\nfor $i in $x:\n    if $i in $other and $i not in letters:\n        letters.append($i)\n$out = ''.join(sorted(letters))", knobs={"other": OTHER_WORD}, tags=("common_letters",), out="shared"),
    primitive("revealed", "word", "text", "$x with every letter but $k replaced by _", "''.join($i if $i == $k else '_' for $i in $x)", "$out = ''\nfor $i in $x:\n    if $i == $k:\n        $out += $i\n    else:\n        $out += '_'", knobs={"k": LETTER}, tags=("reveal",), out="shown"),
    primitive("with_vowels_moved", "word", "text", "the letters of $x other than lower-case vowels, followed by its lower-case vowels", "vowels = ''\nothers = ''\nfor $i in $x:\n    if $i in 'aeiou':\n        vowels += $i\n    else:\n        others += $i\n$out = others + vowels", "''.join(sorted($x, key=lambda $i: $i in 'aeiou'))", tags=("vowels_last",), out="moved_word"),
    primitive("letter_points", "word", "nat", "the points of $x, where a lower-case vowel counts 1 and any other letter 2", "sum(1 if $i in 'aeiou' else 2 for $i in $x)", "$out = 0\nfor $i in $x:\n    $out += 1 if $i in 'aeiou' else 2", "def points(letter):\n    return 1 if letter in 'aeiou' else 2\n$out = sum(map(points, $x))", tags=("word_points",), out="total"),
)  # fmt: skip

TEXTS: tuple[Primitive, ...] = (*CLEANING, *LAYOUT, *VALIDATION, *WORD_PLAY)
