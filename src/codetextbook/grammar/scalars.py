# ruff: noqa: E501  (a table: one entry a line)
"""Primitives over single values: building and reading text, digits, number theory, recursion, conversion, small simulations."""

from __future__ import annotations

from codetextbook.grammar.primitive import Knob, Primitive, family, primitive

TIMES = Knob(("times", "count", "n"), (1, 2, 3, 4))
FILL = Knob(("fill", "char", "mark"), ("*", "-", "#", "."), "str")
WIDTH = Knob(("width", "length"), (3, 5, 8, 10))
SHIFT = Knob(("shift", "offset"), (1, 2, 3, 13))
OTHER = Knob(("other", "m", "second"), (2, 6, 9, 15, 28))
EXPONENT = Knob(("exponent", "power"), (0, 1, 2, 3, 4), constant=False)

BUILD = family(
    "text_building",
    primitive("reverse_text", "text", "text", ("$x reversed", "the characters of $x in reverse order"), "$x[::-1]", "''.join(reversed($x))", "$out = ''\nfor $i in $x:\n    $out = $i + $out", tags=("reverse", "backwards"), out="backwards", reorders=True),
    primitive("upper_text", "text", "text", "$x in upper case", "$x.upper()", tags=("shout", "to_upper")),
    primitive("swap_case", "text", "text", "$x with upper and lower case exchanged", "$x.swapcase()", "''.join($i.lower() if $i.isupper() else $i.upper() for $i in $x)", tags=("swap_case",), out="swapped"),
    primitive("repeat_text", "text", "text", "$x repeated $k times", "$x * $k", "$out = ''\nfor _ in range($k):\n    $out += $x", knobs={"k": TIMES}, tags=("repeat",), out="repeated"),
    primitive("double_letters", "text", "text", "$x with every character written twice", "''.join(2 * $i for $i in $x)", "$out = ''\nfor $i in $x:\n    $out += $i + $i", tags=("double_letters", "stutter"), out="doubled"),
    primitive("pad_left", "text", "text", "$x filled up on the left with $fill to at least $k characters", "$x.rjust($k, $fill)", "$out = $x\nwhile len($out) < $k:\n    $out = $fill + $out", knobs={"k": WIDTH, "fill": FILL}, tags=("pad_left",), out="padded"),
    primitive("replace_spaces", "text", "text", "$x with each space replaced by $fill", "$x.replace(' ', $fill)", "''.join($fill if $i == ' ' else $i for $i in $x)", "$out = ''\nfor $i in $x:\n    $out += $fill if $i == ' ' else $i", knobs={"fill": FILL}, tags=("replace_spaces",), out="replaced"),
    primitive("stairs", "text", "words", "all the beginnings of $x, from its first character alone to all of it", "[$x[:end] for end in range(1, len($x) + 1)]", "$out = []\nfor end in range(1, len($x) + 1):\n    $out.append($x[:end])", tags=("beginnings",), out="beginnings"),
    primitive("alternate_case", "text", "text", "$x with its characters at even indices in upper case and the others in lower case", "''.join($i.upper() if index % 2 == 0 else $i.lower() for index, $i in enumerate($x))", "$out = ''\nfor index, $i in enumerate($x):\n    if index % 2 == 0:\n        $out += $i.upper()\n    else:\n        $out += $i.lower()", tags=("alternate_case",)),
    primitive("first_and_last", "text", "text", "the first and the last character of $x as one string, or '' if $x has fewer than two", "$x[0] + $x[-1] if len($x) > 1 else ''", "if len($x) < 2:\n    return ''\nreturn $x[0] + $x[-1]", tags=("ends",)),
)  # fmt: skip

