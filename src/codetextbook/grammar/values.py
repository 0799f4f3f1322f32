# ruff: noqa: E501  (a table: one entry a line)
"""Primitives over single values and small records: bits, dates, times, points, averages, truth values, sets, tuples, numbers in other forms."""

from __future__ import annotations

from codetextbook.grammar.primitive import Knob, Primitive, family, primitive

BIT = Knob(("position", "place", "k"), (0, 1, 2, 3))
DAYS = Knob(("days", "offset", "k"), (1, 7, 10, 30, -1))
MINUTES = Knob(("minutes", "delay", "k"), (5, 30, 45, 90, 600))
OTHER_DATE = Knob(("other", "end", "second_day"), ("2024-03-01", "2000-01-01", "2010-06-15"), "str", constant=False)
OTHER_POINT = Knob(("other", "target", "goal"), ((0, 0), (1, 1), (-2, 5), (4, -3)), "tuple[int, int]", constant=False)
RADIUS = Knob(("radius", "reach", "k"), (2, 5, 8))
OTHER_SET = Knob(("other", "others", "second"), ({1, 2}, {0, 5, 7}, {3, 4, 6}, {0, 1, 2, 3, 4, 5, 6, 7}), "set[int]", constant=False)  # fmt: skip
MEMBER = Knob(("member", "number", "k"), (0, 3, 5, 7))
LIMIT = Knob(("limit", "threshold", "minimum"), (3, 5, 10, 18))
POINT_AT = Knob(("x", "at", "k"), (0, 1, 2, -1, 3))
OTHER_TERMS = Knob(("other", "second"), ([1], [1, 1], [0, 2, 5], [-1, 0, 0, 2]), "list[int]", constant=False)
BASE = Knob(("base", "radix"), (2, 3, 5, 8))
PERCENT = Knob(("percent", "rate"), (10, 25, 50, -50))

BITS = family(
    "bits",
    primitive("count_ones", "nat", "nat", "the number of ones in the binary form of $x", "bin($x).count('1')", "$out = 0\nrest = $x\nwhile rest > 0:\n    $out += rest & 1\n    rest >>= 1", "if $x == 0:\n    return 0\nreturn $x % 2 + $f($x // 2)", tags=("count_ones",), out="ones"),
    primitive("is_power_of_two", "nat", "bool", "$x is a power of two", "$x > 0 and $x & ($x - 1) == 0", "if $x < 1:\n    return False\nrest = $x\nwhile rest % 2 == 0:\n    rest //= 2\nreturn rest == 1", tags=("is_power_of_two",)),
    primitive("bit_at", "nat", "bool", "the bit of $x at position $k, counted from 0 on the right, is set", "($x >> $k) & 1 == 1", "mask = 1 << $k\nreturn ($x & mask) != 0", knobs={"k": BIT}, tags=("is_bit_set",)),
    primitive("set_bit", "nat", "nat", "$x with the bit at position $k, counted from 0 on the right, set to 1", "$x | (1 << $k)", "mask = 1 << $k\nif $x & mask:\n    return $x\nreturn $x + mask", knobs={"k": BIT}, tags=("set_bit",)),
    primitive("bit_count_needed", "nat", "nat", "how many binary digits $x needs, where 0 needs none", "$x.bit_length()", "$out = 0\nrest = $x\nwhile rest:\n    $out += 1\n    rest //= 2", tags=("binary_length",), out="length"),
    primitive("trailing_zeros", "positive", "nat", "the number of zeros at the end of the binary form of $x", "len(bin($x)) - len(bin($x).rstrip('0'))", "$out = 0\nrest = $x\nwhile rest % 2 == 0:\n    $out += 1\n    rest //= 2", tags=("trailing_zeros",), out="zeros"),
    primitive("from_binary", "bits", "nat", "the number that is written $x in binary", "int($x, 2)", "$out = 0\nfor $i in $x:\n    $out = 2 * $out + int($i)", "$out = 0\nfor place, $i in enumerate(reversed($x)):\n    if $i == '1':\n        $out += 2**place", tags=("from_binary",), out="number"),
    primitive("flip_bits", "bits", "bits", "$x with every 0 turned into 1 and every 1 into 0", "''.join('1' if $i == '0' else '0' for $i in $x)", "$out = ''\nfor $i in $x:\n    $out += '1' if $i == '0' else '0'", tags=("flip_bits",), out="flipped"),
    primitive("exclusive_or", "ints", "int", "the exclusive or (^) of all of $x, 0 if there is nothing", "reduce(lambda a, b: a ^ b, $x, 0)", "$out = 0\nfor $i in $x:\n    $out ^= $i", tags=("xor_all",), out="combined", order_blind=True),
)  # fmt: skip

