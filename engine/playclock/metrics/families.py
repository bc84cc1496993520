"""Every metric of an engine: its name, its labels and what it says. docs/operations.md has the same table for operators.

Labels are bounded by what the engine is made of (methods, codes, reasons) or by what its operator has configured (games,
providers). Nothing that a stranger sends becomes one, and nothing that belongs to a player does.
"""

from collections.abc import Mapping
from typing import Final

import msgspec
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
)


class Family(msgspec.Struct, frozen=True):
    """A metric, as Prometheus has it described."""

    kind: type[CounterMetricFamily] | type[GaugeMetricFamily]
    name: str
    """Without the prefix, and without the _total of a counter."""
    help: str
    labels: tuple[str, ...] = ()

    def make(self) -> CounterMetricFamily | GaugeMetricFamily:
        """Return it without any samples yet."""
        return self.kind(f"playclock_{self.name}", self.help, labels=self.labels)


def counter(name: str, help_: str, *labels: str) -> Family:
    """Return the family of a counter."""
    return Family(CounterMetricFamily, name, help_, labels)


def gauge(name: str, help_: str, *labels: str) -> Family:
    """Return the family of a gauge."""
    return Family(GaugeMetricFamily, name, help_, labels)


def build() -> InfoMetricFamily:
    """Return what tells the version, without any samples yet."""
    return InfoMetricFamily("playclock_build", "The version that runs.")


def rpc_duration() -> HistogramMetricFamily:
    """Return the histogram of how long calls take, without any samples yet."""
    help_ = "How long calls took; not of streams, which last as long as their callers like."
    return HistogramMetricFamily("playclock_rpc_duration_seconds", help_, labels=("service", "method"))


RPCS: Final = counter("rpcs", "Calls that have ended: over sockets, of REST and in process.", "service", "method", "code")
RATE_LIMITED: Final = counter("rate_limited", "Calls that a limit refused.", "limit")
HEARTBEATS: Final = counter("heartbeats", "Heartbeats of sessions that were answered.", "result")
OPENED: Final = counter("sessions_opened", "Sessions that this process opened.", "game")
ENDED: Final = counter("sessions_ended", "Sessions that this process ended, or found ended by time.", "game", "reason")
MATCHES: Final = counter("matches", "Matches that this process brought to a state.", "state")
ABORTED_MATCHES: Final = counter("aborted_matches", "Matches that this process aborted, or found aborted by time.", "reason")
CONTRADICTED_RESULTS: Final = counter(
    "contradicted_results", "Results of matches that said something else than the one that counts."
)
DELIVERIES: Final = counter("deliveries", "Tries to tell games' servers of matches; dead: given up.", "method", "outcome")
DELIVERIES_WAITING: Final = gauge("deliveries_waiting", "Messages about matches that this process is about to send.")
POINTS_SAVED: Final = counter("points_saved", "Entries of points that were saved.")
POINTS_EXCEEDED: Final = counter("points_exceeded", "Points and player sessions that a cap of a game refused.", "cap")
PLAYER_SESSIONS: Final = counter("player_sessions", "Session tokens that were issued to players.")
WATCHERS: Final = gauge("watchers", "Streams that watch sessions or matches now.")

IMAGES: Final = counter("images", "Images: stored, known when they were offered, refused for what, or removed.", "outcome")

SWEPT: Final = counter("sweeper_swept", "Records that were due and dealt with.")
DROPPED: Final = counter("sweeper_dropped", "Records and events that the store dropped because their retention was over.")
DUE: Final = gauge("sweeper_due", "Records that the last tick found due, at most 2000.")
SWEEP_LAG: Final = gauge("sweeper_lag_seconds", "How long the longest overdue of them had been due.")
SWEEP_AGE: Final = gauge("sweeper_last_tick_age_seconds", "Time since the last tick that came to its end.")
FAILED_JOBS: Final = counter("background_failures", "Background jobs that failed; the next one comes all the same.", "job")

WALL_SKEW: Final = gauge("clock_wall_skew_seconds", "What this host's wall clock is ahead of the engine's time.")
CLOCK_OFFSET: Final = gauge("clock_offset_seconds", "What the engine's time is ahead of the store server's, if that was set.")
CLOCK_ERROR: Final = gauge("clock_error_seconds", "What the engine's time was behind where it has to be, when last looked at.")
CLOCK_STEPS: Final = counter("clock_steps", "How often this process noted that the store server's clock was set.")
CATCH_UPS: Final = counter("clock_catch_ups", "How often this process was behind the others and moved ahead.")

CONFLICTS: Final = counter("store_conflicts", "Commits that others were faster than; they were decided anew.")
UNAVAILABLE: Final = counter("store_unavailable", "Calls of the engine that the store could not be reached for.")

CIRCUIT_OPEN: Final = gauge("provider_circuit_open", "1 while a partner is left alone because it does not answer.", "provider")
PROVIDER_CALLS: Final = counter("provider_calls", "Calls of partners.", "provider", "call", "outcome")

AGENT_CIRCUIT_OPEN: Final = gauge("agent_circuit_open", "1 while an agent is left alone because it does not answer.", "agent")
AGENT_CALLS: Final = counter("agent_calls", "Callbacks to agents about their players' money.", "agent", "call", "outcome")

OF_STORE: Final[Mapping[str, Family]] = {
    "transactions": counter("sqlite_transactions", "Transactions that were committed; many commits share one."),
    "round_trips": counter("redis_round_trips", "Requests to servers; many commands share one."),
    "sent_again": counter("redis_sent_again", "Commands that were sent again, for a server said that it had done nothing."),
    "connections": counter("redis_connections", "Connections that were made."),
    "failed_connections": counter("redis_failed_connections", "Attempts to connect that failed."),
    "epochs": counter("redis_epochs", "Servers spoken to, and how often one was started anew, or promoted, since."),
    "put_back": counter("redis_journal_put_back", "Commits that Redis had lost and that were put back."),
    "given_up": counter("redis_journal_given_up", "Commits that Redis had lost and that could not be put back."),
    "dropped": counter("redis_journal_dropped", "Commits that were forgotten before their minute was over."),
}
"""By what a store calls it in its `counts`."""

OF_ARCHIVE: Final[Mapping[str, Family]] = {
    "behind": gauge("archive_behind_events", "Events that were not archived yet when last looked at."),
    "archived": counter("archive_archived", "Events that this process archived."),
    "failures": counter("archive_failures", "How often archiving had to wait, or was not possible."),
    "lost": counter("archive_lost", "Events that were dropped before they could be archived."),
    "contradictions": counter("archive_contradictions", "Transfers and ends that were told again with other contents."),
}
"""By what an archive calls it in its `counts`."""
