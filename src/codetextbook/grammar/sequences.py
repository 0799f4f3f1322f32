# ruff: noqa: E501  (a table: one entry a line)
"""Primitives over lists: order, slices, windows, prefix sums, grouping, sets, pairs of positions, matrices, intervals, dictionaries."""

from __future__ import annotations

from codetextbook.grammar.primitive import Knob, Primitive, family, for_kinds, primitive

LISTS = {"ints": "numbers", "words": "strings"}
COUNT = Knob(("n", "count", "size"), (1, 2, 3, 4))
WIDTH = Knob(("width", "size", "k"), (2, 3, 4))
OTHER_INTS = Knob(
    ("other", "second", "others"), ([], [1, 2], [3, 4, 7], [0, 5, 5, -3], [9, 1, 2, 4]), "list[int]", constant=False
)
TARGET = Knob(("target", "goal", "wanted"), (3, 5, 0, 10, 7))
POINT = Knob(("point", "time", "moment"), (2, 5, 8, 0))

SORT = family(
    "sort",
    *for_kinds(LISTS, primitive("ascending", "ints", "same", ("$x in ascending order", "the elements of $x, sorted"), "sorted($x)", "$out = list($x)\n$out.sort()", tags=("sort", "sorted"), out="ordered", reorders=True)),
    *for_kinds(LISTS, primitive("descending", "ints", "same", "$x in descending order", "sorted($x, reverse=True)", "$out = list($x)\n$out.sort(reverse=True)", tags=("sort_descending",), out="ordered", reorders=True)),
    primitive("by_absolute", "ints", "ints", "$x sorted by absolute value, keeping the order of ties", "sorted($x, key=abs)", "$out = list($x)\n$out.sort(key=abs)", tags=("sort_by_absolute",), out="ordered", reorders=True),
    primitive("by_last_digit", "ints", "ints", "$x sorted by last digit, keeping the order of ties", "sorted($x, key=lambda $i: abs($i) % 10)", tags=("sort_by_last_digit",), out="ordered", reorders=True),
    primitive("by_length", "words", "words", "$x sorted by length, keeping the order of ties", "sorted($x, key=len)", "$out = list($x)\n$out.sort(key=len)", tags=("sort_by_length",), out="ordered", reorders=True),
    primitive("by_length_then_name", "words", "words", "$x sorted by length, and alphabetically where lengths are equal", "sorted($x, key=lambda $i: (len($i), $i))", tags=("sort_by_length_and_name",), out="ordered", reorders=True),
    primitive("by_second", "pairs", "pairs", "$x sorted by the second member of each pair, keeping the order of ties", "sorted($x, key=lambda $i: $i[1])", tags=("sort_by_second",), out="ordered", reorders=True),
    primitive("is_sorted", "ints", "bool", "$x is in ascending order (equal neighbours are allowed)", "all(a <= b for a, b in zip($x, $x[1:]))", "for index in range(len($x) - 1):\n    if $x[index] > $x[index + 1]:\n        return False\nreturn True"),
)  # fmt: skip