DATES = family(
    "dates",
    primitive("weekday_name", "date", "text", "the English name of the weekday of $x", "date.fromisoformat($x).strftime('%A')", "names = ('Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday', 'Sunday')\n$out = names[date.fromisoformat($x).weekday()]", tags=("weekday",), out="weekday"),
    primitive("is_weekend", "date", "bool", "$x falls on a Saturday or a Sunday", "date.fromisoformat($x).weekday() >= 5", "number = date.fromisoformat($x).isoweekday()\nreturn number in (6, 7)", tags=("is_weekend",)),
    primitive("add_days", "date", "date", "the date $k days after $x", "(date.fromisoformat($x) + timedelta(days=$k)).isoformat()", "moved = date.fromisoformat($x) + timedelta(days=$k)\n$out = str(moved)", knobs={"k": DAYS}, tags=("add_days", "days_later"), out="later"),
    primitive("days_between", "date", "nat", "the number of days between $x and $other", "abs((date.fromisoformat($x) - date.fromisoformat($other)).days)", "first = date.fromisoformat($x)\nsecond = date.fromisoformat($other)\nif first > second:\n    first, second = second, first\nreturn (second - first).days", knobs={"other": OTHER_DATE}, tags=("days_between",)),
    primitive("day_of_year", "date", "nat", "the number of the day of $x within its year, where 1 January is 1", "date.fromisoformat($x).timetuple().tm_yday", "given = date.fromisoformat($x)\nreturn (given - date(given.year, 1, 1)).days + 1", tags=("day_of_year",)),
    primitive("date_parts", "date", "ints", "the year, the month and the day of $x as a list of integers", "[int(part) for part in $x.split('-')]", "list(map(int, $x.split('-')))", "$out = []\nfor part in $x.split('-'):\n    $out.append(int(part))", tags=("date_parts",), out="parts"),
    primitive("day_first", "date", "text", "$x written as day.month.year", "'.'.join(reversed($x.split('-')))", "year, month, number = $x.split('-')\nreturn f'{number}.{month}.{year}'", tags=("day_first",)),
    primitive("quarter", "date", "nat", "the quarter of the year in which $x lies, from 1 to 4", "(int($x[5:7]) + 2) // 3", "month = date.fromisoformat($x).month\nreturn (month - 1) // 3 + 1", tags=("quarter_of",)),
    primitive("is_leap_year", "year", "bool", "$x is a leap year", "$x % 4 == 0 and ($x % 100 != 0 or $x % 400 == 0)", "if $x % 400 == 0:\n    return True\nif $x % 100 == 0:\n    return False\nreturn $x % 4 == 0", tags=("is_leap_year",)),
)  # fmt: skip

