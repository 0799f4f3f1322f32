# ruff: noqa: E501  (a table: one entry a line)
"""What a textbook says of each family: its title, the idea, good habits, and a rule to remember."""

from __future__ import annotations

from typing import NamedTuple


class Lesson(NamedTuple):
    """Prose on a family of primitives."""

    title: str
    ideas: tuple[str, ...]
    habits: tuple[str, ...]
    rule: str


LESSONS: dict[str, Lesson] = {
    "filter": Lesson("Filtering", ("Filtering means keeping some items and leaving out the rest. The order stays as it was; only the length may shrink.", "To filter is to ask the same yes-or-no question of every item and to keep those that answer yes."), ("A new list is built; the given one is not touched. Removing items from a list while walking through it skips elements, so we do not.",), "a filter never changes an item, it only decides whether the item stays."),
    "count": Lesson("Counting", ("Counting needs one number that starts at zero and grows by one whenever an item fits.",), ("There is no need to build a list when only its length is wanted: the sum of ones does it as well.",), "start the counter at 0 before the loop, and count inside it."),
    "quantify": Lesson("All and any", ("Some questions are about a whole list: does every item fit, or at least one? The answer is a single boolean.",), ("As soon as the answer is known, the loop can stop. For an empty list, `all` is True and `any` is False: there is no item that breaks the rule, and none that fits it.",), "one counter-example decides `all`, one example decides `any`."),
    "search": Lesson("Searching", ("A search walks through the items until it meets one that fits, and stops there.",), ("Decide what to return when nothing is found, and say it in the docstring.",), "return inside the loop when found, after the loop when not."),
    "positions": Lesson("Positions", ("Sometimes we want to know where an item is, not what it is. Indices count from 0.",), ("`enumerate` gives the index and the item together, so that no counter has to be kept by hand.",), "`for index, item in enumerate(items)` is the way to see both."),
    "partition": Lesson("Partition", ("A partition deals every item into one of two lists, like sorting letters into two trays.",), ("Every item lands in exactly one list, so the two lengths add up to the length of the input.",), "one test, two lists, nothing lost."),
    "prefix": Lesson("The start of a list", ("Here we take items from the start for as long as they fit, and stop at the first that does not.",), ("`break` leaves the loop at once; later items are not looked at, even if they would fit.",), "`break` ends the loop, `continue` only the present turn."),
    "map": Lesson("Changing every item", ("To map is to do the same to every item. The result has as many items as the input, in the same order.",), ("A comprehension says what is made of each item in one line. The loop says the same step by step.",), "one item in, one item out."),
    "fold": Lesson("Reducing to one value", ("A whole list can be reduced to a single value by an accumulator that takes in one item after the other.",), ("Choose the start with care: 0 for a sum, 1 for a product, '' for text. It is also the answer for an empty list.",), "the accumulator's start is the answer for no items at all."),
    "sort": Lesson("Sorting", ("Sorting puts items in order. A key function says by which property they are compared.",), ("`sorted` returns a new list and leaves the old one as it was; `list.sort` changes the list itself and returns None. Python's sort is stable: ties keep their order.",), "use `key=` to say what to compare."),
    "slices": Lesson("Slices", ("A slice `items[start:stop:step]` cuts a piece out of a list. It includes the start and excludes the stop.",), ("A slice never raises an error, even when it reaches beyond the end: it is simply shorter.",), "slices copy; the original stays whole."),
    "windows": Lesson("Neighbours and windows", ("Many questions concern neighbours: how does each item differ from the one before? A window of fixed width moves along the list.",), ("A list of n items has n - 1 neighbouring pairs and n - k + 1 windows of width k. Counting these first prevents errors by one.",), "`zip(items, items[1:])` pairs every item with the next."),
    "prefix_sums": Lesson("Running totals", ("A running total remembers, at each position, the result for everything up to there.",), ("Keep the total in one variable and append it after each item, instead of adding everything up again each time.",), "each running total is the one before plus one item."),
    "group": Lesson("Grouping", ("To group is to put items that share a property into the same list, and to find that list by the property.",), ("`setdefault` gives the list of a key and creates an empty one at its first use.",), "a dictionary of lists is the natural shape for groups."),
    "tally": Lesson("Frequencies", ("A tally tells how often each value occurs. A dictionary holds one counter for each value.",), ("`counts.get(key, 0)` treats a missing key as zero.",), "look up, add one, store back."),
    "sets": Lesson("Sets and repetitions", ("A set holds each value once and answers quickly whether a value is in it.",), ("A set has no order. When the order matters, keep a list for the result and a set for what was seen.",), "sets for membership, lists for order."),
    "two_pointers": Lesson("Two positions", ("Two indices that move through the data, from both ends or through two lists, often replace nested loops.",), ("Make sure that each turn of the loop moves at least one index, or it will never end.",), "every turn must bring the two pointers nearer to the end."),
    "matrices": Lesson("Rows and columns", ("A matrix is a list of rows, and each row is a list. `matrix[i][j]` is the element in row i and column j.",), ("`zip(*matrix)` walks over the columns: the star passes every row as an argument of its own.",), "the first index is the row, the second is the column."),
    "intervals": Lesson("Intervals", ("An interval has a start and an end. Most tasks become easy once the intervals are sorted by their starts.",), ("Say whether the end belongs to the interval: many errors come from leaving it open.",), "sort first, then look at neighbours."),
    "dicts": Lesson("Dictionaries", ("A dictionary maps keys to values. `items()` walks over both at once, in the order of insertion.",), ("Asking for a missing key with square brackets is an error; `get` returns a default instead.",), "keys are unique, values need not be."),
    "text_building": Lesson("Building text", ("Strings cannot be changed in place. A new string is built, character by character or by joining parts.",), ("For many parts, collect them and join them once.",), "strings are immutable: every change makes a new one."),
    "codes": Lesson("Encoding text", ("Text can be written in code: characters become numbers, letters are shifted, runs are counted.",), ("`ord` gives a character's number, `chr` goes back.",), "`chr(ord(c)) == c` for every character."),
    "text_parsing": Lesson("Reading text", ("Parsing takes a string apart and turns its pieces into values.",), ("`split()` without an argument splits at any white space and never returns empty words; `split(',')` splits at every comma.",), "split first, convert afterwards."),
    "digits": Lesson("Digits", ("The digits of a number can be reached by arithmetic, `n % 10` and `n // 10`, or by way of its text.",), ("Do not forget zero: its text is '0', but a loop `while n > 0` does not run at all for it.",), "`% 10` is the last digit, `// 10` is the rest."),
    "number_theory": Lesson("Whole numbers", ("Divisors, primes and multiples all come from one question: does the division leave a remainder?",), ("To test for primes, it is enough to try divisors up to the square root.",), "`a % b == 0` means that b divides a."),
    "recursion": Lesson("Recursion", ("A recursive function calls itself on a smaller problem until the problem is so small that the answer is plain.",), ("Write the base case first. Without it the function never ends.",), "a base case, and a step that comes nearer to it."),
    "conversion": Lesson("Conversion", ("Converting a value means writing it in another unit or form without changing what it means.",), ("Integer division `//` and remainder `%` belong together: `divmod` gives both.",), "name the unit of every number."),
    "simulation": Lesson("Simulation", ("A simulation keeps a state and changes it for each event, by simple rules.",), ("First write down what the state is; then each event is one branch.",), "state, events, rules: in this order."),
}  # fmt: skip