SLICES = family(
    "slices",
    *for_kinds(LISTS, primitive("first_few", "ints", "same", "the first $k elements of $x (all of them if there are fewer)", "$x[:$k]", knobs={"k": COUNT}, tags=("first_few", "take"))),
    *for_kinds(LISTS, primitive("without_first", "ints", "same", "$x without its first $k elements", "$x[$k:]", knobs={"k": COUNT}, tags=("skip", "without_first"))),
    *for_kinds(LISTS, primitive("reverse", "ints", "same", "$x in reverse order", "$x[::-1]", "list(reversed($x))", "$out = []\nfor $i in $x:\n    $out.insert(0, $i)", tags=("reverse", "backwards"), out="backwards", reorders=True)),
    *for_kinds(LISTS, primitive("every_other", "ints", "same", "every second element of $x, starting with the first", "$x[::2]", "[$i for index, $i in enumerate($x) if index % 2 == 0]", "$out = []\nfor index in range(0, len($x), 2):\n    $out.append($x[index])", tags=("every_other",))),
    *for_kinds(LISTS, primitive("rotate", "ints", "same", "$x with its first element moved to the end", "$x[1:] + $x[:1]", "if not $x:\n    return []\nreturn $x[1:] + [$x[0]]", tags=("rotate_left",), reorders=True)),
    *for_kinds(LISTS, primitive("swap_ends", "ints", "same", "$x with its first and last elements exchanged", "$out = list($x)\nif len($out) > 1:\n    $out[0], $out[-1] = $out[-1], $out[0]", tags=("swap_ends",), reorders=True)),
    primitive("chunk", "ints", "nested", "the consecutive chunks of $x of length $k (the last may be shorter)", "[$x[start : start + $k] for start in range(0, len($x), $k)]", "$out = []\nfor start in range(0, len($x), $k):\n    $out.append($x[start : start + $k])", knobs={"k": WIDTH}, tags=("chunks",), out="chunks"),
)  # fmt: skip

WINDOWS = family(
    "windows",
    primitive("differences", "ints", "ints", "the differences between neighbours $in $x (each minus the one before)", "[b - a for a, b in zip($x, $x[1:])]", "$out = []\nfor index in range(1, len($x)):\n    $out.append($x[index] - $x[index - 1])", tags=("differences",), out="differences"),
    primitive("neighbour_sums", "ints", "ints", "the sums of neighbouring pairs $in $x", "[a + b for a, b in zip($x, $x[1:])]", "$out = []\nfor index in range(len($x) - 1):\n    $out.append($x[index] + $x[index + 1])", tags=("neighbour_sums",), out="sums"),
    primitive("window_sums", "ints", "ints", "the sums of all windows of $k consecutive elements of $x", "[sum($x[start : start + $k]) for start in range(len($x) - $k + 1)]", "$out = []\nfor start in range(len($x) - $k + 1):\n    $out.append(sum($x[start : start + $k]))", knobs={"k": WIDTH}, tags=("window_sums", "moving_sums"), out="sums"),
    primitive("window_maxima", "ints", "ints", "the largest element of each window of $k consecutive elements of $x", "[max($x[start : start + $k]) for start in range(len($x) - $k + 1)]", knobs={"k": WIDTH}, tags=("window_maxima",), out="maxima"),
    primitive("rises", "ints", "nat", "the number of elements $in $x that are greater than the one before", "sum(1 for a, b in zip($x, $x[1:]) if b > a)", "$out = 0\nfor index in range(1, len($x)):\n    if $x[index] > $x[index - 1]:\n        $out += 1", tags=("count_rises",), out="count"),
    primitive("longest_run", "ints", "nat", "the length of the longest run of equal neighbours $in $x", "$out = 0\ncurrent = 0\nprevious = None\nfor $i in $x:\n    current = current + 1 if $i == previous else 1\n    $out = max($out, current)\n    previous = $i", tags=("longest_run",), out="longest"),
    primitive("peaks", "ints", "ints", "the elements of $x that are greater than both their neighbours", "[$x[index] for index in range(1, len($x) - 1) if $x[index - 1] < $x[index] > $x[index + 1]]", "$out = []\nfor index in range(1, len($x) - 1):\n    if $x[index] > $x[index - 1] and $x[index] > $x[index + 1]:\n        $out.append($x[index])", tags=("peaks",), out="peaks"),
    primitive("neighbour_pairs", "ints", "pairs", "the pairs of each element of $x and the one after it", "list(zip($x, $x[1:]))", "[($x[k], $x[k + 1]) for k in range(len($x) - 1)]", "$out = []\nfor k in range(1, len($x)):\n    $out.append(($x[k - 1], $x[k]))", tags=("neighbour_pairs",), out="pairs"),
    primitive("rises_total", "ints", "nat", "the sum of all rises from one element of $x to the next", "sum(max(0, b - a) for a, b in zip($x, $x[1:]))", "$out = 0\nfor place in range(1, len($x)):\n    if $x[place] > $x[place - 1]:\n        $out += $x[place] - $x[place - 1]", tags=("total_rise",), out="total"),
)  # fmt: skip