CLOCKS = family(
    "clock_times",
    primitive("minutes_since_midnight", "clock", "nat", "the number of minutes from midnight to $x", "int($x[:2]) * 60 + int($x[3:])", "hours, minutes = $x.split(':')\nreturn int(hours) * 60 + int(minutes)", tags=("minutes_of_day",)),
    primitive("twelve_hours", "clock", "text", "$x in twelve-hour form followed by am or pm, the hour without a leading zero", "hour = int($x[:2])\nhalf = 'am' if hour < 12 else 'pm'\n$out = str((hour - 1) % 12 + 1) + $x[2:] + ' ' + half", tags=("to_twelve_hours",), out="shown"),
    primitive("add_minutes", "clock", "clock", "the time $k minutes after $x, on the next day if need be", "total = (int($x[:2]) * 60 + int($x[3:]) + $k) % 1440\n$out = f'{total // 60:02d}:{total % 60:02d}'", "def show(total):\n    return f'{total // 60:02d}:{total % 60:02d}'\n$out = show((int($x[:2]) * 60 + int($x[3:]) + $k) % 1440)", knobs={"k": MINUTES}, tags=("add_minutes", "later_by"), out="later"),
    primitive("is_morning", "clock", "bool", "$x is before noon", "int($x[:2]) < 12", "$x < '12:00'", tags=("is_morning",)),
    primitive("minutes_left", "clock", "nat", "the number of minutes from $x to the next midnight", "1440 - int($x[:2]) * 60 - int($x[3:])", "hours, minutes = map(int, $x.split(':'))\nreturn (23 - hours) * 60 + 60 - minutes", tags=("minutes_left",)),
    primitive("full_hour", "clock", "clock", "$x rounded down to the full hour", "$x[:2] + ':00'", "hours, _ = $x.split(':')\n$out = f'{hours}:00'", tags=("full_hour",), out="rounded"),
)  # fmt: skip

GEOMETRY = family(
    "geometry",
    primitive("distance_from_origin", "pair", "float", "the distance of the point $x from the origin, rounded to two decimals", "round(math.hypot($x[0], $x[1]), 2)", "across, up = $x\nreturn round((across * across + up * up) ** 0.5, 2)", tags=("distance_from_origin",)),
    primitive("manhattan", "pair", "nat", "the steps from $x to $other on a grid, sideways or up and down", "abs($x[0] - $other[0]) + abs($x[1] - $other[1])", "$out = 0\nfor a, b in zip($x, $other):\n    $out += abs(a - b)", knobs={"other": OTHER_POINT}, tags=("grid_distance",), out="steps"),
    primitive("mirrored", "pair", "pair", "the point $x mirrored at the vertical axis", "(-$x[0], $x[1])", "across, up = $x\nreturn (-across, up)", tags=("mirror",)),
    primitive("moved", "pair", "pair", "the point $x moved by $other", "($x[0] + $other[0], $x[1] + $other[1])", "tuple(a + b for a, b in zip($x, $other))", knobs={"other": OTHER_POINT}, tags=("move", "translate")),
    primitive("quadrant", "pair", "nat", "the quadrant of the point $x from 1 to 4, anticlockwise, or 0 if it lies on an axis", "across, up = $x\nif across == 0 or up == 0:\n    return 0\nif up > 0:\n    return 1 if across > 0 else 2\nreturn 3 if across < 0 else 4", tags=("quadrant",)),
    primitive("points_within", "pairs", "nat", "the number of points $in $x whose distance from the origin is at most $k", "sum(1 for a, b in $x if a * a + b * b <= $k * $k)", "$out = 0\nfor a, b in $x:\n    if a * a + b * b <= $k * $k:\n        $out += 1", "def is_near(point):\n    return math.hypot(point[0], point[1]) <= $k\n$out = len([$i for $i in $x if is_near($i)])", knobs={"k": RADIUS}, tags=("count_near",), out="count", order_blind=True),
    primitive("width_of_points", "pairs", "int", "the greatest minus the smallest first coordinate of $x, or 0 if there is no point", "if not $x:\n    return 0\nacross = [$i[0] for $i in $x]\nreturn max(across) - min(across)", "max($i[0] for $i in $x) - min($i[0] for $i in $x) if $x else 0", tags=("width",), order_blind=True),
    primitive("is_triangle", "triangle", "bool", "the lengths $x are the sides of a triangle: each is shorter than the other two together", "a, b, c = sorted($x)\nreturn a + b > c", "2 * max($x) < sum($x)", tags=("is_triangle",)),
    primitive("triangle_kind", "triangle", "text", "how many of $x are equal, as a word: 'all', 'two' or 'none'", "different = len(set($x))\nif different == 1:\n    return 'all'\nreturn 'two' if different == 2 else 'none'", "{1: 'all', 2: 'two', 3: 'none'}[len(set($x))]", tags=("equal_sides",)),
    primitive("is_right_angled", "triangle", "bool", "the triangle with the sides $x has a right angle", "a, b, c = sorted($x)\nreturn a * a + b * b == c * c", "2 * max($x) ** 2 == sum($i**2 for $i in $x)", tags=("is_right_angled",)),
)  # fmt: skip

