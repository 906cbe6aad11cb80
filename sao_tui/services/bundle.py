"""All services of one workspace, each built when it is first asked for."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sao_tui.services.workspace import Workspace, open_workspace

if TYPE_CHECKING:
    from sao_tui.services.analyser import Analyser
    from sao_tui.services.analyses import AnalysisStore
    from sao_tui.services.captions import CaptionStore
    from sao_tui.services.clip_facts import ClipFacts
    from sao_tui.services.clips import ClipIndex
    from sao_tui.services.generation import Generator
    from sao_tui.services.gpu import GpuReading, HostSample
    from sao_tui.services.jobs import Jobs
    from sao_tui.services.pictures import PictureCache
    from sao_tui.services.playback import Playback
    from sao_tui.services.tempo import TempoReader, TempoReading
    from sao_tui.services.tokens import TokenCounter
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
    def analyses(self) -> AnalysisStore:
        """What has been measured of the clips."""
        from sao_tui.services.analyses import AnalysisStore

        return AnalysisStore(self.clips)

    @cached_property
    def analyser(self) -> Analyser:
        """The background analysis; it measures nothing before its `start`."""
        from sao_tui.services.analyser import Analyser

        return Analyser(self.workspace, self.clips)

    @cached_property
    def pictures(self) -> PictureCache:
        """Waveforms and spectrograms of clips."""
        from sao_tui.services.pictures import PictureCache

        return PictureCache(self.workspace.cache_folder)

    @cached_property
    def tempo(self) -> TempoReader:
        """Tempo and key of single clips, measured by the worker's environment."""
        from sao_tui.services.tempo import TempoReader

        return TempoReader(self.workspace)

    @cached_property
    def tokens(self) -> TokenCounter:
        """The text encoder's tokenizer."""
        from sao_tui.services.tokens import TokenCounter

        return TokenCounter(self.workspace)

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

    def detail(self, relpath: str, columns: int, rows: int = 0, span: tuple[float, float] | None = None) -> ClipFacts:
        """Return everything that the detail pane shows of one clip; see clip_facts.read_facts.

        Raises:
            SaoError: The index cannot be read.
        """
        from sao_tui.services.clip_facts import read_facts

        return read_facts(self, relpath, columns, rows, span)

    def save_settings(self, **changes: Any) -> None:
        """Write settings to sao.toml by dotted key.

        Raises:
            SaoError: A key is unknown, a value has the wrong type, or the file cannot be written.
        """
        from sao_tui.services.workspace import save_settings

        save_settings(self.workspace, **changes)

    def measure_tempo(self, relpath: str) -> TempoReading:
        """Measure tempo and key of a clip with the worker's environment, and keep them.

        Raises:
            SaoError: The clip has gone or cannot be read, or the worker's environment has no librosa.
        """
        from sao_tui.services.tempo import measure_tempo

        return measure_tempo(self, relpath)

    def read_gpus(self) -> GpuReading:
        """Return the GPUs now."""
        from sao_tui.services.gpu import read_gpus

        return read_gpus()

    def read_host(self) -> HostSample:
        """Return the machine now, with the workspace's disk."""
        from sao_tui.services.gpu import read_host

        return read_host(self.workspace.root)

    def close(self) -> None:
        """Stop what must not outlive the dashboard, children and a playing sound, and tidy the captions up."""
        for name in ("analyser", "tempo", "generator", "playback", "captions"):
            service = self.__dict__.get(name)
            if service is not None:
                service.close()


def build_services(root: Path) -> Services:
    """Open the workspace at `root`.

    Raises:
        SaoError: It is not a workspace.
    """
    return Services(open_workspace(root))
