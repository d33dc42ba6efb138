"""`untrimmed recipes`."""

from __future__ import annotations

from untrimmed.cli.console import show_json, show_table
from untrimmed.errors import ConfigError
from untrimmed.experiment.config import load_config, recipe_names, recipe_text, to_yaml
from untrimmed.settings import dump


def recipes(
    name: str | None = None,
    /,
    *,
    full: bool = False,
    json: bool = False,
) -> None:
    """List the recipes, or print one.

    Examples: `untrimmed recipes`; `untrimmed recipes sbhar > my.yaml` to begin a configuration of one's own.

    Parameters
    ----------
    name
        The recipe to print, as it is written.
    full
        Print every setting, also those that the recipe leaves as they are.
    json
        Print as JSON.
    """
    if name is None and full:
        raise ConfigError("--full has an effect on one recipe only: name it, as in `untrimmed recipes sbhar --full`")
    if name is None:
        configs = {each: load_config(each) for each in recipe_names()}
        if json:
            show_json({each: config.description for each, config in configs.items()})
        else:
            rows = [(each, config.description.split(". ")[0]) for each, config in configs.items()]
            show_table("recipes", ["name", "what it is"], rows, texts=2)
    elif json:
        show_json(dump(load_config(name)))
    else:
        print((to_yaml(load_config(name)) if full else recipe_text(name)).rstrip())
