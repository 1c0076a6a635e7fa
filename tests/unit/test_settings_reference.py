"""The configuration reference is what the models say."""

from pathlib import Path

import pytest

from settings import reference
from settings.reference import _SECTIONS, render


def test_the_file_in_docs_is_up_to_date():
    written = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text()
    assert written == render(), "run: python -m settings.reference > docs/configuration.md"


@pytest.mark.parametrize("model", [model for _, model in _SECTIONS], ids=lambda model: model.__name__)
def test_every_setting_says_what_it_does_and_shows_an_example(model):
    for name, field in model.model_fields.items():
        assert field.description, name
        assert field.examples, name


@pytest.mark.parametrize("model", [model for _, model in _SECTIONS[1:]], ids=lambda model: model.__name__)
def test_every_example_is_accepted(model):
    required = {name: field.examples[0] for name, field in model.model_fields.items() if field.is_required()}
    for name, field in model.model_fields.items():
        model.model_validate({**required, name: field.examples[0]})


def test_every_section_of_the_stack_file_is_in_the_reference():
    text = reference.render()
    assert all(f"`{name}`" in text for name in ("servers", "applications", "jobs", "zones", "secrets"))
