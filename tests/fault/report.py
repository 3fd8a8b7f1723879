"""What a run of `fault.chaos` has done and found."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from bar_samples import rows
from tickstockpl.settings import PublishSettings


@dataclass
class Report:
    """Counts for a person, and in lists whatever must not be: it holds if these are empty."""

    mode: str
    seed: int
    faults: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    sent: int = 0
    ticks: int = 0
    """How many of those sent the service has had: all of a stream, what came on a channel."""
    bars: int = 0
    flagged: int = 0
    gaps: int = 0
    looks: int = 0
    events: int = 0
    heard: int = 0
    repeated: int = 0
    refused: int = 0
    """Starts that ended since a server was away: a service manager tries again."""
    recoveries_s: list[float] = field(default_factory=list)
    """From a kill until the service reads its source again."""

    wrong: list[Any] = field(default_factory=list)
    """Bars that are not those of the fold."""
    shrunk: list[Any] = field(default_factory=list)
    """Rows whose count of ticks, or volume, was less than before."""
    silent: list[Any] = field(default_factory=list)
    """Losses that nothing tells of: within a connection, outside of every gap row, in a bar without a flag."""
    unsent: list[str] = field(default_factory=list)
    strange: list[str] = field(default_factory=list)
    """Events heard that are in no table, that came again with another content, or that are not stored exactly once."""
    ended: list[Any] = field(default_factory=list)
    """Ends of the service that nobody caused."""

    @property
    def faulty(self) -> dict[str, list[Any]]:
        """What must not be, by name."""
        names = ("wrong", "shrunk", "silent", "unsent", "strange", "ended")
        return {name: found for name in names if (found := getattr(self, name))}

    @property
    def holds(self) -> bool:
        return not self.faulty

    def lines(self) -> Iterator[str]:
        """The report for a person."""
        times = sorted(self.recoveries_s) or [0.0]
        yield f"{self.mode}, seed {self.seed}, {self.seconds:.0f} s"
        yield "faults     " + ", ".join(f"{name} {count}" for name, count in sorted(self.faults.items()))
        yield f"ticks      {self.sent:,} sent, {self.ticks:,} of them received, {len(self.silent)} lost in silence"
        looked = f"{len(self.shrunk)} have shrunk in {self.looks} looks"
        yield f"bars       {self.bars:,}, {len(self.wrong)} wrong, {looked}"
        yield f"gaps       {self.gaps} gap rows, {self.flagged} bars flagged"
        heard = f"{self.heard:,} heard, {self.repeated} of them again"
        yield f"events     {self.events:,} stored, {heard}, {len(self.unsent)} unsent"
        yield f"starts     {self.refused} refused, since a server was away"
        yield f"recovery   {times[len(times) // 2]:.2f} s in the middle, {times[-1]:.2f} s at most"
        for name, found in self.faulty.items():
            for each in found[:20]:
                yield f"{name:<10} {str(each)[:400]}"

    async def add_events(self, uri: str, heard: Mapping[str, list[str]]) -> None:
        """Compare the events of the tables with those that a subscriber heard: content by id, again and again."""
        events = await rows(
            uri,
            """SELECT e.event_id::text, e.confidence, e.revision, e.published_at, e.expired_at,
                      count(i.event_id) AS shown
               FROM pattern_event e LEFT JOIN intraday_patterns i USING (event_id)
               GROUP BY 1, 2, 3, 4, 5""",
        )
        self.events, self.heard = len(events), sum(map(len, heard.values()))
        self.repeated = self.heard - len(heard)
        known = {event["event_id"] for event in events}
        self.strange += [f"{each} is in no table" for each in heard if each not in known]
        self.strange += [
            f"{each} came with another content: {_difference(said)}"
            for each, said in heard.items()
            if len(set(said)) > 1
        ]
        self.strange += [
            f"{event['event_id']} is shown {event['shown']} times" for event in events if event["shown"] != 1
        ]
        self.unsent = [
            event["event_id"]
            for event in events
            if event["confidence"] >= PublishSettings().min_confidence
            and event["revision"] == 0
            and event["published_at"] is None
            and event["expired_at"] is None  # a revision took it away before it was sent
            and event["event_id"] not in heard
        ]


def _difference(said: list[str]) -> list[Any]:
    """The parts in which contents of one event are not equal."""
    counted = Counter(part for each in set(said) for part in set(each.split(", ")))
    return sorted(part for part, count in counted.items() if count < len(set(said)))