STATISTICS = family(
    "statistics",
    primitive("median", "ints", "float", "the median of $x, or 0.0 if there is nothing", "if not $x:\n    return 0.0\nordered = sorted($x)\nmiddle = len(ordered) // 2\nif len(ordered) % 2 == 1:\n    return float(ordered[middle])\nreturn (ordered[middle - 1] + ordered[middle]) / 2", "float(median($x)) if $x else 0.0", tags=("middle_value", "find_median"), order_blind=True),
    primitive("variance", "ints", "float", "the variance of $x (the mean square of the distances from the mean), rounded to two decimals, or 0.0 if there is nothing", "if not $x:\n    return 0.0\nmean = sum($x) / len($x)\nreturn round(sum(($i - mean) ** 2 for $i in $x) / len($x), 2)", "if not $x:\n    return 0.0\nmean = sum($x) / len($x)\ntotal = 0\nfor $i in $x:\n    total += ($i - mean) ** 2\nreturn round(total / len($x), 2)", tags=("variance",), order_blind=True),
    primitive("mean_deviation", "ints", "float", "the mean distance of $x from their mean, rounded to two decimals, or 0.0 if there is nothing", "if not $x:\n    return 0.0\nmean = sum($x) / len($x)\nreturn round(sum(abs($i - mean) for $i in $x) / len($x), 2)", tags=("mean_deviation",), order_blind=True),
    primitive("above_mean", "ints", "ints", "the numbers $in $x that are greater than the mean of all", "[$i for $i in $x if $i * len($x) > sum($x)]", "$out = []\nfor $i in $x:\n    if $i * len($x) > sum($x):\n        $out.append($i)", tags=("above_average",), out="kept"),
    primitive("trimmed", "ints", "ints", "$x in ascending order, without one smallest and one largest", "sorted($x)[1:-1]", "$out = sorted($x)\nif $out:\n    $out.pop()\nif $out:\n    $out.pop(0)", tags=("trimmed",), out="kept", order_blind=True),
    primitive("midrange", "ints", "float", "the number halfway between the smallest and the largest of $x, or 0.0 if there is nothing", "(min($x) + max($x)) / 2 if $x else 0.0", "if not $x:\n    return 0.0\nordered = sorted($x)\nreturn (ordered[0] + ordered[-1]) / 2", tags=("midrange",), order_blind=True),
    primitive("shares", "loads", "floats_made", "the share of each of $x in their sum, in per cent, rounded to one decimal", "[round(100 * $i / sum($x), 1) for $i in $x]", "total = sum($x)\n$out = []\nfor $i in $x:\n    $out.append(round(100 * $i / total, 1))", tags=("percentages",), out="shares"),
)  # fmt: skip

