"""docs/features.md has a row for each behaviour, and the tests that it names exist."""

import re

import pytest

from tree import ROOT, files

GROUPS = {"S": 5, "L": 11, "V": 11, "X": 4, "A": 7, "E": 5}
BEHAVIOURS = [f"{letter}{number}" for letter, count in GROUPS.items()
              for number in range(1, count + 1)]


def rows() -> dict[str, list[str]]:
    """The cells of each row, by the behaviour's id."""
    found: dict[str, list[str]] = {}
    for line in (ROOT / "docs/features.md").read_text().splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if line.startswith("|") and re.fullmatch(r"[A-Z]\d+", cells[0]):
            assert cells[0] not in found, f"{cells[0]} has two rows"
            found[cells[0]] = cells
    return found


def unit_tests() -> set[str]:
    macro = re.compile(r"\b(?:TEST|TEST_F|TEST_P|RC_GTEST_PROP|RC_GTEST_FIXTURE_PROP)\(\s*"
                       r"(\w+),\s*(\w+)")
    return {f"{suite}.{name}" for path in files("src/*_test.cpp")
            for suite, name in macro.findall(path.read_text())}


def test_each_behaviour_has_a_row_and_no_other_is_there():
    assert list(rows()) == BEHAVIOURS


@pytest.mark.parametrize("behaviour", BEHAVIOURS)
def test_a_row_says_not_yet_or_names_tests_that_exist(behaviour):
    state = rows()[behaviour][-1]
    named = re.findall(r"`([^`]+)`", state)
    assert named or "not yet" in state, f"{behaviour}: neither a test nor 'not yet'"
    for test in named:
        if "::" in test:
            file, function = test.split("::", 1)
            path = ROOT / file
            assert path.is_file(), f"{behaviour}: no file {file}"
            assert re.search(rf"^def {re.escape(function)}\(", path.read_text(), re.MULTILINE), (
                f"{behaviour}: {file} has no {function}")
        else:
            assert test in unit_tests(), f"{behaviour}: no unit test {test}"
