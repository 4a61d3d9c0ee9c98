"""A trial in hand: what `suggest` returns."""

from __future__ import annotations

import logging
from types import TracebackType
from typing import TYPE_CHECKING, Any

from orion_k8s.errors import DatabaseError, LeaseLost
from orion_k8s.trial import Status, Trial, TrialRecord

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orion_k8s.client.asktell import AskTell

log = logging.getLogger(__name__)


class SuggestedTrial(Trial):
    """A trial that this process has reserved; only such a one can be observed or released.

    As a context manager it is released at the end of the block unless it was observed. It can be
    pickled, to be evaluated elsewhere; what comes out of that can be observed, too.
    """

    _client: AskTell | None = None

    @classmethod
    def reserved(
        cls,
        record: TrialRecord,
        params: Mapping[str, Any],
        working_dir: str,
        client: AskTell,
    ) -> SuggestedTrial:
        """Return the trial of a record that `client` has reserved."""
        trial = cls(record, params, working_dir)
        trial.__dict__["_client"] = client  # not a field: two trials are not compared by it
        return trial

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_client"}

    def __enter__(self) -> SuggestedTrial:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Release the trial if it is still reserved: broken after an error, else interrupted."""
        client = self._client
        if client is None or not client.holds(self):
            return
        # Neither a Ctrl-C nor a database that went away says anything about the parameters.
        failed = isinstance(error, Exception) and not isinstance(error, DatabaseError)
        reason = "not observed" if error is None else f"{type(error).__name__}: {error}"
        try:
            client.release(self, Status.BROKEN if failed else Status.INTERRUPTED, reason)
        except LeaseLost as lost:
            log.warning("trial %s was not released: %s", self.id, lost)