LOGIC = family(
    "logic",
    primitive("count_true", "flags", "nat", ("the number of True values $in $x", "how many of $x are True"), "sum($x)", "$x.count(True)", "$out = 0\nfor $i in $x:\n    if $i:\n        $out += 1", tags=("count_true",), out="count", order_blind=True),
    primitive("all_true", "flags", "bool", "all of $x are True", "all($x)", "for $i in $x:\n    if not $i:\n        return False\nreturn True", "False not in $x", tags=("all_true",), order_blind=True),
    primitive("odd_parity", "flags", "bool", "an odd number of $x are True", "sum($x) % 2 == 1", "odd = False\nfor $i in $x:\n    odd = odd != $i\nreturn odd", tags=("has_odd_parity",), order_blind=True),
    primitive("majority", "flags", "bool", "more than half of $x are True", "2 * sum($x) > len($x)", "yes = no = 0\nfor $i in $x:\n    if $i:\n        yes += 1\n    else:\n        no += 1\nreturn yes > no", tags=("has_majority",), order_blind=True),
    primitive("negated_flags", "flags", "flags", "$x with every value turned into its opposite", "[not $i for $i in $x]", "$out = []\nfor $i in $x:\n    $out.append(not $i)", tags=("negate_all",), out="negated"),
    primitive("all_agree", "flags", "bool", "all of $x are equal", "len(set($x)) <= 1", "for $i in $x:\n    if $i != $x[0]:\n        return False\nreturn True", "all($x) or not any($x)", tags=("all_agree",), order_blind=True),
    primitive("longest_true_run", "flags", "nat", "the length of the longest run of True $in $x", "$out = 0\ncurrent = 0\nfor $i in $x:\n    current = current + 1 if $i else 0\n    $out = max($out, current)", "$out = max((len(list(run)) for key, run in groupby($x) if key), default=0)", tags=("longest_streak",), out="longest"),
    primitive("running_or", "flags", "flags", "for each position of $x whether there is a True up to there", "list(accumulate($x, lambda a, b: a or b))", "seen = False\n$out = []\nfor $i in $x:\n    seen = seen or $i\n    $out.append(seen)", tags=("seen_true",), out="answers"),
)  # fmt: skip

SET_VALUES = family(
    "set_values",
    primitive("set_of", "loads", "int_set", "the set of the numbers $in $x", "set($x)", "{$i for $i in $x}", "$out = set()\nfor $i in $x:\n    $out.add($i)", tags=("as_set",), out="members", order_blind=True),
    primitive("sorted_members", "int_set", "ints", "the members of $x in ascending order", "sorted($x)", "$out = list($x)\n$out.sort()", tags=("sorted_members",), out="ordered"),
    primitive("union_with", "int_set", "int_set", "the union of $x and $other", "$x | $other", "$x.union($other)", "$out = set($x)\nfor $i in $other:\n    $out.add($i)", knobs={"other": OTHER_SET}, tags=("union_of",), out="joined"),
    primitive("intersection_with", "int_set", "int_set", "the numbers that are in both $x and $other", "$x & $other", "{$i for $i in $x if $i in $other}", knobs={"other": OTHER_SET}, tags=("shared",), out="shared"),
    primitive("difference_with", "int_set", "int_set", "the members of $x that are not in $other", "$x - $other", "{$i for $i in $x if $i not in $other}", "$out = set()\nfor $i in $x:\n    if $i not in $other:\n        $out.add($i)", knobs={"other": OTHER_SET}, tags=("only_in_first",), out="rest"),
    primitive("in_one_only", "int_set", "int_set", "the numbers that are in exactly one of $x and $other", "$x ^ $other", "($x | $other) - ($x & $other)", knobs={"other": OTHER_SET}, tags=("in_one_only",), out="rest"),
    primitive("is_subset", "int_set", "bool", "every member of $x is in $other", "$x <= $other", "all($i in $other for $i in $x)", "for $i in $x:\n    if $i not in $other:\n        return False\nreturn True", knobs={"other": OTHER_SET}, tags=("is_part_of",)),
    primitive("is_disjoint", "int_set", "bool", "$x and $other have no member in common", "$x.isdisjoint($other)", "not $x & $other", "for $i in $x:\n    if $i in $other:\n        return False\nreturn True", knobs={"other": OTHER_SET}, tags=("is_disjoint",)),
    primitive("with_member", "int_set", "int_set", "$x with $k as a further member", "$x | {$k}", "$out = set($x)\n$out.add($k)", knobs={"k": MEMBER}, tags=("with_member",), out="grown"),
    primitive("even_members", "int_set", "int_set", "the even members of $x", "{$i for $i in $x if $i % 2 == 0}", "$out = set()\nfor $i in $x:\n    if $i % 2 == 0:\n        $out.add($i)", "set(filter(lambda $i: $i % 2 == 0, $x))", tags=("even_members",), out="kept"),
)  # fmt: skip

