"""All services of one workspace, each built when it is first asked for."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sao_tui.services.workspace import Workspace, open_workspace

if TYPE_CHECKING:
    from sao_tui.services.captions import CaptionStore
    from sao_tui.services.clips import ClipIndex
    from sao_tui.services.generation import Generator
    from sao_tui.services.gpu import GpuReading, HostSample
    from sao_tui.services.jobs import Jobs
    from sao_tui.services.playback import Playback
    from sao_tui.services.views import SavedFilters
    from sao_tui.services.vocabulary import Vocabulary


class Services:
    """The services of one workspace; imports happen on first use, so that opening stays cheap."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace

    @cached_property
    def clips(self) -> ClipIndex:
        """The clip index."""
        from sao_tui.services.clips import ClipIndex

        return ClipIndex(self.workspace)

    @cached_property
    def captions(self) -> CaptionStore:
        """The captions in metadata.jsonl."""
        from sao_tui.services.captions import CaptionStore

        return CaptionStore(self.workspace)

    @cached_property
    def views(self) -> SavedFilters:
        """The saved filters of the dataset table."""
        from sao_tui.services.views import SavedFilters

        return SavedFilters(self.workspace)

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """The words and phrases of the captions."""
        from sao_tui.services.vocabulary import Vocabulary

        return Vocabulary(self.captions)

    @property
    def has_vocabulary(self) -> bool:
        """Whether the vocabulary has been asked for."""
        return "vocabulary" in self.__dict__

    @cached_property
    def playback(self) -> Playback:
        """The players."""
        from sao_tui.services.playback import Playback

        return Playback(self.workspace)

    @cached_property
    def jobs(self) -> Jobs:
        """Training and pre-encoding jobs."""
        from sao_tui.services.jobs import Jobs

        return Jobs(self.workspace)

    @cached_property
    def generator(self) -> Generator:
        """The warm generation worker."""
        from sao_tui.services.generation import Generator

        return Generator(self.workspace)

    def peaks(self, path: Path, columns: int) -> list[tuple[float, float]]:
        """Return the lowest and highest sample of each of `columns` parts of a clip, all channels mixed.

        Raises:
            SaoError: The clip cannot be read.
        """
        from sao_tui.services.audio import peaks

        return peaks(path, columns, self.workspace.cache_folder)

    def save_settings(self, **changes: Any) -> None:
        """Write settings to sao.toml by dotted key.

        Raises:
            SaoError: A key is unknown, a value has the wrong type, or the file cannot be written.
        """
        from sao_tui.services.workspace import save_settings

        save_settings(self.workspace, **changes)

    def use_dataset(self, folder: Path) -> None:
        """Make another folder the workspace's dataset; what is known of the captions of the old one is let go.

        Raises:
            SaoError: The folder is missing, or the workspace's settings cannot be written.
        """
        from sao_tui.services.prepare_finish import use_dataset

        use_dataset(self.workspace, folder)
        self.__dict__.pop("vocabulary", None)
        captions = self.__dict__.pop("captions", None)
        if captions is not None:
            captions.close()

    def read_gpus(self) -> GpuReading:
        """Return the GPUs now."""
        from sao_tui.services.gpu import read_gpus

        return read_gpus()

    def read_host(self) -> HostSample:
        """Return the machine now, with the workspace's disk."""
        from sao_tui.services.gpu import read_host

        return read_host(self.workspace.root)

    def close(self) -> None:
        """Stop what must not outlive the dashboard, such as a playing sound, and tidy the captions up."""
        for name in ("generator", "playback", "captions"):
            service = self.__dict__.get(name)
            if service is not None:
                service.close()


def build_services(root: Path) -> Services:
    """Open the workspace at `root`.

    Raises:
        SaoError: It is not a workspace.
    """
    return Services(open_workspace(root))
