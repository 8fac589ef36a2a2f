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
        assert type(self.plugin).model_validate_json(text) == self.plugin

    def test_every_setting_explains_itself(self) -> None:
        """Help text and default at each field: the CLI shows nothing else."""
        for name, field in type(self.plugin).model_fields.items():
            assert field.description, f"{name} has no help: put a docstring under it"
            assert not field.is_required(), f"{name} has no default"

    def test_it_is_a_frozen_record(self) -> None:
        """Settings are never changed after construction, and unknown ones refused."""
        config = type(self.plugin).model_config
        assert config.get("frozen") is True
        assert config.get("extra") == "forbid"