PREFIX_SUMS = family(
    "prefix_sums",
    primitive("running_sums", "ints", "ints", ("the running sums of $x", "the cumulative sums of $x"), "list(accumulate($x))", "$out = []\ntotal = 0\nfor $i in $x:\n    total += $i\n    $out.append(total)", tags=("running_sums", "cumulative_sums"), out="sums"),
    primitive("running_maxima", "ints", "ints", "the largest value seen so far at each position of $x", "list(accumulate($x, max))", "$out = []\nfor $i in $x:\n    if not $out or $i > $out[-1]:\n        $out.append($i)\n    else:\n        $out.append($out[-1])", tags=("running_maxima",), out="maxima"),
    primitive("running_products", "ints", "ints", "the running products of $x", "$out = []\nproduct = 1\nfor $i in $x:\n    product *= $i\n    $out.append(product)", tags=("running_products",), out="products"),
    primitive("lowest_prefix", "ints", "int", "the lowest running sum of $x, or 0 if none is below 0", "$out = 0\ntotal = 0\nfor $i in $x:\n    total += $i\n    $out = min($out, total)", tags=("lowest_total",), out="lowest"),
    primitive("suffix_sums", "ints", "ints", "the sum of all elements from each position of $x to its end", "[sum($x[start:]) for start in range(len($x))]", "$out = []\ntotal = 0\nfor $i in reversed($x):\n    total += $i\n    $out.insert(0, total)", tags=("suffix_sums",), out="sums"),
)  # fmt: skip

GROUP = family(
    "group",
    primitive("group_by_length", "words", "words_by_int", "a dictionary from each length to the strings $in $x of that length, in their order", "$out = {}\nfor $i in $x:\n    $out.setdefault(len($i), []).append($i)", "$out = {}\nfor $i in $x:\n    if len($i) not in $out:\n        $out[len($i)] = []\n    $out[len($i)].append($i)", out="groups"),
    primitive("group_by_initial", "words", "words_by_text", "a dictionary from each first letter to the non-empty strings $in $x that start with it", "$out = {}\nfor $i in $x:\n    if $i:\n        $out.setdefault($i[0], []).append($i)", out="groups"),
    primitive("group_by_remainder", "ints", "groups_by_int", "a dictionary from each remainder after division by $k to the numbers $in $x that have it", "$out = {}\nfor $i in $x:\n    $out.setdefault($i % $k, []).append($i)", knobs={"k": WIDTH}, out="groups"),
    primitive("group_equal", "ints", "nested", "the runs of equal neighbours $in $x, each as a list", "$out = []\nfor $i in $x:\n    if $out and $out[-1][-1] == $i:\n        $out[-1].append($i)\n    else:\n        $out.append([$i])", tags=("runs",), out="runs"),
)  # fmt: skip

