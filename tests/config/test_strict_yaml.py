from __future__ import annotations

import pytest

from multimodel.config.strict_yaml import MAX_BYTES, read


def told(text: str | bytes) -> list[str]:
    data = text.encode() if isinstance(text, str) else text
    return [str(problem) for problem in read(data, "f").problems]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("on", "on"),
        ("yes", "yes"),
        ("no", "no"),
        ("1:30", "1:30"),
        ("2026-11-24", "2026-11-24"),
        ("1_000", "1_000"),
        ("0b11", "0b11"),
        ("~", None),
        ("null", None),
        ("", None),
        ("true", True),
        ("False", False),
        ("-12", -12),
        ("0", 0),
        ("0x1F", 31),
        ("0o17", 15),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("-.inf", float("-inf")),
        ('"12"', "12"),
        ("'true'", "true"),
        ("dashscope:qwen-plus", "dashscope:qwen-plus"),
        ("${NAME}", "${NAME}"),
    ],
)
def test_scalars_are_read_as_yaml_1_2_reads_them(written: str, meant: object) -> None:
    document = read(f"a: {written}".encode(), "f")
    assert document.problems == ()
    assert document.value == {"a": meant}
    assert type(document.value["a"]) is type(meant)


def test_on_and_yes_as_keys_stay_text() -> None:
    assert read(b"on: 1\nyes: 2", "f").value == {"on": 1, "yes": 2}


@pytest.mark.parametrize("written", ["010", "-007", "00"])
def test_an_octal_that_readers_disagree_on_is_refused(written: str) -> None:
    (problem,) = told(f"a: {written}")
    assert problem.startswith(f"f:1:4: `{written}` is octal to some readers of YAML, decimal to others\nhint: write `")


def test_every_key_and_value_has_its_line_and_column() -> None:
    marks = read(b"a:\n  b: [x,  y]\nc: 1", "f").origin.marks
    assert (marks["a", "b"].key, marks["a", "b"].value) == ((2, 3), (2, 6))
    assert marks["a", "b", 1].value == (2, 11)
    assert marks["c",].value == (3, 4)


def test_columns_count_characters_and_not_bytes() -> None:
    assert read('{"äö": 1, b: 2}'.encode(), "f").origin.marks["b",].key == (1, 11)


def test_a_byte_order_mark_is_ignored() -> None:
    document = read("\ufeffa: 1".encode(), "f")
    assert (document.value, document.origin.marks["a",].key) == ({"a": 1}, (1, 1))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: 1\nb: 2\na: 3", "f:3:1: `a` stands twice\nhint: the first one is in line 1"),
        ("x: &a 1", "f:1:4: anchors (`&name`) are not allowed"),
        ("x: *a", "f:1:4: aliases (`*name`) are not allowed"),
        ("x: !!python/object:os.system 1", "f:1:4: tags (`!name`) are not allowed"),
        ("<<: {a: 1}", "f:1:1: merge keys (`<<`) are not allowed"),
        ("1: a", 'f:1:1: the key `1` is not text\nhint: quote it: `"1"`'),
        ("true: a", "f:1:1: the key `true` is not text"),
        ("~: a", "f:1:1: the key `~` is not text"),
        ("? [a]\n: 1", "f:1:3: a key must be text"),
        ("a: 1\n---\nb: 2", "f:2:1: a second document begins here"),
        ("%YAML 1.1\n---\na: 1", "f:1:1: directives (`%…`) are not allowed"),
        ("a:\n\tb: 1", "f:2:1: a tab cannot stand here\nhint: indent with spaces"),
        ("a: [1, 2", "f:1:4: a bracket is not closed"),
        ("a: 'x", "f:1:4: a quote is not closed"),
        ("a: b: c", "f:1:5: a `:` does not fit here"),
        ("a: 1\n  b: 2", "f:2:4: a `:` does not fit here"),
        ("a: @x", "f:1:4: a text cannot begin with this character\nhint: quote the text"),
        ("- a\nb: 1", "f:2:1: the indentation does not fit"),
        ("a: \x07", "f:1:4: the character U+0007 is not allowed"),
        ("a: 'x\u2028y'", "f:1:6: the character U+2028 is not allowed"),
        (b"a: \xff", "f:1:4: the file is not UTF-8\nhint: save it as UTF-8"),
        (b"a: 1\nb: \xc3\xa4\xff", "f:2:5: the file is not UTF-8"),
        ("a: " + "1" * 5000, "f:1:4: the number is too long"),
    ],
)
def test_what_is_not_allowed_is_told_with_its_place(text: str | bytes, problem: str) -> None:
    assert any(line.startswith(problem) for line in told(text)), told(text)


@pytest.mark.parametrize("text", ["a: {b: ${KEY}}", "{a: ${KEY}}", "a: [${KEY}]"])
def test_an_unquoted_variable_inside_brackets_gets_the_hint_to_quote_it(text: str) -> None:
    (problem,) = told(text)
    assert problem.endswith('a variable inside `{}` or `[]` must be quoted\nhint: write `"${KEY}"`')
    assert problem.startswith(f"f:1:{text.index('$') + 1}:")


def test_a_file_over_a_mebibyte_is_not_read() -> None:
    assert told(b"#" * MAX_BYTES) == []
    assert told(b"#" * (MAX_BYTES + 1))[0].startswith("f:1:1: the file is larger than 1 MiB")


@pytest.mark.parametrize("opening", ["[", "{a: ", "- "])
def test_thirty_two_levels_are_enough_and_more_are_refused(opening: str) -> None:
    closing = {"[": "]", "{a: ": "}", "- ": ""}[opening]
    assert told(opening * 32 + "x" + closing * 32) == []
    assert "more than 32 levels" in told(opening * 33 + "x" + closing * 33)[-1]


def test_a_hundred_thousand_brackets_do_no_harm() -> None:
    for text in ("[" * 100_000, "{" * 100_000, "[[" * 50_000 + "]]" * 50_000):
        assert any("more than 32 levels" in line for line in told(text))


def test_all_the_mistakes_before_a_broken_line_are_told_with_it() -> None:
    assert [line.split(": ")[0] for line in told("a: 010\na: 1\nb: &x 1\nc: 'open")] == [
        "f:1:4",
        "f:2:1",
        "f:3:4",
        "f:4:4",
    ]
