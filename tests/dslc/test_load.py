"""Loading: arguments, tracebacks, and the way back from an exception to the sentence."""

import linecache
import traceback

import pytest
import torch

import dslc
from dslc.diagnostics import Code, DslcError
from dslc.program import load
from dslc.program.emit import LineOrigin, PythonSource
from dslc.program.load import explain_exception, load_class, load_module
from dslc.program.targets import get_target

SENTENCE = "3 3 2 2 24 5 5 2 2 36 1 1 2 2 48"


@pytest.fixture(scope="module")
def source() -> PythonSource:
    return dslc.compile("conv_net").parse(SENTENCE).source


def test_a_missing_argument_is_named(source: PythonSource) -> None:
    with pytest.raises(DslcError) as error:
        load_module(source, in_channels=1)
    (diagnostic,) = error.value.diagnostics
    assert diagnostic.code is Code.MISSING_ARGUMENT
    assert diagnostic.message == "the argument `num_classes` is missing"
    assert diagnostic.help == "build takes: ConvNet(in_channels: int, num_classes: int)"


def test_all_problems_are_told_at_once(source: PythonSource) -> None:
    with pytest.raises(DslcError) as error:
        load_module(source, num_clases=10)
    assert [d.code for d in error.value.diagnostics] == [Code.MISSING_ARGUMENT] * 2 + [Code.UNKNOWN_ARGUMENT]
    assert (error.value.diagnostics[2].help or "").startswith("did you mean `num_classes`? ")


@pytest.mark.parametrize("name", ["conv_net", "activation", "activation_piecewise_linear", "activation_fourier"])
def test_the_class_takes_the_arguments_that_the_target_names(name: str) -> None:
    import inspect

    target = get_target(name)
    loaded = load_class(dslc.compile(name)[0].source)
    parameters = inspect.signature(loaded).parameters
    assert list(parameters) == [argument.name for argument in target.build_arguments]
    for argument in target.build_arguments:
        default = parameters[argument.name].default
        assert (None if default is inspect.Parameter.empty else default) == argument.default
    assert target.example_arguments is not None
    assert set(target.example_arguments) == set(parameters)
    load_module(dslc.compile(name)[0].source, **target.example_arguments)


def test_a_failing_constructor_is_explained(source: PythonSource) -> None:
    with pytest.raises(DslcError) as error:
        load_module(source, in_channels=-1, num_classes=10)
    (diagnostic,) = error.value.diagnostics
    assert diagnostic.code is Code.EMITTED_CODE_FAILED
    assert diagnostic.message.startswith("`conv2d` failed with ")
    assert diagnostic.notes[0] == "it comes from `layer`, tokens 1 to 5 of the sentence"


def test_an_exception_leads_back_to_the_rule_and_the_sentence(source: PythonSource) -> None:
    module = load_module(source, in_channels=1, num_classes=10)
    # One place a channel and one image: the second layer's batch norm has nothing to average over.
    with pytest.raises(ValueError, match="more than 1 value per channel") as error:
        module(torch.ones(1, 1, 4, 4))
    diagnostic = explain_exception(source, error.value)
    assert diagnostic.code is Code.EMITTED_CODE_FAILED
    assert "ValueError: Expected more than 1 value per channel" in diagnostic.message
    assert diagnostic.notes == (
        "it comes from `layer`, tokens 6 to 10 of the sentence",
        f"the sentence is `{SENTENCE}`",
        f"line {line_of(source, 'features_2 =')} of the source: `features_2 = self.layer_2(features_1)`",
    )


def line_of(source: PythonSource, start: str) -> int:
    return next(n for n, line in enumerate(source.text.splitlines(), 1) if line.strip().startswith(start))


def test_a_function_is_one_token() -> None:
    program = dslc.compile("activation").parse("x x scale sin mul")
    module = load_module(program.source, num_channels=3)
    with pytest.raises(RuntimeError) as error:
        module(torch.ones(2, 4))
    diagnostic = explain_exception(program.source, error.value)
    assert diagnostic.message.startswith("`scale` failed with RuntimeError: ")
    assert diagnostic.notes[0] == "it comes from `scale`, token 1 of the sentence"


def test_an_exception_from_elsewhere_is_described(source: PythonSource) -> None:
    diagnostic = explain_exception(source, ValueError("two\nlines"))
    assert diagnostic.message == "the program failed with ValueError: two"
    assert diagnostic.notes == (f"the sentence is `{SENTENCE}`",)
    assert explain_exception(source, KeyError()).message.endswith("KeyError")


def test_an_unmapped_line_is_shown() -> None:
    source = PythonSource(
        "class C:\n    def __init__(self):\n        1 / 0\n", "C", (LineOrigin(1, 0, "a", "b", (0, 1)),)
    )
    with pytest.raises(DslcError) as error:
        load_module(source)
    (diagnostic,) = error.value.diagnostics
    assert diagnostic.message == "the program failed with ZeroDivisionError: division by zero"
    assert diagnostic.notes[-1] == "line 3 of the source: `1 / 0`"


def test_tracebacks_show_the_emitted_lines(source: PythonSource) -> None:
    module = load_module(source, in_channels=1, num_classes=10)
    with pytest.raises(ValueError, match="more than 1") as error:
        module(torch.ones(1, 1, 4, 4))
    assert "features_2 = self.layer_2(features_1)" in "".join(traceback.format_exception(error.value))


def test_only_the_last_texts_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load, "KEPT_TEXTS", 3)
    monkeypatch.setattr(load, "_kept", type(load._kept)())
    sources = [PythonSource(f"class C{i}:\n    pass\n", f"C{i}") for i in range(5)]
    for source in sources:
        load_class(source)
    load_class(sources[3])
    assert [source.file_name in linecache.cache for source in sources] == [False, False, True, True, True]


@pytest.mark.parametrize("name", ["conv_net", "activation", "activation_piecewise_linear", "activation_fourier"])
def test_loaded_programs_compile(name: str) -> None:
    program = dslc.compile(name)[1234]
    torch.manual_seed(0)
    module = program.build(**({"in_channels": 3, "num_classes": 2} if name == "conv_net" else {"num_channels": 3}))
    assert isinstance(module, torch.nn.Module)
    x = torch.rand(2, 3, 6, 6)
    # The eager backend traces every line without a C++ compiler.
    torch.testing.assert_close(torch.compile(module.eval(), backend="eager", fullgraph=True)(x), module(x))
