"""Every program ends with the same exit codes, and says why in one paragraph."""

from __future__ import annotations

import pytest

from paynotify.schemas.errors import ClusterUnavailableError, ConfigurationError, MissingTopicsError
from paynotify.service.exit_codes import exit_code


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (ConfigurationError("Correct it."), 2, "program: Correct it.\n"),
        (MissingTopicsError("Create it."), 2, "program: Create it.\n"),
        (ClusterUnavailableError("Wait."), 3, "program: Wait.\n"),
        (KeyboardInterrupt(), 130, "Interrupted.\n"),
    ],
)
def test_expected_error_becomes_its_exit_code(
    error: BaseException, code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails() -> int:
        raise error

    assert exit_code("program", fails, when_interrupted="Interrupted.") == code
    assert capsys.readouterr().err == said


def test_result_is_returned_and_interruption_is_silent_by_default(capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted() -> int:
        raise KeyboardInterrupt

    assert exit_code("program", lambda: 1) == 1
    assert exit_code("program", interrupted) == 130
    assert capsys.readouterr().err == ""


def test_unexpected_error_is_not_hidden() -> None:
    def broken() -> int:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        exit_code("program", broken)