TUPLES = family(
    "tuples",
    primitive("swap_pair", "pair", "pair", "$x with its two members exchanged", "($x[1], $x[0])", "first, second = $x\nreturn (second, first)", "$x[::-1]", tags=("swap",)),
    primitive("pair_total", "pair", "int", "the sum of the two members of $x", "sum($x)", "$x[0] + $x[1]", "first, second = $x\nreturn first + second", tags=("pair_total",)),
    primitive("pair_larger", "pair", "int", "the larger member of $x", "max($x)", "first, second = $x\nif first > second:\n    return first\nreturn second", tags=("larger",)),
    primitive("pair_ascending", "pair", "bool", "the first member of $x is less than the second", "$x[0] < $x[1]", "first, second = $x\nreturn first < second", tags=("is_rising",)),
    primitive("pair_ordered", "pair", "pair", "$x with the smaller member first", "(min($x), max($x))", "first, second = $x\nif first > second:\n    return (second, first)\nreturn (first, second)", "tuple(sorted($x))", tags=("in_order",)),
    primitive("extremes", "ints", "pair", "a pair of the smallest and the largest of $x, or (0, 0) if there is nothing", "(min($x), max($x)) if $x else (0, 0)", "if not $x:\n    return (0, 0)\nlow = high = $x[0]\nfor $i in $x:\n    low = min(low, $i)\n    high = max(high, $i)\nreturn (low, high)", tags=("extremes",), order_blind=True),
    primitive("ends_as_pair", "ints", "pair", "a pair of the first and the last of $x, or (0, 0) if there is nothing", "($x[0], $x[-1]) if $x else (0, 0)", "if not $x:\n    return (0, 0)\nfirst, *_ = $x\n*_, last = $x\nreturn (first, last)", tags=("first_and_last",)),
    primitive("with_squares", "ints", "pairs", "a list of pairs of each number $in $x and its square", "[($i, $i * $i) for $i in $x]", "$out = []\nfor $i in $x:\n    $out.append(($i, $i * $i))", tags=("with_squares",), out="pairs"),
)  # fmt: skip

RECORDS = family(
    "records",
    primitive("names_of", "people", "words", "the names of $x, in order", "[$i['name'] for $i in $x]", "$out = []\nfor $i in $x:\n    $out.append($i['name'])", tags=("names",), out="found"),
    primitive("ages_of", "people", "ints", "the ages of $x, in order", "[$i['age'] for $i in $x]", "list(map(lambda $i: $i['age'], $x))", tags=("ages",), out="ages"),
    primitive("older_than", "people", "people", "those of $x whose age is at least $k", "[$i for $i in $x if $i['age'] >= $k]", "$out = []\nfor $i in $x:\n    if $i['age'] >= $k:\n        $out.append($i)", "list(filter(lambda $i: $i['age'] >= $k, $x))", knobs={"k": Knob(("age", "minimum", "limit"), (10, 18, 30, 65))}, tags=("at_least_aged",), out="kept"),
    primitive("oldest_name", "people", "text", "the name of the oldest of $x (the first of them if there are several), '' if there is nobody", "max($x, key=lambda $i: $i['age'])['name'] if $x else ''", "best = ''\nage = -1\nfor $i in $x:\n    if $i['age'] > age:\n        best, age = $i['name'], $i['age']\nreturn best", tags=("oldest",)),
    primitive("by_age", "people", "people", "$x sorted by age, keeping the order of ties", "sorted($x, key=lambda $i: $i['age'])", "$out = list($x)\n$out.sort(key=lambda $i: $i['age'])", tags=("sort_by_age",), out="ordered", reorders=True),
    primitive("age_table", "people", "scores", "a dictionary from the name of each of $x to the age (the last one counts where a name comes twice)", "{$i['name']: $i['age'] for $i in $x}", "$out = {}\nfor $i in $x:\n    $out[$i['name']] = $i['age']", tags=("age_table",), out="ages"),
    primitive("labels_of", "scored", "words", "the names $in $x, in order", "[name for name, _ in $x]", "$out = []\nfor name, _ in $x:\n    $out.append(name)", tags=("labels",), out="found"),
    primitive("scores_total", "scored", "int", "the sum of the numbers $in $x", "sum(number for _, number in $x)", "$out = 0\nfor _, number in $x:\n    $out += number", tags=("total_score",), out="total", order_blind=True),
    primitive("totals_by_name", "scored", "scores", "a dictionary from each name $in $x to the sum of its numbers", "$out = {}\nfor name, number in $x:\n    $out[name] = $out.get(name, 0) + number", "$out = {}\nfor name, number in $x:\n    if name not in $out:\n        $out[name] = 0\n    $out[name] += number", tags=("totals_by_name",), out="totals"),
    primitive("winners", "scored", "words", "the names $in $x whose number is the highest, in order", "[name for name, number in $x if number == max(points for _, points in $x)]", "best = max((number for _, number in $x), default=0)\n$out = []\nfor name, number in $x:\n    if number == best:\n        $out.append(name)", tags=("winners",), out="winners"),
)  # fmt: skip

