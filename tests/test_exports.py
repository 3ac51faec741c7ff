from __future__ import annotations

import inspect

import pytest

import multimodel


def test_every_exported_name_resolves():
    for name in multimodel.__all__:
        assert getattr(multimodel, name) is not None


def test_a_name_that_is_not_exported_is_an_attribute_error():
    with pytest.raises(AttributeError, match="nonsense"):
        _ = multimodel.nonsense


def test_dir_lists_what_is_exported():
    assert set(dir(multimodel)) == set(multimodel.__all__)


def _verbs(cls: type) -> dict[str, inspect.Signature]:
    return {
        name: inspect.signature(value)
        for name, value in vars(cls).items()
        if inspect.isfunction(value) and not name.startswith("_")
    }


def test_the_clients_are_twins():
    blocking, aio = _verbs(multimodel.Client), _verbs(multimodel.AsyncClient)
    assert {*blocking} - {"close"} == {*aio} - {"aclose"}
    for name in {*blocking} - {"close"}:
        assert blocking[name].parameters == aio[name].parameters, name


@pytest.mark.parametrize("name", ["complete", "stream", "using", "explain", "status", "off", "on"])
def test_the_twins_say_the_same(name: str):
    def sentences(cls: type) -> str:
        doc = inspect.getdoc(getattr(cls, name)) or ""
        return doc.partition(">>>")[0].replace("``async with``", "``with``")

    assert sentences(multimodel.Client) == sentences(multimodel.AsyncClient)


def test_every_error_is_in_the_tree_and_in_its_drawing():
    from multimodel import errors

    for name in errors.__all__:
        value = getattr(errors, name)
        if inspect.isclass(value):
            assert issubclass(value, multimodel.MultimodelError)
            assert name in errors.__doc__ or value is multimodel.MultimodelError