TALLY = family(
    "tally",
    primitive("tally_ints", "ints", "tally_of_ints", ("a dictionary from each number $in $x to how often it occurs",), "$out = {}\nfor $i in $x:\n    $out[$i] = $out.get($i, 0) + 1", "dict(Counter($x))", tags=("tally", "frequencies"), out="counts"),
    primitive("tally_words", "words", "scores", ("a dictionary from each string $in $x to how often it occurs",), "$out = {}\nfor $i in $x:\n    $out[$i] = $out.get($i, 0) + 1", "dict(Counter($x))", "$out = {}\nfor $i in $x:\n    if $i in $out:\n        $out[$i] += 1\n    else:\n        $out[$i] = 1", tags=("tally", "frequencies"), out="counts"),
    primitive("tally_text", "text", "scores", ("a dictionary from each character $in $x to how often it occurs",), "$out = {}\nfor $i in $x:\n    $out[$i] = $out.get($i, 0) + 1", "dict(Counter($x))", tags=("count_characters",), out="counts"),
    *for_kinds(LISTS, primitive("singles", "ints", "same", "the elements that occur exactly once $in $x", "[$i for $i in $x if $x.count($i) == 1]", "counts = Counter($x)\n$out = [$i for $i in $x if counts[$i] == 1]", tags=("singles",), out="singles")),
    primitive("most_common_int", "ints", "optional_int", "the number that occurs most often $in $x (the smallest of them if there are several), or None if there is none", "if not $x:\n    return None\nreturn max(sorted(set($x)), key=$x.count)", "best = None\nfor $i in sorted(set($x)):\n    if best is None or $x.count($i) > $x.count(best):\n        best = $i\nreturn best", tags=("most_common", "mode"), order_blind=True),
    primitive("has_duplicates", "ints", "bool", "some number occurs more than once $in $x", "len(set($x)) < len($x)", "seen = set()\nfor $i in $x:\n    if $i in seen:\n        return True\n    seen.add($i)\nreturn False", order_blind=True),
)  # fmt: skip

SETS = family(
    "sets",
    *for_kinds(LISTS, primitive("unique", "ints", "same", "$x without repetitions, in the order of first appearance", "list(dict.fromkeys($x))", "$out = []\nfor $i in $x:\n    if $i not in $out:\n        $out.append($i)", "seen = set()\n$out = []\nfor $i in $x:\n    if $i not in seen:\n        seen.add($i)\n        $out.append($i)", tags=("unique", "without_repetitions"), out="unique")),
    primitive("common", "ints", "ints", "the numbers $in $x that are also in $other", "[$i for $i in $x if $i in $other]", "$out = []\nfor $i in $x:\n    if $i in $other:\n        $out.append($i)", knobs={"other": OTHER_INTS}, tags=("common_numbers",), out="common"),
    primitive("missing", "ints", "ints", "the numbers $in $x that are not in $other", "[$i for $i in $x if $i not in $other]", "$out = []\nfor $i in $x:\n    if $i not in $other:\n        $out.append($i)", knobs={"other": OTHER_INTS}, tags=("difference",), out="missing"),
    primitive("union", "ints", "ints", "all different numbers of $x and $other, in ascending order", "sorted(set($x) | set($other))", "$out = []\nfor $i in $x + $other:\n    if $i not in $out:\n        $out.append($i)\n$out.sort()", knobs={"other": OTHER_INTS}, tags=("union",), out="union"),
    primitive("distinct", "ints", "nat", "the number of different values $in $x", "len(set($x))", "seen = []\n$out = 0\nfor $i in $x:\n    if $i not in seen:\n        seen.append($i)\n        $out += 1", tags=("count_distinct",), out="count", order_blind=True),
)  # fmt: skip

TWO_POINTERS = family(
    "two_pointers",
    primitive("merge_sorted", "ints", "ints", "one ascending list of the elements of $x and $other, after sorting both", "first, second = sorted($x), sorted($other)\n$out = []\ni = j = 0\nwhile i < len(first) and j < len(second):\n    if first[i] <= second[j]:\n        $out.append(first[i])\n        i += 1\n    else:\n        $out.append(second[j])\n        j += 1\n$out += first[i:] + second[j:]", knobs={"other": OTHER_INTS}, tags=("merge",), out="merged"),
    primitive("pair_with_sum", "ints", "bool", "two elements at different positions of $x add up to $k", "for i in range(len($x)):\n    for j in range(i + 1, len($x)):\n        if $x[i] + $x[j] == $k:\n            return True\nreturn False", "seen = set()\nfor $i in $x:\n    if $k - $i in seen:\n        return True\n    seen.add($i)\nreturn False", knobs={"k": TARGET}, tags=("has_pair_with_sum",), order_blind=True),
    primitive("symmetric", "ints", "bool", "$x reads the same from both ends", "$x == $x[::-1]", "left, right = 0, len($x) - 1\nwhile left < right:\n    if $x[left] != $x[right]:\n        return False\n    left += 1\n    right -= 1\nreturn True", tags=("is_symmetric",)),
    primitive("fold_ends", "ints", "ints", "the sums of the first and last, second and second-last elements of $x, and so on (a middle element stays alone)", "$out = []\nleft, right = 0, len($x) - 1\nwhile left < right:\n    $out.append($x[left] + $x[right])\n    left += 1\n    right -= 1\nif left == right:\n    $out.append($x[left])", tags=("fold_ends",), out="sums"),
    primitive("interleave", "ints", "ints", "the elements of $x and $other in turn, followed by what is left of the longer one", "$out = []\nfor index in range(max(len($x), len($other))):\n    if index < len($x):\n        $out.append($x[index])\n    if index < len($other):\n        $out.append($other[index])", knobs={"other": OTHER_INTS}, tags=("interleave",), out="mixed"),
)  # fmt: skip

