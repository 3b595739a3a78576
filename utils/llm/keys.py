"""API keys: taken from the environment only, and checked before anything is sent."""

from utils.config import RunConfig
from utils.errors import EndpointError
from utils.llm_config import DEEPSEEK_KEY, LLMConfig


def usable_key(config: LLMConfig) -> str:
    """Return the key from the environment. Raises EndpointError where it is missing, or cannot stand in a header."""
    key = config.api_key()
    if not (key.isascii() and key.isprintable()):
        name = config.api_key_env or DEEPSEEK_KEY
        raise EndpointError(f"the key of {name} holds a character that no key has; copy it again, without quotes")
    return key


def check_keys(config: RunConfig) -> None:
    """Raise EndpointError where a key that the run will need is missing or cannot be one."""
    if config.asks_live:
        for llm_config in config.llm_configs:
            usable_key(llm_config)