POLYNOMIALS = family(
    "polynomials",
    primitive("evaluate", "coefficients", "int", "the value at $k of the polynomial $x, whose coefficients start with the constant", "sum(c * pow($k, power) for power, c in enumerate($x))", "$out = 0\nfor c in reversed($x):\n    $out = $out * $k + c", knobs={"k": POINT_AT}, tags=("evaluate", "value_at"), out="value"),
    primitive("derivative", "coefficients", "coefficients", "the coefficients of the derivative of $x ([0] for a constant)", "[power * c for power, c in enumerate($x)][1:] or [0]", "$out = []\nfor power in range(1, len($x)):\n    $out.append(power * $x[power])\nif not $out:\n    $out.append(0)", tags=("derivative",), out="slopes"),
    primitive("degree", "coefficients", "nat", "the degree of $x: the highest power whose coefficient is not 0, or 0 if there is none", "max((power for power, c in enumerate($x) if c != 0), default=0)", "for power in range(len($x) - 1, 0, -1):\n    if $x[power] != 0:\n        return power\nreturn 0", tags=("degree",)),
    primitive("sum_of_polynomials", "coefficients", "coefficients", "the coefficients of the sum of the polynomials $x and $other", "longer, shorter = ($x, $other) if len($x) >= len($other) else ($other, $x)\n$out = list(longer)\nfor place, c in enumerate(shorter):\n    $out[place] += c", "$out = []\nfor place in range(max(len($x), len($other))):\n    first = $x[place] if place < len($x) else 0\n    second = $other[place] if place < len($other) else 0\n    $out.append(first + second)", knobs={"other": OTHER_TERMS}, tags=("add_polynomials",), out="total"),
    primitive("product_of_polynomials", "coefficients", "coefficients", "the coefficients of the product of the polynomials $x and $other", "$out = [0] * (len($x) + len($other) - 1)\nfor place, a in enumerate($x):\n    for shift, b in enumerate($other):\n        $out[place + shift] += a * b", knobs={"other": OTHER_TERMS}, tags=("multiply_polynomials",), out="product"),
    primitive("times_variable", "coefficients", "coefficients", "the coefficients of $x multiplied by the variable", "[0, *$x]", "$out = list($x)\n$out.insert(0, 0)", tags=("times_variable",), out="raised"),
)  # fmt: skip