CODES = family(
    "codes",
    primitive("caesar", "text", "text", "$x with each lower-case letter from a to z moved $k places on in the alphabet, starting again after z", "$out = ''\nfor $i in $x:\n    if 'a' <= $i <= 'z':\n        $out += chr((ord($i) - ord('a') + $k) % 26 + ord('a'))\n    else:\n        $out += $i", knobs={"k": SHIFT}, tags=("shift_letters", "encrypt"), out="coded"),
    primitive("run_length", "text", "text", "$x with each run of equal characters written as the character and the run's length", "$out = ''\nindex = 0\nwhile index < len($x):\n    end = index\n    while end < len($x) and $x[end] == $x[index]:\n        end += 1\n    $out += $x[index] + str(end - index)\n    index = end", "''.join($i + str(len(list(group))) for $i, group in groupby($x))", tags=("compress", "run_lengths"), out="coded"),
    primitive("squeeze", "text", "text", "$x with each run of equal characters reduced to one", "$out = ''\nfor $i in $x:\n    if not $out or $out[-1] != $i:\n        $out += $i", tags=("squeeze",), out="squeezed"),
    primitive("code_points", "text", "ints", "the code points of the characters of $x", "[ord($i) for $i in $x]", "$out = []\nfor $i in $x:\n    $out.append(ord($i))", tags=("code_points",), out="codes"),
    primitive("alphabet_places", "text", "ints", "the places in the alphabet (a is 1) of the letters from a to z $in $x, in upper or lower case", "[ord($i) - ord('a') + 1 for $i in $x.lower() if 'a' <= $i <= 'z']", "$out = []\nfor $i in $x.lower():\n    if 'a' <= $i <= 'z':\n        $out.append(ord($i) - ord('a') + 1)", tags=("letter_values",), out="places"),
)  # fmt: skip

PARSE = family(
    "text_parsing",
    primitive("split_words", "text", "words", ("the words of $x", "a list of the words $in $x"), "$x.split()", "$out = []\nfor part in $x.split():\n    $out.append(part)", tags=("words_of", "split_words"), out="words_found"),
    primitive("parse_list", "listed", "ints", "the integers written in $x", "[int(part) for part in $x.split(',')]", "$out = []\nfor part in $x.split(','):\n    $out.append(int(part))", "list(map(int, $x.split(',')))", tags=("parse_numbers",), out="parsed"),
    primitive("parse_fields", "fields", "scores", "a dictionary from the keys of $x to their values as integers", "$out = {}\nfor field in $x.split(','):\n    key, value = field.split('=')\n    $out[key] = int(value)", tags=("parse_fields",), out="parsed"),
    primitive("digits_in", "text", "ints", "the digits from 0 to 9 that occur $in $x, as integers", "[int($i) for $i in $x if $i in '0123456789']", "$out = []\nfor $i in $x:\n    if $i in '0123456789':\n        $out.append(int($i))", tags=("digits_in",), out="digits"),
    primitive("count_words", "text", "nat", ("the number of words $in $x", "how many words there are $in $x"), "len($x.split())", "$out = 0\nfor _ in $x.split():\n    $out += 1", tags=("count_words",), out="count"),
    primitive("acronym", "text", "text", "the first letters of the words of $x, in upper case, as one string", "''.join(part[0].upper() for part in $x.split())", "$out = ''\nfor part in $x.split():\n    $out += part[0].upper()", tags=("acronym", "initials"), out="letters"),
    primitive("reverse_words", "text", "text", "the words of $x in reverse order, with one space between them", "' '.join(reversed($x.split()))", "' '.join($x.split()[::-1])", tags=("reverse_words",)),
    primitive("is_palindrome", "text", "bool", "$x reads the same backwards, whatever the case of its letters", "$x.lower() == $x.lower()[::-1]", "lowered = $x.lower()\nfor index in range(len(lowered) // 2):\n    if lowered[index] != lowered[-1 - index]:\n        return False\nreturn True", tags=("is_palindrome",)),
)  # fmt: skip

