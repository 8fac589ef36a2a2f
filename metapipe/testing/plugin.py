"""What holds for a plugin of any kind."""

from __future__ import annotations

from ..plugin import Plugin


class PluginContract:
    """What holds for a plugin of any kind."""

    @property
    def plugin(self) -> Plugin:
        """The plugin under test."""
        raise AttributeError("set the class attribute that names the plugin")

    def test_settings_survive_a_json_round_trip(self) -> None:
        """The stored record of a run rebuilds the plugin."""
        text = self.plugin.model_dump_json()
        again = type(self.plugin).model_validate_json(text)
        assert again == self.plugin, (
            f"the settings come back from JSON as {again!r}, and were {self.plugin!r}: "
            "use types of fields that JSON has"
        )

    def test_every_setting_explains_itself(self) -> None:
        """Help text and default at each field: the CLI shows nothing else."""
        for name, field in type(self.plugin).model_fields.items():
            assert field.description, f"{name} has no help: put a docstring under it"
            assert not field.is_required(), f"{name} has no default: give it one"

    def test_it_is_a_frozen_record(self) -> None:
        """Settings are never changed after construction, and unknown ones refused."""
        config = type(self.plugin).model_config
        for name, value in {"frozen": True, "extra": "forbid"}.items():
            assert config.get(name) == value, (
                f"model_config has {name} = {config.get(name)!r}, and {value!r} is "
                "relied on: leave it as the base class has it"
            )