DECIMALS = family(
    "decimals",
    primitive("floor_of", "float", "int", "the largest integer that is not greater than $x", "math.floor($x)", "$out = int($x)\nif $out > $x:\n    $out -= 1", tags=("round_down",), out="whole"),
    primitive("ceiling_of", "float", "int", "the smallest integer that is not less than $x", "math.ceil($x)", "-math.floor(-$x)", "$out = int($x)\nif $out < $x:\n    $out += 1", tags=("round_up_to_whole",), out="whole"),
    primitive("half_up", "float", "int", "$x rounded to the nearest integer, halves rounded up", "math.floor($x + 0.5)", "whole = math.floor($x)\nif $x - whole >= 0.5:\n    return whole + 1\nreturn whole", tags=("round_half_up",)),
    primitive("fraction_part", "float", "float", "what $x is above the largest integer not greater than it", "$x - math.floor($x)", "$x % 1", tags=("fraction_part",)),
    primitive("is_whole", "float", "bool", "$x is a whole number", "$x.is_integer()", "$x == int($x)", "$x % 1 == 0", tags=("is_whole",)),
    primitive("in_cents", "float", "int", "$x euros in cents", "int($x * 100)", "euros = int($x)\nreturn euros * 100 + int(($x - euros) * 100)", tags=("in_cents",)),
    primitive("changed_by_percent", "float", "float", "$x changed by $k per cent, rounded to two decimals", "round($x * (100 + $k) / 100, 2)", "change = $x * $k / 100\nreturn round($x + change, 2)", knobs={"k": PERCENT}, tags=("change_by_percent",)),
    primitive("between_zero_and_one", "float", "float", "$x, but at least 0.0 and at most 1.0", "max(0.0, min(1.0, $x))", "if $x < 0.0:\n    return 0.0\nif $x > 1.0:\n    return 1.0\nreturn $x", tags=("limit_to_unit",), outcomes=2),
)  # fmt: skip

NUMERALS = family(
    "numerals",
    primitive("to_roman", "positive", "text", "$x as a Roman numeral", "signs = ((90, 'XC'), (50, 'L'), (40, 'XL'), (10, 'X'), (9, 'IX'), (5, 'V'), (4, 'IV'), (1, 'I'))\n$out = ''\nrest = $x\nfor value, sign in signs:\n    while rest >= value:\n        $out += sign\n        rest -= value", tags=("to_roman",), out="numeral"),
    primitive("from_roman", "roman", "nat", "the number that the Roman numeral $x stands for", "values = {'I': 1, 'V': 5, 'X': 10, 'L': 50, 'C': 100, 'D': 500, 'M': 1000}\n$out = 0\nlast = 0\nfor $i in reversed($x):\n    value = values[$i]\n    if value < last:\n        $out -= value\n    else:\n        $out += value\n        last = value", tags=("from_roman",), out="number"),
    primitive("digit_words", "nat", "words", "the English words for the digits of $x, from 'zero' to 'nine'", "names = ('zero', 'one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight', 'nine')\n$out = [names[int(digit)] for digit in str($x)]", tags=("digit_words", "spell_digits"), out="spelled"),
    primitive("ordinal", "nat", "text", "$x as an English ordinal such as 1st, 2nd, 3rd, 4th or 11th", "if 10 <= $x % 100 <= 13:\n    return f'{$x}th'\nending = {1: 'st', 2: 'nd', 3: 'rd'}.get($x % 10, 'th')\nreturn f'{$x}{ending}'", tags=("as_ordinal",)),
    primitive("in_base", "positive", "text", "$x written in base $k", "$out = ''\nrest = $x\nwhile rest > 0:\n    $out = str(rest % $k) + $out\n    rest //= $k", knobs={"k": BASE}, tags=("to_base",), out="written"),
    primitive("hexadecimal", "nat", "text", "$x written in hexadecimal with small letters, without a prefix", "format($x, 'x')", "hex($x)[2:]", tags=("to_hexadecimal",)),
    primitive("thousands", "nat", "text", "$x times 1000, with commas between groups of three digits", "format($x * 1000, ',')", "f'{$x * 1000:,}'", tags=("in_thousands",)),
    primitive("is_number_palindrome", "nat", "bool", "$x reads the same from left and right", "str($x) == str($x)[::-1]", "rest, turned = $x, 0\nwhile rest > 0:\n    turned = 10 * turned + rest % 10\n    rest //= 10\nreturn turned == $x", tags=("reads_both_ways",)),
)  # fmt: skip

VALUES: tuple[Primitive, ...] = (*BITS, *DATES, *CLOCKS, *GEOMETRY, *STATISTICS, *LOGIC, *SET_VALUES, *TUPLES, *RECORDS, *POLYNOMIALS, *DECIMALS, *NUMERALS)  # fmt: skip