DIGITS = family(
    "digits",
    primitive("digits_of", "nat", "ints", ("the digits of $x", "a list of the digits of $x"), "[int(digit) for digit in str($x)]", "$out = []\nfor digit in str($x):\n    $out.append(int(digit))", tags=("digits",), out="digits"),
    primitive("digit_sum", "nat", "nat", "the sum of the digits of $x", "sum(int(digit) for digit in str($x))", "$out = 0\nrest = $x\nwhile rest > 0:\n    $out += rest % 10\n    rest //= 10", "if $x < 10:\n    return $x\nreturn $x % 10 + $f($x // 10)", tags=("digit_sum", "sum_digits"), out="total"),
    primitive("reverse_digits", "nat", "nat", "the number whose digits are those of $x in reverse order", "int(str($x)[::-1])", "$out = 0\nrest = $x\nwhile rest > 0:\n    $out = 10 * $out + rest % 10\n    rest //= 10", tags=("reverse_digits",), out="reversed_number"),
    primitive("to_binary", "nat", "text", "$x written in binary, without a prefix", "bin($x)[2:]", "format($x, 'b')", "if $x == 0:\n    return '0'\nbits = ''\nrest = $x\nwhile rest > 0:\n    bits = str(rest % 2) + bits\n    rest //= 2\nreturn bits", tags=("to_binary",)),
    primitive("largest_digit", "nat", "nat", "the largest digit of $x", "max(int(digit) for digit in str($x))", "$out = 0\nrest = $x\nwhile rest > 0:\n    $out = max($out, rest % 10)\n    rest //= 10", tags=("largest_digit",), out="largest"),
    primitive("digit_root", "nat", "nat", "the digital root of $x: its digits added up, again and again, until one digit is left", "$out = $x\nwhile $out >= 10:\n    $out = sum(int(digit) for digit in str($out))", "if $x < 10:\n    return $x\nreturn $f(sum(int(digit) for digit in str($x)))", tags=("digital_root",), out="root"),
)  # fmt: skip

NUMBERS = family(
    "number_theory",
    primitive("divisors", "positive", "ints", ("the divisors of $x, in ascending order",), "[d for d in range(1, $x + 1) if $x % d == 0]", "$out = []\nfor d in range(1, $x + 1):\n    if $x % d == 0:\n        $out.append(d)", tags=("divisors",), out="divisors"),
    primitive("is_prime", "nat", "bool", "$x is a prime number", "if $x < 2:\n    return False\nfor d in range(2, int($x**0.5) + 1):\n    if $x % d == 0:\n        return False\nreturn True", "$x > 1 and all($x % d != 0 for d in range(2, int($x**0.5) + 1))", tags=("is_prime",)),
    primitive("prime_factors", "positive", "ints", "the prime factors of $x in ascending order, with repetitions", "$out = []\nrest, d = $x, 2\nwhile rest > 1:\n    while rest % d == 0:\n        $out.append(d)\n        rest //= d\n    d += 1", tags=("prime_factors",), out="factors"),
    primitive("gcd", "positive", "positive", "the greatest common divisor of $x and $k", "math.gcd($x, $k)", "a, b = $x, $k\nwhile b:\n    a, b = b, a % b\nreturn a", "if $k == 0:\n    return $x\nreturn $f($k, $x % $k)", knobs={"k": Knob(("other", "m", "b"), (6, 9, 12, 1, 28), constant=False)}, tags=("common_divisor", "gcd")),
    primitive("multiples_below", "nat", "ints", "the multiples of $k from 0 up to $x, in ascending order", "list(range(0, $x + 1, $k))", "[m for m in range($x + 1) if m % $k == 0]", knobs={"k": Knob(("step", "k"), (7, 10, 12, 5))}, tags=("multiples",), out="multiples"),
    primitive("count_up", "small", "ints", "the integers from 1 to $x", "list(range(1, $x + 1))", "$out = []\nfor k in range(1, $x + 1):\n    $out.append(k)", tags=("count_up",), out="integers_made"),
    primitive("is_square", "nat", "bool", "$x is a perfect square", "math.isqrt($x) ** 2 == $x", "root = 0\nwhile root * root < $x:\n    root += 1\nreturn root * root == $x", tags=("is_square",)),
)  # fmt: skip