MATRICES = family(
    "matrices",
    primitive("transpose", "matrix", "matrix", "the transpose of $x", "[list(column) for column in zip(*$x)]", "$out = []\nfor column in range(len($x[0])):\n    $out.append([$i[column] for $i in $x])", tags=("transpose",), out="columns"),
    primitive("row_maxima", "matrix", "ints", "the largest element of each row of $x", "[max($i) for $i in $x]", "$out = []\nfor $i in $x:\n    $out.append(max($i))", tags=("row_maxima",), out="maxima"),
    primitive("column_sums", "matrix", "ints", "the sums of the columns of $x", "[sum(column) for column in zip(*$x)]", "$out = [0] * len($x[0])\nfor $i in $x:\n    for index, value in enumerate($i):\n        $out[index] += value", tags=("column_sums",), out="sums"),
    primitive("diagonal", "square", "ints", "the main diagonal of $x", "[$x[index][index] for index in range(len($x))]", "$out = []\nfor index in range(len($x)):\n    $out.append($x[index][index])", tags=("diagonal",), out="diagonal"),
    primitive("flatten", "nested", "ints", "all the numbers of the lists in $x, in order", "[value for $i in $x for value in $i]", "$out = []\nfor $i in $x:\n    $out.extend($i)", "$out = []\nfor $i in $x:\n    for value in $i:\n        $out.append(value)", tags=("flatten",), out="flat"),
    primitive("rotate_matrix", "matrix", "matrix", "$x turned clockwise by a quarter", "[list(column) for column in zip(*$x[::-1])]", "$out = []\nfor column in range(len($x[0])):\n    $out.append([$i[column] for $i in reversed($x)])", tags=("rotate_right",), out="turned"),
    primitive("scale_matrix", "matrix", "matrix", "$x with every element multiplied by $k", "[[$k * value for value in $i] for $i in $x]", "$out = []\nfor $i in $x:\n    $out.append([$k * value for value in $i])", knobs={"k": Knob(("factor", "k"), (2, 3, -1, 10))}, tags=("scale",), out="scaled"),
)  # fmt: skip

INTERVALS = family(
    "intervals",
    primitive("interval_lengths", "intervals", "ints", "the lengths of $x", "[end - start for start, end in $x]", "$out = []\nfor start, end in $x:\n    $out.append(end - start)", tags=("lengths",), out="lengths"),
    primitive("merge_intervals", "intervals", "intervals", "$x with those that overlap or touch merged, in ascending order", "$out = []\nfor start, end in sorted($x):\n    if $out and start <= $out[-1][1]:\n        $out[-1] = ($out[-1][0], max($out[-1][1], end))\n    else:\n        $out.append((start, end))", tags=("merge_overlapping",), out="merged"),
    primitive("containing_point", "intervals", "intervals", "the intervals $in $x that contain $k (start included, end not)", "[(start, end) for start, end in $x if start <= $k < end]", "$out = []\nfor start, end in $x:\n    if start <= $k < end:\n        $out.append((start, end))", knobs={"k": POINT}, tags=("intervals_at",), out="found"),
    primitive("any_overlap", "intervals", "bool", "two of $x overlap (touching is no overlap)", "ordered = sorted($x)\nfor first, second in zip(ordered, ordered[1:]):\n    if second[0] < first[1]:\n        return True\nreturn False", tags=("has_overlap",)),
    primitive("gaps", "intervals", "intervals", "the gaps between $x, in ascending order", "$out = []\nreached = None\nfor start, end in sorted($x):\n    if reached is not None and start > reached:\n        $out.append((reached, start))\n    reached = end if reached is None else max(reached, end)", tags=("gaps",), out="gaps"),
)  # fmt: skip

