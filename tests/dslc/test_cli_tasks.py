"""`dslc tasks`."""

from tests.dslc.command_line import run


def test_tasks_are_described() -> None:
    done = run("tasks")
    assert done.code == 0
    assert "digits" in done.out
    assert "validation accuracy" in done.out
    assert "module:function" in done.err
    (digits,) = [task for task in run("tasks", "--json").document["tasks"] if task["name"] == "digits"]
    assert {"conv_net", "activation", "activation_fourier"} < set(digits["accepts"])
    assert digits["options"]["epochs"] == 3
    assert set(digits["reference"]) == {"label", "value", "command"}