RECURSION = family(
    "recursion",
    primitive("factorial", "small", "nat", "the factorial of $x", "if $x < 2:\n    return 1\nreturn $x * $f($x - 1)", "$out = 1\nfor k in range(2, $x + 1):\n    $out *= k", tags=("factorial",)),
    primitive("fibonacci", "small", "nat", "the Fibonacci number with index $x (index 0 gives 0, index 1 gives 1)", "if $x < 2:\n    return $x\nreturn $f($x - 1) + $f($x - 2)", "a, b = 0, 1\nfor _ in range($x):\n    a, b = b, a + b\nreturn a", tags=("fibonacci",)),
    primitive("power", "int", "int", "$x to the power of $k", "if $k == 0:\n    return 1\nreturn $x * $f($x, $k - 1)", "$out = 1\nfor _ in range($k):\n    $out *= $x", knobs={"k": EXPONENT}, tags=("power",)),
    primitive("tree_sum", "tree", "int", "the sum of all integers in $x, at any depth", "total = 0\nfor $i in $x:\n    if isinstance($i, list):\n        total += $f($i)\n    else:\n        total += $i\nreturn total", "return sum($f($i) if isinstance($i, list) else $i for $i in $x)", tags=("deep_sum",)),
    primitive("tree_flatten", "tree", "ints", "all integers in $x, at any depth, as one flat list", "flat = []\nfor $i in $x:\n    if isinstance($i, list):\n        flat.extend($f($i))\n    else:\n        flat.append($i)\nreturn flat", tags=("deep_flatten",)),
    primitive("tree_depth", "tree", "nat", "the depth of $x: 1 for a list without lists in it", "deepest = 0\nfor $i in $x:\n    if isinstance($i, list):\n        deepest = max(deepest, $f($i))\nreturn 1 + deepest", "return 1 + max(($f($i) for $i in $x if isinstance($i, list)), default=0)", tags=("depth",)),
    primitive("collatz", "positive", "ints", "the Collatz sequence that starts with $x: an even number is halved, an odd one is tripled and increased by 1, until 1 is reached", "$out = [$x]\nwhile $out[-1] != 1:\n    last = $out[-1]\n    $out.append(last // 2 if last % 2 == 0 else 3 * last + 1)", "if $x == 1:\n    return [1]\nif $x % 2 == 0:\n    return [$x] + $f($x // 2)\nreturn [$x] + $f(3 * $x + 1)", tags=("collatz",), out="sequence"),
    primitive("countdown", "small", "ints", "the integers from $x down to 0", "if $x == 0:\n    return [0]\nreturn [$x] + $f($x - 1)", "list(range($x, -1, -1))", tags=("countdown",)),
)  # fmt: skip