DICTS = family(
    "dicts",
    primitive("values_of", "scores", "ints", "the values of $x, in order", "list($x.values())", "$out = []\nfor key in $x:\n    $out.append($x[key])", tags=("values",), out="found"),
    primitive("sorted_keys", "scores", "words", "the keys of $x in alphabetical order", "sorted($x)", "sorted($x.keys())", "$out = list($x)\n$out.sort()", tags=("sorted_keys",), out="keys"),
    primitive("keys_above", "scores", "words", "the keys of $x whose value is greater than $k", "[key for key, value in $x.items() if value > $k]", "$out = []\nfor key, value in $x.items():\n    if value > $k:\n        $out.append(key)", knobs={"k": Knob(("limit", "minimum", "threshold"), (0, 1, 3, 5, 10))}, tags=("keys_above",), out="keys"),
    primitive("invert", "scores", "keys_by_int", "a dictionary from the values of $x to their keys (the last key wins)", "{value: key for key, value in $x.items()}", "$out = {}\nfor key, value in $x.items():\n    $out[value] = key", tags=("invert",), out="inverted"),
    primitive("doubled_values", "scores", "scores", "$x with every value doubled", "{key: 2 * value for key, value in $x.items()}", "$out = {}\nfor key, value in $x.items():\n    $out[key] = 2 * value", tags=("double_values",), out="doubled"),
    primitive("positive_entries", "scores", "scores", "$x without the entries whose value is not positive", "{key: value for key, value in $x.items() if value > 0}", "$out = {}\nfor key, value in $x.items():\n    if value > 0:\n        $out[key] = value", tags=("positive_entries",), out="kept"),
    primitive("best_key", "scores", "optional_text", "the key of the largest value of $x (the first one if there are several), or None if $x is empty", "max($x, key=$x.get) if $x else None", "best = None\nfor key, value in $x.items():\n    if best is None or value > $x[best]:\n        best = key\nreturn best", tags=("best_key",)),
    primitive("lookup", "scores", "int", "the value of the key $k in $x, or 0 if there is no such key", "$x.get($k, 0)", "if $k in $x:\n    return $x[$k]\nreturn 0", knobs={"k": Knob(("key", "name"), ("a", "b", "apple", "river"), "str")}, tags=("lookup", "value_of")),
    primitive("ranking", "scores", "scored", "the (key, value) pairs of $x from the largest value to the smallest, keeping the order of ties", "sorted($x.items(), key=lambda entry: entry[1], reverse=True)", "$out = list($x.items())\n$out.sort(key=lambda entry: -entry[1])", tags=("ranking",)),
    primitive("lengths_by_word", "words", "scores", "a dictionary from each string $in $x to its length", "{$i: len($i) for $i in $x}", "$out = {}\nfor $i in $x:\n    $out[$i] = len($i)", tags=("length_table",), out="lengths"),
)  # fmt: skip

SEQUENCES: tuple[Primitive, ...] = (*SORT, *SLICES, *WINDOWS, *PREFIX_SUMS, *GROUP, *TALLY, *SETS, *TWO_POINTERS, *MATRICES, *INTERVALS, *DICTS)  # fmt: skip
