"""The tests themselves: none is switched off in silence, none waits for the clock."""

import re

from tree import files, relative


def test_no_unit_test_is_switched_off_without_a_reason():
    off = re.compile(r"\bDISABLED_|GTEST_SKIP\(\)\s*;")
    wrong = [f"{relative(path)}:{number}: {line.strip()}" for path in files("src/*_test.cpp")
             for number, line in enumerate(path.read_text().splitlines(), 1) if off.search(line)]
    assert not wrong, "\n".join(wrong)


def test_no_system_test_is_switched_off_without_a_reason():
    off = re.compile(r"pytest\.(?:mark\.)?(?:skip|xfail)(?:if)?\b")
    wrong = []
    for path in files("tests/*.py"):
        if relative(path) == "tests/structure/test_tests.py":
            continue
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if off.search(line) and not re.search(r"reason=|skip\(f?\"", line):
                wrong.append(f"{relative(path)}:{number}: {line.strip()}")
    assert not wrong, "\n".join(wrong)


def test_unit_tests_do_not_sleep_without_a_reason():
    sleep = re.compile(r"\bthis_thread::sleep_\w+\s*\(|\b(?:usleep|nanosleep|sleep)\s*\(")
    wrong = [f"{relative(path)}:{number}: {line.strip()}" for path in files("src/*_test.cpp")
             for number, line in enumerate(path.read_text().splitlines(), 1)
             if sleep.search(line) and "//" not in line]
    assert not wrong, "\n".join(wrong)


def test_system_tests_wait_through_the_harness():
    wrong = [f"{relative(path)}:{number}" for path in files("tests/system/test_*.py")
             for number, line in enumerate(path.read_text().splitlines(), 1) if "time.sleep" in line]
    assert not wrong, "wait with harness.eventually:\n" + "\n".join(wrong)
