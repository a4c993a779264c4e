"""The settings of models from the Hugging Face Hub."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from labeld.config.fields import ByteSize, setting

Policy = Literal["any", "allowlist", "off"]
"""Models that requests may have downloaded."""


@dataclass(frozen=True, slots=True)
class Hub:
    """Models from the Hugging Face Hub, and the store that keeps them."""

    hub: Literal["auto", "any", "allowlist", "off"] = setting(
        "auto",
        "Models that a request may have downloaded: any (on a loopback address only), allowlist (those of hub_allow), "
        "off; auto is any on a loopback address, else allowlist.",
    )
    hub_allow: tuple[str, ...] = setting(
        (), "Models that may be downloaded when hub is allowlist: ids, or org/* for all of org (comma-separated)."
    )
    hf_endpoint: str = setting("https://huggingface.co", "The Hub, or a mirror of it.")
    hf_token: str | None = setting(
        None, "This server's own token, for gated and private models; a client's is never sent to the Hub.", secret=True
    )
    offline: bool = setting(False, "Never connect to the Hub: serve only models that are on this machine.")
    hf_home: Path = setting(
        Path("~/.cache/huggingface"),
        "Folder of the Hugging Face libraries; by default in XDG_CACHE_HOME, if that is set.",
    )
    hf_hub_cache: Path | None = setting(
        None,
        "The Hugging Face cache, from which models that a request may have downloaded are used as they are; nothing is "
        "written to it. Default: hub in hf_home.",
    )
    hub_timeout: float = setting(
        10.0,
        "Seconds without data, or with less than 1 KiB per second, after which a download is aborted.",
        minimum=0.1,
    )
    store_dir: Path | None = setting(None, "Folder of the downloaded models; default: models in cache_dir.")
    store_limit: ByteSize = setting(
        ByteSize("50%"),
        "Size of the store, at most: bytes such as 50GB, or a share of its disk. The least recently used models leave.",
    )
    max_download: ByteSize = setting(
        ByteSize("10GB"),
        "Size of a model that may be downloaded, at most: bytes, or a share of the disk; beyond that 403.",
    )

    @property
    def hf_cache(self) -> Path:
        """The folder of the Hugging Face cache; one that does not exist where there is no home folder."""
        folder = self.hf_hub_cache or self.hf_home / "hub"
        try:
            return folder.expanduser()
        except RuntimeError:
            return folder
