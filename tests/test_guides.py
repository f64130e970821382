"""What runs the guides finds what is wrong in them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.guides import Guide, Step, alike, steps

GUIDE = """
# A guide

```console
$ name=world
$ echo "hello,
    $name" at 127.0.0.1:8080
hello, world at 127.0.0.1:8080
$ printf '{"a": 1,\\n "b": 2}'   # in two lines
{"a": 1, …}
$ LEDGER_SERVER=x; ls nowhere
… No such file or directory
```

- In a list:

  ```python
  def double(n):
      return 2 * n
  print(double(21), "127.0.0.1:8080")
  ```

  ```text
  42 127.0.0.1:8080
  ```

```yaml
not: run
```
"""


def guide(tmp_path: Path, text: str = GUIDE) -> Guide:
    file = tmp_path / "guide.md"
    file.write_text(text)
    return Guide(file, tmp_path, names={"127.0.0.1:8080": "127.0.0.1:4711"})


def test_a_guide_that_is_right_is_run_as_a_whole(tmp_path: Path) -> None:
    with guide(tmp_path) as whole:
        assert whole.run() == 5


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("hello, world at", "hello, word at"),
        ('{"a": 1, …}', '{"a": 2, …}'),
        ("… No such file", "No such file"),
        ("  42 127", "  43 127"),
        ("$ name=world\n", ""),
    ],
)
def test_what_a_guide_shows_is_what_is_printed(right: str, wrong: str, tmp_path: Path) -> None:
    with (
        guide(tmp_path, GUIDE.replace(right, wrong)) as faulty,
        pytest.raises(AssertionError, match=r"guide\.md, block of line"),
    ):
        faulty.run()


def test_a_command_goes_on_while_it_is_not_whole() -> None:
    assert steps("$ a \\\n  b 'c\n$ d'\nout\n\n$ e\n") == [
        Step("a \\\n  b 'c\n$ d'\n", "out\n\n"),
        Step("e\n", ""),
    ]
    with pytest.raises(ValueError, match="begins with"):
        steps("out\n$ a\n")


def test_white_space_does_not_matter_and_dots_stand_for_anything() -> None:
    assert alike('{"a": "1", …}', '{"a":"1",\n"b":{"c":"2"}}\n')
    assert alike("", "\n")
    assert not alike("", "something")
    assert not alike("a … c", "a b d")