CONVERT = family(
    "conversion",
    primitive("clock", "nat", "text", "$x minutes written as hours and two-digit minutes, with a colon between them", "f'{$x // 60}:{$x % 60:02d}'", "hours = $x // 60\nminutes = $x % 60\nreturn f'{hours}:{minutes:02d}'", tags=("as_clock", "format_minutes")),
    primitive("fahrenheit", "int", "float", "the temperature of $x degrees Celsius in degrees Fahrenheit, rounded to one decimal", "round($x * 9 / 5 + 32, 1)", tags=("to_fahrenheit",)),
    primitive("sign", "int", "int", "the sign of $x: 1, 0 or -1", "if $x > 0:\n    return 1\nif $x < 0:\n    return -1\nreturn 0", "($x > 0) - ($x < 0)", tags=("sign",)),
    primitive("clamp", "int", "int", "$x, but at least $low and at most $high", "max($low, min($x, $high))", "if $x < $low:\n    return $low\nif $x > $high:\n    return $high\nreturn $x", knobs={"low": Knob(("low", "lower"), (0, -5, 1)), "high": Knob(("high", "upper"), (10, 20, 99))}, tags=("clamp",)),
    primitive("grade", "nat", "text", "'high' if $x is at least $k, else 'low'", "'high' if $x >= $k else 'low'", "if $x >= $k:\n    return 'high'\nreturn 'low'", knobs={"k": Knob(("limit", "bound"), (10, 50, 100))}, tags=("level_of",), outcomes=2),
    primitive("seconds_split", "nat", "pair", "a pair of the whole minutes in $x seconds and the seconds that remain", "divmod($x, 60)", "minutes = $x // 60\nreturn (minutes, $x - 60 * minutes)", tags=("minutes_and_seconds",)),
    primitive("round_up", "int", "int", "the smallest multiple of $k that is not less than $x", "-(-$x // $k) * $k", "remainder = $x % $k\nif remainder == 0:\n    return $x\nreturn $x + $k - remainder", knobs={"k": Knob(("step", "k"), (5, 10, 3))}, tags=("round_up",)),
)  # fmt: skip

SIMULATION = family(
    "simulation",
    primitive("robot", "moves", "pair", "where a robot that starts at (0, 0) stands after $x: U and D change y by 1 and -1, R and L change x by 1 and -1", "x = y = 0\nfor $i in $x:\n    if $i == 'U':\n        y += 1\n    elif $i == 'D':\n        y -= 1\n    elif $i == 'R':\n        x += 1\n    elif $i == 'L':\n        x -= 1\nreturn (x, y)", "right = $x.count('R') - $x.count('L')\nup = $x.count('U') - $x.count('D')\nreturn (right, up)", tags=("robot_position",)),
    primitive("balance_floor", "ints", "int", "the balance after the changes in $x, starting at 0, when a change that would make it negative is left out", "$out = 0\nfor $i in $x:\n    if $out + $i >= 0:\n        $out += $i", tags=("final_balance",), out="balance"),
    primitive("balanced", "brackets", "bool", "every bracket in $x is closed in the right order", "depth = 0\nfor $i in $x:\n    depth += 1 if $i == '(' else -1\n    if depth < 0:\n        return False\nreturn depth == 0", "stack = []\nfor $i in $x:\n    if $i == '(':\n        stack.append($i)\n    elif not stack:\n        return False\n    else:\n        stack.pop()\nreturn not stack", tags=("is_balanced",)),
    primitive("deepest", "brackets", "nat", "the greatest number of brackets that are open at once in $x", "$out = 0\ndepth = 0\nfor $i in $x:\n    if $i == '(':\n        depth += 1\n        $out = max($out, depth)\n    else:\n        depth -= 1", tags=("deepest_level",), out="deepest"),
    primitive("queue", "ints", "ints", "what is left of a queue after $x: a positive number joins it at the end, and any other number lets the first one leave, if there is one", "$out = []\nfor $i in $x:\n    if $i > 0:\n        $out.append($i)\n    elif $out:\n        $out.pop(0)", tags=("queue_after",), out="queue"),
    primitive("stack", "ints", "ints", "what is left on a stack after $x: 0 takes the top away, if there is one, and any other number is put on top", "$out = []\nfor $i in $x:\n    if $i != 0:\n        $out.append($i)\n    elif $out:\n        $out.pop()", tags=("stack_after",), out="stack"),
    primitive("growth", "nat", "nat", "the number of days until 1 cell, doubling every day, has become at least $x cells", "$out = 0\ncells = 1\nwhile cells < $x:\n    cells *= 2\n    $out += 1", tags=("days_to_reach",), out="days"),
)  # fmt: skip

SCALARS: tuple[Primitive, ...] = (*BUILD, *CODES, *PARSE, *DIGITS, *NUMBERS, *RECURSION, *CONVERT, *SIMULATION)
