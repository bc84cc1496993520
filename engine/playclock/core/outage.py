"""Times in which we were away ourselves, and what they do to leases: nobody is ended or billed for them."""

import msgspec


class Outage(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """From the last sign of life of any of our processes until one was back."""

    start_ms: int
    end_ms: int


def falls_into(outage: Outage, *, lease_until_ms: int, seen_ms: int) -> bool:
    """Whether the outage began within a lease and has not been made good to it yet.

    `seen_ms` is the end of the last outage that was. A lease that was over before the outage began stays over.
    """
    return outage.end_ms > seen_ms and outage.start_ms < lease_until_ms


def spread_ms(record_id: str, span_ms: int) -> int:
    """Return a delay below `span_ms` that is always the same for one id and differs between ids.

    After an outage all leases would otherwise run out in the same moment. The partition's digits are left out: all
    sessions of a cafe share them.
    """
    return int(record_id[5:9], 16) * span_ms // 0x10000
