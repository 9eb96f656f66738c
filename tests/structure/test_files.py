"""Rules for single files: size, opening comment, nothing that belongs to one machine."""

import re

import pytest

from tree import ROOT, files, relative

CODE = ("*.cpp", "*.h", "*.py", "*.sh", "scripts/*", ".ci/*")
LINE_LIMIT = 500


def test_no_source_file_is_past_the_limit():
    long = [f"{relative(path)}: {count} lines" for path in files(*CODE)
            if (count := len(path.read_text().splitlines())) > LINE_LIMIT]
    assert not long, f"past {LINE_LIMIT} lines, look for the seam:\n" + "\n".join(long)


def test_each_header_opens_with_what_it_is_for():
    silent = [relative(path) for path in files("src/*.h", "apps/*.h")
              if not path.read_text().startswith("//")]
    assert not silent, "no opening sentence:\n" + "\n".join(silent)


def test_files_name_no_path_of_one_machine():
    machine = re.compile(r"(?:^|[^\w.$}\])])/(?:root|work|farm)/")
    wrong = []
    for path in files():
        try:
            text = path.read_text()
        except UnicodeDecodeError:
            continue
        wrong += [f"{relative(path)}:{number}: {line.strip()[:100]}"
                  for number, line in enumerate(text.splitlines(), 1) if machine.search(line)]
    assert not wrong, "\n".join(wrong)


def test_the_licence_is_apache_2():
    text = (ROOT / "LICENSE").read_text()
    assert "Apache License" in text and "Version 2.0" in text


def test_unfinished_work_names_an_issue():
    word = re.compile(r"\b(TODO|FIXME|XXX)\b(?!\(#\d+\))")
    wrong = [f"{relative(path)}:{number}" for path in files("src/*", "apps/*", "cmake/*", "fuzz/*")
             if path.suffix in (".cpp", ".h", ".cmake", ".txt")
             for number, line in enumerate(path.read_text().splitlines(), 1) if word.search(line)]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("script", [relative(p) for p in files("scripts/*", ".ci/*", "bench/run")
                                    if p.read_bytes().startswith(b"#!")])
def test_scripts_can_be_executed(script):
    assert (ROOT / script).stat().st_mode & 0o111, f"chmod +x {script}"
